/* What is local, and in which order that is asked: the seeds' words for it. */
#include <fcntl.h>

#include "tables.h"

#define BASE "\"local_transport\": \"local-mbox\", \"default\": {\"transport\": \"smtp-out\"}"

static void U_40_the_substitute_domain_is_local(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t, BASE ", \"local_domains\": [], \"substitute_domain\": \"Corp.Example\"");
    tables_to(&t, "ann@corp.example", "local-mbox");
    tables_by(&t, "ann@corp.example", "substitute domain");
    tables_to(&t, "ann@other.example", "smtp-out");
    tables_done(&t);
}

static void U_75_the_substitute_domain_need_not_be_local(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t,
                BASE ", \"local_domains\": [], \"substitute_domain\": \"corp.example\", "
                     "\"substitute_inbound\": false");
    tables_to(&t, "ann@corp.example", "smtp-out");
    tables_done(&t);
}

static void U_40_T_24_T_55_the_first_of_several_reasons_is_the_one_told(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t,
                BASE ", \"substitute_domain\": \"a.example\", "
                     "\"local_domains\": [\"A.example\", \"b.example\"], "
                     "\"host_names\": [\"B.example\", \"c.example\"], "
                     "\"virtual_domains\": [\"c.example\", \"d.example\"]");
    tables_by(&t, "u@a.example", "substitute domain");
    tables_by(&t, "u@b.example", "local domain");
    tables_by(&t, "u@c.example", "host name");
    tables_by(&t, "u@d.example", "virtual domain");
    tables_done(&t);
}

static void T_101_the_first_host_name_is_ours_in_outgoing_addresses(void **state)
{
    struct route_decision d;
    struct tables t;

    (void)state;
    tables_good(&t, BASE ", \"host_names\": [\"mail.example.com\", \"old.example.com\"]");
    assert_int_equal(route_decide(t.table, &(struct route_query){ .rcpt = "postmaster" }, &d, NULL),
                     0);
    assert_string_equal(d.rcpt, "postmaster@mail.example.com");
    assert_string_equal(d.transport, "local-mbox");
    route_decision_done(&d);
    tables_done(&t);
}

static void C_25_virtual_domains_and_host_names_are_local_whatever_their_case(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t, BASE ", \"virtual_domains\": [\"museum.example.org\", \".shop.example\"]");
    tables_to(&t, "info@MUSEUM.example.ORG.", "local-mbox");
    tables_to(&t, "info@a.b.shop.example", "local-mbox");
    tables_to(&t, "info@shop.example", "smtp-out");
    tables_done(&t);
}

/* --- old text files --- */

