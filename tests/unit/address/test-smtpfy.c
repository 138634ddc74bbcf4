/* SMTPfication (U-25 to U-29) and its inverse, the DECnet domain (U-33, T-124, T-125), and what is
 * done with Message Router's senders (U-79, U-80). */
#include "foreign-test.h"

#define MTS "SUMNOD::XXXMTS::MRGATE::\"YYYMTS::A1::SMITH\""

static void U_25_any_foreign_address_becomes_a_local_part(void **state)
{
    (void)state;
    CHECK_ALL(
        postern_address_smtpfy, &ucx, { "SUMNOD::SMITH", "\"SUMNOD::SMITH\"@xyzcorp.com", 0 },
        { "DSN%SRQ$Z1-7890", "\"DSN%SRQ$Z1-7890\"@xyzcorp.com", 0 },
        { "PSI%0531234::\"X\"", "\"PSI%0531234::\\\"X\\\"\"@xyzcorp.com", 0 },
        { "JOE SMITH", "\"JOE SMITH\"@xyzcorp.com", 0 }, { "a@b", "\"a@b\"@xyzcorp.com", 0 },
        { "a!b", "\"a!b\"@xyzcorp.com", 0 },
        { "SYSTM1::J\xc3\x96RG", "\"SYSTM1::J\xc3\x96RG\"@xyzcorp.com", 0 },
        { "back\\slash", "\"back\\\\slash\"@xyzcorp.com", 0 }, { "", NULL, "the address is empty" },
        { "A::B\x01", NULL, "control characters and what is not UTF-8 can't be in an address" },
        { "A::B\xe9", NULL, "control characters and what is not UTF-8 can't be in an address" });
}

static void U_27_simple_user_names_get_no_quotes(void **state)
{
    (void)state;
    CHECK_ALL(postern_address_smtpfy, &ucx, { "JONES", "JONES@xyzcorp.com", 0 },
              { "Beth.Jones", "Beth.Jones@xyzcorp.com", 0 },
              { "SYS$MGR_1", "SYS$MGR_1@xyzcorp.com", 0 },
              { ".jones", "\".jones\"@xyzcorp.com", 0 });
}

static void without_a_substitute_domain_the_host_is_it(void **state)
{
    const struct postern_address_site host = { .size = sizeof host, .host = "h.example" };
    const struct postern_address_site empty = { .size = sizeof empty,
                                                .domain = "",
                                                .host = "h.example" };
    const struct postern_address_site none = { .size = sizeof none };

    (void)state;
    CHECK_ALL(postern_address_smtpfy, &host, { "A::B", "\"A::B\"@h.example", 0 });
    CHECK_ALL(postern_address_smtpfy, &empty, { "A::B", "\"A::B\"@h.example", 0 });
    CHECK_ALL(postern_address_smtpfy, &none,
              { "A::B", NULL, "neither a substitute domain nor a host name is known" });
    CHECK_ALL(postern_address_smtpfy, NULL,
              { "A::B", NULL, "neither a substitute domain nor a host name is known" });
}

static void a_password_never_goes_out(void **state)
{
    (void)state;
    CHECK_ALL(
        postern_address_smtpfy, &ucx,
        { "NODE\"u secret\"::X", NULL, "there is a password in it: NODE\"user password\"::" },
        { "A::NODE\"u secret\"::X", NULL, "there is a password in it: NODE\"user password\"::" },
        { "A::\"u::x\"", "\"A::\\\"u::x\\\"\"@xyzcorp.com", 0 });
}

static void U_28_the_way_back(void **state)
{
    (void)state;
    CHECK_ALL(postern_address_unsmtpfy, &ucx,
              { "\"SYSTM1::SMITH\"@xyzcorp.com", "SYSTM1::SMITH", 0 },
              { "\"SYSTM1::SMITH\"@XYZcorp.COM.", "SYSTM1::SMITH", 0 },
              { "\"SYSTM1::SMITH\"@systm2.xyzcorp.com", "SYSTM1::SMITH", 0 },
              { "\"a\\\\b\"@xyzcorp.com", "a\\b", 0 }, { "boris@xyzcorp.com", "boris", 0 },
              { "@x.org:boris@xyzcorp.com", "boris", 0 },
              { "\"\"@xyzcorp.com", NULL, "the local part is empty" },
              { "boris@x.org", NULL, "the domain is neither ours nor below the DECnet domain" },
              { "boris", NULL, "the domain is missing: expected '@'" },
              { "A::B@xyzcorp.com", NULL, "this character needs a quoted local part" });
    CHECK_ALL(postern_address_unsmtpfy, NULL,
              { "boris@x.org", NULL, "the domain is neither ours nor below the DECnet domain" });
}

