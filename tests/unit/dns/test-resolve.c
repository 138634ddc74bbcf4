/* The resolver against a real name server: nsd, with zones of our own, on a loopback port. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dns/dns.h"
#include "util/clock.h"

#define SECOND 1000000

/* --- the name server --- */

static const char root_zone[] = ". 60 IN SOA ns. admin. 1 3600 900 86400 60\n"
                                ". 60 IN NS ns.\n"
                                "ns. 60 IN A 127.0.0.1\n";

static const char test_zone[] = "$ORIGIN example.\n"
                                "$TTL 300\n"
                                "@ IN SOA ns admin 1 3600 900 86400 1\n"
                                "@ IN NS ns\n"
                                "ns A 127.0.0.1\n"
                                "one MX 20 mx2\n"
                                "one MX 10 mx1\n"
                                "one MX 30 mx3\n"
                                "equal MX 10 a\n"
                                "equal MX 10 b\n"
                                "equal MX 10 c\n"
                                "equal MX 20 last\n"
                                "null MX 0 .\n"
                                "notnull MX 0 .\n"
                                "notnull MX 10 mx1\n"
                                "nomx A 192.0.2.10\n"
                                "txtonly TXT \"nothing else\"\n"
                                "alias CNAME one\n"
                                "alias2 CNAME alias\n"
                                "aliasnomx CNAME nomx\n"
                                "aliasnowhere CNAME nothere\n"
                                "short 1 IN MX 10 mx1\n"
                                "odd MX 10 a\\032b\n"
                                "xn--bcher-kva MX 10 mx1\n"
                                "mx1 A 192.0.2.1\n"
                                "mx1 A 192.0.2.2\n"
                                "mx1 AAAA 2001:db8::1\n"
                                "four A 192.0.2.4\n"
                                "six AAAA 2001:db8::6\n";

static struct {
    char folder[64];
    pid_t pid;
    uint16_t port;
} server;

static void write_file(const char *name, const char *text)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", server.folder, name);
    f = fopen(path, "w");
    if (!f || fputs(text, f) < 0 || fclose(f))
        fail_msg("can't write %s", path);
}

static void write_zones(void)
{
    static char big[20000];
    int n = snprintf(big, sizeof big, "%s", test_zone);

    /* More than fits into a datagram: the answer must come over TCP. */
    for (int i = 0; i < 60; i++)
        n += snprintf(big + n, sizeof big - (size_t)n,
                      "many MX %d an-exchanger-with-a-long-name-%d.of-many\n", 100 + i, i);
    write_file("example", big);
    write_file("root", root_zone);
}

static void write_config(void)
{
    char text[2048];

    snprintf(text, sizeof text,
             "server:\n  ip-address: 127.0.0.1@%u\n  username: \"\"\n  zonesdir: \"%s\"\n"
             "  pidfile: \"\"\n  database: \"\"\n  xfrdfile: \"%s/xfrd\"\n  xfrdir: \"%s\"\n"
             "  zonelistfile: \"%s/zones\"\n  server-count: 1\n  logfile: \"%s/log\"\n"
             "remote-control:\n  control-enable: no\n"
             "zone:\n  name: example\n  zonefile: example\n"
             "zone:\n  name: \".\"\n  zonefile: root\n",
             server.port, server.folder, server.folder, server.folder, server.folder,
             server.folder);
    write_file("conf", text);
}