static void write_list(char *path, const char *text)
{
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void U_70_T_15_T_54_a_file_of_local_aliases_is_read(void **state)
{
    char path[] = "/tmp/postern-locals-XXXXXX";
    char *routing;
    struct route_decision d;
    struct tables t;

    (void)state;
    write_list(path,
               "\xef\xbb\xbf! This is the local alias file.\r\n"
               "alias1.mydomain.edu\r\n"
               "\r\n"
               "ALIAS2.mydomain.edu.\r\n"
               "  ! indented\n"
               "this-name-is-longer-than-sixty-four-characters-which-was-once-a.limit.example\n"
               "alias1.mydomain.edu ! again");
    routing = mem_printf(BASE ", \"local_domains\": [], \"local_domains_files\": \"%s\"", path);
    tables_good(&t, routing);
    tables_to(&t, "u@Alias1.MyDomain.edu", "local-mbox");
    tables_to(&t, "u@alias2.mydomain.edu", "local-mbox");
    tables_to(&t, "u@this-name-is-longer-than-sixty-four-characters-which-was-once-a.limit.example",
              "local-mbox");
    tables_to(&t, "u@mydomain.edu", "smtp-out");
    assert_int_equal(
        route_decide(t.table, &(struct route_query){ .rcpt = "u@alias2.mydomain.edu" }, &d, NULL),
        0);
    assert_string_equal(d.rule->origin.file, path);
    assert_string_equal(d.rule->origin.pointer, "line 4");
    route_decision_done(&d);
    tables_done(&t);
    unlink(path);
    free(routing);
}

static void a_file_may_end_its_lines_with_cr_alone(void **state)
{
    char path[] = "/tmp/postern-locals-XXXXXX";
    char *routing;
    struct route_decision d;
    struct tables t;

    (void)state;
    write_list(path, "a.example\rb.example ! second\r\r\nc.example\n\rd.example");
    routing = mem_printf(BASE ", \"local_domains\": [], \"local_domains_files\": \"%s\"", path);
    tables_good(&t, routing);
    tables_to(&t, "u@a.example", "local-mbox");
    tables_to(&t, "u@b.example", "local-mbox");
    tables_to(&t, "u@c.example", "local-mbox");
    assert_int_equal(
        route_decide(t.table, &(struct route_query){ .rcpt = "u@d.example" }, &d, NULL), 0);
    assert_string_equal(d.rule->origin.pointer, "line 6");
    route_decision_done(&d);
    tables_done(&t);
    unlink(path);
    free(routing);
}

static void what_stands_in_a_bad_line_is_shown_in_short(void **state)
{
    char path[] = "/tmp/postern-locals-XXXXXX", line[4000];
    char *routing;
    struct tables t;

    (void)state;
    memset(line, 'a', sizeof line);
    line[0] = '\xff';
    line[sizeof line - 1] = '\0';
    write_list(path, line);
    routing = mem_printf(BASE ", \"local_domains\": [], \"local_domains_files\": \"%s\"", path);
    tables_load(&t, NULL, routing);
    assert_null(t.table);
    assert_true(strlen(t.errors.lines[0]) < 300);
    assert_null(strchr(t.errors.lines[0], '\xff'));
    assert_non_null(strstr(t.errors.lines[0], "aaa...\", expected a domain: "));
    tables_done(&t);
    unlink(path);
    free(routing);
}

static void addresses_are_made_of_names_not_of_patterns(void **state)
{
    (void)state;
    tables_bad(NULL, BASE ", \"host_names\": [\"gw.example\", \".x.example\"]",
               "50-routing.json#/routing/host_names/1: found \".x.example\", expected a domain: a "
               "pattern completes no address; patterns go into \"local_domains\"");
    tables_bad(NULL, BASE ", \"host_names\": \"*.y\"",
               "50-routing.json#/routing/host_names: found \"*.y\", expected a domain: a pattern "
               "completes no address; patterns go into \"local_domains\"");
    tables_bad(NULL, BASE ", \"substitute_domain\": \".x\"",
               "50-routing.json#/routing/substitute_domain: found \".x\", expected a domain: a "
               "pattern completes no address; patterns go into \"local_domains\"");
}

static void C_23_a_bad_line_is_named_and_refused(void **state)
{
    char path[] = "/tmp/postern-locals-XXXXXX";
    char *routing, *expected;
    struct tables t;

    (void)state;
    write_list(path, "good.example\nnot a domain\n");
    routing = mem_printf(BASE ", \"local_domains\": [], \"local_domains_files\": [\"%s\"]", path);
    expected = mem_printf("%s#line 2: found \"not a domain\", expected a domain: ", path);
    tables_load(&t, NULL, routing);
    assert_null(t.table);
    assert_int_equal(t.errors.n, 1);
    assert_memory_equal(t.errors.lines[0], expected, strlen(expected));
    tables_done(&t);
    unlink(path);
    free(routing);
    free(expected);
}

static void C_24_a_file_that_is_missing_is_said_with_its_path(void **state)
{
    (void)state;
    tables_bad(NULL,
               BASE ", \"local_domains\": [], \"local_domains_files\": [\"/nonexistent/x.txt\"]",
               "50-routing.json#/routing/local_domains_files: /nonexistent/x.txt: can't be read: "
               "No such file or directory");
    tables_bad(NULL, BASE ", \"local_domains\": [], \"local_domains_files\": [\"/tmp\"]",
               "50-routing.json#/routing/local_domains_files: /tmp: can't be read: it is a "
               "directory, expected a file");
}

/* --- addresses --- */

static void U_40_a_literal_that_is_our_own_address_is_local(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t,
                BASE ", \"own_addresses\": [\"192.0.2.1\", \"2001:DB8:0::1\"], "
                     "\"own_interfaces\": false");
    tables_to(&t, "u@[192.0.2.1]", "local-mbox");
    tables_by(&t, "u@[192.0.2.1]", "own address");
    tables_to(&t, "u@[IPv6:2001:db8::1]", "local-mbox");
    tables_to(&t, "u@[ipv6:2001:0db8:0:0:0:0:0:1]", "local-mbox");
    tables_to(&t, "u@[192.0.2.2]", "smtp-out");
    tables_to(&t, "u@[127.0.0.1]", "smtp-out");
    tables_to(&t, "u@[IPv6:::ffff:192.0.2.1]", "local-mbox");
    tables_to(&t, "u@192.0.2.1", "local-mbox");
    tables_to(&t, "u@192.0.2.2", "smtp-out");
    tables_done(&t);
}

