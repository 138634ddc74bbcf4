/* members.c: see members.h. */
#include "members.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <unistd.h>

#define BOM "\xef\xbb\xbf"

/* --- the file --- */

static int open_regular(struct members *m, const char *path, struct problem *reterr)
{
    int err;

    m->fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (m->fd < 0 || fstat(m->fd, &m->st) < 0) {
        err = errno;
        problem_errno(reterr, err, "read the members in", path);
        return -err;
    }
    if (S_ISREG(m->st.st_mode))
        return 0;
    problem_set(reterr, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5),
                "cannot read the members in %s: it is not a regular file", path);
    return -EINVAL;
}

int members_open(struct members *m, const char *path, const char *domain, struct problem *reterr)
{
    size_t len = strlen(path);
    int r = open_regular(m, path, reterr);

    m->domain = domain;
    m->dis = len > 4 && !strcasecmp(path + len - 4, ".dis");
    if (!r && flock(m->fd, LOCK_SH | LOCK_NB) < 0) {
        r = -errno;
        if (r == -EWOULDBLOCK)
            problem_set(reterr, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5),
                        "the file of members %s is locked by another program", path);
        else
            problem_errno(reterr, -r, "lock", path);
    }
    if (!r)
        r = members_rewind(m);
    if (r < 0)
        members_close(m);
    return r;
}

void members_close(struct members *m)
{
    if (m->fd >= 0)
        close(m->fd);
    m->fd = -1;
}

int members_rewind(struct members *m)
{
    m->eof = 0;
    m->line = 0;
    m->at = m->len = m->text_len = m->pos = 0;
    return lseek(m->fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

int members_same(const struct members *m)
{
    struct stat st;

    return fstat(m->fd, &st) == 0 && st.st_size == m->st.st_size &&
        st.st_mtim.tv_sec == m->st.st_mtim.tv_sec && st.st_mtim.tv_nsec == m->st.st_mtim.tv_nsec;
}

/* --- lines --- */

static int fill(struct members *m)
{
    ssize_t n;

    memmove(m->room, m->room + m->at, m->len - m->at);
    m->len -= m->at;
    m->at = 0;
    do
        n = read(m->fd, m->room + m->len, sizeof m->room - m->len);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    m->eof = n == 0;
    m->len += (size_t)n;
    return 0;
}

/* Where the line that begins at m->at ends: at LF, CRLF or CR. 0: not within what is there. */
static int find_end(const struct members *m, size_t *ret_len, size_t *ret_eol)
{
    const char *at = m->room + m->at;
    size_t len = m->len - m->at;
    const char *lf = memchr(at, '\n', len);
    const char *cr = memchr(at, '\r', lf ? (size_t)(lf - at) : len);
    int more = cr && cr + 1 == at + len && !m->eof; /* what may be an LF is not there yet */

    if (more || (!lf && !cr))
        return 0;
    *ret_len = (size_t)((cr ? cr : lf) - at);
    *ret_eol = cr && lf == cr + 1 ? 2 : 1;
    return 1;
}

/* 1: a line, borrowed until the next call; 0: the end. A longer one than there is room for comes in
 * pieces, the first of which is too long to be taken. */
static int next_line(struct members *m, const char **ret, size_t *ret_len)
{
    for (;;) {
        size_t n = m->len - m->at, eol = 0;
        int end = find_end(m, &n, &eol), r;

        if (end || (m->eof && n) || n == sizeof m->room) {
            *ret = m->room + m->at;
            *ret_len = n;
            m->at += n + eol;
            m->line++;
            return 1;
        }
        if (m->eof)
            return 0;
        r = fill(m);
        if (r < 0)
            return r;
    }
}

static int take_line(struct members *m, const char *s, size_t len)
{
    if (m->line == 1 && len >= sizeof BOM - 1 && !memcmp(s, BOM, sizeof BOM - 1)) {
        s += sizeof BOM - 1;
        len -= sizeof BOM - 1;
    }
    while (len && !s[len - 1])
        len--; /* VMS fills up the last block */
    m->text_len = m->pos = 0;
    if (!len || *s == '!' || (!m->dis && *s == '#'))
        return 0;
    m->why = "it is too long";
    if (len > MEMBERS_LINE_MAX)
        return -EBADMSG;
    m->text_len = (size_t)postern_text_decode(s, len, m->text, sizeof m->text); /* it has room */
    return 0;
}

/* --- addresses --- */

static int complete(struct members *m, const struct postern_member *one, char *buf, size_t size)
{
    struct postern_address a = { .size = sizeof a };
    int n;

    m->why = "only addresses can be members";
    if (one->notes & POSTERN_MEMBER_SPECIAL)
        return -EBADMSG;
    if (postern_address_parse(one->address, one->address_len,
                              POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_BARE, &a, &m->why) < 0)
        return -EBADMSG;
    n = a.domain ? snprintf(buf, size, "%.*s", (int)one->address_len, one->address)
                 : snprintf(buf, size, "%.*s@%s", (int)one->address_len, one->address, m->domain);
    m->why = "it is too long";
    return (size_t)n < size ? 1 : -EBADMSG;
}

int members_next(struct members *m, char *buf, size_t size)
{
    for (;;) {
        uint32_t flags = m->dis ? POSTERN_MEMBER_DIS : 0;
        struct postern_member one = { .size = sizeof one };
        const char *line;
        size_t len;
        int r = m->text_len ? postern_member_next(m->text, m->text_len, flags, &m->pos, &one,
                                                  m->piece, sizeof m->piece, &m->why)
                            : 0;

        if (r > 0)
            return complete(m, &one, buf, size);
        m->text_len = 0;
        if (r < 0)
            return -EBADMSG;
        r = next_line(m, &line, &len);
        if (r <= 0)
            return r;
        r = take_line(m, line, len);
        if (r < 0)
            return r;
    }
}
