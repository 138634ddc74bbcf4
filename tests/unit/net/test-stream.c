/* Streams in the clear: input, output, content, time, and the many ways to end. */
#include "kit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "net/private.h"

#define SECOND 1000000
#define LONG   (5 * SECOND)

/* --- input --- */

static void input_comes_as_events_and_stays_until_consumed(void **state)
{
    struct kit k;
    const char *data;

    (void)state;
    kit_pair(&k);
    peer_says(&k, "one");
    peer_says(&k, "two");
    assert_string_equal(k.told.log, "II");
    assert_int_equal(stream_peek(k.told.stream, &data), 6);
    assert_memory_equal(data, "onetwo", 6);
    stream_consume(k.told.stream, 2);
    assert_int_equal(stream_peek(k.told.stream, &data), 4);
    assert_memory_equal(data, "etwo", 4);
    stream_consume(k.told.stream, 100);
    assert_int_equal(stream_peek(k.told.stream, &data), 0);
    assert_non_null(data);
    kit_done(&k);
}

static void lines_end_in_crlf_or_lf_and_say_which(void **state)
{
    struct kit k;
    const char *line;
    size_t len;
    int eol;

    (void)state;
    kit_pair(&k);
    peer_says(&k, "EHLO x\r\n\nbare\n\r\n a\rb\r\r\npart");
    assert_int_equal(stream_line(k.told.stream, 100, &line, &len, &eol), 1);
    assert_int_equal(len, 6);
    assert_memory_equal(line, "EHLO x", 6);
    assert_int_equal(eol, 2);
    assert_int_equal(stream_line(k.told.stream, 100, &line, &len, &eol), 1);
    assert_int_equal(len, 0);
    assert_int_equal(eol, 1);
    assert_int_equal(stream_line(k.told.stream, 100, &line, &len, &eol), 1);
    assert_memory_equal(line, "bare", 4);
    assert_int_equal(eol, 1);
    assert_int_equal(stream_line(k.told.stream, 100, &line, &len, &eol), 1);
    assert_int_equal(len, 0);
    assert_int_equal(eol, 2);
    assert_int_equal(stream_line(k.told.stream, 100, &line, &len, &eol), 1);
    assert_int_equal(len, 5);
    assert_memory_equal(line, " a\rb\r", 5);
    assert_int_equal(stream_line(k.told.stream, 100, &line, &len, &eol), 0);
    peer_says(&k, "ial\r\n");
    assert_int_equal(stream_line(k.told.stream, 100, &line, &len, &eol), 1);
    assert_memory_equal(line, "partial", 7);
    peer_says(&k, "ab\n");
    assert_int_equal(stream_line(k.told.stream, 100, &line, &len, &eol), 1);
    assert_int_equal(len, 2);
    kit_done(&k);
}

static void a_line_over_the_maximum_is_refused_and_kept(void **state)
{
    struct kit k;
    const char *line, *data;
    size_t len;
    int eol;

    (void)state;
    kit_pair(&k);
    peer_says(&k, "12345\r\n");
    assert_int_equal(stream_line(k.told.stream, 4, &line, &len, &eol), -EMSGSIZE);
    assert_int_equal(stream_peek(k.told.stream, &data), 7);
    assert_int_equal(stream_line(k.told.stream, 5, &line, &len, &eol), 1);
    peer_says(&k, "12345\r");
    assert_int_equal(stream_line(k.told.stream, 5, &line, &len, &eol), 0);
    assert_int_equal(stream_line(k.told.stream, 4, &line, &len, &eol), -EMSGSIZE);
    peer_says(&k, "x");
    assert_int_equal(stream_line(k.told.stream, 5, &line, &len, &eol), -EMSGSIZE);
    assert_int_equal(stream_line(k.told.stream, SIZE_MAX, &line, &len, &eol), 0);
    kit_done(&k);
}

