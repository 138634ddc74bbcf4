/* What the tests of foreign addresses share: a translation is run, and its answer compared. */
#ifndef TESTS_UNIT_ADDRESS_FOREIGN_TEST_H
#define TESTS_UNIT_ADDRESS_FOREIGN_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <postern/mail.h>

typedef int translate(const struct postern_address_site *site, const char *text, size_t len,
                      char *buf, size_t size, const char **reterr_why);

struct translation {
    const char *text, *expected; /* expected NULL: refused */
    const char *why;             /* then the sentence */
};

static const struct postern_address_site ucx = {
    .size = sizeof(struct postern_address_site),
    .domain = "xyzcorp.com",
    .host = "systm2.xyzcorp.com",
    .node = "SYSTM2",
};
static const struct postern_address_site tcpware = {
    .size = sizeof(struct postern_address_site),
    .host = "HQ.EXAMPLE.COM",
    .decnet_domain = "DNET.EXAMPLE.COM",
    .node = "HQ",
};

/* A copy without a NUL behind it, so that a sanitizer sees a read too far. */
static inline char *exact_copy(const char *text, size_t len)
{
    char *copy = malloc(len ? len : 1);

    assert_non_null(copy);
    memcpy(copy, text, len);
    return copy;
}

static inline void check_translation(translate *how, const struct postern_address_site *site,
                                     const struct translation *t)
{
    char buf[POSTERN_ADDRESS_SIZE] = "untouched";
    const char *why = NULL;
    size_t len = strlen(t->text);
    char *text = exact_copy(t->text, len);
    int r = how(site, text, len, buf, sizeof buf, &why);

    if (t->expected) {
        if (r < 0 || strcmp(buf, t->expected) != 0)
            fail_msg("%s: got %s (%s), expected %s", t->text, buf, why ? why : "", t->expected);
        assert_null(why);
        assert_int_equal(r, strlen(t->expected));
        /* A buffer that is just large enough, and one that is not. */
        assert_int_equal(how(site, text, len, buf, (size_t)r + 1, NULL), r);
        assert_int_equal(how(site, text, len, buf, (size_t)r, NULL), -ENOBUFS);
    } else {
        if (r >= 0)
            fail_msg("%s: got %s, expected to be refused", t->text, buf);
        assert_true(r == -EINVAL || r == -ENOENT);
        assert_non_null(why);
        assert_string_equal(why, t->why);
        assert_string_equal(buf, "untouched");
        assert_int_equal(how(site, text, len, buf, sizeof buf, NULL), r);
    }
    free(text);
}

#define CHECK_ALL(how, site, ...)                                                                  \
    do {                                                                                           \
        static const struct translation all[] = { __VA_ARGS__ };                                   \
                                                                                                   \
        for (size_t i_ = 0; i_ < sizeof all / sizeof all[0]; i_++)                                 \
            check_translation(how, site, &all[i_]);                                                \
    } while (0)

/* Steps, as "rule: before -> after\n". */
struct listener {
    char   text[8192];
    size_t len;
};

static inline void listen_to(void *ctx, const char *rule, const char *before, size_t before_len,
                             const char *after, size_t after_len)
{
    struct listener *l = ctx;
    int n = snprintf(l->text + l->len, sizeof l->text - l->len, "%s: %.*s -> %.*s\n", rule,
                     (int)before_len, before, (int)after_len, after);

    assert_true(n > 0 && (size_t)n < sizeof l->text - l->len);
    l->len += (size_t)n;
}

static inline void check_steps(translate *how, struct postern_address_site site, const char *text,
                               const char *expected)
{
    struct listener l = { "", 0 };
    char buf[POSTERN_ADDRESS_SIZE];

    site.step = listen_to;
    site.ctx = &l;
    assert_true(how(&site, text, strlen(text), buf, sizeof buf, NULL) >= 0);
    assert_string_equal(l.text, expected);
}

static inline uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

#endif
