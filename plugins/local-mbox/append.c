/* append.c: see append.h, and ../common/batch.h for how a batch into an mbox goes. */
#include "append.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/batch.h"
#include "message.h"
#include "notify.h"

static struct entry *first(const struct work *w)
{
    return (struct entry *)TAILQ_FIRST(&w->box->place.batch);
}

static struct entry *next(const struct entry *e)
{
    return (struct entry *)TAILQ_NEXT(&e->d, link);
}

static void done(struct entry *e)
{
    e->d.state = DELIVERY_DONE;
}

/* --- one message --- */

static int over_quota(struct work *w, struct entry *e)
{
    if (!work_is_maildir(w))
        w->used.bytes = w->mbox.tail.size;
    return quota_check(w->set, &w->used, e->d.content_size, &e->d.problem) < 0;
}

static void take_failure(struct work *w, struct entry *e, int err, const char *path)
{
    if (err == ELOOP)
        problem_set(&e->d.problem, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, STATUS(5, 4, 6),
                    "mail for %s loops: it was delivered to this address before", e->d.rcpt);
    else
        quota_errno(w->set, &e->d.problem, err, "append to the mailbox", path);
}

static int append_one(void *work, struct delivery *d)
{
    struct work *w = work;
    struct entry *e = (struct entry *)d;
    int r;

    if (over_quota(w, e))
        return -EDQUOT;
    r = message_write(w, e);
    if (!r)
        r = tail_flush(&w->mbox.tail);
    if (r < 0)
        take_failure(w, e, -r, w->mbox.tail.name);
    else
        w->used.messages++;
    return r;
}

