/* post.c: see post.h.
 *
 * A post becomes one new message: its content once, all members as its recipients. The old message
 * is settled when the new one is durable, so a crash in between repeats it and loses nothing.
 * Threads read, the loop writes: piece by piece, so that a list of any length needs the same
 * memory here. */
#include "post.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- making and ending --- */

static const char *put_text(char **at, const char *text)
{
    const char *put = *at;

    if (!text)
        return NULL;
    *at = stpcpy(*at, text) + 1;
    return put;
}

static struct post *post_new(struct lister *l, postern_job *job, size_t i)
{
    const struct postern_services *svc = l->svc;
    const char *texts[7] = {
        svc->job_sender(job),
        svc->job_rcpt(job, i),
        svc->job_id(job),
        POSTERN_HAS(svc, job_client) ? svc->job_client(job) : "",
        svc->job_param(job, "list"),
        svc->job_param(job, "owner"),
        svc->job_param(job, "members"),
    };
    size_t len = 0;
    struct post *p;
    char *at;

    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        len += texts[k] ? strlen(texts[k]) + 1 : 0;
    p = calloc(1, sizeof *p + len);
    if (!p)
        return NULL;
    at = p->text;
    p->sender = put_text(&at, texts[0]);
    p->rcpt = put_text(&at, texts[1]);
    p->id = put_text(&at, texts[2]);
    p->client = put_text(&at, texts[3]);
    p->route.list = put_text(&at, texts[4]);
    p->route.owner = put_text(&at, texts[5]);
    p->route.members = put_text(&at, texts[6]);
    p->l = l;
    p->job = job;
    p->i = i;
    p->content = svc->job_content(job);
    p->content_size = svc->content_size(p->content);
    p->flags = svc->job_flags(job);
    p->released = POSTERN_HAS(svc, job_released) && svc->job_released(job, i);
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

static void room_free(struct post *p)
{
    struct room *room = p->room;

    if (!room)
        return;
    p->l->svc->submit_free(room->submit);
    members_close(&room->members);
    state_done(&room->state);
    free(room->head);
    free(room);
    p->room = NULL;
}

static int room_new(struct post *p)
{
    p->room = calloc(1, sizeof *p->room);
    if (!p->room)
        return -ENOMEM;
    p->room->members.fd = -1;
    return 0;
}

static void post_free(struct post *p)
{
    room_free(p);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static void pump(struct lister *l);

/* It is settled; nobody will call back. */
static void finish(struct post *p)
{
    struct lister *l = p->l;

    TAILQ_REMOVE(&l->at_work, p, link);
    l->at_work_n--;
    post_free(p);
    if (!l->closed)
        pump(l);
}

/* From here on the content may be gone. */
static void settle(struct post *p, const struct problem *problem)
{
    postern_job *job = p->job;

    pthread_mutex_lock(&p->lock);
    p->cancelled = 1;
    pthread_mutex_unlock(&p->lock);
    p->job = NULL;
    problem_settle(problem, p->l->svc, job, p->i);
}

static void end(struct post *p)
{
    settle(p, &p->room->problem);
    finish(p);
}

static void end_errno(struct post *p, int err, const char *what, const char *name)
{
    problem_errno(&p->room->problem, -err, what, name);
    end(p);
}

/* Gives the post to a thread. done must begin with back(). */
static void hand_over(struct post *p, int (*work)(void *), postern_done *done)
{
    int r = p->l->svc->offload(p->l->host, work, done, p);

    p->working = !r;
    if (r < 0)
        end_errno(p, r, "handle", "the message: no thread");
}

/* 1: it goes on; 0: it was cancelled meanwhile, and is gone. */
static int back(struct post *p)
{
    p->working = 0;
    if (p->job)
        return 1;
    finish(p);
    return 0;
}

/* --- the new message --- */

static void next_piece(struct post *p);
static void start(struct post *p);

static void noted(void *ctx, int result)
{
    struct post *p = ctx;

    if (result < 0)
        p->l->svc->log(p->l->host, POSTERN_LOG_WARNING, "list.state",
                       "id=%s list=%s path=%s why=\"cannot be written: %s\"", p->id,
                       POSTERN_LOG_QUOTED(p->room->place.list),
                       POSTERN_LOG_QUOTED(p->room->state_path), strerror(-result));
    p->working = 0;
    finish(p);
}

static int note_post(void *ctx)
{
    struct post *p = ctx;
    const struct room *room = p->room;

    return state_note_post(room->state_path, room->place.list, p->id, room->sent, room->place.file,
                           p->l->set->bounce_window / POSTERN_SECONDS(1), time(NULL));
}

static void log_done(const struct post *p)
{
    const struct room *room = p->room;

    if (room->place.role != ROLE_POST)
        p->l->svc->log(p->l->host, POSTERN_LOG_INFO, "list.owner", "id=%s list=%s to=%s new=%s",
                       p->id, POSTERN_LOG_QUOTED(room->place.list),
                       POSTERN_LOG_QUOTED(room->place.owner), room->submit_id);
    else
        p->l->svc->log(p->l->host, POSTERN_LOG_INFO, "list.post",
                       "id=%s list=%s members=%llu disabled=%llu bad=%llu new=%s", p->id,
                       POSTERN_LOG_QUOTED(room->place.list), (unsigned long long)room->sent,
                       (unsigned long long)room->disabled, (unsigned long long)room->bad,
                       room->submit_id);
}

static void committed(void *ctx, int result)
{
    struct post *p = ctx;
    struct room *room = p->room;

    if (!back(p))
        return;
    if (result == -ELOOP) {
        problem_set(&room->problem, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, STATUS(5, 4, 6),
                    "the message came over too many hosts: it goes in circles");
        end(p);
        return;
    }
    if (result < 0) {
        end_errno(p, result, "store", "the message for the members");
        return;
    }
    log_done(p);
    if (room->place.role == ROLE_POST)
        problem_set(&room->problem, POSTERN_DELIVERED, POSTERN_CAUSE_NONE, STATUS(2, 0, 0),
                    "posted to %llu members of %s as %s", (unsigned long long)room->sent,
                    room->place.list, room->submit_id);
    else
        problem_set(&room->problem, POSTERN_DELIVERED, POSTERN_CAUSE_NONE, STATUS(2, 0, 0),
                    "passed on to the owner as %s", room->submit_id);
    settle(p, &room->problem);
    if (*room->state_path && room->place.role == ROLE_POST &&
        p->l->svc->offload(p->l->host, note_post, noted, p) == 0) {
        p->working = 1;
        return;
    }
    finish(p);
}

static void commit(struct post *p)
{
    postern_submit *s = p->room->submit;

    p->room->submit = NULL; /* consumed, whatever comes */
    p->working = 1;
    p->l->svc->submit_commit(s, committed, p);
}

static void roomy(void *ctx, int result)
{
    struct post *p = ctx;

    (void)result;
    next_piece(p);
}

/* 1: it waits for room, or is over; 0: go on. */
static int write_piece(struct post *p, const char *data, size_t len)
{
    int r = p->l->svc->submit_write(p->room->submit, data, len);

    if (r < 0) {
        end_errno(p, r, "store", "the message for the members");
        return 1;
    }
    if (r > 0)
        p->l->svc->submit_room(p->room->submit, roomy, p);
    return r > 0;
}

/* --- recipients --- */

static void got_members(void *ctx, int result);

static void no_members(struct post *p)
{
    const struct room *room = p->room;

    problem_set(&p->room->problem, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5),
                "the list %s has no member that mail could go to (%llu are disabled, %llu lines of "
                "%s cannot be read)",
                room->place.list, (unsigned long long)room->disabled, (unsigned long long)room->bad,
                room->place.file);
    end(p);
}

/* How many the new message has already; an older host can't say. */
static size_t rcpts(const struct post *p)
{
    const struct postern_services *svc = p->l->svc;

    return POSTERN_HAS(svc, submit_rcpts) ? svc->submit_rcpts(p->room->submit) : 0;
}

static int add_rcpt(struct post *p, const char *address)
{
    const struct postern_services *svc = p->l->svc;
    struct room *room = p->room;
    size_t before = rcpts(p);
    int r = room->sent < (uint64_t)p->l->set->members_max ? svc->submit_rcpt(room->submit, address)
                                                          : -E2BIG;

    /* A member who is in the file twice is one. */
    if (!r && (!POSTERN_HAS(svc, submit_rcpts) || rcpts(p) > before))
        room->sent++;
    if (r == -EINVAL)
        room->bad++;
    if (r != -E2BIG)
        return 0;
    problem_set(&room->problem, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5),
                "the list %s has more than %llu members", room->place.list,
                (unsigned long long)room->sent);
    return r;
}

