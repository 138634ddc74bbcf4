/* append.c: see append.h.
 *
 * A job can be cancelled while the thread is at work. The mutex makes that clean: content is read
 * under it, so nobody reads content whose job is gone; and the decision that the batch is durable
 * is taken under it, so a recipient that was reported as deferred is not in the file, and what is
 * in the file is reported as delivered. */
#include "append.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

static void done(struct entry *e)
{
    e->state = ENTRY_DONE;
}

/* --- one message --- */

static int over_quota(struct work *w, struct entry *e)
{
    if (!work_is_maildir(w))
        w->used.bytes = w->mbox.size;
    return quota_check(w->set, &w->used, e->content_size, &e->problem) < 0;
}

static void log_undo(struct work *w, const struct entry *e, int r)
{
    if (r < 0)
        w->box->a.svc->log(
            w->box->a.host, POSTERN_LOG_ERROR, "mbox.damaged",
            "path=\"%s\" why=\"an unfinished message could not be removed: %s\" at=%llu",
            w->mbox.path, strerror(-r), (unsigned long long)e->start);
}

/* A worker was killed while it appended here: what it left is taken out, and comes again whole. */
static void log_torn(struct work *w)
{
    const struct append *a = &w->box->a;

    if (w->mbox.torn > 0)
        a->svc->log(a->host, POSTERN_LOG_NOTICE, "mbox.torn",
                    "path=\"%s\" at=%llu removed=%llu note=\"a delivery was cut short here\"",
                    w->mbox.path, (unsigned long long)w->mbox.torn_at,
                    (unsigned long long)w->mbox.torn_len);
    else if (w->mbox.torn < 0)
        a->svc->log(a->host, POSTERN_LOG_WARNING, "mbox.torn",
                    "path=\"%s\" why=\"a delivery was cut short here, and what is there now is not "
                    "only ours: it stays\"",
                    w->mbox.path);
}

static void take_failure(struct work *w, struct entry *e, int err, const char *path)
{
    if (err == ELOOP)
        problem_set(&e->problem, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, STATUS(5, 4, 6),
                    "mail for %s loops: it was delivered to this address before", e->rcpt);
    else
        quota_errno(w->set, &e->problem, err, "append to the mailbox", path);
}

static void append_one(struct work *w, struct entry *e)
{
    int r;

    if (over_quota(w, e)) {
        done(e);
        return;
    }
    e->start = w->mbox.size;
    r = message_write(w, e);
    if (!r)
        r = mbox_flush(&w->mbox);
    if (!r) {
        w->used.messages++;
        e->state = ENTRY_WRITTEN;
        return;
    }
    take_failure(w, e, -r, w->mbox.path);
    log_undo(w, e, mbox_undo(&w->mbox, e->start));
    done(e);
}

static void put_one(struct work *w, struct entry *e)
{
    int r;

    if (over_quota(w, e)) {
        done(e);
        return;
    }
    r = maildir_begin(&w->maildir, w->box->a.hostname);
    if (!r)
        r = message_write(w, e);
    if (!r)
        r = maildir_end(&w->maildir, e->file);
    if (!r) {
        w->used.messages++;
        w->used.bytes += w->maildir.size;
        e->state = ENTRY_WRITTEN;
        return;
    }
    maildir_abandon(&w->maildir);
    take_failure(w, e, -r, w->box->user->path);
    done(e);
}

/* --- a batch --- */

static int find_user(struct work *w, const struct addressee *whom, struct user *ret)
{
    int r = user_find(w->set, whom->name, whom->domain, ret);

    return r < 0 ? r : folder_place(w->set, whom->folder, ret);
}

static int same_addressee(const struct addressee *a, const struct addressee *b)
{
    return a && !strcmp(a->name, b->name) && !strcmp(a->folder, b->folder) &&
        !strcmp(a->domain, b->domain);
}

/* Finds the mailboxes of the entries. The first one found is the batch's; who has another one waits
 * for the next batch. Equal spellings are looked up once. 0: there is nobody to deliver to. */
