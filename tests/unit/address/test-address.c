/* Mailboxes: what the grammar takes, what it refuses and how it says so. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "address/address.h"

#define UTF8 POSTERN_ADDRESS_UTF8
#define BARE POSTERN_ADDRESS_BARE

static int parse(const char *text, uint32_t flags, struct postern_address *ret)
{
    struct address_fault fault;

    return address_parse(text, strlen(text), flags, ret, &fault);
}

static void assert_piece(const char *piece, size_t len, const char *expected)
{
    if (!expected) {
        assert_null(piece);
        return;
    }
    assert_non_null(piece);
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(piece, expected, len);
}

static void U_21_U_22_mailboxes_are_taken_apart(void **state)
{
    static const struct {
        const char *text;
        uint32_t allow;
        const char *local, *domain, *route;
        uint32_t flags;
    } cases[] = {
        { "bob@example.org", 0, "bob", "example.org", NULL, 0 },
        { "a.b+c=d/e{f}|~@x", 0, "a.b+c=d/e{f}|~", "x", NULL, 0 },
        { "!#$%&'*+-/=?^_`{|}~@x", 0, "!#$%&'*+-/=?^_`{|}~", "x", NULL, 0 },
        { "\"a b\"@x.org", 0, "\"a b\"", "x.org", NULL, POSTERN_ADDRESS_QUOTED },
        { "\"@\"@x", 0, "\"@\"", "x", NULL, POSTERN_ADDRESS_QUOTED },
        { "\"\"@x", 0, "\"\"", "x", NULL, POSTERN_ADDRESS_QUOTED },
        { "\"\\\\\\\"\"@x", 0, "\"\\\\\\\"\"", "x", NULL, POSTERN_ADDRESS_QUOTED },
        { "a@under_score.example", 0, "a", "under_score.example", NULL, 0 },
        { "a@example.org.", 0, "a", "example.org.", NULL, 0 },
        { "a@1.2.3.4", 0, "a", "1.2.3.4", NULL, 0 },
        { "a@x-y.z", 0, "a", "x-y.z", NULL, 0 },
        { "a@[192.0.2.1]", 0, "a", "[192.0.2.1]", NULL, POSTERN_ADDRESS_LITERAL },
        { "a@[IPv6:2001:db8::1]", 0, "a", "[IPv6:2001:db8::1]", NULL, POSTERN_ADDRESS_LITERAL },
        { "a@[ipv6:::ffff:192.0.2.1]", 0, "a", "[ipv6:::ffff:192.0.2.1]", NULL,
          POSTERN_ADDRESS_LITERAL },
        { "a@[x-tag:what/ever]", 0, "a", "[x-tag:what/ever]", NULL, POSTERN_ADDRESS_LITERAL },
        { "@a,@b:user@c", 0, "user", "c", "@a,@b", 0 },
        { "@[192.0.2.1],@b.:user@c", 0, "user", "c", "@[192.0.2.1],@b.", 0 },
        { "postmaster", BARE, "postmaster", NULL, NULL, 0 },
        { "\"A::B\"", BARE, "\"A::B\"", NULL, NULL, POSTERN_ADDRESS_QUOTED },
        { "j\xc3\xb6rg@b\xc3\xbc"
          "cher.example",
          UTF8, "j\xc3\xb6rg",
          "b\xc3\xbc"
          "cher.example",
          NULL, POSTERN_ADDRESS_UTF8 },
        { "\"\xf0\x9f\x93\xae\"@x", UTF8, "\"\xf0\x9f\x93\xae\"", "x", NULL,
          POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_QUOTED },
        { "a@x", UTF8, "a", "x", NULL, 0 },
        /* The forms in which VMS and its gateways write foreign addresses. */
        { "\"SUMNOD::SMITH\"@xyzcorp.com", 0, "\"SUMNOD::SMITH\"", "xyzcorp.com", NULL,
          POSTERN_ADDRESS_QUOTED },
        { "\"SUMNOD::XXXMTS::MRGATE::\\\"YYYMTS::A1::SMITH\\\"\"@xyzcorp.com", 0,
          "\"SUMNOD::XXXMTS::MRGATE::\\\"YYYMTS::A1::SMITH\\\"\"", "xyzcorp.com", NULL,
          POSTERN_ADDRESS_QUOTED },
        { "\"DSN%SRQ$Z123456-7890\"@xyzcorp.com", 0, "\"DSN%SRQ$Z123456-7890\"", "xyzcorp.com",
          NULL, POSTERN_ADDRESS_QUOTED },
        { "\"SUMNOD::\\\"joe@host.dom\\\"\"@xyzcorp.com", 0, "\"SUMNOD::\\\"joe@host.dom\\\"\"",
          "xyzcorp.com", NULL, POSTERN_ADDRESS_QUOTED },
        { "\"SUMNOD::MRGATE::\\\"XXX::1=FI::2=XXX::3=XYZ::JOE SMITH\\\"\"@xyzcorp.com", 0,
          "\"SUMNOD::MRGATE::\\\"XXX::1=FI::2=XXX::3=XYZ::JOE SMITH\\\"\"", "xyzcorp.com", NULL,
          POSTERN_ADDRESS_QUOTED },
        { "username%c%b@a", 0, "username%c%b", "a", NULL, 0 },
        { "jsmith%A1%CHARLY@mr.example.com", 0, "jsmith%A1%CHARLY", "mr.example.com", NULL, 0 },
        { "Beth.Jones@xyzcorp.com", 0, "Beth.Jones", "xyzcorp.com", NULL, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct postern_address a;

        assert_int_equal(parse(cases[i].text, cases[i].allow, &a), 0);
        assert_piece(a.local, a.local_len, cases[i].local);
        assert_piece(a.domain, a.domain_len, cases[i].domain);
        assert_piece(a.route, a.route_len, cases[i].route);
        assert_int_equal(a.flags, cases[i].flags);
    }
}

