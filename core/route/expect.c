/* Where mail goes in words, and lines of what is expected of it; see expect.h. */
#include "route/expect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/mem.h"
#include "util/text.h"

/* --- the outcome as text --- */

void route_outcome(const struct route_query *q, const struct route_decision *d, struct buf *out)
{
    char own[sizeof d->domain + 2];

    switch (d->action) {
    case ROUTE_TRANSPORT:
        buf_adds(out, d->transport);
        for (size_t i = 0; i < d->next_hop_n; i++)
            buf_printf(out, "%s%s", i ? ", " : " via ", route_next_hop(d, i, own, sizeof own));
        break;
    case ROUTE_FAIL:
        buf_printf(out, "fail %u.%u.%u", d->status[0], d->status[1], d->status[2]);
        return;
    case ROUTE_HOLD:
        buf_adds(out, "hold");
        break;
    case ROUTE_DISCARD:
        buf_adds(out, "discard");
    }
    if (strcmp(d->rcpt, q->rcpt) != 0)
        buf_printf(out, " as %s", d->rcpt);
}

/* What the mail is for at that place: for a command or a file, or what an alias fails with, the
 * address means nothing. */
static const char *leaf_as(const struct route_leaf *leaf)
{
    const struct route_decision *d = &leaf->decision;

    return d->rule && strcmp(d->rule->what, "alias") == 0 ? leaf->shown : d->rcpt;
}

