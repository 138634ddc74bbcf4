/* The control socket, as its users and their enemies see it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/control_private.h"
#include "log/log.h"
#include "util/buf.h"
#include "util/mem.h"

#include "../plugin/kit.h"

#define NOBODY 65534

struct world {
    struct fixture core;
    struct control *control;
    int listener;
    char dir[64], path[80];
    struct buf got; /* what the last client has read */
    int door;       /* a connection that has not been handed over yet, or -1 */
};

static size_t three(const void *ctx)
{
    (void)ctx;
    return 3;
}

static void begin(struct world *f)
{
    struct control_env c;
    char why[256];

    memset(f, 0, sizeof *f);
    start_with(
        &f->core,
        "{\"server\":{\"hostname\":\"gw.test\",\"message_size_max\":2000000,\"recipients_max\":50},"
        "\"transports\":{\"out\":{\"plugin\":\"x\"},\"local-mbox\":{\"plugin\":\"x\"}},"
        "\"routing\":{\"default\":{\"transport\":\"out\"}}}");
    snprintf(f->dir, sizeof f->dir, "/tmp/postern-control-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(chmod(f->dir, 0755), 0);
    snprintf(f->path, sizeof f->path, "%s/control", f->dir);
    assert_int_equal(control_bind(f->path, &f->listener, why, sizeof why), 0);
    fcntl(f->listener, F_SETFL, O_NONBLOCK);
    c = (struct control_env){ .loop = f->core.loop,
                              .config = f->core.config,
                              .hosts = f->core.hosts,
                              .queue = f->core.queue,
                              .spool = f->core.spool,
                              .unread = three };
    f->control = control_new(&c);
    f->door = -1;
}

static void end(struct world *f)
{
    control_free(&f->control);
    stop(&f->core);
    if (f->door >= 0)
        close(f->door);
    close(f->listener);
    unlink(f->path);
    rmdir(f->dir);
    buf_free(&f->got);
}

/* The supervisor's part: it takes the connection, and its first byte, and hands it over. */
static void door(struct world *f)
{
    char kind;
    ssize_t n;

    if (f->door < 0)
        f->door = accept4(f->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (f->door < 0)
        return;
    n = recv(f->door, &kind, 1, 0);
    if (n < 0)
        return;
    if (n == 1)
        control_take(f->control, f->door, kind);
    else
        close(f->door);
    f->door = -1;
}

static void run_turns(struct world *f, int n)
{
    for (int i = 0; i < n; i++) {
        door(f);
        loop_turn(f->core.loop, 0);
    }
}

static int dial(struct world *f)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    memcpy(a.sun_path, f->path, strlen(f->path) + 1);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

/* Reads what there is. 1: and the other side has ended. */
static int listen_to(struct world *f, int fd)
{
    char piece[65536];
    ssize_t n;

    while ((n = recv(fd, piece, sizeof piece, 0)) > 0)
        buf_add(&f->got, piece, (size_t)n);
    return n == 0 || errno != EAGAIN;
}

/* Says it, in as many portions as the socket takes, and hears what comes back meanwhile. */
static int say_n(struct world *f, int fd, const char *text, size_t len)
{
    int ended = 0;

    while (len && !ended) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

        if (n > 0) {
            text += n;
            len -= (size_t)n;
        }
        run_turns(f, 2);
        ended = listen_to(f, fd);
    }
    run_turns(f, 8);
    return listen_to(f, fd) || ended;
}

static int say(struct world *f, int fd, const char *text)
{
    return say_n(f, fd, text, strlen(text));
}

static void hush(struct world *f)
{
    buf_clear(&f->got);
    buf_adds(&f->got, "");
}

/* The one line that was heard, as JSON. */
static json_t *answer(struct world *f)
{
    char *lf = f->got.data ? strchr(f->got.data, '\n') : NULL;
    json_t *o;

    if (!lf || lf[1])
        fail_msg("expected one line, got: %s", f->got.data ? f->got.data : "nothing");
    o = json_loads(f->got.data, 0, NULL);
    assert_non_null(o);
    hush(f);
    return o;
}

static void refused(struct world *f, int code, const char *why)
{
    json_t *o = answer(f);
    const char *error = json_string_value(json_object_get(o, "error"));

    if (!error || !strstr(error, why))
        fail_msg("expected \"%s\", found \"%s\"", why, error ? error : "no error");
    assert_int_equal(json_integer_value(json_object_get(o, "code")), code);
    json_decref(o);
}

static void gone(struct world *f, int fd)
{
    close(fd);
    run_turns(f, 4);
    assert_int_equal(f->control->sessions, 0);
}

static size_t open_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    size_t n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

#define BODY "Subject: x\r\n\r\nhello\r\n"
#define SUBMIT \
    "{\"verb\":\"submit\",\"sender\":\"ann@x.test\",\"rcpts\":[\"bob@b.test\"],\"size\":21}\n"

/* --- what is meant to be --- */

static void its_owner_may_look_and_act(void **state)
{
    struct world f;
    json_t *o;
    int fd;

    (void)state;
    begin(&f);
    fd = dial(&f);
    assert_false(say(&f, fd, "C{\"verb\":\"status\"}\n"));
    o = answer(&f);
    assert_string_equal(json_string_value(json_object_get(o, "hostname")), "gw.test");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "queue"), "messages")),
                     0);
    json_decref(o);
    say(&f, fd, "{\"verb\":\"queue.list\",\"all\":true}\n");
    o = answer(&f);
    assert_int_equal(json_array_size(json_object_get(o, "messages")), 0);
    assert_int_equal(json_integer_value(json_object_get(o, "unread_shards")), 3);
    json_decref(o);
    say(&f, fd, "{\"verb\":\"queue.act\",\"action\":\"retry\",\"all\":true}\n");
    o = answer(&f);
    assert_int_equal(json_integer_value(json_object_get(o, "unread_shards")), 3);
    json_decref(o);
    say(&f, fd, "{\"verb\":\"queue.act\",\"action\":\"retry\"}\n");
    refused(&f, EX_USAGE, "say which messages");
    say(&f, fd, "{\"verb\":\"queue.act\",\"action\":\"burn\",\"all\":true}\n");
    refused(&f, EX_USAGE, "unknown action");
    say(&f, fd, "{\"verb\":\"dance\"}\n");
    refused(&f, EX_USAGE, "does not know that verb");
    gone(&f, fd);
    end(&f);
}

