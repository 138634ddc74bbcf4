/* What addresses come to: look-up, order, duplicates, circles, lists, owners, folders. */
#include "alias-world.h"

#define ONE "\"files\": [{\"path\": \"@DIR@/aliases.tcp\"}]"

static void world_one(struct world *w, const char *aliases, const char *more)
{
    char *section AUTO_FREE = mem_printf("%s%s", ONE, more);

    world_init(w);
    world_file(w, "aliases.tcp", aliases);
    world_good(w, section);
}

static void the_documented_samples(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    world_file(&w, "staff.list", "# staff\njones\nann@far.example\n");
    world_file(&w, "announce.list", "x@far.example\n");
    world_file(&w, "smtp_aliases",
               "john:        jb134a;\n"
               "sales:       ann, bob@example.org,\n"
               "             \"carol.jones\"@example.net ;\n"
               "FNORD:       FNORD@SOMEWHERE.EXAMPLE.COM, _FNORD;\n"
               "Operations-Staff:: Operations-Manager, USERS:STAFF.LIST;\n"
               "Operations-Manager: OPER1;\n"
               "smith: *;\n"
               "announce : \"<DISK$USER:ANNOUNCE.LIST\" ;\n"
               "ticket   : \"|SYS$MANAGER:NEWTICKET.COM HELPDESK HIGH\" ;\n"
               "archive  : \">DISK$USER:ALLMAIL\" ;\n"
               "info@museum.example.org : ann ;\n"
               "info     : bob ;\n");
    world_good(&w,
               "\"files\": [{\"path\": \"@DIR@/smtp_aliases\"}], \"roots\": [\"@DIR@\"],"
               "\"logicals\": [\"USERS=@DIR@\", \"DISK$USER=@DIR@/\"]");
    assert_int_equal(w.report.warnings.n, 0);
    world_expect(&w, "john@example.com", "address jb134a@gw.example.com\n");
    world_expect(&w, "SALES@EXAMPLE.COM",
                 "address ann@gw.example.com\naddress bob@example.org\n"
                 "address carol.jones@example.net\n");
    world_expect(&w, "fnord@example.com",
                 "local fnord@example.com\naddress FNORD@SOMEWHERE.EXAMPLE.COM\n");
    world_expect(&w, "operations-staff@example.com",
                 "address jones@gw.example.com owner=Operations-Manager@gw.example.com\n"
                 "address ann@far.example owner=Operations-Manager@gw.example.com\n");
    world_expect(&w, "operations-manager@example.com", "address OPER1@gw.example.com\n");
    world_expect(&w, "smith@example.com", "local smith@example.com own\n");
    world_expect(&w, "announce@example.com", "address x@far.example\n");
    world_expect(&w, "ticket@example.com", "pipe SYS$MANAGER:NEWTICKET.COM HELPDESK HIGH\n");
    world_expect(&w, "archive@example.com", "file allmail\n");
    world_expect(&w, "info@museum.example.org", "address ann@gw.example.com\n");
    world_expect(&w, "info@example.com", "address bob@gw.example.com\n");
    world_expect(&w, "info", "address bob@gw.example.com\n");
    world_done(&w);
}

static void the_month_is_the_type_of_an_archive(void **state)
{
    char buf[64];

    (void)state;
    setenv("TZ", "UTC", 1);
    assert_string_equal(alias_file_name("/arc/allmail", ALIAS_DATED, 861000000, buf, sizeof buf),
                        "/arc/allmail.1997-04");
    assert_string_equal(alias_file_name("/a.c/x.txt", ALIAS_DATED, 861000000, buf, sizeof buf),
                        "/a.c/x.txt");
    assert_string_equal(alias_file_name("/arc/allmail", 0, 861000000, buf, sizeof buf),
                        "/arc/allmail");
    assert_string_equal(alias_file_name("/dev/null", ALIAS_DATED, 861000000, buf, sizeof buf),
                        "/dev/null");
    assert_null(alias_file_name("/arc/allmail", ALIAS_DATED, 861000000, buf, 20));
}