static void a_full_buffer_stops_reading_until_there_is_room(void **state)
{
    struct kit k;
    const char *line;
    size_t len, fed = 0;
    int eol, queued;
    char block[1000];

    (void)state;
    kit_pair(&k);
    k.config.input_max = 4000;
    memset(block, 'a', sizeof block);
    for (int i = 0; i < 20; i++, fed += sizeof block)
        peer_write(&k, block, sizeof block);
    kit_turns(&k, 20);
    assert_int_equal(stream_peek(k.told.stream, &line), 4000);
    assert_int_equal(stream_line(k.told.stream, SIZE_MAX, &line, &len, &eol), -EMSGSIZE);
    while (fed) {
        size_t n = stream_peek(k.told.stream, &line);

        assert_true(n > 0 && n <= 4000 && n <= fed);
        stream_consume(k.told.stream, n);
        fed -= n;
        kit_turns(&k, 2);
    }
    assert_int_equal(ioctl(k.peer, FIONREAD, &queued), 0);
    kit_done(&k);
}

static void a_pause_stops_input_and_its_end_brings_it(void **state)
{
    struct kit k;

    (void)state;
    kit_pair(&k);
    stream_pause(k.told.stream, 1);
    peer_says(&k, "hello");
    kit_turns(&k, 5);
    assert_string_equal(k.told.log, "");
    stream_pause(k.told.stream, 0);
    kit_turns(&k, 2);
    assert_string_equal(k.told.log, "I");
    k.told.pause_on_input = 1;
    peer_says(&k, "1");
    peer_says(&k, "2");
    assert_string_equal(k.told.log, "II");
    kit_done(&k);
}

static void input_of_any_chunking_arrives_whole(void **state)
{
    struct kit k;
    struct buf all = { 0 };
    size_t sent = 0;

    (void)state;
    kit_pair(&k);
    k.told.take = 1;
    for (int i = 0; all.len < 2000000; i++)
        buf_printf(&all, "line %d of the input\r\n", i);
    srand(7);
    while (k.told.got.len < all.len) {
        size_t n = 1 + (size_t)rand() % (sent % 3 ? 100000 : 60);
        ssize_t w;

        if (n > all.len - sent)
            n = all.len - sent;
        w = write(k.peer, all.data + sent, n);
        sent += w > 0 ? (size_t)w : 0;
        kit_turns(&k, 1 + rand() % 2);
        k.told.n = 0;
    }
    assert_int_equal(k.told.got.len, all.len);
    assert_memory_equal(k.told.got.data, all.data, all.len);
    buf_free(&all);
    kit_done(&k);
}

/* --- output --- */

static void a_turn_s_output_leaves_in_one_piece_at_its_end(void **state)
{
    struct kit k;
    char got[64] = "", block[20000] = "";

    (void)state;
    kit_pair(&k);
    assert_int_equal(stream_write(k.told.stream, "250-a\r\n", 7), 0);
    assert_int_equal(stream_printf(k.told.stream, "250 %s\r\n", "b"), 0);
    assert_int_equal(stream_pending(k.told.stream), 14);
    assert_int_equal(peer_read(&k, got, sizeof got), 0);
    kit_turns(&k, 1);
    assert_int_equal(peer_read(&k, got, sizeof got), 14);
    assert_string_equal(got, "250-a\r\n250 b\r\n");
    assert_int_equal(stream_pending(k.told.stream), 0);
    assert_string_equal(k.told.log, "D");
    kit_turns(&k, 3);
    assert_string_equal(k.told.log, "D");
    /* Turns that send nothing drain nothing, whatever else they do. */
    k.told.take = 1;
    peer_write(&k, block, sizeof block);
    kit_turns(&k, 3);
    assert_string_equal(k.told.log, "DI");
    assert_int_equal(k.told.got.len, sizeof block);
    kit_done(&k);
}

static void writing_inside_the_callback_is_allowed(void **state)
{
    struct kit k;
    char got[64] = "";

    (void)state;
    kit_pair(&k);
    k.told.write_on = POSTERN_STREAM_INPUT;
    peer_says(&k, "x");
    assert_int_equal(peer_read(&k, got, sizeof got), 5);
    assert_string_equal(k.told.log, "ID");
    kit_done(&k);
}

