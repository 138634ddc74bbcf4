/* What senders become: rows, places, the substitute domain, and how it is told. */
#include "route/sender.h"

#include <errno.h>

#include "route/expand.h"
#include "tables.h"

#define SENDERS(rows)           SENDERS_AND(rows, "")
#define SENDERS_AND(rows, more) TABLES_LOCAL ", \"senders\": [" rows "]" more
#define BOTH                    (ROUTE_SENDER_ENVELOPE | ROUTE_SENDER_HEADER)

/* expected NULL: it stays. */
static void becomes_at(struct tables *t, const char *address, const char *ingress, unsigned place,
                       const char *expected)
{
    struct route_sender s;
    int r = route_sender(t->table, address, ingress, place, &s);

    if (!expected) {
        assert_int_equal(r, 0);
        assert_null(s.address);
        return;
    }
    assert_int_equal(r, 1);
    assert_string_equal(s.address, expected);
    assert_non_null(s.rule);
    free(s.address);
}

static void becomes(struct tables *t, const char *address, const char *expected)
{
    becomes_at(t, address, NULL, ROUTE_SENDER_ENVELOPE, expected);
    becomes_at(t, address, NULL, ROUTE_SENDER_HEADER, expected);
}

static void T_103_users_of_a_department_get_its_host(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t,
                SENDERS_AND("{\"sender\": [\"ann@example.com\", \"b*@example.com\"],"
                            " \"rewrite\": \"*@sales.example.com\"},"
                            "{\"sender\": \"carl@\", \"rewrite\": \"*@lab.example.com\"}",
                            ", \"host_names\": [\"sales.example.com\", \"lab.example.com\"]"));
    assert_int_equal(route_sender_places(t.table), BOTH);
    becomes(&t, "Ann@EXAMPLE.com", "Ann@sales.example.com");
    becomes(&t, "carl@anywhere.test", "carl@lab.example.com");
    becomes(&t, "carl", "carl@lab.example.com");
    becomes(&t, "dora@example.com", NULL);
    becomes(&t, "\"ann\"@example.com", "ann@sales.example.com");
    tables_done(&t);
}

static void T_46_T_47_envelope_and_header_have_rows_of_their_own(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t,
                SENDERS("{\"sender\": \"@vax.test\", \"rewrite\": \"*@env.example.com\","
                        " \"in\": \"envelope\"},"
                        "{\"sender\": \"@vax.test\", \"rewrite\": \"*@head.example.com\","
                        " \"in\": \"header\"},"
                        "{\"sender\": \"*\", \"rewrite\": \"never@example.com\"}"));
    becomes_at(&t, "a@vax.test", NULL, ROUTE_SENDER_ENVELOPE, "a@env.example.com");
    becomes_at(&t, "a@vax.test", NULL, ROUTE_SENDER_HEADER, "a@head.example.com");
    tables_done(&t);
    tables_good(&t,
                SENDERS("{\"sender\": \"@vax.test\", \"rewrite\": \"*@env.example.com\","
                        " \"in\": \"envelope\"}"));
    assert_int_equal(route_sender_places(t.table), ROUTE_SENDER_ENVELOPE);
    becomes_at(&t, "a@vax.test", NULL, ROUTE_SENDER_HEADER, NULL);
    tables_done(&t);
    tables_good(&t, TABLES_LOCAL);
    assert_int_equal(route_sender_places(t.table), 0);
    becomes(&t, "a@gw.example.com", NULL);
    tables_done(&t);
}

static void the_first_row_counts_and_there_is_one_round(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t,
                SENDERS("{\"sender\": \"*@a.test\", \"rewrite\": \"*@b.test\"},"
                        "{\"sender\": \"*@b.test\", \"rewrite\": \"*@a.test\"},"
                        "{\"sender\": \"*@a.test\", \"rewrite\": \"*@c.test\"},"
                        "{\"sender\": \"*@same.test\", \"rewrite\": \"*@same.test\"},"
                        "{\"sender\": \"*@same.test\", \"rewrite\": \"*@d.test\"},"
                        "{\"sender\": \"*.*@n.test\", \"rewrite\": \"$2.$1@m.test\"}"));
    becomes(&t, "x@a.test", "x@b.test");
    becomes(&t, "x@b.test", "x@a.test");
    becomes(&t, "x@same.test", NULL); /* it is what it should be */
    becomes(&t, "ann.bee@n.test", "bee.ann@m.test");
    tables_done(&t);
}

