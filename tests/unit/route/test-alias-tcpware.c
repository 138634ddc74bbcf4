/* Alias files as TCPware writes them: the documented samples, and what is refused. */
#include <errno.h>

#include "alias-kit.h"
#include "config/engine.h"

#define T ALIAS_SYNTAX_TCPWARE

static void plain_aliases(void **state)
{
    (void)state;
    kit_good(T,
             "! sample 1: plain aliases\n"
             "john:        jb134a;\n"
             "postmaster:  system;\n"
             "sales:       ann, bob@example.org,\n"
             "             \"carol.jones\"@example.net ;\n"
             "FNORD:       FNORD@SOMEWHERE.EXAMPLE.COM, _FNORD;\n",
             "john: jb134a;\n"
             "postmaster: system;\n"
             "sales: ann, bob@example.org, carol.jones@example.net;\n"
             "fnord: FNORD@SOMEWHERE.EXAMPLE.COM, _FNORD;\n",
             NULL);
}

static void lists_and_hub_exemption(void **state)
{
    (void)state;
    kit_good(T,
             "! sample 2: lists and hub exemption\n"
             "Operations-Staff:: Operations-Manager, USERS:[OPER1]STAFF.LIST;\n"
             "Operations-Manager: OPER1;\n"
             "smith: *;\n"
             "backup: *;\n",
             "operations-staff:: Operations-Manager, \"USERS:[OPER1]STAFF.LIST\";\n"
             "operations-manager: OPER1;\n"
             "smith: *;\n"
             "backup: *;\n",
             NULL);
}

static void special_targets_and_a_virtual_domain(void **state)
{
    (void)state;
    kit_good(T,
             "! sample 3: special targets and a virtual domain\n"
             "announce : \"<DISK$USER:[LISTS]ANNOUNCE.LIST\" ;\n"
             "ticket   : \"|SYS$MANAGER:NEWTICKET.COM HELPDESK HIGH\" ;\n"
             "archive  : \">DISK$ARC:[MAIL]ALLMAIL\" ;\n"
             "info@museum.example.org : ann ;\n"
             "info     : bob ;\n",
             "announce: \"<DISK$USER:[LISTS]ANNOUNCE.LIST\";\n"
             "ticket: \"|SYS$MANAGER:NEWTICKET.COM HELPDESK HIGH\";\n"
             "archive: \">DISK$ARC:[MAIL]ALLMAIL\";\n"
             "info@museum.example.org: ann;\n"
             "info: bob;\n",
             NULL);
}

static void a_star_is_no_catch_all_and_that_is_said(void **state)
{
    static const char *const warnings[] = {
        "f:1:1: \"*\" is an alias for the very name \"*\", not for all names: "
        "those are for a rule with \"rewrite\"",
        "f:2:1: \"*@virt.test\" is an alias for the very name \"*\", not for all names: "
        "those are for a rule with \"rewrite\"",
        NULL
    };

    (void)state;
    kit_good(T, "*: ann;\n*@virt.test: ann;\na*: ann;\n", "*: ann;\n*@virt.test: ann;\na*: ann;\n",
             warnings);
}

static void U_66_a_target_may_wear_the_jacket_or_not(void **state)
{
    (void)state;
    kit_good(T,
             "a: bob@far.example;\n"
             "b: SMTP%\"bob@far.example\";\n"
             "c: smtp%\"bob@far.example\", \"SMTP%\"\"ann@far.example\"\"\";\n"
             "d: SMTP%bob@far.example;\n"
             "e: \"SMTP%bob@far.example\";\n"
             "f: SMTP%\"SYSTM1::SMITH@far.example\";\n"
             "g: SMTP%\"jones\";\n"
             "h: SMTP%SMTP%bob@far.example;\n"
             "i: smtp@far.example;\n",
             "a: bob@far.example;\n"
             "b: bob@far.example;\n"
             "c: bob@far.example, ann@far.example;\n"
             "d: bob@far.example;\n"
             "e: bob@far.example;\n"
             "f: \"SYSTM1::SMITH\"@far.example;\n"
             "g: jones;\n"
             "h: bob@far.example;\n"
             "i: smtp@far.example;\n",
             NULL);
    kit_good(T,
             "a: SMTP%\"\"\"bob@far.example\"\"\", MX%\"<bob@far.example>\";\n"
             "b: in%\"bob@far.example\", \"MX%\"\"ann@far.example\"\"\";\n"
             "c: MX%bob@far.example;\n",
             "a: bob@far.example, bob@far.example;\n"
             "b: bob@far.example, ann@far.example;\n"
             "c: MX%bob@far.example;\n",
             NULL);
    kit_bad(T, "a: SMTP%\"bob;\n", "f:1:4: the quotes that open here do not close on their line");
}

