/* The other syntaxes: sendmail's, JSON, members of lists, full names; and encodings. */
#include <errno.h>

#include "alias-kit.h"

struct bad {
    const char *text, *complaint;
};

static void all_bad(enum alias_syntax syntax, const struct bad *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        kit_bad(syntax, cases[i].text, cases[i].complaint);
}
#define ALL_BAD(syntax, cases) all_bad(syntax, cases, sizeof(cases) / sizeof *(cases))

/* --- sendmail --- */

static void sendmail_aliases(void **state)
{
    (void)state;
    kit_good(ALIAS_SYNTAX_SENDMAIL,
             "# /etc/aliases\n"
             "postmaster:    root\n"
             "MAILER-DAEMON: postmaster\n"
             "\n"
             "sales: ann, bob@example.org,\n"
             "  # within\n"
             "\n"
             "\t\"carol jones\"@example.net\n"
             "staff: :include:/etc/mail/staff\n"
             "owner-staff: ann\n"
             "root: \\root, \"|/usr/bin/logger -t \\\"root, x\\\"\", /var/mail/archive\n"
             "\"john smith\": john,\n"
             "  jim",
             "postmaster: root;\n"
             "mailer-daemon: postmaster;\n"
             "sales: ann, bob@example.org, \"carol jones\"@example.net;\n"
             "staff: \"</etc/mail/staff\";\n"
             "owner-staff: ann;\n"
             "root: _root, \"|/usr/bin/logger -t \"\"root, x\"\"\", \">>/var/mail/archive\";\n"
             "\"john smith\": john, jim;\n",
             NULL);
}

static void broken_sendmail_aliases(void **state)
{
    static const struct bad cases[] = {
        { "  a: b\n",
          "f:1:1: found a blank at the beginning of the line, expected the name of an "
          "alias: nothing stands before to go on with" },
        { "a b\n", "f:1:4: found the end of the line, expected ':' after the name of the alias" },
        { "a:\nb: c\n",
          "f:1:3: found the end of the line, expected an address (for the alias of line 1)" },
        { "a: b,\nc: d\n",
          "f:1:6: found the end of the line, expected an address (for the alias of line 1)" },
        { "a: b c\n",
          "f:1:4: found \"b c\", expected an address: this character needs a quoted "
          "local part" },
        { "a: \"b\n", "f:1:4: the quotes that open here do not close on their line" },
        { "a: \"|x\" y\n", "f:1:9: found 'y', expected ',' (in the alias of line 1)" },
        { "a: :include:\n", "f:1:4: expected the name of a file of addresses" },
        { "a@b@c: d\n",
          "f:1:1: found \"a@b@c\", expected the name of an alias: this character is not "
          "allowed in a domain" },
    };

    (void)state;
    ALL_BAD(ALIAS_SYNTAX_SENDMAIL, cases);
}

/* --- JSON --- */

static void json_aliases(void **state)
{
    static const char *const warnings[] = {
        "f:9:3: \"JOHN\" is defined in line 2 already: that one counts", NULL
    };

    (void)state;
    kit_good(ALIAS_SYNTAX_JSON,
             "{ \"$comment\": \"people, {[\\\"\",\n"
             "  \"john\": \"jb134a\",\n"
             "  \"sales\": [\"ann\", {\"address\": \"bob@example.org\"}, "
             "{\"local\": \"sales\"}, \"*\"],\n"
             "  \"ticket\": {\"pipe\": [\"/bin/t\", \"a b\"]}, \"t2\": \"|x y\",\n"
             "  \"archive\": {\"file\": \"/var/a\"},\n"
             "  \"announce\": {\"include\": \"/l/a\"},\n"
             "  \"staff\": {\"owner\": \"ann\", \"members\": \"staff.list\"},\n"
             "  \"info@museum.example.org\": [\"ann\"],\n"
             "  \"JOHN\": \"x\" }\n",
             "john: jb134a;\n"
             "sales: ann, bob@example.org, _sales, *;\n"
             "ticket: \"|/bin/t a b\";\n"
             "t2: \"|x y\";\n"
             "archive: \">>/var/a\";\n"
             "announce: \"</l/a\";\n"
             "staff:: ann, \"staff.list\";\n"
             "info@museum.example.org: ann;\n",
             warnings);
    kit_good(ALIAS_SYNTAX_JSON, " {} ", "", NULL);
    kit_good(ALIAS_SYNTAX_JSON,
             "{\"a\": {\"$comment\": \"c\", \"address\": \"b\"},"
             " \"l\": {\"owner\": \"b\", \"$comment1\": 1, \"members\": \"m\"}}",
             "a: b;\nl:: b, \"m\";\n", NULL);
}

