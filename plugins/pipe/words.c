/* words.c: see pipe.h. No shell: nothing is expanded, nothing is special but blanks and quotes. */
#include "pipe.h"

#include <errno.h>
#include <string.h>

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* One word from *in, written to *out (which is never ahead of it) unless out is NULL. 0 or
 * -EINVAL. */
static int one_word(const char **in, char **out)
{
    const char *p = *in;
    char *o = out ? *out : NULL, quote = '\0', c;

    for (; *p && (quote || !is_blank(*p)); p++) {
        c = *p;
        if (quote ? c == quote : c == '\'' || c == '"') {
            quote = quote ? '\0' : c;
            continue;
        }
        if (c == '\\' && quote != '\'') {
            c = *++p;
            if (!c)
                return -EINVAL;
        }
        if (o)
            *o++ = c;
    }
    if (quote)
        return -EINVAL;
    *in = p;
    if (out)
        *out = o;
    return 0;
}

int words_split(char *text, char **words, size_t max)
{
    const char *in = text;
    char *out = text;
    size_t n = 0;

    for (;;) {
        int more, r;

        while (is_blank(*in))
            in++;
        if (!*in)
            break;
        if (n == max)
            return -E2BIG;
        words[n++] = out;
        r = one_word(&in, &out);
        if (r < 0)
            return r;
        more = *in != '\0';
        in += more; /* the blank, on which the NUL may fall */
        *out++ = '\0';
        if (!more)
            break;
    }
    return n ? (int)n : -ENOENT;
}

const char *words_rest(const char *text)
{
    while (is_blank(*text))
        text++;
    (void)one_word(&text, NULL);
    while (is_blank(*text))
        text++;
    return text;
}
