/* Jackets (U-31, U-32, T-126), the cent-sign hack (U-30) and VMS sender lines (U-79). */
#include "foreign-test.h"

#define CENT "\xc2\xa2"

static void U_30_quotes_become_cent_signs_and_back(void **state)
{
    struct postern_address_site latin1 = ucx;

    (void)state;
    CHECK_ALL(
        postern_address_mask, NULL, { "\"A::B\"@x", CENT "A::B" CENT "@x", 0 },
        { "\"A::\\\"B\\\"\"@x", CENT "A::\\" CENT "B\\" CENT CENT "@x", 0 },
        { "\"J\xc3\x96\"@x", CENT "J\xc3\x96" CENT "@x", 0 },
        { "a" CENT "b@x", NULL, "a cent sign in the address can't be told from a masked quote" },
        { "a\xa2@x", NULL, "this is not valid UTF-8" });
    latin1.flags = POSTERN_SITE_LATIN1;
    CHECK_ALL(postern_address_mask, &latin1,
              { "\"A::B\"@x",
                "\xa2"
                "A::B\xa2@x",
                0 },
              { "\"J\xc3\x96\"@x", NULL, "only ASCII can be masked for Latin-1" });
    CHECK_ALL(postern_address_unmask, NULL, { CENT "A::B" CENT "@x", "\"A::B\"@x", 0 },
              { "\xa2"
                "A::B\xa2@x",
                "\"A::B\"@x", 0 },
              /* The byte 0xA2 inside of a character is none of ours. */
              { "\xc3\xa2@x", "\xc3\xa2@x", 0 }, { "\xe2\x82\xac@x", "\xe2\x82\xac@x", 0 },
              { "plain@x", "plain@x", 0 }, { "", "", 0 });
}

static void U_31_a_sender_gets_his_jacket(void **state)
{
    (void)state;
    CHECK_ALL(postern_address_jacket, NULL, { "user@host.dom", "SMTP%\"user@host.dom\"", 0 },
              { "\"SYSTM1::SMITH\"@xyzcorp.com",
                "SMTP%\"" CENT "SYSTM1::SMITH" CENT "@xyzcorp.com\"", 0 },
              { "jones", "SMTP%\"jones\"", 0 }, { "", NULL, "the address is empty" },
              { "a b@x", NULL, "this character needs a quoted local part" });
    check_steps(postern_address_jacket, ucx, "a@b", "jacket.wrap: a@b -> SMTP%\"a@b\"\n");
    check_steps(postern_address_jacket, ucx, "\"a\"@b",
                "cent.mask: \"a\"@b -> " CENT "a" CENT "@b\n"
                "jacket.wrap: " CENT "a" CENT "@b -> SMTP%\"" CENT "a" CENT "@b\"\n");
}

static void every_jacket_that_was_worn_comes_off(void **state)
{
    (void)state;
    CHECK_ALL(postern_address_unjacket, &ucx, { "SMTP%\"user@host.dom\"", "user@host.dom", 0 },
              { "smtp%\"user@host.dom\"", "user@host.dom", 0 },
              /* As DCL wants it typed, and as SET FORWARD leaves it without the doubled quotes. */
              { "SMTP%\"\"\"user@host.dom\"\"\"", "user@host.dom", 0 },
              { "SMTP%user@host.dom", "user@host.dom", 0 },
              { "SMTP%\"gcc-users\"", "gcc-users", 0 },
              { "IN%\"user@host.dom\"", "user@host.dom", 0 },
              { "IN%\"'Jane Doe' <user@host.dom>\"", "user@host.dom", 0 },
              { "MX%\"<user@host.dom>\"", "user@host.dom", 0 },
              { "\"user@host.dom\"", "user@host.dom", 0 },
              { "\"Jane <user@host.dom>\"", "user@host.dom", 0 },
              { "SMTP%\"" CENT "A::B" CENT "@x\"", "\"A::B\"@x", 0 },
              { "SMTP%\"\xa2"
                "A::B\xa2@x\"",
                "\"A::B\"@x", 0 },
              { "SMTP%\"A::B@x\"", "\"A::B\"@x", 0 });
    CHECK_ALL(postern_address_unjacket, &ucx,
              { "user@host.dom", NULL, "there is no jacket: expected SMTP%\"user@host\"" },
              { "DSN%\"x\"", NULL, "there is no jacket: expected SMTP%\"user@host\"" },
              { "SMTP%", NULL, "there is no jacket: expected SMTP%\"user@host\"" },
              { "", NULL, "there is no jacket: expected SMTP%\"user@host\"" },
              { "\"jones\"", NULL, "the domain is missing: expected '@'" },
              { "SMTP%\"\"", NULL, "the address is empty" },
              { "SMTP%\"jones,smith\"", NULL, "this character needs a quoted local part" });
}

