/* From CRLF to LF, with or without mbox quoting; and an mbox's separator. The input comes in
 * pieces, cut anywhere; what can't be judged yet is held back.
 *
 * One ">" more before ">>From " is the same as one more behind the first two, so that only "From "
 * itself has to be held back. */
#include <postern/delivery.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char from[] = "From ";
#define FROM_LEN (sizeof from - 1)

/* The start of a line, until it is known what it is. Returns bytes taken from the input. */
static size_t line_start(struct postern_lines *l, const char *in, size_t len, char **out)
{
    size_t i = 0;

    for (; i < len && !l->in_line; i++) {
        if (in[i] == '>' && !l->matched) {
            *(*out)++ = '>';
        } else if (in[i] == from[l->matched]) {
            if (++l->matched < FROM_LEN)
                continue;
            *(*out)++ = '>';
            l->in_line = 1;
            i++;
            break;
        } else {
            l->in_line = 1;
            break;
        }
    }
    if (l->in_line) {
        memcpy(*out, from, l->matched);
        *out += l->matched;
        l->matched = 0;
    }
    return i;
}

/* The rest of a line. A CR is held back until what follows is known. Returns bytes taken. */
static size_t line_rest(struct postern_lines *l, const char *in, size_t len, char **out)
{
    const char *lf = memchr(in, '\n', len);
    size_t n = lf ? (size_t)(lf - in) : len;

    if (l->cr && n) {
        *(*out)++ = '\r';
        l->cr = 0;
    }
    if (n && in[n - 1] == '\r') {
        l->cr = 1;
        memcpy(*out, in, n - 1);
        *out += n - 1;
    } else {
        memcpy(*out, in, n);
        *out += n;
    }
    if (!lf)
        return n;
    *(*out)++ = '\n';
    l->cr = 0;
    l->in_line = !(l->flags & POSTERN_LINES_QUOTE);
    return n + 1;
}

size_t postern_lines_add(struct postern_lines *l, const char *in, size_t len, char *out)
{
    char *start = out;
    size_t i = 0;

    if (!(l->flags & POSTERN_LINES_QUOTE))
        l->in_line = 1;
    while (i < len) {
        if (!l->in_line)
            i += line_start(l, in + i, len - i, &out);
        if (i < len && l->in_line)
            i += line_rest(l, in + i, len - i, &out);
    }
    if (out > start)
        l->open = out[-1] != '\n';
    return (size_t)(out - start);
}

size_t postern_lines_end(struct postern_lines *l, char *out)
{
    char *start = out;

    memcpy(out, from, l->matched);
    out += l->matched;
    if (l->cr)
        *out++ = '\r';
    if (out > start || l->open)
        *out++ = '\n';
    if (l->flags & POSTERN_LINES_GAP)
        *out++ = '\n';
    l->in_line = l->matched = l->cr = l->open = 0;
    return (size_t)(out - start);
}

size_t postern_mbox_from(const char *sender, int64_t unix_seconds, char *buf, size_t size)
{
    char date[40], who[POSTERN_ADDRESS_MAX + 1];
    time_t when = (time_t)unix_seconds;
    struct tm tm;
    int n;

    postern_text_clean(sender, strlen(sender), who, sizeof who);
    /* Readers take the line apart at blanks, and some know ASCII only. */
    for (char *p = who; *p; p++) {
        if (*p == ' ' || (unsigned char)*p >= 0x80)
            *p = '-';
    }
    localtime_r(&when, &tm);
    strftime(date, sizeof date, "%a %b %e %H:%M:%S %Y", &tm);
    n = snprintf(buf, size, "From %s %s\n", *who ? who : "MAILER-DAEMON", date);
    return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}
