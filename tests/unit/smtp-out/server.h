/* server.h: the other side for tests of smtp-out: a scripted SMTP server behind each connection
 * that the plugin makes, and the jobs to give to the plugin. */
#ifndef TEST_SERVER_H
#define TEST_SERVER_H

#include "../../fake/fakehost.h"

extern const struct postern_plugin smtp_out_LTX_postern_plugin;

#define SERVERS_MAX 16
#define RCPTS_MAX   8

/* What a server says. NULL: what a good server would say. A reply is text with or without its last
 * CRLF; "" says nothing; "EOF" and "RST" end the connection; "TEXT|EOF" does both. */
struct script {
    const char *greeting, *ehlo, *helo, *starttls, *ehlo_tls, *rset, *mail;
    const char *rcpt[RCPTS_MAX]; /* the i-th RCPT of a connection's transaction */
    const char *data, *final;
};

struct server {
    postern_stream *stream;
    size_t seen;   /* of its output, dealt with */
    int    greeted, in_data, ended;
    size_t rcpt_i, messages, tls;
    char   said[131072]; /* the commands it got, LF at the end of each; "." for the end of data */
    char  *content;     /* the last message, as it came, with dots */
};

struct world {
    struct fakehost *h;
    struct script    scripts[SERVERS_MAX]; /* of the i-th connection */
    struct server    servers[SERVERS_MAX];
    size_t           n;     /* connections so far */
    size_t           chunk; /* feed replies in pieces of so many bytes; 0: whole */
};

extern const char ehlo_plain[];  /* no extensions              */
extern const char ehlo_full[];   /* the default: all but STARTTLS */
extern const char ehlo_tls[];    /* PIPELINING and STARTTLS    */

/* options: "key", "value", ..., NULL. mx.example has one address, 192.0.2.1, and dest.example is
 * served by it. */
struct world *world_new(const char *const *options);
void          world_free(struct world **w);
/* Lets plugin and servers talk until nobody has anything to say. */
void          world_run(struct world *w);
/* Lets the clock go on, and then the same. */
void          world_wait(struct world *w, uint64_t seconds);

/* A job for dest.example with n recipients r0@dest.example ... */
postern_job *world_deliver(struct world *w, size_t n);
postern_job *world_deliver_to(struct world *w, size_t n, const char *destination);
postern_job *world_deliver_job(struct world *w, struct fakehost_job *job, size_t n);

/* Checks the fate of recipient i: "delivered 2.0.0", "deferred 4.4.1", "failed 5.1.1". `text` (may
 * be NULL) must be in the diagnostic, `cause` is checked unless it is -1. */
void expect_fate(const postern_job *job, size_t i, const char *fate, int cause, const char *text);

#endif