static void a_submission_is_answered_when_it_is_durable(void **state)
{
    struct world f;
    struct envelope *e;
    json_t *o;
    int fd;

    (void)state;
    begin(&f);
    fd = dial(&f);
    say(&f, fd, "C" SUBMIT BODY);
    o = answer(&f);
    assert_int_equal(strlen(json_string_value(json_object_get(o, "id"))), 13);
    json_decref(o);
    assert_int_equal(fakespool_live(f.core.spool), 1);
    assert_non_null(strstr(fakespool_newest(f.core.spool), "Received: by gw.test"));
    assert_non_null(strstr(fakespool_newest(f.core.spool), BODY));
    e = fakespool_envelope(f.core.spool);
    assert_non_null(e);
    assert_string_equal(envelope_sender(e), "ann@x.test");
    assert_string_equal(envelope_rcpt(e, 0), "bob@b.test");
    assert_non_null(strstr(envelope_client(e), "uid "));
    free(e);
    /* and another, with a question behind it in the same breath */
    say(&f, fd, SUBMIT BODY "{\"verb\":\"dance\"}\n");
    assert_non_null(strstr(f.got.data, "{\"id\":"));
    assert_non_null(strstr(f.got.data, "}\n{\"error\":"));
    assert_int_equal(fakespool_live(f.core.spool), 2);
    gone(&f, fd);
    end(&f);
}

static void bytes_may_come_one_by_one(void **state)
{
    static const char text[] = "C" SUBMIT BODY;
    struct world f;
    json_t *o;
    int fd;

    (void)state;
    begin(&f);
    fd = dial(&f);
    for (size_t i = 0; i + 1 < sizeof text; i++)
        assert_false(say_n(&f, fd, text + i, 1));
    o = answer(&f);
    assert_non_null(json_object_get(o, "id"));
    json_decref(o);
    assert_int_equal(fakespool_live(f.core.spool), 1);
    gone(&f, fd);
    end(&f);
}

