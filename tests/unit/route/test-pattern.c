/* Patterns of domains and addresses. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "route/pattern.h"

static int domain_matches(const char *pattern, const char *domain)
{
    struct arena *a = arena_new();
    struct domain_pattern p;
    char normal[ADDRESS_DOMAIN_MAX + 1];
    const char *why;
    int r;

    assert_int_equal(domain_pattern_parse(a, pattern, &p, &why), 0);
    assert_string_equal(p.text, pattern);
    assert_int_equal(route_domain_normalize(domain, strlen(domain), normal), 0);
    r = domain_pattern_match(&p, normal);
    arena_free(&a);
    return r;
}

static void domains_match_as_documented(void **state)
{
    (void)state;
    assert_true(domain_matches("example.com", "EXAMPLE.com"));
    assert_true(domain_matches("Example.Com.", "example.com"));
    assert_true(domain_matches("example.com", "example.com."));
    assert_false(domain_matches("example.com", "a.example.com"));
    assert_false(domain_matches("example.com", "notexample.com"));

    assert_true(domain_matches(".example.com", "a.example.com"));
    assert_true(domain_matches(".example.com", "a.b.EXAMPLE.com"));
    assert_false(domain_matches(".example.com", "example.com"));
    assert_false(domain_matches(".example.com", "notexample.com"));
    assert_true(domain_matches("*.example.com", "a.b.example.com"));
    assert_false(domain_matches("*.example.com", "example.com"));

    assert_true(domain_matches("mail?.example.*", "mail7.example.org"));
    assert_false(domain_matches("mail?.example.*", "mail77.example.org"));
    assert_true(domain_matches("*example.com", "notexample.com"));
    assert_true(domain_matches("*", "any.thing"));
    assert_true(domain_matches("[192.0.2.1]", "[192.0.2.1]"));
    assert_true(domain_matches("[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]"));
}

static void both_forms_of_an_international_name_are_one(void **state)
{
    (void)state;
    assert_true(domain_matches("b\xc3\xbc"
                               "cher.example",
                               "xn--bcher-kva.example"));
    assert_true(domain_matches("xn--bcher-kva.example",
                               "B\xc3\x9c"
                               "CHER.example"));
    assert_true(domain_matches(".b\xc3\xbc"
                               "cher.example",
                               "a.xn--bcher-kva.example"));
    assert_true(domain_matches("mail?.b\xc3\xbc"
                               "cher.example",
                               "mail1.b\xc3\xbc"
                               "cher.example"));
}

static void assert_bad_domain(const char *pattern)
{
    struct arena *a = arena_new();
    struct domain_pattern p;
    const char *why = NULL;

    assert_int_equal(domain_pattern_parse(a, pattern, &p, &why), -EINVAL);
    assert_non_null(why);
    arena_free(&a);
}

static void nonsense_is_refused(void **state)
{
    char longer[ADDRESS_DOMAIN_MAX + 2];

    (void)state;
    assert_bad_domain("");
    assert_bad_domain(".");
    assert_bad_domain("a..b");
    assert_bad_domain("..b");
    assert_bad_domain("bob@example.com");
    assert_bad_domain("exa mple.com");
    assert_bad_domain(".*.example.com");
    assert_bad_domain("[192.0.2.*]");
    assert_bad_domain("\xff.example");
    assert_bad_domain("b\xc3\xbc"
                      "cher*.example");
    memset(longer, '*', sizeof longer);
    longer[sizeof longer - 1] = 0;
    assert_bad_domain(longer);
}

static int address_matches(const char *pattern, const char *text)
{
    struct arena *a = arena_new();
    struct address_pattern p;
    struct route_address address;
    const char *why;
    int r;

    assert_int_equal(address_pattern_parse(a, pattern, &p, &why), 0);
    assert_int_equal(route_address_init(&address, text, "gw.example.com", &why), 0);
    r = address_pattern_match(&p, &address);
    arena_free(&a);
    return r;
}

static void addresses_match_as_documented(void **state)
{
    (void)state;
    assert_true(address_matches("bob@example.com", "BOB@Example.COM"));
    assert_true(address_matches("Bob@Example.com", "\"bob\"@example.com."));
    assert_false(address_matches("bob@example.com", "bobby@example.com"));
    assert_false(address_matches("bob@example.com", "bob@a.example.com"));
    assert_true(address_matches("bob@.example.com", "bob@a.example.com"));
    assert_true(address_matches("b*@example.com", "bobby@example.com"));
    assert_true(address_matches("*+*@*", "bob+list@anywhere"));
    assert_true(address_matches("bob@", "bob@any.where"));
    assert_true(address_matches("@example.com", "anybody@example.com"));
    assert_false(address_matches("@example.com", "anybody@a.example.com"));
    assert_true(address_matches("@*.example.com", "anybody@a.example.com"));
    assert_true(address_matches(".example.com", "anybody@a.example.com"));
    assert_true(address_matches("*", "anybody@any.where"));
    assert_true(address_matches("*@*", "anybody@any.where"));
    assert_true(address_matches("root@gw.example.com", "root"));
    assert_true(address_matches("@b", "@a:user@b"));
    assert_false(address_matches("@a", "@a:user@b"));
}

static void foreign_local_parts_match_without_their_quotes(void **state)
{
    (void)state;
    assert_true(address_matches("NODE::*@gw", "\"node::smith\"@gw"));
    assert_true(address_matches("\"NODE::SMITH\"@gw", "\"node::smith\"@gw"));
    assert_true(address_matches("*MRGATE::*@gw", "\"X::MRGATE::\\\"A1::SMITH\\\"\"@gw"));
    assert_true(address_matches("*%*@gw", "user%c%b@gw"));
    assert_true(address_matches("a@b@gw", "\"a@b\"@gw"));
}

static void the_null_sender_matches_nothing_else(void **state)
{
    struct arena *a = arena_new();
    struct address_pattern p;
    const char *why;

    (void)state;
    assert_false(address_matches("<>", "bob@example.com"));
    assert_int_equal(address_pattern_parse(a, "<>", &p, &why), 0);
    assert_true(p.null);
    assert_int_equal(address_pattern_parse(a, "bob", &p, &why), -EINVAL);
    assert_string_equal(why, "no '@': write \"user@\" for a user, \"@example.com\" for a domain");
    assert_int_equal(address_pattern_parse(a, "@", &p, &why), -EINVAL);
    assert_int_equal(address_pattern_parse(a, "", &p, &why), -EINVAL);
    assert_int_equal(address_pattern_parse(a, "bob@exa mple", &p, &why), -EINVAL);
    arena_free(&a);
}

static void assert_capture(const char *pattern, const char *text, const char *expected)
{
    struct arena *a = arena_new();
    struct address_pattern p;
    struct route_address address;
    char buf[ADDRESS_CAPTURE_SIZE];
    const char *why;

    assert_int_equal(route_address_init(&address, text, "gw", &why), 0);
    if (pattern) {
        assert_int_equal(address_pattern_parse(a, pattern, &p, &why), 0);
        assert_true(address_pattern_match(&p, &address));
    }
    assert_int_equal(address_pattern_capture(pattern ? &p : NULL, NULL, &address, 1, buf), 0);
    assert_string_equal(buf, expected);
    arena_free(&a);
}

static void the_first_star_is_what_it_stands_for(void **state)
{
    (void)state;
    assert_capture("*@old.example", "Bob.Smith@old.example", "Bob.Smith");
    assert_capture("sales-*@old.example", "Sales-EU@old.example", "EU");
    assert_capture("*-list@old.example", "a-b-list@old.example", "a-b");
    assert_capture("*+*@old.example", "bob+a+b@old.example", "bob");
    assert_capture("?*@old.example", "bob@old.example", "ob");
    assert_capture("b*@old.example", "b@old.example", "");
    assert_capture("NODE::*@gw", "\"NODE::JOE SMITH\"@gw", "JOE SMITH");
    assert_capture("user@*.dnet.example", "user@HUB.dnet.example", "hub");
    assert_capture("user@.dnet.example", "user@a.hub.dnet.example", "a.hub");
    assert_capture("user@n*.example", "user@node7.example", "ode7");
    /* No star: the local part. */
    assert_capture("bob@old.example", "Bob@old.example", "Bob");
    assert_capture("@old.example", "Bob@old.example", "Bob");
    assert_capture("@*.example", "Bob@old.example", "Bob");
    assert_capture(NULL, "\"Joe Smith\"@old.example", "Joe Smith");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(domains_match_as_documented),
        cmocka_unit_test(both_forms_of_an_international_name_are_one),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(addresses_match_as_documented),
        cmocka_unit_test(foreign_local_parts_match_without_their_quotes),
        cmocka_unit_test(the_null_sender_matches_nothing_else),
        cmocka_unit_test(the_first_star_is_what_it_stands_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