static int local_socket(int type, uint16_t *ret_port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    a.sin_port = htons(*ret_port);
    if (bind(fd, (struct sockaddr *)&a, sizeof a)) {
        close(fd);
        return -1;
    }
    getsockname(fd, (struct sockaddr *)&a, &len);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

/* A port that is free for both transports. */
static uint16_t free_port(void)
{
    for (;;) {
        uint16_t port = 0;
        int udp = local_socket(SOCK_DGRAM, &port), tcp = local_socket(SOCK_STREAM, &port);

        if (udp >= 0)
            close(udp);
        if (tcp >= 0) {
            close(tcp);
            return port;
        }
    }
}

/* It serves as soon as it answers over TCP. */
static int server_is_up(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons(server.port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = connect(fd, (struct sockaddr *)&a, sizeof a);

    close(fd);
    return !r;
}

static void run_server(void)
{
    char path[128];

    prctl(PR_SET_PDEATHSIG, SIGTERM);
    snprintf(path, sizeof path, "%s/conf", server.folder);
    if (!freopen("/dev/null", "w", stderr))
        _exit(127);
    execl("/usr/sbin/nsd", "nsd", "-d", "-c", path, (char *)NULL);
    execlp("nsd", "nsd", "-d", "-c", path, (char *)NULL);
    _exit(127);
}

static int start_server(void **state)
{
    (void)state;
    strcpy(server.folder, "/tmp/postern-nsd-XXXXXX");
    if (!mkdtemp(server.folder))
        return -1;
    server.port = free_port();
    write_zones();
    write_config();
    server.pid = fork();
    if (!server.pid)
        run_server();
    for (int i = 0; i < 500; i++) {
        int status;

        if (server_is_up())
            return 0;
        if (waitpid(server.pid, &status, WNOHANG) == server.pid) {
            print_error("nsd ended with status %d; is the package installed? see %s/log\n", status,
                        server.folder);
            return -1;
        }
        usleep(20000);
    }
    return -1;
}

static int stop_server(void **state)
{
    static const char *const files[] = { "example", "root", "conf", "xfrd", "zones", "log" };
    char path[128];

    (void)state;
    kill(server.pid, SIGTERM);
    waitpid(server.pid, NULL, 0);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", server.folder, files[i]);
        unlink(path);
    }
    rmdir(server.folder);
    return 0;
}

/* --- asking --- */

struct ask { /* a resolver and the answer it gave */
    struct loop *loop;
    struct dns *dns;
    struct config_dns cfg;
    char servers[2][32];
    const char *list[2];
    int answers, result;
    char text[4096]; /* "10 mx1.example, ..." or "192.0.2.1, ..." */
    const char *source;
    struct dns_query *query;
};

static void ask_init_at(struct ask *a, uint16_t port, int64_t cache_max)
{
    char why[256] = "";

    memset(a, 0, sizeof *a);
    snprintf(a->servers[0], sizeof a->servers[0], "127.0.0.1:%u", port);
    a->list[0] = a->servers[0];
    a->cfg = (struct config_dns){ .servers = { 1, a->list },
                                  .timeout = 2 * SECOND,
                                  .tries = 2,
                                  .cache_max = cache_max,
                                  .ipv6 = 1 };
    a->loop = loop_new(1);
    if (dns_new(a->loop, &a->cfg, &a->dns, why, sizeof why))
        fail_msg("%s", why);
}

static void ask_init(struct ask *a)
{
    ask_init_at(a, server.port, 100);
}

static void ask_done(struct ask *a)
{
    dns_free(&a->dns);
    assert_null(a->dns);
    loop_free(&a->loop);
}

static void on_mx(void *ctx, int result, const struct postern_mx *mx, size_t n)
{
    struct ask *a = ctx;
    size_t at = 0;

    assert_true(result ? n == 0 : n > 0);
    a->answers++;
    a->result = result;
    a->text[0] = '\0';
    a->source = n ? mx[0].source : NULL;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(mx[i].size, sizeof mx[i]);
        at += (size_t)snprintf(a->text + at, sizeof a->text - at, "%s%u %s", i ? ", " : "",
                               mx[i].preference, mx[i].name);
    }
}

static void on_host(void *ctx, int result, const char *const *addresses, size_t n)
{
    struct ask *a = ctx;
    size_t at = 0;

    assert_true(result ? n == 0 : n > 0);
    a->answers++;
    a->result = result;
    a->text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(a->text + at, sizeof a->text - at, "%s%s", i ? ", " : "",
                               addresses[i]);
}

static void await(struct ask *a, int answers)
{
    int64_t end = clock_mono() + 15 * SECOND;

    while (a->answers < answers && clock_mono() < end) {
        loop_turn(a->loop, 0);
        usleep(100);
    }
    assert_int_equal(a->answers, answers);
}

static const char *mx_of(struct ask *a, const char *domain)
{
    int before = a->answers;

    assert_int_equal(dns_mx(a->dns, domain, on_mx, a, &a->query), 0);
    assert_non_null(a->query);
    assert_int_equal(a->answers, before); /* never before it has returned */
    await(a, before + 1);
    return a->text;
}

static const char *host_of(struct ask *a, const char *name)
{
    int before = a->answers;

    assert_int_equal(dns_host(a->dns, name, on_host, a, &a->query), 0);
    assert_int_equal(a->answers, before);
    await(a, before + 1);
    return a->text;
}

