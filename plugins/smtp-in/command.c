/* command.c: the answers to commands (RFC 5321 4.1.1), one function a verb.
 *
 * Codes: RFC 5321 4.2; behind them RFC 3463's, wherever RFC 2034 wants them. A command that fails
 * changes nothing. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "session.h"

#define SAID_MAX 200 /* bytes of the peer's words in a reply */

typedef void handler(struct smtpin_session *s, struct smtpin_span args);

static const char *hostname(const struct smtpin_session *s)
{
    return s->in->v->hostname(s->in->host);
}

static void refuse_fault(struct smtpin_session *s, const struct smtpin_fault *f)
{
    char word[SAID_MAX];

    if (f->word.n)
        smtpin_sayf(s, "%s: %s", f->reply, smtpin_clean(f->word.p, f->word.n, word, sizeof word));
    else if (f->detail)
        smtpin_sayf(s, "%s: %s", f->reply, f->detail);
    else
        smtpin_sayf(s, "%s", f->reply);
    smtpin_error(s);
}

static void spool_error(struct smtpin_session *s, int err)
{
    const char *reply = smtpin_spool_reply(err);

    smtpin_say(s, reply, strlen(reply));
}

/* --- EHLO, HELO --- */

static int hello(struct smtpin_session *s, struct smtpin_span args)
{
    if (!args.n || smtpin_helo(args) < 0) {
        SMTPIN_REFUSE(s, "501 5.5.4 Syntax: a domain or an address literal must follow");
        return -EINVAL;
    }
    smtpin_session_reset(s);
    memcpy(s->helo, args.p, args.n);
    s->helo[args.n] = 0;
    return 0;
}

/* No enhanced codes here: RFC 2034 4. */
static void on_ehlo(struct smtpin_session *s, struct smtpin_span args)
{
    const struct smtpin *in = s->in;
    char size[32] = "";

    if (hello(s, args) < 0)
        return;
    s->esmtp = 1;
    if (in->size_limit)
        snprintf(size, sizeof size, " %llu", (unsigned long long)in->size_limit);
    smtpin_sayf(s,
                "250-%s\r\n250-PIPELINING\r\n250-SIZE%s\r\n250-8BITMIME\r\n%s"
                "250-ENHANCEDSTATUSCODES\r\n250 SMTPUTF8",
                hostname(s), size, in->tls && !s->secure ? "250-STARTTLS\r\n" : "");
}

static void on_helo(struct smtpin_session *s, struct smtpin_span args)
{
    if (hello(s, args) < 0)
        return;
    s->esmtp = 0;
    smtpin_sayf(s, "250 %s", hostname(s));
}

/* --- MAIL --- */

const char *smtpin_protocol(const struct smtpin_session *s)
{
    if (s->utf8)
        return s->secure ? "UTF8SMTPS" : "UTF8SMTP";
    if (s->secure)
        return "ESMTPS";
    return s->esmtp ? "ESMTP" : "SMTP";
}

static int begin_submission(struct smtpin_session *s, const struct smtpin_mail *mail)
{
    char client[SMTPIN_HELO_MAX + sizeof s->peer + 4];
    struct postern_envelope e = {
        .size = sizeof e,
        .sender = s->sender,
        .flags = (mail->body_8bit ? POSTERN_MAIL_8BIT : 0) | (mail->utf8 ? POSTERN_MAIL_UTF8 : 0) |
            (s->relay ? POSTERN_MAIL_TRUSTED : 0),
        .size_hint = mail->size,
        .client = client,
        .protocol = smtpin_protocol(s),
    };

    snprintf(client, sizeof client, "%s [%s]", s->helo, s->peer);
    return s->in->v->submit_new(s->in->host, &e, &s->submit);
}

static int may_begin(struct smtpin_session *s)
{
    const struct smtpin_settings *set = s->in->set;

    if (!s->helo[0]) {
        SMTPIN_REFUSE(s, "503 5.5.1 Say EHLO or HELO first");
        return 0;
    }
    if (s->mail) {
        SMTPIN_REFUSE(s, "503 5.5.1 A transaction is open already");
        return 0;
    }
    if (set->max_messages && s->messages >= set->max_messages) {
        SMTPIN_SAY(s, "421 4.7.0 Too many messages in one connection, come again");
        smtpin_session_over(s);
        return 0;
    }
    return 1;
}