static void a_slow_reader_gets_all_and_the_writer_a_limit(void **state)
{
    struct kit k;
    struct buf got = { 0 }, want = { 0 };
    char block[10000];
    int r = 0, refused = 0;

    (void)state;
    kit_pair(&k);
    k.config.output_max = 100000;
    for (int i = 0; i < 400; i++) {
        memset(block, 'a' + i % 26, sizeof block);
        r = stream_write(k.told.stream, block, sizeof block);
        if (r) {
            char some[30000];
            size_t n;

            assert_int_equal(r, -ENOBUFS);
            assert_int_equal(stream_pending(k.told.stream), 100000);
            refused++;
            while (stream_pending(k.told.stream) > 90000) {
                n = peer_read(&k, some, sizeof some);
                buf_add(&got, some, n);
                kit_turns(&k, 1);
            }
            assert_int_equal(stream_write(k.told.stream, block, sizeof block), 0);
        }
        buf_add(&want, block, sizeof block);
        k.told.n = 0;
        memset(k.told.log, 0, sizeof k.told.log);
        if (i % 3 == 0)
            kit_turns(&k, 1);
    }
    assert_true(refused > 10);
    assert_int_equal(stream_write(k.told.stream, block, 0), 0);
    peer_collect(&k, &got, want.len);
    kit_turns(&k, 2);
    assert_int_equal(told_saw(&k.told, 'D'), 1);
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.data, want.data, want.len);
    buf_free(&got);
    buf_free(&want);
    kit_done(&k);
}

static void printf_over_4_kib_is_refused(void **state)
{
    struct kit k;
    char text[5000];

    (void)state;
    kit_pair(&k);
    memset(text, 'x', sizeof text);
    text[4096] = '\0';
    assert_int_equal(stream_printf(k.told.stream, "%s", text), 0);
    text[4096] = 'x';
    text[4097] = '\0';
    assert_int_equal(stream_printf(k.told.stream, "%s", text), -EMSGSIZE);
    assert_int_equal(stream_pending(k.told.stream), 4096);
    kit_done(&k);
}

/* --- content --- */

static struct buf message(size_t size)
{
    struct buf b = { 0 };

    srand(3);
    while (b.len < size) {
        switch (rand() % 20) {
        case 0:
            buf_adds(&b, ".\r\n");
            break;
        case 1:
            buf_adds(&b, "..dots\r\n");
            break;
        case 2:
            for (int i = rand() % 100000; i > 0; i--)
                buf_addc(&b, 'Q');
            buf_adds(&b, "\r\n");
            break;
        default:
            buf_adds(&b, "An ordinary line. It has a dot.\r\n");
        }
    }
    return b;
}

/* What a strict server makes of "DATA" to the end of data. Returns where it ends. */
static size_t decode(const char *wire, size_t len, struct buf *ret)
{
    size_t i = 0;

    for (;;) {
        const char *end = memmem(wire + i, len - i, "\r\n", 2);
        size_t n;

        assert_non_null(end);
        n = (size_t)(end - wire) - i;
        if (n == 1 && wire[i] == '.')
            return i + 3;
        if (n && wire[i] == '.') {
            i++;
            n--;
        }
        buf_add(ret, wire + i, n + 2);
        i += n + 2;
    }
}

static void content_goes_between_what_was_queued_before_and_after(void **state)
{
    for (int disk = 0; disk < 2; disk++) {
        struct kit k;
        struct buf plain = message(10 << 20), wire = { 0 }, back = { 0 };
        postern_content *c;
        size_t end;

        (void)state;
        kit_pair(&k);
        if (disk) {
            char path[] = "/tmp/postern-stream-XXXXXX";

            c = content_new_memory(NULL, plain.len);
            c->fd = mkstemp(path);
            unlink(path);
            assert_int_equal(write(c->fd, plain.data, plain.len), plain.len);
        } else {
            char *copy = malloc(plain.len);

            memcpy(copy, plain.data, plain.len);
            c = content_new_memory(copy, plain.len);
        }
        stream_write(k.told.stream, "BEFORE\r\n", 8);
        assert_int_equal(stream_content(k.told.stream, c, 0, POSTERN_CONTENT_DOTS), 0);
        assert_int_equal(stream_content(k.told.stream, c, 0, POSTERN_CONTENT_DOTS), -EBUSY);
        stream_write(k.told.stream, "QUIT\r\n", 6);
        assert_true(stream_pending(k.told.stream) >= 15);
        peer_collect(&k, &wire, plain.len);
        kit_run(&k, LONG, saw_drained);
        while (wire.len < 6 || memcmp(wire.data + wire.len - 6, "QUIT\r\n", 6))
            peer_collect(&k, &wire, wire.len + 1);
        assert_string_equal(k.told.log, "D");
        assert_memory_equal(wire.data, "BEFORE\r\n", 8);
        end = 8 + decode(wire.data + 8, wire.len - 8, &back);
        assert_int_equal(wire.len, end + 6);
        assert_int_equal(back.len, plain.len);
        assert_memory_equal(back.data, plain.data, plain.len);
        if (c->fd >= 0)
            close(c->fd);
        content_unref(&c);
        buf_free(&plain);
        buf_free(&wire);
        buf_free(&back);
        kit_done(&k);
    }
}

