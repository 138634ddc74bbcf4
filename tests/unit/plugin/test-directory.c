/* Directories between the router and a plugin: each question once, each answer once, and none
 * waited for without end. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/load.h"
#include "log/log.h"
#include "plugin/directory.h"

static const struct postern_services *sv;
static postern_lookup *asked[8]; /* what the plugin was asked */
static size_t asked_n;
static int at_once; /* 1: answers at once; 2: twice; -errno: does not take it */

static int open_it(postern_host *host, const struct postern_services *services,
                   const void *settings, void **ret_self)
{
    (void)host;
    (void)settings;
    sv = services;
    *ret_self = asked;
    return 0;
}

static void close_it(void *self)
{
    (void)self;
}

static void say(postern_lookup *l, const char *value)
{
    sv->lookup_answer(l, 0, &value, 1);
}

static int lookup(void *self, postern_lookup *l)
{
    (void)self;
    if (at_once < 0)
        return at_once;
    for (int i = 0; i < at_once; i++)
        say(l, "bob");
    asked[asked_n++] = l;
    return 0;
}

static const struct postern_directory_ops ops = { .size = sizeof ops, .lookup = lookup };
static const struct postern_plugin plugin = { .size = sizeof plugin,
                                              .option_size = sizeof(struct postern_option),
                                              .abi_major = POSTERN_ABI_MAJOR,
                                              .abi_minor = POSTERN_ABI_MINOR,
                                              .name = "d",
                                              .version = "1",
                                              .summary = "x",
                                              .open = open_it,
                                              .close = close_it,
                                              .directory = &ops };

struct fixture {
    struct loop *loop;
    struct config *config;
    struct route_table *routes;
    struct hosts *hosts;
    struct dns *dns; /* NULL: there is none */
    int told;
};

static const char directories[] =
    "{\"directories\": {\"d\": {}}, \"aliases\": {\"directories\": [\"d\"]},"
    " \"routing\": {\"local_domains\": [\"gw.test\"], \"users\": [\"d\"]},"
    " \"lookups\": {\"deadline\": \"20ms\"}, \"server\": {\"hostname\": \"gw.test\"}}";
/* A host is known; for the rest there is %u, see silent_server. */
static const char addresses[] =
    "{\"routing\": {\"local_domains\": [\"gw.test\"], \"local_by_address\": true},"
    " \"dns\": {\"servers\": [\"127.0.0.1:%u\"], \"timeout\": \"10s\","
    "           \"hosts\": [{\"name\": \"own.test\", \"address\": \"127.0.0.1\"}]},"
    " \"server\": {\"hostname\": \"gw.test\"}}";

static void start_as(struct fixture *f, const char *text, int with_dns)
{
    struct config_errors errors = { 0 };
    struct config_loader *l = config_loader_new("test", &errors);
    struct host_env env;
    char why[256];

    memset(f, 0, sizeof *f);
    asked_n = 0;
    at_once = 0;
    config_loader_add(l, "a.json", text, strlen(text));
    f->config = config_loader_finish(l, NULL);
    route_compile(f->config, &f->routes, &errors);
    for (size_t i = 0; i < errors.n; i++)
        fprintf(stderr, "%s\n", errors.lines[i]);
    assert_int_equal(errors.n, 0);
    for (size_t i = 0; i < f->config->instance_n; i++) {
        if (f->config->instances[i].kind == CONFIG_DIRECTORY)
            f->config->instances[i].descriptor = &plugin;
    }
    f->loop = loop_new(1);
    if (with_dns)
        assert_int_equal(dns_new(f->loop, &f->config->dns, &f->dns, why, sizeof why), 0);
    env = (struct host_env){
        .loop = f->loop, .config = f->config, .routes = f->routes, .dns = f->dns
    };
    f->hosts = hosts_new(&env);
    assert_int_equal(hosts_open_directories(f->hosts, why, sizeof why), 0);
}

static void start(struct fixture *f)
{
    start_as(f, directories, 0);
}

static void stop(struct fixture *f)
{
    hosts_free(&f->hosts);
    dns_free(&f->dns);
    route_free(&f->routes);
    config_free(&f->config);
    loop_free(&f->loop);
}

static void told(void *ctx)
{
    ((struct fixture *)ctx)->told++;
}

static struct directory_wait *ask(struct fixture *f, const char *key)
{
    struct route_need n = { POSTERN_LOOKUP_ALIAS, "d", key, key, "gw.test" };

    return directory_ask(f->hosts, &n, told, f);
}

