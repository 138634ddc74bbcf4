/* fakehost.h: a host in memory, for unit tests and fuzz targets of plugins.
 *
 * It gives a plugin the whole struct postern_services and lets the test play the rest of the world:
 * the peers behind the streams, the clock, the spool, the router and the name servers. All of it is
 * deterministic: nothing happens but in fakehost_turn, _run and _advance, and the plugin is called
 * from there only (and from fakehost_open, _drain, _deliver, _cancel, _accept, _attach, _close).
 *
 *   struct fakehost *h = fakehost_new();
 *
 *   fakehost_set(h, "listen", "127.0.0.1:25");
 *   assert_int_equal(fakehost_open(h, &my_LTX_postern_plugin), 0);
 *   postern_stream *s = fakehost_accept(h, NULL, "192.0.2.7");
 *   fakehost_feeds(s, "QUIT\r\n");
 *   fakehost_run(h);
 *   assert_string_equal(fakehost_output(s, NULL), "220 ...\r\n221 ...\r\n");
 *   fakehost_close(&h);
 *
 * It is strict. Breaking the contract of postern/services.h fails the test at once: a recipient
 * settled twice, a job, a submission or a stream used after its end, content read outside of
 * offload, more submit_write before submit_room has called back. fakehost_close fails it when
 * something was left: a stream, timer, watch or submission, a recipient without a fate, an error in
 * the log that nobody announced. Borrowed memory moves or is freed as early as the contract allows,
 * so that AddressSanitizer sees who kept a pointer too long.
 *
 * It needs the public headers and libc, nothing else. One fakehost is for one plugin instance. */
#ifndef FAKEHOST_H
#define FAKEHOST_H

#include <postern/plugin.h>

struct fakehost;

/* --- life --- */

struct fakehost *fakehost_new(void);
/* Closes the plugin if it is open, looks for what was left, frees everything. Clears *h. */
void fakehost_close(struct fakehost **h);
/* What to do with a complaint. Default: say it on stderr and abort(), which suits fuzzing; with
 * cmocka call fail_msg. It may be a longjmp out of fakehost_*. */
void fakehost_on_failure(struct fakehost *h, void (*fail)(void *ctx, const char *what), void *ctx);

/* The value of an option, as an operator would write it ("5m", "25M", "true", "a, b" for lists,
 * "tls.key" as key of a member of an object); before fakehost_open. */
void fakehost_set(struct fakehost *h, const char *key, const char *value);
/* Fills in settings from the plugin's table (defaults, then fakehost_set), calls its check and its
 * open. What they returned; -EINVAL also for a value that the table refuses: see fakehost_why. */
int         fakehost_open(struct fakehost *h, const struct postern_plugin *plugin);
const char *fakehost_why(const struct fakehost *h);
void       *fakehost_self(const struct fakehost *h);
void        fakehost_drain(struct fakehost *h);

/* For code that is tested without a descriptor. */
postern_host                 *fakehost_host(struct fakehost *h);
const struct postern_services *fakehost_services(const struct fakehost *h);

/* --- time --- */

/* Does what is due now, once: completions, then the streams' events. How many callbacks ran. */
size_t fakehost_turn(struct fakehost *h);
/* Turns until nothing is due. A plugin that never comes to rest fails the test. */
void fakehost_run(struct fakehost *h);
/* The clock goes on by usec; timers and deadlines on the way fire in order, runs in between. */
void fakehost_advance(struct fakehost *h, uint64_t usec);

/* --- failure injection --- */