static void next_members(struct post *p)
{
    hand_over(p, look_members, got_members);
}

/* The members have changed while they were read: once more from the beginning. */
static void again(struct post *p)
{
    if (++p->tries >= POST_TRIES) {
        end(p);
        return;
    }
    room_free(p);
    start(p);
}

static void got_members(void *ctx, int result)
{
    struct post *p = ctx;
    struct room *room = p->room;

    (void)result;
    if (!back(p))
        return;
    if (room->failed == -EAGAIN) {
        again(p);
        return;
    }
    if (room->failed) {
        end(p);
        return;
    }
    for (size_t at = 0; at < room->len; at += strlen(room->data + at) + 1) {
        if (add_rcpt(p, room->data + at) < 0) {
            end(p);
            return;
        }
    }
    if (!room->all)
        next_members(p);
    else if (room->sent)
        commit(p);
    else
        no_members(p);
}

/* The archive is one more recipient, whose transport knows about files. */
static int add_archive(struct post *p)
{
    char address[POSTERN_ADDRESS_MAX + 1];
    const char *archive = p->l->set->archive;

    if (!archive)
        return 0;
    if (place_text(&p->room->place, archive, 0, address, sizeof address, NULL) >= 0 &&
        p->l->svc->submit_rcpt(p->room->submit, address) == 0)
        return 0;
    problem_set(&p->room->problem, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5),
                "the archive \"%s\" gives no address for the list %s", archive,
                p->room->place.list);
    return -EINVAL;
}