static void on_mail(struct smtpin_session *s, struct smtpin_span args)
{
    struct smtpin_mail mail;
    struct smtpin_fault fault;
    int r;

    if (!may_begin(s))
        return;
    if (smtpin_mail(args, &mail, &fault) < 0) {
        refuse_fault(s, &fault);
        return;
    }
    if (mail.path.address.n >= sizeof s->sender) {
        SMTPIN_REFUSE(s, "501 5.1.7 Bad sender address: too long");
        return;
    }
    if (s->in->size_limit && mail.size > s->in->size_limit) {
        SMTPIN_REFUSE(s, "552 5.3.4 Message too big");
        return;
    }
    memcpy(s->sender, mail.path.address.p, mail.path.address.n);
    s->sender[mail.path.address.n] = 0;
    s->utf8 = (uint8_t)mail.utf8;
    r = begin_submission(s, &mail);
    if (r < 0) {
        smtpin_session_reset(s);
        spool_error(s, r);
        return;
    }
    s->mail = 1;
    SMTPIN_SAY(s, "250 2.1.0 Ok");
}

/* --- RCPT --- */

#define RCPT_MAX (POSTERN_ADDRESS_MAX + 1)

/* The address as a string. <postmaster> alone stays so: it is ours (RFC 5321 4.5.1), whatever names
 * we have. */
static int copy_rcpt(const struct smtpin_path *path, char rcpt[RCPT_MAX])
{
    int n = snprintf(rcpt, RCPT_MAX, "%.*s", (int)path->address.n, path->address.p);

    return n < 0 || n >= RCPT_MAX ? -EINVAL : 0;
}

/* "CODE X.Y.Z <rcpt>: text", with the peer's and the operator's words made fit for a line. why: for
 * the log. */
static void refuse_rcpt_why(struct smtpin_session *s, const char *rcpt, const char *code,
                            const char *text, const char *why)
{
    char said[SAID_MAX], words[256], from[SMTPIN_QUOTE_MAX], to[SMTPIN_QUOTE_MAX];

    smtpin_clean(rcpt, strlen(rcpt), said, sizeof said);
    smtpin_clean(text, strlen(text), words, sizeof words);
    smtpin_sayf(s, "%s <%s>: %s", code, said, words);
    smtpin_log(s, POSTERN_LOG_INFO, "smtp.reject", "stage=rcpt from=%s to=%s reply=\"%s\" why=%s",
               smtpin_quote_path(s->sender, from), smtpin_quote_path(rcpt, to), code,
               POSTERN_LOG_QUOTED(why));
    s->refused_rcpts++;
    if (*code == '5')
        smtpin_error(s);
}

static void refuse_rcpt(struct smtpin_session *s, const char *rcpt, const char *code,
                        const char *text)
{
    refuse_rcpt_why(s, rcpt, code, text, text);
}

static void refuse_relay(struct smtpin_session *s, const char *rcpt)
{
    char from[SAID_MAX], text[256];

    smtpin_clean(s->sender, strlen(s->sender), from, sizeof from);
    snprintf(text, sizeof text, "Relaying denied (sender <%s>)", from);
    refuse_rcpt(s, rcpt, "550 5.7.1", text);
}

/* A rule refuses it, for now (4.y.z) or for good. */
static void refuse_by_rule(struct smtpin_session *s, const char *rcpt,
                           const struct postern_verdict *verdict)
{
    int later = verdict->status[0] == 4;
    /* System and network: it is we who can't say, and not the mailbox that is busy. */
    int ours = verdict->status[1] == 3 || verdict->status[1] == 4;
    const char *why = verdict->text[0] ? verdict->text : "Refused", *text = why;
    char code[32];

    if (later && ours &&
        !s->relay) /* which file, say, or which server: not a stranger's business */
        text = "It can't be said now where this goes, try again later";
    snprintf(code, sizeof code, "%s %d.%u.%u", later ? ours ? "451" : "450" : "550", later ? 4 : 5,
             verdict->status[1], verdict->status[2]);
    refuse_rcpt_why(s, rcpt, code, text, why);
}