static void rows_for_an_ingress(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t,
                SENDERS("{\"sender\": \"*\", \"ingress\": [\"submission\", \"local\"],"
                        " \"rewrite\": \"*@example.com\"}"));
    becomes_at(&t, "x@a.test", "Submission", ROUTE_SENDER_HEADER, "x@example.com");
    becomes_at(&t, "x@a.test", "local", ROUTE_SENDER_HEADER, "x@example.com");
    becomes_at(&t, "x@a.test", "smtp-in", ROUTE_SENDER_HEADER, NULL);
    becomes_at(&t, "x@a.test", NULL, ROUTE_SENDER_HEADER, NULL);
    tables_done(&t);
}

static void U_40_the_substitute_domain_takes_the_place_of_our_names(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t,
                SENDERS_AND("{\"sender\": \"ann@\", \"rewrite\": \"*@sales.example.com\"}",
                            ", \"substitute_domain\": \"corp.test\""));
    becomes(&t, "bob@GW.example.com", "bob@corp.test");
    becomes(&t, "bob", "bob@corp.test");
    becomes(&t, "\"SYSTM1::SMITH\"@gw.example.com", "\"SYSTM1::SMITH\"@corp.test");
    becomes(&t, "ann@gw.example.com", "ann@sales.example.com"); /* rows come first */
    becomes(&t, "bob@example.com", NULL);
    becomes(&t, "bob@corp.test", NULL);
    tables_done(&t);
    tables_good(&t,
                TABLES_LOCAL ", \"substitute_domain\": \"corp.test\", \"host_names\": "
                             "[\"mail.example.com\", \"www.example.com\"]");
    becomes(&t, "bob@www.example.com", "bob@corp.test");
    becomes(&t, "bob", "bob@corp.test");
    becomes(&t, "bob@gw.example.com", NULL);
    tables_done(&t);
}

/* Mail without SMTPUTF8 must be able to have it. */
static void new_domains_are_written_in_ascii(void **state)
{
    struct route_sender s;
    struct tables t;

    (void)state;
    tables_good(&t,
                SENDERS("{\"sender\": \"@a.test\", \"rewrite\": \"*@b\xc3\xbc"
                        "cher.test\"},"
                        "{\"sender\": \"@b.test\", \"rewrite\": \"j\xc3\xb6rg@c.test\"}"));
    becomes(&t, "x@a.test", "x@xn--bcher-kva.test");
    becomes(&t, "j\xc3\xb6rg@a.test", "j\xc3\xb6rg@xn--bcher-kva.test");
    assert_int_equal(route_sender(t.table, "x@b.test", NULL, ROUTE_SENDER_HEADER, &s), -EINVAL);
    assert_string_equal(s.why, "the new address would need SMTPUTF8");
    assert_non_null(s.rule);
    assert_null(s.address);
    tables_done(&t);
}

static void what_becomes_no_address_stays(void **state)
{
    char address[POSTERN_LOCAL_MAX + 16];
    struct route_sender s;
    struct tables t;

    (void)state;
    tables_good(&t, SENDERS("{\"sender\": \"*\", \"rewrite\": \"*.more@example.com\"}"));
    memset(address, 'x', sizeof address);
    snprintf(address + POSTERN_LOCAL_MAX, 16, "@a.test");
    assert_int_equal(route_sender(t.table, address, NULL, ROUTE_SENDER_HEADER, &s), -EINVAL);
    assert_string_equal(s.why, "the local part is too long");
    assert_non_null(s.rule);
    assert_int_equal(route_sender(t.table, "a b@c", NULL, ROUTE_SENDER_HEADER, &s), -EINVAL);
    assert_non_null(s.why);
    assert_null(s.rule);
    tables_done(&t);
}

