/* cli/compose.c: see compose.h. */
#include "cli/compose.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <postern/mail.h>

#include "cli/cli.h"
#include "cli/mailboxes.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/text.h"

/* Reads lines, ends each with CRLF, stops at a lone dot when asked to. 0, or EX_IOERR, EX_DATAERR. */
static int read_lines(FILE *in, int dot_ends, uint64_t max, struct buf *out)
{
    char   *line = NULL;
    size_t  cap = 0;
    ssize_t n;
    int     code = 0;

    while (!code && (n = getline(&line, &cap, in)) >= 0) {
        while (n && (line[n - 1] == '\n' || line[n - 1] == '\r'))
            n--;
        if (dot_ends && n == 1 && line[0] == '.')
            break;
        buf_add(out, line, (size_t)n);
        buf_adds(out, "\r\n");
        if (max && out->len > max)
            code = cli_error(EX_DATAERR, "the message is larger than this gateway accepts");
    }
    free(line);
    if (!code && ferror(in))
        code = cli_error(EX_IOERR, "standard input can't be read");
    return code;
}

static char *qualify(const char *addr, const char *hostname)
{
    if (!*addr || strrchr(addr, '@'))
        return mem_strdup(addr);
    return mem_printf("%s@%s", addr, hostname);
}

struct fields { /* what the header has */
    int from, date, message_id;
};

static void add_missing(const struct compose *c, const struct config *cfg, const struct fields *f,
                        const char *sender, struct buf *out)
{
    char    date[48], id[16];
    int64_t now = clock_wall();

    if (!f->date)
        buf_printf(out, "Date: %s\r\n", postern_date_format(now / 1000000, date, sizeof date));
    if (!f->from && c->full_name)
        buf_printf(out, "From: \"%s\" <%s>\r\n", c->full_name, *sender ? sender : "MAILER-DAEMON");
    else if (!f->from)
        buf_printf(out, "From: <%s>\r\n", *sender ? sender : "MAILER-DAEMON");
    if (!f->message_id)
        buf_printf(out, "Message-ID: <%s.%u@%s>\r\n", text_id((uint64_t)now, id, sizeof id),
                   (unsigned)getpid(), cfg->server.hostname);
}

static int is_rcpt_field(const struct postern_field *f)
{
    return postern_field_is(f, "To") || postern_field_is(f, "Cc") || postern_field_is(f, "Bcc");
}

/* Copies the header without Bcc, notes what is there, and gathers -t recipients. Where the body begins. */
static size_t scan_header(const struct compose *c, const struct buf *raw, struct fields *seen,
                          json_t *rcpts, struct buf *out)
{
    struct postern_field f = {.size = sizeof f};
    size_t               pos = 0;

    while (postern_field_next(raw->data, raw->len, &pos, &f) > 0) {
        seen->from |= postern_field_is(&f, "From");
        seen->date |= postern_field_is(&f, "Date");
        seen->message_id |= postern_field_is(&f, "Message-ID");
        if (c->from_header && is_rcpt_field(&f))
            mailboxes_each(f.value, f.value_len, mailboxes_append, rcpts);
        if (postern_field_is(&f, "Bcc"))
            continue; /* blind is blind */
        buf_add(out, raw->data + f.start, f.end - f.start);
    }
    return pos;
}

/* With -t, addresses on the command line are taken off the list, as sendmail does. */
static void finish_rcpts(const struct compose *c, const char *hostname, json_t *found, json_t *out)
{
    json_t *r;
    size_t  i;

    for (size_t k = 0; !c->from_header && k < c->rcpt_n; k++)
        mailboxes_each(c->rcpts[k], strlen(c->rcpts[k]), mailboxes_append, found);
    json_array_foreach (found, i, r) {
        const char *addr = json_string_value(r);
        char       *full = qualify(addr, hostname);
        int         drop = 0;

        for (size_t k = 0; c->from_header && k < c->rcpt_n; k++)
            drop |= !text_casecmp(c->rcpts[k], addr);
        if (!drop)
            json_array_append_new(out, json_string(full));
        free(full);
    }
}

static int has_8bit(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)s[i] >= 0x80)
            return 1;
    }
    return 0;
}

int compose_message(const struct compose *c, const struct config *cfg, FILE *in, int dot_ends,
                    struct buf *content, json_t **ret_request)
{
    struct buf    raw = {0}, head = {0};
    struct fields seen = {0};
    json_t       *found = json_array(), *rcpts = json_array();
    char         *sender = qualify(c->sender, cfg->server.hostname);
    size_t        body;
    int           code = read_lines(in, dot_ends, (uint64_t)cfg->server.message_size_max, &raw);

    if (!code) {
        buf_reserve(&raw, 1);
        body = scan_header(c, &raw, &seen, found, &head);
        finish_rcpts(c, cfg->server.hostname, found, rcpts);
        add_missing(c, cfg, &seen, sender, content);
        buf_add(content, head.data, head.len);
        buf_adds(content, "\r\n"); /* also before a body that began without a separating line */
        buf_add(content, raw.data + body, raw.len - body);
        if (!json_array_size(rcpts))
            code = cli_error(EX_USAGE, "no recipients were found in the message's To, Cc and Bcc");
    }
    if (!code) {
        *ret_request = json_pack("{s:s, s:s, s:O, s:I, s:b}", "verb", "submit", "sender", sender, "rcpts",
                                 rcpts, "size", (json_int_t)content->len, "utf8",
                                 has_8bit(head.data, head.len));
        if (!*ret_request)
            code = cli_error(EX_DATAERR, "an address is not valid UTF-8");
    }
    json_decref(found);
    json_decref(rcpts);
    free(sender);
    buf_free(&raw);
    buf_free(&head);
    return code;
}