static void put_one(struct work *w, struct entry *e)
{
    int r;

    if (over_quota(w, e)) {
        done(e);
        return;
    }
    r = maildir_begin(&w->maildir, w->a->hostname);
    if (!r)
        r = message_write(w, e);
    if (!r)
        r = maildir_end(&w->maildir, e->file);
    if (!r) {
        w->used.messages++;
        w->used.bytes += w->maildir.size;
        e->d.state = DELIVERY_WRITTEN;
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

    for (e = first(w); e; e = next(e)) {
        if (e->d.state == DELIVERY_DONE)
            continue;
        if (!same_addressee(spelling, &e->whom)) {
            spelling = &e->whom;
            r = find_user(w, &e->whom, &user);
        }
        e->d.state = DELIVERY_TODO;
        if (!r && !found) {
            *ret = user;
            found = 1;
        }
        if (!r && strcmp(user.path, ret->path) != 0) {
            e->d.state = DELIVERY_AGAIN;
        } else if (r == -ENOENT) {
            problem_set(&e->d.problem, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, STATUS(5, 1, 1),
                        "no such user here: %s", e->whom.name);
            done(e);
        } else if (r < 0) {
            mailbox_errno(&e->d.problem, -r, "look up the user", e->whom.name);
            done(e);
        }
    }
    return found;
}

/* --- a batch into a Maildir --- */

static void take_back(struct work *w, const struct entry *e)
{
    const struct queue_for *a = &w->box->place.a;
    int r = maildir_take_back(&w->maildir, e->file);

    if (r < 0)
        a->svc->log(a->host, POSTERN_LOG_WARNING, "mbox.twice",
                    "path=%s file=%s why=\"it comes once more, for this one could not be taken "
                    "back: %s\"",
                    POSTERN_LOG_QUOTED(w->box->user->path), POSTERN_LOG_QUOTED(e->file),
                    strerror(-r));
}

/* Who was written is delivered now; who was cancelled in the meantime comes again. */
static void commit_files(struct work *w)
{
    struct entry *e;

    pthread_mutex_lock(&w->box->place.lock);
    for (e = first(w); e; e = next(e)) {
        if (e->d.state != DELIVERY_WRITTEN || e->d.cancelled)
            continue;
        problem_set(&e->d.problem, POSTERN_DELIVERED, POSTERN_CAUSE_NONE, STATUS(2, 0, 0),
                    "delivered to mailbox %s", w->box->user->path);
        done(e);
    }
    w->box->place.committed = 1;
    pthread_mutex_unlock(&w->box->place.lock);
    for (e = first(w); e; e = next(e)) {
        if (e->d.state != DELIVERY_WRITTEN)
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

    for (e = first(w); e; e = next(e)) {
        if (e->d.state == DELIVERY_TODO)
            put_one(w, e);
    }
    r = maildir_sync(&w->maildir);
    if (!r) {
        commit_files(w);
        return;
    }
    mailbox_errno(&p, -r, "make durable the mailbox", w->box->user->path);
    for (e = first(w); e; e = next(e)) {
        if (e->d.state == DELIVERY_WRITTEN)
            take_back(w, e);
    }
    batch_settle(&w->box->place, &p);
}

static int measure_maildir(struct work *w, struct problem *reterr)
{
    struct privilege privilege = { 0 };
    int r = quota_limits(w->set) ? privilege_take(&privilege, w->box->user) : 0;

    if (!r && quota_limits(w->set))
        r = quota_of_maildir(w->box->user->root, &w->used);
    privilege_return(&privilege);
    if (r < 0)
        mailbox_errno(reterr, -r, "measure the Maildir", w->box->user->root);
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
        mailbox_errno(reterr, -r, "become the user of", w->box->user->path);
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
    tail_close(&w->mbox.tail);
    privilege_return(&privilege);
}

static int deliver_mbox(struct work *w, struct problem *reterr)
{
    const struct batch batch = {
        .place = &w->box->place,
        .tail = &w->mbox.tail,
        .append = append_one,
        .work = w,
        .torn = "mbox.torn",
        .damaged = "mbox.damaged",
    };
    int r = open_mbox(w, reterr);

    if (r < 0)
        return r;
    if (quota_counts(w->set))
        r = quota_of_mbox(w->mbox.tail.fd, &w->used.messages);
    if (r < 0)
        mailbox_errno(reterr, -r, "read", w->mbox.tail.name);
    else
        batch_append(&batch);
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
    w->a = box->place.a.self;
    w->set = w->a->set;
    memset(&w->used, 0, sizeof w->used);
    return w;
}

static int append_batch(struct place *place)
{
    struct mailbox *box = (struct mailbox *)place;
    struct work *w = work_new(box);
    struct problem p;
    int r = 0;

    if (!w) {
        mailbox_errno(&p, ENOMEM, "write to the mailbox of", place->key);
        batch_settle(place, &p);
        return 0;
    }
    if (find_users(w, box->user)) {
        r = work_is_maildir(w) ? deliver_maildir(w, &p) : deliver_mbox(w, &p);
        if (r < 0 && r != -EWOULDBLOCK)
            batch_settle(place, &p);
    }
    free(w);
    return r == -EWOULDBLOCK ? r : 0;
}

/* --- on the loop --- */

static void name_of(const struct delivery *d, char *buf, size_t size)
{
    snprintf(buf, size, "the mailbox of %s", ((const struct entry *)d)->whom.name);
}

static void tell(const struct delivery *d)
{
    const struct append *a = d->place->a.self;
    const struct user *user = ((const struct mailbox *)d->place)->user;
    const struct notify_mail mail = {
        .id = d->place->a.svc->job_id(d->job),
        .sender = d->sender,
        .rcpt = d->rcpt,
        .user = user,
        .folder = user->in_folder ? ((const struct entry *)d)->whom.folder : "",
    };

    notify_send(a->notify, &mail);
}

static void mailbox_done(struct place *place)
{
    free(((struct mailbox *)place)->user);
}

const struct queue_ops append_ops = {
    .place_size = sizeof(struct mailbox),
    .delivery_size = sizeof(struct entry),
    .append = append_batch,
    .name = name_of,
    .delivered = tell,
    .done = mailbox_done,
};
