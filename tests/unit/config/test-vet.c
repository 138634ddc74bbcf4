/* Option tables that cannot be right are refused; our own are right. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/sections.h"
#include "config/table.h"

struct settings {
    int64_t a, b;
};

static const struct postern_option sub_table[] = {
    { .key = "x", .type = POSTERN_OPT_INT, .doc = "X." },
    { 0 },
};

/* One row that is right, but for what a test changes. */
#define ROW(...) \
    (const struct postern_option[]) \
    { \
        { .key = "a", .type = POSTERN_OPT_INT, .doc = "A.", __VA_ARGS__ }, \
        { \
            0 \
        } \
    }

static void accepted(const struct postern_option *table)
{
    char why[256] = "";

    if (config_table_vet(table, sizeof *table, sizeof(struct settings), why, sizeof why) < 0)
        print_error("%s\n", why);
    assert_string_equal(why, "");
}

static void refused(const struct postern_option *table, const char *expected)
{
    char why[256] = "";

    assert_int_equal(
        config_table_vet(table, sizeof *table, sizeof(struct settings), why, sizeof why), -EINVAL);
    assert_string_equal(why, expected);
}

_Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Woverride-init\"")
#ifdef __clang__
    _Pragma("GCC diagnostic ignored \"-Winitializer-overrides\"")
#endif

        static void rows_are_held_to_the_rules(void **state)
{
    (void)state;
    accepted(ROW(.dflt = "5", .min = 1, .max = 9));
    refused(ROW(.key = "Big"),
            "option \"Big\": a key is lower case letters, digits, '_' and '-', "
            "at most 64");
    refused(ROW(.key = "$comment"),
            "option \"$comment\": a key is lower case letters, digits, '_' "
            "and '-', at most 64");
    refused(ROW(.type = 0), "option \"a\": type 0, which this postern does not know");
    refused(ROW(.type = 99), "option \"a\": type 99, which this postern does not know");
    refused(ROW(.doc = NULL), "option \"a\": no sentence for operators (doc)");
    refused(ROW(.min = 9, .max = 1), "option \"a\": its least value is larger than its largest");
    refused(ROW(.offset = 3), "option \"a\": its place in the settings is not aligned");
    refused(ROW(.flags = POSTERN_OPT_WRITES),
            "option \"a\": only a path or a text can be what is written or read");
    refused(ROW(.offset = 16), "option \"a\": its place is outside the settings");
    refused(ROW(.offset = 8, .type = POSTERN_OPT_STRINGS),
            "option \"a\": its place is outside the settings");
    refused(ROW(.offset = SIZE_MAX - 7), "option \"a\": its place is outside the settings");
    refused(ROW(.type = POSTERN_OPT_CHOICE), "option \"a\": a choice without choices");
    refused(ROW(.type = POSTERN_OPT_CHOICE, .choices = "x||y"), "option \"a\": an empty choice");
    refused(ROW(.choices = "x|y"), "option \"a\": choices belong to a choice only");
    refused(ROW(.sub = sub_table), "option \"a\": a table inside something that is no object");
    refused(ROW(.type = POSTERN_OPT_OBJECT), "option \"a\": an object without a table of its own");
    refused(ROW(.type = POSTERN_OPT_OBJECTS, .sub = sub_table),
            "option \"a\": the size of its struct is missing or odd");
}

static void defaults_are_parsed_as_values_are(void **state)
{
    (void)state;
    accepted(ROW(.dflt = "a,b", .type = POSTERN_OPT_STRINGS));
    accepted(ROW(.dflt = "4K", .type = POSTERN_OPT_SIZE));
    accepted(ROW(.dflt = "false", .type = POSTERN_OPT_BOOL));
    refused(ROW(.dflt = "many"),
            "option \"a\": its default is wrong: found \"many\", expected a whole number");
    refused(ROW(.dflt = "10", .min = 1, .max = 9),
            "option \"a\": its default is wrong: found 10, expected 1 to 9");
    refused(ROW(.dflt = "5", .type = POSTERN_OPT_DURATION),
            "option \"a\": its default is wrong: found \"5\", expected a duration like \"30s\", "
            "\"5m\", \"1h30m\" or \"3d\"");
    refused(ROW(.dflt = "yes", .type = POSTERN_OPT_BOOL),
            "option \"a\": its default is wrong: found \"yes\", expected true or false");
    refused(ROW(.dflt = "z", .type = POSTERN_OPT_CHOICE, .choices = "x|y"),
            "option \"a\": its default is wrong: found \"z\", expected \"x\" or \"y\"");
    refused(ROW(.dflt = "25", .type = POSTERN_OPT_LISTEN),
            "option \"a\": its default is wrong: found \"25\", expected \"address:port\", "
            "\"[v6]:port\" or \"unix:/path\": that is not an IPv4 address before the port (for all "
            "addresses: \"0.0.0.0:PORT\" or \"[::]:PORT\")");
    refused(ROW(.dflt = "5", .flags = POSTERN_OPT_REQUIRED),
            "option \"a\": required, and yet it has a default");
    refused(ROW(.dflt = "x", .type = POSTERN_OPT_OBJECT, .sub = sub_table, .sub_size = 8),
            "option \"a\": an object takes its defaults from its own table");
}

