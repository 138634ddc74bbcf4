/* Posts, in the fake host: who may post, what members get, and what happens when something is in
 * the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../fake/fakehost.h"

extern const struct postern_plugin list_LTX_postern_plugin;

struct box { /* a folder and a plugin that works in it */
    char folder[64];
    struct fakehost *h;
};

static void complain(void *ctx, const char *what)
{
    (void)ctx;
    fail_msg("%s", what);
}

static const char *path_of(const struct box *b, const char *name)
{
    static char path[4][256];
    static unsigned next;
    char *p = path[next++ % 4];

    snprintf(p, sizeof path[0], "%s/%s", b->folder, name);
    return p;
}

static void put(const struct box *b, const char *name, const char *text)
{
    FILE *f = fopen(path_of(b, name), "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void box_new(struct box *b, const char *const *options)
{
    snprintf(b->folder, sizeof b->folder, "/tmp/postern-list-XXXXXX");
    assert_non_null(mkdtemp(b->folder));
    put(b, "staff.list", "ann@c.example\nbob@c.example\nnobody at all@\ncarol@c.example\n");
    b->h = fakehost_new();
    fakehost_on_failure(b->h, complain, NULL);
    fakehost_set(b->h, "members", path_of(b, "staff.list"));
    fakehost_set(b->h, "owner", "boss@c.example");
    for (; *options; options += 2)
        fakehost_set(b->h, options[0], !strcmp(options[1], "FOLDER") ? b->folder : options[1]);
    if (fakehost_open(b->h, &list_LTX_postern_plugin) < 0)
        fail_msg("%s", fakehost_why(b->h));
}

#define BOX(b, ...) box_new((b), (const char *const[]){ __VA_ARGS__, NULL })

static void box_free(struct box *b)
{
    char command[128];

    fakehost_close(&b->h);
    snprintf(command, sizeof command, "rm -rf '%s'", b->folder);
    assert_int_equal(system(command), 0);
}

static postern_job *start(struct box *b, const char *sender, const char *rcpt, const char *content,
                          int released)
{
    const char *rcpts[] = { rcpt, NULL };
    struct fakehost_job job = { .id = "ID",
                                .sender = sender,
                                .rcpts = rcpts,
                                .content = content,
                                .content_len = strlen(content),
                                .released = released };

    return fakehost_deliver(b->h, &job, NULL);
}

static postern_job *deliver(struct box *b, const char *sender, const char *rcpt,
                            const char *content)
{
    postern_job *job = start(b, sender, rcpt, content, 0);

    fakehost_run(b->h);
    return job;
}

#define STAFF "staff@l.example"
#define POST  "From: ann@c.example\r\nSubject: hello\r\n\r\nbody\r\n"

static void expect(const postern_job *job, uint32_t fate, const char *status, const char *words)
{
    const struct postern_outcome *o = fakehost_outcome(job, 0);
    char found[32];

    assert_non_null(o);
    snprintf(found, sizeof found, "%u.%u.%u", o->status[0], o->status[1], o->status[2]);
    if (o->fate != fate || strcmp(found, status) != 0 || !strstr(o->diagnostic, words))
        fail_msg("fate %u, %s, \"%s\"; expected %u, %s, \"%s\"", o->fate, found, o->diagnostic,
                 fate, status, words);
}

#define EXPECT_FAILED(job, status, words)   expect(job, POSTERN_FAILED, status, words)
#define EXPECT_DEFERRED(job, status, words) expect(job, POSTERN_DEFERRED, status, words)

/* --- what becomes of a post --- */

static void T_91_a_post_is_one_message_to_all_members_from_the_owner(void **state)
{
    static const char trace[] = "Received: by gw.example (Postern list, from ID)\r\n\tid msg1; ";
    const struct fakehost_message *m;
    struct box b;
    postern_job *job;
    (void)state;

    BOX(&b, "subject_prefix", "[Staff]", "archive", "{name}@archive.example");
    job = deliver(&b, "ann@c.example", STAFF, POST);
    expect(job, POSTERN_DELIVERED, "2.0.0", "posted to 3 members");
    assert_int_equal(fakehost_messages(b.h, FAKEHOST_DURABLE), 1);
    m = fakehost_message(b.h, 0);
    assert_string_equal(m->sender, "boss@c.example");
    assert_int_equal(m->flags, POSTERN_MAIL_LIST);
    assert_int_equal(m->rcpt_n, 4);
    assert_string_equal(m->rcpts[0], "staff@archive.example");
    assert_string_equal(m->rcpts[1], "ann@c.example");
    assert_string_equal(m->rcpts[3], "carol@c.example");
    assert_memory_equal(m->data, trace, strlen(trace));
    assert_non_null(strstr(m->data, "\r\nSubject: [Staff] hello\r\nList-Id: <staff.l.example>"));
    assert_string_equal(strstr(m->data, "\r\n\r\n"), "\r\n\r\nbody\r\n");
    assert_int_equal(fakehost_logged(b.h, "line=3"), 1);
    box_free(&b);
}

static void a_long_post_is_copied_as_the_disk_takes_it(void **state)
{
    static char content[300000];
    const struct fakehost_message *m;
    struct box b;
    postern_job *job;
    size_t head = strlen(POST);
    (void)state;

    memset(content, 'x', sizeof content - 1);
    memcpy(content, POST, head);
    BOX(&b, "policy", "open");
    fakehost_write_room(b.h, 1000);
    job = deliver(&b, "eve@e.example", STAFF, content);
    expect(job, POSTERN_DELIVERED, "2.0.0", "posted");
    m = fakehost_message(b.h, 0);
    assert_true(m->len > sizeof content);
    assert_string_equal(m->data + m->len - (sizeof content - 1 - head), content + head);
    box_free(&b);
}

static void a_list_longer_than_a_piece_gets_all_members(void **state)
{
    const struct fakehost_message *m;
    char last[64];
    struct box b;
    postern_job *job;
    FILE *f;
    (void)state;

    BOX(&b, "policy", "open");
    f = fopen(path_of(&b, "staff.list"), "w");
    assert_non_null(f);
    for (int i = 0; i < 9000; i++)
        fprintf(f, "member-number-%d@members.example\n", i);
    fclose(f);
    job = deliver(&b, "eve@e.example", STAFF, POST);
    expect(job, POSTERN_DELIVERED, "2.0.0", "posted to 9000 members");
    m = fakehost_message(b.h, 0);
    assert_int_equal(m->rcpt_n, 9000);
    for (int i = 0; i < 9000; i++) {
        snprintf(last, sizeof last, "member-number-%d@members.example", i);
        assert_string_equal(m->rcpts[i], last);
    }
    box_free(&b);
}

static void verp_asks_for_a_message_each(void **state)
{
    struct box b;
    (void)state;

    BOX(&b, "verp", "true", "state", "FOLDER");
    deliver(&b, "ann@c.example", STAFF, POST);
    assert_string_equal(fakehost_message(b.h, 0)->sender, "owner-staff@l.example");
    assert_int_equal(fakehost_message(b.h, 0)->flags, POSTERN_MAIL_LIST | POSTERN_MAIL_VERP);
    box_free(&b);
}

/* --- who may post --- */

static void members_post_and_others_do_not(void **state)
{
    struct box b;
    (void)state;

    BOX(&b, "posters", "robot@r.example");
    expect(deliver(&b, "ANN@c.example", STAFF, "Subject: x\r\n\r\n"), POSTERN_DELIVERED, "2.0.0",
           "");
    expect(deliver(&b, "x@x.example", STAFF, "From: Bob <bob@C.example>\r\n\r\n"),
           POSTERN_DELIVERED, "2.0.0", "");
    expect(deliver(&b, "boss@c.example", STAFF, "Subject: x\r\n\r\n"), POSTERN_DELIVERED, "2.0.0",
           "");
    expect(deliver(&b, "robot@r.example", STAFF, "Subject: x\r\n\r\n"), POSTERN_DELIVERED, "2.0.0",
           "");
    EXPECT_FAILED(deliver(&b, "eve@e.example", STAFF, "From: eve@e.example\r\n\r\n"), "5.7.1",
                  "members only");
    EXPECT_FAILED(deliver(&b, "", STAFF, POST), "5.7.1", "without a sender");
    box_free(&b);
}

static void only_the_owner_posts_when_it_is_said_so(void **state)
{
    struct box b;
    (void)state;

    BOX(&b, "policy", "owner");
    EXPECT_FAILED(deliver(&b, "ann@c.example", STAFF, POST), "5.7.1", "its owner only");
    expect(deliver(&b, "Boss@c.example", STAFF, "Subject: x\r\n\r\n"), POSTERN_DELIVERED, "2.0.0",
           "");
    box_free(&b);
}

static void a_moderated_list_posts_what_was_released(void **state)
{
    struct box b;
    postern_job *job;
    (void)state;

    BOX(&b, "policy", "moderated");
    job = deliver(&b, "ann@c.example", STAFF, POST);
    EXPECT_DEFERRED(job, "4.7.0", "is moderated");
    assert_int_equal(fakehost_outcome(job, 0)->cause, POSTERN_CAUSE_HELD);
    job = start(&b, "ann@c.example", STAFF, POST, 1);
    fakehost_run(b.h);
    expect(job, POSTERN_DELIVERED, "2.0.0", "posted");
    box_free(&b);
}

static void loops_and_automatic_mail_are_refused(void **state)
{
    struct box b;
    (void)state;

    BOX(&b, "hops_max", "2", "max_size", "1000", "policy", "open");
    EXPECT_FAILED(deliver(&b, "x@x.example", STAFF, "List-Id: <staff.l.example>\r\n\r\n"), "5.4.6",
                  "goes in circles");
    EXPECT_FAILED(deliver(&b, "owner-staff@l.example", STAFF, POST), "5.4.6", "goes in circles");
    EXPECT_FAILED(
        deliver(&b, "x@x.example", STAFF, "Received: a\r\nReceived: b\r\nReceived: c\r\n\r\n"),
        "5.4.6", "so many hosts");
    EXPECT_FAILED(deliver(&b, "x@x.example", STAFF, "Auto-Submitted: auto-replied\r\n\r\n"),
                  "5.7.1", "Auto-Submitted");
    EXPECT_FAILED(deliver(&b, "x@x.example", STAFF, "Precedence: bulk\r\n\r\n"), "5.7.1",
                  "Precedence");
    fakehost_fail(b.h, FAKEHOST_SUBMIT_COMMIT, 0, -ELOOP);
    EXPECT_FAILED(deliver(&b, "x@x.example", STAFF, POST), "5.4.6", "goes in circles");
    assert_int_equal(fakehost_messages(b.h, FAKEHOST_DURABLE), 0);
    box_free(&b);
}

static void too_large_a_post_or_header_is_refused(void **state)
{
    static char content[300000];
    struct box b;
    (void)state;

    memset(content, 'x', sizeof content - 1);
    memcpy(content, "X: ", 3);
    BOX(&b, "policy", "open");
    EXPECT_FAILED(deliver(&b, "x@x.example", STAFF, content), "5.6.0", "header is that long");
    box_free(&b);
    BOX(&b, "policy", "open", "max_size", "1000");
    EXPECT_FAILED(deliver(&b, "x@x.example", STAFF, content), "5.2.3", "that size");
    box_free(&b);
}

/* --- the owner, and what comes back --- */

static void T_91_mail_for_the_owner_is_passed_on_as_it_is(void **state)
{
    const struct fakehost_message *m;
    struct box b;
    (void)state;

    BOX(&b, "policy", "owner");
    expect(deliver(&b, "eve@e.example", "staff-request@l.example", POST), POSTERN_DELIVERED,
           "2.0.0", "passed on");
    m = fakehost_message(b.h, 0);
    assert_string_equal(m->sender, "eve@e.example");
    assert_int_equal(m->rcpt_n, 1);
    assert_string_equal(m->rcpts[0], "boss@c.example");
    assert_string_equal(strstr(m->data, "From: "), POST);
    assert_int_equal(m->flags, 0);
    /* Without a state nobody counts: it is the owner's. */
    expect(deliver(&b, "", "owner-staff+ann=c.example@l.example", POST), POSTERN_DELIVERED, "2.0.0",
           "passed on");
    assert_string_equal(fakehost_message(b.h, 1)->sender, "");
    box_free(&b);
    BOX(&b, "owner", "owner-staff@l.example");
    EXPECT_FAILED(deliver(&b, "eve@e.example", "owner-staff@l.example", POST), "5.4.6",
                  "its own owner");
    box_free(&b);
}

#define REPORT \
    "Subject: failure\r\n\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\n" \
    "Reporting-MTA: dns; x\r\n\r\nFinal-Recipient: rfc822; bob@c.example\r\nAction: %s\r\n" \
    "Status: 5.1.1\r\nDiagnostic-Code: smtp; 550 gone\r\n\r\n--x--\r\n"

static void U_69_bounces_are_counted_and_the_member_gets_a_rest(void **state)
{
    char report[1024];
    struct box b;
    (void)state;

    BOX(&b, "verp", "true", "state", "FOLDER", "bounce_limit", "3");
    expect(deliver(&b, "", "owner-staff+bob=c.example@l.example", "Subject: sorry\r\n\r\nno\r\n"),
           POSTERN_DELIVERED, "2.0.0", "counted");
    assert_int_equal(fakehost_logged(b.h, "member=bob@c.example status=5.0.0 why=sorry"), 1);
    snprintf(report, sizeof report, REPORT, "failed");
    expect(deliver(&b, "", "owner-staff+bob=c.example@l.example", report), POSTERN_DELIVERED,
           "2.0.0", "counted");
    snprintf(report, sizeof report, REPORT, "delayed");
    expect(deliver(&b, "", "owner-staff+bob=c.example@l.example", report), POSTERN_DELIVERED,
           "2.0.0", "a report of the list staff@l.example, not counted: nobody failed");
    expect(deliver(&b, "ann@c.example", STAFF, POST), POSTERN_DELIVERED, "2.0.0", "to 3 members");
    /* The third: by the report alone. */
    snprintf(report, sizeof report, REPORT, "failed");
    expect(deliver(&b, "", "owner-staff@l.example", report), POSTERN_DELIVERED, "2.0.0", "counted");
    expect(deliver(&b, "ann@c.example", STAFF, POST), POSTERN_DELIVERED, "2.0.0", "to 2 members");
    assert_int_equal(fakehost_logged(b.h, "disabled=1"), 1);
    assert_string_equal(fakehost_message(b.h, 1)->rcpts[0], "ann@c.example");
    assert_string_equal(fakehost_message(b.h, 1)->rcpts[1], "carol@c.example");
    box_free(&b);
}

static void only_members_are_counted_and_what_is_no_bounce_goes_to_the_owner(void **state)
{
    struct box b;
    (void)state;

    BOX(&b, "state", "FOLDER", "bounce_limit", "1", "return_path", "list");
    expect(deliver(&b, "", "owner-staff+eve=e.example@l.example", POST), POSTERN_DELIVERED, "2.0.0",
           "a bounce of the list staff@l.example, not counted: of nobody who is a member");
    assert_int_equal(fakehost_logged(b.h, "he is no member"), 1);
    expect(deliver(&b, "", "owner-staff@l.example", POST), POSTERN_DELIVERED, "2.0.0", "passed on");
    expect(deliver(&b, "bob@c.example", "owner-staff+bob=c.example@l.example", POST),
           POSTERN_DELIVERED, "2.0.0", "passed on");
    deliver(&b, "ann@c.example", STAFF, POST);
    assert_string_equal(fakehost_message(b.h, 2)->sender, "owner-staff@l.example");
    assert_int_equal(fakehost_message(b.h, 2)->rcpt_n, 3);
    box_free(&b);
}

/* --- when something is in the way --- */

static void a_missing_or_empty_file_defers_in_words(void **state)
{
    struct box b;
    (void)state;

    BOX(&b, "policy", "open");
    unlink(path_of(&b, "staff.list"));
    EXPECT_DEFERRED(deliver(&b, "x@x.example", STAFF, POST), "4.3.5", "No such file");
    put(&b, "staff.list", "# nobody yet\n");
    EXPECT_DEFERRED(deliver(&b, "x@x.example", STAFF, POST), "4.3.5", "no member");
    put(&b, "staff.list", STAFF "\n");
    EXPECT_DEFERRED(deliver(&b, "x@x.example", STAFF, POST), "4.3.5", "no member");
    assert_int_equal(fakehost_messages(b.h, FAKEHOST_DURABLE), 0);
    box_free(&b);
    BOX(&b, "policy", "open", "members_max", "2");
    EXPECT_DEFERRED(deliver(&b, "x@x.example", STAFF, POST), "4.3.5", "more than 2 members");
    assert_int_equal(fakehost_messages(b.h, FAKEHOST_ABANDONED), 1);
    box_free(&b);
}

static void members_that_change_meanwhile_are_read_again(void **state)
{
    struct box b;
    postern_job *job;
    (void)state;

    BOX(&b, "policy", "open");
    fakehost_hold(b.h, FAKEHOST_OFFLOAD, 1);
    job = start(&b, "x@x.example", STAFF, POST, 0);
    fakehost_run(b.h);
    put(&b, "staff.list", "dora@d.example\n");
    fakehost_hold(b.h, FAKEHOST_OFFLOAD, 0);
    fakehost_run(b.h);
    expect(job, POSTERN_DELIVERED, "2.0.0", "posted to 1 members");
    assert_string_equal(fakehost_message(b.h, fakehost_messages(b.h, FAKEHOST_ABANDONED))->rcpts[0],
                        "dora@d.example");
    box_free(&b);
}

static void who_is_in_the_file_twice_is_one_member(void **state)
{
    struct box b;
    (void)state;

    BOX(&b, "policy", "open");
    put(&b, "staff.list",
        "ann@c.example\nAnn@c.example\nann@C.Example\nann@c.example\nbob@c.example\n");
    expect(deliver(&b, "x@x.example", STAFF, POST), POSTERN_DELIVERED, "2.0.0",
           "posted to 2 members");
    assert_int_equal(fakehost_message(b.h, 0)->rcpt_n, 2);
    assert_int_equal(fakehost_logged(b.h, "members=2 "), 1);
    box_free(&b);
}

static void what_a_stranger_says_forges_no_log_line(void **state)
{
    struct box b;
    (void)state;

    BOX(&b, "state", "FOLDER");
    put(&b, "staff.list", "\"x status=2.0.0\"@c.example\n");
    deliver(&b, "", "\"owner-staff+x status=2.0.0=c.example\"@l.example",
            "Subject: a\" member=ann\r\n\r\nno\r\n");
    assert_int_equal(fakehost_logged(b.h, "why=\"a\\\" member=ann\""), 1);
    assert_int_equal(fakehost_logged(b.h, "member=\"\\\"x status=2.0.0\\\"@c.example\" status="),
                     1);
    box_free(&b);
}

static void each_failure_of_the_spool_defers_and_leaves_nothing(void **state)
{
    static const enum fakehost_call calls[] = { FAKEHOST_SUBMIT_NEW, FAKEHOST_SUBMIT_WRITE,
                                                FAKEHOST_SUBMIT_COMMIT, FAKEHOST_CONTENT_READ,
                                                FAKEHOST_OFFLOAD };
    struct box b;
    (void)state;

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        for (unsigned skip = 0; skip < 3; skip++) {
            postern_job *job;
            const struct postern_outcome *o;

            BOX(&b, "policy", "open");
            fakehost_fail(b.h, calls[i], skip, -EIO);
            job = deliver(&b, "x@x.example", STAFF, POST);
            o = fakehost_outcome(job, 0);
            assert_non_null(o);
            if (o->fate != POSTERN_DELIVERED)
                expect(job, POSTERN_DEFERRED, "4.3.0", "Input/output error");
            assert_int_equal(fakehost_messages(b.h, FAKEHOST_DURABLE),
                             o->fate == POSTERN_DELIVERED);
            assert_true(skip > 0 || o->fate == POSTERN_DEFERRED);
            box_free(&b);
        }
    }
}

static void a_cancelled_post_is_settled_at_once_wherever_it_is(void **state)
{
    static const enum fakehost_call where[] = { FAKEHOST_OFFLOAD, FAKEHOST_SUBMIT_ROOM,
                                                FAKEHOST_SUBMIT_COMMIT };
    struct box b;
    (void)state;

    for (size_t i = 0; i < sizeof where / sizeof *where; i++) {
        postern_job *jobs[6];

        BOX(&b, "policy", "open");
        fakehost_write_room(b.h, 10);
        fakehost_hold(b.h, where[i], 1);
        for (size_t k = 0; k < 6; k++) /* more than are at work at a time */
            jobs[k] = start(&b, "x@x.example", STAFF, POST, 0);
        fakehost_run(b.h);
        for (size_t k = 0; k < 6; k++)
            fakehost_cancel(b.h, jobs[k]);
        for (size_t k = 0; k < 6; k++)
            EXPECT_DEFERRED(jobs[k], "4.4.7", "taken back");
        fakehost_hold(b.h, where[i], 0);
        fakehost_run(b.h);
        box_free(&b);
    }
}

static void one_job_may_be_for_several_lists(void **state)
{
    const char *rcpts[] = { "a@l.example", "b@l.example", "owner-a@l.example",
                            "c@l.example", "d@l.example", "e@l.example",
                            NULL };
    struct fakehost_job job = { .id = "ID",
                                .sender = "ann@c.example",
                                .rcpts = rcpts,
                                .content = POST,
                                .content_len = strlen(POST) };
    postern_job *j;
    struct box b;
    (void)state;

    BOX(&b, "policy", "open");
    j = fakehost_deliver(b.h, &job, NULL);
    fakehost_run(b.h);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(fakehost_outcome(j, i)->fate, POSTERN_DELIVERED);
    assert_int_equal(fakehost_messages(b.h, FAKEHOST_DURABLE), 6);
    box_free(&b);
}

/* --- options --- */

static void options_that_make_no_sense_are_refused_in_words(void **state)
{
    static const struct {
        const char *key, *value, *words;
    } cases[] = {
        { "owner", "two words@x", "owner: found \"two words@x\"" },
        { "owner", "{nothing}@c.example", "placeholders" },
        { "verp", "true", "verp needs state" },
        { "bounce_limit", "3", "bounce_limit needs state" },
        { "help", "no uri", "help: found" },
        { "archive_url", "https://{nobody}/", "placeholders" },
        { "strip", "From", "do without" },
        { "strip", "x-beenthere", "do without" },
        { "strip", "X Y", "name of a header field" },
        { "description", "a <b>", "description: found" },
        { "subject_prefix", "a\nb", "subject_prefix: found" },
        { "posters", "nobody", "posters: found" },
        { "roots", "lists", "full path" },
        { "list", "staff", "list: found" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fakehost *h = fakehost_new();

        fakehost_on_failure(h, complain, NULL);
        fakehost_set(h, "members", "/nowhere");
        fakehost_set(h, cases[i].key, cases[i].value);
        assert_int_equal(fakehost_open(h, &list_LTX_postern_plugin), -EINVAL);
        if (!strstr(fakehost_why(h), cases[i].words))
            fail_msg("%s: \"%s\", expected \"%s\"", cases[i].key, fakehost_why(h), cases[i].words);
        fakehost_close(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T_91_a_post_is_one_message_to_all_members_from_the_owner),
        cmocka_unit_test(a_long_post_is_copied_as_the_disk_takes_it),
        cmocka_unit_test(a_list_longer_than_a_piece_gets_all_members),
        cmocka_unit_test(verp_asks_for_a_message_each),
        cmocka_unit_test(members_post_and_others_do_not),
        cmocka_unit_test(only_the_owner_posts_when_it_is_said_so),
        cmocka_unit_test(a_moderated_list_posts_what_was_released),
        cmocka_unit_test(loops_and_automatic_mail_are_refused),
        cmocka_unit_test(too_large_a_post_or_header_is_refused),
        cmocka_unit_test(T_91_mail_for_the_owner_is_passed_on_as_it_is),
        cmocka_unit_test(U_69_bounces_are_counted_and_the_member_gets_a_rest),
        cmocka_unit_test(only_members_are_counted_and_what_is_no_bounce_goes_to_the_owner),
        cmocka_unit_test(a_missing_or_empty_file_defers_in_words),
        cmocka_unit_test(members_that_change_meanwhile_are_read_again),
        cmocka_unit_test(who_is_in_the_file_twice_is_one_member),
        cmocka_unit_test(what_a_stranger_says_forges_no_log_line),
        cmocka_unit_test(each_failure_of_the_spool_defers_and_leaves_nothing),
        cmocka_unit_test(a_cancelled_post_is_settled_at_once_wherever_it_is),
        cmocka_unit_test(one_job_may_be_for_several_lists),
        cmocka_unit_test(options_that_make_no_sense_are_refused_in_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