static uint64_t hits(struct ask *a)
{
    struct dns_stats s;

    dns_stats(a->dns, &s);
    return s.hits;
}

/* --- exchangers --- */

static void U_36_exchangers_come_by_preference(void **state)
{
    struct ask a;

    (void)state;
    ask_init(&a);
    assert_string_equal(mx_of(&a, "one.example"), "10 mx1.example, 20 mx2.example, 30 mx3.example");
    assert_int_equal(a.result, 0);
    assert_string_equal(a.source, "dns mx");
    ask_done(&a);
}

static void equal_exchangers_are_shuffled_for_every_asker(void **state)
{
    struct ask a;
    int first[3] = { 0 };

    (void)state;
    ask_init(&a);
    for (int i = 0; i < 300; i++) {
        const char *text = mx_of(&a, "equal.example");

        assert_int_equal(strlen(text),
                         strlen("10 a.example, 10 b.example, 10 c.example, "
                                "20 last.example"));
        assert_string_equal(text + strlen(text) - 15, "20 last.example");
        assert_true(text[3] >= 'a' && text[3] <= 'c');
        first[text[3] - 'a']++;
    }
    for (int i = 0; i < 3; i++)
        assert_true(first[i] > 50); /* by chance less than once in 10^9 runs */
    assert_int_equal(hits(&a), 299);
    ask_done(&a);
}

static void the_null_mx_is_an_empty_name_unless_there_are_others(void **state)
{
    struct ask a;

    (void)state;
    ask_init(&a);
    assert_string_equal(mx_of(&a, "null.example"), "0 ");
    assert_int_equal(a.result, 0);
    assert_string_equal(mx_of(&a, "notnull.example"), "10 mx1.example");
    ask_done(&a);
}

static void a_domain_without_mx_is_its_own_exchanger_if_it_has_addresses(void **state)
{
    struct ask a;

    (void)state;
    ask_init(&a);
    assert_string_equal(mx_of(&a, "nomx.example"), "0 nomx.example");
    assert_int_equal(a.result, 0);
    assert_string_equal(a.source, "dns host");
    mx_of(&a, "txtonly.example");
    assert_int_equal(a.result, -ENOENT);
    /* A name that only the hosts file knows. */
    assert_string_equal(mx_of(&a, "localhost"), "0 localhost");
    assert_string_equal(a.source, "local host");
    ask_done(&a);
}

static void a_name_that_does_not_exist_is_known_not_to(void **state)
{
    struct ask a;

    (void)state;
    ask_init(&a);
    mx_of(&a, "nothere.example");
    assert_int_equal(a.result, -ENOENT);
    mx_of(&a, "nothere.at.all");
    assert_int_equal(a.result, -ENOENT);
    host_of(&a, "nothere.example");
    assert_int_equal(a.result, -ENOENT);
    ask_done(&a);
}

static void aliases_lead_to_exchangers(void **state)
{
    struct ask a;

    (void)state;
    ask_init(&a);
    assert_string_equal(mx_of(&a, "alias2.example"),
                        "10 mx1.example, 20 mx2.example, 30 mx3.example");
    assert_string_equal(mx_of(&a, "aliasnomx.example"), "0 aliasnomx.example");
    mx_of(&a, "aliasnowhere.example");
    assert_int_equal(a.result, -ENOENT);
    assert_string_equal(host_of(&a, "aliasnomx.example"), "192.0.2.10");
    ask_done(&a);
}

static void an_answer_too_long_for_a_datagram_comes_over_tcp(void **state)
{
    struct ask a;
    int n = 1;

    (void)state;
    ask_init(&a);
    mx_of(&a, "many.example");
    assert_int_equal(a.result, 0);
    for (const char *p = a.text; *p; p++)
        n += *p == ',';
    assert_int_equal(n, 60);
    ask_done(&a);
}

static void unicode_domains_are_asked_for_in_their_ascii_form(void **state)
{
    struct ask a;

    (void)state;
    ask_init(&a);
    assert_string_equal(mx_of(&a,
                              "B\xc3\xbc"
                              "cher.Example."),
                        "10 mx1.example");
    assert_string_equal(mx_of(&a, "xn--bcher-kva.example"), "10 mx1.example");
    assert_int_equal(hits(&a), 1);
    ask_done(&a);
}