static void who_has_ended_his_side_still_gets_the_answer(void **state)
{
    struct world f;
    int fd;

    (void)state;
    begin(&f);
    fd = dial(&f);
    assert_true(send(fd, "C" SUBMIT BODY, strlen("C" SUBMIT BODY), MSG_NOSIGNAL) > 0);
    shutdown(fd, SHUT_WR);
    run_turns(&f, 10);
    assert_true(listen_to(&f, fd));
    assert_non_null(strstr(f.got.data, "{\"id\":"));
    assert_int_equal(fakespool_live(f.core.spool), 1);
    gone(&f, fd);
    end(&f);
}

static void a_slow_disk_is_waited_for(void **state)
{
    struct world f;
    json_t *o;
    int fd;

    (void)state;
    begin(&f);
    fd = dial(&f);
    fakespool_behind(f.core.spool, 1);
    say(&f, fd, "C" SUBMIT "Subject: x\r\n");
    say(&f, fd, "\r\nhello\r\n");
    assert_int_equal(f.got.len, 0);
    assert_int_equal(fakespool_live(f.core.spool), 0);
    fakespool_behind(f.core.spool, 0);
    run_turns(&f, 10);
    listen_to(&f, fd);
    o = answer(&f);
    assert_non_null(json_object_get(o, "id"));
    json_decref(o);
    gone(&f, fd);
    end(&f);
}

/* --- what is refused --- */

static void refuse_submission(struct world *f, int fd, const char *request, int code,
                              const char *why)
{
    say(f, fd, request);
    assert_true(!f->got.len); /* content comes first, then the one answer */
    say(f, fd, BODY);
    refused(f, code, why);
    assert_int_equal(fakespool_live(f->core.spool), 0);
    assert_int_equal(hosts_submissions(f->core.hosts), 0);
}

static void bad_submissions_are_refused_after_their_content(void **state)
{
    struct world f;
    int fd;

    (void)state;
    begin(&f);
    fd = dial(&f);
    say(&f, fd, "C");
#define FROM(sender, rcpts) \
    "{\"verb\":\"submit\",\"sender\":\"" sender "\",\"rcpts\":" rcpts ",\"size\":21}\n"
    refuse_submission(&f, fd, FROM("a@x.test", "[]"), EX_USAGE, "no recipients");
    refuse_submission(&f, fd, FROM("a@x.test", "\"b@x.test\""), EX_USAGE, "no recipients");
    refuse_submission(&f, fd, FROM("a@x.test", "[\"not one\"]"), EX_DATAERR,
                      "not a recipient address: not one");
    refuse_submission(&f, fd, FROM("a@x.test", "[7]"), EX_DATAERR, "not a recipient address");
    refuse_submission(&f, fd, FROM("a@x.test>\\r\\nRCPT TO:<z@z.test", "[\"b@x.test\"]"),
                      EX_DATAERR, "the sender is not an address");
    fakespool_fail_puts(f.core.spool, -ENOSPC);
    refuse_submission(&f, fd, SUBMIT, EX_TEMPFAIL, "full");
    fakespool_fail_puts(f.core.spool, 0);
    fakespool_fail_commits(f.core.spool, -EIO);
    refuse_submission(&f, fd, SUBMIT, EX_TEMPFAIL, "can't take it now");
    fakespool_fail_commits(f.core.spool, 0);
    say(&f, fd, "{\"verb\":\"submit\",\"sender\":\"a@x.test\",\"rcpts\":[],\"size\":0}\n");
    refused(&f, EX_PROTOCOL, "needs sender, rcpts and size");
    say(&f, fd, SUBMIT BODY); /* and then all is well */
    assert_non_null(strstr(f.got.data, "\"id\""));
    gone(&f, fd);
    end(&f);
}

