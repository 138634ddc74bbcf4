/* state.h: what has been posted to a list, and whose mail bounces: a small file a list, for all
 * workers together. Blocks: for threads only.
 *
 * It is a journal: lines are appended under a lock; when it has grown, what they say together is
 * written anew and takes its place. Losing it loses counts, never mail. */
#ifndef LIST_STATE_H
#define LIST_STATE_H

#include "place.h"

#define STATE_SUFFIX       ".state"
#define STATE_GROWN        (1u << 20) /* bytes of a journal that is written anew         */
#define STATE_BYTES_MAX    (8u << 20) /* bytes that are read                             */
#define STATE_MEMBERS_MAX  5000u      /* members that a rewritten one keeps: the latest  */

struct state_member {
    char    *member; /* the piece's beginning: free() */
    char     status[16];
    char    *reason;
    uint64_t count;       /* of the series that is under way */
    int64_t  first, last; /* of it, seconds since 1970       */
};

struct state {
    int64_t  window; /* seconds: how long a series may last */
    char     list[POSTERN_ADDRESS_MAX + 1];
    char     id[32]; /* of the last post */
    char     path[LIST_PATH_MAX]; /* of the members, then */
    uint64_t posts, members;
    int64_t  last_post; /* 0: never */
    void    *tree;      /* of struct state_member, by member */
    size_t   n;
};

/* Where the state of that list is. 0 or -ENAMETOOLONG. */
int state_path(const char *folder, const char *list, char *buf, size_t size);
/* Reads the whole; a file that is missing is an empty one. 0 or -errno; state_done in any case. */
int state_load(struct state *s, const char *path, int64_t window);
void state_done(struct state *s);

const struct state_member *state_find(const struct state *s, const char *member);
/* Has he bounced so often that he gets no mail at the moment? A member of a series as long as
 * `limit` is left alone for as long as the window, then he has another try. limit 0: never. */
int state_disabled(const struct state_member *m, int64_t limit, int64_t window, int64_t now);
/* Calls each() in the order of members. */
void state_each(const struct state *s, void (*each)(void *ctx, const struct state_member *m),
                void *ctx);

/* Notes. 0 or -errno. */
int state_note_post(const char *path, const char *list, const char *id, uint64_t members,
                    const char *file, int64_t window, int64_t now);
int state_note_bounce(const char *path, const char *list, const char *member, const char *status,
                      const char *reason, int64_t window, int64_t now);

#endif