static void T_126_a_jacket_at_our_node_is_ours(void **state)
{
    (void)state;
    CHECK_ALL(postern_address_unjacket, &ucx, { "SYSTM2::SMTP%\"u@h\"", "u@h", 0 },
              { "systm2::SMTP%\"u@h\"", "u@h", 0 }, { "SYSTM2::\"u@h\"", "u@h", 0 },
              { "OTHER::SMTP%\"u@h\"", NULL, "the jacket, if it is one, is at another node" });
    CHECK_ALL(postern_address_unjacket, NULL,
              { "SYSTM2::SMTP%\"u@h\"", NULL, "the jacket, if it is one, is at another node" });
}

static void what_was_jacketed_comes_out_as_it_was(void **state)
{
    static const char alphabet[] = "aB.\"\\ @:%,<>()'-\xc3\xb6";
    struct postern_address_site latin1 = ucx;
    uint32_t seed = 7;
    size_t worn = 0;

    (void)state;
    latin1.flags = POSTERN_SITE_LATIN1;
    for (int i = 0; i < 200000; i++) {
        const struct postern_address_site *site = i % 2 ? &latin1 : &ucx;
        char plain[12], address[64], there[POSTERN_ADDRESS_SIZE], back[POSTERN_ADDRESS_SIZE];
        size_t len = next_random(&seed) % sizeof plain;
        int n, m;

        for (size_t k = 0; k < len; k++)
            plain[k] = alphabet[next_random(&seed) % (sizeof alphabet - 1)];
        n = postern_address_quote(plain, len, address, sizeof address - 8);
        if (n < 0)
            continue;
        if (i % 3)
            n += sprintf(address + n, "@x.org");
        m = postern_address_jacket(site, address, (size_t)n, there, sizeof there, NULL);
        if (m < 0)
            continue; /* not ASCII, and masked for Latin-1 */
        worn++;
        m = postern_address_unjacket(site, there, (size_t)m, back, sizeof back, NULL);
        assert_int_equal(m, n);
        assert_memory_equal(back, address, (size_t)n);
    }
    assert_true(worn > 50000);
}

static void U_79_old_message_routers_are_spared_long_senders(void **state)
{
    struct postern_address_site site = ucx;
    const char *why = NULL;
    char buf[POSTERN_ADDRESS_SIZE];

    (void)state;
    assert_int_equal(
        postern_address_vms_from(NULL, "a@b", 3, "MRGATE::A1::X", 13, buf, sizeof buf, &why), 8);
    assert_string_equal(buf, "UCX_SMTP");
    assert_int_equal(postern_address_vms_from(&site, "a@b", 3, "JONES", 5, buf, sizeof buf, &why),
                     10);
    assert_string_equal(buf, "SMTP%\"a@b\"");
    site.account = "TCPIP$SMTP";
    site.mrgate = "GATE";
    assert_true(postern_address_vms_from(&site, "a@b", 3, "gate::X", 7, buf, sizeof buf, &why) > 0);
    assert_string_equal(buf, "TCPIP$SMTP");
    site.flags = POSTERN_SITE_MTS_ALLIN1;
    assert_true(postern_address_vms_from(&site, "a@b", 3, "gate::X", 7, buf, sizeof buf, &why) > 0);
    assert_string_equal(buf, "SMTP%\"a@b\"");
    assert_int_equal(postern_address_vms_from(&site, "", 0, "JONES", 5, buf, sizeof buf, &why),
                     -EINVAL);
    assert_string_equal(why, "the address is empty");
}

static void what_outgrows_the_limit_is_refused(void **state)
{
    char text[POSTERN_ADDRESS_SIZE], buf[POSTERN_ADDRESS_SIZE];
    const char *why = NULL;

    (void)state;
    memset(text, '"', sizeof text);
    assert_true(postern_address_mask(NULL, text, POSTERN_ADDRESS_MAX / 2, buf, sizeof buf, &why) >
                0);
    assert_int_equal(
        postern_address_mask(NULL, text, POSTERN_ADDRESS_MAX / 2 + 1, buf, sizeof buf, &why),
        -EINVAL);
    assert_string_equal(why, "the address would become too long");
    assert_int_equal(
        postern_address_unjacket(NULL, text, POSTERN_ADDRESS_MAX + 1, buf, sizeof buf, &why),
        -EINVAL);
    assert_string_equal(why, "the address is too long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(U_30_quotes_become_cent_signs_and_back),
        cmocka_unit_test(U_31_a_sender_gets_his_jacket),
        cmocka_unit_test(every_jacket_that_was_worn_comes_off),
        cmocka_unit_test(T_126_a_jacket_at_our_node_is_ours),
        cmocka_unit_test(what_was_jacketed_comes_out_as_it_was),
        cmocka_unit_test(U_79_old_message_routers_are_spared_long_senders),
        cmocka_unit_test(what_outgrows_the_limit_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