static void a_version_does_not_end_a_list(void **state)
{
    static const char *const warnings[] = { "f:1:10: the version \";3\" of a file is left out",
                                            "f:2:4: the version \";12\" of a file is left out",
                                            NULL };

    (void)state;
    kit_good(T, "l:: ann, U:[A,B]X.LIST;3;\nm: \"<U:[A]Y.LIST;12\";\nn:: bob, U:[1;2]Z.LIST;\n",
             "l:: ann, \"U:[A,B]X.LIST\";\nm: \"<U:[A]Y.LIST\";\nn:: bob, \"U:[1;2]Z.LIST\";\n",
             warnings);
}

static void quotes_are_doubled(void **state)
{
    (void)state;
    kit_good(T,
             "a: \"|tell \"\"ann\"\" now\", \"NODE::USER\"@gw.example.com, \"jones,smith\";\n"
             "\"carol jones\": \"ann@example.com\";\n\"x;y\"@example.com: b;\n",
             "a: \"|tell \"\"ann\"\" now\", \"NODE::USER\"@gw.example.com, \"jones,smith\";\n"
             "\"carol jones\": ann@example.com;\n\"x;y\"@example.com: b;\n",
             NULL);
}

static void comments_stand_in_column_one_and_an_entry_goes_over_lines(void **state)
{
    (void)state;
    kit_good(T, "# top\r\na\r\n:\r\n! inside\r\nb\r\n,c\r\n;d:e;f:g\r;\r#x:y;\r!z",
             "a: b, c;\nd: e;\nf: g;\n", NULL);
    kit_bad(T, " ! not in column one\n",
            "f:1:2: found '!', expected a comment to begin in column 1, or quotes around a name "
            "that begins so");
}

static void the_first_of_a_name_counts(void **state)
{
    static const char *const warnings[] = {
        "f:3:1: \"JOHN\" is defined in line 1 already: that one counts", NULL
    };

    (void)state;
    kit_good(T, "john: a;\nx: y;\nJOHN: b, c;\njohn@example.com: d;\n",
             "john: a;\nx: y;\njohn@example.com: d;\n", warnings);
}