static void turns_until(struct fixture *f, const int *what, int wanted)
{
    for (int i = 0; i < 5000 && *what < wanted; i++) {
        loop_turn(f->loop, 0);
        usleep(1000);
    }
    assert_int_equal(*what, wanted);
}

static struct route_answer known(struct fixture *f, const char *key)
{
    struct route_need n = { POSTERN_LOOKUP_ALIAS, "d", key, key, "gw.test" };
    struct route_answer got;

    assert_int_equal(route_answers_get(route_answers_of(f->routes), &n, &got), 1);
    return got;
}

static void who_asks_the_same_waits_for_the_same_answer(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    ask(&f, "ann");
    ask(&f, "ann");
    ask(&f, "eve");
    assert_int_equal(asked_n, 0); /* not before the call has returned */
    loop_turn(f.loop, 0);
    assert_int_equal(asked_n, 2);
    assert_int_equal(sv->lookup_kind(asked[0]), POSTERN_LOOKUP_ALIAS);
    assert_string_equal(sv->lookup_key(asked[0]), "ann");
    assert_string_equal(sv->lookup_domain(asked[0]), "gw.test");
    say(asked[0], "bob");
    assert_int_equal(f.told, 0);
    loop_turn(f.loop, 0);
    assert_int_equal(f.told, 2);
    assert_int_equal(known(&f, "ann").result, 0);
    say(asked[1], "bob");
    loop_turn(f.loop, 0);
    assert_int_equal(f.told, 3);
    stop(&f);
}

static void one_that_is_forgotten_is_not_told(void **state)
{
    struct directory_wait *w;
    struct fixture f;

    (void)state;
    start(&f);
    at_once = 1;
    w = ask(&f, "ann");
    ask(&f, "ann");
    directory_forget(&w);
    turns_until(&f, &f.told, 1);
    loop_turn(f.loop, 0);
    assert_int_equal(f.told, 1);
    stop(&f);
}

static void silence_ends_and_a_late_answer_does_nothing(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    ask(&f, "ann");
    turns_until(&f, &f.told, 1);
    assert_int_equal(known(&f, "ann").result, -EAGAIN);
    assert_string_equal(known(&f, "ann").why, "directory d: plugin d has not answered within 20ms");
    assert_string_equal(sv->lookup_key(asked[0]), "ann"); /* it is the plugin's still */
    say(asked[0], "bob");
    loop_turn(f.loop, 0);
    assert_int_equal(f.told, 1);
    assert_int_equal(known(&f, "ann").result, -EAGAIN);
    stop(&f);
}

static void a_question_that_is_not_taken_is_a_failure(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    at_once = -EBUSY;
    ask(&f, "ann");
    turns_until(&f, &f.told, 1);
    assert_non_null(strstr(known(&f, "ann").why, "does not take the question"));
    stop(&f);
}

static void a_second_answer_is_ignored(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    at_once = 2;
    ask(&f, "ann");
    turns_until(&f, &f.told, 1);
    assert_int_equal(known(&f, "ann").result, 0);
    loop_turn(f.loop, 0);
    assert_int_equal(f.told, 1);
    stop(&f);
}

static void who_still_waits_at_the_end_is_told(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    ask(&f, "ann");
    loop_turn(f.loop, 0);
    ask(&f, "eve"); /* not even asked */
    stop(&f);
    assert_int_equal(f.told, 2);
}

/* --- and the service that uses them --- */

struct verdict {
    int calls, result;
    struct postern_verdict verdict;
};

static void on_verdict(void *ctx, int result, const struct postern_verdict *verdict)
{
    struct verdict *v = ctx;

    v->calls++;
    v->result = result;
    if (verdict)
        v->verdict = *verdict;
}