static void what_is_wrong_is_said_with_its_place(void **state)
{
    static const struct {
        const char *text;
        uint32_t allow;
        const char *complaint;
    } cases[] = {
        { "", 0, "the address is empty: found the end at position 1" },
        { "bob", 0, "the domain is missing: expected '@': found the end at position 4" },
        { "bob@", 0, "the domain is empty: found the end at position 5" },
        { "@x", 0, "the source route has no ':' at its end: found the end at position 3" },
        { "@x,b:c@d", 0, "each host of a source route begins with '@': found 'b' at position 4" },
        { "@x:postmaster", BARE,
          "the domain is missing: expected '@': found the end at position 14" },
        { "bo b@x", 0, "this character needs a quoted local part: found ' ' at position 3" },
        { "<bob@x>", 0, "this character needs a quoted local part: found '<' at position 1" },
        { "NODE::USER@x", 0, "this character needs a quoted local part: found ':' at position 5" },
        { "a..b@x", 0,
          "a dot without a character on each side needs a quoted local part: found '.' at "
          "position 3" },
        { "a.@x", 0,
          "a dot without a character on each side needs a quoted local part: found '@' at "
          "position 3" },
        { ".a@x", 0,
          "a dot without a character on each side needs a quoted local part: found '.' at "
          "position 1" },
        { "\"a@x", 0, "the quoted local part has no closing quote: found the end at position 5" },
        { "\"a\\", 0, "the quoted local part has no closing quote: found the end at position 4" },
        { "\"a\"b@x", 0, "after the closing quote only '@' may follow: found 'b' at position 4" },
        { "\"a\nb\"@x", 0, "control characters are not allowed: found byte 0x0a at position 3" },
        { "\"a\\\nb\"@x", 0, "control characters are not allowed: found byte 0x0a at position 4" },
        { "a@x y", 0, "this character is not allowed in a domain: found ' ' at position 4" },
        { "a@x..y", 0, "the domain has an empty label: found '.' at position 5" },
        { "a@.x", 0, "the domain has an empty label: found '.' at position 3" },
        { "a@x..", 0, "the domain has an empty label: found '.' at position 5" },
        { "a@-x", 0, "a label of a domain may not begin with '-': found '-' at position 3" },
        { "a@x-.y", 0, "a label of a domain may not end with '-': found '-' at position 4" },
        { "a@b@c", 0, "this character is not allowed in a domain: found '@' at position 4" },
        { "a@[1.2.3.4", 0, "the address literal has no closing ']': found the end at position 11" },
        { "a@[1.2.3.256]", 0,
          "the address literal holds no valid IPv4 address: found '[' at position 3" },
        { "a@[]", 0, "the address literal holds no valid IPv4 address: found '[' at position 3" },
        { "a@[::1]", 0, "an IPv6 address literal is written [IPv6:...]: found '[' at position 3" },
        { "a@[IPv6:fe80::%1]", 0,
          "the address literal holds no valid IPv6 address: found '[' at position 3" },
        { "a@[1.2.3.4]x", 0,
          "this character is not allowed in a domain: found 'x' at position 12" },
        { "a@[1 2]", 0,
          "this character is not allowed in an address literal: found ' ' at position 5" },
        { "j\xc3\xb6@x", 0,
          "only ASCII is allowed without SMTPUTF8: found byte 0xc3 at position 2" },
        { "a@\xc3\xb6", 0,
          "only ASCII is allowed without SMTPUTF8: found byte 0xc3 at position 3" },
        { "j\xc3@x", UTF8, "this is not valid UTF-8: found byte 0xc3 at position 2" },
        { "j\xc0\xaf@x", UTF8, "this is not valid UTF-8: found byte 0xc0 at position 2" },
        { "j\xed\xa0\x80@x", UTF8, "this is not valid UTF-8: found byte 0xed at position 2" },
        { "j\xf4\x90\x80\x80@x", UTF8, "this is not valid UTF-8: found byte 0xf4 at position 2" },
        { "j\xc2\x9b@x", UTF8,
          "control characters are not allowed: found byte 0xc2 at position 2" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len = strlen(cases[i].text);
        struct postern_address a;
        struct address_fault fault;
        char text[256];

        assert_int_equal(address_parse(cases[i].text, len, cases[i].allow, &a, &fault), -EINVAL);
        assert_string_equal(address_fault_text(&fault, cases[i].text, len, text, sizeof text),
                            cases[i].complaint);
    }
}

static void a_nul_inside_is_no_end(void **state)
{
    struct postern_address a;
    struct address_fault fault;

    (void)state;
    assert_int_equal(address_parse("a\0b@x", 5, 0, &a, &fault), -EINVAL);
    assert_int_equal(fault.at, 1);
    assert_int_equal(address_parse("\"\0\"@x", 5, 0, &a, &fault), -EINVAL);
    assert_int_equal(address_parse("a@x\0y", 5, 0, &a, &fault), -EINVAL);
    assert_int_equal(address_parse("a@[1.2.3.4\0]", 12, 0, &a, &fault), -EINVAL);
}

/* n times c between two texts. */
static const char *around(char *buf, const char *before, char c, size_t n, const char *after)
{
    size_t at = strlen(before);

    memcpy(buf, before, at);
    memset(buf + at, c, n);
    memcpy(buf + at + n, after, strlen(after) + 1);
    return buf;
}

static void each_limit_holds_at_its_value(void **state)
{
    char buf[4096], domain[512] = "";
    struct postern_address a;

    (void)state;
    assert_int_equal(parse(around(buf, "", 'a', POSTERN_LOCAL_MAX, "@x"), 0, &a), 0);
    assert_int_equal(parse(around(buf, "", 'a', POSTERN_LOCAL_MAX + 1, "@x"), 0, &a), -EINVAL);
    assert_int_equal(parse(around(buf, "a@", 'b', ADDRESS_LABEL_MAX, ""), 0, &a), 0);
    assert_int_equal(parse(around(buf, "a@", 'b', ADDRESS_LABEL_MAX + 1, ""), 0, &a), -EINVAL);

    for (int i = 0; i < 127; i++)
        strcat(domain, "d.");
    strcat(domain, "d");
    assert_int_equal(strlen(domain), ADDRESS_DOMAIN_MAX);
    snprintf(buf, sizeof buf, "a@%s", domain);
    assert_int_equal(parse(buf, 0, &a), 0);
    snprintf(buf, sizeof buf, "a@%sd", domain);
    assert_int_equal(parse(buf, 0, &a), -EINVAL);

    /* Nothing within the address may be longer, but all of it together is bounded too. */
    strcpy(buf, "@x");
    while (strlen(buf) < POSTERN_ADDRESS_MAX - 5)
        strcat(buf, ",@y");
    strcat(buf, ":");
    around(buf + strlen(buf), "", 'l', POSTERN_ADDRESS_MAX - strlen(buf) - 2, "@z");
    assert_int_equal(strlen(buf), POSTERN_ADDRESS_MAX);
    assert_int_equal(parse(buf, 0, &a), 0);
    strcat(buf, "z");
    assert_int_equal(parse(buf, 0, &a), -EINVAL);
}

static void the_result_is_untouched_on_failure(void **state)
{
    struct postern_address a = { .local = "mine", .flags = 77 };
    const char *why = "mine";

    (void)state;
    assert_int_equal(postern_address_parse("a b@x", 5, 0, &a, &why), -EINVAL);
    assert_string_equal(a.local, "mine");
    assert_int_equal(a.flags, 77);
    assert_string_equal(why, "this character needs a quoted local part");
    why = "mine";
    assert_int_equal(postern_address_parse("a@x", 3, 0, &a, &why), 0);
    assert_string_equal(why, "mine");
    assert_int_equal(a.size, sizeof a);
    assert_int_equal(postern_address_parse("", 0, 0, &a, NULL), -EINVAL);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Whatever is accepted is made of its pieces, and without its route is accepted again. */
static void check_accepted(const char *text, size_t len, uint32_t flags)
{
    struct postern_address a, again;
    struct address_fault fault;

    if (address_parse(text, len, flags, &a, &fault) < 0) {
        assert_true(fault.at <= len);
        return;
    }
    assert_ptr_equal(a.local + a.local_len + (a.domain ? 1 + a.domain_len : 0), text + len);
    assert_int_equal(address_parse(a.local, (size_t)(text + len - a.local), flags, &again, &fault),
                     0);
    assert_int_equal(again.local_len, a.local_len);
    assert_int_equal(again.domain_len, a.domain_len);
}

static void random_text_never_confuses_it(void **state)
{
    static const char alphabet[] = "ab.@@\"\\[]:,-_ %1\xc3\xb6\xff\x01\n";
    uint32_t seed = 20260101;
    char text[24];

    (void)state;
    for (int i = 0; i < 300000; i++) {
        size_t len = next_random(&seed) % sizeof text;

        for (size_t k = 0; k < len; k++)
            text[k] = alphabet[next_random(&seed) % (sizeof alphabet - 1)];
        check_accepted(text, len, i & 1 ? UTF8 | BARE : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(U_21_U_22_mailboxes_are_taken_apart),
        cmocka_unit_test(what_is_wrong_is_said_with_its_place),
        cmocka_unit_test(a_nul_inside_is_no_end),
        cmocka_unit_test(each_limit_holds_at_its_value),
        cmocka_unit_test(the_result_is_untouched_on_failure),
        cmocka_unit_test(random_text_never_confuses_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