static void too_many_recipients_and_too_much_content(void **state)
{
    struct world f;
    struct buf b = { 0 };
    int fd;

    (void)state;
    begin(&f);
    fd = dial(&f);
    buf_adds(&b,
             "C{\"verb\":\"submit\",\"sender\":\"a@x.test\",\"size\":21,\"rcpts\":[\"b@x.test\"");
    for (int i = 0; i < 50; i++)
        buf_printf(&b, ",\"u%d@x.test\"", i);
    buf_adds(&b, "]}\n" BODY);
    say(&f, fd, b.data);
    refused(&f, EX_DATAERR, "too many recipients");
    buf_clear(&b);
    buf_adds(&b,
             "{\"verb\":\"submit\",\"sender\":\"a@x.test\",\"size\":2000001,"
             "\"rcpts\":[\"b@x.test\"]}\n");
    for (int i = 0; i < 2000001; i++)
        buf_addc(&b, 'x');
    say_n(&f, fd, b.data, b.len);
    refused(&f, EX_DATAERR, "larger");
    assert_int_equal(fakespool_live(f.core.spool), 0);
    buf_free(&b);
    gone(&f, fd);
    end(&f);
}

/* The error text is cut in the midst of a character, and must be said all the same. */
static void a_long_address_in_another_script_is_answered(void **state)
{
    struct world f;
    struct buf b = { 0 };
    int fd;

    (void)state;
    begin(&f);
    fd = dial(&f);
    for (int pad = 0; pad < 3; pad++) {
        buf_clear(&b);
        buf_printf(&b,
                   "%s{\"verb\":\"submit\",\"sender\":\"a@x.test\",\"size\":21,\"rcpts\":[\"%.*s",
                   pad ? "" : "C", pad, "xx");
        for (int i = 0; i < 300; i++)
            buf_adds(&b, "\xe2\x82\xac ");
        buf_adds(&b, "\"]}\n" BODY);
        say(&f, fd, b.data);
        refused(&f, EX_DATAERR, "not a recipient address");
    }
    buf_free(&b);
    gone(&f, fd);
    end(&f);
}

static void strangers_may_submit_and_nothing_else(void **state)
{
    struct world f;
    int fd;

    (void)state;
    if (geteuid()) /* only root can pretend to be somebody else */
        skip();
    begin(&f);
    assert_int_equal(seteuid(NOBODY), 0);
    fd = dial(&f);
    assert_int_equal(seteuid(0), 0);
    say(&f, fd, "C{\"verb\":\"status\"}\n");
    refused(&f, EX_NOPERM, "only root");
    say(&f, fd, "{\"verb\":\"queue.list\",\"all\":true}\n");
    refused(&f, EX_NOPERM, "only root");
    say(&f, fd, "{\"verb\":\"queue.act\",\"action\":\"remove\",\"all\":true}\n");
    refused(&f, EX_NOPERM, "only root");
    say(&f, fd, SUBMIT BODY);
    assert_non_null(strstr(f.got.data, "\"id\""));
    assert_non_null(strstr(fakespool_newest(f.core.spool), "from userid 65534"));
    gone(&f, fd);
    end(&f);
}

static void strangers_cannot_lock_the_operator_out(void **state)
{
    struct world f;
    int fds[100], fd;
    json_t *o;

    (void)state;
    if (geteuid())
        skip();
    begin(&f);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(seteuid(NOBODY), 0);
        fds[i] = dial(&f);
        assert_int_equal(seteuid(0), 0);
        assert_int_equal(send(fds[i], "C", 1, MSG_NOSIGNAL), 1);
        run_turns(&f, 2);
    }
    assert_true(f.control->sessions < 64);
    fd = dial(&f);
    say(&f, fd, "C{\"verb\":\"status\"}\n");
    o = answer(&f);
    assert_non_null(json_object_get(o, "hostname"));
    json_decref(o);
    for (int i = 0; i < 100; i++)
        close(fds[i]);
    run_turns(&f, 20);
    gone(&f, fd);
    end(&f);
}

/* --- what is meant ill --- */