static void content_from_the_middle_and_empty_content(void **state)
{
    struct kit k;
    postern_content *c = content_new_memory(strdup("ab\r\ncd\r\n"), 8);
    char got[64] = "";

    (void)state;
    kit_pair(&k);
    assert_int_equal(stream_content(k.told.stream, c, 9, POSTERN_CONTENT_DOTS), -EINVAL);
    assert_int_equal(stream_content(k.told.stream, c, 4, POSTERN_CONTENT_DOTS), 0);
    kit_turns(&k, 1);
    assert_int_equal(stream_content(k.told.stream, c, 8, 0), 0);
    kit_turns(&k, 1);
    assert_int_equal(stream_content(k.told.stream, c, 8, POSTERN_CONTENT_DOTS), 0);
    kit_turns(&k, 1);
    peer_read(&k, got, sizeof got);
    assert_string_equal(got, "cd\r\n.\r\n.\r\n");
    assert_string_equal(k.told.log, "DDD");
    content_unref(&c);
    kit_done(&k);
}

static void content_that_cannot_be_read_is_an_error(void **state)
{
    struct kit k;
    postern_content *c = content_new_memory(NULL, 1000);

    (void)state;
    kit_pair(&k);
    c->fd = -1;
    stream_content(k.told.stream, c, 0, POSTERN_CONTENT_DOTS);
    kit_run(&k, LONG, saw_error);
    assert_string_equal(k.told.log, "X");
    assert_int_equal(k.told.error, -EBADF);
    assert_non_null(strstr(k.told.error_text, "content"));
    content_unref(&c);
    kit_done(&k);
}

static void content_is_kept_while_a_closed_stream_flushes(void **state)
{
    struct kit k;
    size_t size = 4 << 20;
    char *data = malloc(size);
    postern_content *c = content_new_memory(data, size);
    struct buf wire = { 0 };

    (void)state;
    memset(data, 'z', size);
    kit_pair(&k);
    stream_content(k.told.stream, c, 0, POSTERN_CONTENT_DOTS);
    stream_close(k.told.stream);
    k.told.stream = NULL;
    content_unref(&c);
    peer_collect(&k, &wire, size + 5);
    assert_memory_equal(wire.data + size, "\r\n.\r\n", 5);
    kit_run(&k, LONG, all_closed);
    buf_free(&wire);
    kit_done(&k);
}

/* --- time --- */

static void a_deadline_passes_once_and_the_stream_stands(void **state)
{
    struct kit k;
    int64_t start;

    (void)state;
    kit_pair(&k);
    start = clock_mono();
    stream_deadline(k.told.stream, 50000);
    kit_run(&k, LONG, saw_timeout);
    assert_true(clock_mono() - start >= 45000);
    assert_true(clock_mono() - start < 2 * SECOND);
    kit_run(&k, 100000, NULL);
    peer_says(&k, "x");
    assert_string_equal(k.told.log, "TI");
    kit_done(&k);
}

static void a_deadline_set_again_replaces_the_old_one(void **state)
{
    struct kit k;
    int64_t start;

    (void)state;
    kit_pair(&k);
    stream_deadline(k.told.stream, 40000);
    stream_deadline(k.told.stream, 300 * (uint64_t)SECOND);
    kit_run(&k, 120000, NULL);
    assert_string_equal(k.told.log, "");
    start = clock_mono();
    stream_deadline(k.told.stream, 30000);
    kit_run(&k, LONG, saw_timeout);
    assert_true(clock_mono() - start < 2 * SECOND);
    stream_deadline(k.told.stream, 30000);
    stream_deadline(k.told.stream, 0);
    stream_deadline(k.told.stream, UINT64_MAX);
    kit_run(&k, 100000, NULL);
    assert_string_equal(k.told.log, "T");
    kit_done(&k);
}