static void an_international_domain_is_known_in_both_its_forms(void **state)
{
    const struct postern_address_site site = { .size = sizeof site,
                                               .domain = "b\xc3\xbc"
                                                         "cher.example" };

    (void)state;
    CHECK_ALL(postern_address_unsmtpfy, &site, { "x@xn--bcher-kva.example", "x", 0 },
              { "x@B\xc3\x9c"
                "CHER.example",
                "x", 0 });
    CHECK_ALL(postern_address_smtpfy, &site,
              { "x",
                "x@b\xc3\xbc"
                "cher.example",
                0 });
}

static void the_seeds_three_steps_are_told(void **state)
{
    (void)state;
    check_steps(postern_address_smtpfy, ucx, "A::\"B\"",
                "smtpfy.escape: A::\"B\" -> A::\\\"B\\\"\n"
                "smtpfy.quote: A::\\\"B\\\" -> \"A::\\\"B\\\"\"\n"
                "smtpfy.domain: \"A::\\\"B\\\"\" -> \"A::\\\"B\\\"\"@xyzcorp.com\n");
    check_steps(postern_address_smtpfy, ucx, "JONES",
                "smtpfy.domain: JONES -> JONES@xyzcorp.com\n");
    check_steps(postern_address_unsmtpfy, ucx, "\"A::\\\"B\\\"\"@xyzcorp.com",
                "unsmtpfy.domain: \"A::\\\"B\\\"\"@xyzcorp.com -> \"A::\\\"B\\\"\"\n"
                "unsmtpfy.quotes: \"A::\\\"B\\\"\" -> A::\\\"B\\\"\n"
                "unsmtpfy.escapes: A::\\\"B\\\" -> A::\"B\"\n");
    check_steps(postern_address_smtpfy, tcpware, "WHARFIN::JOHN",
                "decnet.hide: WHARFIN::JOHN -> JOHN@WHARFIN.DNET.EXAMPLE.COM\n");
}

static void T_124_T_07_T_40_U_33_one_node_is_hidden_below_the_decnet_domain(void **state)
{
    (void)state;
    CHECK_ALL(postern_address_smtpfy, &tcpware,
              { "WHARFIN::JOHN", "JOHN@WHARFIN.DNET.EXAMPLE.COM", 0 },
              { "wharfin::First.Last", "First.Last@wharfin.DNET.EXAMPLE.COM", 0 },
              { "1037::JOHN", "JOHN@1037.DNET.EXAMPLE.COM", 0 },
              /* What a domain's label can't say, or what would not come back as it was. */
              { "1.13::JOHN", "\"1.13::JOHN\"@HQ.EXAMPLE.COM", 0 },
              { "A$B::JOHN", "\"A$B::JOHN\"@HQ.EXAMPLE.COM", 0 },
              { "HUB::WHARFIN::JOHN", "\"HUB::WHARFIN::JOHN\"@HQ.EXAMPLE.COM", 0 },
              { "WHARFIN::\"J S\"", "\"WHARFIN::\\\"J S\\\"\"@HQ.EXAMPLE.COM", 0 },
              { "WHARFIN::A%B", "\"WHARFIN::A%B\"@HQ.EXAMPLE.COM", 0 },
              { "MRGATE::JOHN", "\"MRGATE::JOHN\"@HQ.EXAMPLE.COM", 0 });
}

