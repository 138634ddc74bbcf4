/* What relays do to SMTPfied addresses (U-35): the UCX documentation's list, and what is no
 * damage of theirs. And how DECnet addresses are taken apart. */
#include "foreign-test.h"

#define SOUND "\"SUMNOD::XXXMTS::MRGATE::\\\"YYYMTS::A1::SMITH\\\"\"@xyzcorp.com"

static void U_35_every_documented_corruption_is_put_right(void **state)
{
    (void)state;
    CHECK_ALL(postern_address_repair, NULL,
              { "SUMNOD::SMITH@xyzcorp.com", "\"SUMNOD::SMITH\"@xyzcorp.com", 0 },
              { "\"SUMNOD::XXXMTS::MRGATE::\"YYYMTS::A1::SMITH\"\"@xyzcorp.com", SOUND, 0 },
              { "SUMNOD::XXXMTS::MRGATE::\\\"YYYMTS::A1::SMITH\\\"@xyzcorp.com", SOUND, 0 },
              { "SUMNOD::XXXMTS::MRGATE::\"YYYMTS::A1::SMITH\"@xyzcorp.com", SOUND, 0 },
              /* Some backslashes left, some lost. */
              { "\"SUMNOD::XXXMTS::MRGATE::\\\"YYYMTS::A1::SMITH\"\"@xyzcorp.com", SOUND, 0 },
              { "A::JOE SMITH@[192.0.2.1]", "\"A::JOE SMITH\"@[192.0.2.1]", 0 },
              /* UCX's other way to hide a node, and only where nothing else can be meant. */
              { "smith%systm1::@xyzcorp.com", "\"systm1::smith\"@xyzcorp.com", 0 });
}

static void each_repair_has_its_name(void **state)
{
    (void)state;
    check_steps(postern_address_repair, ucx, "A::B@x", "repair.unquoted: A::B@x -> \"A::B\"@x\n");
    check_steps(postern_address_repair, ucx, "\"A::\"B\"\"@x",
                "repair.unescaped: \"A::\"B\"\"@x -> \"A::\\\"B\\\"\"@x\n");
    check_steps(postern_address_repair, ucx, "A::\\\"B\\\"@x",
                "repair.unquoted-escaped: A::\\\"B\\\"@x -> \"A::\\\"B\\\"\"@x\n");
    check_steps(postern_address_repair, ucx, "b%a::@x",
                "repair.percent-node: b%a::@x -> \"a::b\"@x\n");
    check_steps(postern_address_repair, ucx, "\"A::B\"@x", "");
}

static void what_is_sound_stays_as_it_is(void **state)
{
    (void)state;
    CHECK_ALL(postern_address_repair, NULL, { SOUND, SOUND, 0 }, { "a@b", "a@b", 0 },
              { "jones", "jones", 0 }, { "\"a::b%\"@c", "\"a::b%\"@c", 0 },
              { "@a,@b:u@c", "@a,@b:u@c", 0 });
}

static void what_no_relay_made_of_it_stays_refused(void **state)
{
    (void)state;
    CHECK_ALL(postern_address_repair, NULL, { "", NULL, "the address is empty" },
              { "bo b@x", NULL, "this character needs a quoted local part" },
              { "A::B", NULL, "this character needs a quoted local part" },
              { "\"A::B@x", NULL, "the quoted local part has no closing quote" },
              { "A::B\"@x", NULL, "this character needs a quoted local part" },
              { "A::B\x01@x", NULL, "it is damaged, and could not be repaired" },
              { "A::B@-x", NULL, "a label of a domain may not begin with '-'" },
              { "A::B@", NULL, "the domain is empty" },
              { "b%::@x", NULL, "this character needs a quoted local part" },
              { "NODE::\"joe@host.dom\"", NULL, "this character needs a quoted local part" });
}

static void assert_text(const char *text, size_t len, const char *expected)
{
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(text, expected, len);
}

static void decnet_addresses_are_split_at_the_first_colons_outside_of_quotes(void **state)
{
    static const struct {
        const char *text, *node, *access, *rest;
    } cases[] = {
        { "SUMNOD::SMITH", "SUMNOD", NULL, "SMITH" },
        { "A::B::C", "A", NULL, "B::C" },
        { "1.13::U", "1.13", NULL, "U" },
        { "1037::U", "1037", NULL, "U" },
        { "WHARFIN::\"u@h\"", "WHARFIN", NULL, "\"u@h\"" },
        { "N::SMTP%\"u@h\"", "N", NULL, "SMTP%\"u@h\"" },
        { "N\"user pass\"::U", "N", "user pass", "U" },
        { "N\"a::b\"::U", "N", "a::b", "U" },
        { "N\"\"::U", "N", "", "U" },
    };
    static const struct {
        const char *text, *why;
    } bad[] = {
        { "SMITH", "there is no node in it: expected NODE::USER" },
        { "", "there is no node in it: expected NODE::USER" },
        { "\"A::B\"", "there is no node in it: expected NODE::USER" },
        { "A::", "the user is missing: expected NODE::USER" },
        { "::B", "what stands before the :: is no DECnet node" },
        { "A B::C", "what stands before the :: is no DECnet node" },
        { "1.::C", "what stands before the :: is no DECnet node" },
        { "A.B::C", "what stands before the :: is no DECnet node" },
        { "\"x\"::C", "what stands before the :: is no DECnet node" },
        { "A\"x\"y::C", "a node is followed by \"user password\", or by ::" },
        { "A\"x\"\"y\"::C", "a node is followed by \"user password\", or by ::" },
    };
    const char *why;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct postern_decnet d;
        char *text = exact_copy(cases[i].text, strlen(cases[i].text));

        assert_int_equal(postern_decnet_split(text, strlen(cases[i].text), &d, &why), 0);
        assert_text(d.node, d.node_len, cases[i].node);
        assert_text(d.rest, d.rest_len, cases[i].rest);
        if (cases[i].access)
            assert_text(d.access, d.access_len, cases[i].access);
        else
            assert_null(d.access);
        free(text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct postern_decnet d = { .node_len = 77 };

        assert_int_equal(postern_decnet_split(bad[i].text, strlen(bad[i].text), &d, &why), -EINVAL);
        assert_string_equal(why, bad[i].why);
        assert_int_equal(d.node_len, 77);
    }
}

static void message_routers_addresses_are_known_by_their_gateway(void **state)
{
    static const struct {
        const char *text;
        int is;
    } cases[] = {
        { "MRGATE::\"A1::X\"", 1 },
        { "SUMNOD::mrgate::X", 1 },
        { "SUMNOD::\"MRGATE::X\"", 1 },
        { "MRGATE", 0 },
        { "A::MRGATE", 0 },
        { "XMRGATE::X", 0 },
        { "A::B", 0 },
        { "", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(postern_address_is_mts(NULL, cases[i].text, strlen(cases[i].text)),
                         cases[i].is);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(U_35_every_documented_corruption_is_put_right),
        cmocka_unit_test(each_repair_has_its_name),
        cmocka_unit_test(what_is_sound_stays_as_it_is),
        cmocka_unit_test(what_no_relay_made_of_it_stays_refused),
        cmocka_unit_test(decnet_addresses_are_split_at_the_first_colons_outside_of_quotes),
        cmocka_unit_test(message_routers_addresses_are_known_by_their_gateway),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