/* What the router said of it. 1: it may be accepted from this client; 0: it was refused. */
static int judge(struct smtpin_session *s, const char *rcpt, int r,
                 const struct postern_verdict *verdict)
{
    if (r == -EINVAL) {
        refuse_rcpt(s, rcpt, "501 5.1.3", "Bad recipient address");
        return 0;
    }
    if (r < 0) {
        refuse_rcpt(s, rcpt, "451 4.3.0", "Cannot say where it goes now, try again later");
        return 0;
    }
    switch (verdict->kind) {
    case POSTERN_VERDICT_ANYONE:
        return 1;
    case POSTERN_VERDICT_RELAY:
        if (s->relay)
            return 1;
        refuse_relay(s, rcpt);
        return 0;
    default: /* also a kind that we do not know: never accept what is not understood */
        refuse_by_rule(s, rcpt, verdict);
        return 0;
    }
}

static void add_rcpt(struct smtpin_session *s, const char *rcpt)
{
    int r = s->in->v->submit_rcpt(s->submit, rcpt);

    if (r == -EINVAL) {
        refuse_rcpt(s, rcpt, "501 5.1.3", "Bad recipient address");
    } else if (r == -E2BIG) {
        SMTPIN_SAY(s, "452 4.5.3 Too many recipients");
    } else if (r < 0) {
        spool_error(s, r);
    } else {
        if (!s->rcpts)
            memcpy(s->rcpt, rcpt, strlen(rcpt) + 1);
        s->rcpts++;
        SMTPIN_SAY(s, "250 2.1.5 Ok");
    }
}

static void on_verdict(void *ctx, int result, const struct postern_verdict *verdict)
{
    struct smtpin_session *s = ctx;

    s->calling = 0;
    s->ask_id = 0;
    if (!s->stream) {
        smtpin_session_gone(s);
        return;
    }
    s->state = SMTPIN_COMMAND;
    s->rearm = 1;
    if (judge(s, s->asked, result, verdict))
        add_rcpt(s, s->asked);
    smtpin_session_run(s);
}

/* As the router will see it: an older host does nothing with senders. */
static const char *routed_sender(const struct smtpin_session *s)
{
    const struct postern_services *v = s->in->v;

    return POSTERN_HAS(v, submit_sender) ? v->submit_sender(s->submit) : s->sender;
}

/* Mostly the router knows; if not, commands behind this one wait until it has found out. */
static void ask_router(struct smtpin_session *s, const char *rcpt)
{
    const struct postern_services *v = s->in->v;
    struct postern_verdict verdict = { .size = sizeof verdict };
    int r = v->route_check(s->in->host, routed_sender(s), rcpt, &verdict);

    if (r == -EAGAIN && POSTERN_HAS(v, route_ask)) {
        memcpy(s->asked, rcpt, strlen(rcpt) + 1);
        r = v->route_ask(s->in->host, routed_sender(s), s->asked, on_verdict, s, &s->ask_id);
        if (r == 0) {
            s->state = SMTPIN_ASKING;
            s->calling = 1;
            s->rearm = 1;
            return;
        }
    }
    if (judge(s, rcpt, r, &verdict))
        add_rcpt(s, rcpt);
}

/* What is refused as it stands may be known as an address that a relay has damaged. */
static int repair(struct smtpin_session *s, struct smtpin_span args, struct smtpin_mended *room,
                  struct smtpin_path *ret)
{
    char said[SMTPIN_LOG_MAX + 1], was[SMTPIN_QUOTE_MAX], to[SMTPIN_QUOTE_MAX];
    struct smtpin_span damaged;

    if (!s->in->set->repair_addresses ||
        smtpin_rcpt_damaged(args, s->utf8, room, ret, &damaged) < 0)
        return -EINVAL;
    smtpin_clean(damaged.p, damaged.n, said, sizeof said);
    smtpin_log(s, POSTERN_LOG_INFO, "smtp.repaired", "rule=%s was=%s to=%s", room->rule,
               smtpin_quote_path(said, was), smtpin_quote_path(room->address, to));
    return 0;
}