static void T_125_U_33_and_found_below_it_again(void **state)
{
    (void)state;
    CHECK_ALL(
        postern_address_unsmtpfy, &tcpware, { "JOHN@WHARFIN.DNET.EXAMPLE.COM", "WHARFIN::JOHN", 0 },
        { "john@wharfin.dnet.example.com.", "wharfin::john", 0 },
        { "\"J S\"@WHARFIN.DNET.EXAMPLE.COM", "WHARFIN::J S", 0 },
        { "user%C%B@A.dnet.example.com", "A::B::C::user", 0 },
        { "\"user%C\"@A.dnet.example.com", "A::user%C", 0 },
        { "user%x.org@A.dnet.example.com", NULL, "a hop of the %-hack is no DECnet node" },
        { "\"\"@A.dnet.example.com", NULL, "the user is missing" },
        { "john@a.b.dnet.example.com", NULL,
          "below the DECnet domain there is more, or less, than a node's name" },
        { "john@dnet.example.com", NULL, "the domain is neither ours nor below the DECnet domain" },
        { "john@xdnet.example.com", NULL,
          "the domain is neither ours nor below the DECnet domain" });
}

static void a_gateway_below_its_own_decnet_domain_keeps_its_users(void **state)
{
    const struct postern_address_site site = { .size = sizeof site,
                                               .host = "hq.dnet.example",
                                               .decnet_domain = "dnet.example" };

    (void)state;
    CHECK_ALL(postern_address_smtpfy, &site, { "JOHN", "JOHN@hq.dnet.example", 0 },
              { "HQ::JOHN", "\"HQ::JOHN\"@hq.dnet.example", 0 },
              { "A::JOHN", "JOHN@A.dnet.example", 0 });
    CHECK_ALL(postern_address_unsmtpfy, &site, { "JOHN@hq.dnet.example", "JOHN", 0 },
              { "\"HQ::JOHN\"@hq.dnet.example", "HQ::JOHN", 0 });
}

static void U_80_message_routers_senders_are_cut_to_the_user(void **state)
{
    struct postern_address_site site = ucx;

    (void)state;
    site.flags = POSTERN_SITE_REWRITE_MTS;
    CHECK_ALL(postern_address_smtpfy, &site, { MTS, "SMITH@xyzcorp.com", 0 },
              { "mrgate::A1::JONES", "JONES@xyzcorp.com", 0 },
              { "SYSTM1::SMITH", "\"SYSTM1::SMITH\"@xyzcorp.com", 0 },
              /* The user is called like the gateway; the road does not lead over it. */
              { "A::MRGATE", "\"A::MRGATE\"@xyzcorp.com", 0 });
    check_steps(postern_address_smtpfy, site, "MRGATE::A1::JONES",
                "smtpfy.mts-user: MRGATE::A1::JONES -> JONES\n"
                "smtpfy.domain: JONES -> JONES@xyzcorp.com\n");
    site.flags |= POSTERN_SITE_MTS_HOST;
    CHECK_ALL(postern_address_smtpfy, &site, { MTS, "SMITH@systm2.xyzcorp.com", 0 });
    site.mrgate = "MRGW";
    CHECK_ALL(postern_address_smtpfy, &site, { "MRGW::A1::JONES", "JONES@systm2.xyzcorp.com", 0 },
              { "MRGATE::A1::JONES", "\"MRGATE::A1::JONES\"@xyzcorp.com", 0 });
}

static void each_limit_holds_at_its_value(void **state)
{
    char text[600], buf[POSTERN_ADDRESS_SIZE];
    const char *why = NULL;

    (void)state;
    memset(text, 'a', sizeof text);
    assert_true(postern_address_smtpfy(&ucx, text, POSTERN_LOCAL_MAX, buf, sizeof buf, &why) > 0);
    assert_int_equal(
        postern_address_smtpfy(&ucx, text, POSTERN_LOCAL_MAX + 1, buf, sizeof buf, &why), -EINVAL);
    assert_string_equal(why, "the local part is too long");
    memset(text, ' ', sizeof text);
    assert_true(postern_address_smtpfy(&ucx, text, POSTERN_LOCAL_MAX - 2, buf, sizeof buf, &why) >
                0);
    assert_int_equal(
        postern_address_smtpfy(&ucx, text, POSTERN_LOCAL_MAX - 1, buf, sizeof buf, &why), -EINVAL);
    assert_string_equal(why, "the local part would become too long");
    memset(text, '"', sizeof text);
    assert_true(
        postern_address_smtpfy(&ucx, text, POSTERN_LOCAL_MAX / 2 - 1, buf, sizeof buf, &why) > 0);
    assert_int_equal(
        postern_address_smtpfy(&ucx, text, POSTERN_LOCAL_MAX / 2, buf, sizeof buf, &why), -EINVAL);
}

/* --- the law: unsmtpfy(smtpfy(x)) is x --- */

