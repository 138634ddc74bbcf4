/* Binding and accepting. */
#include "kit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "log/log.h"

#define SECOND 1000000
#define LONG   (5 * SECOND)

static void endpoints_are_checked_in_words(void **state)
{
    static const struct {
        const char *endpoint, *words;
    } cases[] = {
        { "127.0.0.1:25", NULL },
        { "0.0.0.0:0", NULL },
        { "[::1]:65535", NULL },
        { "[::]:25", NULL },
        { "unix:/run/postern.sock", NULL },
        { "127.0.0.1", "port is missing" },
        { "[::1]", "port is missing" },
        { "::1:25", "brackets" },
        { "[::1:25", "[address]:port" },
        { "[127.0.0.1]:25", "brackets are for" },
        { "localhost:25", "a name is not enough" },
        { ":25", "a name is not enough" },
        { "[]:25", "a name is not enough" },
        { "127.0.0.1:65536", "not a number" },
        { "127.0.0.1:", "not a number" },
        { "127.0.0.1:2 5", "not a number" },
        { "127.0.0.1:-1", "not a number" },
        { "unix:relative", "unix:/path" },
        { "", "port is missing" },
    };
    char path[300] = "unix:/";

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *why = NULL;
        int r = net_endpoint_check(cases[i].endpoint, &why);

        if (cases[i].words) {
            assert_int_equal(r, -EINVAL);
            if (!strstr(why, cases[i].words))
                fail_msg("%s: %s", cases[i].endpoint, why);
        } else if (r) {
            fail_msg("%s: %s", cases[i].endpoint, why);
        }
    }
    memset(path + 6, 'a', 106);
    assert_int_equal(net_endpoint_check(path, &(const char *){ NULL }), 0);
    path[6 + 106] = 'a';
    assert_int_equal(net_endpoint_check(path, &(const char *){ NULL }), -EINVAL);
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;

    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                         : ((struct sockaddr_in *)&a)->sin_port);
}

static void a_taken_port_is_said_and_a_free_one_bound(void **state)
{
    char endpoint[64], want[128], why[256];
    int fd = -1, again = -1;

    (void)state;
    assert_int_equal(net_bind("127.0.0.1:0", &fd, why, sizeof why), 0);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    snprintf(endpoint, sizeof endpoint, "127.0.0.1:%u", port_of(fd));
    snprintf(want, sizeof want, "%s: address already in use (another program listens there)",
             endpoint);
    assert_int_equal(net_bind(endpoint, &again, why, sizeof why), -EADDRINUSE);
    assert_string_equal(why, want);
    assert_int_equal(again, -1);
    close(fd);
    assert_int_equal(net_bind(endpoint, &fd, why, sizeof why), 0);
    close(fd);
    assert_int_equal(net_bind("192.0.2.1:2525", &fd, why, sizeof why), -EADDRNOTAVAIL);
    assert_non_null(strstr(why, "no interface"));
    assert_int_equal(net_bind("nonsense", &fd, why, sizeof why), -EINVAL);
    assert_non_null(strstr(why, "nonsense: the port is missing"));
}

static void both_families_can_have_one_port(void **state)
{
    char endpoint[64], why[256];
    int v4 = -1, v6 = -1, r;

    (void)state;
    r = net_bind("[::]:0", &v6, why, sizeof why);
    if (r == -EAFNOSUPPORT)
        skip(); /* a machine without IPv6 */
    assert_int_equal(r, 0);
    snprintf(endpoint, sizeof endpoint, "0.0.0.0:%u", port_of(v6));
    if (net_bind(endpoint, &v4, why, sizeof why))
        fail_msg("%s", why);
    close(v4);
    close(v6);
}

static void only_a_dead_unix_socket_is_replaced(void **state)
{
    char folder[] = "/tmp/postern-bind-XXXXXX", endpoint[64], why[256];
    int fd = -1, again = -1;
    FILE *f;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(endpoint, sizeof endpoint, "unix:%s/s", folder);
    assert_int_equal(net_bind(endpoint, &fd, why, sizeof why), 0);
    assert_int_equal(net_bind(endpoint, &again, why, sizeof why), -EADDRINUSE);
    close(fd);
    assert_int_equal(net_bind(endpoint, &fd, why, sizeof why), 0);
    close(fd);
    /* A file of that name is somebody's, not a socket's left-over. */
    unlink(endpoint + 5);
    f = fopen(endpoint + 5, "w");
    fclose(f);
    assert_int_equal(net_bind(endpoint, &fd, why, sizeof why), -EADDRINUSE);
    assert_int_equal(access(endpoint + 5, F_OK), 0);
    unlink(endpoint + 5);
    rmdir(folder);
    assert_int_equal(net_bind(endpoint, &fd, why, sizeof why), -ENOENT);
}

/* --- accepting --- */

struct door {
    struct kit k;
    struct listener *listener;
    int fd, accepted, let_go, free_it;
    uint16_t port;
    postern_stream *streams[300];
};

static void on_accept(void *ctx, postern_stream *s)
{
    struct door *d = ctx;

    assert_int_equal(d->k.inside, 1);
    d->streams[d->accepted++] = s;
    if (d->free_it)
        listener_free(&d->listener);
    if (d->let_go)
        d->streams[d->accepted - 1] = NULL; /* a plugin that forgets about it */
    else
        stream_events(s, told_event, &d->k.told);
}