static void bad_rows_are_errors_with_their_place(void **state)
{
    (void)state;
    tables_bad(NULL, SENDERS("{\"sender\": [\"a@\", \"<>\"], \"rewrite\": \"*@b.test\"}"),
               "50-routing.json#/routing/senders/0/sender/1: \"<>\", the null sender, is never "
               "rewritten");
    tables_bad(NULL, SENDERS("{\"sender\": \"ann\", \"rewrite\": \"*@b.test\"}"),
               "50-routing.json#/routing/senders/0/sender: found \"ann\", expected a pattern of "
               "addresses: no '@': write \"user@\" for a user, \"@example.com\" for a domain");
    tables_bad(NULL, SENDERS("{\"sender\": \"a@\", \"rewrite\": \"b.test\"}"),
               "50-routing.json#/routing/senders/0/rewrite: found \"b.test\", expected an "
               "address, \"*\" allowed in it: no '@' in it");
    tables_bad(NULL, SENDERS("{\"sender\": \"a@\", \"rewrite\": \"$2@b.test\"}"),
               "50-routing.json#/routing/senders/0/rewrite: found \"$2@b.test\": $2 stands for "
               "nothing, the conditions leave 1 place open");
    tables_bad(NULL,
               SENDERS("{\"sender\": \"a@\", \"rewrite\": \"*@b.test\", \"ingress\": \"smtp\"}"),
               "50-routing.json#/routing/senders/0/ingress: unknown ingress \"smtp\"");
    tables_bad(NULL,
               SENDERS("{\"sender\": \"a@\", \"rewrite\": \"*@b.test\", \"ingress\": \"bounce\"}"),
               "50-routing.json#/routing/senders/0/ingress: senders of the gateway's own "
               "notifications are never rewritten");
    tables_bad(NULL, SENDERS("{\"sender\": \"a@\"}"),
               "50-routing.json#/routing/senders/0: the required key \"rewrite\" is missing");
    tables_bad(NULL, TABLES_LOCAL ", \"substitute_domain\": \"*.test\"",
               "50-routing.json#/routing/substitute_domain: found \"*.test\", expected a domain: "
               "a pattern completes no address; patterns go into \"local_domains\"");
}

static void a_domain_whose_answers_go_elsewhere_is_warned_of(void **state)
{
    const struct config_errors *w;
    struct tables t;

    (void)state;
    tables_good(
        &t,
        SENDERS_AND("{\"sender\": \"a@\", \"rewrite\": \"*@example.com\"},"
                    "{\"sender\": \"b@\", \"rewrite\": \"*@far.test\"},"
                    "{\"sender\": \"c@\", \"rewrite\": \"*@passed-on.test\"},"
                    "{\"sender\": \"*@*.d.test\", \"rewrite\": \"$1@$2.test\"}",
                    ", \"rules\": [{\"domain\": \"passed-on.test\", \"accept_from\": \"anyone\","
                    " \"transport\": \"smtp-out\"}],"
                    " \"substitute_domain\": \"corp.test\", \"substitute_inbound\": false"));
    w = route_warnings(t.table);
    assert_int_equal(w->n, 1);
    assert_non_null(strstr(w->lines[0],
                           "50-routing.json#/routing/senders/1: far.test is not local here: "
                           "answers to \"*@far.test\" go elsewhere"));
    tables_done(&t);
}

#define TOLD \
    "{\"sender\": \"bob@\", \"rewrite\": \"*@x.example.com\", \"in\": \"envelope\"}," \
    "{\"sender\": \"ann@\", \"rewrite\": \"*@a.example.com\", \"in\": \"envelope\"}," \
    "{\"sender\": \"ann@\", \"rewrite\": \"*@b.example.com\", \"in\": \"envelope\"}," \
    "{\"sender\": \"ann@\", \"rewrite\": \"*@c.example.com\", \"ingress\": \"submission\"}," \
    "{\"sender\": \"*\", \"rewrite\": \"*@d.example.com\"}," \
    "{\"sender\": \"*\", \"rewrite\": \"*@e.example.com\"}"