static void T_37_names_count_for_local_domains_only(void **state)
{
    struct world w;

    (void)state;
    world_one(&w, "ann: bob;\njim@virtual.example: joe;\njim: jack;\njoe@far.example: jane;\n", "");
    world_expect(&w, "ann@far.example", "address ann@far.example\n");
    world_expect(&w, "ann@virtual.example", "address ann@virtual.example\n");
    world_expect(&w, "jim@virtual.example", "address joe@gw.example.com\n");
    world_expect(&w, "jim@example.com", "address jack@gw.example.com\n");
    world_expect(&w, "joe@far.example", "address jane@gw.example.com\n");
    world_done(&w);
    world_one(&w, "jim@virtual.example: joe;\njoe@far.example: jane;\n", ", \"virtual\": false");
    world_expect(&w, "joe@far.example", "address joe@far.example\n");
    world_expect(&w, "jim@virtual.example", "address joe@gw.example.com\n");
    world_done(&w);
}

static void nobody_gets_it_twice(void **state)
{
    struct world w;
    struct alias_expand how;
    struct alias_expansion e;

    (void)state;
    world_one(
        &w, "a: b, c, X@Far.Example;\nb: x@FAR.example, d, _d;\nc: d, b, \"|p\";\ne: \"|p\", a;\n",
        "");
    how = world_how(&w);
    assert_int_equal(alias_expand(&how, "e@example.com", &e), 0);
    assert_int_equal(e.n, 3);
    assert_string_equal(e.leaves[0].text, "p");
    assert_string_equal(e.leaves[1].text, "d@gw.example.com");
    assert_int_equal(e.leaves[1].kind, ALIAS_LOCAL);
    assert_string_equal(e.leaves[1].chain,
                        "e@example.com -> a@gw.example.com -> b@gw.example.com -> "
                        "d@gw.example.com");
    assert_string_equal(e.leaves[2].text, "X@Far.Example");
    assert_string_equal(e.leaves[2].chain, "e@example.com -> a@gw.example.com -> X@Far.Example");
    assert_int_equal(e.leaves[2].line, 1);
    assert_int_equal(e.duplicates, 5);
    alias_expansion_done(&e);
    world_done(&w);
}

static void commands_differ_by_all_of_their_words(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    world_file(&w, "a.json",
               "{\"both\": [{\"pipe\": [\"/bin/echo\", \"first\"]}, {\"pipe\": [\"/bin/echo\", "
               "\"second\"]}, {\"pipe\": [\"/bin/echo\", \"first\"]}]}");
    world_good(&w, "\"files\": [{\"path\": \"@DIR@/a.json\"}]");
    world_expect(&w, "both@example.com", "pipe /bin/echo\npipe /bin/echo\n");
    world_done(&w);
}

static void an_alias_that_names_itself_is_a_delivery(void **state)
{
    struct world w;

    (void)state;
    world_one(&w, "ann: ann@example.com, bob@far.example;\n\"j d\": \"j d\";\n", "");
    world_expect(&w, "Ann@example.com", "local ann@example.com\naddress bob@far.example\n");
    world_expect(&w, "ann", "local ann@example.com\naddress bob@far.example\n");
    world_expect(&w, "\"j d\"", "local \"j d\"@gw.example.com\n");
    world_done(&w);
}

static void expect_error(const struct world *w, const char *address, const char *error)
{
    struct alias_expand how = world_how(w);
    struct alias_expansion e;
    size_t n = 0;

    assert_int_equal(alias_expand(&how, address, &e), 0);
    for (size_t i = 0; i < e.n; i++) {
        if (e.leaves[i].error) {
            assert_string_equal(e.leaves[i].error, error);
            n++;
        }
    }
    assert_int_equal(n, 1);
    alias_expansion_done(&e);
}

