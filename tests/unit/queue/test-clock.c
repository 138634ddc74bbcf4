/* Wall clocks that are wrong: what another process makes of the times in a STATE record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "queue/private.h"
#include "util/clock.h"
#include "util/mem.h"

#define SEC    ((int64_t)1000000)
#define MINUTE (60 * SEC)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define YEAR   (365 * DAY)
#define NEARLY (5 * SEC) /* what a slow machine may need for a test */

/* Stands before the C library's: the wall clock is wrong by `wrong`, and `later` has passed. */
static int64_t wrong, later;

int clock_gettime(clockid_t id, struct timespec *ret)
{
    int64_t usec = id == CLOCK_REALTIME ? wrong + later : later;
    long r = syscall(SYS_clock_gettime, id, ret);

    ret->tv_sec += usec / SEC;
    return (int)r;
}

struct side { /* a process with one message of one recipient */
    struct queue q;
    struct qmsg *m;
    struct envelope *env;
};

static void side_new(struct side *s, uint64_t boot)
{
    static const char *const rcpts[] = { "a@b" };

    *s = (struct side){ .q = { .texts = intern_new(), .loop = loop_new(0), .boot = boot } };
    s->env = envelope_new(&(struct envelope_new){ .sender = "s@x", .rcpt_n = 1, .rcpts = rcpts });
    s->m = mem_zalloc(sizeof *s->m + sizeof s->m->rcpts[0]);
    s->m->env = s->env;
    s->m->born = loop_now(s->q.loop);
}

static void side_free(struct side *s)
{
    intern_free(&s->q.texts);
    loop_free(&s->q.loop);
    free(s->m);
    free(s->env);
}

struct passed { /* what was written, what happened then, and what the reader makes of it */
    int64_t age, next_in; /* at writing */
    int64_t wrong, later; /* at reading: how wrong the wall clock is then, and the time between */
    int other_boot;
    int64_t ret_age, ret_next_in;
};

static void pass(struct passed *p)
{
    struct side from, to;
    struct buf b = { 0 };

    side_new(&from, 7);
    from.m->born -= p->age;
    from.m->rcpts[0].next_try = loop_now(from.q.loop) + p->next_in;
    state_encode(&from.q, from.m, &b);
    wrong += p->wrong;
    later += p->later;
    side_new(&to, p->other_boot ? 8 : 7);
    assert_int_equal(state_decode(&to.q, to.m, b.data, b.len), 0);
    p->ret_age = loop_now(to.q.loop) - to.m->born;
    p->ret_next_in = to.m->rcpts[0].next_try - loop_now(to.q.loop);
    wrong = later = 0;
    buf_free(&b);
    side_free(&from);
    side_free(&to);
}

static void expect(struct passed *p, int64_t age, int64_t next_in)
{
    pass(p);
    assert_in_range(p->ret_age - age + NEARLY, 0, 2 * NEARLY);
    assert_in_range(p->ret_next_in - next_in + NEARLY, 0, 2 * NEARLY);
}

static void time_passes_as_it_does(void **state)
{
    struct passed same = { .age = DAY, .next_in = HOUR, .later = 40 * MINUTE };
    struct passed other = same;
    (void)state;

    other.other_boot = 1;
    expect(&same, DAY + 40 * MINUTE, 20 * MINUTE);
    expect(&other, DAY + 40 * MINUTE, 20 * MINUTE);
}

static void in_one_boot_a_wall_clock_that_jumps_changes_nothing(void **state)
{
    static const int64_t jumps[] = { YEAR, -YEAR, 56 * YEAR, -20 * DAY, HOUR, -HOUR };
    (void)state;

    for (size_t i = 0; i < sizeof jumps / sizeof *jumps; i++) {
        struct passed p = {
            .age = 4 * DAY, .next_in = HOUR, .wrong = jumps[i], .later = 10 * MINUTE
        };

        expect(&p, 4 * DAY + 10 * MINUTE, 50 * MINUTE);
    }
}

static void a_long_stop_in_one_boot_counts_in_full(void **state)
{
    struct passed p = { .age = DAY, .next_in = HOUR, .later = 7 * DAY };
    (void)state;

    expect(&p, 8 * DAY, HOUR - 7 * DAY);
}

static void after_another_boot_a_clock_that_is_ahead_costs_a_day_at_most(void **state)
{
    struct passed p = { .age = 2 * HOUR, .next_in = HOUR, .wrong = YEAR, .other_boot = 1 };
    (void)state;

    expect(&p, DAY + 2 * HOUR, HOUR - DAY);
}