enum fakehost_call {
    FAKEHOST_AFTER,
    FAKEHOST_WATCH,
    FAKEHOST_OFFLOAD,
    FAKEHOST_CONTENT_READ,
    FAKEHOST_SUBMIT_NEW,
    FAKEHOST_SUBMIT_RCPT,
    FAKEHOST_SUBMIT_WRITE,
    FAKEHOST_SUBMIT_COMMIT, /* what done gets */
    FAKEHOST_SUBMIT_ROOM,   /* only for fakehost_hold */
    FAKEHOST_ROUTE_CHECK,
    FAKEHOST_LISTEN,
    FAKEHOST_CONNECT,       /* what stream_connect returns */
    FAKEHOST_CONNECTED,     /* the error with which the attempt ends */
    FAKEHOST_STREAM_WRITE,  /* also stream_printf */
    FAKEHOST_STREAM_CONTENT,
    FAKEHOST_STARTTLS,      /* what stream_starttls returns */
    FAKEHOST_HANDSHAKE,     /* the error with which the handshake ends */
    FAKEHOST_TLS_NEW,
    FAKEHOST_RESOLVE_MX,    /* what the call returns */
    FAKEHOST_RESOLVE_HOST,
    FAKEHOST_ROUTE_ASK,     /* what the callback gets */
    FAKEHOST_CALLS
};
/* After `skip` more calls of that kind the next one fails with err (-errno), once. */
void fakehost_fail(struct fakehost *h, enum fakehost_call call, unsigned skip, int err);
/* 1: completions of that kind (offload, commit, room, connected, handshake, resolve) wait; 0: they
 * go on. */
void fakehost_hold(struct fakehost *h, enum fakehost_call call, int on);

/* --- facts --- */

void fakehost_hostname(struct fakehost *h, const char *name); /* default "gw.example"   */
void fakehost_size_limit(struct fakehost *h, uint64_t bytes); /* default 0: none        */
/* Whom workers will run as, for the plugin's check_facts; default: whoever runs the test. */
void fakehost_worker(struct fakehost *h, const char *user, uint32_t uid);

/* --- log --- */

/* All lines so far, "level event text\n", levels as numbers. */
const char *fakehost_log(const struct fakehost *h);
/* How many lines contain the text. */
size_t fakehost_logged(const struct fakehost *h, const char *text);
/* Lines at level error are wanted from now on; otherwise they fail the test at its close. */
void fakehost_allow_errors(struct fakehost *h);

/* --- streams: the test is the peer --- */

enum fakehost_end { FAKEHOST_STANDS, FAKEHOST_CLOSED, FAKEHOST_ABORTED };

/* A client connects to an endpoint the plugin listens on (NULL: the first one). NULL when it does
 * not listen. The stream stays readable for the test after its end, until fakehost_close. */
postern_stream *fakehost_accept(struct fakehost *h, const char *endpoint, const char *peer);
/* A local client, by the plugin's ingress ops. NULL when the plugin did not take it. */
postern_stream *fakehost_attach(struct fakehost *h);
/* The i-th connection the plugin asked for, and where to; NULL when there were fewer. */
postern_stream *fakehost_connected(struct fakehost *h, size_t i, const char **ret_address,
                                   uint16_t *ret_port);
/* The peer sends. It comes as INPUT at the next turn that finds the stream willing to read. */
void fakehost_feed(postern_stream *s, const void *data, size_t len);
void fakehost_feeds(postern_stream *s, const char *text);
/* After all that was fed: the peer ends its side, or the connection breaks (-errno). */
void fakehost_feed_eof(postern_stream *s);
void fakehost_feed_error(postern_stream *s, int err);
/* 1: the peer does not read, output is pending; 0: goes on. */
void fakehost_stall(postern_stream *s, int on);
/* What the peer has read since fakehost_output_clear; NUL-terminated, borrowed until more comes. */
const char *fakehost_output(postern_stream *s, size_t *ret_len);
void        fakehost_output_clear(postern_stream *s);
size_t      fakehost_unread(const postern_stream *s); /* bytes fed and not consumed by the plugin */
/* How it ended, and what was asked of it. */
enum fakehost_end fakehost_ended(const postern_stream *s);
int               fakehost_paused(const postern_stream *s);
int               fakehost_secure(const postern_stream *s);
const char       *fakehost_tls_name(const postern_stream *s); /* name given to starttls, or NULL */
/* Fakes facts: POSTERN_STREAM_LOCAL, tls_verified. */
void fakehost_set_info(postern_stream *s, uint32_t flags, uint32_t tls_verified);
/* Bytes of queued output that stream_write takes before -ENOBUFS; default 1 MiB. */
void fakehost_output_max(struct fakehost *h, size_t bytes);

