/* Secrets: in the text, in a file, in the environment; what is wrong is said without telling
 * them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "config/table.h"
#include "scratch.h"

#define EXPECTED ", expected a secret: text in quotes, {\"file\": \"path\"} or {\"env\": \"NAME\"}"

struct settings {
    const char *password;
};

static const struct postern_option table[] = {
    POSTERN_OPT(struct settings, password, POSTERN_OPT_SECRET, .doc = "Password."),
    { 0 },
};

static struct scratch scratch;

/* The secret read (malloc'ed), or the complaint without the place. */
static char *answer(const char *value)
{
    struct config_errors errors = { 0 };
    struct settings settings = { 0 };
    struct arena *arena = arena_new();
    json_t *object = json_pack("{s:o}", "password", json_loads(value, JSON_DECODE_ANY, NULL));
    char *file = scratch_path(&scratch, "10-x.json");
    const struct config_origin origin = { file, "/t/x" };
    int result =
        config_fill(arena, table, sizeof *table, object, &origin, NULL, &settings, &errors);
    char *r;

    if (result < 0) {
        char *place = mem_printf("%s#/t/x/password: ", file);

        assert_int_equal(errors.n, 1);
        assert_int_equal(strncmp(errors.lines[0], place, strlen(place)), 0);
        assert_null(settings.password);
        r = mem_strdup(errors.lines[0] + strlen(place));
        free(place);
    } else {
        assert_int_equal(errors.n, 0);
        r = mem_strdup(settings.password);
    }
    free(file);
    json_decref(object);
    config_errors_free(&errors);
    arena_free(&arena);
    return r;
}

static void gives(const char *value, const char *expected)
{
    char *got = answer(value);

    assert_string_equal(got, expected);
    free(got);
}

/* expected holds one %s, for the scratch folder. */
__attribute__((format(printf, 2, 3))) static void gives_path(const char *value, const char *fmt,
                                                             ...)
{
    char *expected = NULL, *got = answer(value);
    va_list ap;

    va_start(ap, fmt);
    assert_true(vasprintf(&expected, fmt, ap) > 0);
    va_end(ap);
    assert_string_equal(got, expected);
    free(expected);
    free(got);
}

static void a_secret_is_text_as_it_stands(void **state)
{
    (void)state;
    gives("\"hunter2\"", "hunter2");
    gives("\"two\\nlines\\n\"", "two\nlines\n");
}

static void a_file_is_read_beside_the_one_that_names_it_and_loses_its_last_line_end(void **state)
{
    (void)state;
    scratch_file(&scratch, "unix", "pass\n");
    scratch_file(&scratch, "dos", "pass\r\n");
    scratch_file(&scratch, "bare", "pass");
    scratch_file(&scratch, "two", "pass\n\n");
    gives("{\"file\": \"unix\"}", "pass");
    gives("{\"file\": \"dos\", \"$comment\": \"from a far land\"}", "pass");
    gives("{\"file\": \"bare\"}", "pass");
    gives("{\"file\": \"two\"}", "pass\n");
}

static void a_variable_is_read_from_the_environment(void **state)
{
    (void)state;
    setenv("POSTERN_TEST_SECRET", "from env", 1);
    gives("{\"env\": \"POSTERN_TEST_SECRET\"}", "from env");
    setenv("POSTERN_TEST_SECRET", "", 1);
    gives("{\"env\": \"POSTERN_TEST_SECRET\"}",
          "the environment variable POSTERN_TEST_SECRET of this secret is empty");
    unsetenv("POSTERN_TEST_SECRET");
    gives("{\"env\": \"POSTERN_TEST_SECRET\"}",
          "the environment variable POSTERN_TEST_SECRET of this secret is not set");
}

static void a_file_that_will_not_do_is_named(void **state)
{
    char *big = malloc(65537), *fifo = scratch_path(&scratch, "fifo");

    (void)state;
    memset(big, 'x', 65537);
    scratch_bytes(&scratch, "big", big, 65537);
    scratch_bytes(&scratch, "nul", "a\0b", 3);
    scratch_file(&scratch, "empty", "\n");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    gives_path("{\"file\": \"none\"}",
               "cannot read the secret's file %s/none: No such file or directory", scratch.dir);
    gives_path("{\"file\": \"big\"}", "the secret's file %s/big is larger than 65536 bytes",
               scratch.dir);
    gives_path("{\"file\": \"nul\"}", "the secret's file %s/nul holds a NUL byte", scratch.dir);
    gives_path("{\"file\": \"empty\"}", "the secret's file %s/empty is empty", scratch.dir);
    gives_path("{\"file\": \"fifo\"}", "the secret's file %s/fifo is not a regular file",
               scratch.dir);
    gives("{\"file\": \"/\"}", "the secret's file / is not a regular file");
    free(big);
    free(fifo);
}

static void a_file_of_just_the_size_allowed_is_read(void **state)
{
    char *big = malloc(65536), *json, *got;

    (void)state;
    memset(big, 'x', 65536);
    scratch_bytes(&scratch, "just", big, 65536);
    json = mem_printf("{\"file\": \"%s/just\"}", scratch.dir);
    got = answer(json);
    assert_int_equal(strlen(got), 65536);
    free(got);
    free(json);
    free(big);
}

static void what_is_no_secret_is_refused_without_being_shown(void **state)
{
    (void)state;
    gives("12345", "found a number" EXPECTED);
    gives("[\"hunter2\"]", "found an array" EXPECTED);
    gives("true", "found true" EXPECTED);
    gives("{}", "found an object that names no file or variable" EXPECTED);
    gives("{\"file\": 7}", "found an object that names no file or variable" EXPECTED);
    gives("{\"file\": \"\"}", "found an object that names no file or variable" EXPECTED);
    gives("{\"path\": \"x\"}", "found the key \"path\"" EXPECTED);
    gives("{\"file\": \"a\", \"env\": \"B\"}", "found both \"file\" and \"env\"" EXPECTED);
}

static int set_up(void **state)
{
    (void)state;
    scratch_init(&scratch);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scratch_done(&scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_is_text_as_it_stands),
        cmocka_unit_test(a_file_is_read_beside_the_one_that_names_it_and_loses_its_last_line_end),
        cmocka_unit_test(a_variable_is_read_from_the_environment),
        cmocka_unit_test(a_file_that_will_not_do_is_named),
        cmocka_unit_test(a_file_of_just_the_size_allowed_is_read),
        cmocka_unit_test(what_is_no_secret_is_refused_without_being_shown),
    };

    return cmocka_run_group_tests_name("config/secret", tests, set_up, tear_down);
}