static void each_row_is_told_of(void **state)
{
    struct buf out = { 0 };
    struct tables t;
    json_t *j;

    (void)state;
    tables_good(&t, SENDERS(TOLD));
    route_sender_explain(t.table, "ann@gw.test", "smtp-in", 0, &out);
    assert_string_equal(
        out.data,
        "sender ann@gw.test\n"
        "  sender 1  (50-routing.json#/routing/senders/0)  no: sender ann@gw.test is not bob@\n"
        "  sender 2  (50-routing.json#/routing/senders/1)  yes: sender ann@gw.test matches ann@; "
        "in the envelope it becomes ann@a.example.com\n"
        "  sender 3  (50-routing.json#/routing/senders/2)  no: for the envelope only, which a row "
        "above has decided\n"
        "  sender 4  (50-routing.json#/routing/senders/3)  no: ingress smtp-in is not submission\n"
        "  sender 5  (50-routing.json#/routing/senders/4)  yes: sender ann@gw.test matches *; in "
        "the header it becomes ann@d.example.com\n"
        "  => envelope ann@a.example.com, header ann@d.example.com\n"
        "     in mail of clients that may relay\n");
    buf_free(&out);
    j = route_sender_json(t.table, "ann@gw.test", NULL);
    assert_int_equal(json_array_size(json_object_get(j, "trace")), 5);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(j, "envelope"), "address")),
        "ann@a.example.com");
    assert_string_equal(json_string_value(json_object_get(
                            json_object_get(json_object_get(j, "header"), "rule"), "pointer")),
                        "/routing/senders/4");
    json_decref(j);
    tables_done(&t);
}

static void the_list_has_them_behind_its_rows(void **state)
{
    struct buf out = { 0 };
    struct tables t;
    json_t *list, *last;

    (void)state;
    tables_good(
        &t,
        SENDERS_AND("{\"sender\": [\"ann@\", \"@x.test\"], \"rewrite\": \"*@a.example.com\","
                    " \"ingress\": \"submission\", \"in\": \"header\"}",
                    ", \"substitute_domain\": \"corp.test\""));
    route_list(t.table, 0, &out);
    assert_non_null(strstr(
        out.data,
        "senders, in mail of clients that may relay:\n"
        "sender 1 (50-routing.json#/routing/senders/0): sender ann@ or @x.test, ingress "
        "submission -> *@a.example.com in the header\n"
        "substitute domain (50-routing.json#/routing/substitute_domain): sender @gw.example.com -> "
        "*@corp.test in the envelope and header\n"));
    list = route_list_json(t.table);
    assert_int_equal(json_array_size(list), route_rows(t.table) + 2);
    last = json_array_get(list, json_array_size(list) - 1);
    assert_string_equal(json_string_value(json_object_get(last, "section")), "senders");
    assert_string_equal(json_string_value(json_object_get(last, "what")), "substitute domain");
    json_decref(list);
    buf_free(&out);
    tables_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T_103_users_of_a_department_get_its_host),
        cmocka_unit_test(T_46_T_47_envelope_and_header_have_rows_of_their_own),
        cmocka_unit_test(the_first_row_counts_and_there_is_one_round),
        cmocka_unit_test(rows_for_an_ingress),
        cmocka_unit_test(U_40_the_substitute_domain_takes_the_place_of_our_names),
        cmocka_unit_test(new_domains_are_written_in_ascii),
        cmocka_unit_test(what_becomes_no_address_stays),
        cmocka_unit_test(bad_rows_are_errors_with_their_place),
        cmocka_unit_test(a_domain_whose_answers_go_elsewhere_is_warned_of),
        cmocka_unit_test(each_row_is_told_of),
        cmocka_unit_test(the_list_has_them_behind_its_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
