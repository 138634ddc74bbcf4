/* bench-sink: an SMTP server that takes every message and keeps none.
 *
 * One epoll loop, one receive buffer. Whatever of a chunk cannot be judged yet (half a command,
 * the last bytes of a body that may be the start of the terminator) is kept per connection, at
 * most a few KiB, and is put in front of the next chunk; so commands and data may come in any
 * pieces and several in one, as RFC 2920 lets a pipelining client send them.
 *
 * It counts rounds. A round has a name and a number of messages, and bench-source writes both
 * name and serial number into the Message-ID (<00000042.NAME@bench-source.example.org>), so that
 * the sink can tell a message that came twice from two messages, and knows which are missing.
 *
 * Known gaps, on purpose: no VRFY, no AUTH, no STARTTLS, no BDAT, no syntax checks, no time limits;
 * a client that does not read its replies is cut off. Loopback only. */
#include "bench-common.h"

#include <ctype.h>
#include <getopt.h>
#include <stdbool.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    KEEP_MAX = 4096,      /* longest command line; RFC 5321 asks for 512 plus extensions */
    CHUNK_MAX = 1 << 18,  /* one recv; small enough to stay in the cache */
    HEAD_MAX = 4096,      /* where the Message-ID is looked for, trace headers before it */
    REPLY_MAX = 16384,    /* replies to one chunk, sent together */
    ROUND_MAX = 10000000, /* messages in a round; bounds the bitmap of --check */
};

enum stage { COMMAND, CONTENT };

struct peer {
    int fd;
    enum stage stage;
    size_t kept, head_len;
    uint64_t content_bytes;
    char keep[KEEP_MAX];
    char head[HEAD_MAX]; /* starts with a line feed, so that every header follows one */
};

struct round {
    char name[32];
    unsigned long expected, messages, distinct, duplicates, foreign;
    uint64_t bytes, smallest, largest;
    unsigned long connections;
    double first, last;
    unsigned char *seen; /* a bit a serial number; NULL without --check */
    bool reported;
};

struct sink {
    int epoll, listener;
    bool check, control, once;
    unsigned long open;
    struct round round;
    char line[128]; /* a command of the driver's, as far as it has come */
    size_t line_len;
};

struct replies {
    int fd;
    size_t len;
    bool broken;
    char text[REPLY_MAX];
};

/* KEEP_MAX bytes of headroom take what was kept, so that old and new bytes are one string. */
static char receive_buffer[KEEP_MAX + CHUNK_MAX];

static void replies_flush(struct replies *r)
{
    if (r->len && !r->broken && send(r->fd, r->text, r->len, MSG_NOSIGNAL) != (ssize_t)r->len)
        r->broken = true;
    r->len = 0;
}

static void reply(struct replies *r, const char *text)
{
    size_t len = strlen(text);

    if (len > sizeof(r->text) - r->len)
        replies_flush(r);
    memcpy(r->text + r->len, text, len);
    r->len += len;
}

static void round_start(struct sink *sink, const char *name, unsigned long expected)
{
    struct round *round = &sink->round;

    free(round->seen);
    *round = (struct round){ .expected = expected };
    snprintf(round->name, sizeof(round->name), "%s", name);
    if (sink->check && !(round->seen = calloc(expected / 8 + 1, 1)))
        die(EX_OSERR, "out of memory");
}

static void round_report(const struct sink *sink, const char *event)
{
    const struct round *r = &sink->round;
    unsigned long have = sink->check ? r->distinct : r->messages;

    printf("{\"event\": \"%s\", \"round\": \"%s\", \"expected\": %lu, \"messages\": %lu, "
           "\"missing\": %lu, \"duplicates\": %lu, \"foreign\": %lu, ",
           event, r->name, r->expected, r->messages, have < r->expected ? r->expected - have : 0,
           r->duplicates, r->foreign);
    printf("\"bytes\": %llu, \"smallest\": %llu, \"largest\": %llu, \"connections\": %lu, "
           "\"first\": %.6f, \"last\": %.6f, \"cpu\": %.6f}\n",
           (unsigned long long)r->bytes, (unsigned long long)r->smallest,
           (unsigned long long)r->largest, r->connections, r->first, r->last, own_cpu_seconds());
    fflush(stdout);
}