/* --- submissions: the test is the spool --- */

enum fakehost_fate {
    FAKEHOST_OPEN,       /* being written               */
    FAKEHOST_COMMITTING, /* submit_commit was called    */
    FAKEHOST_DURABLE,    /* done got 0                  */
    FAKEHOST_REFUSED,    /* done got an error           */
    FAKEHOST_ABANDONED   /* submit_free                 */
};
struct fakehost_message {
    char    *id;
    char    *sender, *client, *protocol; /* the last two may be NULL */
    uint32_t flags;
    uint64_t size_hint;
    size_t   rcpt_n;
    char   **rcpts;
    char    *data; /* NUL-terminated */
    size_t   len;
    enum fakehost_fate fate;
};
/* The i-th submission that was begun; NULL when there were fewer. Stays until fakehost_close. */
const struct fakehost_message *fakehost_message(const struct fakehost *h, size_t i);
size_t fakehost_messages(const struct fakehost *h, enum fakehost_fate fate); /* how many of them */
/* submit_write says "wait" each time this many bytes were taken; 0 (default): never. */
void fakehost_write_room(struct fakehost *h, size_t bytes);
void fakehost_rcpts_max(struct fakehost *h, size_t n); /* then -E2BIG; default 10000 */

/* What the router says of a recipient; rcpt NULL: of all others (default: ANYONE). */
void fakehost_verdict(struct fakehost *h, const char *rcpt, uint32_t kind, const char *status,
                      const char *text);

/* --- jobs: the test is the queue --- */

struct fakehost_job { /* NULL members: "" or none; lists end in NULL */
    const char        *id, *sender, *destination;
    const char *const *rcpts;
    const char *const *next_hops;
    const uint32_t    *next_hop_flags; /* as many; NULL: all 0 */
    const char *const *params; /* "name=value" */
    const void        *content;
    size_t             content_len;
    uint32_t           flags;
    const char        *client;
    const char *const *originals; /* NULL: as rcpts */
    int                released;  /* all recipients were on hold, and an operator released them */
};
/* Hands the plugin a job. *ret_result (may be NULL) is what deliver returned; when that is <0 the
 * plugin must have settled none. The job stays the test's until fakehost_close. */
postern_job *fakehost_deliver(struct fakehost *h, const struct fakehost_job *job, int *ret_result);
/* Calls cancel, and fails the test when a recipient is not settled after it. */
void fakehost_cancel(struct fakehost *h, postern_job *job);
size_t fakehost_unsettled(const postern_job *job);
/* The fate of recipient i, NULL when it has none yet. */
const struct postern_outcome *fakehost_outcome(const postern_job *job, size_t i);

/* --- names: the test is the DNS --- */

/* The answer for a domain: result and "10 mx1.example, 20 mx2.example"; "0 ." is the null MX.
 * Without one the domain does not exist (-ENOENT). The last word on a name counts. */
void fakehost_mx(struct fakehost *h, const char *domain, int result, const char *list);
/* The addresses of a host: "192.0.2.1, 2001:db8::1". */
void fakehost_addresses(struct fakehost *h, const char *name, int result, const char *list);

/* --- questions: the test is the core --- */

/* Asks the plugin's directory; NULL local and domain: those of the key. *ret_result (may be NULL)
 * is what lookup returned; when that is <0 the plugin must not answer. The question stays the
 * test's until fakehost_close, which complains of one that has no answer. */
postern_lookup *fakehost_lookup(struct fakehost *h, uint32_t kind, const char *key,
                                const char *local, const char *domain, int *ret_result);
/* What it answered; 1: nothing yet. Values are joined with ", ". */
int         fakehost_answer(const postern_lookup *lookup);
const char *fakehost_values(const postern_lookup *lookup);

/* --- descriptors --- */

/* The watch on fd is called at the next turn, when it asked for one of these events. */
void fakehost_ready(struct fakehost *h, int fd, unsigned events);

#endif
