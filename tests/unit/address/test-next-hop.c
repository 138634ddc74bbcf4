/* Next hops as operators write them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <postern/mail.h>

static void every_documented_form_is_understood(void **state)
{
    static const struct {
        const char *text, *host;
        int port, literal, no_mx;
    } cases[] = {
        { "mx.example.org", "mx.example.org", 0, 0, 0 },
        { "mx.example.org.", "mx.example.org", 0, 0, 0 },
        { "mx.example.org:26", "mx.example.org", 26, 0, 0 },
        { "[mx.example.org]", "mx.example.org", 0, 0, 1 },
        { "[mx.example.org]:587", "mx.example.org", 587, 0, 1 },
        { "192.0.2.1", "192.0.2.1", 0, 1, 1 },
        { "192.0.2.1:25", "192.0.2.1", 25, 1, 1 },
        { "[192.0.2.1]", "192.0.2.1", 0, 1, 1 },
        { "[2001:db8::1]:65535", "2001:db8::1", 65535, 1, 1 },
        { "[2001:db8::1]", "2001:db8::1", 0, 1, 1 },
        { "[IPv6:2001:db8::1]", "2001:db8::1", 0, 1, 1 },
        { "[ipv6:::1]:25", "::1", 25, 1, 1 },
        { "localhost", "localhost", 0, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct postern_next_hop hop;
        const char *why;

        assert_int_equal(postern_next_hop_parse(cases[i].text, &hop, &why), 0);
        assert_string_equal(hop.host, cases[i].host);
        assert_int_equal(hop.port, cases[i].port);
        assert_int_equal(hop.literal, cases[i].literal);
        assert_int_equal(hop.no_mx, cases[i].no_mx);
        assert_int_equal(hop.size, sizeof hop);
    }
}

static void each_mistake_has_its_own_sentence(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        { "", "the host is missing" },
        { ":25", "the host is missing" },
        { "[]", "the host is missing" },
        { "[IPv6:]", "the host is missing" },
        { "[mx", "the closing ']' is missing" },
        { "[mx]25", "only a ':' and a port may follow the host" },
        { "mx:", "the port is not a number from 1 to 65535" },
        { "mx:0", "the port is not a number from 1 to 65535" },
        { "mx:65536", "the port is not a number from 1 to 65535" },
        { "mx:99999999999999999999", "the port is not a number from 1 to 65535" },
        { "mx:25x", "the port is not a number from 1 to 65535" },
        { "mx: 25", "the port is not a number from 1 to 65535" },
        { "2001:db8::1", "an IPv6 address needs brackets: \"[2001:db8::1]:25\"" },
        { "[2001:db8::g]", "this is no valid IPv6 address" },
        { "mx example", "this character is not allowed in a domain" },
        { "mx..example", "the domain has an empty label" },
        { "b\xc3\xbc"
          "cher.example",
          "an internationalized name is written in its \"xn--\" form here" },
        { "bob@mx", "this character is not allowed in a domain" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct postern_next_hop hop = { .port = 7 };
        const char *why = NULL;

        assert_int_equal(postern_next_hop_parse(cases[i].text, &hop, &why), -EINVAL);
        assert_string_equal(why, cases[i].why);
        assert_int_equal(hop.port, 7);
        assert_int_equal(postern_next_hop_parse(cases[i].text, &hop, NULL), -EINVAL);
    }
}

static void a_host_too_long_for_its_member_is_refused(void **state)
{
    char text[400];
    struct postern_next_hop hop;
    const char *why;

    (void)state;
    memset(text, 'a', sizeof text);
    text[256] = 0;
    assert_int_equal(postern_next_hop_parse(text, &hop, &why), -EINVAL);
    assert_string_equal(why, "the host is too long");
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 0;
    assert_int_equal(postern_next_hop_parse(text, &hop, &why), -EINVAL);
    assert_string_equal(why, "the next hop is too long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_documented_form_is_understood),
        cmocka_unit_test(each_mistake_has_its_own_sentence),
        cmocka_unit_test(a_host_too_long_for_its_member_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
