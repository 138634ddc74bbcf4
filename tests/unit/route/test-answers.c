/* What directories have said: what is kept, what is no answer, and what is not theirs to say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "route/answers.h"
#include "util/buf.h"

static const struct config_lookups cfg = { .ttl = POSTERN_MINUTES(5),
                                           .negative_ttl = POSTERN_MINUTES(1),
                                           .cache_max = 3,
                                           .deadline = POSTERN_SECONDS(1) };

static struct route_need alias(const char *key)
{
    return (struct route_need){ POSTERN_LOOKUP_ALIAS, "people", key, key, "gw.test" };
}

#define PUT(a, n, commands, ...) \
    route_answers_put((a), (n), 0, (const char *const[]){ __VA_ARGS__ }, \
                      sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *), (commands))

static void expect_text(struct route_answers *a, const struct route_need *n, const char *expected)
{
    struct route_answer got;
    struct buf text = { 0 };

    assert_int_equal(route_answers_get(a, n, &got), 1);
    route_answer_text(n, &got, &text);
    assert_string_equal(text.data, expected);
    buf_free(&text);
}

static void answers_are_kept_by_kind_directory_and_name(void **state)
{
    struct route_answers *a = route_answers_new(&cfg);
    struct route_need n = alias("ann"), user = n, other = n;
    struct route_answer got;

    (void)state;
    user.kind = POSTERN_LOOKUP_USER;
    other.source = "map";
    assert_int_equal(route_answers_get(a, &n, &got), 0);
    PUT(a, &n, 0, "bob", "eve@x.test", "_carol");
    expect_text(a, &n, "directory people: alias ann: bob, eve@x.test, _carol");
    assert_int_equal(route_answers_get(a, &user, &got), 0);
    assert_int_equal(route_answers_get(a, &other, &got), 0);
    route_answers_put(a, &user, 0, NULL, 0, 0);
    expect_text(a, &user, "directory people: user ann: exists");
    route_answers_put(a, &other, -ENOENT, NULL, 0, 0);
    expect_text(a, &other, "directory map: alias ann: not found");
    route_answers_put(a, &n, -ENOENT, NULL, 0, 0); /* the newest counts */
    expect_text(a, &n, "directory people: alias ann: not found");
    route_answers_free(&a);
}

/* A filter may ask for the local part and the domain, a list of users for the very letters. */
static void answers_are_kept_by_all_that_is_asked(void **state)
{
    struct route_answers *a = route_answers_new(&cfg);
    struct route_need n = { POSTERN_LOOKUP_USER, "people", "bob", "bob", "a.test" };
    struct route_need domain = n, letters = n, shifted = n;
    struct route_answer got;

    (void)state;
    domain.domain = "b.test";
    letters.local = "Bob";
    shifted.key = "bobb"; /* all the same when put together */
    shifted.local = "ob";
    route_answers_put(a, &n, -ENOENT, NULL, 0, 0);
    assert_int_equal(route_answers_get(a, &n, &got), 1);
    assert_int_equal(route_answers_get(a, &domain, &got), 0);
    assert_int_equal(route_answers_get(a, &letters, &got), 0);
    assert_int_equal(route_answers_get(a, &shifted, &got), 0);
    route_answers_put(a, &domain, 0, NULL, 0, 0);
    assert_int_equal(route_answers_get(a, &n, &got), 1);
    assert_int_equal(got.result, -ENOENT);
    route_answers_free(&a);
}

static void the_oldest_goes_when_there_are_too_many(void **state)
{
    struct route_answers *a = route_answers_new(&cfg);
    struct route_answers_stats s;
    struct route_answer got;
    char key[16];

    (void)state;
    for (int i = 0; i < 5; i++) {
        struct route_need n;

        snprintf(key, sizeof key, "k%d", i);
        n = alias(key);
        PUT(a, &n, 0, "x");
    }
    for (int i = 0; i < 5; i++) {
        struct route_need n;

        snprintf(key, sizeof key, "k%d", i);
        n = alias(key);
        assert_int_equal(route_answers_get(a, &n, &got), i >= 2);
    }
    route_answers_stats(a, &s);
    assert_int_equal(s.entries, 3);
    assert_int_equal(s.hits, 3);
    assert_int_equal(s.misses, 2);
    route_answers_forget(a);
    route_answers_stats(a, &s);
    assert_int_equal(s.entries, 0);
    route_answers_free(&a);
}

static void expect_failure(const char *value, int commands, const char *why)
{
    struct route_answers *a = route_answers_new(&cfg);
    struct route_need n = alias("ann");
    struct route_answer got;

    PUT(a, &n, commands, value);
    assert_int_equal(route_answers_get(a, &n, &got), 1);
    assert_int_equal(got.result, -EAGAIN);
    assert_null(got.source);
    if (strncmp(got.why, "directory people: ", 18) != 0 || !strstr(got.why, why))
        fail_msg("found \"%s\", expected \"%s\" in it", got.why, why);
    route_answers_free(&a);
}

static void what_is_no_target_is_a_failure_in_words(void **state)
{
    char *large = mem_alloc(POSTERN_LOOKUP_VALUE_MAX + 2);

    (void)state;
    memset(large, 'x', POSTERN_LOOKUP_VALUE_MAX + 1);
    large[POSTERN_LOOKUP_VALUE_MAX + 1] = '\0';
    expect_failure("a b@x.test", 0, "expected");
    expect_failure("", 0, "found nothing");
    expect_failure("bob\n_eve", 0, "several lines");
    expect_failure(large, 0, "too long");
    free(large);
}

static void commands_are_only_for_directories_that_may(void **state)
{
    struct route_answers *a = route_answers_new(&cfg);
    struct route_need n = alias("ann");
    struct route_answer got;

    (void)state;
    expect_failure("|/bin/sh", 0, "addresses only");
    expect_failure(">/etc/passwd", 0, "addresses only");
    expect_failure("</etc/passwd", 0, "addresses only");
    expect_failure("::owner", 0, "expected");
    PUT(a, &n, 1, "|/bin/ticket", ">/var/log/x");
    assert_int_equal(route_answers_get(a, &n, &got), 1);
    assert_int_equal(got.result, 0);
    PUT(a, &n, 1, "::owner@x.test", "bob");
    assert_int_equal(route_answers_get(a, &n, &got), 1);
    assert_int_equal(got.result, 0);
    route_answers_free(&a);
}

static void an_answer_without_values_is_none(void **state)
{
    struct route_answers *a = route_answers_new(&cfg);
    struct route_need n = alias("ann");

    (void)state;
    route_answers_put(a, &n, 0, NULL, 0, 0);
    expect_text(a, &n, "directory people: alias ann: the answer for ann has no values");
    route_answers_put(a, &n, -EAGAIN, NULL, 0, 0);
    expect_text(a, &n, "directory people: alias ann: it can't say now");
    route_answers_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_kept_by_kind_directory_and_name),
        cmocka_unit_test(answers_are_kept_by_all_that_is_asked),
        cmocka_unit_test(the_oldest_goes_when_there_are_too_many),
        cmocka_unit_test(what_is_no_target_is_a_failure_in_words),
        cmocka_unit_test(commands_are_only_for_directories_that_may),
        cmocka_unit_test(an_answer_without_values_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