static void no_deadline_passes_on_a_stream_that_is_gone(void **state)
{
    struct kit k;

    (void)state;
    kit_pair(&k);
    stream_deadline(k.told.stream, 10000);
    stream_abort(k.told.stream);
    k.told.stream = NULL;
    kit_run(&k, 40000, NULL);
    assert_string_equal(k.told.log, "");
    kit_done(&k);
}

/* --- ends --- */

static void the_peer_s_end_comes_after_its_last_words_and_we_may_still_speak(void **state)
{
    struct kit k;
    char got[16] = "";

    (void)state;
    kit_pair(&k);
    peer_write(&k, "bye", 3);
    shutdown(k.peer, SHUT_WR);
    kit_turns(&k, 4);
    assert_string_equal(k.told.log, "IE");
    assert_int_equal(stream_write(k.told.stream, "ciao", 4), 0);
    kit_turns(&k, 2);
    assert_int_equal(peer_read(&k, got, sizeof got), 4);
    kit_turns(&k, 4);
    assert_string_equal(k.told.log, "IED");
    kit_done(&k);
}

static void writing_to_a_peer_that_is_gone_is_one_error_and_the_last(void **state)
{
    struct kit k;

    (void)state;
    kit_pair(&k);
    close(k.peer);
    k.peer = -1;
    kit_turns(&k, 2);
    assert_string_equal(k.told.log, "E");
    stream_write(k.told.stream, "x", 1);
    kit_turns(&k, 4);
    assert_string_equal(k.told.log, "EX");
    assert_int_equal(k.told.error, -EPIPE);
    assert_int_equal(stream_write(k.told.stream, "x", 1), -EPIPE);
    stream_deadline(k.told.stream, 1000);
    kit_run(&k, 20000, NULL);
    assert_string_equal(k.told.log, "EX");
    kit_done(&k);
}

/* Inside a callback, so that the turn's end writes before anything can be read. */
static void peer_says_421_and_leaves(struct told *t, uint32_t event)
{
    if (event != POSTERN_STREAM_TIMEOUT)
        return;
    peer_write(t->kit, "421 no\r\n", 8);
    close(t->kit->peer);
    t->kit->peer = -1;
    stream_write(t->stream, "x", 1);
}

static void what_the_peer_said_before_it_hung_up_is_heard_before_the_error(void **state)
{
    struct kit k;
    const char *data;

    (void)state;
    kit_pair(&k);
    k.told.also = peer_says_421_and_leaves;
    stream_deadline(k.told.stream, 1000);
    kit_run(&k, LONG, saw_timeout);
    assert_string_equal(k.told.log, "TIX");
    assert_int_equal(stream_peek(k.told.stream, &data), 8);
    assert_memory_equal(data, "421 no\r\n", 8);
    kit_done(&k);
}

static void closing_inside_any_callback_ends_the_events(void **state)
{
    static const uint32_t events[] = { POSTERN_STREAM_INPUT, POSTERN_STREAM_DRAINED,
                                       POSTERN_STREAM_EOF, POSTERN_STREAM_TIMEOUT,
                                       POSTERN_STREAM_ERROR };

    (void)state;
    for (int abort_it = 0; abort_it < 2; abort_it++) {
        for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
            struct kit k;
            char got[16];

            kit_pair(&k);
            if (abort_it)
                k.told.abort_on = events[i];
            else
                k.told.close_on = events[i];
            stream_write(k.told.stream, "hello", 5);
            stream_deadline(k.told.stream, 20000);
            kit_turns(&k, 1);
            (void)!send(k.peer, "data", 4, MSG_NOSIGNAL); /* it may be closed already */
            kit_turns(&k, 2);
            if (events[i] == POSTERN_STREAM_TIMEOUT)
                kit_run(&k, 60000, NULL);
            while (read(k.peer, got, sizeof got) > 0)
                continue; /* closing with unread input would reset the connection */
            close(k.peer);
            k.peer = -1;
            if (k.told.stream)
                stream_write(k.told.stream, "x", 1);
            kit_run(&k, LONG, all_closed);
            assert_null(k.told.stream);
            assert_int_equal(k.told.log[k.told.n - 1], "?OIDSETX"[events[i]]);
            kit_done(&k);
        }
    }
}