static void recipients(struct post *p)
{
    int r = p->room->place.role == ROLE_POST
        ? add_archive(p)
        : p->l->svc->submit_rcpt(p->room->submit, p->room->place.owner);

    if (r < 0 && p->room->place.role != ROLE_POST)
        end_errno(p, r, "write to", p->room->place.owner);
    else if (r < 0)
        end(p);
    else if (p->room->place.role == ROLE_POST)
        next_members(p);
    else
        commit(p);
}

/* --- content --- */

static int read_piece(void *ctx)
{
    struct post *p = ctx;
    int64_t n = look_content(p, p->room->at, p->room->data, POST_PIECE);

    p->room->len = n > 0 ? (size_t)n : 0;
    return n < 0 ? (int)n : 0;
}

static void got_piece(void *ctx, int result)
{
    struct post *p = ctx;
    struct room *room = p->room;

    if (!back(p))
        return;
    if (!result && !room->len)
        result = -EIO;
    if (result < 0) {
        end_errno(p, result, "read", "the message");
        return;
    }
    room->at += room->len;
    if (!write_piece(p, room->data, room->len))
        next_piece(p);
}

static void next_piece(struct post *p)
{
    if (p->room->at < p->content_size)
        hand_over(p, read_piece, got_piece);
    else
        recipients(p);
}

/* --- the beginning --- */

static const char *return_path(const struct post *p)
{
    const struct settings *set = p->l->set;
    const struct place *place = &p->room->place;

    if (place->role != ROLE_POST)
        return p->sender;
    return *place->owner && !set->verp && set->return_path == RETURN_OWNER ? place->owner
                                                                           : place->bounces;
}