/* Which message of this round is it? A bounce, or one of an earlier round, is foreign. */
static void round_check(struct round *round, const char *head, size_t len)
{
    static const char field[] = "\nMessage-ID: <";
    const char *end = head + len;
    const char *id = memmem(head, len, field, sizeof(field) - 1);
    unsigned long serial = 0;
    size_t name_len = strlen(round->name);

    for (id = id ? id + sizeof(field) - 1 : end; id < end && isdigit((unsigned char)*id); id++)
        serial = serial * 10 + (unsigned long)(*id - '0');
    if ((size_t)(end - id) < name_len + 2 || *id != '.' ||
        memcmp(id + 1, round->name, name_len) != 0 || id[1 + name_len] != '@' ||
        serial >= round->expected) {
        round->foreign++;
        return;
    }
    if (round->seen[serial / 8] & (1u << serial % 8)) {
        round->duplicates++;
        return;
    }
    round->seen[serial / 8] |= (unsigned char)(1u << serial % 8);
    round->distinct++;
}

static void round_count(struct sink *sink, struct peer *peer)
{
    struct round *round = &sink->round;

    round->last = now_seconds();
    if (round->messages++ == 0)
        round->first = round->last;
    round->bytes += peer->content_bytes;
    if (round->messages == 1 || peer->content_bytes < round->smallest)
        round->smallest = peer->content_bytes;
    if (peer->content_bytes > round->largest)
        round->largest = peer->content_bytes;
    if (sink->check)
        round_check(round, peer->head, peer->head_len);
    if (round->reported || (sink->check ? round->distinct : round->messages) < round->expected)
        return;
    round->reported = true;
    round_report(sink, "complete");
}

static void content_begin(struct peer *peer)
{
    peer->stage = CONTENT;
    peer->content_bytes = 0;
    peer->head[0] = '\n';
    peer->head_len = 1;
}

static void content_take(const struct sink *sink, struct peer *peer, const char *p, size_t len)
{
    size_t room = HEAD_MAX - peer->head_len;

    peer->content_bytes += len;
    if (!sink->check || !room)
        return;
    if (len < room)
        room = len;
    memcpy(peer->head + peer->head_len, p, room);
    peer->head_len += room;
}

/* Takes content from P up to END; returns where the commands go on, or NULL when more must come.
 * The terminator is CRLF "." CRLF, and its first CRLF may be the DATA command's own when the
 * message is empty. Dots are not unstuffed: the bytes are counted, not kept. */
static const char *content_read(const struct sink *sink, struct peer *peer, const char *p,
                                const char *end)
{
    size_t len = (size_t)(end - p), tail;
    const char *dot;

    if (peer->content_bytes == 0 && len >= 3 && memcmp(p, ".\r\n", 3) == 0)
        return p + 3;
    dot = memmem(p, len, "\r\n.\r\n", 5);
    if (dot) {
        content_take(sink, peer, p, (size_t)(dot + 2 - p));
        return dot + 5;
    }
    /* The last 4 bytes may be the start of a terminator: they wait for the next chunk. */
    tail = len < 4 ? len : 4;
    content_take(sink, peer, p, len - tail);
    memcpy(peer->keep, end - tail, tail);
    peer->kept = tail;
    return NULL;
}

static bool is_verb(const char *line, size_t len, const char *verb)
{
    size_t n = strlen(verb);

    return len >= n && strncasecmp(line, verb, n) == 0 && (len == n || line[n] == ' ');
}

