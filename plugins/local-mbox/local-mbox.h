/* local-mbox.h: what the parts of the plugin share.
 *
 *   local-mbox.c   options, open, deliver, cancel, close
 *   append.c       a batch of messages into one mailbox, all or none of each; on a thread
 *   message.c      one message, read, presented and converted; on a thread
 *   mbox.c         the file: whose it is
 *   maildir.c      the same for a folder of files
 *   folder.c       from an address to a place: users' folders, patterns of paths
 *   present.c      what of a message is shown, and how: VMS MAIL's header lines; pure
 *   quota.c        how much a mailbox may hold
 *   privilege.c    being the mailbox's user for a while
 *   notify.c       a command that is told of new mail; on the loop
 *   users.c        from a recipient to a user
 *   quote.c        what changes in a message that becomes part of an mbox; pure
 *
 * The rest is what appending to any file takes, in ../common: tail, batch, queue. */
#ifndef LOCAL_MBOX_H
#define LOCAL_MBOX_H

#include <postern/postern.h>

#include "../common/problem.h"

enum users_mode { USERS_PASSWD, USERS_ANY, USERS_EXISTING };
enum format { FORMAT_MBOX, FORMAT_MAILDIR };
enum folders_mode { FOLDERS_NO, FOLDERS_EXISTING, FOLDERS_YES };
enum full_mode { FULL_DEFER, FULL_REFUSE };
enum quota_mode { QUOTA_RESPECT, QUOTA_IGNORE };
enum style { STYLE_INTERNET, STYLE_VMS };
enum header_control { CONTROL_ALL, CONTROL_MAJOR, CONTROL_NONE };
enum headers_place { HEADERS_TOP, HEADERS_BOTTOM, HEADERS_OMITTED };

struct settings {
    const char *path;
    const char *mailbox; /* a pattern, in place of path; NULL: path/user */
    int64_t     format;  /* enum format       */
    int64_t     users;   /* enum users_mode   */
    int64_t     folders; /* enum folders_mode */
    int64_t     lowercase_user;
    int64_t     dot_lock; /* enum tail_dot    */
    int64_t     lock_timeout, lock_stale, max_size, max_messages;
    int64_t     full;           /* enum full_mode      */
    int64_t     quota;          /* enum quota_mode     */
    int64_t     style;          /* enum style          */
    int64_t     header_control; /* enum header_control */
    int64_t     headers;        /* enum headers_place  */
    int64_t     use_x_vms, use_rfc822_to, vmsdef_to, jacket_local;
    int64_t     notify_timeout;
    struct postern_strings reply_control, notify;
};

/* What an errno means for a mailbox; see problem_errno_of. */
extern const struct problem_kind mailbox_errors[];
/* A system call failed: what and path in words, status and cause by the error. Always deferred. */
void mailbox_errno(struct problem *p, int err, const char *what, const char *path);

/* check.c: what options mean together. 0 or -EINVAL, with what is wrong in why. */
int check_settings(const void *settings, char *why, size_t why_size);

#endif
