/* util/loop.c: see loop.h.
 *
 * One libevent base, driven a turn at a time. Work from other threads (the offload pool, the disk)
 * arrives in a locked list and an eventfd; it runs in a turn like any other event. */
#include "util/loop.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/mem.h"

struct post {
    struct post *next;
    void (*fn)(void *ctx);
    void *ctx;
};

struct offload {
    struct offload *next;
    struct loop *loop;
    int (*work)(void *ctx);
    void (*done)(void *ctx, int result);
    void *ctx;
    int result;
};

struct loop {
    struct event_base *base;
    int64_t now;      /* 0: not asked for in this turn */
    size_t offloaded; /* and done not run yet */
    int stop;
    struct list tasks[LOOP_STAGES];

    int wake_fd;
    struct event *wake;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t work_cond;
    struct post *posts, **posts_tail;
    struct offload *work, **work_tail;
    int closing;
    unsigned threads_n;
    pthread_t *threads;
};

struct loop_timer {
    struct event *ev;
    void (*fire)(void *ctx);
    void *ctx;
};

static void run_posts(struct loop *l)
{
    struct post *p, *next;

    pthread_mutex_lock(&l->lock);
    p = l->posts;
    l->posts = NULL;
    l->posts_tail = &l->posts;
    pthread_mutex_unlock(&l->lock);
    for (; p; p = next) {
        next = p->next;
        p->fn(p->ctx);
        free(p);
    }
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    uint64_t n;

    (void)what;
    if (read(fd, &n, sizeof n) == (ssize_t)sizeof n)
        run_posts(arg);
}

void loop_post(struct loop *l, void (*fn)(void *ctx), void *ctx)
{
    struct post *p = mem_alloc(sizeof *p);
    uint64_t one = 1;
    int was_empty;

    *p = (struct post){ NULL, fn, ctx };
    pthread_mutex_lock(&l->lock);
    was_empty = !l->posts;
    *l->posts_tail = p;
    l->posts_tail = &p->next;
    pthread_mutex_unlock(&l->lock);
    /* The counter of an eventfd can't overflow here: one write for each emptied list. */
    if (was_empty && write(l->wake_fd, &one, sizeof one) != (ssize_t)sizeof one)
        abort();
}

static void offload_finish(void *arg)
{
    struct offload *o = arg;

    o->loop->offloaded--;
    o->done(o->ctx, o->result);
    free(o);
}

static struct offload *offload_take(struct loop *l)
{
    struct offload *o;

    pthread_mutex_lock(&l->lock);
    while (!l->work && !l->closing)
        pthread_cond_wait(&l->work_cond, &l->lock);
    o = l->work;
    if (o) {
        l->work = o->next;
        if (!l->work)
            l->work_tail = &l->work;
    }
    pthread_mutex_unlock(&l->lock);
    return o;
}

static void *offload_thread(void *arg)
{
    struct loop *l = arg;
    struct offload *o;
    sigset_t all;

    /* Signals are the loop's. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    while ((o = offload_take(l))) {
        o->result = o->work(o->ctx);
        loop_post(l, offload_finish, o);
    }
    return NULL;
}

void loop_offload(struct loop *l, int (*work)(void *ctx), void (*done)(void *ctx, int result),
                  void *ctx)
{
    struct offload *o = mem_zalloc(sizeof *o);

    l->offloaded++;
    o->loop = l;
    o->work = work;
    o->done = done;
    o->ctx = ctx;
    pthread_mutex_lock(&l->lock);
    *l->work_tail = o;
    l->work_tail = &o->next;
    pthread_cond_signal(&l->work_cond);
    pthread_mutex_unlock(&l->lock);
}

struct loop *loop_new(unsigned offload_threads)
{
    struct loop *l = mem_zalloc(sizeof *l);
    struct event_config *cfg = event_config_new();

    /* Timers to the microsecond are not needed; one epoll_wait without timerfd is cheaper. */
    event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
    l->base = event_base_new_with_config(cfg);
    event_config_free(cfg);
    l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (!l->base || l->wake_fd < 0)
        abort();
    for (int i = 0; i < LOOP_STAGES; i++)
        list_init(&l->tasks[i]);
    l->posts_tail = &l->posts;
    l->work_tail = &l->work;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work_cond, NULL);
    l->wake = event_new(l->base, l->wake_fd, EV_READ | EV_PERSIST, on_wake, l);
    event_add(l->wake, NULL);
    l->threads = mem_zalloc((offload_threads + 1) * sizeof *l->threads);
    for (; l->threads_n < offload_threads; l->threads_n++) {
        if (pthread_create(&l->threads[l->threads_n], NULL, offload_thread, l))
            break;
    }
    return l;
}