static const char *const nasty[] = { "A", "\"", "\\", ":", "%", "@", "!", " ", ".", "\xc3\xb6" };
#define NASTY (sizeof nasty / sizeof nasty[0])

static const struct postern_address_site below = {
    .size = sizeof(struct postern_address_site),
    .host = "A.DNET",
    .decnet_domain = "DNET",
};
static const struct postern_address_site *const sites[] = { &ucx, &tcpware, &below };

/* 1: it came back; 0: it was refused, and rightly so. */
static int comes_back(const struct postern_address_site *site, const char *text, size_t len)
{
    char there[POSTERN_ADDRESS_SIZE], back[POSTERN_ADDRESS_SIZE];
    struct postern_address parsed;
    const char *why = NULL;
    int n = postern_address_smtpfy(site, text, len, there, sizeof there, &why), m;

    if (n == -EINVAL && len > 0 && memmem(text, len, "\"::", 3)) {
        assert_string_equal(why, "there is a password in it: NODE\"user password\"::");
        return 0;
    }
    if (n < 0)
        fail_msg("%.*s: %s", (int)len, text, why);
    assert_int_equal(postern_address_parse(there, (size_t)n, POSTERN_ADDRESS_UTF8, &parsed, NULL),
                     0);
    m = postern_address_unsmtpfy(site, there, (size_t)n, back, sizeof back, &why);
    if (m < 0 || (size_t)m != len || memcmp(back, text, len) != 0)
        fail_msg("%.*s became %s, and that %.*s (%s)", (int)len, text, there, m < 0 ? 0 : m, back,
                 why ? why : "");
    return 1;
}

/* All words of up to five letters of the nasty alphabet. */
static void U_29_every_short_text_comes_back_as_it_was(void **state)
{
    size_t tried = 0, back = 0;

    (void)state;
    for (size_t letters = 1, words = NASTY; letters <= 5; letters++, words *= NASTY) {
        for (size_t word = 0; word < words; word++) {
            char text[16];
            size_t len = 0, rest = word;

            for (size_t i = 0; i < letters; i++, rest /= NASTY)
                len += (size_t)sprintf(text + len, "%s", nasty[rest % NASTY]);
            for (size_t i = 0; i < sizeof sites / sizeof sites[0]; i++, tried++)
                back += (size_t)comes_back(sites[i], text, len);
        }
    }
    assert_true(tried > 300000);
    assert_true(back > tried - tried / 100);
}

static void long_texts_come_back_too(void **state)
{
    static const char *const words[] = { "::", "NODE", "MRGATE", "\"",      "\\", "\\\"",
                                         "%",  "@",    "\"\"",   "1=FI",    " ",  "\xe2\x82\xac",
                                         ".",  "!",    "SMTP%",  "\xc2\xa2" };
    uint32_t seed = 1;
    size_t back = 0;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        char text[240];
        size_t len = 0, count = 1 + next_random(&seed) % 30;

        while (count--) {
            const char *word = words[next_random(&seed) % (sizeof words / sizeof words[0])];

            len += (size_t)sprintf(text + len, "%s", word);
        }
        back += (size_t)comes_back(sites[i % 3], text, len);
    }
    assert_true(back > 80000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(U_25_any_foreign_address_becomes_a_local_part),
        cmocka_unit_test(U_27_simple_user_names_get_no_quotes),
        cmocka_unit_test(without_a_substitute_domain_the_host_is_it),
        cmocka_unit_test(a_password_never_goes_out),
        cmocka_unit_test(U_28_the_way_back),
        cmocka_unit_test(an_international_domain_is_known_in_both_its_forms),
        cmocka_unit_test(the_seeds_three_steps_are_told),
        cmocka_unit_test(T_124_T_07_T_40_U_33_one_node_is_hidden_below_the_decnet_domain),
        cmocka_unit_test(T_125_U_33_and_found_below_it_again),
        cmocka_unit_test(a_gateway_below_its_own_decnet_domain_keeps_its_users),
        cmocka_unit_test(U_80_message_routers_senders_are_cut_to_the_user),
        cmocka_unit_test(each_limit_holds_at_its_value),
        cmocka_unit_test(U_29_every_short_text_comes_back_as_it_was),
        cmocka_unit_test(long_texts_come_back_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