static void what_leads_any_machine_to_itself_is_ours(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t, BASE);
    tables_by(&t, "u@[127.0.0.5]", "own address");
    tables_by(&t, "u@[0.0.0.0]", "own address");
    tables_by(&t, "u@[IPv6:::ffff:127.0.0.1]", "own address");
    tables_by(&t, "u@[IPv6:::]", "own address");
    tables_by(&t, "u@127.0.0.1", "own address");
    tables_to(&t, "u@[192.0.2.1]", "smtp-out");
    tables_done(&t);
}

static void U_40_the_addresses_of_the_interfaces_are_ours(void **state)
{
    struct tables t;

    (void)state;
    tables_good(&t, BASE);
    tables_to(&t, "u@[127.0.0.1]", "local-mbox");
    tables_to(&t, "u@[198.51.100.99]", "smtp-out");
    tables_done(&t);
}

static void an_own_address_must_be_one(void **state)
{
    (void)state;
    tables_bad(NULL, BASE ", \"own_addresses\": [\"192.0.2.1\", \"gw.example\"]",
               "50-routing.json#/routing/own_addresses/1: found \"gw.example\", expected an IP "
               "address, without brackets");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(U_40_the_substitute_domain_is_local),
        cmocka_unit_test(U_75_the_substitute_domain_need_not_be_local),
        cmocka_unit_test(U_40_T_24_T_55_the_first_of_several_reasons_is_the_one_told),
        cmocka_unit_test(T_101_the_first_host_name_is_ours_in_outgoing_addresses),
        cmocka_unit_test(C_25_virtual_domains_and_host_names_are_local_whatever_their_case),
        cmocka_unit_test(U_70_T_15_T_54_a_file_of_local_aliases_is_read),
        cmocka_unit_test(a_file_may_end_its_lines_with_cr_alone),
        cmocka_unit_test(what_stands_in_a_bad_line_is_shown_in_short),
        cmocka_unit_test(addresses_are_made_of_names_not_of_patterns),
        cmocka_unit_test(C_23_a_bad_line_is_named_and_refused),
        cmocka_unit_test(C_24_a_file_that_is_missing_is_said_with_its_path),
        cmocka_unit_test(U_40_a_literal_that_is_our_own_address_is_local),
        cmocka_unit_test(what_leads_any_machine_to_itself_is_ours),
        cmocka_unit_test(U_40_the_addresses_of_the_interfaces_are_ours),
        cmocka_unit_test(an_own_address_must_be_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
