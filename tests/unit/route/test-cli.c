/* The verb `postern route`: its exit codes and what it prints where. */
#include <fcntl.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "tables.h"

struct ran {
    int code;
    struct buf out, err;
};

static void read_back(int fd, struct buf *ret)
{
    char chunk[4096];
    ssize_t n;

    buf_reserve(ret, 1);
    ret->data[0] = 0;
    lseek(fd, 0, SEEK_SET);
    while ((n = read(fd, chunk, sizeof chunk)) > 0)
        buf_add(ret, chunk, (size_t)n);
    close(fd);
}

static int scratch_fd(void)
{
    char path[] = "/tmp/postern-route-out-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    unlink(path);
    return fd;
}

/* Runs the verb with standard output and error caught. The words end with NULL. */
static void run(struct ran *r, char **words)
{
    int out = scratch_fd(), err = scratch_fd();
    int old_out, old_err, n = 0;

    memset(r, 0, sizeof *r);
    while (words[n])
        n++;
    fflush(stdout);
    fflush(stderr);
    old_out = dup(STDOUT_FILENO);
    old_err = dup(STDERR_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    r->code = cli_route(n, words);
    fflush(stdout);
    fflush(stderr);
    dup2(old_out, STDOUT_FILENO);
    dup2(old_err, STDERR_FILENO);
    close(old_out);
    close(old_err);
    read_back(out, &r->out);
    read_back(err, &r->err);
}

static void ran_done(struct ran *r)
{
    buf_free(&r->out);
    buf_free(&r->err);
}

#define RUN(r, ...) run((r), (char *[]){ "route", "--config", dir, __VA_ARGS__, NULL })

static char dir[64];

static int make_config(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/postern-route-XXXXXX");
    assert_non_null(mkdtemp(dir));
    tables_write(dir, "10-base.json", tables_base);
    tables_write(
        dir, "50-routing.json",
        "{\"routing\": {" TABLES_RULES("{\"sender\": \"<>\", \"fail\": \"5.7.1 no\"}") "}}");
    return 0;
}

static void remove_file(const char *name)
{
    char *path = mem_printf("%s/%s", dir, name);

    unlink(path);
    free(path);
}

static int remove_config(void **state)
{
    (void)state;
    remove_file("10-base.json");
    remove_file("50-routing.json");
    rmdir(dir);
    return 0;
}

static void an_answer_goes_to_standard_output_without_paint(void **state)
{
    struct ran r;

    (void)state;
    RUN(&r, "<bob@example.com>", "ann@example.org");
    assert_int_equal(r.code, EX_OK);
    assert_string_equal(r.err.data, "");
    assert_non_null(strstr(r.out.data, "bob@example.com\n"));
    assert_non_null(strstr(r.out.data, "  => transport local-mbox\n"));
    assert_non_null(
        strstr(r.out.data, "  => transport smtp-out, next hops: by MX of example.org\n"));
    assert_null(strchr(r.out.data, '\033'));
    ran_done(&r);
}

static void the_first_problem_is_the_exit_code(void **state)
{
    struct ran r;

    (void)state;
    RUN(&r, "--from", "<>", "bob@example.com");
    assert_int_equal(r.code, EX_NOUSER);
    ran_done(&r);
    RUN(&r, "bob@example.com", "a b@x", "--from=<>");
    assert_int_equal(r.code, EX_NOUSER);
    assert_string_equal(r.err.data,
                        "postern: a b@x: this character needs a quoted local part: found "
                        "' ' at position 2\n");
    ran_done(&r);
    RUN(&r, "a b@x");
    assert_int_equal(r.code, EX_DATAERR);
    assert_string_equal(r.out.data, "");
    ran_done(&r);
}

static void wrong_questions_are_not_answered(void **state)
{
    struct ran r;

    (void)state;
    RUN(&r, "--from", "a b", "bob@example.com");
    assert_int_equal(r.code, EX_DATAERR);
    ran_done(&r);
    RUN(&r, "--ingress", "nope", "bob@example.com");
    assert_int_equal(r.code, EX_DATAERR);
    assert_string_equal(r.err.data, "postern: --ingress nope: there is no such ingress\n");
    ran_done(&r);
    RUN(&r, "--from", "x@y");
    assert_int_equal(r.code, EX_USAGE);
    ran_done(&r);
    RUN(&r, "--frob", "x@y");
    assert_int_equal(r.code, EX_USAGE);
    ran_done(&r);
    RUN(&r, "--", "--frob@example.com");
    assert_int_equal(r.code, EX_OK);
    ran_done(&r);
}

static void json_is_an_array_with_an_object_an_address(void **state)
{
    struct ran r;
    json_t *j;

    (void)state;
    RUN(&r, "--json", "bob@example.com", "a b@x");
    assert_int_equal(r.code, EX_DATAERR);
    j = json_loads(r.out.data, 0, NULL);
    assert_int_equal(json_array_size(j), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(j, 1), "recipient")),
                        "a b@x");
    json_decref(j);
    ran_done(&r);
}

static void an_error_in_the_rules_is_one_of_the_configuration(void **state)
{
    struct ran r;

    (void)state;
    tables_write(dir, "90-bad.json",
                 "{\"routing\": {\"rules\": [{\"domain\": \"a\", "
                 "\"transport\": \"smtp-ou\"}]}}");
    RUN(&r, "bob@example.com");
    remove_file("90-bad.json");
    assert_int_equal(r.code, EX_CONFIG);
    assert_non_null(strstr(r.err.data,
                           "90-bad.json#/routing/rules/0/transport: unknown transport "
                           "\"smtp-ou\"; did you mean \"smtp-out\"?\n"));
    assert_string_equal(r.out.data, "");
    ran_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_goes_to_standard_output_without_paint),
        cmocka_unit_test(the_first_problem_is_the_exit_code),
        cmocka_unit_test(wrong_questions_are_not_answered),
        cmocka_unit_test(json_is_an_array_with_an_object_an_address),
        cmocka_unit_test(an_error_in_the_rules_is_one_of_the_configuration),
    };

    return cmocka_run_group_tests(tests, make_config, remove_config);
}