static void an_alias_may_name_a_folder_of_itself(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    world_one(&w,
              "a: a+x;\n"
              "two: two+x, two+y, bob@far.example;\n"
              "b: c; c: b+x;\n"
              "d: d+x; e: d+x, d; \n"
              "d+x: z@far.example;\n"
              "v@virtual.example: v+x@virtual.example;\n"
              "own: own, own+x;\n",
              "");
    world_expect(&w, "a@example.com", "local a@gw.example.com folder=x\n");
    world_expect(&w, "a@museum.example.org", "local a@gw.example.com folder=x\n");
    world_expect(&w, "a+x@museum.example.org", "local a@gw.example.com folder=x\n");
    world_expect(&w, "a+y@example.com", "local a@gw.example.com folder=x\n");
    world_expect(&w, "two@example.com",
                 "local two@gw.example.com folder=x\n"
                 "local two@gw.example.com folder=y\n"
                 "address bob@far.example\n");
    /* another alias has led there: its name is looked up once more */
    world_expect(&w, "b@museum.example.org", "address c@gw.example.com 5.4.6\n");
    world_expect(&w, "e@museum.example.org", "address z@far.example\n");
    world_expect(&w, "v@virtual.example", "local v@virtual.example folder=x\n");
    world_expect(&w, "own@museum.example.org",
                 "local own@gw.example.com\nlocal own@gw.example.com folder=x\n");
    world_done(&w);
}

static void circles_are_told_with_their_chain(void **state)
{
    struct world w;

    (void)state;
    world_one(&w,
              "a: b, x@far.example;\nb: c;\nc: a@gw.example.com;\n"
              /* a circle that no address closes by naming its own ancestor */
              "p: q, r;\nq: r;\nr: q;\n",
              "");
    expect_error(&w, "a",
                 "aliases go round in circles: a@gw.example.com -> b@gw.example.com -> "
                 "c@gw.example.com -> a@gw.example.com");
    world_expect(&w, "a", "address x@far.example\naddress a@gw.example.com 5.4.6\n");
    expect_error(&w, "p",
                 "aliases go round in circles: q@gw.example.com -> r@gw.example.com -> "
                 "q@gw.example.com");
    world_done(&w);
}

static void nesting_has_an_end(void **state)
{
    struct buf text = { 0 };
    struct world w;

    (void)state;
    for (int i = 0; i < 30; i++)
        buf_printf(&text, "n%d: n%d;\n", i, i + 1);
    world_one(&w, text.data, ", \"depth\": 3");
    world_expect(&w, "n27", "address n30@gw.example.com\n");
    expect_error(&w, "n26",
                 "aliases nest deeper than 3: n26@gw.example.com -> n27@gw.example.com -> "
                 "n28@gw.example.com -> n29@gw.example.com -> n30@gw.example.com");
    world_done(&w);
    buf_free(&text);
}

static void growth_has_an_end(void **state)
{
    struct alias_expand how;
    struct alias_expansion e;
    struct world w;

    (void)state;
    world_one(&w, "a: b, c;\nb: d, e;\n", ", \"expansion_max\": 4");
    world_expect(&w, "a",
                 "address c@gw.example.com\naddress d@gw.example.com\n"
                 "address e@gw.example.com\n");
    world_done(&w);
    world_one(&w, "a: b, c;\nb: d, e;\n", ", \"expansion_max\": 3");
    how = world_how(&w);
    assert_int_equal(alias_expand(&how, "a", &e), -E2BIG);
    assert_int_equal(e.n, 0);
    alias_expansion_done(&e);
    assert_int_equal(alias_expand(&how, "a@b@c", &e), -EINVAL);
    alias_expansion_done(&e);
    world_done(&w);
}

static void folders(void **state)
{
    struct world w;

    (void)state;
    world_one(&w, "ann: *, bob@far.example;\njim: _ann;\nann+jobs: joe;\nsue: _sue;\ntom: tom;\n",
              "");
    world_expect(&w, "ann+LISTS@example.com",
                 "local ann@example.com own folder=lists\naddress bob@far.example\n");
    world_expect(&w, "ann+jobs@example.com", "address joe@gw.example.com\n");
    world_expect(&w, "jim+x@example.com", "local ann@example.com\n");
    world_expect(&w, "sue+x@example.com", "local sue@example.com folder=x\n");
    world_expect(&w, "tom+x@gw.example.com", "address tom+x@gw.example.com\n");
    world_expect(&w, "tom+x", "local tom@gw.example.com folder=x\n");
    world_expect(&w, "+x", "address +x@gw.example.com\n");
    world_done(&w);
    world_one(&w, "ann: bob;\n", ", \"subaddress\": \"\"");
    world_expect(&w, "ann+x", "address ann+x@gw.example.com\n");
    world_done(&w);
}

