/* Messages by id: what was added is found, what was removed is not, however often the table grew,
 * shifted and shrank. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "queue/index.h"
#include "queue/private.h"

#define MESSAGES 5000u
#define STEPS    60000u

/* As the spool makes them: microseconds and a shard, some close together. */
static void make(struct qmsg *m, size_t n)
{
    uint64_t id = (uint64_t)1700000000 * 1000000;

    for (size_t i = 0; i < n; i++) {
        id += 1 + (i % 7 ? i % 3 : 9973);
        m[i].id = id << 8 | 3;
    }
}

static void an_empty_index_has_nothing(void **state)
{
    struct msg_index x = { 0 };
    struct qmsg m = { .id = 7 };

    (void)state;
    assert_null(index_get(&x, 7));
    index_remove(&x, &m);
    assert_null(index_get(&x, 7));
    index_free(&x);
}

static void it_has_what_was_added_and_not_removed(void **state)
{
    struct msg_index x = { 0 };
    struct qmsg *m = calloc(MESSAGES, sizeof *m);
    unsigned char *in = calloc(MESSAGES, 1);
    unsigned seed = 42;
    size_t n = 0;

    (void)state;
    make(m, MESSAGES);
    for (unsigned step = 0; step < STEPS; step++) {
        /* First it grows, then it comes and goes, then it shrinks. */
        size_t i = (size_t)rand_r(&seed) % MESSAGES;
        unsigned add = step < STEPS / 3 ? 90 : step < STEPS / 3 * 2 ? 50 : 10;

        if (!in[i] && (unsigned)rand_r(&seed) % 100 < add) {
            index_add(&x, &m[i]);
            in[i] = 1;
            n++;
        } else if (in[i] && (unsigned)rand_r(&seed) % 100 >= add) {
            index_remove(&x, &m[i]);
            in[i] = 0;
            n--;
        }
        assert_int_equal(x.n, n);
        i = (size_t)rand_r(&seed) % MESSAGES;
        assert_ptr_equal(index_get(&x, m[i].id), in[i] ? &m[i] : NULL);
    }
    for (size_t i = 0; i < MESSAGES; i++)
        assert_ptr_equal(index_get(&x, m[i].id), in[i] ? &m[i] : NULL);
    index_free(&x);
    free(in);
    free(m);
}

static void it_gives_back_the_room_of_a_queue_that_was_long(void **state)
{
    struct msg_index x = { 0 };
    struct qmsg *m = calloc(MESSAGES, sizeof *m);
    size_t most;

    (void)state;
    make(m, MESSAGES);
    for (size_t i = 0; i < MESSAGES; i++)
        index_add(&x, &m[i]);
    most = x.cap;
    assert_true(most < 3 * MESSAGES);
    for (size_t i = 0; i < MESSAGES - 10; i++)
        index_remove(&x, &m[i]);
    assert_true(x.cap < most / 16);
    for (size_t i = MESSAGES - 10; i < MESSAGES; i++)
        assert_ptr_equal(index_get(&x, m[i].id), &m[i]);
    index_free(&x);
    free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_index_has_nothing),
        cmocka_unit_test(it_has_what_was_added_and_not_removed),
        cmocka_unit_test(it_gives_back_the_room_of_a_queue_that_was_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
