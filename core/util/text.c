/* util/text.c: see text.h. */
#include "util/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* Largest first: that is the order in which durations are printed. */
static const struct unit durations[] = {
    { "w", 604800000000 }, { "d", 86400000000 }, { "h", 3600000000 }, { "m", 60000000 },
    { "s", 1000000 },      { "ms", 1000 },       { "us", 1 },
};
#define DURATIONS (sizeof durations / sizeof *durations)

static const struct unit sizes[] = {
    { "T", (int64_t)1 << 40 },
    { "G", (int64_t)1 << 30 },
    { "M", (int64_t)1 << 20 },
    { "K", 1024 },
    { "", 1 },
};
#define SIZES (sizeof sizes / sizeof *sizes)

/* Reads digits. How many characters, 0 when there are none or they overflow. */
static size_t read_number(const char *s, int64_t *ret)
{
    int64_t v = 0;
    size_t n = 0;

    for (; s[n] >= '0' && s[n] <= '9'; n++) {
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, s[n] - '0', &v))
            return 0;
    }
    *ret = v;
    return n;
}

int text_duration_parse(const char *s, int64_t *ret_usec)
{
    int64_t total = 0, v;

    if (!*s)
        return -EINVAL;
    while (*s) {
        size_t n = read_number(s, &v), unit = 0, i;

        if (!n)
            return -EINVAL;
        s += n;
        while (s[unit] >= 'a' && s[unit] <= 'z')
            unit++;
        for (i = 0; i < DURATIONS; i++) {
            if (strlen(durations[i].name) == unit && !memcmp(durations[i].name, s, unit))
                break;
        }
        if (i == DURATIONS || __builtin_mul_overflow(v, durations[i].factor, &v) ||
            __builtin_add_overflow(total, v, &total))
            return -EINVAL;
        s += unit;
    }
    *ret_usec = total;
    return 0;
}

char *text_duration(int64_t usec, char *buf, size_t size)
{
    size_t len = 0;

    if (usec < 0)
        usec = 0;
    if (!usec) {
        snprintf(buf, size, "0s");
        return buf;
    }
    buf[0] = '\0';
    for (size_t i = 0; i < DURATIONS && usec && len < size; i++) {
        int64_t n = usec / durations[i].factor;

        if (!n)
            continue;
        usec -= n * durations[i].factor;
        len += (size_t)snprintf(buf + len, size - len, "%lld%s", (long long)n, durations[i].name);
    }
    return buf;
}

int text_size_parse(const char *s, int64_t *ret_bytes)
{
    int64_t v, factor = 1;
    size_t n = read_number(s, &v);

    if (!n)
        return -EINVAL;
    s += n;
    for (size_t i = 0; i < SIZES && *s; i++) {
        if (text_lower(*s) == text_lower(sizes[i].name[0])) {
            factor = sizes[i].factor;
            s++;
            break;
        }
    }
    if (factor > 1 && text_lower(*s) == 'i' && text_lower(s[1]) == 'b')
        s += 2;
    else if (text_lower(*s) == 'b')
        s++;
    if (*s || __builtin_mul_overflow(v, factor, &v))
        return -EINVAL;
    *ret_bytes = v;
    return 0;
}

char *text_size(int64_t bytes, char *buf, size_t size)
{
    for (size_t i = 0; i < SIZES; i++) {
        if (bytes % sizes[i].factor == 0 && (bytes || sizes[i].factor == 1)) {
            snprintf(buf, size, "%lld%s", (long long)(bytes / sizes[i].factor), sizes[i].name);
            break;
        }
    }
    return buf;
}

char text_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

void text_lower_str(char *s)
{
    for (; *s; s++)
        *s = text_lower(*s);
}

int text_ncasecmp(const char *a, const char *b, size_t n)
{
    for (; n; a++, b++, n--) {
        int d = (unsigned char)text_lower(*a) - (unsigned char)text_lower(*b);

        if (d || !*a)
            return d;
    }
    return 0;
}

int text_casecmp(const char *a, const char *b)
{
    return text_ncasecmp(a, b, SIZE_MAX);
}

#define DISTANCE_MAX 64u

size_t text_distance(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b), row[DISTANCE_MAX + 1];

    if (la > DISTANCE_MAX || lb > DISTANCE_MAX)
        return DISTANCE_MAX;
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t up = row[j], best = diagonal + (text_lower(a[i - 1]) != text_lower(b[j - 1]));

            if (up + 1 < best)
                best = up + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
            diagonal = up;
        }
    }
    return row[lb];
}

int text_glob(const char *pattern, const char *text)
{
    const char *star = NULL, *back = NULL;

    while (*text) {
        if (*pattern == '*') {
            star = ++pattern;
            back = text;
        } else if (*pattern == '?' || (*pattern && text_lower(*pattern) == text_lower(*text))) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star;
            text = ++back;
        } else {
            return 0;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

/* Length of the valid UTF-8 sequence at s (RFC 3629), 0 when there is none. */
static size_t utf8_sequence(const unsigned char *s, size_t len)
{
    static const struct {
        unsigned char lo, hi, second_lo, second_hi, len;
    } forms[] = {
        { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
        { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
        { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
    };

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (*s < forms[i].lo || *s > forms[i].hi)
            continue;
        if (len < forms[i].len || s[1] < forms[i].second_lo || s[1] > forms[i].second_hi)
            return 0;
        for (size_t k = 2; k < forms[i].len; k++) {
            if ((s[k] & 0xc0) != 0x80)
                return 0;
        }
        return forms[i].len;
    }
    return 0;
}

void text_json(struct buf *b, const char *s, size_t len)
{
    const unsigned char *p = (const unsigned char *)s;

    buf_addc(b, '"');
    for (size_t i = 0; i < len;) {
        unsigned char c = p[i];

        if (c == '"' || c == '\\') {
            buf_printf(b, "\\%c", c);
        } else if (c < 0x20 || c == 0x7f) {
            buf_printf(b, "\\u%04x", c);
        } else if (c < 0x80) {
            buf_addc(b, (char)c);
        } else {
            size_t n = utf8_sequence(p + i, len - i);

            if (n) {
                buf_add(b, p + i, n);
                i += n;
                continue;
            }
            buf_adds(b, "\xef\xbf\xbd");
        }
        i++;
    }
    buf_addc(b, '"');
}

char *text_time(int64_t wall_usec, char *buf, size_t size)
{
    time_t t = (time_t)(wall_usec / 1000000);
    struct tm tm;

    gmtime_r(&t, &tm);
    snprintf(buf, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
             tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(wall_usec / 1000 % 1000));
    return buf;
}

static const char id_digits[] = "0123456789abcdefghjkmnpqrstvwxyz"; /* no i l o u */
#define ID_LEN 13u

char *text_id(uint64_t id, char *buf, size_t size)
{
    if (size <= ID_LEN)
        return buf;
    for (size_t i = ID_LEN; i-- > 0; id >>= 5)
        buf[i] = id_digits[id & 31];
    buf[ID_LEN] = '\0';
    return buf;
}

int text_id_parse(const char *s, uint64_t *ret_id)
{
    uint64_t id = 0;

    if (strlen(s) != ID_LEN)
        return -EINVAL;
    for (size_t i = 0; i < ID_LEN; i++) {
        const char *d = strchr(id_digits, text_lower(s[i]));

        if (!d || (i == 0 && d - id_digits > 15)) /* 13 digits hold 65 bits */
            return -EINVAL;
        id = id << 5 | (uint64_t)(d - id_digits);
    }
    *ret_id = id;
    return 0;
}
