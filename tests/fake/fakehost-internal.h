/* fakehost-internal.h: what the fake host's own files share. Tests include fakehost.h. */
#ifndef FAKEHOST_INTERNAL_H
#define FAKEHOST_INTERNAL_H

#include "fakehost.h"

struct bytes { /* growable, NUL-terminated when it has any data */
    char  *data;
    size_t len, cap;
};

/* A callback that is due at the next turn (when == 0) or at a time. */
struct pending {
    struct pending    *next;
    uint64_t           id;
    uint64_t           when; /* 0: next turn */
    uint64_t           born; /* turn it was made in: it runs in a later one */
    enum fakehost_call kind;
    void (*run)(struct fakehost *, struct pending *); /* does not free it */
    postern_done *done;
    void         *ctx;
    int           result;
    void         *object; /* submission, name, work function's box */
};

struct watched {
    struct watched *next;
    uint64_t        id;
    int             fd;
    unsigned        events, ready;
    postern_ready  *call;
    void           *ctx;
};

struct setting {
    struct setting *next;
    char           *key, *value;
};

struct scripted { /* a verdict or a DNS answer */
    struct scripted *next;
    char             type; /* 'v'erdict, 'm'x, 'a'ddress */
    char            *name; /* NULL: all others */
    int              result;
    char            *list;
    struct postern_verdict verdict;
};

struct memory { /* one block that lives as long as the fake host */
    struct memory *next;
    max_align_t    data[];
};

struct listening {
    struct listening  *next;
    char              *endpoint;
    postern_accept_cb *accept;
    void              *ctx;
};

struct postern_host {
    struct fakehost *fake;
};

struct fakehost {
    struct postern_host     door;
    struct postern_services services;
    void (*fail)(void *ctx, const char *what);
    void *fail_ctx;

    const struct postern_plugin *plugin; /* open when not NULL */
    void                        *self;
    void                        *settings;
    struct setting              *set;
    struct memory               *memory;
    char                         why[256];

    uint64_t        clock, turn, next_id;
    struct pending *pending;
    struct watched *watches;
    int             offloading; /* inside of work() */
    int             closed;     /* the plugin's close has returned */

    struct {
        int      armed, err;
        unsigned skip;
    } failures[FAKEHOST_CALLS];
    unsigned char held[FAKEHOST_CALLS];

    char        *hostname;
    const char  *worker_user; /* NULL: whoever runs the test */
    uint32_t     worker_uid;
    uint64_t     size_limit;
    struct bytes log;
    size_t       errors;
    int          errors_allowed;

    struct listening *listening;
    postern_stream   *streams; /* in order of birth */
    postern_tls      *tls;
    size_t            output_max;

    postern_submit  *submits;
    size_t           submit_n, write_room, rcpts_max;
    postern_job     *jobs;
    struct scripted *script;
    postern_lookup  *lookups;
};

/* fakehost.c */
void  fake_complain(struct fakehost *h, const char *fmt, ...) POSTERN_PRINTF(2, 3);
void *fake_alloc(size_t size); /* zeroed, never NULL */
char *fake_strdup(const char *s);
void *fake_keep(struct fakehost *h, size_t size); /* zeroed, lives as long as the fake host */
void  bytes_add(struct bytes *b, const void *data, size_t len);
int   fake_failure(struct fakehost *h, enum fakehost_call call); /* 0 or the injected -errno */
/* Guard of every service: not from another thread, not after close. */
void            fake_on_loop(struct fakehost *h, const char *service);
struct pending *fake_later(struct fakehost *h, enum fakehost_call kind, uint64_t when,
                           void (*run)(struct fakehost *, struct pending *));
struct scripted *fake_script(struct fakehost *h, char type, const char *name);
struct scripted *fake_scripted(struct fakehost *h, char type, const char *name);

/* fakehost-option.c */
int fake_fill(struct fakehost *h, const struct postern_option *table, const char *prefix,
              void *settings);

/* fakehost-stream.c */
void     fake_stream_services(struct postern_services *v);
size_t   fake_stream_turn(struct fakehost *h);
uint64_t fake_stream_deadline(const struct fakehost *h); /* the earliest, 0: none */
size_t   fake_stream_expire(struct fakehost *h);
void     fake_stream_end(struct fakehost *h);

/* fakehost-mail.c */
const char *fake_content(const postern_content *c, size_t *ret_len);
void fake_mail_services(struct postern_services *v);
void fake_mail_turn(struct fakehost *h);
void fake_mail_end(struct fakehost *h);

/* fakehost-names.c */
void fake_names_services(struct postern_services *v);
void fake_names_end(struct fakehost *h); /* complains of questions without an answer */

#endif
