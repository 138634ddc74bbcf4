/* session.h: one connection: who it is, what was said, and the message under way.
 *
 * session.c owns its life and its turns, command.c answers commands, content.c takes what comes
 * after DATA, reply.c speaks. No command allocates: what a session can hold is in the struct. */
#ifndef SMTPIN_SESSION_H
#define SMTPIN_SESSION_H

#include "data.h"
#include "grammar.h"
#include "smtp-in.h"

#define SMTPIN_REPLY_MAX   900   /* bytes of a reply that quotes the peer                         */
#define SMTPIN_PENDING_MAX 65536 /* bytes of replies the peer has not read: then we wait for it   */
#define SMTPIN_LOG_MAX     400   /* bytes of one value of the peer's in the log                   */
#define SMTPIN_HANDSHAKE_TIME POSTERN_MINUTES(1)

enum smtpin_state {
    SMTPIN_GREETING,  /* the greeting is being delayed                                            */
    SMTPIN_COMMAND,   /* the next line is a command                                               */
    SMTPIN_LONG_LINE, /* inside of a command line that is too long: skip to its end               */
    SMTPIN_HANDSHAKE, /* TLS                                                                      */
    SMTPIN_CONTENT,   /* after 354                                                                */
    SMTPIN_ROOM,      /* after 354, the spool asked us to wait                                    */
    SMTPIN_ASKING,    /* after RCPT, until the router has found out                               */
    SMTPIN_COMMIT,    /* after the end of data, until the message is durable                      */
    SMTPIN_OVER       /* the connection is to be closed                                           */
};

struct smtpin_session {
    struct smtpin         *in;
    struct smtpin_session *next, **link;             /* of all sessions                           */
    struct smtpin_session *bucket_next, **bucket_at; /* of one bucket; at is NULL when not in one */
    postern_stream        *stream; /* NULL: gone, only a completion is waited for                 */
    postern_submit        *submit; /* NULL: no transaction, or it is being committed              */

    uint8_t state;       /* enum smtpin_state                                                     */
    uint8_t calling;     /* a completion of the host's is under way: the session must stay        */
    uint8_t rearm;       /* it is the peer's turn: its time begins anew                           */
    uint8_t eof;         /* the peer has ended its side                                           */
    uint8_t choked;      /* the peer does not read our replies: no more commands until it does    */
    uint8_t relay;       /* it may relay                                                          */
    uint8_t lenient;     /* it may end lines in a bare LF                                         */
    uint8_t esmtp;       /* it said EHLO                                                          */
    uint8_t mail;        /* a transaction is open                                                 */
    uint8_t utf8;        /* ... with SMTPUTF8                                                     */
    uint8_t secure;      /* the connection is encrypted                                           */

    uint32_t rcpts, refused_rcpts; /* of this transaction                                         */
    uint32_t errors, idle_commands, messages;
    uint64_t data_start;   /* now() when 354 was said                                             */
    uint64_t data_size;    /* bytes of content so far                                             */
    int      data_error;   /* -errno of the spool: the rest is read and dropped                   */
    struct smtpin_data data;

    struct smtpin_client client;
    char                 peer[64]; /* address in text, or "local"                                 */
    char                 id[64]; /* queue id of the message being committed                       */
    char                 helo[SMTPIN_HELO_MAX + 1]; /* "": not said                               */
    char                 sender[POSTERN_ADDRESS_MAX + 1];
    char                 rcpt[POSTERN_ADDRESS_MAX + 1]; /* the first one                          */
    char                 asked[POSTERN_ADDRESS_MAX + 1]; /* the one that is asked about */
    uint64_t             ask_id;
};

/* --- session.c --- */

void smtpin_session_new(struct smtpin *in, postern_stream *stream);
void smtpin_session_drain(struct smtpin_session *s);   /* says good-bye as soon as it is decent   */
void smtpin_session_destroy(struct smtpin_session *s); /* at once, whatever is under way          */

/* A completion came for a session without a connection: that was all it waited for. */
void smtpin_session_gone(struct smtpin_session *s);
/* Goes on with buffered input after a completion; may end the session. */
void smtpin_session_run(struct smtpin_session *s);
/* Forgets the transaction, and lets go of what it held. */
void smtpin_session_reset(struct smtpin_session *s);
/* The connection is to be closed when the replies are out. */
void smtpin_session_over(struct smtpin_session *s);

/* Replies. text: whole lines, CRLF at the end. A peer that lets replies pile up is cut off. */
void smtpin_say(struct smtpin_session *s, const char *text, size_t len);
#define SMTPIN_SAY(s, text) smtpin_say((s), text "\r\n", sizeof(text) + 1)
/* Without CRLF, cut to SMTPIN_REPLY_MAX; the peer's words go through smtpin_clean first. */
void smtpin_sayf(struct smtpin_session *s, const char *fmt, ...) POSTERN_PRINTF(2, 3);
/* The same for what was the peer's fault: counted, and too many of them end the session. */
#define SMTPIN_REFUSE(s, text)                                                                     \
    do {                                                                                           \
        SMTPIN_SAY(s, text);                                                                       \
        smtpin_error(s);                                                                           \
    } while (0)
void smtpin_error(struct smtpin_session *s);
/* The peer's text, fit for a reply or a log line. Returns buf. */
char *smtpin_clean(const char *text, size_t len, char *buf, size_t size);

/* Logs the event, "client=..." at the end. */
void smtpin_log(struct smtpin_session *s, int level, const char *event, const char *fmt, ...)
    POSTERN_PRINTF(4, 5);
/* A value for the log: as it is, or in quotes if it could be misread; _path: an address in angle
 * brackets. Cut to SMTPIN_LOG_MAX. They return buf, of at least SMTPIN_QUOTE_MAX bytes. */
#define SMTPIN_QUOTE_MAX (4 * SMTPIN_LOG_MAX + 3)
char *smtpin_quote(const char *text, char *buf);
char *smtpin_quote_path(const char *address, char *buf);

/* --- command.c --- */

/* Answers one command line (without its end). */
void smtpin_command(struct smtpin_session *s, const char *line, size_t len);
/* The protocol's name for Received and log: RFC 3848, RFC 6531 4.3. */
const char *smtpin_protocol(const struct smtpin_session *s);

/* --- content.c --- */

void smtpin_content_start(struct smtpin_session *s); /* DATA was said and is in order */
/* Takes buffered content. 1: something was taken; 0: there was nothing, or it has to wait. */
int smtpin_content_step(struct smtpin_session *s);
/* Reply to an error of the spool; whole line. */
const char *smtpin_spool_reply(int err);

#endif
