/* local-mbox.h: what the parts of the plugin share.
 *
 *   local-mbox.c   options, open, deliver, cancel, close
 *   queue.c        who waits for which mailbox; on the loop
 *   append.c       a batch of messages into one mailbox, all or none of each; on a thread
 *   mbox.c         the file: opening it safely, writing, undoing, making durable
 *   lock.c         fcntl and dot locks
 *   users.c        from a recipient to a user
 *   quote.c        what changes in a message that becomes part of an mbox; pure */
#ifndef LOCAL_MBOX_H
#define LOCAL_MBOX_H

#include <postern/postern.h>

#define PROBLEM_TEXT_MAX 512u

enum users_mode { USERS_PASSWD, USERS_ANY, USERS_EXISTING };
enum dot_mode { DOT_YES, DOT_TRY, DOT_NO };

struct settings {
    const char *path;
    int64_t     users;    /* enum users_mode */
    int64_t     dot_lock; /* enum dot_mode   */
    int64_t     lock_timeout, lock_stale, max_size;
};

/* What became of one message, or why not. fate 0: nothing yet. */
struct problem {
    uint32_t fate, cause;
    uint16_t status[3];
    uint16_t reserved;
    char     text[PROBLEM_TEXT_MAX];
};

#define STATUS(a, b, c) ((const uint16_t[3]){(a), (b), (c)})

void problem_set(struct problem *p, uint32_t fate, uint32_t cause, const uint16_t status[3],
                 const char *fmt, ...) POSTERN_PRINTF(5, 6);
/* A system call failed: what and path in words, status and cause by the error. Always deferred. */
void problem_errno(struct problem *p, int err, const char *what, const char *path);

#endif
