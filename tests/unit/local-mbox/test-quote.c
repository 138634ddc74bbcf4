/* What changes in a message that becomes part of an mbox, however it is cut into pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../plugins/local-mbox/quote.h"

static const struct {
    const char *in, *out;
} cases[] = {
    { "", "\n" },
    { "a", "a\n\n" },
    { "a\r\n", "a\n\n" },
    { "a\r\n\r\nb\r\n", "a\n\nb\n\n" },
    { "a\nb\n", "a\nb\n\n" },
    { "From x\r\n", ">From x\n\n" },
    { ">From x\r\n", ">>From x\n\n" },
    { ">>>From x\r\n", ">>>>From x\n\n" },
    { "a\r\nFrom \r\n", "a\n>From \n\n" },
    { "From\r\n", "From\n\n" },
    { "From:\r\n", "From:\n\n" },
    { "from x\r\n", "from x\n\n" },
    { " From x\r\n", " From x\n\n" },
    { "Fro", "Fro\n\n" },
    { "From", "From\n\n" },
    { "From ", ">From \n\n" },
    { ">", ">\n\n" },
    { ">\r\n", ">\n\n" },
    { "> From x\r\n", "> From x\n\n" },
    { ">Fro\r\nm \r\n", ">Fro\nm \n\n" },
    { "FFrom x\r\n", "FFrom x\n\n" },
    { "F>rom x\r\n", "F>rom x\n\n" },
    { "FrFrom x\r\n", "FrFrom x\n\n" },
    { "a\rb\r\n", "a\rb\n\n" },
    { "a\r\r\n", "a\r\n\n" },
    { "a\r", "a\r\n\n" },
    { "\r\n\r\n", "\n\n\n" },
    { "\rFrom x\r\n", "\rFrom x\n\n" },
    { "Fro\rm x\r\n", "Fro\rm x\n\n" },
    { "a\r\n\rb", "a\n\rb\n\n" },
};

/* Converts in pieces of `step` bytes, each in memory of its own size. */
static char *convert(const char *in, size_t step)
{
    size_t len = strlen(in);
    char *out = calloc(1, QUOTE_ROOM(len) + 8), *piece, *room;
    struct quote q = { 0 };
    size_t n = 0;

    for (size_t at = 0; at < len; at += step) {
        size_t some = len - at < step ? len - at : step, made;

        piece = malloc(some);
        room = malloc(QUOTE_ROOM(some));
        memcpy(piece, in + at, some);
        made = quote_add(&q, piece, some, room);
        memcpy(out + n, room, made);
        n += made;
        free(piece);
        free(room);
    }
    room = malloc(QUOTE_ROOM(0));
    memcpy(out + n, room, quote_end(&q, room));
    free(room);
    return out;
}

static void messages_become_mbox(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t step = 1; step < 8; step++) {
            char *out = convert(cases[i].in, step);

            if (strcmp(out, cases[i].out) != 0)
                fail_msg("case %zu in steps of %zu: \"%s\"", i, step, out);
            free(out);
        }
    }
}

/* The rule of mboxrd readers: a line that matches ">+From " loses one ">". */
static char *unquote(const char *in)
{
    char *out = calloc(1, strlen(in) + 1), *o = out;

    while (*in) {
        size_t len = strcspn(in, "\n") + 1, gt = strspn(in, ">");

        if (gt && !strncmp(in + gt, "From ", 5))
            in++, len--;
        memcpy(o, in, len);
        o += len;
        in += len;
    }
    return out;
}

static void quoting_can_be_undone(void **state)
{
    static const char letters[] = ">From \r\nx";
    unsigned seed = 1;
    (void)state;

    for (int i = 0; i < 20000; i++) {
        char in[64], lf[80], *out, *back;
        size_t len = 0, n = 0;

        for (int k = 0; k < 8; k++) { /* letters, or whole words, or line ends */
            seed = seed * 1103515245u + 12345u;
            if (seed >> 16 & 1)
                len += (size_t)sprintf(in + len, "%s", seed >> 17 & 1 ? "From " : "\r\n");
            else
                in[len++] = letters[(seed >> 18) % (sizeof letters - 1)];
        }
        in[len] = '\0';
        out = convert(in, 1 + (seed >> 20) % 5);
        back = unquote(out);
        for (size_t k = 0; k < len; k++) { /* what should come back: LF for CRLF, one at the end */
            if (in[k] != '\r' || in[k + 1] != '\n')
                lf[n++] = in[k];
        }
        if (len && lf[n - 1] != '\n')
            lf[n++] = '\n';
        lf[n++] = '\n';
        lf[n] = '\0';
        if (strcmp(back, lf) != 0)
            fail_msg("\"%s\" came back as \"%s\"", in, back);
        assert_true(strncmp(out, "From ", 5) != 0 && !strstr(out, "\nFrom "));
        free(back);
        free(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_become_mbox),
        cmocka_unit_test(quoting_can_be_undone),
    };

    return cmocka_run_group_tests_name("local-mbox quote", tests, NULL, NULL);
}
