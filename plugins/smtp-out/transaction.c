/* transaction.c: one message over a session: MAIL, RCPT, DATA, content (RFC 5321 3.3, RFC 2920).
 *
 * Commands go out in batches. With PIPELINING a batch is all of RSET, MAIL, every RCPT and DATA, up
 * to BATCH_MAX bytes; without, it is one command. The next batch is sent when every reply to the
 * last one is here. Nothing of the content is sent before the 354, so whoever said no to all
 * recipients and still says 354 gets a lone dot.
 *
 * 8-bit content goes out as it is to a server without 8BITMIME ("just send 8"): such servers take
 * it in practice, and converting would break signatures. */
#include "session.h"

#include <stdio.h>
#include <string.h>

#include "delivery.h"
#include "wire.h"

#define BATCH_MAX 32768u

/* --- may this server have this message at all? --- */

static void fail_rest(struct delivery *d, const uint16_t status[3], const char *text)
{
    struct postern_outcome outcome = {
        .size = sizeof outcome,
        .fate = POSTERN_FAILED,
        .cause = POSTERN_CAUSE_MESSAGE,
        .diagnostic = text,
    };

    memcpy(outcome.status, status, sizeof outcome.status);
    delivery_settle_rest(d, &outcome);
}

/* RFC 1870 6.1: what the server will not take is not sent. */
static int fits(struct session *s)
{
    const struct postern_services *svc = s->o->svc;
    uint64_t size = svc->content_size(svc->job_content(s->d->job));
    char text[160];

    if (!(s->ehlo.offers & EHLO_SIZE) || !s->ehlo.size || size <= s->ehlo.size)
        return 1;
    snprintf(text, sizeof text,
             "the message has %llu bytes, and the server takes no more than %llu",
             (unsigned long long)size, (unsigned long long)s->ehlo.size);
    fail_rest(s->d, STATUS(5, 3, 4), text);
    return 0;
}

/* Recipients that cannot be written without SMTPUTF8 fail; the others may still go. 1 when there
 * are no others. */
static int fail_utf8_recipients(struct delivery *d)
{
    struct postern_outcome outcome = {
        .size = sizeof outcome,
        .fate = POSTERN_FAILED,
        .cause = POSTERN_CAUSE_RECIPIENT,
        .status = { 5, 6, 7 },
        .diagnostic = "the address is not ASCII, and the server does not offer SMTPUTF8",
    };

    char buf[POSTERN_ADDRESS_SIZE];

    for (size_t i = delivery_next(d, 0); i < d->n; i = delivery_next(d, i + 1)) {
        if (!wire_address(d->o->svc->job_rcpt(d->job, i), 0, buf) &&
            delivery_settle(d, i, &outcome))
            return 1;
    }
    return 0;
}

static int any_utf8_recipient(const struct delivery *d)
{
    for (size_t i = delivery_next(d, 0); i < d->n; i = delivery_next(d, i + 1)) {
        if (wire_is_8bit(d->o->svc->job_rcpt(d->job, i)))
            return 1;
    }
    return 0;
}

/* RFC 6531 3.1. 0: not now: everything is settled, or the header has to be looked at first. What is
 * international in an address's domain only does not need it. */
static int utf8_allowed(struct session *s)
{
    const struct postern_services *svc = s->o->svc;
    struct delivery *d = s->d;
    int asked = (svc->job_flags(d->job) & POSTERN_MAIL_UTF8) != 0;
    char buf[POSTERN_ADDRESS_SIZE];
    int sender;

    if (s->ehlo.offers & EHLO_SMTPUTF8) {
        s->t.utf8 = asked || wire_is_8bit(svc->job_sender(d->job)) || any_utf8_recipient(d);
        return 1;
    }
    sender = !wire_address(svc->job_sender(d->job), 0, buf);
    if (!sender) {
        if (fail_utf8_recipients(d))
            return 0;
        if (!asked)
            return 1;
        if (d->header_8bit < 0) {
            delivery_scan(d);
            return 0;
        }
    }
    if (!sender && !d->header_8bit)
        return 1;
    fail_rest(d, STATUS(5, 6, 7),
              sender ? "the sender's address is not ASCII, and the server does not offer SMTPUTF8"
                     : "the header is not ASCII, and the server does not offer SMTPUTF8");
    return 0;
}

