/* What an operator expects of his table, a line each:
 *
 *   from, address -> [TRANSPORT | fail [STATUS] | hold | discard] [via HOP, ...] [as ADDRESS]
 *
 * from: an address, "<>" for the null sender, "*" or nothing when it does not matter; with nothing
 * the comma may be left out, too. What is not said is not compared. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "route/route.h"
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

static int parse_right(char *right, struct route_expectation *e, const char **reterr_why)
{
    char *status;

    e->rewritten = cut_word(right, "as");
    e->hops = cut_word(right, "via");
    right = trim(right);
    status = right + strcspn(right, " \t");
    if (*status) {
        *status++ = 0;
        e->status = trim(status);
        if (strcmp(right, "fail") != 0 || strspn(e->status, "0123456789.") != strlen(e->status)) {
            *reterr_why = "expected a transport, \"fail 5.1.1\", \"hold\" or \"discard\", then "
                          "\"via\" next hops, then \"as\" an address";
            return -EINVAL;
        }
    }
    e->action = *right ? right : NULL;
    if (e->action || e->hops || e->rewritten)
        return 0;
    *reterr_why = "nothing is expected";
    return -EINVAL;
}

int route_expect_parse(char *line, struct route_expectation *ret, const char **reterr_why)
{
    struct route_expectation e = { .sender = NULL };
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
    if (parse_left(line, &e, reterr_why) < 0 || parse_right(arrow + 2, &e, reterr_why) < 0)
        return -EINVAL;
    *ret = e;
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

int route_expect_holds(const struct route_expectation *e, const struct route_decision *d)
{
    return (!e->action || same_action(e->action, d)) && (!e->status || same_status(e->status, d)) &&
        (!e->hops || same_hops(e->hops, d)) &&
        (!e->rewritten || (d->rcpt && strcmp(e->rewritten, d->rcpt) == 0));
}