static void garbage_ends_the_dialogue(void **state)
{
    static const char *const garbage[] = { "\n",
                                           "hello\n",
                                           "{}\n",
                                           "[]\n",
                                           "null\n",
                                           "{\"verb\":7}\n",
                                           "{\"verb\":\"status\"\n",
                                           "\xff\xfe\n",
                                           "{\"verb\":\"\\u0000\"}\n",
                                           "{\"verb\":\"status\",\"verb\":\"status\"}\n" };
    struct world f;
    size_t before;

    (void)state;
    begin(&f);
    before = open_files();
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        int fd = dial(&f);

        say(&f, fd, "C");
        assert_true(say(&f, fd, garbage[i]));
        refused(&f, EX_PROTOCOL, "not a request");
        gone(&f, fd);
    }
    for (int c = 0; c < 256; c++) { /* first bytes that mean nothing; 'S' with nobody to take it */
        char one = (char)c;
        int fd = dial(&f);

        assert_int_equal(say_n(&f, fd, &one, 1), c != 'C');
        gone(&f, fd);
    }
    assert_int_equal(open_files(), before);
    end(&f);
}

static void deep_nesting_is_garbage_too(void **state)
{
    struct world f;
    char *text = mem_zalloc(900002);
    int fd;

    (void)state;
    begin(&f);
    memset(text, '[', 900000);
    text[900000] = '\n';
    fd = dial(&f);
    say(&f, fd, "C");
    say(&f, fd, text);
    refused(&f, EX_PROTOCOL, "not a request");
    free(text);
    gone(&f, fd);
    end(&f);
}

static void a_line_without_end_is_cut_off(void **state)
{
    struct world f;
    size_t len = (size_t)8 << 20;
    char *text = mem_alloc(len);
    int fd;

    (void)state;
    begin(&f);
    memset(text, 'x', len);
    fd = dial(&f);
    say(&f, fd, "C");
    assert_true(say_n(&f, fd, text, len));
    assert_non_null(strstr(f.got.data, "too long"));
    free(text);
    gone(&f, fd);
    end(&f);
}

static void the_longest_line_that_is_allowed_is_taken(void **state)
{
    struct world f;
    struct buf b = { 0 };
    int fd;

    (void)state;
    begin(&f);
    buf_adds(&b, "C{\"verb\":\"dance\",\"x\":\"");
    while (b.len < (1u << 20) - 1)
        buf_addc(&b, 'x');
    buf_adds(&b, "\"}");
    b.data[b.len - 2] = '"';
    b.data[b.len - 1] = '}'; /* one MiB behind the C */
    assert_int_equal(b.len, (1u << 20) + 1);
    buf_adds(&b, "\n");
    fd = dial(&f);
    say_n(&f, fd, b.data, b.len);
    refused(&f, EX_USAGE, "does not know that verb");
    buf_free(&b);
    gone(&f, fd);
    end(&f);
}

static void leaving_at_any_moment_leaves_nothing(void **state)
{
    static const char text[] = "C" SUBMIT BODY;
    struct world f;
    size_t before;

    (void)state;
    begin(&f);
    before = open_files();
    for (size_t cut = 0; cut < sizeof text; cut++) {
        int fd = dial(&f);

        if (cut)
            assert_int_equal(send(fd, text, cut, MSG_NOSIGNAL), cut);
        if (cut & 1)
            run_turns(&f, 2);
        close(fd);
        run_turns(&f, 6);
        assert_int_equal(f.control->sessions, 0);
        assert_int_equal(hosts_submissions(f.core.hosts), 0);
        assert_int_equal(fakespool_live(f.core.spool),
                         cut == sizeof text - 1); /* all of it, or nothing */
    }
    assert_int_equal(open_files(), before);
    end(&f);
}

static void leaving_while_the_disk_is_slow_leaves_nothing(void **state)
{
    struct world f;
    int fd;

    (void)state;
    begin(&f);
    fd = dial(&f);
    fakespool_behind(f.core.spool, 1);
    say(&f, fd, "C" SUBMIT "Subject:");
    close(fd);
    run_turns(&f, 4);
    fakespool_behind(f.core.spool, 0);
    run_turns(&f, 4);
    assert_int_equal(f.control->sessions, 0);
    assert_int_equal(hosts_submissions(f.core.hosts), 0);
    assert_int_equal(fakespool_live(f.core.spool), 0);
    end(&f);
}