static void close_flushes_to_a_slow_reader_without_events(void **state)
{
    struct kit k;
    struct buf got = { 0 };
    char block[100000];

    (void)state;
    memset(block, 'q', sizeof block);
    kit_pair(&k);
    for (int i = 0; i < 8; i++)
        assert_int_equal(stream_write(k.told.stream, block, sizeof block), 0);
    kit_turns(&k, 2);
    assert_true(stream_pending(k.told.stream) > 0);
    stream_close(k.told.stream);
    k.told.stream = NULL;
    kit_turns(&k, 2);
    assert_int_equal(k.owner.open, 1);
    peer_collect(&k, &got, SIZE_MAX);
    assert_int_equal(got.len, 8 * sizeof block);
    kit_run(&k, LONG, all_closed);
    assert_string_equal(k.told.log, "");
    buf_free(&got);
    kit_done(&k);
}

static void abort_drops_what_is_queued(void **state)
{
    struct kit k;

    (void)state;
    kit_pair(&k);
    stream_write(k.told.stream, "never seen", 10);
    stream_abort(k.told.stream);
    k.told.stream = NULL;
    assert_int_equal(k.owner.open, 0);
    kit_turns(&k, 2);
    assert_true(peer_at_end(&k));
    assert_string_equal(k.told.log, "");
    stream_close(NULL);
    stream_abort(NULL);
    kit_done(&k);
}

/* --- TCP --- */

static int tcp_listener(uint16_t *ret_port, int backlog)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

/* A stream on TCP, connected to a socket of ours. */
static void kit_tcp(struct kit *k)
{
    uint16_t port;
    int listener = tcp_listener(&port, 5);

    kit_init(k);
    assert_int_equal(
        stream_connect(&k->owner, "127.0.0.1", port, LONG, told_event, &k->told, &k->told.stream),
        0);
    assert_string_equal(k->told.log, "");
    kit_run(k, LONG, saw_open);
    k->peer = accept(listener, NULL, NULL);
    fcntl(k->peer, F_SETFL, O_NONBLOCK);
    close(listener);
}

static void a_connection_opens_and_knows_who_is_there(void **state)
{
    struct kit k;
    struct postern_stream_info i = { .size = sizeof i };
    struct sockaddr_in a;
    socklen_t len = sizeof a;

    (void)state;
    kit_tcp(&k);
    stream_info(k.told.stream, &i);
    getpeername(k.peer, (struct sockaddr *)&a, &len);
    assert_string_equal(i.peer, "127.0.0.1");
    assert_string_equal(i.local, "127.0.0.1");
    assert_int_equal(i.local_port, ntohs(a.sin_port));
    getsockname(k.peer, (struct sockaddr *)&a, &len);
    assert_int_equal(i.peer_port, ntohs(a.sin_port));
    assert_null(i.tls_version);
    assert_null(i.error_text);
    assert_int_equal(i.size, sizeof i);
    /* An older caller's struct is filled in as far as it goes. */
    memset(&i, 0x55, sizeof i);
    i.size = offsetof(struct postern_stream_info, peer);
    stream_info(k.told.stream, &i);
    assert_int_equal(i.flags, 0);
    assert_int_equal((uintptr_t)i.peer, 0x5555555555555555u);
    kit_done(&k);
}

static void output_queued_before_open_leaves_after_it(void **state)
{
    struct kit k;
    uint16_t port;
    int listener = tcp_listener(&port, 5);
    char got[8] = "";

    (void)state;
    kit_init(&k);
    stream_connect(&k.owner, "127.0.0.1", port, LONG, told_event, &k.told, &k.told.stream);
    assert_int_equal(stream_write(k.told.stream, "first", 5), 0);
    kit_run(&k, LONG, saw_drained);
    assert_string_equal(k.told.log, "OD");
    k.peer = accept(listener, NULL, NULL);
    assert_int_equal(peer_read(&k, got, sizeof got), 5);
    close(listener);
    kit_done(&k);
}

static void a_refused_connection_is_an_error_event_in_words(void **state)
{
    struct kit k;
    uint16_t port;
    char want[64];

    (void)state;
    close(tcp_listener(&port, 5));
    kit_init(&k);
    assert_int_equal(
        stream_connect(&k.owner, "127.0.0.1", port, LONG, told_event, &k.told, &k.told.stream), 0);
    assert_string_equal(k.told.log, "");
    kit_run(&k, LONG, saw_error);
    assert_string_equal(k.told.log, "X");
    assert_int_equal(k.told.error, -ECONNREFUSED);
    snprintf(want, sizeof want, "connect to 127.0.0.1:%u: connection refused", port);
    assert_string_equal(k.told.error_text, want);
    kit_done(&k);
}