static void exchangers_that_are_malformed_are_no_answer(void **state)
{
    struct ask a;

    (void)state;
    ask_init(&a);
    mx_of(&a, "odd.example");
    assert_int_equal(a.result, -EAGAIN);
    ask_done(&a);
}

/* --- addresses --- */

static void hosts_have_their_ipv6_addresses_first(void **state)
{
    struct ask a;

    (void)state;
    ask_init(&a);
    host_of(&a, "mx1.example");
    assert_memory_equal(a.text, "2001:db8::1, 192.0.2.", 21);
    assert_int_equal(strlen(a.text), strlen("2001:db8::1, 192.0.2.1, 192.0.2.2"));
    assert_non_null(strstr(a.text, "192.0.2.1"));
    assert_non_null(strstr(a.text, "192.0.2.2"));
    assert_string_equal(host_of(&a, "four.example"), "192.0.2.4");
    assert_string_equal(host_of(&a, "six.example"), "2001:db8::6");
    ask_done(&a);
}

static void ipv6_can_be_switched_off(void **state)
{
    struct ask a;
    char why[256];

    (void)state;
    ask_init(&a);
    dns_free(&a.dns);
    a.cfg.ipv6 = 0;
    assert_int_equal(dns_new(a.loop, &a.cfg, &a.dns, why, sizeof why), 0);
    host_of(&a, "mx1.example");
    assert_null(strchr(a.text, ':'));
    host_of(&a, "six.example");
    assert_int_equal(a.result, -ENOENT);
    ask_done(&a);
}

static void the_hosts_file_is_asked_before_dns(void **state)
{
    struct ask a;
    uint16_t port = 0;
    int mute = local_socket(SOCK_DGRAM, &port);

    (void)state;
    ask_init_at(&a, port, 100);
    host_of(&a, "LocalHost");
    assert_int_equal(a.result, 0);
    assert_true(strstr(a.text, "127.0.0.1") || strstr(a.text, "::1"));
    ask_done(&a);
    close(mute);
}

/* --- what is not asked --- */

static void literals_and_nonsense_are_answered_without_asking(void **state)
{
    static const char *const nonsense[] = { "", "a b.example", "-..-", "user@example.org",
                                            "\xff\xfe" };
    struct ask a;
    uint16_t port = 0;
    int mute = local_socket(SOCK_DGRAM, &port);
    char c;

    (void)state;
    ask_init_at(&a, port, 100);
    assert_string_equal(mx_of(&a, "[192.0.2.9]"), "0 192.0.2.9");
    assert_string_equal(a.source, "literal");
    assert_string_equal(mx_of(&a, "2001:db8::9"), "0 2001:db8::9");
    assert_string_equal(host_of(&a, "[IPv6:2001:db8::9]"), "2001:db8::9");
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
        mx_of(&a, nonsense[i]);
        assert_int_equal(a.result, -EINVAL);
        host_of(&a, nonsense[i]);
        assert_int_equal(a.result, -EINVAL);
    }
    assert_int_equal(recv(mute, &c, 1, MSG_DONTWAIT), -1);
    ask_done(&a);
    close(mute);
}

/* --- the cache --- */

static void an_answer_is_kept_for_its_ttl(void **state)
{
    struct ask a;

    (void)state;
    ask_init(&a);
    mx_of(&a, "short.example");
    mx_of(&a, "short.example");
    assert_int_equal(hits(&a), 1);
    usleep(1100000);
    mx_of(&a, "short.example");
    assert_int_equal(hits(&a), 1);
    assert_string_equal(a.text, "10 mx1.example");
    mx_of(&a, "SHORT.example.");
    assert_int_equal(hits(&a), 2);
    ask_done(&a);
}

static void that_there_is_none_is_kept_as_long_as_the_soa_says(void **state)
{
    struct ask a;

    (void)state;
    ask_init(&a);
    mx_of(&a, "nothere.example");
    mx_of(&a, "nothere.example");
    assert_int_equal(hits(&a), 1);
    usleep(1100000); /* the zone's minimum is a second */
    mx_of(&a, "nothere.example");
    assert_int_equal(hits(&a), 1);
    assert_int_equal(a.result, -ENOENT);
    host_of(&a, "nothere.example");
    host_of(&a, "nothere.example");
    assert_int_equal(hits(&a), 2);
    usleep(1100000);
    host_of(&a, "nothere.example");
    assert_int_equal(hits(&a), 2);
    ask_done(&a);
}

