/* maildir.h: one folder of a Maildir: each message a file, which comes into being under tmp/, is
 * made durable there, and then appears under new/ at once. No locks: any number of processes may
 * deliver. Blocks: for threads only. See https://cr.yp.to/proto/maildir.html, and Maildir++ for the
 * folders in it. */
#ifndef LOCAL_MBOX_MAILDIR_H
#define LOCAL_MBOX_MAILDIR_H

#include <limits.h>

#include "local-mbox.h"
#include "privilege.h"
#include "users.h"

#define MAILDIR_NAME_MAX 256u /* bytes of a message's name, NUL included */

struct maildir {
    int tmp, ready; /* the folders tmp and new                  */
    int fd;         /* the message that is being written; or -1 */
    struct user user;
    struct privilege privilege;
    uint64_t size;               /* of it, so far                                  */
    unsigned number;             /* messages begun                                 */
    char name[MAILDIR_NAME_MAX]; /* its name in tmp              */
};

/* Makes what is missing. hostname: for unique names. 0; -errno: *reterr says why in words. */
int maildir_open(struct maildir *m, const struct settings *set, const struct user *user,
                 struct problem *reterr);
void maildir_close(struct maildir *m);

/* One message: begin, write as often as need be, then end or abandon. 0 or -errno. */
int maildir_begin(struct maildir *m, const char *hostname);
int maildir_write(struct maildir *m, const void *data, size_t len);
int maildir_end(struct maildir *m, char ret_name[MAILDIR_NAME_MAX]); /* -errno: abandoned */
void maildir_abandon(struct maildir *m);

/* Makes durable that the messages are there. */
int maildir_sync(struct maildir *m);
/* Takes one out again. -ENOENT: somebody has done something with it already. */
int maildir_take_back(struct maildir *m, const char *name);

#endif
