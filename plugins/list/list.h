/* list.h: what the parts of the plugin share.
 *
 *   list.c      options, open, deliver, cancel, close
 *   check.c     what options mean together
 *   place.c     from a recipient and the route to a list, and what is wanted of it; pure
 *   members.c   the file of members, read piece by piece; on a thread
 *   head.c      the header: who may post it, and what members get to see; pure
 *   bounce.c    a delivery status notification, read; pure
 *   state.c     what has been posted and who bounces, in a file; on a thread
 *   look.c      one message, looked at: may it be posted, what does it bounce; on a thread
 *   post.c      one message, from its turn to its end; on the loop
 *   show.c      what `postern list` prints */
#ifndef LIST_H
#define LIST_H

#include <postern/postern.h>

#include "../common/problem.h"

#define LIST_PATH_MAX   1024u        /* bytes of a file's path, NUL included                      */
#define LIST_TEXT_MAX   2048u        /* bytes of a header field that we write                     */
#define LIST_HEAD_MAX   (256u << 10) /* bytes of a header; more of it is no mail                  */
#define LIST_FIELDS_MAX 64u          /* fields that an operator has taken out                     */
#define LIST_NAMES_MAX  1000u        /* addresses that may post, roots                            */

enum list_policy { POLICY_OPEN, POLICY_MEMBERS, POLICY_OWNER, POLICY_MODERATED };
enum list_automatic { AUTOMATIC_REFUSE, AUTOMATIC_ACCEPT };
enum list_reply_to { REPLY_SENDER, REPLY_LIST, REPLY_BOTH };
enum list_return_path { RETURN_OWNER, RETURN_LIST };

struct settings {
    const char *list, *members, *owner, *state, *archive;
    const char *subject_prefix, *description, *help, *subscribe, *unsubscribe, *archive_url;
    struct postern_strings roots, posters, strip;
    int64_t     policy;      /* enum list_policy      */
    int64_t     automatic;   /* enum list_automatic   */
    int64_t     reply_to;    /* enum list_reply_to    */
    int64_t     return_path; /* enum list_return_path */
    int64_t     max_size, hops_max, members_max, precedence, verp;
    int64_t     bounce_limit, bounce_window; /* microseconds */
};

/* check.c. 0 or -EINVAL, with what is wrong in why. */
int list_check(const void *settings, char *why, size_t why_size);

/* show.c: see postern_plugin.inspect. */
int list_inspect(const void *settings, const char *what, postern_inspect_put *put, void *ctx);

#endif