static void owners(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    world_file(&w, "m", "x@far.example\n");
    world_file(&w, "aliases.tcp",
               "staff:: boss, \"m\";\nteam: ann, x@far.example;\nowner-team: jim;\n"
               "club@museum.example.org: sue;\nowner-club@museum.example.org: tim;\n"
               "outer:: chief@far.example, n;\nplain: ann;\n");
    world_file(&w, "n", "team@example.com\ny@far.example\n");
    world_good(&w, ONE ", \"roots\": [\"@DIR@\"]");
    world_expect(&w, "staff", "address x@far.example owner=boss@gw.example.com\n");
    world_expect(&w, "owner-staff", "address boss@gw.example.com\n");
    world_expect(&w, "staff-owner", "address boss@gw.example.com\n");
    world_expect(&w, "Staff-Request@example.com", "address boss@gw.example.com\n");
    world_expect(&w, "team",
                 "address ann@gw.example.com owner=owner-team@gw.example.com\n"
                 "address x@far.example owner=owner-team@gw.example.com\n");
    world_expect(&w, "team-request", "address jim@gw.example.com\n");
    world_expect(&w, "club@museum.example.org",
                 "address sue@gw.example.com owner=owner-club@museum.example.org\n");
    world_expect(&w, "club-owner@museum.example.org", "address tim@gw.example.com\n");
    world_expect(&w, "plain-owner", "address plain-owner@gw.example.com\n");
    world_expect(&w, "outer",
                 "address y@far.example owner=chief@far.example\n"
                 "address ann@gw.example.com owner=owner-team@gw.example.com\n"
                 "address x@far.example owner=owner-team@gw.example.com\n");
    world_done(&w);
}

static void no_list_is_its_own_member(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    world_file(&w, "m", "lst\nann\n");
    world_file(&w, "self", "one@example.com\none\n");
    world_file(&w, "aliases.tcp", "lst:: joe, m;\none:: joe, self;\ntwo: two, \"<m\";\n");
    world_good(&w, ONE ", \"roots\": [\"@DIR@\"]");
    world_expect(&w, "lst@example.com", "address ann@gw.example.com owner=joe@gw.example.com\n");
    world_expect(&w, "one@example.com", "list one@example.com 4.3.5\n");
    world_expect(&w, "two@example.com",
                 "local two@gw.example.com\n"
                 "address ann@gw.example.com\n");
    world_done(&w);
}

static void lists_can_be_left_to_a_transport(void **state)
{
    struct alias_expand how;
    struct world w;

    (void)state;
    world_init(&w);
    world_file(&w, "m", "x@far.example\n");
    world_file(&w, "aliases.tcp", "staff:: boss, \"m\";\nteam: ann, \"<m\";\n");
    world_good(&w, ONE ", \"roots\": [\"@DIR@\"]");
    how = world_how(&w);
    how.keep_lists = 1;
    world_expect_how(&w, &how, "staff", "list staff@gw.example.com owner=boss@gw.example.com\n");
    world_expect_how(&w, &how, "team", "address ann@gw.example.com\naddress x@far.example\n");
    world_done(&w);
}

