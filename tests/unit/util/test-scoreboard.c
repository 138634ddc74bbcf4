/* The scoreboard: what a worker notes is what a reader finds, also when the worker has gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/scoreboard.h"

static int make(void **state)
{
    struct score_row *row = calloc(1, sizeof *row);

    *state = row;
    return row ? 0 : -1;
}

static int unmake(void **state)
{
    free(*state);
    return 0;
}

static void entering_and_leaving(void **state)
{
    struct score_row *row = *state;

    score_enter(row, 0, 77);
    assert_int_equal(atomic_load(&row->instance), 1); /* so that the first is told from none */
    assert_int_equal(atomic_load(&row->message), 77);
    score_leave(row);
    assert_int_equal(atomic_load(&row->instance), 0);
    assert_int_equal(atomic_load(&row->message), 0);
}

static size_t flying(const struct score_row *row)
{
    size_t n = 0;

    for (unsigned i = 0; i < SCORE_FLYING; i++)
        n += atomic_load(&row->flying[i].message) != 0;
    return n;
}

static void places_are_used_again(void **state)
{
    struct score_row *row = *state;

    for (uint64_t id = 1; id <= SCORE_FLYING; id++)
        score_fly(row, 3, id);
    assert_int_equal(flying(row), SCORE_FLYING);
    score_land(row, 5);
    assert_int_equal(flying(row), SCORE_FLYING - 1);
    score_land(row, 5); /* it is not there any more */
    assert_int_equal(flying(row), SCORE_FLYING - 1);
    score_fly(row, 4, 1000);
    assert_int_equal(atomic_load(&row->flying[4].message), 1000);
    assert_int_equal(atomic_load(&row->flying[4].instance), 4);
}

static void more_than_it_can_remember(void **state)
{
    struct score_row *row = *state;

    for (uint64_t id = 1; id <= SCORE_FLYING + 10; id++)
        score_fly(row, 0, id);
    assert_int_equal(flying(row), SCORE_FLYING);
    for (uint64_t id = 1; id <= SCORE_FLYING + 10; id++)
        score_land(row, id);
    assert_int_equal(flying(row), 0);
}

static void the_same_message_twice(void **state)
{
    struct score_row *row = *state;

    score_fly(row, 0, 9); /* two jobs of one message */
    score_fly(row, 1, 9);
    score_land(row, 9);
    assert_int_equal(flying(row), 1);
}

static void cleared_for_the_next(void **state)
{
    struct score_row *row = *state;

    score_enter(row, 2, 8);
    score_fly(row, 2, 8);
    atomic_store(&row->beat, 1);
    atomic_store(&row->counts[SCORE_FAILED], 3);
    score_clear(row);
    assert_int_equal(flying(row), 0);
    assert_int_equal(atomic_load(&row->instance), 0);
    assert_int_equal(atomic_load(&row->beat), 0);
    assert_int_equal(atomic_load(&row->counts[SCORE_FAILED]), 0);
}

static void nobody_keeps_score(void **state)
{
    (void)state;
    score_enter(NULL, 0, 1);
    score_fly(NULL, 0, 1);
    score_land(NULL, 1);
    score_leave(NULL);
}

static void a_dead_process_has_left_its_row(void **state)
{
    int fd = -1, status;
    struct scoreboard *s = scoreboard_new(&fd);
    pid_t pid;

    (void)state;
    assert_non_null(s);
    pid = fork();
    if (pid == 0) {
        struct scoreboard *own = scoreboard_map(fd);

        if (own)
            score_enter(&own->rows[SCORE_WORKERS - 1], 6, 123456789012345ull);
        _exit(own ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(atomic_load(&s->rows[SCORE_WORKERS - 1].message), 123456789012345ull);
    assert_int_equal(atomic_load(&s->rows[SCORE_WORKERS - 1].instance), 7);
    assert_int_equal(atomic_load(&s->rows[0].instance), 0);
    scoreboard_free(&s);
    assert_null(s);
    close(fd);
    assert_null(scoreboard_map(-1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(entering_and_leaving, make, unmake),
        cmocka_unit_test_setup_teardown(places_are_used_again, make, unmake),
        cmocka_unit_test_setup_teardown(more_than_it_can_remember, make, unmake),
        cmocka_unit_test_setup_teardown(the_same_message_twice, make, unmake),
        cmocka_unit_test_setup_teardown(cleared_for_the_next, make, unmake),
        cmocka_unit_test(nobody_keeps_score),
        cmocka_unit_test(a_dead_process_has_left_its_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