static void the_cache_is_bounded_and_drops_the_least_used(void **state)
{
    struct ask a;
    struct dns_stats s;

    (void)state;
    ask_init_at(&a, server.port, 2);
    mx_of(&a, "one.example");
    mx_of(&a, "equal.example");
    mx_of(&a, "one.example");
    mx_of(&a, "null.example");
    assert_int_equal(hits(&a), 1);
    mx_of(&a, "one.example");
    assert_int_equal(hits(&a), 2);
    mx_of(&a, "equal.example");
    assert_int_equal(hits(&a), 2);
    dns_stats(a.dns, &s);
    assert_int_equal(s.entries, 2);
    ask_done(&a);

    ask_init_at(&a, server.port, 0);
    mx_of(&a, "one.example");
    mx_of(&a, "nomx.example");
    mx_of(&a, "one.example");
    dns_stats(a.dns, &s);
    assert_int_equal(s.entries, 0);
    assert_int_equal(s.hits, 0);
    ask_done(&a);
}

static void equal_questions_under_way_are_joined(void **state)
{
    struct ask a;
    struct dns_stats s;
    struct dns_query *q[10];

    (void)state;
    ask_init(&a);
    for (int i = 0; i < 10; i++)
        dns_mx(a.dns, i % 2 ? "one.example" : "ONE.example.", on_mx, &a, &q[i]);
    dns_cancel(&q[0]);
    assert_null(q[0]);
    dns_cancel(&q[5]);
    await(&a, 8);
    for (int i = 0; i < 20; i++)
        loop_turn(a.loop, 0);
    assert_int_equal(a.answers, 8);
    dns_stats(a.dns, &s);
    assert_int_equal(s.queries, 10);
    assert_int_equal(s.joined, 9);
    ask_done(&a);
}

static void cancelled_queries_are_not_answered(void **state)
{
    struct ask a;
    struct dns_query *q, *none = NULL;

    (void)state;
    ask_init(&a);
    mx_of(&a, "one.example");
    dns_mx(a.dns, "one.example", on_mx, &a, &q); /* from the cache, at the end of the turn */
    dns_cancel(&q);
    dns_mx(a.dns, "nomx.example", on_mx, &a, &q);
    dns_cancel(&q);
    dns_cancel(&none);
    for (int i = 0; i < 200; i++) {
        loop_turn(a.loop, 0);
        usleep(500);
    }
    assert_int_equal(a.answers, 1);
    ask_done(&a);
}

static void on_mx_free(void *ctx, int result, const struct postern_mx *mx, size_t n)
{
    struct ask *a = ctx;

    on_mx(ctx, result, mx, n);
    dns_free(&a->dns);
}

static void freeing_the_resolver_drops_its_queries(void **state)
{
    struct ask a;
    struct dns_query *q;

    (void)state;
    ask_init(&a);
    dns_mx(a.dns, "one.example", on_mx, &a, &q);
    dns_host(a.dns, "mx1.example", on_host, &a, &q);
    dns_mx(a.dns, "[192.0.2.1]", on_mx, &a, &q);
    ask_done(&a);
    assert_int_equal(a.answers, 0);

    ask_init(&a);
    dns_mx(a.dns, "[192.0.2.1]", on_mx_free, &a, &q);
    dns_mx(a.dns, "[192.0.2.2]", on_mx, &a, &q);
    dns_mx(a.dns, "one.example", on_mx, &a, &q);
    loop_turn(a.loop, 0);
    assert_int_equal(a.answers, 1);
    assert_null(a.dns);
    loop_turn(a.loop, 0);
    assert_int_equal(a.answers, 1);
    ask_done(&a);
}

/* --- trouble --- */

static void a_server_that_says_nothing_is_a_temporary_failure(void **state)
{
    struct ask a;
    uint16_t port = 0;
    int mute = local_socket(SOCK_DGRAM, &port);
    struct dns_stats s;
    int64_t start;
    char why[256];

    (void)state;
    ask_init_at(&a, port, 100);
    dns_free(&a.dns);
    a.cfg.timeout = 100000;
    assert_int_equal(dns_new(a.loop, &a.cfg, &a.dns, why, sizeof why), 0);
    start = clock_mono();
    mx_of(&a, "one.example");
    assert_int_equal(a.result, -EAGAIN);
    assert_true(clock_mono() - start >= 200000); /* two tries */
    host_of(&a, "mx1.example");
    assert_int_equal(a.result, -EAGAIN);
    /* For the next 5 s that is known. */
    mx_of(&a, "one.example");
    assert_int_equal(a.result, -EAGAIN);
    dns_stats(a.dns, &s);
    assert_int_equal(s.hits, 1);
    assert_int_equal(s.failures, 2);
    ask_done(&a);
    close(mute);
}

