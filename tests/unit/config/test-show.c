/* Option tables for people; and that docs/configuration.md and conf.d are in step with the
 * tables. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/read.h"
#include "config/table.h"

struct settings {
    int64_t port, mode;
    struct postern_objects peers;
};

/* clang-format off */
static const struct postern_option peer_table[] = {
    { .key = "name", .type = POSTERN_OPT_STRING, .flags = POSTERN_OPT_REQUIRED,
        .doc = "Its name." },
    { 0 },
};

static const struct postern_option table[] = {
    POSTERN_OPT(struct settings, port, POSTERN_OPT_INT, .dflt = "25", .min = 1, .max = 65535,
        .doc = "Port."),
    POSTERN_OPT(struct settings, mode, POSTERN_OPT_CHOICE, .choices = "a|b", .doc = "This | that."),
    POSTERN_OPT(struct settings, peers, POSTERN_OPT_OBJECTS, .sub = peer_table,
        .sub_size = sizeof(const char *), .doc = "Peers."),
    { 0 },
};
/* clang-format on */

static void a_terminal_gets_lines(void **state)
{
    struct buf out = { 0 };

    (void)state;
    config_table_text(table, sizeof *table, &out);
    assert_string_equal(out.data,
                        "  port (number; 1 to 65535; default 25)\n"
                        "      Port.\n"
                        "  mode (choice: a, b)\n"
                        "      This | that.\n"
                        "  peers (list of objects)\n"
                        "      Peers.\n"
                        "      name (text; required)\n"
                        "          Its name.\n");
    buf_free(&out);
}

static void a_page_gets_a_table(void **state)
{
    struct buf out = { 0 };

    (void)state;
    config_table_markdown(table, sizeof *table, &out);
    assert_string_equal(out.data,
                        "| Key | Type | Default | Range | Meaning |\n"
                        "|---|---|---|---|---|\n"
                        "| `port` | number | `25` | 1 to 65535 | Port. |\n"
                        "| `mode` | choice: `a`, `b` | | | This \\| that. |\n"
                        "| `peers` | list of objects | | | Peers. |\n"
                        "| `peers[].name` | text | required | | Its name. |\n");
    buf_free(&out);
}

static void refreshed(const char *text, const char *expected)
{
    struct buf out = { 0 };
    char why[256] = "";

    if (config_markdown_refresh(text, &out, why, sizeof why))
        assert_string_equal(why, expected);
    else
        assert_string_equal(out.data, expected);
    buf_free(&out);
}

static void only_what_stands_between_the_marks_is_made_anew(void **state)
{
    (void)state;
    refreshed("plain\n", "plain\n");
    refreshed("before\n<!-- options: control -->\nstale\n<!-- end of options -->\nafter\n",
              "before\n<!-- options: control -->\n"
              "| Key | Type | Default | Range | Meaning |\n"
              "|---|---|---|---|---|\n"
              "| `socket` | path | `/run/postern/control.sock` | | Socket through which `postern "
              "status`, `queue` and `send` reach the gateway. |\n"
              "<!-- end of options -->\nafter\n");
    refreshed("<!-- options: nonsense -->\n<!-- end of options -->",
              "\"<!-- options: nonsense\": there is no such section");
    refreshed("<!-- options: log -->\n",
              "\"<!-- options: log\": no \"<!-- end of options -->\" follows");
    refreshed("<!-- options: log --> x\n<!-- end of options -->",
              "\"<!-- options: log\": expected \" -->\" and a new line");
}

static char *read_page(const char *name)
{
    const char *top = getenv("POSTERN_TOP_SRCDIR");
    char *path = mem_printf("%s/%s", top ? top : ".", name), *text = NULL;
    size_t len;

    assert_int_equal(config_read_file(AT_FDCWD, path, 1 << 20, &text, &len), 0);
    free(path);
    return text;
}

static void the_reference_page_is_in_step_with_the_tables(void **state)
{
    char *page = read_page("docs/configuration.md"), why[256] = "";
    struct buf out = { 0 };

    (void)state;
    assert_int_equal(config_markdown_refresh(page, &out, why, sizeof why), 0);
    assert_string_equal(page, out.data); /* if not: postern check --options-markdown PAGE */
    for (const struct config_section *s = config_sections; s->name; s++) {
        char *mark = mem_printf("<!-- options: %s -->\n", s->name);

        if (!strstr(page, mark))
            print_error("%s is missing\n", mark);
        assert_non_null(strstr(page, mark));
        free(mark);
    }
    buf_free(&out);
    free(page);
}

static void the_shipped_configuration_loads(void **state)
{
    const char *top = getenv("POSTERN_TOP_SRCDIR");
    char *dir = mem_printf("%s/conf.d", top ? top : ".");
    struct config_errors errors = { 0 };
    struct config *cfg;
    size_t enabled = 0;

    (void)state;
    config_load(dir, NULL, &cfg, &errors);
    for (size_t i = 0; i < errors.n; i++)
        print_error("%s\n", errors.lines[i]);
    assert_int_equal(errors.n, 0);
    assert_true(cfg->file_n >= 5);
    for (size_t i = 0; i < cfg->instance_n; i++) {
        assert_string_not_equal(cfg->instances[i].origin.file, "(built in)");
        enabled += cfg->instances[i].enabled != 0;
    }
    /* smtp-in, smtp-out, local-mbox; the others are examples. */
    assert_int_equal(enabled, 3);
    config_free(&cfg);
    config_errors_free(&errors);
    free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_terminal_gets_lines),
        cmocka_unit_test(a_page_gets_a_table),
        cmocka_unit_test(only_what_stands_between_the_marks_is_made_anew),
        cmocka_unit_test(the_reference_page_is_in_step_with_the_tables),
        cmocka_unit_test(the_shipped_configuration_loads),
    };

    return cmocka_run_group_tests_name("config/show", tests, NULL, NULL);
}
