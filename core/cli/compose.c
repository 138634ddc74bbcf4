/* cli/compose.c: see compose.h. */
#include "cli/compose.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <postern/mail.h>

#include "cli/cli.h"
#include "cli/input.h"
#include "cli/mailboxes.h"
#include "message/header.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/text.h"

/* Scripts name the sender as it stands in the SMTP dialogue, too: "<ann@example.com>", "<>". */
static char *envelope_sender(const char *text, const struct config *cfg)
{
    char *bare = cli_strip_brackets(text), *full = config_whole_address(cfg, bare);

    free(bare);
    return full;
}

struct fields { /* what the header has */
    int from, date, message_id;
};

/* The name as a quoted string; what would end it, or the line, is escaped or left out. */
static void add_from(const struct compose *c, const char *sender, struct buf *out)
{
    buf_adds(out, "From: ");
    if (c->full_name && *c->full_name) {
        buf_addc(out, '"');
        for (const char *p = c->full_name; *p; p++) {
            if (*p == '"' || *p == '\\')
                buf_addc(out, '\\');
            if ((unsigned char)*p >= 0x20 && *p != 0x7f)
                buf_addc(out, *p);
        }
        buf_adds(out, "\" ");
    }
    buf_printf(out, "<%s>\r\n", *sender ? sender : "MAILER-DAEMON");
}

static void add_missing(const struct compose *c, const struct config *cfg, const struct fields *f,
                        const char *sender, struct buf *out)
{
    char date[48], id[16];
    int64_t now = clock_wall();

    if (!f->date)
        buf_printf(out, "Date: %s\r\n", postern_date_format(now / 1000000, date, sizeof date));
    if (!f->from)
        add_from(c, sender, out);
    if (!f->message_id)
        buf_printf(out, "Message-ID: <%s.%u@%s>\r\n", text_id((uint64_t)now, id, sizeof id),
                   (unsigned)getpid(), cfg->server.hostname);
}

static int is_rcpt_field(const struct postern_field *f)
{
    return postern_field_is(f, "To") || postern_field_is(f, "Cc") || postern_field_is(f, "Bcc");
}

/* Length of the "From " line that a mailbox file puts before a message; 0 when there is none. */
static size_t from_line(const struct buf *raw)
{
    const char *end;

    if (raw->len < 5 || memcmp(raw->data, "From ", 5))
        return 0;
    end = memchr(raw->data, '\n', raw->len);
    return end ? (size_t)(end - raw->data) + 1 : 0;
}

/* Copies the header without Bcc, notes what is there, gathers -t recipients. Where the body
 * begins. */
static size_t scan_header(const struct compose *c, const struct buf *raw, struct fields *seen,
                          json_t *rcpts, struct buf *out)
{
    struct postern_field f = { .size = sizeof f };
    size_t pos = from_line(raw);

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

/* With -t, addresses on the command line are taken off the list, as sendmail does. What has no
 * domain stays so: such a name is local, whatever ours are. */
static int finish_rcpts(const struct compose *c, json_t *found, json_t *out)
{
    json_t *r;
    size_t i;

    for (size_t k = 0; !c->from_header && k < c->rcpt_n; k++)
        mailboxes_each(c->rcpts[k], strlen(c->rcpts[k]), mailboxes_append, found);
    json_array_foreach (found, i, r) {
        const char *addr = json_string_value(r);
        int drop = 0;

        if (!addr)
            return cli_error(EX_DATAERR, "a recipient's address is neither ASCII nor UTF-8");
        for (size_t k = 0; c->from_header && k < c->rcpt_n; k++)
            drop |= !text_casecmp(c->rcpts[k], addr);
        if (!drop)
            json_array_append(out, r);
    }
    if (json_array_size(out))
        return 0;
    return cli_error(EX_USAGE,
                     c->from_header ? "no recipients were found in the message's To, Cc and Bcc"
                                    : "no recipients were named");
}

static int has_8bit(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)s[i] >= 0x80)
            return 1;
    }
    return 0;
}

/* SMTPUTF8 is for what is not ASCII in the header or in an address (RFC 6531 1.2); a body is not
 * meant. */
static int needs_utf8(const struct buf *content, const char *sender, const json_t *rcpts)
{
    int yes = has_8bit(content->data, header_end(content->data, content->len)) ||
        has_8bit(sender, strlen(sender));
    json_t *r;
    size_t i;

    json_array_foreach (rcpts, i, r)
        yes |= has_8bit(json_string_value(r), json_string_length(r));
    return yes;
}

int compose_message(const struct compose *c, const struct config *cfg, FILE *in, int dot_ends,
                    struct buf *content, json_t **ret_request)
{
    struct buf raw = { 0 }, head = { 0 };
    struct fields seen = { 0 };
    json_t *found = json_array(), *rcpts = json_array();
    char *sender = envelope_sender(c->sender, cfg);
    size_t body = 0;
    int code = input_read(in, dot_ends, (uint64_t)cfg->server.message_size_max, &raw);

    if (!code) {
        buf_reserve(&raw, 1);
        body = scan_header(c, &raw, &seen, found, &head);
        code = finish_rcpts(c, found, rcpts);
    }
    if (!code) {
        add_missing(c, cfg, &seen, sender, content);
        buf_add(content, head.data, head.len);
        buf_adds(content, "\r\n"); /* also before a body that began without a separating line */
        buf_add(content, raw.data + body, raw.len - body);
        *ret_request = json_pack("{s:s, s:s, s:O, s:I, s:b}", "verb", "submit", "sender", sender,
                                 "rcpts", rcpts, "size", (json_int_t)content->len, "utf8",
                                 needs_utf8(content, sender, rcpts));
        if (!*ret_request)
            code = cli_error(EX_DATAERR, "the sender's address is neither ASCII nor UTF-8");
    }
    json_decref(found);
    json_decref(rcpts);
    free(sender);
    buf_free(&raw);
    buf_free(&head);
    return code;
}
