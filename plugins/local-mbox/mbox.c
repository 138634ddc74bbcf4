/* mbox.c: see mbox.h, and ../common/tail.c for how a file is opened that is not trusted. */
#include "mbox.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "folder.h"

#define MBOX_MODE 0600

/* Somebody might own a mailbox that was made for him by name; nobody shall own another's. */
static const char *refuse(const struct stat *st, const void *ctx)
{
    const struct user *user = ctx;

    if (user->known && st->st_uid != user->uid && st->st_uid != geteuid())
        return "belongs to somebody else";
    return NULL;
}

static int made(int fd, const void *ctx)
{
    const struct user *user = ctx;

    if (user->known && geteuid() == 0 && fchown(fd, user->uid, user->gid) < 0)
        return -errno;
    return 0;
}

int mbox_open(struct mbox *m, const struct settings *set, const struct user *user,
              struct problem *reterr)
{
    int r = folder_parents(set, user, user->path);

    m->how = (struct tail_how){
        .what = "mailbox",
        .errors = mailbox_errors,
        .dot_lock = set->dot_lock,
        .lock_stale = set->lock_stale,
        .lines = 1,
        .create = set->users != USERS_EXISTING,
        .mode = MBOX_MODE,
        .made = made,
        .refuse = refuse,
        .ctx = user,
    };
    tail_init(&m->tail, &m->how);
    memcpy(m->path, user->path, sizeof m->path);
    m->tail.folder = AT_FDCWD;
    m->tail.leaf = m->tail.name = m->tail.locked = m->path;
    if (r < 0) {
        mailbox_errno(reterr, -r, "make the folders of", m->path);
        return r;
    }
    return tail_open(&m->tail, reterr);
}
