/* Packed maps: what goes in is found, in any number; nothing else is. */
#include <errno.h>

#include "alias-kit.h"

#define MANY 50000

static void begin(struct alias_map *m, const char *name, uint32_t line)
{
    assert_int_equal(alias_map_begin(m, name, strlen(name), line, 0, NULL), 0);
}

static void many_names_are_all_found(void **state)
{
    struct alias_record rec;
    struct alias_target t;
    struct alias_map m;
    char name[32], text[32];

    (void)state;
    alias_map_init(&m);
    for (uint32_t i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "n%u", i);
        snprintf(text, sizeof text, "t%u@example.com", i);
        begin(&m, name, i + 1);
        assert_int_equal(alias_map_add(&m, ALIAS_ADDRESS, 0, text, strlen(text)), 0);
    }
    alias_map_seal(&m);
    assert_int_equal(m.record_n, MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "n%u", i);
        snprintf(text, sizeof text, "t%u@example.com", i);
        assert_int_equal(alias_map_find(&m, name, strlen(name), &rec), 1);
        assert_int_equal(rec.line, i + 1);
        assert_int_equal(rec.target_n, 1);
        alias_map_target(rec.targets, &t);
        assert_string_equal(t.text, text);
        assert_int_equal(alias_map_find(&m, name, strlen(name) - 1, &rec), i >= 10);
    }
    assert_int_equal(alias_map_find(&m, "n", 1, &rec), 0);
    alias_map_done(&m);
}

static void an_empty_map_has_nothing(void **state)
{
    struct alias_record rec;
    struct alias_map m;
    size_t at = 0;

    (void)state;
    alias_map_init(&m);
    alias_map_seal(&m);
    assert_int_equal(alias_map_find(&m, "x", 1, &rec), 0);
    assert_int_equal(alias_map_next(&m, &at, &rec), 0);
    alias_map_done(&m);
}

static void a_second_of_a_name_is_dropped_whole(void **state)
{
    struct alias_record rec;
    struct alias_map m;
    uint32_t line = 0;

    (void)state;
    alias_map_init(&m);
    begin(&m, "ann", 3);
    assert_int_equal(alias_map_add(&m, ALIAS_ADDRESS, 0, "a", 1), 0);
    assert_int_equal(alias_map_begin(&m, "ann", 3, 9, 0, &line), -EEXIST);
    assert_int_equal(line, 3);
    assert_int_equal(alias_map_add(&m, ALIAS_ADDRESS, 0, "b", 1), 0);
    begin(&m, "bob", 10);
    assert_int_equal(alias_map_add(&m, ALIAS_PIPE, ALIAS_ARGV, "c\0d", 4), 0);
    assert_int_equal(alias_map_find(&m, "ann", 3, &rec), 1);
    assert_int_equal(rec.target_n, 1);
    assert_int_equal(m.record_n, 2);
    assert_int_equal(m.target_n, 2);
    alias_map_done(&m);
}

static void limits_are_kept(void **state)
{
    char *text = mem_alloc(ALIAS_TEXT_MAX + 1), name[ALIAS_KEY_MAX + 1];
    struct alias_map m;

    (void)state;
    memset(text, 'x', ALIAS_TEXT_MAX + 1);
    memset(name, 'n', sizeof name);
    alias_map_init(&m);
    assert_int_equal(alias_map_begin(&m, name, sizeof name, 1, 0, NULL), -E2BIG);
    assert_int_equal(alias_map_begin(&m, name, sizeof name - 1, 1, 0, NULL), 0);
    assert_int_equal(alias_map_add(&m, ALIAS_PIPE, 0, text, ALIAS_TEXT_MAX + 1), -E2BIG);
    assert_int_equal(alias_map_add(&m, ALIAS_PIPE, 0, text, ALIAS_TEXT_MAX), 0);
    for (unsigned i = 1; i < ALIAS_TARGETS_MAX; i++)
        assert_int_equal(alias_map_add(&m, ALIAS_ADDRESS, 0, "x", 1), 0);
    assert_int_equal(alias_map_add(&m, ALIAS_ADDRESS, 0, "x", 1), -E2BIG);
    alias_map_done(&m);
    free(text);
}

static void keys_tell_names_and_addresses_apart(void **state)
{
    struct alias_key a, b;
    struct address_fault fault;
    struct buf out = { 0 };

    (void)state;
    assert_int_equal(alias_key_parse(&a,
                                     "Ann@B\xc3\xbc"
                                     "cher.Example.",
                                     20, &fault),
                     0);
    assert_int_equal(alias_key_make(&b, "ann", 3, "xn--bcher-kva.example"), 0);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.v, b.v, a.len);
    alias_key_print(a.v, a.len, &out);
    assert_string_equal(out.data, "ann@xn--bcher-kva.example");
    assert_int_equal(alias_key_parse(&a, "\"ann@x\"", 7, &fault), 0);
    assert_int_equal(a.local_len, 5);
    assert_int_equal(alias_key_make(&b, "ann", 3, "x"), 0);
    assert_int_equal(a.len, b.len);
    assert_memory_not_equal(a.v, b.v, a.len);
    assert_int_equal(alias_key_parse(&a, "@r:ann@x", 8, &fault), -EINVAL);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_names_are_all_found),
        cmocka_unit_test(an_empty_map_has_nothing),
        cmocka_unit_test(a_second_of_a_name_is_dropped_whole),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(keys_tell_names_and_addresses_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