static void a_gateway_that_ends_in_the_midst_of_it_leaves_nothing(void **state)
{
    static const char *const said[] = { "", "C", "C{\"verb", "C" SUBMIT, "C" SUBMIT "Subject" };

    (void)state;
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        struct world f;
        int fd;

        begin(&f);
        fd = dial(&f);
        say(&f, fd, said[i]);
        end(&f);
        close(fd);
    }
    for (int n = 1; n < 5; n++) { /* also between a commit and its answer */
        struct world f;
        int fd;

        begin(&f);
        fd = dial(&f);
        assert_true(send(fd, "C" SUBMIT BODY, strlen("C" SUBMIT BODY), MSG_NOSIGNAL) > 0);
        run_turns(&f, n);
        end(&f);
        close(fd);
    }
}

/* Who asks and never listens is not asked for more; when he listens, he gets an answer for each. */
static void answers_do_not_pile_up(void **state)
{
    static const char ask[] = "{\"verb\":\"status\"}\n";
    struct world f;
    size_t asked = 0, at = 0, answers = 0;
    int fd, stalled = 0;

    (void)state;
    begin(&f);
    fd = dial(&f);
    assert_int_equal(send(fd, "C", 1, MSG_NOSIGNAL), 1);
    while (stalled < 20 && asked < 1000000) {
        ssize_t n = send(fd, ask + at, sizeof ask - 1 - at, MSG_NOSIGNAL);

        stalled = n > 0 ? 0 : stalled + 1;
        if (n <= 0) {
            run_turns(&f, 2);
            continue;
        }
        at += (size_t)n;
        if (at == sizeof ask - 1) {
            at = 0;
            asked++;
        }
    }
    assert_true(asked < 1000000); /* it did stall */
    while (at) {                  /* the request that was cut */
        ssize_t n = send(fd, ask + at, sizeof ask - 1 - at, MSG_NOSIGNAL);

        at = n > 0 && at + (size_t)n == sizeof ask - 1 ? 0 : at + (n > 0 ? (size_t)n : 0);
        asked += !at;
        run_turns(&f, 2);
        listen_to(&f, fd);
    }
    for (int quiet = 0; quiet < 50;) {
        size_t had = f.got.len;

        run_turns(&f, 2);
        listen_to(&f, fd);
        quiet = f.got.len == had ? quiet + 1 : 0;
    }
    for (size_t i = 0; i < f.got.len; i++)
        answers += f.got.data[i] == '\n';
    assert_int_equal(answers, asked);
    assert_null(strstr(f.got.data, "\"error\""));
    gone(&f, fd);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_owner_may_look_and_act),
        cmocka_unit_test(a_submission_is_answered_when_it_is_durable),
        cmocka_unit_test(bytes_may_come_one_by_one),
        cmocka_unit_test(who_has_ended_his_side_still_gets_the_answer),
        cmocka_unit_test(a_slow_disk_is_waited_for),
        cmocka_unit_test(bad_submissions_are_refused_after_their_content),
        cmocka_unit_test(too_many_recipients_and_too_much_content),
        cmocka_unit_test(a_long_address_in_another_script_is_answered),
        cmocka_unit_test(strangers_may_submit_and_nothing_else),
        cmocka_unit_test(strangers_cannot_lock_the_operator_out),
        cmocka_unit_test(garbage_ends_the_dialogue),
        cmocka_unit_test(deep_nesting_is_garbage_too),
        cmocka_unit_test(a_line_without_end_is_cut_off),
        cmocka_unit_test(the_longest_line_that_is_allowed_is_taken),
        cmocka_unit_test(leaving_at_any_moment_leaves_nothing),
        cmocka_unit_test(leaving_while_the_disk_is_slow_leaves_nothing),
        cmocka_unit_test(a_gateway_that_ends_in_the_midst_of_it_leaves_nothing),
        cmocka_unit_test(answers_do_not_pile_up),
    };

    log_open(&(struct log_config){ .level = -1 });
    return cmocka_run_group_tests(tests, NULL, NULL);
}