static int find_users(struct work *w, struct user *ret)
{
    const struct addressee *spelling = NULL;
    struct user user;
    struct entry *e;
    int r = 0, found = 0;

    for (e = TAILQ_FIRST(&w->box->batch); e; e = TAILQ_NEXT(e, link)) {
        if (e->state == ENTRY_DONE)
            continue;
        if (!same_addressee(spelling, &e->whom)) {
            spelling = &e->whom;
            r = find_user(w, &e->whom, &user);
        }
        e->state = ENTRY_TODO;
        if (!r && !found) {
            *ret = user;
            found = 1;
        }
        if (!r && strcmp(user.path, ret->path) != 0) {
            e->state = ENTRY_AGAIN;
        } else if (r == -ENOENT) {
            problem_set(&e->problem, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, STATUS(5, 1, 1),
                        "no such user here: %s", e->whom.name);
            done(e);
        } else if (r < 0) {
            problem_errno(&e->problem, -r, "look up the user", e->whom.name);
            done(e);
        }
    }
    return found;
}

/* Everybody's fate who has none yet. */
static void settle_rest(struct mailbox *box, const struct problem *p)
{
    struct entry *e;

    for (e = TAILQ_FIRST(&box->batch); e; e = TAILQ_NEXT(e, link)) {
        if (e->state != ENTRY_TODO && e->state != ENTRY_WRITTEN)
            continue;
        e->problem = *p;
        done(e);
    }
}

/* Who was written is delivered now, unless somebody was cancelled in the meantime: returns him. */
static struct entry *commit(struct work *w)
{
    struct entry *e, *gone = NULL;

    pthread_mutex_lock(&w->box->lock);
    for (e = TAILQ_FIRST(&w->box->batch); e; e = TAILQ_NEXT(e, link)) {
        if (e->cancelled && e->state == ENTRY_WRITTEN && !gone)
            gone = e;
    }
    if (!gone) {
        for (e = TAILQ_FIRST(&w->box->batch); e; e = TAILQ_NEXT(e, link)) {
            if (e->state != ENTRY_WRITTEN)
                continue;
            problem_set(&e->problem, POSTERN_DELIVERED, POSTERN_CAUSE_NONE, STATUS(2, 0, 0),
                        "delivered to mailbox %s", w->mbox.path);
            done(e);
        }
        w->box->committed = 1;
    }
    pthread_mutex_unlock(&w->box->lock);
    return gone;
}

/* Takes a cancelled message out of the file again. Those behind it have to be written once more. */
static int take_out(struct work *w, struct entry *gone)
{
    struct entry *e;
    int r = mbox_undo(&w->mbox, gone->start);

    log_undo(w, gone, r);
    if (r < 0)
        return r;
    done(gone);
    for (e = TAILQ_NEXT(gone, link); e; e = TAILQ_NEXT(e, link)) {
        if (e->state == ENTRY_WRITTEN)
            e->state = ENTRY_TODO;
    }
    return 0;
}

static void append_all(struct work *w)
{
    struct problem p;
    struct entry *e, *gone;
    int r;

    do {
        for (e = TAILQ_FIRST(&w->box->batch); e; e = TAILQ_NEXT(e, link)) {
            if (e->state == ENTRY_TODO)
                append_one(w, e);
        }
        r = mbox_sync(&w->mbox);
        if (r < 0) {
            problem_errno(&p, -r, "make durable the mailbox", w->mbox.path);
            settle_rest(w->box, &p); /* mbox_close takes them out */
            return;
        }
        gone = commit(w);
    } while (gone && take_out(w, gone) == 0);
    if (gone) {
        problem_set(&p, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 0),
                    "the mailbox %s could not be cut back", w->mbox.path);
        settle_rest(w->box, &p);
    }
}

/* --- a batch into a Maildir --- */

static void take_back(struct work *w, const struct entry *e)
{
    const struct append *a = &w->box->a;
    int r = maildir_take_back(&w->maildir, e->file);

    if (r < 0)
        a->svc->log(a->host, POSTERN_LOG_WARNING, "mbox.twice",
                    "path=\"%s\" file=\"%s\" why=\"it comes once more, for this one could not be "
                    "taken back: %s\"",
                    w->box->user->path, e->file, strerror(-r));
}