/* One command, without its line end. False when the connection shall end. */
static bool command(struct peer *peer, const char *line, size_t len, struct replies *out)
{
    if (len > 5 && (is_verb(line, len, "MAIL") || is_verb(line, len, "RCPT"))) {
        reply(out, line[0] == 'M' || line[0] == 'm' ? "250 2.1.0 Ok\r\n" : "250 2.1.5 Ok\r\n");
    } else if (is_verb(line, len, "DATA")) {
        content_begin(peer);
        reply(out, "354 End data with <CR><LF>.<CR><LF>\r\n");
    } else if (is_verb(line, len, "EHLO")) {
        reply(out,
              "250-sink.example.org\r\n250-PIPELINING\r\n250-SIZE 1073741824\r\n"
              "250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n");
    } else if (is_verb(line, len, "HELO")) {
        reply(out, "250 sink.example.org\r\n");
    } else if (is_verb(line, len, "RSET") || is_verb(line, len, "NOOP")) {
        reply(out, "250 2.0.0 Ok\r\n");
    } else if (is_verb(line, len, "QUIT")) {
        reply(out, "221 2.0.0 Bye\r\n");
        return false;
    } else {
        reply(out, "500 5.5.2 Command not recognised\r\n");
    }
    return true;
}

/* Everything in [P, END), which starts with what was kept. False when the connection shall end. */
static bool peer_read(struct sink *sink, struct peer *peer, const char *p, const char *end,
                      struct replies *out)
{
    peer->kept = 0;
    while (p < end) {
        const char *lf;
        size_t len;

        if (peer->stage == CONTENT) {
            p = content_read(sink, peer, p, end);
            if (!p)
                return true;
            peer->stage = COMMAND;
            reply(out, "250 2.0.0 Ok: taken\r\n");
            round_count(sink, peer);
            continue;
        }
        lf = memchr(p, '\n', (size_t)(end - p));
        if (!lf) {
            if (end - p > KEEP_MAX)
                return false;
            peer->kept = (size_t)(end - p);
            memcpy(peer->keep, p, peer->kept);
            return true;
        }
        len = (size_t)(lf - p);
        if (len && p[len - 1] == '\r')
            len--;
        if (!command(peer, p, len, out))
            return false;
        p = lf + 1;
    }
    return true;
}

static void peer_close(struct sink *sink, struct peer *peer)
{
    sink->open--;
    close(peer->fd);
    free(peer);
}

static void peer_ready(struct sink *sink, struct peer *peer)
{
    static struct replies out;
    char *chunk = receive_buffer + KEEP_MAX;
    ssize_t n = recv(peer->fd, chunk, CHUNK_MAX, 0);
    bool stay;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        peer_close(sink, peer);
        return;
    }
    out.fd = peer->fd;
    out.len = 0;
    out.broken = false;
    chunk -= peer->kept;
    memcpy(chunk, peer->keep, peer->kept);
    stay = peer_read(sink, peer, chunk, chunk + peer->kept + n, &out);
    replies_flush(&out);
    if (!stay || out.broken)
        peer_close(sink, peer);
}

