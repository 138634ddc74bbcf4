/* Header fields, one after the other (RFC 5322 2.2, with RFC 6532 bytes in the values). */
#include <postern/delivery.h>

#include <errno.h>
#include <string.h>
#include <strings.h>

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Where the line at `at` ends, its terminator included. */
static size_t line_end(const char *data, size_t len, size_t at)
{
    const char *lf = memchr(data + at, '\n', len - at);

    return lf ? (size_t)(lf - data) + 1 : len;
}

static int is_empty_line(const char *data, size_t len, size_t at)
{
    return data[at] == '\n' || (data[at] == '\r' && at + 1 < len && data[at + 1] == '\n');
}

/* ftext (RFC 5322 3.6.8), then the blanks that RFC 5322 4.5.1 tolerates, then the colon. */
static int parse_name(const char *data, size_t end, size_t at, struct postern_field *field)
{
    size_t colon;

    field->name = data + at;
    while (at < end && data[at] > 32 && data[at] < 127 && data[at] != ':')
        at++;
    field->name_len = (size_t)(data + at - field->name);
    for (colon = at; colon < end && is_blank(data[colon]); colon++)
        ;
    if (field->name_len == 0 || colon == end || data[colon] != ':')
        return -EBADMSG;
    field->value = data + colon + 1;
    return 0;
}

int postern_field_next(const char *data, size_t len, size_t *pos, struct postern_field *ret)
{
    struct postern_field field = { .size = sizeof field, .start = *pos };
    size_t end, stop;

    if (*pos >= len)
        return 0;
    end = line_end(data, len, *pos);
    if (is_empty_line(data, len, *pos)) {
        *pos = end;
        return 0;
    }
    if (parse_name(data, end, *pos, &field) < 0)
        return -EBADMSG;
    while (end < len && is_blank(data[end]))
        end = line_end(data, len, end);
    field.end = end;
    stop = end;
    if (data[stop - 1] == '\n') {
        stop--;
        if (data + stop > field.value && data[stop - 1] == '\r')
            stop--;
    }
    field.value_len = (size_t)(data + stop - field.value);
    *ret = field;
    *pos = end;
    return 1;
}

int postern_field_is(const struct postern_field *field, const char *name)
{
    return strlen(name) == field->name_len && strncasecmp(name, field->name, field->name_len) == 0;
}

/* A value, folded as it stands, without the blanks and line ends around it. */
static const char *trimmed(const struct postern_field *field, size_t *ret_len)
{
    const char *v = field->value;
    size_t len = field->value_len;

    for (; len && memchr(" \t\r\n", *v, 4); v++)
        len--;
    while (len && memchr(" \t\r\n", v[len - 1], 4))
        len--;
    *ret_len = len;
    return v;
}

int postern_field_holds(const char *data, size_t len, const char *name, const char *value)
{
    struct postern_field field = { .size = sizeof field };
    size_t pos = 0, n, wanted = strlen(value);

    while (postern_field_next(data, len, &pos, &field) == 1) {
        const char *v = trimmed(&field, &n);

        if (postern_field_is(&field, name) && n == wanted && strncasecmp(v, value, n) == 0)
            return 1;
    }
    return 0;
}
