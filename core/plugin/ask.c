/* plugin/ask.c: route_ask: what the router says of a recipient, with everything that it needs
 * fetched on the way. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/log.h"
#include "plugin/directory.h"
#include "plugin/host_private.h"
#include "util/mem.h"

#define ASK_ROUNDS_MAX 100u  /* then it is "not now": something brings no answers */
#define ASK_BUDGET     5000u /* of route_expand */

struct ask_slot { /* one question */
    struct host_ask *ask;
    struct directory_wait *wait; /* NULL: answered */
};

struct host_ask {
    struct host_pending *pending; /* NULL: forgotten, a thread is still at it */
    postern_host *host;
    struct loop_task task;
    struct ask_slot slots[ROUTE_NEEDS_MAX];
    size_t waiting;
    unsigned rounds;
    int working;   /* a thread reads personal alias files */
    int64_t since; /* when it began: monotonic */
    char *sender, *rcpt, *users;
    size_t users_len;
    struct alias_report report;
};

static void ask_free(struct host_ask *a)
{
    loop_forget(&a->task);
    for (size_t i = 0; i < ROUTE_NEEDS_MAX; i++)
        directory_forget(&a->slots[i].wait);
    a->pending = NULL;
    if (a->working)
        return; /* its end frees it */
    alias_report_done(&a->report);
    free(a->sender);
    free(a->rcpt);
    free(a->users);
    free(a);
}

void host_ask_free(struct host_ask **a)
{
    if (*a)
        ask_free(*a);
    *a = NULL;
}

/* --- fetching --- */

static void again(struct host_ask *a)
{
    loop_note(a->host->env->loop, &a->task, LOOP_STAGE_WORK);
}

static void on_answer(void *ctx)
{
    struct ask_slot *slot = ctx;

    slot->wait = NULL;
    if (!--slot->ask->waiting)
        again(slot->ask);
}

static int read_personal(void *ctx)
{
    struct host_ask *a = ctx;

    route_personal(a->host->env->routes, a->users, a->users_len, &a->report);
    return 0;
}

static void on_personal(void *ctx, int result)
{
    struct host_ask *a = ctx;

    (void)result;
    a->working = 0;
    if (a->pending)
        again(a);
    else
        ask_free(a);
}

static void fetch(struct host_ask *a, const struct route_expansion *e)
{
    if (e->wanted) {
        free(a->users);
        a->users = memcpy(mem_alloc(e->wanted_len), e->wanted, e->wanted_len);
        a->users_len = e->wanted_len;
        a->working = 1;
        loop_offload(a->host->env->loop, read_personal, on_personal, a);
        return;
    }
    a->waiting = e->need_n;
    for (size_t i = 0; i < e->need_n; i++) {
        a->slots[i].ask = a;
        a->slots[i].wait = directory_ask(a->host->hosts, &e->needs[i], on_answer, &a->slots[i]);
    }
}

/* --- answering --- */

static const struct route_decision *decision_of(const struct route_expansion *e)
{
    return e->aliased || !e->n ? &e->first : &e->leaves[0].decision;
}

/* That it is an alias is enough: the rest is the queue's. */
static int ask_router(postern_host *h, const struct route_query *q, struct route_expansion *ret)
{
    struct route_query limited = *q;
    int r;

    limited.budget = ASK_BUDGET;
    r = route_expand(h->env->routes, &limited, 0, ret);
    return r == -E2BIG || (ret->aliased && (r == -EAGAIN || r == -EINPROGRESS)) ? 0 : r;
}

int host_verdict_known(postern_host *h, const struct route_query *q, struct postern_verdict *ret)
{
    struct route_expansion e;
    int r = ask_router(h, q, &e);

    if (r == 0)
        host_verdict(decision_of(&e), ret);
    route_expansion_done(&e);
    return r;
}

static void run(void *ctx)
{
    struct host_ask *a = ctx;
    struct route_query q = {
        .sender = a->sender, .rcpt = a->rcpt, .ingress = a->host->name, .asked = a->since
    };
    struct postern_verdict verdict = { .size = sizeof verdict };
    struct route_expansion e;
    int r = ask_router(a->host, &q, &e);

    if (r == -EAGAIN && a->rounds++ < ASK_ROUNDS_MAX) {
        fetch(a, &e);
        route_expansion_done(&e);
        return;
    }
    if (r == 0)
        host_verdict(decision_of(&e), &verdict);
    route_expansion_done(&e);
    host_ask_over(a->pending, r, &verdict);
}

struct host_ask *host_ask_new(postern_host *h, struct host_pending *p, const char *sender,
                              const char *rcpt)
{
    struct host_ask *a = mem_zalloc(sizeof *a);

    a->host = h;
    a->pending = p;
    a->since = loop_now(h->env->loop);
    a->sender = sender ? mem_strdup(sender) : NULL;
    a->rcpt = mem_strdup(rcpt);
    a->task.run = run;
    a->task.ctx = a;
    again(a);
    return a;
}
