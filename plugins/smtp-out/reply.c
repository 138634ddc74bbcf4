/* reply.c: see reply.h.
 *
 * Tolerated, because servers do it: a code without any text, blanks at the end of a line, a CR too
 * many. Not tolerated, because nothing good follows: a line without a code, codes that differ
 * within one reply, 1xx. */
#include "reply.h"

#include <errno.h>
#include <string.h>

#include <postern/mail.h>

void reply_reset(struct reply *r)
{
    r->code = 0;
    r->lines = 0;
    memset(r->status, 0, sizeof r->status);
    r->text_len = 0;
    r->text[0] = '\0';
    r->line = NULL;
    r->line_len = 0;
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The code at the start of a line and whether more lines follow. 0 when there is none. */
static uint16_t read_code(const char *line, size_t len, int *ret_more)
{
    if (len < 3 || line[0] < '2' || line[0] > '5' || !is_digit(line[1]) || !is_digit(line[2]))
        return 0;
    if (len > 3 && line[3] != ' ' && line[3] != '-')
        return 0;
    *ret_more = len > 3 && line[3] == '-';
    return (uint16_t)((line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0'));
}

/* Appends clean text after a blank; what does not fit is cut. */
static void add_text(struct reply *r, const char *text, size_t len)
{
    if (!len || r->text_len + 2 >= sizeof r->text)
        return;
    r->text[r->text_len++] = ' ';
    postern_text_clean(text, len, r->text + r->text_len, sizeof r->text - r->text_len);
    r->text_len += strlen(r->text + r->text_len);
}

/* Length of an enhanced status code and the blank after it, at the start of text; 0: none. */
static size_t read_status(const char *text, size_t len, uint16_t ret_status[3])
{
    char head[16]; /* longest: "5.999.999" */
    size_t n = len < sizeof head ? len : sizeof head - 1;

    memcpy(head, text, n);
    head[n] = '\0';
    n = postern_status_parse(head, ret_status);
    if (!n || (n < len && text[n] != ' '))
        return 0;
    return n < len ? n + 1 : n;
}

static void first_line(struct reply *r, const char *line)
{
    uint16_t status[3];

    memcpy(r->text, line, 3);
    r->text_len = 3;
    r->text[3] = '\0';
    if (read_status(r->line, r->line_len, status) && status[0] == r->code / 100)
        memcpy(r->status, status, sizeof r->status);
    add_text(r, r->line, r->line_len);
}

/* Servers repeat the same status on every line; a reader of the diagnostic wants it once. */
static void further_line(struct reply *r)
{
    uint16_t status[3] = { 0 };
    size_t skip = read_status(r->line, r->line_len, status);

    if (memcmp(status, r->status, sizeof status) != 0)
        skip = 0;
    add_text(r, r->line + skip, r->line_len - skip);
}

int reply_line(struct reply *r, const char *line, size_t len)
{
    uint16_t code;
    int more = 0;

    if (len > REPLY_LINE_MAX)
        return -EMSGSIZE;
    while (len && (line[len - 1] == '\r' || line[len - 1] == ' ' || line[len - 1] == '\t'))
        len--;
    code = read_code(line, len, &more);
    if (!code || (r->lines && code != r->code))
        return -EPROTO;
    if (r->lines >= REPLY_LINES_MAX)
        return -E2BIG;
    r->line = len > 4 ? line + 4 : line + len;
    r->line_len = len > 4 ? len - 4 : 0;
    r->code = code;
    if (!r->lines++)
        first_line(r, line);
    else
        further_line(r);
    return !more;
}
