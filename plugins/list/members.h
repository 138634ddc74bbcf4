/* members.h: a file of members, read piece by piece. Blocks: for threads only.
 *
 * What a line may be is postern_member_next's to say, as it is in files that aliases name. Lines
 * end in LF, CRLF or CR, and one that is not UTF-8 is read as DEC Multinational (Latin-1). What
 * can't be read is passed over. */
#ifndef LIST_MEMBERS_H
#define LIST_MEMBERS_H

#include <sys/stat.h>

#include "list.h"

#define MEMBERS_LINE_MAX 8192u
#define MEMBERS_ROOM     65536u

struct members {
    int         fd; /* -1: not open */
    int         dis;
    int         eof;
    struct stat st; /* when it was opened */
    const char *domain; /* of addresses without one */
    unsigned    line;   /* the one being read, from 1 */
    const char *why;    /* of -EBADMSG: what is wrong with it; static */
    size_t      at, len;
    size_t      text_len, pos; /* the line's addresses, and how far they were given out */
    char        text[2 * MEMBERS_LINE_MAX + 1];
    char        piece[4 * MEMBERS_LINE_MAX + 8];
    char        room[MEMBERS_ROOM];
};

/* Opens it, with a shared lock as long as it is open, so that who locks a file to change it is
 * waited for. domain is borrowed. 0, or -errno with *reterr. */
int members_open(struct members *m, const char *path, const char *domain, struct problem *reterr);
/* 1: the next address is in buf; 0: there are no more; -EBADMSG: line m->line has something that is
 * none, see m->why, go on with the next; another -errno: the file can't be read. */
int members_next(struct members *m, char *buf, size_t size);
int members_rewind(struct members *m); /* 0 or -errno */
/* 1: it is as it was when it was opened; 0: somebody wrote to it meanwhile. */
int  members_same(const struct members *m);
void members_close(struct members *m);

#endif