static void route_ask_finds_out_what_route_check_does_not_know(void **state)
{
    struct postern_verdict verdict = { .size = sizeof verdict };
    struct verdict v = { 0 };
    struct fixture f;
    postern_host *h;
    uint64_t id;

    (void)state;
    start(&f);
    h = hosts_core(f.hosts);
    assert_int_equal(sv->route_check(h, "", "ann@gw.test", &verdict), -EAGAIN);
    assert_int_equal(sv->route_ask(h, "", "ann@gw.test", on_verdict, &v, &id), 0);
    for (int i = 0; i < 100 && !v.calls; i++) {
        loop_turn(f.loop, 0);
        while (asked_n) /* whatever it is: there is no such name */
            sv->lookup_answer(asked[--asked_n], -ENOENT, NULL, 0);
    }
    assert_int_equal(v.calls, 1);
    assert_int_equal(v.result, 0);
    assert_int_equal(v.verdict.kind, POSTERN_VERDICT_FAIL);
    assert_int_equal(v.verdict.status[0], 5);
    assert_int_equal(v.verdict.status[1], 1);
    assert_int_equal(v.verdict.status[2], 1);
    assert_int_equal(sv->route_check(h, "", "ann@gw.test", &verdict), 0); /* now it does */
    assert_int_equal(verdict.kind, POSTERN_VERDICT_FAIL);
    assert_int_equal(sv->route_check(h, "", "bob@far.test", &verdict), 0);
    /* One that is forgotten half way. */
    v.calls = 0;
    sv->route_ask(h, "", "eve@gw.test", on_verdict, &v, &id);
    loop_turn(f.loop, 0);
    sv->forget(h, id);
    loop_turn(f.loop, 0);
    sv->route_ask(h, "", "joe@gw.test", on_verdict, &v, &id); /* and one that the end meets */
    loop_turn(f.loop, 0);
    stop(&f);
    assert_int_equal(v.calls, 0);
}

/* --- the resolver --- */

/* It takes questions and says nothing. */
static int silent_server(unsigned *ret_port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static void start_resolver(struct fixture *f, int *ret_fd, int with_dns)
{
    unsigned port;
    char text[sizeof addresses + 16];

    *ret_fd = silent_server(&port);
    snprintf(text, sizeof text, addresses, port);
    start_as(f, text, with_dns);
}

static void ask_addresses(struct fixture *f, const char *domain)
{
    struct route_need n = route_need_addresses(domain);

    directory_ask(f->hosts, &n, told, f);
}

static struct route_answer known_addresses(struct fixture *f, const char *domain)
{
    struct route_need n = route_need_addresses(domain);
    struct route_answer got;

    assert_int_equal(route_answers_get(route_answers_of(f->routes), &n, &got), 1);
    return got;
}

static void the_resolver_is_asked_for_addresses_each_once(void **state)
{
    struct route_query q = { .rcpt = "bob@own.test" };
    struct route_decision d;
    struct fixture f;
    int fd;

    (void)state;
    start_resolver(&f, &fd, 1);
    assert_int_equal(route_decide(f.routes, &q, &d, NULL), -EAGAIN);
    route_decision_done(&d);
    ask_addresses(&f, "own.test");
    ask_addresses(&f, "own.test");
    turns_until(&f, &f.told, 2);
    assert_string_equal(known_addresses(&f, "own.test").addresses, "127.0.0.1");
    assert_int_equal(route_decide(f.routes, &q, &d, NULL), 0);
    assert_string_equal(d.rule->what, "own host");
    route_decision_done(&d);
    ask_addresses(&f, "no name at all");
    turns_until(&f, &f.told, 3);
    assert_int_equal(known_addresses(&f, "no name at all").result, -ENOENT);
    stop(&f);
    close(fd);
}

static void without_a_resolver_that_is_the_answer(void **state)
{
    struct fixture f;
    int fd;

    (void)state;
    start_resolver(&f, &fd, 0);
    ask_addresses(&f, "own.test");
    turns_until(&f, &f.told, 1);
    assert_int_equal(known_addresses(&f, "own.test").result, -EAGAIN);
    assert_string_equal(known_addresses(&f, "own.test").why,
                        "the addresses of own.test can't be looked up: there is no resolver");
    stop(&f);
    close(fd);
}

static void the_end_meets_a_question_to_the_resolver(void **state)
{
    struct fixture f;
    int fd;

    (void)state;
    start_resolver(&f, &fd, 1);
    ask_addresses(&f, "far.test");
    loop_turn(f.loop, 0);
    loop_turn(f.loop, 0);
    assert_int_equal(f.told, 0);
    stop(&f); /* who waits is told, to let go of what he holds */
    assert_int_equal(f.told, 1);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asks_the_same_waits_for_the_same_answer),
        cmocka_unit_test(one_that_is_forgotten_is_not_told),
        cmocka_unit_test(silence_ends_and_a_late_answer_does_nothing),
        cmocka_unit_test(a_question_that_is_not_taken_is_a_failure),
        cmocka_unit_test(a_second_answer_is_ignored),
        cmocka_unit_test(who_still_waits_at_the_end_is_told),
        cmocka_unit_test(route_ask_finds_out_what_route_check_does_not_know),
        cmocka_unit_test(the_resolver_is_asked_for_addresses_each_once),
        cmocka_unit_test(without_a_resolver_that_is_the_answer),
        cmocka_unit_test(the_end_meets_a_question_to_the_resolver),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