static void a_broken_file_is_refused_where_it_breaks(void **state)
{
    static const struct {
        const char *text, *complaint;
    } cases[] = {
        { "a: b",
          "f:1:5: found the end of the file, expected ',' or ';' (the entry that began in "
          "line 1)" },
        { "a: b\nc: d;", "f:2:1: found 'c', expected ',' or ';' (the entry that began in line 1)" },
        { "\na:\n b,;", "f:3:4: found ';', expected an address (the entry that began in line 2)" },
        { "a;",
          "f:1:2: found ';', expected ':' after the name of the alias (the entry that began "
          "in line 1)" },
        { "\"\": b;", "f:1:1: found \"\"\"\", expected the name of an alias: it is empty" },
        { ": b;",
          "f:1:1: found ':', expected the name of an alias (the entry that began in line 1)" },
        { "a: |cmd;", "f:1:4: found '|', expected quotes around it: \"|...\"" },
        { "a: \"|cmd;\n\";", "f:1:4: the quotes that open here do not close on their line" },
        { "a: \"|\";", "f:1:4: expected the name of a command" },
        { "a: *x;", "f:1:4: found \"*x\", expected \"*\" alone, or an address" },
        { "a: _b@c;", "f:1:4: found \"b@c\", expected the name of a local user: it has a domain" },
        { "l:: a;",
          "f:1:6: found ';', expected ',' and the file of the list's members (the entry "
          "that began in line 1)" },
        { "l:: a, ;", "f:1:8: expected the name of a file of addresses" },
        { "l:: \"|cmd\", x;", "f:1:5: found \"|cmd\", expected the address of the list's owner" },
        { "l:: *, x;", "f:1:5: found \"*\", expected the address of the list's owner" },
        { "l:: _bob, x;", "f:1:5: found \"_bob\", expected the address of the list's owner" },
        { "l:: , x;",
          "f:1:5: found ',', expected the address of the list's owner (the entry that "
          "began in line 1)" },
        { "l:: a, x\n",
          "f:2:1: found the end of the file, expected ';' (the entry that began in "
          "line 1)" },
        { "a: b\001;", "f:1:5: found a control character (code 1), expected text" },
        { "a: b\xc2\x9b;", "f:1:5: found a control character (code 155), expected text" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        kit_bad(T, cases[i].text, cases[i].complaint);
}

/* A file may be one line: each complaint counts so far back, and no farther. */
static void what_is_far_out_in_a_line_has_no_column(void **state)
{
    struct buf text = { 0 };
    struct kit k;

    (void)state;
    buf_adds(&text, "a: x; a: y;");
    for (unsigned i = 0; i < 70000; i++)
        buf_addc(&text, ' ');
    buf_adds(&text, "a: z;");
    kit_read(&k, ALIAS_SYNTAX_TCPWARE, text.data);
    assert_int_equal(k.r, 0);
    assert_int_equal(k.report.warnings.n, 2);
    assert_string_equal(k.report.warnings.lines[0],
                        "f:1:7: \"a\" is defined in line 1 already: that one counts");
    assert_string_equal(k.report.warnings.lines[1],
                        "f:1: \"a\" is defined in line 1 already: that one counts");
    kit_done(&k);
    buf_clear(&text);
    for (unsigned i = 0; i < 200000; i++)
        buf_adds(&text, "a: x; ");
    kit_read(&k, ALIAS_SYNTAX_TCPWARE, text.data);
    assert_int_equal(k.r, 0);
    assert_int_equal(k.report.warnings.n, CONFIG_ERRORS_MAX + 1);
    kit_done(&k);
    buf_free(&text);
}

static void personal_files_hold_addresses_only(void **state)
{
    static const char *const bad[] = { "a: \"|x\";", "a: \"<x\";", "a: \">x\";", "a:: b, c;" };
    struct alias_report report = { 0 };
    struct alias_text text;
    struct alias_map map;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        text = (struct alias_text){ mem_strdup(bad[i]), strlen(bad[i]) };
        alias_map_init(&map);
        assert_int_equal(alias_read(T, "f", &text, 1, &map, &report), -EINVAL);
        assert_int_equal(report.errors.n, i + 1);
        assert_non_null(strstr(report.errors.lines[i], "personal aliases may hold n"));
        alias_map_done(&map);
    }
    alias_report_done(&report);
}

/* Reading what was printed gives the same again, whatever is in it. */
static void printing_and_reading_are_inverse(void **state)
{
    static const char alphabet[] = "ab_*|<>\"\"@.,;: \n!#[]3\xc3\xa9";
    static const char *const pieces[] = { "a",
                                          "b@example.com",
                                          "\"x y\"",
                                          ": ",
                                          ";\n",
                                          ", ",
                                          "::",
                                          "\"|p \"\"q\"\" r\"",
                                          "_u",
                                          "*",
                                          "\"<D:[A]B.C;4\"",
                                          "\n! c\n",
                                          "\"n::u\"@h.example",
                                          "\"\"",
                                          " " };
    uint64_t seed = 88172645463325252u;
    size_t good = 0;

    (void)state;
    for (int round = 0; round < 60000; round++) {
        struct buf text = { 0 };
        struct kit first, second;

        buf_adds(&text, round & 1 ? "n: " : "");
        for (int i = 0; i < 8; i++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            if (seed & 1)
                buf_adds(&text, pieces[(seed >> 8) % (sizeof pieces / sizeof *pieces)]);
            else
                buf_addc(&text, alphabet[(seed >> 8) % (sizeof alphabet - 1)]);
        }
        buf_adds(&text, ";");
        kit_read(&first, T, text.data);
        if (first.r == 0) {
            good++;
            kit_read(&second, T, first.printed.data);
            if (second.r < 0 || strcmp(first.printed.data, second.printed.data) != 0) {
                print_message("from: %s\nfirst: %s\nsecond: %s\n", text.data, first.printed.data,
                              second.printed.data);
                kit_show(&second);
            }
            assert_int_equal(second.r, 0);
            assert_string_equal(first.printed.data, second.printed.data);
            kit_done(&second);
        }
        kit_done(&first);
        buf_free(&text);
    }
    assert_true(good > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_aliases),
        cmocka_unit_test(lists_and_hub_exemption),
        cmocka_unit_test(special_targets_and_a_virtual_domain),
        cmocka_unit_test(a_star_is_no_catch_all_and_that_is_said),
        cmocka_unit_test(U_66_a_target_may_wear_the_jacket_or_not),
        cmocka_unit_test(a_version_does_not_end_a_list),
        cmocka_unit_test(quotes_are_doubled),
        cmocka_unit_test(comments_stand_in_column_one_and_an_entry_goes_over_lines),
        cmocka_unit_test(the_first_of_a_name_counts),
        cmocka_unit_test(a_broken_file_is_refused_where_it_breaks),
        cmocka_unit_test(what_is_far_out_in_a_line_has_no_column),
        cmocka_unit_test(personal_files_hold_addresses_only),
        cmocka_unit_test(printing_and_reading_are_inverse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
