/* Lists, heaps, maps, interned texts: each against a plain model with random work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/heap.h"
#include "util/intern.h"
#include "util/list.h"
#include "util/map.h"
#include "util/mem.h"

static void a_heap_gives_its_smallest_key_whatever_was_moved_or_removed(void **state)
{
    enum { N = 500 };
    struct heap h = { 0 };
    struct heap_node nodes[N] = { 0 };
    unsigned seed = 7;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct heap_node *n = &nodes[rand_r(&seed) % N];
        int64_t key = rand_r(&seed) % 1000, smallest = INT64_MAX;

        if (rand_r(&seed) % 3)
            heap_move(&h, n, key);
        else
            heap_remove(&h, n);
        for (int i = 0; i < N; i++) {
            if (nodes[i].slot && nodes[i].key < smallest)
                smallest = nodes[i].key;
        }
        assert_true(heap_top(&h) ? heap_top(&h)->key == smallest : smallest == INT64_MAX);
    }
    heap_free(&h);
}

static void a_map_agrees_with_an_array_after_random_sets_and_deletions(void **state)
{
    enum { KEYS = 300 };
    struct map *m = map_new();
    intptr_t model[KEYS] = { 0 };
    unsigned seed = 11;

    (void)state;
    for (int round = 1; round < 50000; round++) {
        int k = rand_r(&seed) % KEYS;
        char key[32];

        snprintf(key, sizeof key, "key-%d", k);
        if (rand_r(&seed) % 2) {
            assert_int_equal((intptr_t)map_set(m, key, (void *)(intptr_t)round), model[k]);
            model[k] = round;
        } else {
            assert_int_equal((intptr_t)map_del(m, key), model[k]);
            model[k] = 0;
        }
        assert_int_equal((intptr_t)map_get(m, key), model[k]);
    }
    for (int k = 0; k < KEYS; k++) {
        char key[32];

        snprintf(key, sizeof key, "key-%d", k);
        assert_int_equal((intptr_t)map_get(m, key), model[k]);
    }
    map_free(&m, NULL);
}

static void an_idmap_agrees_with_an_array_after_random_sets_and_deletions(void **state)
{
    enum { KEYS = 1000 };
    struct idmap *m = idmap_new();
    intptr_t model[KEYS] = { 0 };
    unsigned seed = 13;
    size_t count = 0;

    (void)state;
    for (int round = 1; round < 100000; round++) {
        uint64_t k = (uint64_t)(rand_r(&seed) % KEYS);

        count -= model[k] != 0;
        if (rand_r(&seed) % 2) {
            idmap_set(m, k << 8, (void *)(intptr_t)round);
            model[k] = round;
            count++;
        } else {
            assert_int_equal((intptr_t)idmap_del(m, k << 8), model[k]);
            model[k] = 0;
        }
        assert_int_equal(idmap_count(m), count);
    }
    for (uint64_t k = 0; k < KEYS; k++)
        assert_int_equal((intptr_t)idmap_get(m, k << 8), model[k]);
    idmap_free(&m);
}

static void delete_it(void *ctx, const char *key, void *value)
{
    struct map *m = ctx;

    (void)value;
    map_del(m, key);
}

static void map_each_may_delete_the_entry_it_is_given(void **state)
{
    struct map *m = map_new();

    (void)state;
    for (int i = 0; i < 1000; i++) {
        char key[16];

        snprintf(key, sizeof key, "%d", i);
        map_set(m, key, m);
    }
    /* A wrap-around may leave a few for a second walk; none may be lost or crash. */
    for (int walk = 0; walk < 3; walk++)
        map_each(m, delete_it, m);
    assert_int_equal(map_count(m), 0);
    map_free(&m, NULL);
}

static void equal_texts_are_kept_once_until_the_last_is_let_go(void **state)
{
    struct intern *t = intern_new();
    const char *a = intern_ref(t, "connection refused"), *b = intern_ref(t, "connection refused");
    const char *c = intern_ref(t, "other");

    (void)state;
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, c);
    intern_unref(t, &a);
    assert_null(a);
    assert_string_equal(b, "connection refused");
    intern_unref(t, &b);
    intern_unref(t, &c);
    assert_null(intern_ref(t, NULL));
    intern_free(&t);
}

static void a_list_pops_in_the_order_it_was_filled(void **state)
{
    struct list head, a = { 0 }, b = { 0 }, c = { 0 };

    (void)state;
    list_init(&head);
    list_del(&a); /* harmless on a node that is on no list */
    list_add_tail(&head, &a);
    list_add_tail(&head, &b);
    list_add_head(&head, &c);
    assert_ptr_equal(list_pop(&head), &c);
    assert_ptr_equal(list_pop(&head), &a);
    list_del(&b);
    assert_null(list_pop(&head));
    assert_true(list_empty(&head));
}

static void an_arena_gives_zeroed_aligned_memory_of_any_size(void **state)
{
    struct arena *a = arena_new();

    (void)state;
    for (size_t n = 1; n < 20000; n = n * 3 + 1) {
        unsigned char *p = arena_alloc(a, n);

        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, n);
    }
    assert_string_equal(arena_printf(a, "%d-%s", 5, "x"), "5-x");
    arena_free(&a);
    assert_null(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_heap_gives_its_smallest_key_whatever_was_moved_or_removed),
        cmocka_unit_test(a_map_agrees_with_an_array_after_random_sets_and_deletions),
        cmocka_unit_test(an_idmap_agrees_with_an_array_after_random_sets_and_deletions),
        cmocka_unit_test(map_each_may_delete_the_entry_it_is_given),
        cmocka_unit_test(equal_texts_are_kept_once_until_the_last_is_let_go),
        cmocka_unit_test(a_list_pops_in_the_order_it_was_filled),
        cmocka_unit_test(an_arena_gives_zeroed_aligned_memory_of_any_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
