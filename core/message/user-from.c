/* message/user-from.c: see user-from.h. */
#include "message/user-from.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <postern/mail.h>

#include "util/mem.h"
#include "util/text.h"

#define KEYWORD     "/FROM="
#define KEYWORD_LEN (sizeof KEYWORD - 1)

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* --- the line --- */

int user_from_parse(const char *line, size_t len, uint32_t flags, const char **ret, size_t *ret_len,
                    const char **reterr_why)
{
    struct postern_address a = { .size = sizeof a };

    if (len && line[len - 1] == '\n')
        len--;
    if (len && line[len - 1] == '\r')
        len--;
    while (len && is_blank(line[len - 1]))
        len--;
    for (; len && is_blank(*line); len--)
        line++;
    if (len < KEYWORD_LEN || text_ncasecmp(line, KEYWORD, KEYWORD_LEN) != 0)
        return 0;
    for (line += KEYWORD_LEN, len -= KEYWORD_LEN; len && is_blank(*line); len--)
        line++;
    if (postern_address_parse(line, len, flags & ~POSTERN_ADDRESS_BARE, &a, reterr_why) < 0)
        return -EINVAL;
    *ret = line;
    *ret_len = len;
    return 1;
}

/* --- the header --- */

/* "\r\n" or "\n", as the line ends that stops before `end`. */
static const char *line_end(const char *data, size_t end)
{
    return end >= 2 && data[end - 1] == '\n' && data[end - 2] != '\r' ? "\n" : "\r\n";
}

static void put_from(const char *address, size_t len, const char *eol, struct buf *out)
{
    buf_adds(out, "From: ");
    buf_add(out, address, len);
    buf_adds(out, eol);
}

/* The field as it stands, under another name; or only its first address. */
static void put_sender(const struct postern_field *from, const char *eol, struct buf *out)
{
    const size_t size = 2 * from->value_len + 4; /* enough for any address in it */
    char *buf = mem_alloc(size), *first = NULL;
    struct postern_mailbox one = { .size = sizeof one };
    size_t pos = 0, n = 0;

    while (n < 2 && postern_mailbox_next(from->value, from->value_len, &pos, &one, buf, size) > 0) {
        if (n++ == 0)
            first = mem_strdup(one.address);
    }
    if (n == 1 && !memchr(from->value, ';', from->value_len)) { /* else it is a group, maybe */
        buf_adds(out, "Sender:");
        buf_add(out, from->value, from->value_len);
        buf_adds(out, eol);
    } else if (first) {
        buf_printf(out, "Sender: %s%s", first, eol);
    }
    free(first);
    free(buf);
}

int user_from_apply(const char *head, size_t len, const char *address, size_t address_len,
                    struct buf *out)
{
    struct postern_field field = { .size = sizeof field }, from = { .size = sizeof from };
    size_t pos = 0, fields_end = 0, froms = 0;
    int has_sender = 0;
    const char *eol;

    while (postern_field_next(head, len, &pos, &field) > 0) {
        has_sender |= postern_field_is(&field, "Sender");
        if (postern_field_is(&field, "From") && ++froms == 1)
            from = field;
        fields_end = field.end;
    }
    if (froms > 1)
        return -EEXIST;
    if (!froms)
        from.start = from.end = fields_end;
    eol = line_end(head, froms ? from.end : fields_end);
    buf_add(out, head, from.start);
    put_from(address, address_len, eol, out);
    if (froms && !has_sender)
        put_sender(&from, eol, out);
    buf_add(out, head + from.end, pos - from.end);
    return 0;
}