/* In one piece: after each write there may have to be a wait. */
static int write_head(struct post *p)
{
    struct room *room = p->room;
    char *text, date[64];
    int n, r;

    text = malloc(LIST_TEXT_MAX + room->head_len);
    if (!text)
        return -ENOMEM;
    postern_date_format(time(NULL), date, sizeof date);
    n = snprintf(text, LIST_TEXT_MAX, "Received: by %s (Postern list, from %s)\r\n\tid %s; %s\r\n",
                 p->l->svc->hostname(p->l->host), p->id, room->submit_id, date);
    if (room->head_len)
        memcpy(text + n, room->head, room->head_len);
    r = p->l->svc->submit_write(room->submit, text, (size_t)n + room->head_len);
    free(text);
    return r;
}

static void submit(struct post *p)
{
    struct room *room = p->room;
    struct postern_envelope e = { .size = sizeof e,
                                  .sender = return_path(p),
                                  .flags = p->flags,
                                  .size_hint = p->content_size,
                                  .client = p->client,
                                  .protocol = "list" };
    int r;

    if (room->place.role == ROLE_POST)
        e.flags |= POSTERN_MAIL_LIST | (p->l->set->verp ? POSTERN_MAIL_VERP : 0);
    r = p->l->svc->submit_new(p->l->host, &e, &room->submit);
    if (r < 0) {
        end_errno(p, r, "store", "the message for the members");
        return;
    }
    snprintf(room->submit_id, sizeof room->submit_id, "%s", p->l->svc->submit_id(room->submit));
    r = write_head(p);
    if (r < 0)
        end_errno(p, r, "store", "the message for the members");
    else if (r > 0)
        p->l->svc->submit_room(room->submit, roomy, p);
    else
        next_piece(p);
}

static void looked(void *ctx, int result)
{
    struct post *p = ctx;

    if (!back(p))
        return;
    if (result > 0)
        submit(p);
    else
        end(p);
}

static void start(struct post *p)
{
    struct problem problem;

    if (room_new(p) == 0) {
        hand_over(p, look, looked);
        return;
    }
    problem_errno(&problem, ENOMEM, "handle", "the message");
    settle(p, &problem);
    finish(p);
}

/* Each start may end at once, and finish() pumps: only the outermost call goes on with the next. */
static void pump(struct lister *l)
{
    if (l->pumping)
        return;
    l->pumping = 1;
    while (l->at_work_n < POSTS_AT_WORK && !TAILQ_EMPTY(&l->waiting)) {
        struct post *p = TAILQ_FIRST(&l->waiting);

        TAILQ_REMOVE(&l->waiting, p, link);
        TAILQ_INSERT_TAIL(&l->at_work, p, link);
        l->at_work_n++;
        start(p);
    }
    l->pumping = 0;
}

int post_add(struct lister *l, postern_job *job, size_t i)
{
    struct post *p = post_new(l, job, i);

    if (!p)
        return -ENOMEM;
    TAILQ_INSERT_TAIL(&l->waiting, p, link);
    pump(l);
    return 0;
}

/* --- giving up --- */

void post_cancel(struct lister *l, postern_job *job)
{
    struct problem taken;
    struct post *p, *next;

    problem_set(&taken, POSTERN_DEFERRED, POSTERN_CAUSE_MESSAGE, STATUS(4, 4, 7),
                "the message was taken back before it was posted");
    for (p = TAILQ_FIRST(&l->waiting); p; p = next) {
        next = TAILQ_NEXT(p, link);
        if (p->job != job)
            continue;
        TAILQ_REMOVE(&l->waiting, p, link);
        settle(p, &taken);
        post_free(p);
    }
    for (p = TAILQ_FIRST(&l->at_work); p; p = next) {
        next = TAILQ_NEXT(p, link);
        if (p->job != job)
            continue;
        settle(p, &taken);
        if (!p->working)
            finish(p);
    }
}

/* All are settled; a thread that is still at one (the host lets them end first) keeps it. */
void post_end_all(struct lister *l)
{
    struct post *p, *next;

    l->closed = 1;
    for (p = TAILQ_FIRST(&l->at_work); p; p = next) {
        next = TAILQ_NEXT(p, link);
        if (!p->working)
            finish(p);
    }
}
