/* Delivery status notifications: RFC 3464 in RFC 6522, marked as an answer of a machine (RFC 3834),
 * internationalised by RFC 6533 when the original was (SMTPUTF8).
 *
 * Everything that goes in was said by somebody else: it passes through wrap_add, which lets no line
 * end or control character through. The original's header section is returned whole, always. */
#include "message/dsn.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <postern/mail.h>

#include "message/dsn-human.h"
#include "message/header.h"
#include "message/wrap.h"

#define BOUNDARY_MAX 70u /* RFC 2046 5.1.1 */

struct report {
    const struct dsn *d;
    struct buf *out;
    struct buf human, status; /* the first two parts */
    size_t returned;          /* bytes of the head that go into the third */
    int whole;                /* they are the whole message */
    char boundary[BOUNDARY_MAX + 1];
};

static int has_8bit(const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)data[i] >= 0x80)
            return 1;
    }
    return 0;
}

/* "Name: value", folded where it is long. */
static void add_field(struct buf *out, const char *name, const char *value, int utf8)
{
    struct buf prefix = { 0 };
    struct wrap w = { NULL, " ", WRAP_WIDTH, utf8 };

    buf_printf(&prefix, "%s: ", name);
    w.first = prefix.data;
    wrap_add(out, &w, value);
    buf_free(&prefix);
}

/* "Name: type; value", for values whose blanks must stay where they are. */
static void add_typed(struct buf *out, const char *name, const char *type, const char *value,
                      int utf8)
{
    struct buf prefix = { 0 };
    struct wrap w = { NULL, " ", WRAP_HARD, utf8 };

    buf_printf(&prefix, "%s: %s; ", name, type);
    w.first = prefix.data;
    wrap_add(out, &w, value);
    buf_free(&prefix);
}

static void add_date(struct buf *out, const char *name, int64_t usec)
{
    char date[64];

    add_field(out, name, postern_date_format(usec / 1000000, date, sizeof date), 0);
}

/* RFC 6533 3: an address that is not all ASCII has a type of its own. */
static void add_address(struct buf *out, const struct dsn *d, const char *name, const char *value)
{
    int utf8 = d->utf8 && has_8bit(value, strlen(value));

    add_typed(out, name, utf8 ? "utf-8" : "rfc822", value, d->utf8);
}

/* --- message/delivery-status (RFC 3464 2) --- */

/* "mx.example.org [192.0.2.1]:25": the type "dns" has room for a name only. */
static void add_remote(struct buf *out, const char *remote)
{
    struct buf name = { 0 };

    buf_add(&name, remote, strcspn(remote, " "));
    add_typed(out, "Remote-MTA", "dns", name.data, 0);
    buf_free(&name);
}

static void add_diagnostic(struct buf *out, const struct dsn *d, const struct dsn_rcpt *rcpt)
{
    struct buf prefix = { 0 };
    struct wrap w = { NULL, " ", WRAP_WIDTH, d->utf8 };

    buf_printf(&prefix, "Diagnostic-Code: %s; ",
               rcpt->diagnostic_type ? rcpt->diagnostic_type : "x-postern");
    w.first = prefix.data;
    wrap_add(out, &w, rcpt->diagnostic);
    buf_free(&prefix);
}

static void add_status_rcpt(struct buf *out, const struct dsn *d, const struct dsn_rcpt *rcpt)
{
    buf_adds(out, "\r\n");
    if (rcpt->original)
        add_address(out, d, "Original-Recipient", rcpt->original);
    add_address(out, d, "Final-Recipient", rcpt->rcpt);
    add_field(out, "Action", rcpt->action, 0);
    buf_printf(out, "Status: %u.%u.%u\r\n", rcpt->status[0], rcpt->status[1], rcpt->status[2]);
    if (rcpt->remote && *rcpt->remote)
        add_remote(out, rcpt->remote);
    if (rcpt->diagnostic && *rcpt->diagnostic)
        add_diagnostic(out, d, rcpt);
    if (rcpt->last_attempt_usec)
        add_date(out, "Last-Attempt-Date", rcpt->last_attempt_usec);
}

static void add_status(struct buf *out, const struct dsn *d)
{
    add_typed(out, "Reporting-MTA", "dns", d->hostname, d->utf8);
    add_field(out, "X-Postern-Queue-ID", d->queue_id, 0);
    add_address(out, d, "X-Postern-Sender", d->sender && *d->sender ? d->sender : "<>");
    add_date(out, "Arrival-Date", d->arrived_usec);
    for (size_t i = 0; i < d->rcpt_n; i++)
        add_status_rcpt(out, d, &d->rcpts[i]);
}

/* --- the whole --- */

/* What of the original goes back: all of it when we have all of it and it is small enough. */
static void choose_returned(struct report *r)
{
    const struct dsn *d = r->d;
    size_t end = header_end(d->head, d->head_len);

    r->whole = d->content_size == d->head_len && d->head_len - end <= d->body_max;
    r->returned = r->whole ? d->head_len : end;
}

