/* members.c: see members.h. */
#include "members.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <unistd.h>

#define JACKET     "SMTP%\""
#define JACKET_LEN (sizeof JACKET - 1)

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

/* 1: a line, borrowed until the next call; 0: the end. A longer one than there is room for comes in
 * pieces, the first of which is too long to be taken. */
static int next_line(struct members *m, const char **ret, size_t *ret_len)
{
    for (;;) {
        char *end = memchr(m->room + m->at, '\n', m->len - m->at);
        size_t n = end ? (size_t)(end - (m->room + m->at)) : m->len - m->at;
        int r;

        if (end || (m->eof && n) || n == sizeof m->room) {
            *ret = m->room + m->at;
            *ret_len = n;
            m->at += n + (end != NULL);
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

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Where a comment behind an address begins: a '!' after a blank, outside of quotes; or the end. */
static size_t comment_at(const char *s, size_t len)
{
    int quoted = 0;

    for (size_t i = 0; i < len; i++) {
        if (s[i] == '\\' && quoted)
            i++;
        else if (s[i] == '"')
            quoted = !quoted;
        else if (s[i] == '!' && !quoted && i && is_blank(s[i - 1]))
            return i;
    }
    return len;
}

/* NODE::USER without brackets, as VMS MAIL has it, is one address. */
static int is_decnet(const char *s, size_t len)
{
    return *s != '"' && *s != '<' && memmem(s, len, "::", 2) && !memchr(s, '@', len);
}

static int take_line(struct members *m, const char *s, size_t len)
{
    int n;

    m->text_len = m->pos = 0;
    if (!len || *s == '!' || (!m->dis && *s == '#'))
        return 0;
    if (len > MEMBERS_LINE_MAX) {
        m->why = "it is too long";
        return -EBADMSG;
    }
    if (m->dis)
        len = comment_at(s, len);
    for (; len && is_blank(*s); s++)
        len--;
    while (len && is_blank(s[len - 1]))
        len--;
    if (!len || (m->dis && *s == '!'))
        return 0;
    m->why = "it has characters that no address has";
    if (memchr(s, '\0', len))
        return -EBADMSG;
    if (len > JACKET_LEN + 1 && !strncasecmp(s, JACKET, JACKET_LEN) && s[len - 1] == '"') {
        s += JACKET_LEN;
        len -= JACKET_LEN + 1;
    }
    if (is_decnet(s, len)) {
        n = postern_address_quote(s, len, m->text, sizeof m->text);
        m->text_len = n < 0 ? 0 : (size_t)n;
        return n < 0 ? -EBADMSG : 0;
    }
    memcpy(m->text, s, len);
    m->text_len = len;
    return 0;
}

/* --- addresses --- */

static int complete(struct members *m, const struct postern_mailbox *box, char *buf, size_t size)
{
    struct postern_address a = { .size = sizeof a };
    int n;

    if (postern_address_parse(box->address, box->address_len,
                              POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_BARE, &a, &m->why) < 0)
        return -EBADMSG;
    n = a.domain ? snprintf(buf, size, "%.*s", (int)box->address_len, box->address)
                 : snprintf(buf, size, "%.*s@%s", (int)box->address_len, box->address, m->domain);
    m->why = "it is too long";
    return (size_t)n < size ? 1 : -EBADMSG;
}

int members_next(struct members *m, char *buf, size_t size)
{
    for (;;) {
        struct postern_mailbox box = { .size = sizeof box };
        const char *line;
        size_t len, before = m->pos;
        int r = m->text_len
            ? postern_mailbox_next(m->text, m->text_len, &m->pos, &box, m->piece, sizeof m->piece)
            : 0;

        if (r > 0)
            return complete(m, &box, buf, size);
        if (m->text_len && !before) { /* a line with something in it has an address at least */
            m->text_len = 0;
            m->why = "there is no address in it";
            return -EBADMSG;
        }
        m->text_len = 0;
        r = next_line(m, &line, &len);
        if (r <= 0)
            return r;
        r = take_line(m, line, len);
        if (r < 0)
            return r;
    }
}
