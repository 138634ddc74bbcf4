/* The loop: stages, timers, offloading, posting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/loop.h"

static char story[256];

static void tell(void *ctx)
{
    strcat(story, ctx);
}

struct twice {
    struct loop *loop;
    struct loop_task task;
    int runs;
};

static void run_twice(void *ctx)
{
    struct twice *t = ctx;

    if (++t->runs < 2)
        loop_note(t->loop, &t->task, LOOP_STAGE_WORK);
}

static void work_output_and_disk_come_in_that_order_whatever_was_noted_first(void **state)
{
    struct loop *l = loop_new(0);
    struct loop_task disk = { .run = tell, .ctx = (char[]){ "disk " } };
    struct loop_task output = { .run = tell, .ctx = (char[]){ "output " } };
    struct loop_task work = { .run = tell, .ctx = (char[]){ "work " } };
    struct loop_task never = { .run = tell, .ctx = (char[]){ "never " } };

    (void)state;
    story[0] = '\0';
    loop_note(l, &disk, LOOP_STAGE_DISK);
    loop_note(l, &output, LOOP_STAGE_OUTPUT);
    loop_note(l, &work, LOOP_STAGE_WORK);
    loop_note(l, &work, LOOP_STAGE_WORK);
    loop_note(l, &never, LOOP_STAGE_WORK);
    loop_forget(&never);
    loop_turn(l, 1);
    assert_string_equal(story, "work output disk ");
    loop_free(&l);
}

static void a_task_may_note_itself_again_and_runs_in_the_same_turn(void **state)
{
    struct loop *l = loop_new(0);
    struct twice t = { .loop = l, .task = { .run = run_twice, .ctx = &t } };

    (void)state;
    loop_note(l, &t.task, LOOP_STAGE_WORK);
    loop_turn(l, 0);
    assert_int_equal(t.runs, 2);
    loop_free(&l);
}

static void timers_fire_once_and_cancelled_ones_never(void **state)
{
    struct loop *l = loop_new(0);
    struct loop_timer *gone;

    (void)state;
    story[0] = '\0';
    loop_after(l, 1000, tell, (char[]){ "fired " });
    gone = loop_after(l, 0, tell, (char[]){ "cancelled " });
    loop_cancel(&gone);
    assert_null(gone);
    loop_turn(l, 1);
    assert_string_equal(story, "fired ");
    loop_free(&l);
}

static int seven(void *ctx)
{
    (void)ctx;
    usleep(1000);
    return 7;
}

static void keep(void *ctx, int result)
{
    *(int *)ctx = result;
}

static void offloaded_work_gives_its_result_to_the_loop(void **state)
{
    struct loop *l = loop_new(2);
    int result[20] = { 0 };

    (void)state;
    for (int i = 0; i < 20; i++)
        loop_offload(l, seven, keep, &result[i]);
    for (int done = 0; !done;) {
        loop_turn(l, 1);
        done = 1;
        for (int i = 0; i < 20; i++)
            done &= result[i] == 7;
    }
    loop_free(&l);
}

static void what_is_posted_and_not_run_is_let_go_with_the_loop(void **state)
{
    struct loop *l = loop_new(1);
    int result = 0;

    (void)state;
    story[0] = '\0';
    loop_post(l, tell, (char[]){ "too late" });
    loop_offload(l, seven, keep, &result);
    loop_free(&l);
    assert_string_equal(story, "");
    assert_int_equal(result, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_output_and_disk_come_in_that_order_whatever_was_noted_first),
        cmocka_unit_test(a_task_may_note_itself_again_and_runs_in_the_same_turn),
        cmocka_unit_test(timers_fire_once_and_cancelled_ones_never),
        cmocka_unit_test(offloaded_work_gives_its_result_to_the_loop),
        cmocka_unit_test(what_is_posted_and_not_run_is_let_go_with_the_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