static int boundary_occurs(const struct report *r)
{
    size_t n = strlen(r->boundary);

    return (r->returned > 0 && memmem(r->d->head, r->returned, r->boundary, n)) ||
        memmem(r->human.data, r->human.len, r->boundary, n) ||
        memmem(r->status.data, r->status.len, r->boundary, n);
}

/* "=_" cannot occur in quoted-printable or base64 (RFC 2045 6.7); the rest makes it ours, and the
 * counter makes it sure. */
static void choose_boundary(struct report *r)
{
    unsigned n = 0;

    do {
        snprintf(r->boundary, sizeof r->boundary, "=_postern_%" PRIx64 "_%u",
                 (uint64_t)r->d->now_usec, n++);
    } while (boundary_occurs(r));
}

static void add_head(struct report *r, int eight_bit)
{
    const struct dsn *d = r->d;
    struct buf value = { 0 };

    buf_printf(&value, "Mail Delivery System <%s>", d->from);
    add_field(r->out, "From", value.data, d->utf8);
    buf_clear(&value);
    buf_printf(&value, "<%s>", d->to);
    add_field(r->out, "To", value.data, d->utf8);
    buf_clear(&value);
    add_field(r->out, "Subject", dsn_subject(d), 0);
    add_date(r->out, "Date", d->now_usec);
    buf_printf(&value, "<%s.%" PRIx64 ".dsn@%s>", d->queue_id, (uint64_t)d->now_usec, d->hostname);
    add_field(r->out, "Message-ID", value.data, d->utf8);
    buf_free(&value);
    if (d->to_postmaster)
        add_field(r->out, DSN_NOTICE_FIELD, d->hostname, d->utf8);

    buf_adds(r->out,
             "Auto-Submitted: auto-replied\r\n"
             "MIME-Version: 1.0\r\n");
    buf_printf(r->out,
               "Content-Type: multipart/report; report-type=delivery-status;\r\n"
               " boundary=\"%s\"\r\n",
               r->boundary);
    if (eight_bit)
        buf_adds(r->out, "Content-Transfer-Encoding: 8bit\r\n");
    buf_adds(r->out, "\r\nThis is a report in several parts, for programs that know MIME.\r\n\r\n");
}

static void begin_part(struct report *r, const char *type, const char *description, int eight_bit)
{
    buf_printf(r->out, "--%s\r\nContent-Description: %s\r\nContent-Type: %s\r\n", r->boundary,
               description, type);
    if (eight_bit)
        buf_adds(r->out, "Content-Transfer-Encoding: 8bit\r\n");
    buf_adds(r->out, "\r\n");
}

/* Bytes of the original, with every line end as CRLF and a last one if it is missing. A CR alone is
 * no line end to us, but it is to some: it becomes a blank. */
static void add_lines(struct buf *out, const char *data, size_t len)
{
    size_t at = 0;

    buf_reserve(out, len);
    while (at < len) {
        size_t n = 0;

        while (at + n < len && data[at + n] != '\r' && data[at + n] != '\n')
            n++;
        buf_add(out, data + at, n);
        at += n;
        if (at == len)
            break;
        if (data[at] == '\r' && at + 1 < len && data[at + 1] == '\n')
            at++;
        buf_adds(out, data[at] == '\n' ? "\r\n" : " ");
        at++;
    }
    if (len > 0 && out->data[out->len - 1] != '\n')
        buf_adds(out, "\r\n");
}

static void add_original(struct report *r, int eight_bit)
{
    const struct dsn *d = r->d;

    if (r->whole)
        begin_part(r, d->utf8 ? "message/global" : "message/rfc822", "Message", eight_bit);
    else
        begin_part(r, d->utf8 ? "message/global-headers" : "text/rfc822-headers",
                   "Headers of the message", eight_bit);
    add_lines(r->out, d->head, r->returned);
}

void dsn_compose(const struct dsn *d, struct buf *out)
{
    struct report r = { .d = d, .out = out };
    int human_8bit, status_8bit, original_8bit;

    choose_returned(&r);
    dsn_human(d, r.whole, &r.human);
    add_status(&r.status, d);
    choose_boundary(&r);
    human_8bit = has_8bit(r.human.data, r.human.len);
    status_8bit = has_8bit(r.status.data, r.status.len);
    original_8bit = has_8bit(d->head, r.returned);

    add_head(&r, human_8bit || status_8bit || original_8bit);
    begin_part(&r, human_8bit ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii",
               "Notification", human_8bit);
    buf_add(out, r.human.data, r.human.len);
    begin_part(&r, d->utf8 ? "message/global-delivery-status" : "message/delivery-status",
               "Delivery report", status_8bit);
    buf_add(out, r.status.data, r.status.len);
    buf_adds(out, "\r\n");
    add_original(&r, original_8bit);
    buf_printf(out, "\r\n--%s--\r\n", r.boundary);
    buf_free(&r.human);
    buf_free(&r.status);
}