/* What comes back from members, too: the list counts it, or tells its owner. */
static void a_list_that_is_left_to_a_transport_gets_its_owners_mail(void **state)
{
    static const char *const names[] = { "owner-staff", "staff-owner", "Staff-Request",
                                         "owner-staff+ann=far.example" };
    struct alias_expansion e;
    struct alias_expand how;
    struct world w;

    (void)state;
    world_init(&w);
    world_file(&w, "m", "x@far.example\n");
    world_file(&w, "aliases.tcp",
               "staff:: boss, \"m\";\nteam:: owner-team, \"m\";\nowner-team: ann;\n"
               "club: ann, bob;\nowner-club: boss;\nhelp: staff-request;\n");
    world_good(&w, ONE ", \"roots\": [\"@DIR@\"]");
    how = world_how(&w);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        how.keep_lists = 0;
        if (!strchr(names[i], '='))
            world_expect_how(&w, &how, names[i], "address boss@gw.example.com\n");
        how.keep_lists = 1;
        world_expect_how(&w, &how, names[i],
                         "list staff@gw.example.com owner=boss@gw.example.com\n");
    }
    assert_int_equal(alias_expand(&how, "help", &e), 0);
    assert_string_equal(e.leaves[0].text, "staff@gw.example.com");
    assert_string_equal(e.leaves[0].rcpt, "staff-request@gw.example.com"); /* and no post */
    alias_expansion_done(&e);
    /* An alias of that very name counts, but not for what members' servers send back. */
    world_expect_how(&w, &how, "owner-team", "address ann@gw.example.com\n");
    world_expect_how(&w, &how, "owner-team+x=far.example",
                     "list team@gw.example.com owner=owner-team@gw.example.com\n");
    world_expect_how(&w, &how, "owner-team+folder", "address ann@gw.example.com\n");
    /* Its members are in no file: it is not left to the transport, nor is its owner's mail. */
    world_expect_how(&w, &how, "club-request", "address boss@gw.example.com\n");
    world_expect_how(&w, &how, "owner-club+x=far.example", "address boss@gw.example.com\n");
    world_done(&w);
}

static void what_cannot_be_read_is_not_lost(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    world_file(&w, "empty", "# nobody\n");
    world_file(&w, "broken", "a b\n");
    world_file(&w, "aliases.tcp",
               "none: \"<empty\";\nbad: \"<broken\", ann;\ngone: \"<gone\";\n"
               "out: \"</etc/passwd\";\nup: \"<../x\";\nvms: \"<NOWHERE:[X]Y.Z\";\n"
               "log: \">/var/log/x\";\nnull: \">/dev/null\";\n");
    world_good(&w, ONE ", \"roots\": [\"@DIR@\"]");
    assert_int_equal(w.report.warnings.n, 6);
    world_expect(&w, "none", "include empty 4.3.5\n");
    world_expect(&w, "bad", "include broken 4.3.5\naddress ann@gw.example.com\n");
    world_expect(&w, "gone", "include gone 4.3.5\n");
    world_expect(&w, "out", "include /etc/passwd 4.3.5\n");
    world_expect(&w, "up", "include ../x 4.3.5\n");
    world_expect(&w, "log", "file /var/log/x 4.3.5\n");
    world_expect(&w, "null", "file /dev/null\n");
    world_expect(&w, "vms", "include NOWHERE:[X]Y.Z 4.3.5\n");
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documented_samples),
        cmocka_unit_test(the_month_is_the_type_of_an_archive),
        cmocka_unit_test(T_37_names_count_for_local_domains_only),
        cmocka_unit_test(nobody_gets_it_twice),
        cmocka_unit_test(commands_differ_by_all_of_their_words),
        cmocka_unit_test(an_alias_that_names_itself_is_a_delivery),
        cmocka_unit_test(an_alias_may_name_a_folder_of_itself),
        cmocka_unit_test(circles_are_told_with_their_chain),
        cmocka_unit_test(nesting_has_an_end),
        cmocka_unit_test(growth_has_an_end),
        cmocka_unit_test(folders),
        cmocka_unit_test(owners),
        cmocka_unit_test(no_list_is_its_own_member),
        cmocka_unit_test(lists_can_be_left_to_a_transport),
        cmocka_unit_test(a_list_that_is_left_to_a_transport_gets_its_owners_mail),
        cmocka_unit_test(what_cannot_be_read_is_not_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