static void door_open(struct door *d)
{
    char why[256];

    memset(d, 0, sizeof *d);
    kit_init(&d->k);
    assert_int_equal(net_bind("127.0.0.1:0", &d->fd, why, sizeof why), 0);
    d->port = port_of(d->fd);
    d->listener = listener_new(&d->k.owner, d->fd, on_accept, d);
}

static void door_close(struct door *d)
{
    for (int i = 0; i < d->accepted; i++)
        stream_abort(d->streams[i]);
    listener_free(&d->listener);
    close(d->fd);
    kit_done(&d->k);
}

static int knock(struct door *d)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons(d->port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void at_most_64_connections_are_taken_in_a_turn(void **state)
{
    static struct door d;
    int fds[100];

    (void)state;
    door_open(&d);
    for (int i = 0; i < 100; i++)
        fds[i] = knock(&d);
    kit_turns(&d.k, 1);
    assert_int_equal(d.accepted, 64);
    kit_turns(&d.k, 1);
    assert_int_equal(d.accepted, 100);
    assert_int_equal(d.k.owner.open, 100);
    for (int i = 0; i < 100; i++)
        close(fds[i]);
    door_close(&d);
}

static void an_accepted_stream_speaks_first_and_knows_its_peer(void **state)
{
    static struct door d;
    struct postern_stream_info i = { .size = sizeof i };
    struct sockaddr_in a;
    socklen_t len = sizeof a;
    char got[16] = "";

    (void)state;
    door_open(&d);
    d.k.peer = knock(&d);
    getsockname(d.k.peer, (struct sockaddr *)&a, &len);
    kit_turns(&d.k, 1);
    stream_write(d.streams[0], "220 hi\r\n", 8);
    kit_turns(&d.k, 1);
    assert_int_equal(peer_read(&d.k, got, sizeof got), 8);
    peer_write(&d.k, "EHLO\r\n", 6);
    kit_run(&d.k, LONG, saw_input);
    stream_info(d.streams[0], &i);
    assert_string_equal(i.peer, "127.0.0.1");
    assert_int_equal(i.peer_port, ntohs(a.sin_port));
    assert_int_equal(i.local_port, d.port);
    door_close(&d);
}

static void an_unclaimed_connection_is_closed(void **state)
{
    static struct door d;
    char c;

    (void)state;
    log_open(&(struct log_config){ .level = 0 }); /* its complaint is expected */
    door_open(&d);
    d.let_go = 1;
    d.k.peer = knock(&d);
    kit_turns(&d.k, 1);
    assert_int_equal(d.k.owner.open, 0);
    assert_int_equal(read(d.k.peer, &c, 1), 0);
    door_close(&d);
}

static void a_listener_may_be_freed_while_it_accepts(void **state)
{
    static struct door d;
    int other;

    (void)state;
    door_open(&d);
    d.free_it = 1;
    d.k.peer = knock(&d);
    other = knock(&d);
    kit_turns(&d.k, 2);
    assert_int_equal(d.accepted, 1);
    assert_null(d.listener);
    close(other);
    door_close(&d);
}

static int one_accepted(struct kit *k)
{
    return CONTAINER(k, struct door, k)->accepted == 1;
}

static void without_descriptors_accepting_pauses_and_goes_on(void **state)
{
    static struct door d;
    struct rlimit old, now;
    int64_t start = clock_mono();

    (void)state;
    door_open(&d);
    d.k.peer = knock(&d);
    getrlimit(RLIMIT_NOFILE, &old);
    now = (struct rlimit){ (rlim_t)d.k.peer + 1, old.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
    kit_turns(&d.k, 1);
    /* Were it not pausing, each of these turns would try again and find the limit lifted. */
    setrlimit(RLIMIT_NOFILE, &old);
    assert_int_equal(d.accepted, 0);
    kit_run(&d.k, 300000, NULL);
    assert_int_equal(d.accepted, 0);
    kit_run(&d.k, LONG, one_accepted);
    assert_true(clock_mono() - start >= 950000);
    door_close(&d);

    /* Freed while it pauses. */
    door_open(&d);
    d.k.peer = knock(&d);
    now.rlim_cur = (rlim_t)d.k.peer + 1;
    setrlimit(RLIMIT_NOFILE, &now);
    kit_turns(&d.k, 1);
    setrlimit(RLIMIT_NOFILE, &old);
    assert_int_equal(d.accepted, 0);
    door_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_are_checked_in_words),
        cmocka_unit_test(a_taken_port_is_said_and_a_free_one_bound),
        cmocka_unit_test(both_families_can_have_one_port),
        cmocka_unit_test(only_a_dead_unix_socket_is_replaced),
        cmocka_unit_test(at_most_64_connections_are_taken_in_a_turn),
        cmocka_unit_test(an_accepted_stream_speaks_first_and_knows_its_peer),
        cmocka_unit_test(an_unclaimed_connection_is_closed),
        cmocka_unit_test(a_listener_may_be_freed_while_it_accepts),
        cmocka_unit_test(without_descriptors_accepting_pauses_and_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
