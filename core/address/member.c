/* Members of mailing lists: what a line of a file of them says. One grammar for the gateway's
 * aliases and for plugins: an address list as header fields have it, but only where nobody could
 * read it in two ways; and what VMS writes differently. */
#include <postern/mail.h>

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "address/mailbox.h"

#define JACKET     "SMTP%"
#define JACKET_LEN (sizeof JACKET - 1)

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f';
}

static size_t skip_blanks(const char *line, size_t len)
{
    size_t i = 0;

    while (i < len && is_blank(line[i]))
        i++;
    return i;
}

/* Where a comment begins, or the end: '!' as the first character, blanks aside; in .DIS files also
 * behind a blank, outside of quotes. '#' begins one in column 1 only: addresses may have it. */
static size_t comment_at(const char *line, size_t len, uint32_t flags)
{
    size_t first = skip_blanks(line, len);
    int quoted = 0;

    if (first < len && line[first] == '!')
        return first;
    if (!(flags & POSTERN_MEMBER_DIS))
        return len && *line == '#' ? 0 : len;
    for (size_t i = first; i < len; i++) {
        if (line[i] == '\\' && quoted)
            i++;
        else if (line[i] == '"')
            quoted = !quoted;
        else if (line[i] == '!' && !quoted && is_blank(line[i - 1]))
            return i;
    }
    return len;
}

/* NODE::USER without brackets, as VMS MAIL has it. */
static int is_decnet(const char *s, size_t len)
{
    return *s != '"' && memmem(s, len, "::", 2) && !memchr(s, '@', len);
}

/* What VMS writes differently, as it is meant. 0, or -EINVAL with why. */
static int mend(struct postern_member *m, char *buf, size_t size, const char **reterr_why)
{
    char text[2 * POSTERN_LOCAL_MAX + POSTERN_ADDRESS_SIZE];
    int n = 0;

    if (m->address_len > JACKET_LEN && !strncasecmp(buf, JACKET, JACKET_LEN)) {
        n = postern_address_unjacket(NULL, buf, m->address_len, text, sizeof text, NULL);
        if (n < 0)
            return 0; /* it only looks like one */
        m->notes |= POSTERN_MEMBER_JACKET;
    } else if (is_decnet(buf, m->address_len)) {
        *reterr_why = "it has characters that no address has, or too many";
        n = m->address_len > POSTERN_LOCAL_MAX
            ? -EINVAL
            : postern_address_quote(buf, m->address_len, text, sizeof text);
        m->notes |= POSTERN_MEMBER_DECNET;
    }
    if (n < 0)
        return -EINVAL;
    if (!n)
        return 0;
    *reterr_why = "it is too long";
    if ((size_t)n >= size)
        return -EINVAL;
    memcpy(buf, text, (size_t)n + 1);
    m->address_len = (size_t)n;
    return 0;
}

/* What alias files have beside addresses, and what was to be a comment. */
static int is_special(const char *s, size_t len)
{
    size_t at = *s == '"';

    return at < len && strchr("|<>*_#", s[at]) && !memchr(s, '@', len);
}

static int judge(const struct mailbox_place *place, const struct postern_mailbox *box,
                 const char **reterr_why)
{
    if (place->group)
        *reterr_why = "it is a group, or an alias, and only addresses can be members";
    else if (!place->sound)
        *reterr_why = "blanks, or quotes or brackets that do not close, part its words";
    else if (*box->address == '@' && !memchr(box->address, ':', box->address_len))
        *reterr_why = "a list cannot be in a list";
    else
        return 0;
    return -EINVAL;
}

int postern_member_next(const char *line, size_t len, uint32_t flags, size_t *pos,
                        struct postern_member *ret, char *buf, size_t size, const char **reterr_why)
{
    struct postern_member m = { .size = sizeof m, .address = buf };
    struct postern_mailbox box = { .size = sizeof box };
    struct mailbox_place place;
    size_t end = comment_at(line, len, flags), before = *pos;
    int r = mailbox_next(line, end, pos, &box, &place, buf, size);

    *reterr_why = "it is too long";
    if (r < 0)
        return -EINVAL;
    m.start = end;
    if (!r) {
        m.notes = end < len && end > 0 ? POSTERN_MEMBER_COMMENT : 0;
        *ret = m;
        *reterr_why = "there is no address in it";
        return before || skip_blanks(line, end) == end ? 0 : -EINVAL;
    }
    m.start = place.pieces[0].start;
    m.address_len = box.address_len;
    if (judge(&place, &box, reterr_why) < 0)
        return -EINVAL;
    if (is_special(buf, m.address_len))
        m.notes = POSTERN_MEMBER_SPECIAL;
    else if (mend(&m, buf, size, reterr_why) < 0)
        return -EINVAL;
    *ret = m;
    return 1;
}