static void a_port_without_a_server_is_a_temporary_failure(void **state)
{
    struct ask a;

    (void)state;
    ask_init_at(&a, free_port(), 100);
    mx_of(&a, "one.example");
    assert_int_equal(a.result, -EAGAIN);
    ask_done(&a);
}

static void the_next_server_is_asked_when_one_is_dead(void **state)
{
    struct ask a;
    char why[256];

    (void)state;
    ask_init_at(&a, free_port(), 100);
    dns_free(&a.dns);
    snprintf(a.servers[1], sizeof a.servers[1], "127.0.0.1:%u", server.port);
    a.list[1] = a.servers[1];
    a.cfg.servers.n = 2;
    assert_int_equal(dns_new(a.loop, &a.cfg, &a.dns, why, sizeof why), 0);
    assert_string_equal(mx_of(&a, "short.example"), "10 mx1.example");
    ask_done(&a);
}

/* --- what the operator knows (U-37, U-38, C-08 to C-11) --- */

#define ONE(text) \
    { \
        1, (const char *const[]) \
        { \
            text \
        } \
    }

static const struct config_local_mx own_mx[] = {
    { ONE("one.example"), "mine.example", 15 },  { ONE("One.Example."), "MX1.example", 40 },
    { ONE("crow.test"), "venus.test", 200 },     { ONE("crow.test"), "merlin.test", 100 },
    { ONE("null.example"), "taker.example", 0 }, { ONE("equal.example"), "d.example", 10 },
    { ONE("dead.example"), "192.0.2.33", 5 },
};
static const struct config_host own_hosts[] = {
    { { 2, (const char *const[]){ "vax.test", "VAX" } },
      { 2, (const char *const[]){ "192.0.2.70", "2001:db8::70" } } },
    { ONE("nomx.example"), ONE("192.0.2.71") },
};

static const struct config_local_mx bad_mx[] = { { ONE("a.example"), "b c", 0 } };
static const struct config_host bad_hosts[] = { { ONE("a.example"), ONE("b.example") } };

static void ask_init_local(struct ask *a, uint16_t port)
{
    char why[256] = "";

    ask_init_at(a, port, 100);
    dns_free(&a->dns);
    a->cfg.local_mx = (struct postern_objects){ sizeof own_mx / sizeof *own_mx, own_mx };
    a->cfg.hosts = (struct postern_objects){ sizeof own_hosts / sizeof *own_hosts, own_hosts };
    assert_int_equal(dns_new(a->loop, &a->cfg, &a->dns, why, sizeof why), 0);
}

static void U_37_U_38_C_09_own_exchangers_are_joined_with_those_of_dns(void **state)
{
    struct ask a;

    (void)state;
    ask_init_local(&a, server.port);
    /* U-38: mx1 is in both, and counts once, with the better preference. */
    assert_string_equal(mx_of(&a, "ONE.example"),
                        "10 mx1.example, 15 mine.example, 20 mx2.example, 30 mx3.example");
    assert_string_equal(mx_of(&a, "crow.test"), "100 merlin.test, 200 venus.test");
    assert_string_equal(a.source, "local mx");
    /* Who has an exchanger of his own does take mail. */
    assert_string_equal(mx_of(&a, "null.example"), "0 taker.example");
    ask_done(&a);
}

static void U_48_C_09_equal_exchangers_of_both_sources_are_shuffled_together(void **state)
{
    int first = 0;
    struct ask a;

    (void)state;
    ask_init_local(&a, server.port);
    for (int i = 0; i < 400; i++)
        first += !strncmp(mx_of(&a, "equal.example"), "10 d.example", 12);
    assert_in_range(first, 20, 380); /* of 400 a quarter is expected */
    ask_done(&a);
}

static void U_37_C_08_own_hosts_are_asked_before_dns(void **state)
{
    struct ask a;

    (void)state;
    ask_init_local(&a, server.port);
    assert_string_equal(host_of(&a, "Vax.Test"), "192.0.2.70, 2001:db8::70");
    assert_string_equal(host_of(&a, "vax"), "192.0.2.70, 2001:db8::70");
    assert_string_equal(host_of(&a, "nomx.example"), "192.0.2.71");
    assert_string_equal(mx_of(&a, "vax.test"), "0 vax.test");
    assert_string_equal(a.source, "local host");
    ask_done(&a);
}