static void broken_json_aliases(void **state)
{
    static const struct bad cases[] = {
        { "", "f:1:1: found the end of the file, expected '{': an object of aliases" },
        { "[]", "f:1:1: found '[', expected '{': an object of aliases" },
        { "{\"a\" \"b\"}", "f:1:6: found '\"', expected ':' after the name of the alias" },
        { "{\"a\": \"b\"} x", "f:1:12: found 'x', expected nothing more" },
        { "{\"a\": \"b\"\n \"c\": \"d\"}", "f:2:2: found '\"', expected ',' or '}'" },
        { "{\"a\": []}", "f:1:2: found [], expected a target at least" },
        { "{\"a\": 7}", "f:1:2: found 7, expected a target: a text or an object" },
        { "{\n \"a\": [\"b\", 7]}", "f:2:2#/1: found 7, expected a target: a text or an object" },
        { "{\"a\": {\"adress\": \"b\"}}",
          "f:1:2: found {\"adress\":\"b\"}, expected one of \"address\", \"local\", \"pipe\", "
          "\"file\", \"include\" and its value" },
        { "{\"a\": {\"owner\": \"b\"}}",
          "f:1:2: found {\"owner\":\"b\"}, expected \"members\" beside \"owner\"" },
        { "{\"a\": {\"members\": \"b\"}}",
          "f:1:2: found nothing, expected \"owner\" with an address" },
        { "{\"a\": {\"pipe\": [\"x\", 1]}}", "f:1:2: found 1, expected a word of a command" },
        { "{\"a\": {\"pipe\": \"x\\ny\"}}",
          "f:1:2: found a control character (code 10) in a command" },
        { "{\"a\": [[[[[[[]]]]]]]}", "f:1:11: nested too deeply" },
        { "{1: \"b\"}", "f:1:2: found 1, expected the name of an alias in quotes" },
        { "{\"a\": \"b c\"}",
          "f:1:2: found \"b c\", expected an address: this character needs a "
          "quoted local part" },
    };
    struct kit k;

    (void)state;
    ALL_BAD(ALIAS_SYNTAX_JSON, cases);
    kit_read(&k, ALIAS_SYNTAX_JSON, "{\"a\": \"b\", \"c\": [\"d\" \"e\"]}");
    assert_int_equal(k.r, -EINVAL); /* jansson's words */
    assert_int_equal(strncmp(k.report.errors.lines[0], "f:1:", 4), 0);
    kit_done(&k);
}

/* --- members --- */

static void a_ucx_list(void **state)
{
    static const char *const warnings[] = {
        "f:2:1: found the jacket SMTP%\"...\": taken off",
        "f:3:1: found a VMS address: read as <\"NODE::USER\">",
        "f:4:16: found several addresses, expected one a line: taken apart", NULL
    };
    static const char *const more[] = {
        "f:1:15: found a comment that does not begin in column 1: skipped",
        "f:2:3: found a comment that does not begin in column 1: skipped", NULL
    };

    (void)state;
    kit_good(ALIAS_SYNTAX_DIS, "! SALES.DIS  (list \"sales\")\nann@example.com\nbob@example.org\n",
             "ann@example.com\nbob@example.org\n", NULL);
    kit_good(ALIAS_SYNTAX_DIS,
             "! STAFF.DIS\njones\n<\"SUMNOD::BORIS\">\nuser1%far.example@mail.z.com\n",
             "jones\n\"SUMNOD::BORIS\"\nuser1%far.example@mail.z.com\n", NULL);
    kit_good(ALIAS_SYNTAX_DIS,
             "! MISTAKES.DIS\nSMTP%\"ann@example.com\"\nNODE::USER\n"
             "ann@x.example, bob@x.example\n",
             "ann@example.com\n\"NODE::USER\"\nann@x.example\nbob@x.example\n", warnings);
    kit_good(ALIAS_SYNTAX_DIS, "ann@x.example ! Ann\n  ! Bob\n<bob@x.example>",
             "ann@x.example\nbob@x.example\n", more);
}

static void what_only_aliases_may_be_is_no_member(void **state)
{
    static const char *const warnings[] = {
        "f:2:1: found \"|cmd\", expected an address: passed over",
        "f:3:1: found \"\"<x\"\", expected an address: passed over",
        "f:4:6: found \"*\", expected an address: passed over",
        "f:5:1: found \"_ann\", expected an address: passed over",
        "f:6:3: found \"#ann\", expected an address: passed over",
        NULL
    };

    (void)state;
    kit_good(ALIAS_SYNTAX_INCLUDE,
             "ann\n|cmd\n\"<x\"\na@b, *, c@d\n_ann\n  #ann\n#sharp@b, _u@b, \n", "ann\na@b\nc@d\n",
             warnings);
    kit_good(ALIAS_SYNTAX_INCLUDE, " #sharp@b, _u@b, \n", "#sharp@b\n\"_u\"@b\n", NULL);
}

