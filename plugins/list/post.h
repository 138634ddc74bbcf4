/* post.h: one message for one list, or for its owner, or one that came back; from its turn to its
 * end. A few are at work at a time; the others wait. */
#ifndef LIST_POST_H
#define LIST_POST_H

#include <pthread.h>
#include <sys/queue.h>

#include "bounce.h"
#include "head.h"
#include "members.h"
#include "place.h"
#include "state.h"

#define POSTS_AT_WORK  4u     /* in each instance; each has half a MiB */
#define POST_PIECE     65536u /* bytes of content, or of addresses, that go to the loop at once */
#define POST_TRIES     3      /* when the members change while they are read */
#define POST_BAD_LINES 20u    /* lines of a file that are complained of, one by one */

struct room { /* what is needed while at work */
    struct problem  problem;
    struct place    place;
    struct members  members;
    struct state    state;
    struct head     head_facts;
    struct bounce   bounces[BOUNCE_MAX];
    int             has_state; /* state was loaded: the disabled are left out */
    char           *head;      /* as members get it; NULL: as it came         */
    size_t          head_len;
    uint64_t        at; /* of the content: what was copied */
    size_t          len;
    int             all; /* of the members: they were all read */
    int             failed; /* the thread: -errno, and problem says why */
    uint64_t        sent, disabled, bad;
    postern_submit *submit;
    char            submit_id[64];
    char            state_path[LIST_PATH_MAX];
    char            data[LIST_HEAD_MAX]; /* first the header, then pieces of POST_PIECE */
};

struct post {
    TAILQ_ENTRY(post) link;
    struct lister   *l;
    postern_job     *job; /* NULL once it is settled */
    size_t           i;
    postern_content *content; /* the thread's, under the lock, until cancelled */
    uint64_t         content_size;
    uint32_t         flags;
    int              released; /* from a hold, by an operator                 */
    int              working;  /* a thread, or the spool, will call back      */
    int              tries;
    int              cancelled; /* under the lock */
    pthread_mutex_t  lock;
    struct room     *room;
    const char      *sender, *rcpt, *id, *client; /* in text */
    struct route_says route;                      /* likewise */
    char             text[];
};

TAILQ_HEAD(posts, post);

struct lister { /* an instance */
    postern_host                  *host;
    const struct postern_services *svc;
    const struct settings         *set;
    struct posts                   waiting, at_work;
    unsigned                       at_work_n;
    int                            closed, pumping;
};

/* post.c */
int  post_add(struct lister *l, postern_job *job, size_t i); /* 0 or -ENOMEM */
void post_cancel(struct lister *l, postern_job *job);        /* settles what is left of it */
void post_end_all(struct lister *l);

/* look.c; for threads. ctx: the post. 1: it goes on; 0: room->problem says what came of it. */
int look(void *ctx);
/* Fills room->data with the next addresses, each with its NUL. room->all, room->failed. 0. */
int look_members(void *ctx);
/* Content from `at` on, or -ECANCELED. */
int64_t look_content(struct post *p, uint64_t at, char *buf, size_t len);

#endif
