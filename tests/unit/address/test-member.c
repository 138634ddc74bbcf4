/* A line of a file of members. */
#include "foreign-test.h"

/* "address@start|..." of all that are in the line, then "?" and why not the rest. */
static void check_n(const char *line, size_t len, uint32_t flags, const char *expected)
{
    char *exact = exact_copy(line, len), *buf = malloc(2 * len + 4);
    struct postern_member m;
    char found[1024] = "";
    const char *why = NULL;
    size_t pos = 0, at = 0;
    int r;

    assert_non_null(buf);
    while ((r = postern_member_next(exact, len, flags, &pos, &m, buf, 2 * len + 4, &why)) > 0) {
        assert_int_equal(strlen(m.address), m.address_len);
        at += (size_t)snprintf(found + at, sizeof found - at, "%s%s %zu%s%s", at ? "|" : "",
                               m.address, m.start, m.notes & POSTERN_MEMBER_JACKET ? " jacket" : "",
                               m.notes & POSTERN_MEMBER_DECNET        ? " decnet"
                                   : m.notes & POSTERN_MEMBER_SPECIAL ? " special"
                                                                      : "");
        assert_true(at < sizeof found);
    }
    if (r == 0 && m.notes)
        snprintf(found + at, sizeof found - at, "!%zu", m.start);
    if (r < 0)
        snprintf(found + at, sizeof found - at, "?%s", why);
    assert_string_equal(found, expected);
    free(buf);
    free(exact);
}

static void check(const char *line, uint32_t flags, const char *expected)
{
    check_n(line, strlen(line), flags, expected);
}

#define PARTED "?blanks, or quotes or brackets that do not close, part its words"

static void addresses_as_header_fields_have_them(void **state)
{
    (void)state;
    check("ann@example.com", 0, "ann@example.com 0");
    check("  ann  ", 0, "ann 2");
    check("<ann@a.example>,bob@b.example", 0, "ann@a.example 1|bob@b.example 16");
    check("Ann Other <ann@a.example>, \"B, B\" <bob@b.example>;", 0,
          "ann@a.example 11|bob@b.example 35");
    check("ann@a.example (Ann, Other), ,", 0, "ann@a.example 0");
    check("\"ann other\"@a.example", 0, "\"ann other\"@a.example 0");
    check("ann @ a . example", 0, "ann@a.example 0");
    check("<@a,@b:ann@c>", 0, "@a,@b:ann@c 1");
}

static void nobody_is_made_up_of_words(void **state)
{
    (void)state;
    check("bad line here", 0, PARTED);
    check("# x@y.example", POSTERN_MEMBER_DIS, PARTED);
    check("ann@a.example bob@b.example", 0, PARTED);
    check("ann@a.example, bad line", 0, "ann@a.example 0" PARTED);
    check("<ann@a.example> <bob@b.example>", 0, PARTED);
    check("<an n@a.example>", 0, PARTED);
    check("<ann@a.example", 0, PARTED);
    check("\"ann@a.example", 0, PARTED);
    check("ann@a.example>", 0, PARTED);
    check("sales: ann, bob", 0, "?it is a group, or an alias, and only addresses can be members");
    check("@other.list", 0, "?a list cannot be in a list");
    check("<>", 0, "?there is no address in it");
    check(",", 0, "?there is no address in it");
    check_n("ann\0x@a.example", 15, 0, "ann\177x@a.example 0");
}

static void what_aliases_have_beside_addresses(void **state)
{
    (void)state;
    check("|cmd, ann", 0, "|cmd 0 special|ann 6");
    check("\"|cmd x\"", 0, "\"|cmd x\" 0 special");
    check("*, _u, \">f\", \"<f\"", 0,
          "* 0 special|_u 3 special|\">f\" 7 special|\"<f\" 13 special");
    check("  #x", 0, "#x 2 special");
    check("*@a.example, _u@a.example", 0, "*@a.example 0|_u@a.example 13");
}

static void comments(void **state)
{
    (void)state;
    check("", 0, "");
    check(" \t ", 0, "");
    check("! x", 0, "");
    check("# x@y", 0, "");
    check("#x@y", POSTERN_MEMBER_DIS, "#x@y 0");
    check("  ! x", 0, "!2");
    check("ann@a.example ! Ann, mostly", POSTERN_MEMBER_DIS, "ann@a.example 0!14");
    check("ann@a.example ! Ann", 0, PARTED);
    check("b!c!ann@a.example", POSTERN_MEMBER_DIS, "b!c!ann@a.example 0");
    check("\"a ! b\"@a.example", POSTERN_MEMBER_DIS, "\"a ! b\"@a.example 0");
}

static void U_68_what_vms_writes_differently(void **state)
{
    (void)state;
    check("SMTP%\"ann@a.example\"", 0, "ann@a.example 0 jacket");
    check("smtp%\"ann@a.example\",SMTP%bob@b.example", 0,
          "ann@a.example 0 jacket|bob@b.example 21 jacket");
    check("NODE::USER", 0, "\"NODE::USER\" 0 decnet");
    check("A::B::\"C D\"", 0, "\"A::B::\\\"C D\\\"\" 0 decnet");
    check("<\"SUMNOD::BORIS\">", 0, "\"SUMNOD::BORIS\" 1");
    check("\"A::B\"@c.example", 0, "\"A::B\"@c.example 0");
}

static void what_has_no_room_is_told(void **state)
{
    char small[8], line[2 * POSTERN_LOCAL_MAX], buf[2 * sizeof line + 4];
    struct postern_member m;
    const char *why = "";
    size_t pos = 0;

    (void)state;
    assert_int_equal(
        postern_member_next("ann@a.example", 13, 0, &pos, &m, small, sizeof small, &why), -EINVAL);
    assert_string_equal(why, "it is too long");
    memset(line, 'a', sizeof line);
    memcpy(line, "NODE::", 6);
    pos = 0;
    assert_int_equal(postern_member_next(line, sizeof line, 0, &pos, &m, buf, sizeof buf, &why),
                     -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_as_header_fields_have_them),
        cmocka_unit_test(nobody_is_made_up_of_words),
        cmocka_unit_test(what_aliases_have_beside_addresses),
        cmocka_unit_test(comments),
        cmocka_unit_test(U_68_what_vms_writes_differently),
        cmocka_unit_test(what_has_no_room_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