static void an_address_that_is_none_is_refused_at_once(void **state)
{
    static const char *const bad[] = { "",      "localhost",     "127.0.0.1:25",
                                       "[::1]", "1.2.3",         "unix:rel/a",
                                       "unix:", "::1%nosuchif0", "256.1.1.1" };
    struct kit k;
    postern_stream *s = NULL;

    (void)state;
    kit_init(&k);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(stream_connect(&k.owner, bad[i], 25, 0, told_event, &k.told, &s), -EINVAL);
        assert_null(s);
    }
    assert_int_equal(k.owner.open, 0);
    kit_done(&k);
}

static void a_failure_that_the_kernel_tells_at_once_is_an_event_too(void **state)
{
    struct kit k;

    (void)state;
    kit_init(&k);
    assert_int_equal(stream_connect(&k.owner, "unix:/nonexistent/socket", 0, LONG, told_event,
                                    &k.told, &k.told.stream),
                     0);
    assert_string_equal(k.told.log, "");
    kit_turns(&k, 2);
    assert_string_equal(k.told.log, "X");
    assert_int_equal(k.told.error, -ENOENT);
    assert_string_equal(k.told.error_text,
                        "connect to unix:/nonexistent/socket: no such file or directory");
    stream_close(k.told.stream);
    /* Closed before it is told: nothing comes. */
    stream_connect(&k.owner, "unix:/nonexistent/socket", 0, LONG, told_event, &k.told,
                   &k.told.stream);
    stream_close(k.told.stream);
    k.told.stream = NULL;
    kit_turns(&k, 3);
    assert_string_equal(k.told.log, "X");
    kit_done(&k);
}

static void a_connection_nobody_answers_times_out(void **state)
{
    struct kit k;
    uint16_t port;
    int listener = tcp_listener(&port, 0), fill[8];
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int64_t start;

    (void)state;
    /* With its backlog full, a listener lets further connections hang. */
    a.sin_port = htons(port);
    for (int i = 0; i < 8; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(fill[i], (struct sockaddr *)&a, sizeof a);
    }
    usleep(20000);
    kit_init(&k);
    start = clock_mono();
    stream_connect(&k.owner, "127.0.0.1", port, 100000, told_event, &k.told, &k.told.stream);
    kit_run(&k, LONG, saw_error);
    assert_string_equal(k.told.log, "X");
    assert_int_equal(k.told.error, -ETIMEDOUT);
    assert_true(clock_mono() - start >= 95000);
    for (int i = 0; i < 8; i++)
        close(fill[i]);
    close(listener);
    kit_done(&k);
}