/* --- commands --- */

static int send_mail(struct session *s)
{
    const struct postern_services *svc = s->o->svc;
    const postern_job *job = s->d->job;
    uint32_t offers = s->ehlo.offers;
    char size[40] = "", buf[POSTERN_ADDRESS_SIZE];
    int wide = s->t.utf8 || (svc->job_flags(job) & POSTERN_MAIL_8BIT);

    if (offers & EHLO_SIZE)
        snprintf(size, sizeof size, " SIZE=%llu",
                 (unsigned long long)svc->content_size(svc->job_content(s->d->job)));
    return svc->stream_printf(
        s->stream, "MAIL FROM:<%s>%s%s%s\r\n", wire_address(svc->job_sender(job), s->t.utf8, buf),
        size, wide && offers & EHLO_8BITMIME ? " BODY=8BITMIME" : "", s->t.utf8 ? " SMTPUTF8" : "");
}

/* Sends the next command. Bytes sent (or more), or -errno. */
static long send_command(struct session *s)
{
    const struct postern_services *svc = s->o->svc;
    struct transaction *t = &s->t;
    char buf[POSTERN_ADDRESS_SIZE];
    const char *rcpt;
    int r;

    switch (t->step) {
    case STEP_RSET:
        t->rset = 1;
        t->step = STEP_MAIL;
        s->need_rset = 0;
        r = svc->stream_write(s->stream, "RSET\r\n", 6);
        return r < 0 ? r : 6;
    case STEP_MAIL:
        t->mail = 1;
        t->step = STEP_RCPT;
        t->rcpt = t->rcpt_reply = delivery_next(s->d, 0);
        r = send_mail(s);
        return r < 0 ? r : (long)POSTERN_ADDRESS_MAX;
    case STEP_RCPT:
        rcpt = wire_address(svc->job_rcpt(s->d->job, t->rcpt), t->utf8, buf);
        t->rcpts++;
        t->rcpt = delivery_next(s->d, t->rcpt + 1);
        if (t->rcpt >= s->d->n)
            t->step = STEP_DATA;
        r = svc->stream_printf(s->stream, "RCPT TO:<%s>\r\n", rcpt);
        return r < 0 ? r : (long)strlen(rcpt) + 12;
    default:
        t->data = 1;
        t->step = STEP_IDLE;
        r = svc->stream_write(s->stream, "DATA\r\n", 6);
        return r < 0 ? r : 6;
    }
}

static enum step next_reply(const struct session *s)
{
    const struct transaction *t = &s->t;

    if (t->rset)
        return STEP_RSET;
    if (t->mail)
        return STEP_MAIL;
    if (t->rcpts)
        return STEP_RCPT;
    return t->data ? STEP_DATA : STEP_IDLE;
}

/* Sends a batch, or finds that there is nothing more to say: no recipient is left when all were
 * refused, so DATA is not reached then unless it went out in the same batch. */
static void send_batch(struct session *s)
{
    struct transaction *t = &s->t;
    size_t written = 0;

    while (s->d && t->step != STEP_IDLE && written < BATCH_MAX) {
        long n = send_command(s);

        if (n < 0) {
            session_fail(s, STATUS(4, 4, 2), "%s", strerror((int)-n));
            return;
        }
        written += (size_t)n;
        if (!(s->ehlo.offers & EHLO_PIPELINING))
            break;
    }
    if (next_reply(s) == STEP_IDLE)
        session_idle(s);
    else
        session_expect(s, next_reply(s));
}

void transaction_begin(struct session *s)
{
    memset(&s->t, 0, sizeof s->t);
    if (!fits(s) || !utf8_allowed(s)) {
        if (!s->d)
            session_idle(s);
        return;
    }
    s->used++;
    s->t.step = s->need_rset ? STEP_RSET : STEP_MAIL;
    send_batch(s);
}

/* --- replies --- */

static int positive(const struct session *s)
{
    return s->reply.code / 100 == 2;
}

