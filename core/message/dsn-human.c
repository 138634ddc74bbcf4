/* The words of a DSN. Written for somebody in an office who has never heard of SMTP: first what
 * happened, then to whom, then why, then what to do. What the servers said comes last, verbatim. */
#include "message/dsn-human.h"

#include <string.h>

#include <postern/mail.h>

#include "message/wrap.h"
#include "util/text.h"

enum dsn_kind dsn_kind(const struct dsn *d)
{
    enum dsn_kind kind = DSN_OTHER;

    for (size_t i = 0; i < d->rcpt_n; i++) {
        if (text_casecmp(d->rcpts[i].action, "failed") == 0)
            return DSN_FAILED;
        if (text_casecmp(d->rcpts[i].action, "delayed") == 0)
            kind = DSN_DELAYED;
    }
    return kind;
}

const char *dsn_subject(const struct dsn *d)
{
    switch (dsn_kind(d)) {
    case DSN_FAILED:
        return d->to_postmaster ? "Postmaster notice: undelivered mail"
                                : "Undelivered mail returned to sender";
    case DSN_DELAYED:
        return d->to_postmaster ? "Postmaster notice: delivery delayed" : "Delivery delayed";
    default:
        return d->to_postmaster ? "Postmaster notice: delivery report" : "Delivery report";
    }
}

/* What an enhanced status code means, in plain words; those that people meet most. */
static const char *plain_reason(const uint16_t status[3])
{
    static const struct {
        uint16_t subject, detail;
        const char *text;
    } reasons[] = {
        { 1, 1, "There is no mailbox with this address." },
        { 1, 2, "The part of the address after the \"@\" does not exist." },
        { 1, 3, "This is not a valid e-mail address." },
        { 1, 6, "The mailbox has moved." },
        { 1, 10, "This domain does not take any mail." },
        { 2, 1, "The mailbox is closed and takes no mail." },
        { 2, 2, "The mailbox is full." },
        { 2, 3, "The message is larger than this mailbox takes." },
        { 3, 1, "The other side has no room for more mail." },
        { 3, 4, "The message is too large for the other side." },
        { 4, 1, "The other side could not be reached." },
        { 4, 2, "The connection to the other side broke." },
        { 4, 3, "The domain of the address could not be looked up." },
        { 4, 4, "No way to the domain of the address could be found." },
        { 4, 6, "The message went round in circles." },
        { 4, 7, "The message could not be delivered in time." },
        { 6, 7, "The other side cannot take addresses with letters like these." },
        { 7, 0, "The other side does not accept this message." },
        { 7, 1, "The other side does not accept this message." },
    };

    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (reasons[i].subject == status[1] && reasons[i].detail == status[2])
            return reasons[i].text;
    }
    return NULL;
}

static void paragraph(const struct dsn *d, struct buf *out, const char *text)
{
    struct wrap w = { "", "", WRAP_WIDTH, d->utf8 };

    wrap_add(out, &w, text);
    buf_adds(out, "\r\n");
}

static const char *sender_words(const struct dsn *d)
{
    return d->sender && *d->sender ? d->sender : "<> (it is a report itself)";
}

static void explain_postmaster(const struct dsn *d, struct buf *out)
{
    struct buf text = { 0 };

    buf_printf(&text, "This is a notice to the postmaster of %s.", d->hostname);
    paragraph(d, out, text.data);
    buf_clear(&text);
    buf_printf(&text, "A message from %s ", sender_words(d));
    if (dsn_kind(d) == DSN_FAILED)
        buf_adds(&text, "could be neither delivered to the following, nor returned:");
    else
        buf_adds(&text, "has not reached the following yet:");
    paragraph(d, out, text.data);
    buf_free(&text);
}