static void broken_members(void **state)
{
    static const struct bad dis[] = {
        { "a@b\n@OTHER.DIS\n",
          "f:2:1: found \"@OTHER.DIS\", expected an address: a list cannot be in a list" },
        { "# x@y\n",
          "f:1:1: found \"# x@y\", expected an address: blanks, or quotes or brackets "
          "that do not close, part its words" },
    };
    static const struct bad include[] = {
        { "a@b, bad line here\n",
          "f:1:6: found \"bad line here\", expected an address: blanks, or quotes or brackets "
          "that do not close, part its words" },
        { "a@b ! Ann\n",
          "f:1:1: found \"a@b ! Ann\", expected an address: blanks, or quotes or "
          "brackets that do not close, part its words" },
        { "sales: a@b\n",
          "f:1:1: found \"sales: a@b\", expected an address: it is a group, or an "
          "alias, and only addresses can be members" },
        { "a@b,  c@d/e@f\n",
          "f:1:7: found \"c@d/e@f\", expected an address: this character is not "
          "allowed in a domain" },
    };
    char *wide = mem_alloc(ALIAS_TEXT_MAX + 2);

    (void)state;
    ALL_BAD(ALIAS_SYNTAX_DIS, dis);
    ALL_BAD(ALIAS_SYNTAX_INCLUDE, include);
    memset(wide, 'a', ALIAS_TEXT_MAX + 1);
    wide[ALIAS_TEXT_MAX + 1] = 0;
    kit_bad(ALIAS_SYNTAX_INCLUDE, wide, "f:1:1: found a line of 8193 bytes, expected at most 8192");
    free(wide);
}

static void an_included_file(void **state)
{
    (void)state;
    kit_good(ALIAS_SYNTAX_INCLUDE, "# members\n! of it\n\n  ann@example.com  \n<bob>\n",
             "ann@example.com\nbob\n", NULL);
    kit_good(ALIAS_SYNTAX_INCLUDE,
             "Ann Other <ann@example.com>, \"Bob, B.\" <bob@b.example>\n"
             "carol@c.example (Carol),\n\"d d\"@d.example; erin @ e.example\n",
             "ann@example.com\nbob@b.example\ncarol@c.example\n\"d d\"@d.example\n"
             "erin@e.example\n",
             NULL);
}

/* --- full names --- */

static void U_67_full_names_of_a_password_file(void **state)
{
    static const char *const warnings[] = {
        "f:3:12: \"JOHN.DOE\" is the name of several users, and so of none", NULL
    };

    (void)state;
    kit_good(ALIAS_SYNTAX_PASSWD,
             "bjones:x:1:1:Beth  M. Jones,Room 7:/h:/bin/sh\n"
             "jd:x:2:2:John Doe:/h:\n"
             "john:x:3:3:JOHN DOE:/h:\n"
             "john:x:3:3:\n"
             "gnats:x:41:41:Gnats Bug-Reporting System (admin):/var:\n"
             "daemon:x:1:1:daemon:/:\n"
             "knuth:x:4:4:D. &:/h:\n"
             "rene:x:5:5:Ren\xc3\xa9 O'Neil:/h:\n",
             "beth.m.jones: bjones;\nd.knuth: knuth;\nren\xc3\xa9.o'neil: rene;\n", warnings);
}

/* --- encodings --- */

static void encodings_and_line_ends(void **state)
{
    static const char *const mcs[] = { "f: not UTF-8: read as DEC Multinational (Latin-1)", NULL };

    (void)state;
    kit_good(ALIAS_SYNTAX_INCLUDE, "\xef\xbb\xbfren\xc3\xa9@x.example\r\n",
             "ren\xc3\xa9@x.example\n", NULL);
    kit_good(ALIAS_SYNTAX_INCLUDE, "ren\xe9@x.example\rc\xf7ur\rcha\xfd\n",
             "ren\xc3\xa9@x.example\nc\xc5\x93ur\ncha\xc3\xbf\n", mcs);
    kit_bad(ALIAS_SYNTAX_INCLUDE, "a\r\nb\r\n\x85",
            "f:3:1: found a control character (code 133), expected text");
}

static void nuls_are_allowed_at_the_end_only(void **state)
{
    static const char padded[] = "ann: b;\n\0\0\0", broken[] = "ann:\0b;\n";
    struct kit k;

    (void)state;
    kit_read_bytes(&k, ALIAS_SYNTAX_TCPWARE, padded, sizeof padded);
    assert_int_equal(k.r, 0);
    assert_string_equal(k.printed.data, "ann: b;\n");
    kit_done(&k);
    kit_read_bytes(&k, ALIAS_SYNTAX_TCPWARE, broken, sizeof broken - 1);
    assert_int_equal(k.r, -EINVAL);
    assert_string_equal(k.report.errors.lines[0],
                        "f:1:5: found a control character (code 0), expected text");
    kit_done(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sendmail_aliases),
        cmocka_unit_test(broken_sendmail_aliases),
        cmocka_unit_test(json_aliases),
        cmocka_unit_test(broken_json_aliases),
        cmocka_unit_test(a_ucx_list),
        cmocka_unit_test(what_only_aliases_may_be_is_no_member),
        cmocka_unit_test(broken_members),
        cmocka_unit_test(an_included_file),
        cmocka_unit_test(U_67_full_names_of_a_password_file),
        cmocka_unit_test(encodings_and_line_ends),
        cmocka_unit_test(nuls_are_allowed_at_the_end_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
