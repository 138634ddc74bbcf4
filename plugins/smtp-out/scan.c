/* scan.c: see scan.h.
 *
 * The only part of the plugin that meets a thread. `lock` guards `content`: the thread holds it
 * during each read, the loop takes it to pull the content away when the job must end now. */
#include "scan.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct scan {
    const struct postern_services *svc;
    pthread_mutex_t lock;
    postern_content *content; /* NULL: abandoned */
    postern_done *done;
    void *ctx;
};

/* Where in the text we are, across reads: a header ends at an empty line. */
struct header_state {
    int at_line_start, over, found;
};

static void look(struct header_state *h, const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n && !h->over && !h->found; i++) {
        if (p[i] == '\n') {
            h->over = h->at_line_start;
            h->at_line_start = 1;
        } else if (p[i] != '\r') {
            h->at_line_start = 0;
        }
        h->found = p[i] >= 0x80;
    }
}

static int64_t read_guarded(struct scan *s, uint64_t at, void *buf, size_t size)
{
    int64_t n = -ECANCELED;

    pthread_mutex_lock(&s->lock);
    if (s->content)
        n = s->svc->content_read(s->content, at, buf, size);
    pthread_mutex_unlock(&s->lock);
    return n;
}

static int work(void *ctx)
{
    struct scan *s = ctx;
    struct header_state h = { .at_line_start = 1 };
    unsigned char buf[8192];

    for (uint64_t at = 0; at < SCAN_HEADER_MAX && !h.over && !h.found;) {
        int64_t n = read_guarded(s, at, buf, sizeof buf);

        if (n < 0)
            return (int)n;
        if (n == 0)
            break;
        look(&h, buf, (size_t)n);
        at += (uint64_t)n;
    }
    return h.found;
}

static void scan_free(struct scan *s)
{
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static void finished(void *ctx, int result)
{
    struct scan *s = ctx;
    postern_done *done = s->content ? s->done : NULL;
    void *done_ctx = s->ctx;

    scan_free(s);
    if (done)
        done(done_ctx, result);
}

int scan_start(postern_host *host, const struct postern_services *svc, postern_content *content,
               postern_done *done, void *ctx, struct scan **ret)
{
    struct scan *s = calloc(1, sizeof *s);
    int r;

    if (!s)
        return -ENOMEM;
    s->svc = svc;
    s->content = content;
    s->done = done;
    s->ctx = ctx;
    pthread_mutex_init(&s->lock, NULL);
    r = svc->offload(host, work, finished, s);
    if (r < 0) {
        scan_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

void scan_abandon(struct scan **scan)
{
    if (!*scan)
        return;
    pthread_mutex_lock(&(*scan)->lock);
    (*scan)->content = NULL;
    pthread_mutex_unlock(&(*scan)->lock);
    *scan = NULL;
}
