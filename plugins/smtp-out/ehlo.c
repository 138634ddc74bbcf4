/* ehlo.c: see ehlo.h. Keywords compare without regard to case (RFC 5321 2.4). */
#include "ehlo.h"

#include <string.h>
#include <strings.h>

static const struct {
    const char *keyword;
    uint32_t offer;
} keywords[] = {
    { "PIPELINING", EHLO_PIPELINING },
    { "8BITMIME", EHLO_8BITMIME },
    { "SMTPUTF8", EHLO_SMTPUTF8 },
    { "STARTTLS", EHLO_STARTTLS },
    { "ENHANCEDSTATUSCODES", EHLO_ENHANCED },
    { "SIZE", EHLO_SIZE },
};

/* A number too large to count is a limit that nobody can reach. Anything else after SIZE is as if
 * nothing had been said. */
static uint64_t read_size(const char *text, size_t len)
{
    uint64_t n = 0;

    while (len && (*text == ' ' || *text == '\t'))
        text++, len--;
    for (; len && *text >= '0' && *text <= '9'; text++, len--) {
        unsigned digit = (unsigned)(*text - '0');

        if (n > (UINT64_MAX - digit) / 10)
            return 0;
        n = n * 10 + digit;
    }
    return len ? 0 : n;
}

void ehlo_line(struct ehlo *e, const char *text, size_t len)
{
    size_t word = 0;

    while (word < len && text[word] != ' ' && text[word] != '\t')
        word++;
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        if (strlen(keywords[i].keyword) != word || strncasecmp(text, keywords[i].keyword, word))
            continue;
        e->offers |= keywords[i].offer;
        if (keywords[i].offer == EHLO_SIZE)
            e->size = read_size(text + word, len - word);
    }
}