/* Who was written is delivered now; who was cancelled in the meantime comes again. */
static void commit_files(struct work *w)
{
    struct entry *e;

    pthread_mutex_lock(&w->box->lock);
    for (e = TAILQ_FIRST(&w->box->batch); e; e = TAILQ_NEXT(e, link)) {
        if (e->state != ENTRY_WRITTEN || e->cancelled)
            continue;
        problem_set(&e->problem, POSTERN_DELIVERED, POSTERN_CAUSE_NONE, STATUS(2, 0, 0),
                    "delivered to mailbox %s", w->box->user->path);
        done(e);
    }
    w->box->committed = 1;
    pthread_mutex_unlock(&w->box->lock);
    for (e = TAILQ_FIRST(&w->box->batch); e; e = TAILQ_NEXT(e, link)) {
        if (e->state != ENTRY_WRITTEN)
            continue;
        take_back(w, e);
        done(e);
    }
}

static void put_all(struct work *w)
{
    struct problem p;
    struct entry *e;
    int r;

    for (e = TAILQ_FIRST(&w->box->batch); e; e = TAILQ_NEXT(e, link)) {
        if (e->state == ENTRY_TODO)
            put_one(w, e);
    }
    r = maildir_sync(&w->maildir);
    if (!r) {
        commit_files(w);
        return;
    }
    problem_errno(&p, -r, "make durable the mailbox", w->box->user->path);
    for (e = TAILQ_FIRST(&w->box->batch); e; e = TAILQ_NEXT(e, link)) {
        if (e->state == ENTRY_WRITTEN)
            take_back(w, e);
    }
    settle_rest(w->box, &p);
}

static int measure_maildir(struct work *w, struct problem *reterr)
{
    struct privilege privilege = { 0 };
    int r = quota_limits(w->set) ? privilege_take(&privilege, w->box->user) : 0;

    if (!r && quota_limits(w->set))
        r = quota_of_maildir(w->box->user->root, &w->used);
    privilege_return(&privilege);
    if (r < 0)
        problem_errno(reterr, -r, "measure the Maildir", w->box->user->root);
    return r;
}

static int deliver_maildir(struct work *w, struct problem *reterr)
{
    int r = maildir_open(&w->maildir, w->set, w->box->user, reterr);

    if (r < 0)
        return r;
    r = measure_maildir(w, reterr);
    if (!r)
        put_all(w);
    maildir_close(&w->maildir);
    return r;
}

/* --- a batch into an mbox --- */

/* In his own home a user may have put anything in the way. */
static int take_home(struct work *w, struct privilege *privilege, struct problem *reterr)
{
    int r = folder_at_home(w->set) ? privilege_take(privilege, w->box->user) : 0;

    if (r < 0)
        problem_errno(reterr, -r, "become the user of", w->box->user->path);
    return r;
}

static int open_mbox(struct work *w, struct problem *reterr)
{
    struct privilege privilege = { 0 };
    int r = take_home(w, &privilege, reterr);

    if (!r)
        r = mbox_open(&w->mbox, w->set, w->box->user, reterr);
    privilege_return(&privilege);
    return r;
}

static void close_mbox(struct work *w)
{
    struct privilege privilege = { 0 };
    struct problem ignored;

    (void)take_home(w, &privilege, &ignored);
    mbox_close(&w->mbox);
    privilege_return(&privilege);
}

static int deliver_mbox(struct work *w, struct problem *reterr)
{
    int r = open_mbox(w, reterr);

    if (r < 0)
        return r;
    log_torn(w);
    if (quota_counts(w->set))
        r = quota_of_mbox(w->mbox.fd, &w->used.messages);
    if (r < 0)
        problem_errno(reterr, -r, "read", w->mbox.path);
    else
        append_all(w);
    close_mbox(w);
    return r;
}

/* --- either --- */

static struct work *work_new(struct mailbox *box)
{
    struct work *w = malloc(sizeof *w);

    if (!box->user)
        box->user = malloc(sizeof *box->user);
    if (!w || !box->user) {
        free(w);
        return NULL;
    }
    w->box = box;
    w->set = box->a.set;
    memset(&w->used, 0, sizeof w->used);
    return w;
}

int append_batch(void *ctx)
{
    struct mailbox *box = ctx;
    struct work *w = work_new(box);
    struct problem p;
    int r = 0;

    if (!w) {
        problem_errno(&p, ENOMEM, "write to the mailbox of", box->key);
        settle_rest(box, &p);
        return 0;
    }
    if (find_users(w, box->user)) {
        r = work_is_maildir(w) ? deliver_maildir(w, &p) : deliver_mbox(w, &p);
        if (r < 0 && r != -EWOULDBLOCK)
            settle_rest(box, &p);
    }
    free(w);
    return r == -EWOULDBLOCK ? r : 0;
}