static void on_rcpt(struct smtpin_session *s, struct smtpin_span args)
{
    struct smtpin_path path;
    struct smtpin_fault fault;
    struct smtpin_mended mended;
    char rcpt[RCPT_MAX];

    if (!s->mail) {
        SMTPIN_REFUSE(s, "503 5.5.1 Say MAIL first");
        return;
    }
    if (smtpin_rcpt(args, s->utf8, &path, &fault) < 0 && repair(s, args, &mended, &path) < 0) {
        s->refused_rcpts++;
        refuse_fault(s, &fault);
        return;
    }
    if (copy_rcpt(&path, rcpt) < 0) {
        s->refused_rcpts++;
        SMTPIN_REFUSE(s, "501 5.1.3 Bad recipient address: too long");
        return;
    }
    /* Not counted as an error: the client will send the rest in another message (4.5.3.1.10). */
    if (s->rcpts >= s->in->set->max_recipients) {
        SMTPIN_SAY(s, "452 4.5.3 Too many recipients");
        return;
    }
    ask_router(s, rcpt);
}

/* --- the rest --- */

static void on_data(struct smtpin_session *s, struct smtpin_span args)
{
    (void)args;
    if (!s->mail)
        SMTPIN_REFUSE(s, "503 5.5.1 Say MAIL first");
    else if (!s->rcpts && s->refused_rcpts)
        SMTPIN_REFUSE(s, "554 5.5.1 No valid recipients");
    else if (!s->rcpts)
        SMTPIN_REFUSE(s, "503 5.5.1 Say RCPT first");
    else
        smtpin_content_start(s);
}

static void on_rset(struct smtpin_session *s, struct smtpin_span args)
{
    (void)args;
    smtpin_session_reset(s);
    SMTPIN_SAY(s, "250 2.0.0 Ok");
}

static void on_noop(struct smtpin_session *s, struct smtpin_span args)
{
    (void)args;
    SMTPIN_SAY(s, "250 2.0.0 Ok");
}

static void on_quit(struct smtpin_session *s, struct smtpin_span args)
{
    (void)args;
    SMTPIN_SAY(s, "221 2.0.0 Bye");
    smtpin_session_over(s);
}

/* RFC 5321 3.5.3, 7.3: 252 says nothing, truthfully. */
static void on_vrfy(struct smtpin_session *s, struct smtpin_span args)
{
    if (!s->in->set->vrfy)
        SMTPIN_REFUSE(s, "502 5.5.1 VRFY is disabled");
    else if (!args.n)
        SMTPIN_REFUSE(s, "501 5.5.4 Syntax: VRFY address");
    else
        SMTPIN_SAY(s, "252 2.0.0 Not verified; send mail, and delivery will be tried");
}

static void on_help(struct smtpin_session *s, struct smtpin_span args)
{
    (void)args;
    SMTPIN_SAY(s,
               "214-2.0.0 Commands: EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT STARTTLS\r\n"
               "214 2.0.0 See RFC 5321; ask postmaster for people");
}

static void on_known(struct smtpin_session *s, struct smtpin_span args)
{
    (void)args;
    SMTPIN_REFUSE(s, "502 5.5.1 Command not implemented");
}

static void on_unknown(struct smtpin_session *s, struct smtpin_span args)
{
    (void)args;
    SMTPIN_REFUSE(s, "500 5.5.1 Command not recognized");
}

/* A web page can make a browser speak to us, and smuggle commands into what it posts. */
static void on_http(struct smtpin_session *s, struct smtpin_span args)
{
    (void)args;
    SMTPIN_SAY(s, "421 4.7.0 This is SMTP, not HTTP");
    smtpin_log(s, POSTERN_LOG_INFO, "smtp.reject", "reason=\"HTTP command\"");
    smtpin_session_over(s);
}