static void settle_rest(struct session *s)
{
    struct postern_outcome outcome;

    if (!s->d)
        return;
    fate_of_reply(&s->reply, s->step, &outcome);
    delivery_settle_rest(s->d, &outcome);
}

static void mail_reply(struct session *s)
{
    s->t.mail = 0;
    s->t.answered = 1;
    s->need_rset = 1; /* until the transaction ends well */
    if (!positive(s))
        settle_rest(s);
}

static void rcpt_reply(struct session *s)
{
    struct postern_outcome outcome;
    struct delivery *d = s->d;
    size_t i = s->t.rcpt_reply;

    s->t.rcpts--;
    if (!d)
        return;
    s->t.rcpt_reply = delivery_next(d, i + 1);
    if (positive(s)) {
        delivery_accept(d, i);
        s->t.accepted++;
        return;
    }
    fate_of_reply(&s->reply, STEP_RCPT, &outcome);
    delivery_settle(d, i, &outcome);
}

static void send_content(struct session *s)
{
    const struct postern_services *svc = s->o->svc;
    int r;

    if (!s->d) { /* all were refused, and yet the server wants data (RFC 2920 3.1) */
        r = svc->stream_write(s->stream, ".\r\n", 3);
        if (r < 0)
            session_abort(s);
        else
            session_expect(s, STEP_FINAL);
        return;
    }
    r = svc->stream_content(s->stream, svc->job_content(s->d->job), 0, POSTERN_CONTENT_DOTS);
    session_expect(s, STEP_CONTENT);
    s->pending = svc->stream_pending(s->stream);
    s->moved = svc->now(s->o->host);
    if (r < 0)
        session_fail(s, STATUS(4, 3, 0), "%s", strerror(-r));
}

static void unexpected(struct session *s)
{
    session_fail(s, STATUS(4, 5, 0), "it gave a reply that has no place there: %.200s",
                 s->reply.text);
}

/* 1: the reply was dealt with for good; 0: on with the next one. */
static int data_reply(struct session *s)
{
    s->t.data = 0;
    if (s->reply.code == 354) {
        send_content(s);
        return 1;
    }
    if (s->reply.code < 400) {
        unexpected(s);
        return 1;
    }
    settle_rest(s);
    return 0;
}

/* The server judges before it has all: the rest of the content is spared, and so is the connection,
 * for it would take what we sent on for commands. */
static void early_reply(struct session *s)
{
    if (s->reply.code < 400) {
        unexpected(s);
        return;
    }
    settle_rest(s);
    session_abort(s);
}

static void final_reply(struct session *s)
{
    if (s->reply.code / 100 == 3) {
        unexpected(s);
        return;
    }
    s->need_rset = !positive(s) || !s->d;
    settle_rest(s);
    session_idle(s);
}

void transaction_reply(struct session *s)
{
    if (s->reply.code == 421) {
        session_refused(s);
        return;
    }
    switch (s->step) {
    case STEP_RSET:
        s->t.rset = 0;
        if (!positive(s)) {
            unexpected(s);
            return;
        }
        break;
    case STEP_MAIL:
        mail_reply(s);
        break;
    case STEP_RCPT:
        rcpt_reply(s);
        break;
    case STEP_DATA:
        if (data_reply(s))
            return;
        break;
    case STEP_CONTENT:
        if (s->o->svc->stream_pending(s->stream)) {
            early_reply(s);
            return;
        }
        s->step = STEP_FINAL; /* DRAINED is on its way */
        final_reply(s);
        return;
    default:
        final_reply(s);
        return;
    }
    if (next_reply(s) == STEP_IDLE)
        send_batch(s);
    else
        session_expect(s, next_reply(s));
}

void transaction_drained(struct session *s)
{
    if (!s->o->svc->stream_pending(s->stream))
        session_expect(s, STEP_FINAL);
}

int transaction_stalled(struct session *s)
{
    const struct postern_services *svc = s->o->svc;
    size_t pending = svc->stream_pending(s->stream);
    uint64_t now = svc->now(s->o->host);

    if (pending != s->pending) {
        s->pending = pending;
        s->moved = now;
    }
    if (now - s->moved >= (uint64_t)s->o->set->timeouts.data_block)
        return 1;
    session_expect(s, STEP_CONTENT);
    return 0;
}