static void and_one_that_is_behind_delays_no_try(void **state)
{
    struct passed p = { .age = 2 * HOUR, .next_in = HOUR, .wrong = -20 * DAY, .other_boot = 1 };
    (void)state;

    expect(&p, 2 * HOUR, HOUR);
}

static void a_boot_that_is_not_known_is_never_the_same(void **state)
{
    struct side from, to;
    struct buf b = { 0 };
    (void)state;

    side_new(&from, 0);
    state_encode(&from.q, from.m, &b);
    wrong = YEAR;
    side_new(&to, 0);
    assert_int_equal(state_decode(&to.q, to.m, b.data, b.len), 0);
    assert_in_range(loop_now(to.q.loop) - to.m->born, DAY - NEARLY, DAY + NEARLY);
    wrong = 0;
    buf_free(&b);
    side_free(&from);
    side_free(&to);
}

#define RUNS_HEAD 6       /* version, branched, how many recipients */
#define DATES     (4 * 8) /* then the length of the first run */

/* As version 1 wrote them: no date, the rest as it is now. */
static void an_undated_state_is_still_read(void **state)
{
    struct side from, to;
    struct buf b = { 0 }, old = { 0 };
    int64_t next = clock_wall() + HOUR;
    (void)state;

    side_new(&from, 7);
    from.m->rcpts[0].tries = 5;
    from.m->rcpts[0].next_try = loop_now(from.q.loop) + HOUR;
    state_encode(&from.q, from.m, &b);
    buf_put_u8(&old, 1);
    buf_put_u16(&old, 1);
    buf_add(&old, b.data + RUNS_HEAD + DATES + 4, b.len - RUNS_HEAD - DATES - 4);
    side_new(&to, 7);
    assert_int_equal(state_decode(&to.q, to.m, old.data, old.len), 0);
    assert_int_equal(to.m->rcpts[0].tries, 5);
    assert_in_range(to.m->rcpts[0].next_try - clock_mono() + clock_wall(), next - NEARLY,
                    next + NEARLY);
    buf_free(&b);
    buf_free(&old);
    side_free(&from);
    side_free(&to);
}

/* Version 2 had the dates, and each recipient for itself. */
static void a_state_without_runs_is_still_read(void **state)
{
    struct side from, to;
    struct buf b = { 0 }, old = { 0 };
    (void)state;

    side_new(&from, 7);
    from.m->rcpts[0].tries = 5;
    from.m->rcpts[0].smtp = 1;
    state_encode(&from.q, from.m, &b);
    buf_put_u8(&old, 2);
    buf_put_u16(&old, 1);
    buf_add(&old, b.data + RUNS_HEAD, DATES);
    buf_add(&old, b.data + RUNS_HEAD + DATES + 4, b.len - RUNS_HEAD - DATES - 4);
    side_new(&to, 7);
    assert_int_equal(state_decode(&to.q, to.m, old.data, old.len), 0);
    assert_int_equal(to.m->rcpts[0].tries, 5);
    assert_int_equal(to.m->rcpts[0].smtp, 1);
    assert_int_equal(to.m->rcpts[0].released, 0);
    buf_free(&b);
    buf_free(&old);
    side_free(&from);
    side_free(&to);
}

static void dates_that_make_no_sense_are_refused(void **state)
{
    struct side from, to;
    struct buf b = { 0 };
    (void)state;

    side_new(&from, 7);
    state_encode(&from.q, from.m, &b);
    ((unsigned char *)b.data)[RUNS_HEAD + 2 * 8 + 7] = 0xff; /* the age's highest byte */
    side_new(&to, 7);
    assert_int_equal(state_decode(&to.q, to.m, b.data, b.len), -EBADMSG);
    buf_free(&b);
    side_free(&from);
    side_free(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_passes_as_it_does),
        cmocka_unit_test(in_one_boot_a_wall_clock_that_jumps_changes_nothing),
        cmocka_unit_test(a_long_stop_in_one_boot_counts_in_full),
        cmocka_unit_test(after_another_boot_a_clock_that_is_ahead_costs_a_day_at_most),
        cmocka_unit_test(and_one_that_is_behind_delays_no_try),
        cmocka_unit_test(a_boot_that_is_not_known_is_never_the_same),
        cmocka_unit_test(an_undated_state_is_still_read),
        cmocka_unit_test(a_state_without_runs_is_still_read),
        cmocka_unit_test(dates_that_make_no_sense_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