/* What was offloaded and not begun is dropped with what was posted and not run. */
static void drop_pending(struct loop *l)
{
    for (struct offload *o = l->work, *next; o; o = next) {
        next = o->next;
        free(o);
    }
    for (struct post *p = l->posts, *next; p; p = next) {
        next = p->next;
        if (p->fn == offload_finish)
            free(p->ctx);
        free(p);
    }
}

void loop_free(struct loop **pl)
{
    struct loop *l = *pl;

    if (!l)
        return;
    *pl = NULL;
    pthread_mutex_lock(&l->lock);
    l->closing = 1;
    pthread_cond_broadcast(&l->work_cond);
    pthread_mutex_unlock(&l->lock);
    for (unsigned i = 0; i < l->threads_n; i++)
        pthread_join(l->threads[i], NULL);
    drop_pending(l);
    event_free(l->wake);
    event_base_free(l->base);
    close(l->wake_fd);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->work_cond);
    free(l->threads);
    free(l);
}

struct event_base *loop_base(struct loop *l)
{
    return l->base;
}

int64_t loop_now(const struct loop *l)
{
    if (!l->now)
        ((struct loop *)l)->now = clock_mono(); /* a cache: constant to those who look */
    return l->now;
}

void loop_note(struct loop *l, struct loop_task *t, enum loop_stage stage)
{
    if (t->link.next && !list_empty(&t->link))
        return;
    list_add_tail(&l->tasks[stage], &t->link);
}

void loop_forget(struct loop_task *t)
{
    list_del(&t->link);
}

static int tasks_wait(const struct loop *l)
{
    for (int i = 0; i < LOOP_STAGES; i++) {
        if (!list_empty(&l->tasks[i]))
            return 1;
    }
    return 0;
}

/* A stage runs until it is empty: settling a recipient may begin the next job, whose output belongs
 * to this turn's packets. Stages never run backwards, so that the turn ends. */
static void end_of_turn(struct loop *l)
{
    for (int i = 0; i < LOOP_STAGES; i++) {
        struct list *n;
        unsigned rounds = 0;

        while (rounds++ < 100000 && (n = list_pop(&l->tasks[i]))) {
            struct loop_task *t = CONTAINER(n, struct loop_task, link);

            t->run(t->ctx);
        }
    }
    l->now = 0;
}

void loop_turn(struct loop *l, int block)
{
    l->now = 0;
    event_base_loop(l->base, EVLOOP_ONCE | (block && !tasks_wait(l) ? 0 : EVLOOP_NONBLOCK));
    end_of_turn(l);
}

void loop_quiesce(struct loop *l)
{
    while (l->offloaded && l->threads_n)
        loop_turn(l, 1);
}

void loop_run(struct loop *l)
{
    while (!l->stop)
        loop_turn(l, 1);
    l->stop = 0;
}

void loop_stop(struct loop *l)
{
    l->stop = 1;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct loop_timer *t = arg;
    void (*fire)(void *) = t->fire;
    void *ctx = t->ctx;

    (void)fd;
    (void)what;
    event_free(t->ev);
    free(t);
    fire(ctx);
}

struct loop_timer *loop_after(struct loop *l, uint64_t usec, void (*fire)(void *ctx), void *ctx)
{
    struct loop_timer *t = mem_zalloc(sizeof *t);
    struct timeval tv = { (time_t)(usec / 1000000), (suseconds_t)(usec % 1000000) };

    t->fire = fire;
    t->ctx = ctx;
    t->ev = event_new(l->base, -1, 0, on_timer, t);
    if (!t->ev || event_add(t->ev, &tv))
        abort();
    return t;
}

void loop_cancel(struct loop_timer **t)
{
    if (!*t)
        return;
    event_free((*t)->ev);
    free(*t);
    *t = NULL;
}