static void a_reset_is_one_error(void **state)
{
    struct kit k;
    struct linger hard = { 1, 0 };

    (void)state;
    kit_tcp(&k);
    setsockopt(k.peer, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(k.peer);
    k.peer = -1;
    kit_run(&k, LONG, saw_error);
    kit_run(&k, 20000, NULL);
    assert_string_equal(k.told.log, "OX");
    assert_int_equal(k.told.error, -ECONNRESET);
    assert_string_equal(k.told.error_text, "connection reset by peer");
    kit_done(&k);
}

static void last_words_survive_input_that_nobody_read(void **state)
{
    struct kit k;
    struct buf got = { 0 };

    (void)state;
    kit_tcp(&k);
    stream_pause(k.told.stream, 1);
    peer_says(&k, "MAIL FROM:<spam@example.com>\r\n");
    stream_write(k.told.stream, "421 go away\r\n", 13);
    stream_close(k.told.stream);
    k.told.stream = NULL;
    kit_turns(&k, 3);
    /* A close would have reset the connection by now, and this would fail. */
    peer_write(&k, "RCPT TO:<x@example.com>\r\n", 25);
    kit_turns(&k, 3);
    assert_int_equal(k.owner.open, 1);
    peer_collect(&k, &got, SIZE_MAX);
    assert_int_equal(got.len, 13);
    close(k.peer);
    k.peer = -1;
    kit_run(&k, LONG, all_closed);
    assert_string_equal(k.told.log, "O");
    buf_free(&got);
    kit_done(&k);
}

static void lingering_ends_though_the_peer_stays(void **state)
{
    struct kit k;

    (void)state;
    kit_tcp(&k);
    stream_pause(k.told.stream, 1);
    peer_says(&k, "unread");
    stream_close(k.told.stream);
    k.told.stream = NULL;
    assert_int_equal(k.owner.open, 1);
    kit_run(&k, LONG, all_closed);
    kit_done(&k);
}

static void idle_streams_are_small(void **state)
{
    enum { N = 400 };
    struct kit k;
    static int fds[N][2];
    static postern_stream *streams[N];
    char block[50000];
    size_t memory = 0;

    (void)state;
    kit_init(&k);
    k.told.take = 1;
    memset(block, 'm', sizeof block);
    for (int i = 0; i < N; i++) {
        socketpair(AF_UNIX, SOCK_STREAM, 0, fds[i]);
        streams[i] = stream_from_fd(&k.owner, fds[i][0], 0);
        stream_events(streams[i], told_event, &k.told);
        assert_int_equal(write(fds[i][1], block, sizeof block), sizeof block);
        stream_write(streams[i], block, sizeof block);
        kit_turns(&k, 3);
        while (read(fds[i][1], block, sizeof block) == sizeof block && stream_pending(streams[i]))
            kit_turns(&k, 1);
        k.told.n = 0;
        buf_clear(&k.told.got);
        assert_int_equal(stream_pending(streams[i]), 0);
        memory += sizeof *streams[i] + streams[i]->in.cap + streams[i]->out.cap;
    }
    assert_true(memory / N < 10240);
    for (int i = 0; i < N; i++) {
        stream_abort(streams[i]);
        close(fds[i][1]);
    }
    kit_done(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(input_comes_as_events_and_stays_until_consumed),
        cmocka_unit_test(lines_end_in_crlf_or_lf_and_say_which),
        cmocka_unit_test(a_line_over_the_maximum_is_refused_and_kept),
        cmocka_unit_test(a_full_buffer_stops_reading_until_there_is_room),
        cmocka_unit_test(a_pause_stops_input_and_its_end_brings_it),
        cmocka_unit_test(input_of_any_chunking_arrives_whole),
        cmocka_unit_test(a_turn_s_output_leaves_in_one_piece_at_its_end),
        cmocka_unit_test(writing_inside_the_callback_is_allowed),
        cmocka_unit_test(a_slow_reader_gets_all_and_the_writer_a_limit),
        cmocka_unit_test(printf_over_4_kib_is_refused),
        cmocka_unit_test(content_goes_between_what_was_queued_before_and_after),
        cmocka_unit_test(content_from_the_middle_and_empty_content),
        cmocka_unit_test(content_that_cannot_be_read_is_an_error),
        cmocka_unit_test(content_is_kept_while_a_closed_stream_flushes),
        cmocka_unit_test(a_deadline_passes_once_and_the_stream_stands),
        cmocka_unit_test(a_deadline_set_again_replaces_the_old_one),
        cmocka_unit_test(no_deadline_passes_on_a_stream_that_is_gone),
        cmocka_unit_test(the_peer_s_end_comes_after_its_last_words_and_we_may_still_speak),
        cmocka_unit_test(writing_to_a_peer_that_is_gone_is_one_error_and_the_last),
        cmocka_unit_test(what_the_peer_said_before_it_hung_up_is_heard_before_the_error),
        cmocka_unit_test(closing_inside_any_callback_ends_the_events),
        cmocka_unit_test(close_flushes_to_a_slow_reader_without_events),
        cmocka_unit_test(abort_drops_what_is_queued),
        cmocka_unit_test(a_connection_opens_and_knows_who_is_there),
        cmocka_unit_test(output_queued_before_open_leaves_after_it),
        cmocka_unit_test(a_refused_connection_is_an_error_event_in_words),
        cmocka_unit_test(an_address_that_is_none_is_refused_at_once),
        cmocka_unit_test(a_failure_that_the_kernel_tells_at_once_is_an_event_too),
        cmocka_unit_test(a_connection_nobody_answers_times_out),
        cmocka_unit_test(a_reset_is_one_error),
        cmocka_unit_test(last_words_survive_input_that_nobody_read),
        cmocka_unit_test(lingering_ends_though_the_peer_stays),
        cmocka_unit_test(idle_streams_are_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
