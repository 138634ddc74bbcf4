/* bounce.c: see bounce.h.
 *
 * The report is found by its media type, wherever it stands: gateways wrap notifications in many
 * ways. Within it, paragraphs of fields: the first speaks of the message, each other one of a
 * recipient. */
#include "bounce.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct text { /* what is left to read */
    const char *at, *end;
};

static int next_line(struct text *t, const char **ret, size_t *ret_len)
{
    const char *nl;

    if (t->at >= t->end)
        return 0;
    nl = memchr(t->at, '\n', (size_t)(t->end - t->at));
    *ret = t->at;
    *ret_len = (size_t)((nl ? nl : t->end) - t->at);
    t->at = nl ? nl + 1 : t->end;
    if (*ret_len && (*ret)[*ret_len - 1] == '\r')
        --*ret_len;
    return 1;
}

static int has_word(const char *s, size_t len, const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i + n <= len; i++) {
        if (!strncasecmp(s + i, word, n))
            return 1;
    }
    return 0;
}

/* Goes to where the fields of the report begin. */
static int find_report(struct text *t)
{
    const char *line;
    size_t len;
    int typed = 0;

    while (next_line(t, &line, &len)) {
        if (!typed)
            typed = len > 13 && !strncasecmp(line, "Content-Type:", 13) &&
                has_word(line, len, "message/delivery-status");
        else if (!len)
            return 1;
    }
    return 0;
}

/* "rfc822; ann@example.org" */
static void take_address(const char *s, size_t len, char *buf, size_t size)
{
    const char *semicolon = memchr(s, ';', len);
    struct postern_address a = { .size = sizeof a };
    const char *why;

    if (!semicolon)
        return;
    len -= (size_t)(semicolon + 1 - s);
    s = semicolon + 1;
    while (len && (*s == ' ' || *s == '\t' || *s == '<')) {
        s++;
        len--;
    }
    while (len && (s[len - 1] == ' ' || s[len - 1] == '\t' || s[len - 1] == '>'))
        len--;
    if (len < size && postern_address_parse(s, len, POSTERN_ADDRESS_UTF8, &a, &why) >= 0)
        snprintf(buf, size, "%.*s", (int)len, s);
}

struct paragraph {
    struct bounce b;
    int recipient; /* 2: the member is as he was addressed; 1: as he was when it failed */
};

static void take_field(struct paragraph *p, const char *s, size_t len)
{
    struct postern_field f = { .size = sizeof f };
    size_t pos = 0;
    uint16_t status[3];

    if (postern_field_next(s, len, &pos, &f) <= 0)
        return;
    while (f.value_len && (*f.value == ' ' || *f.value == '\t')) {
        f.value++;
        f.value_len--;
    }
    if (postern_field_is(&f, "Original-Recipient")) {
        take_address(f.value, f.value_len, p->b.member, sizeof p->b.member);
        p->recipient = 2;
    } else if (postern_field_is(&f, "Final-Recipient") && p->recipient < 2) {
        take_address(f.value, f.value_len, p->b.member, sizeof p->b.member);
        p->recipient = 1;
    } else if (postern_field_is(&f, "Action")) {
        p->b.failed = f.value_len >= 6 && !strncasecmp(f.value, "failed", 6);
    } else if (postern_field_is(&f, "Status") && f.value_len < sizeof p->b.status) {
        snprintf(p->b.status, sizeof p->b.status, "%.*s", (int)f.value_len, f.value);
        if (!postern_status_parse(p->b.status, status))
            p->b.status[0] = '\0';
        else
            snprintf(p->b.status, sizeof p->b.status, "%u.%u.%u", status[0] % 10, status[1] % 1000,
                     status[2] % 1000);
    } else if (postern_field_is(&f, "Diagnostic-Code")) {
        postern_text_clean(f.value, f.value_len, p->b.reason, sizeof p->b.reason);
    }
}

size_t bounce_read(const char *data, size_t len, struct bounce *b, size_t max)
{
    struct text t = { data, data + len };
    struct paragraph p;
    const char *line;
    size_t line_len, n = 0;
    int more;

    if (!find_report(&t))
        return 0;
    memset(&p, 0, sizeof p);
    do {
        more = next_line(&t, &line, &line_len);
        if (more && line_len > 1 && line[0] == '-' && line[1] == '-')
            more = 0; /* the next part */
        if (more && line_len) {
            take_field(&p, line, line_len);
            continue;
        }
        if (*p.b.member && n < max)
            b[n++] = p.b;
        memset(&p, 0, sizeof p);
    } while (more);
    return n;
}
