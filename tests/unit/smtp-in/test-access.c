/* Networks and who is in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "../../../plugins/smtp-in/access.h"

static int has(const char *network, const char *peer, uint32_t flags)
{
    struct postern_strings list = { 1, &network };
    struct postern_stream_info info = { .size = sizeof info, .peer = peer, .flags = flags };
    struct smtpin_access a;
    struct smtpin_client c;
    const char *item, *why;
    int r;

    assert_int_equal(smtpin_access_init(&a, &list, &item, &why), 0);
    smtpin_client_init(&c, &info);
    r = smtpin_access_has(&a, &c);
    smtpin_access_done(&a);
    return r;
}

static void a_network_holds_its_own_and_nobody_else(void **state)
{
    (void)state;
    assert_true(has("192.0.2.0/24", "192.0.2.255", 0));
    assert_false(has("192.0.2.0/24", "192.0.3.0", 0));
    assert_true(has("192.0.2.8/29", "192.0.2.15", 0));
    assert_false(has("192.0.2.8/29", "192.0.2.16", 0));
    assert_false(has("192.0.2.8/29", "192.0.2.7", 0));
    assert_true(has("192.0.2.1", "192.0.2.1", 0));
    assert_false(has("192.0.2.1", "192.0.2.2", 0));
    assert_true(has("0.0.0.0/0", "203.0.113.9", 0));
    assert_false(has("0.0.0.0/0", "2001:db8::1", 0));
    assert_true(has("2001:db8::/33", "2001:db8:7fff::1", 0));
    assert_false(has("2001:db8::/33", "2001:db8:8000::1", 0));
    assert_true(has("[2001:db8::1]/128", "2001:db8::1", 0));
    assert_true(has("[::1]", "::1", 0));
}

static void an_IPv4_client_is_the_same_by_either_name(void **state)
{
    (void)state;
    assert_true(has("192.0.2.0/24", "::ffff:192.0.2.1", 0));
    assert_true(has("::ffff:192.0.2.0/120", "192.0.2.1", 0));
}

static void local_is_a_network_of_its_own(void **state)
{
    (void)state;
    assert_true(has("local", "local", POSTERN_STREAM_LOCAL));
    assert_false(has("local", "127.0.0.1", 0));
    assert_false(has("127.0.0.0/8", "local", POSTERN_STREAM_LOCAL));
    assert_false(has("::/0", "local", POSTERN_STREAM_LOCAL));
    assert_false(has("::1", "local", 0));
}

static void a_slip_in_a_network_is_told(void **state)
{
    static const char *const wrong[] = {
        "",           "192.0.2.0/", "192.0.2.0/33", "192.0.2.1/24", "192.0.2",
        "mx.example", "[::1",       "[::1]x",       "::1/129",      "2001:db8::/8",
        "LOCAL",      "1.2.3.4/-1", "1.2.3.4/a",    "::1/1280",     "[[::1]]"
    };
    struct smtpin_network n;
    const char *why;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        why = NULL;
        assert_int_equal(smtpin_network_parse(wrong[i], &n, &why), -EINVAL);
        assert_non_null(why);
    }
}

static void everyone_is_recognized(void **state)
{
    static const struct {
        const char *network;
        int everyone;
    } lists[] = { { "0.0.0.0/0", 1 }, { "::/0", 1 },  { "0.0.0.0/1", 0 },
                  { "::/1", 0 },      { "local", 0 }, { "10.0.0.0/8", 0 } };
    struct smtpin_access a;
    const char *item, *why;

    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct postern_strings list = { 1, &lists[i].network };

        assert_int_equal(smtpin_access_init(&a, &list, &item, &why), 0);
        assert_int_equal(smtpin_access_is_everyone(&a), lists[i].everyone);
        smtpin_access_done(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_holds_its_own_and_nobody_else),
        cmocka_unit_test(an_IPv4_client_is_the_same_by_either_name),
        cmocka_unit_test(local_is_a_network_of_its_own),
        cmocka_unit_test(a_slip_in_a_network_is_told),
        cmocka_unit_test(everyone_is_recognized),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
