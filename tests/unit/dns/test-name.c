/* Names and addresses as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "dns/name.h"

static void host_names_become_lower_case_a_labels(void **state)
{
    static const char *const cases[][2] = {
        { "Example.ORG", "example.org" },
        { "example.org.", "example.org" },
        { "a", "a" },
        { "_dmarc.x-y.example", "_dmarc.x-y.example" },
        { "b\xc3\xbc"
          "cher.example",
          "xn--bcher-kva.example" },
        { "B\xc3\x9c"
          "CHER.example",
          "xn--bcher-kva.example" },
        { "xn--bcher-kva.example", "xn--bcher-kva.example" },
        { "1.2.3", "1.2.3" },
    };
    char got[DNS_NAME_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(dns_name_normal(cases[i][0], got), 0);
        assert_string_equal(got, cases[i][1]);
    }
}

static void what_is_no_host_name_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        ".",
        "..",
        ".example",
        "a..b",
        "a b",
        "a@b",
        "a/b",
        "a\tb",
        "a\nb",
        "*",
        "a,b",
        "example.org..",
        "[1.2.3]",
        "a:25",
        "\xff.example",
        "a\xc3",
        "\xe2\x80\xae.example",
    };
    char got[DNS_NAME_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(dns_name_normal(cases[i], got), -EINVAL);
}

static void names_and_labels_have_their_lengths(void **state)
{
    char name[2000], got[DNS_NAME_SIZE];

    (void)state;
    memset(name, 'a', sizeof name);
    name[63] = '\0';
    assert_int_equal(dns_name_normal(name, got), 0);
    name[63] = 'a';
    name[64] = '\0';
    assert_int_equal(dns_name_normal(name, got), -EINVAL);
    for (int i = 3; i < 253; i += 4)
        name[i] = '.';
    name[64] = 'a';
    name[253] = '\0';
    assert_int_equal(dns_name_normal(name, got), 0);
    assert_int_equal(strlen(got), 253);
    strcpy(name + 253, ".");
    assert_int_equal(dns_name_normal(name, got), 0);
    strcpy(name + 253, "a");
    assert_int_equal(dns_name_normal(name, got), -EINVAL);
    memset(name, 'a', sizeof name);
    name[0] = (char)0xc3;
    name[1] = (char)0xa9;
    name[sizeof name - 1] = '\0';
    assert_int_equal(dns_name_normal(name, got), -EINVAL);
}

static void address_literals_are_known_in_all_their_forms(void **state)
{
    static const char *const cases[][2] = {
        { "192.0.2.1", "192.0.2.1" },
        { "[192.0.2.1]", "192.0.2.1" },
        { "2001:DB8:0::1", "2001:db8::1" },
        { "[IPv6:2001:db8::1]", "2001:db8::1" },
        { "[ipv6:::1]", "::1" },
        { "[::1]", "::1" },
        { "192.0.2", NULL },
        { "192.0.2.256", NULL },
        { "[]", NULL },
        { "[IPv6:192.0.2.1]", NULL },
        { "[192.0.2.1", NULL },
        { "example.org", NULL },
        { "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb", NULL },
        { "", NULL },
    };
    char got[64];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(dns_literal(cases[i][0], got, sizeof got), cases[i][1] != NULL);
        if (cases[i][1])
            assert_string_equal(got, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_names_become_lower_case_a_labels),
        cmocka_unit_test(what_is_no_host_name_is_refused),
        cmocka_unit_test(names_and_labels_have_their_lengths),
        cmocka_unit_test(address_literals_are_known_in_all_their_forms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