static void on_starttls(struct smtpin_session *s, struct smtpin_span args)
{
    const struct postern_services *v = s->in->v;
    const char *data;
    int r;

    (void)args;
    if (!s->in->tls) {
        on_known(s, args);
        return;
    }
    if (s->secure) {
        SMTPIN_REFUSE(s, "503 5.5.1 TLS is active already");
        return;
    }
    /* What was sent along in the clear may be somebody else's (RFC 3207 4.2, CVE-2011-0411). */
    if (v->stream_peek(s->stream, &data)) {
        SMTPIN_SAY(s, "554 5.5.1 STARTTLS must be the last command before the handshake");
        smtpin_log(s, POSTERN_LOG_INFO, "smtp.reject", "reason=\"pipelined after STARTTLS\"");
        smtpin_session_over(s);
        return;
    }
    SMTPIN_SAY(s, "220 2.0.0 Ready to start TLS");
    if (s->state == SMTPIN_OVER)
        return;
    r = v->stream_starttls(s->stream, s->in->tls, NULL);
    if (r < 0) {
        smtpin_log(s, POSTERN_LOG_WARNING, "smtp.tls_failed", "error=%d", -r);
        smtpin_session_over(s);
        return;
    }
    s->state = SMTPIN_HANDSHAKE;
}

/* --- the table --- */

#define NO_ARGS 1u /* takes none */
#define IDLE    2u /* does not bring mail nearer; too many of them are too many */
#define CLEAR   4u /* allowed in the clear even where TLS is required (RFC 3207 4) */

static const struct {
    handler *answer;
    unsigned flags;
} verbs[SMTPIN_VERBS] = {
    [SMTPIN_UNKNOWN] = { on_unknown, CLEAR },
    [SMTPIN_MAIL] = { on_mail, IDLE },
    [SMTPIN_RCPT] = { on_rcpt, 0 },
    [SMTPIN_DATA] = { on_data, NO_ARGS },
    [SMTPIN_EHLO] = { on_ehlo, IDLE | CLEAR },
    [SMTPIN_HELO] = { on_helo, IDLE | CLEAR },
    [SMTPIN_RSET] = { on_rset, IDLE | CLEAR | NO_ARGS },
    [SMTPIN_NOOP] = { on_noop, IDLE | CLEAR },
    [SMTPIN_QUIT] = { on_quit, CLEAR | NO_ARGS },
    [SMTPIN_STARTTLS] = { on_starttls, IDLE | CLEAR | NO_ARGS },
    [SMTPIN_VRFY] = { on_vrfy, IDLE },
    [SMTPIN_EXPN] = { on_known, IDLE },
    [SMTPIN_HELP] = { on_help, IDLE | CLEAR },
    [SMTPIN_KNOWN] = { on_known, CLEAR },
    [SMTPIN_HTTP] = { on_http, CLEAR },
};

static int too_idle(struct smtpin_session *s)
{
    const struct smtpin_settings *set = s->in->set;

    s->idle_commands++;
    if (!set->max_idle_commands || s->idle_commands <= set->max_idle_commands)
        return 0;
    SMTPIN_SAY(s, "421 4.7.0 Too many commands without a message, closing the connection");
    smtpin_log(s, POSTERN_LOG_INFO, "smtp.reject", "reason=\"too many idle commands\"");
    smtpin_session_over(s);
    return 1;
}

void smtpin_command(struct smtpin_session *s, const char *line, size_t len)
{
    struct smtpin_span args;
    enum smtpin_verb verb = smtpin_verb(line, len, &args);
    unsigned flags = verbs[verb].flags;

    if (memchr(line, 0, len)) {
        SMTPIN_REFUSE(s, "500 5.5.2 A NUL has no place in a command");
        return;
    }
    if ((flags & IDLE) && too_idle(s))
        return;
    if (!(flags & CLEAR) && s->in->set->tls_required && !s->secure && !s->client.local) {
        SMTPIN_REFUSE(s, "530 5.7.0 Say STARTTLS first");
        return;
    }
    if ((flags & NO_ARGS) && args.n) {
        SMTPIN_REFUSE(s, "501 5.5.4 Syntax: this command takes no arguments");
        return;
    }
    verbs[verb].answer(s, args);
}