static void accept_all(struct sink *sink)
{
    int fd;

    while ((fd = accept4(sink->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct epoll_event event = { .events = EPOLLIN };
        struct peer *peer = malloc(sizeof(*peer));

        if (!peer)
            die(EX_OSERR, "out of memory");
        peer->fd = fd;
        peer->stage = COMMAND;
        peer->kept = peer->head_len = 0;
        event.data.ptr = peer;
        no_delay(fd);
        sink->open++;
        sink->round.connections++;
        if (send(fd, "220 sink.example.org ESMTP\r\n", 28, MSG_NOSIGNAL) != 28 ||
            epoll_ctl(sink->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
            peer_close(sink, peer);
    }
}

/* The driver's commands: "round NAME COUNT" starts a round and is confirmed, "report" prints how
 * far it is now (also after it was complete: duplicates may come late). */
static void control_line(struct sink *sink, const char *line)
{
    char name[32];
    unsigned long count;

    if (sscanf(line, "round %31s %lu", name, &count) == 2 && count >= 1 && count <= ROUND_MAX) {
        round_name_check(name);
        round_start(sink, name, count);
        printf("{\"event\": \"ready\", \"round\": \"%s\"}\n", name);
        fflush(stdout);
    } else if (strcmp(line, "report") == 0) {
        round_report(sink, "report");
    } else {
        die(EX_DATAERR, "not a command: %s", line);
    }
}

static void control_ready(struct sink *sink)
{
    ssize_t n =
        read(STDIN_FILENO, sink->line + sink->line_len, sizeof(sink->line) - 1 - sink->line_len);
    char *lf;

    if (n <= 0)
        exit(EX_OK); /* the driver is gone */
    sink->line_len += (size_t)n;
    sink->line[sink->line_len] = '\0';
    while ((lf = strchr(sink->line, '\n'))) {
        *lf = '\0';
        control_line(sink, sink->line);
        sink->line_len -= (size_t)(lf + 1 - sink->line);
        memmove(sink->line, lf + 1, sink->line_len + 1);
    }
    if (sink->line_len == sizeof(sink->line) - 1)
        die(EX_DATAERR, "a command is too long");
}

static void sink_open(struct sink *sink, const char *listen_on)
{
    struct sockaddr_in sin = loopback_endpoint(listen_on);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = &sink->listener };
    int on = 1;

    sink->epoll = epoll_create1(EPOLL_CLOEXEC);
    sink->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (sink->epoll < 0 || sink->listener < 0)
        die(EX_OSERR, "socket: %s", strerror(errno));
    setsockopt(sink->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(sink->listener, (struct sockaddr *)&sin, sizeof(sin)) < 0 ||
        listen(sink->listener, 1024) < 0)
        die(EX_UNAVAILABLE, "%s: %s", listen_on, strerror(errno));
    epoll_ctl(sink->epoll, EPOLL_CTL_ADD, sink->listener, &event);
    if (!sink->control)
        return;
    event.data.ptr = &sink->control;
    if (epoll_ctl(sink->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0)
        die(EX_USAGE, "--control: standard input: %s", strerror(errno));
}

static void sink_run(struct sink *sink)
{
    struct epoll_event events[256];

    /* The clients of the last messages still have a QUIT to say. */
    while (!(sink->once && sink->round.reported && !sink->open)) {
        int n = epoll_wait(sink->epoll, events, 256, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &sink->listener)
                accept_all(sink);
            else if (events[i].data.ptr == &sink->control)
                control_ready(sink);
            else
                peer_ready(sink, events[i].data.ptr);
        }
    }
}

static const char usage[] =
    "usage: bench-sink --listen ADDRESS:PORT [--check] [--round NAME] [--count N | --control]\n"
    "  --listen   where to listen; 127.0.0.0/8 only\n"
    "  --count    print a line of JSON when N messages have come; exit when all clients left\n"
    "  --round    the name that bench-source was given (default: r)\n"
    "  --check    count distinct messages by Message-ID; tell duplicate, missing and foreign ones\n"
    "  --control  take \"round NAME COUNT\" and \"report\" from standard input, until it ends\n";

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "listen", required_argument, NULL, 'l' },
        { "count", required_argument, NULL, 'n' },
        { "round", required_argument, NULL, 'r' },
        { "check", no_argument, NULL, 'c' },
        { "control", no_argument, NULL, 'i' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    static struct sink sink;
    const char *listen_on = NULL, *name = "r";
    unsigned long count = 0;
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'l':
            listen_on = optarg;
            break;
        case 'n':
            count = number_option("count", optarg, 1, ROUND_MAX);
            break;
        case 'r':
            round_name_check(name = optarg);
            break;
        case 'c':
            sink.check = true;
            break;
        case 'i':
            sink.control = true;
            break;
        default:
            fputs(usage, c == 'h' ? stdout : stderr);
            return c == 'h' ? EX_OK : EX_USAGE;
        }
    }
    if (!listen_on || optind != argc || (count && sink.control)) {
        fputs(usage, stderr);
        return EX_USAGE;
    }
    sink.once = count > 0;
    round_start(&sink, name, count ? count : ROUND_MAX);
    sink_open(&sink, listen_on);
    sink_run(&sink);
    return EX_OK;
}
