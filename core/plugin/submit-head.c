/* plugin/submit-head.c: holds the head of a message back until it is whole, then edits it: new
 * senders, and the author that a user names in the first line of the body.
 *
 * It comes in pieces of any size; whether it is whole is looked at line by line, each line once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <postern/delivery.h>
#include <postern/mail.h>

#include "log/log.h"
#include "message/user-from.h"
#include "plugin/submit-private.h"
#include "route/sender.h"
#include "util/mem.h"

enum head_state {
    HEAD_FIELDS, /* the header is not over */
    HEAD_LINE,   /* the first line of the body is waited for */
    HEAD_WHOLE,
    HEAD_TOO_LONG
};

struct submit_head {
    postern_host *host;
    const char *id;
    uint32_t flags;
    enum head_state state;
    struct buf held;
    size_t line;     /* where the line begins whose end has not come */
    size_t searched; /* up to where it was looked for */
};

struct submit_head *submit_head_new(postern_host *h, const char *id, uint32_t flags)
{
    struct submit_head *head;

    if (!(route_sender_places(h->env->routes) & ROUTE_SENDER_HEADER) &&
        !h->env->config->routing.user_from)
        return NULL;
    head = mem_zalloc(sizeof *head);
    head->host = h;
    head->id = id;
    head->flags = flags;
    return head;
}

void submit_head_free(struct submit_head **head)
{
    if (!*head)
        return;
    buf_free(&(*head)->held);
    free(*head);
    *head = NULL;
}

/* --- until it is whole --- */

/* The body begins with the next line when this one is empty, and with this one when it is neither a
 * field nor the rest of one; as postern_field_next has it. */
static int ends_fields(const char *line, size_t len, int first)
{
    struct postern_field field = { .size = sizeof field };
    size_t pos = 0;

    if (!first && (*line == ' ' || *line == '\t'))
        return 0;
    return postern_field_next(line, len, &pos, &field) <= 0;
}

static int is_empty(const char *line, size_t len)
{
    return *line == '\n' || (len == 2 && *line == '\r');
}

/* A line of the header, its end included. */
static void take_line(struct submit_head *h, const char *line, size_t len)
{
    if (h->line + len > SUBMIT_HEAD_MAX)
        h->state = HEAD_TOO_LONG;
    else if (!ends_fields(line, len, h->line == 0))
        return;
    else if (h->host->env->config->routing.user_from && is_empty(line, len))
        h->state = HEAD_LINE;
    else
        h->state = HEAD_WHOLE;
}

static void search(struct submit_head *h)
{
    while (h->state == HEAD_FIELDS || h->state == HEAD_LINE) {
        const char *data = h->held.data;
        const char *lf = memchr(data + h->searched, '\n', h->held.len - h->searched);
        size_t end = lf ? (size_t)(lf - data) + 1 : h->held.len;

        h->searched = end;
        if (!lf) {
            if (h->state == HEAD_LINE && end - h->line > USER_FROM_LINE_MAX)
                h->state = HEAD_WHOLE;
            else if (h->state == HEAD_FIELDS && end > SUBMIT_HEAD_MAX)
                h->state = HEAD_TOO_LONG;
            return;
        }
        if (h->state == HEAD_LINE)
            h->state = HEAD_WHOLE;
        else
            take_line(h, data + h->line, end - h->line);
        h->line = end;
    }
}

int submit_head_write(struct submit_head *h, const void *data, size_t len)
{
    buf_add(&h->held, data, len);
    if (len)
        search(h);
    return h->state == HEAD_WHOLE || h->state == HEAD_TOO_LONG;
}

/* --- editing --- */

static void kept(const struct submit_head *h, const char *in, const char *why)
{
    log_event(POSTERN_LOG_NOTICE, h->host->name, "sender.kept", "id=%s in=%s why=%s", h->id, in,
              log_q(why));
}

/* Where the header section ends and where the body begins: the same place when there is no empty
 * line between the two. */
static size_t find_body(const char *data, size_t len, size_t *ret_fields_end)
{
    struct postern_field field = { .size = sizeof field };
    size_t pos = 0, end = 0;

    while (postern_field_next(data, len, &pos, &field) > 0)
        end = field.end;
    *ret_fields_end = end;
    return pos;
}

/* What would mean something else when it is decoded is not the user's line. */
static int is_encoded(const char *head, size_t len)
{
    return postern_field_holds(head, len, "Content-Transfer-Encoding", "quoted-printable") ||
        postern_field_holds(head, len, "Content-Transfer-Encoding", "base64");
}

/* The user's line at the start of the body: its length, with the address; or 0. */
static size_t find_line(const struct submit_head *h, const char *data, size_t len,
                        const char **ret_address, size_t *ret_len)
{
    size_t fields_end, body = find_body(data, len, &fields_end), n;
    const uint32_t flags = h->flags & POSTERN_MAIL_UTF8 ? POSTERN_ADDRESS_UTF8 : 0;
    const char *lf, *why;
    int r;

    if (body == fields_end || body == len)
        return 0;
    lf = memchr(data + body, '\n', len - body);
    n = lf ? (size_t)(lf - data) + 1 - body : len - body;
    if (n > USER_FROM_LINE_MAX)
        return 0;
    r = user_from_parse(data + body, n, flags, ret_address, ret_len, &why);
    if (r < 0)
        kept(h, "/FROM", why);
    else if (r > 0 && is_encoded(data, body))
        kept(h, "/FROM", "the body is encoded");
    else
        return r > 0 ? n : 0;
    return 0;
}

/* Gives `text` the author that its user names. */
static void edit_user_from(const struct submit_head *h, struct buf *text)
{
    struct buf out = { 0 };
    const char *address;
    size_t len, n = find_line(h, text->data, text->len, &address, &len), fields_end, body;

    if (!n)
        return;
    body = find_body(text->data, text->len, &fields_end);
    if (user_from_apply(text->data, body, address, len, &out) < 0) {
        kept(h, "/FROM", "there are several From fields");
        return;
    }
    log_event(POSTERN_LOG_INFO, h->host->name, "sender.named", "id=%s in=From to=%s", h->id,
              log_qn(address, len));
    buf_add(&out, text->data + body + n, text->len - body - n);
    buf_free(text);
    *text = out;
}

const struct buf *submit_head_end(struct submit_head *h)
{
    struct buf edited = { 0 };
    size_t end;

    if (h->state == HEAD_TOO_LONG) {
        kept(h, "header", "it is too long");
        return &h->held;
    }
    if (!h->held.len)
        return &h->held;
    if (submit_sender_fields(h->host, h->id, h->held.data, h->held.len, &edited, &end)) {
        buf_add(&edited, h->held.data + end, h->held.len - end);
        buf_free(&h->held);
        h->held = edited;
    }
    if (h->host->env->config->routing.user_from)
        edit_user_from(h, &h->held);
    return &h->held;
}