static char *leaf_outcome(const struct route_query *q, const struct route_leaf *leaf, int aliased,
                          int more)
{
    const struct route_decision *d = &leaf->decision;
    struct route_query own = *q;
    struct buf out = { 0 };

    own.rcpt = aliased ? d->rcpt : q->rcpt; /* how it is written at the end is said below */
    route_outcome(&own, d, &out);
    if (aliased && leaf_as(leaf) && strcmp(leaf_as(leaf), q->rcpt) != 0)
        buf_printf(&out, " as %s", leaf_as(leaf));
    if (more && d->group)
        buf_printf(&out, " in group %s", d->group->name);
    if (more && leaf->sender)
        buf_printf(&out, " (bounces to %s)", leaf->sender);
    return out.data;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void route_expansion_outcome(const struct route_query *q, const struct route_expansion *x, int more,
                             struct buf *out)
{
    char **texts = mem_zalloc((x->n + 1) * sizeof *texts);
    const struct route_decision *d = x->aliased ? &x->first : &x->leaves[0].decision;

    for (size_t i = 0; i < x->n; i++)
        texts[i] = leaf_outcome(q, &x->leaves[i], x->aliased, more);
    qsort(texts, x->n, sizeof *texts, by_text);
    for (size_t i = 0; i < x->n; i++) {
        buf_printf(out, "%s%s", i ? "; " : "", texts[i]);
        free(texts[i]);
    }
    if (more && d->action != ROUTE_FAIL && d->anyone)
        buf_adds(out, " (from anyone)");
    free(texts);
}

/* --- reading --- */

static char *trim(char *s)
{
    char *end;

    s += strspn(s, " \t\r\n");
    end = s + strlen(s);
    while (end > s && strchr(" \t\r\n", end[-1]))
        end--;
    *end = 0;
    return s;
}

static char *strip(char *s)
{
    size_t len = strlen(s);

    if (len < 2 || s[0] != '<' || s[len - 1] != '>')
        return s;
    s[len - 1] = 0;
    return s + 1;
}

/* The first c that is not in quotes, or NULL. */
static char *find_unquoted(char *s, const char *text)
{
    int quoted = 0;

    for (; *s; s++) {
        if (*s == '\\' && quoted && s[1])
            s++;
        else if (*s == '"')
            quoted = !quoted;
        else if (!quoted && strncmp(s, text, strlen(text)) == 0)
            return s;
    }
    return NULL;
}

static int parse_left(char *left, struct route_expectation *e, const char **reterr_why)
{
    char *comma = find_unquoted(left, ","), *from = NULL, *rcpt = left;

    if (comma) {
        *comma = 0;
        from = trim(left);
        rcpt = comma + 1;
    }
    if (from && strcmp(from, "*") != 0 && *from)
        e->sender = strip(from);
    e->rcpt = strip(trim(rcpt));
    if (*e->rcpt)
        return 0;
    *reterr_why = "there is no address";
    return -EINVAL;
}

/* Cuts what follows the word off the text; NULL: the word is not there. */
static char *cut_word(char *text, const char *word)
{
    size_t len = strlen(word);

    for (char *p = text; (p = find_unquoted(p, word)); p += len) {
        if ((p == text || p[-1] == ' ' || p[-1] == '\t') && (p[len] == ' ' || p[len] == '\t')) {
            *p = 0;
            return trim(p + len);
        }
    }
    return NULL;
}

static int parse_place(char *text, struct route_place *p, const char **reterr_why)
{
    char *status;

    p->as = cut_word(text, "as");
    p->hops = cut_word(text, "via");
    text = trim(text);
    status = text + strcspn(text, " \t");
    if (*status) {
        *status++ = 0;
        p->status = trim(status);
        if (strcmp(text, "fail") != 0 || strspn(p->status, "0123456789.") != strlen(p->status)) {
            *reterr_why = "expected a transport, \"fail 5.1.1\", \"hold\" or \"discard\", then "
                          "\"via\" next hops, then \"as\" an address; and \";\" before another";
            return -EINVAL;
        }
    }
    p->action = *text ? text : NULL;
    if (p->action || p->hops || p->as)
        return 0;
    *reterr_why = "nothing is expected";
    return -EINVAL;
}

static int parse_right(char *right, struct route_expectation *e, const char **reterr_why)
{
    char *next;

    do {
        next = find_unquoted(right, ";");
        if (next)
            *next++ = 0;
        if (e->n == ROUTE_EXPECT_PLACES_MAX) {
            *reterr_why = "more than 64 places are expected";
            return -EINVAL;
        }
        e->places[e->n] = (struct route_place){ .action = NULL };
        if (parse_place(right, &e->places[e->n++], reterr_why) < 0)
            return -EINVAL;
        right = next;
    } while (right);
    return 0;
}

int route_expect_parse(char *line, struct route_expectation *ret, const char **reterr_why)
{
    char *arrow;

    line = trim(line);
    if (!*line || *line == '#')
        return 0;
    arrow = find_unquoted(line, "->");
    if (!arrow) {
        *reterr_why = "expected \"from, address -> where\"";
        return -EINVAL;
    }
    *arrow = 0;
    ret->sender = NULL;
    ret->n = 0;
    if (parse_left(line, ret, reterr_why) < 0 || parse_right(arrow + 2, ret, reterr_why) < 0)
        return -EINVAL;
    return 1;
}

/* --- comparing --- */

static int same_hops(const char *expected, const struct route_decision *d)
{
    char own[sizeof d->domain + 2];
    size_t i = 0;

    if (strcmp(expected, "mx") == 0)
        return d->next_hop_n == 0;
    for (const char *p = expected; *p;) {
        const char *have = i < d->next_hop_n ? route_next_hop(d, i, own, sizeof own) : "";
        size_t len;

        p += strspn(p, " \t");
        len = strcspn(p, ", \t");
        if (i >= d->next_hop_n || strlen(have) != len || text_ncasecmp(have, p, len) != 0)
            return 0;
        i++;
        p += len;
        p += strspn(p, ", \t");
    }
    return i == d->next_hop_n;
}

static int same_status(const char *expected, const struct route_decision *d)
{
    char have[32];
    size_t len = strlen(expected);

    snprintf(have, sizeof have, "%u.%u.%u", d->status[0], d->status[1], d->status[2]);
    return strncmp(have, expected, len) == 0 && (!have[len] || have[len] == '.');
}

static int same_action(const char *expected, const struct route_decision *d)
{
    const char *have = d->action == ROUTE_TRANSPORT ? d->transport
        : d->action == ROUTE_FAIL                   ? "fail"
        : d->action == ROUTE_HOLD                   ? "hold"
                                                    : "discard";

    return text_casecmp(have, expected) == 0;
}

static int place_is(const struct route_place *p, const struct route_leaf *leaf)
{
    const struct route_decision *d = &leaf->decision;
    const char *as = leaf_as(leaf);

    return (!p->action || same_action(p->action, d)) && (!p->status || same_status(p->status, d)) &&
        (!p->hops || same_hops(p->hops, d)) && (!p->as || (as && strcmp(p->as, as) == 0));
}

int route_expect_holds(const struct route_expectation *e, const struct route_expansion *x)
{
    char there[ROUTE_EXPECT_PLACES_MAX] = "";

    for (size_t i = 0; i < x->n; i++) {
        int expected = 0;

        for (size_t k = 0; k < e->n; k++) {
            if (place_is(&e->places[k], &x->leaves[i]))
                expected = there[k] = 1;
        }
        if (!expected)
            return 0;
    }
    return memchr(there, 0, e->n) == NULL;
}
