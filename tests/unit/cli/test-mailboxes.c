/* Address lists as people and programs write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "cli/mailboxes.h"
#include "util/buf.h"

static void gather(void *ctx, const char *address)
{
    struct buf *b = ctx;

    if (b->len)
        buf_addc(b, '|');
    buf_adds(b, address);
}

/* The mailboxes of text, separated by '|'. */
static void check_n(const char *text, size_t len, const char *expected)
{
    struct buf found = { 0 };
    char *exact = malloc(len ? len : 1); /* without a NUL behind it */

    memcpy(exact, text, len);
    buf_adds(&found, "");
    mailboxes_each(exact, len, gather, &found);
    assert_string_equal(found.data, expected);
    buf_free(&found);
    free(exact);
}

static void check(const char *text, const char *expected)
{
    check_n(text, strlen(text), expected);
}

static void plain_lists(void **state)
{
    (void)state;
    check("", "");
    check(" , ;, ", "");
    check("a@b.test", "a@b.test");
    check("a@b.test, c@d.test", "a@b.test|c@d.test");
    check("a@b.test,c@d.test,", "a@b.test|c@d.test");
    check("root", "root");
    check("<>", "");
}

static void names_and_comments_are_taken_off(void **state)
{
    (void)state;
    check("Ann Bee <ann@b.test>", "ann@b.test");
    check("\"Bee, Ann\" <ann@b.test>, Carl <c@d.test>", "ann@b.test|c@d.test");
    check("\"Ann \\\"the <x@y> Bee\\\"\" <ann@b.test>", "ann@b.test");
    check("ann@b.test (Ann Bee)", "ann@b.test");
    check("(to (nobody, but) ann) ann@b.test (x\\)y), c@d.test", "ann@b.test|c@d.test");
    check("ann(comment)@(another)b.test", "ann@b.test");
    check("<ann@b.test (why here?)>", "ann@b.test");
    check("Ann: <ann@b.test>", "ann@b.test");
}

static void folding_and_obsolete_blanks_are_undone(void **state)
{
    (void)state;
    check("a@b.test,\r\n\tc@d.test\r\n", "a@b.test|c@d.test");
    check("Ann\r\n Bee <ann@b.test>", "ann@b.test");
    check("ann @ b.test", "ann@b.test");
    check("Ann < ann@b.test >", "ann@b.test");
}

static void groups(void **state)
{
    (void)state;
    check("undisclosed-recipients:;", "");
    check("team: a@b.test, C <c@d.test>;, e@f.test", "a@b.test|c@d.test|e@f.test");
    check("\"the: team\": a@b.test;", "a@b.test");
    check("one: a@b.test; two: c@d.test;", "a@b.test|c@d.test");
}

static void quoted_local_parts_keep_their_quotes(void **state)
{
    (void)state;
    check("\"john doe\"@b.test", "\"john doe\"@b.test");
    check("\"a,b:c;d<e>(f)\"@b.test", "\"a,b:c;d<e>(f)\"@b.test");
    check("\"a\\\"b\\\\\"@b.test", "\"a\\\"b\\\\\"@b.test");
    check("X <\"NODE::USER\"@decnet.test>", "\"NODE::USER\"@decnet.test");
}

static void foreign_forms_keep_their_colons(void **state)
{
    (void)state;
    check("NODE::USER", "NODE::USER");
    check("NODE::USER, a@b.test", "NODE::USER|a@b.test");
    check("A::B::USER@gw.test", "A::B::USER@gw.test");
    check("team: NODE::USER;", "NODE::USER");
    check("<NODE::USER>", "NODE::USER");
}

static void source_routes_are_taken_off(void **state)
{
    (void)state;
    check("<@one.test,@two.test:a@b.test>", "a@b.test");
    check("Ann <@one.test:ann@b.test>, c@d.test", "ann@b.test|c@d.test");
    check("@one.test,@two.test:a@b.test", "a@b.test");
    check("<@nowhere>", "");
}

static void address_literals_keep_their_colons(void **state)
{
    (void)state;
    check("a@[192.0.2.1]", "a@[192.0.2.1]");
    check("a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]");
    check("Ann <a@[IPv6:2001:db8::1]>, c@d.test", "a@[IPv6:2001:db8::1]|c@d.test");
    check("a@[IPv6:2001:db8::1], c@d.test", "a@[IPv6:2001:db8::1]|c@d.test");
    check("a@[unfinished, c@d.test", "a@[unfinished|c@d.test");
}

static void what_does_not_end_ends_with_the_text(void **state)
{
    (void)state;
    check("\"", "\"\"");
    check("\"abc\\", "\"abc\\\"");
    check("(", "");
    check("a@b.test (", "a@b.test");
    check("(\\", "");
    check("a@b.test, <c@d.test", "a@b.test|c@d.test");
    check(":", "");
    check("a@[", "a@[");
}

/* "a@b.test\0.evil" must not become a@b.test. */
static void a_nul_is_not_an_end(void **state)
{
    (void)state;
    check_n("a@b.test\0.evil", 14, "a@b.test\177.evil");
    check_n("\"a\0b\"@c", 7, "\"a\177b\"@c");
    check_n("a@[1\0]", 6, "a@[1\177]");
}

static void every_text_is_survived(void **state)
{
    static const char alphabet[] = "a@b.<>()[]\"\\,:; \r\n\t\0\xc3\xff";
    struct buf found = { 0 };
    unsigned seed = 1;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        char text[24];
        size_t len = (size_t)rand_r(&seed) % sizeof text;
        char *exact = malloc(len ? len : 1);

        for (size_t k = 0; k < len; k++)
            exact[k] = alphabet[(size_t)rand_r(&seed) % (sizeof alphabet - 1)];
        buf_clear(&found);
        mailboxes_each(exact, len, gather, &found);
        assert_true(found.len <= 3 * len + 2); /* quotes that were missing, and separators */
        free(exact);
    }
    buf_free(&found);
}

static void what_json_cannot_say_is_null_and_not_lost(void **state)
{
    json_t *list = json_array();

    (void)state;
    mailboxes_each("a@b.test, \xff@c.test", 18, mailboxes_append, list);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(json_string_value(json_array_get(list, 0)), "a@b.test");
    assert_true(json_is_null(json_array_get(list, 1)));
    json_decref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_lists),
        cmocka_unit_test(names_and_comments_are_taken_off),
        cmocka_unit_test(folding_and_obsolete_blanks_are_undone),
        cmocka_unit_test(groups),
        cmocka_unit_test(quoted_local_parts_keep_their_quotes),
        cmocka_unit_test(foreign_forms_keep_their_colons),
        cmocka_unit_test(source_routes_are_taken_off),
        cmocka_unit_test(address_literals_keep_their_colons),
        cmocka_unit_test(what_does_not_end_ends_with_the_text),
        cmocka_unit_test(a_nul_is_not_an_end),
        cmocka_unit_test(every_text_is_survived),
        cmocka_unit_test(what_json_cannot_say_is_null_and_not_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