static void explain(const struct dsn *d, struct buf *out)
{
    int one = d->rcpt_n == 1;
    struct buf text = { 0 };

    buf_printf(&text, "This is the mail system at %s.", d->hostname);
    paragraph(d, out, text.data);
    switch (dsn_kind(d)) {
    case DSN_FAILED:
        paragraph(d, out,
                  one ? "Your message could not be delivered to the following address, and this "
                        "will not be tried again:"
                      : "Your message could not be delivered to the following addresses, and this "
                        "will not be tried again:");
        break;
    case DSN_DELAYED:
        paragraph(d, out,
                  one ? "Your message has not yet been delivered to the following address. You "
                        "need not send it again: we keep trying, and tell you if we give up."
                      : "Your message has not yet been delivered to the following addresses. You "
                        "need not send it again: we keep trying, and tell you if we give up.");
        break;
    default:
        paragraph(d, out, "This is what became of your message:");
    }
    buf_free(&text);
}

/* What the recipient's row says beside a plain "failed" in a report of failures. */
static const char *action_words(enum dsn_kind kind, const char *action)
{
    if (kind != DSN_DELAYED && text_casecmp(action, "delayed") == 0)
        return "Not delivered yet; we keep trying.";
    if (text_casecmp(action, "delivered") == 0)
        return "Delivered.";
    if (text_casecmp(action, "relayed") == 0)
        return "Handed on to a system that sends no reports.";
    if (text_casecmp(action, "expanded") == 0)
        return "Handed on to several addresses.";
    return NULL;
}

static void explain_rcpt(const struct dsn *d, const struct dsn_rcpt *rcpt, struct buf *out)
{
    struct wrap address = { "  ", "    ", WRAP_HARD, d->utf8 };
    struct wrap line = { "      ", "      ", WRAP_WIDTH, d->utf8 };
    const char *action = action_words(dsn_kind(d), rcpt->action);
    const char *reason = plain_reason(rcpt->status);
    struct buf text = { 0 };

    wrap_add(out, &address, rcpt->rcpt);
    if (rcpt->original && strcmp(rcpt->original, rcpt->rcpt) != 0) {
        buf_printf(&text, "(you wrote to %s)", rcpt->original);
        wrap_add(out, &line, text.data);
        buf_clear(&text);
    }
    if (action)
        wrap_add(out, &line, action);
    if (reason)
        wrap_add(out, &line, reason);
    if (rcpt->diagnostic && *rcpt->diagnostic) {
        if (rcpt->remote && *rcpt->remote && rcpt->diagnostic_type)
            buf_printf(&text, "The server %s said: ", rcpt->remote);
        else if (rcpt->remote && *rcpt->remote)
            buf_printf(&text, "The reason given, about %s: ", rcpt->remote);
        else
            buf_adds(&text, "The reason given: ");
        buf_adds(&text, rcpt->diagnostic);
        wrap_add(out, &line, text.data);
    } else if (rcpt->remote && *rcpt->remote) {
        buf_printf(&text, "The server was %s.", rcpt->remote);
        wrap_add(out, &line, text.data);
    }
    buf_adds(out, "\r\n");
    buf_free(&text);
}

static void advise(const struct dsn *d, int whole, struct buf *out)
{
    char date[64];
    struct buf text = { 0 };

    if (!d->to_postmaster && dsn_kind(d) == DSN_FAILED)
        buf_adds(&text, "Please check the address, and send your message again if that helps. ");
    if (!d->to_postmaster)
        buf_printf(&text, "If you need help, pass this whole message on to <postmaster@%s>.",
                   d->hostname);
    if (text.len)
        paragraph(d, out, text.data);

    buf_clear(&text);
    buf_printf(&text, "We got the message on %s; here it has the queue id %s. ",
               postern_date_format(d->arrived_usec / 1000000, date, sizeof date), d->queue_id);
    buf_printf(&text, "Attached are a report for mail programs and %s.",
               whole ? "the message" : "the headers of the message");
    paragraph(d, out, text.data);
    buf_free(&text);
}

void dsn_human(const struct dsn *d, int whole, struct buf *out)
{
    if (d->to_postmaster)
        explain_postmaster(d, out);
    else
        explain(d, out);
    for (size_t i = 0; i < d->rcpt_n; i++)
        explain_rcpt(d, &d->rcpts[i], out);
    advise(d, whole, out);
}