static void C_11_own_exchangers_need_no_name_server(void **state)
{
    struct ask a;

    (void)state;
    ask_init_local(&a, free_port());
    assert_string_equal(mx_of(&a, "dead.example"), "5 192.0.2.33");
    assert_int_equal(a.result, 0);
    assert_string_equal(mx_of(&a, "vax"), "0 vax");
    assert_string_equal(a.source, "local host");
    mx_of(&a, "one.test");
    assert_int_equal(a.result, -EAGAIN);
    ask_done(&a);
}

static void own_names_that_are_none_are_refused_in_words(void **state)
{
    struct dns *dns = NULL;
    char why[256] = "";
    struct ask a;

    (void)state;
    ask_init(&a);
    a.cfg.local_mx = (struct postern_objects){ 1, bad_mx };
    assert_int_equal(dns_new(a.loop, &a.cfg, &dns, why, sizeof why), -EINVAL);
    assert_string_equal(why, "/dns/local_mx/0/host: found \"b c\", expected the name of a host");
    a.cfg.local_mx.n = 0;
    a.cfg.hosts = (struct postern_objects){ 1, bad_hosts };
    assert_int_equal(dns_new(a.loop, &a.cfg, &dns, why, sizeof why), -EINVAL);
    assert_string_equal(why, "/dns/hosts/0/address: found \"b.example\", expected an IP address");
    ask_done(&a);
}

static void servers_that_are_none_are_refused_in_words(void **state)
{
    struct ask a;
    struct dns *dns = NULL;
    char why[256] = "";

    (void)state;
    ask_init(&a);
    a.list[0] = "not an address";
    assert_int_equal(dns_new(a.loop, &a.cfg, &dns, why, sizeof why), -EINVAL);
    assert_null(dns);
    assert_non_null(strstr(why, "not an address"));
    ask_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(U_36_exchangers_come_by_preference),
        cmocka_unit_test(equal_exchangers_are_shuffled_for_every_asker),
        cmocka_unit_test(the_null_mx_is_an_empty_name_unless_there_are_others),
        cmocka_unit_test(a_domain_without_mx_is_its_own_exchanger_if_it_has_addresses),
        cmocka_unit_test(a_name_that_does_not_exist_is_known_not_to),
        cmocka_unit_test(aliases_lead_to_exchangers),
        cmocka_unit_test(an_answer_too_long_for_a_datagram_comes_over_tcp),
        cmocka_unit_test(unicode_domains_are_asked_for_in_their_ascii_form),
        cmocka_unit_test(exchangers_that_are_malformed_are_no_answer),
        cmocka_unit_test(hosts_have_their_ipv6_addresses_first),
        cmocka_unit_test(ipv6_can_be_switched_off),
        cmocka_unit_test(the_hosts_file_is_asked_before_dns),
        cmocka_unit_test(literals_and_nonsense_are_answered_without_asking),
        cmocka_unit_test(an_answer_is_kept_for_its_ttl),
        cmocka_unit_test(that_there_is_none_is_kept_as_long_as_the_soa_says),
        cmocka_unit_test(the_cache_is_bounded_and_drops_the_least_used),
        cmocka_unit_test(equal_questions_under_way_are_joined),
        cmocka_unit_test(cancelled_queries_are_not_answered),
        cmocka_unit_test(freeing_the_resolver_drops_its_queries),
        cmocka_unit_test(a_server_that_says_nothing_is_a_temporary_failure),
        cmocka_unit_test(a_port_without_a_server_is_a_temporary_failure),
        cmocka_unit_test(the_next_server_is_asked_when_one_is_dead),
        cmocka_unit_test(U_37_U_38_C_09_own_exchangers_are_joined_with_those_of_dns),
        cmocka_unit_test(U_48_C_09_equal_exchangers_of_both_sources_are_shuffled_together),
        cmocka_unit_test(U_37_C_08_own_hosts_are_asked_before_dns),
        cmocka_unit_test(C_11_own_exchangers_need_no_name_server),
        cmocka_unit_test(own_names_that_are_none_are_refused_in_words),
        cmocka_unit_test(servers_that_are_none_are_refused_in_words),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