_Pragma("GCC diagnostic pop")

    static void a_key_stands_once_in_a_table(void **state)
{
    static const struct postern_option twice[] = {
        { .key = "a", .type = POSTERN_OPT_INT, .doc = "A." },
        { .key = "b", .type = POSTERN_OPT_INT, .doc = "B.", .offset = 8 },
        { .key = "a", .type = POSTERN_OPT_INT, .doc = "A." },
        { 0 },
    };

    (void)state;
    refused(twice, "option \"a\": there are two of that key");
}

static void tables_inside_are_vetted_against_their_own_struct(void **state)
{
    static const struct postern_option outside[] = {
        { .key = "x", .type = POSTERN_OPT_STRINGS, .doc = "X." },
        { 0 },
    };
    const struct postern_option table[] = {
        { .key = "o", .type = POSTERN_OPT_OBJECT, .doc = "O.", .sub = outside, .sub_size = 8 },
        { 0 },
    };

    (void)state;
    refused(table, "option \"x\": its place is outside the settings");
}

static void a_table_that_holds_itself_is_refused(void **state)
{
    struct postern_option table[] = {
        { .key = "o", .type = POSTERN_OPT_OBJECT, .doc = "O.", .sub_size = 8 },
        { 0 },
    };

    (void)state;
    table[0].sub = table;
    refused(table, "option tables are nested more than 8 deep");
}

static void a_table_without_an_end_is_refused(void **state)
{
    struct postern_option table[CONFIG_TABLE_ROWS_MAX + 1];
    char keys[CONFIG_TABLE_ROWS_MAX + 1][8];

    (void)state;
    for (unsigned i = 0; i <= CONFIG_TABLE_ROWS_MAX; i++) {
        snprintf(keys[i], sizeof keys[i], "k%u", i);
        table[i] = (struct postern_option){ .key = keys[i], .type = POSTERN_OPT_INT, .doc = "K." };
    }
    refused(table, "an option table has no end, or more than 255 rows");
}

static void a_row_size_that_is_none_is_refused(void **state)
{
    char why[256];

    (void)state;
    assert_int_equal(config_table_vet(sub_table, 8, 64, why, sizeof why), -EINVAL);
    assert_int_equal(config_table_vet(sub_table, sizeof *sub_table + 1, 64, why, sizeof why),
                     -EINVAL);
    assert_int_equal(config_table_vet(sub_table, 1 << 20, 64, why, sizeof why), -EINVAL);
}

static void the_core_tables_are_sound(void **state)
{
    char why[256] = "";

    (void)state;
    for (size_t i = 0; config_sections[i].name; i++) {
        const struct config_section *s = &config_sections[i];

        if (config_table_vet(s->table, sizeof *s->table, config_places[i].size, why, sizeof why))
            print_error("%s: %s\n", s->name, why);
        assert_string_equal(why, "");
    }
}

static void a_table_as_json_says_all_of_it(void **state)
{
    static const struct postern_option table[] = {
        { .key = "wait",
          .type = POSTERN_OPT_DURATION,
          .dflt = "1m",
          .min = 1000000,
          .max = POSTERN_HOURS(1),
          .doc = "W." },
        { .key = "mode",
          .type = POSTERN_OPT_CHOICE,
          .choices = "x|y",
          .flags = POSTERN_OPT_REQUIRED,
          .doc = "M." },
        { .key = "o", .type = POSTERN_OPT_OBJECTS, .sub = sub_table, .sub_size = 8, .doc = "O." },
        { .key = "n", .type = POSTERN_OPT_INT, .dflt = "4", .max = INT64_MAX, .doc = "N." },
        { .key = "l", .type = POSTERN_OPT_STRINGS, .dflt = "a,b", .doc = "L." },
        { 0 },
    };
    json_t *got = config_table_json(table, sizeof *table);
    json_t *expected = json_loads(
        "[{\"key\":\"wait\",\"type\":\"duration\",\"required\":false,\"default\":\"1m\","
        "\"min\":\"1s\",\"max\":\"1h\",\"doc\":\"W.\"},"
        "{\"key\":\"mode\",\"type\":\"choice\",\"required\":true,\"choices\":[\"x\",\"y\"],"
        "\"doc\":\"M.\"},"
        "{\"key\":\"o\",\"type\":\"list of objects\",\"required\":false,\"doc\":\"O.\","
        "\"options\":[{\"key\":\"x\",\"type\":\"number\",\"required\":false,\"doc\":\"X.\"}]},"
        "{\"key\":\"n\",\"type\":\"number\",\"required\":false,\"default\":4,\"min\":0,"
        "\"doc\":\"N.\"},"
        "{\"key\":\"l\",\"type\":\"list of texts\",\"required\":false,"
        "\"default\":[\"a\",\"b\"],\"doc\":\"L.\"}]",
        0, NULL);

    (void)state;
    assert_non_null(expected);
    assert_true(json_equal(got, expected));
    json_decref(got);
    json_decref(expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_held_to_the_rules),
        cmocka_unit_test(defaults_are_parsed_as_values_are),
        cmocka_unit_test(a_key_stands_once_in_a_table),
        cmocka_unit_test(tables_inside_are_vetted_against_their_own_struct),
        cmocka_unit_test(a_table_that_holds_itself_is_refused),
        cmocka_unit_test(a_table_without_an_end_is_refused),
        cmocka_unit_test(a_row_size_that_is_none_is_refused),
        cmocka_unit_test(the_core_tables_are_sound),
        cmocka_unit_test(a_table_as_json_says_all_of_it),
    };

    return cmocka_run_group_tests_name("config/vet", tests, NULL, NULL);
}
