/* bench-source: sends M messages over N SMTP sessions and tells how that went.
 *
 * One epoll loop. A session takes the next serial number whenever it is free, so a slow session
 * does not hold the others up. By default a command waits for the reply to the one before, as in
 * Postfix's smtp-source; --pipelining sends MAIL, RCPT and DATA together where the server offers
 * it, as most real clients do. Connections are kept unless --per-connection says otherwise.
 *
 * All messages of a run have the same length: a header written anew for each (its Message-ID
 * tells bench-sink which message it is) and one shared body of 76-character lines.
 *
 * Known gaps, on purpose: no TLS, no AUTH, one recipient a message, no retry. Any reply that is
 * not the hoped-for one ends its session, and the run exits with EX_TEMPFAIL. Loopback only. */
#include "bench-common.h"

#include <getopt.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    HEADER_MAX = 1024,
    REPLY_MAX = 4096, /* a whole reply, EHLO's being the longest */
    SESSIONS_MAX = 10000,
    MESSAGES_MAX = 10000000,
    SIZE_MAX_BYTES = 1 << 30,
    COMPLAINTS_MAX = 5, /* the sixth session that fails in the same way adds nothing */
};

/* What a session waits for, in the order in which it comes. */
enum stage { GREETING, EHLO, MAIL, RCPT, DATA, CONTENT, QUIT };

static const struct {
    const char *name, *want;
} stages[] = {
    [GREETING] = { "greeting", "220" }, [EHLO] = { "EHLO", "250" },
    [MAIL] = { "MAIL", "250" },         [RCPT] = { "RCPT", "250" },
    [DATA] = { "DATA", "354" },         [CONTENT] = { "content", "250" },
    [QUIT] = { "QUIT", "221" },
};

struct session {
    int fd;
    enum stage stage;
    bool pipelining, wants_out;
    unsigned long serial, on_connection;
    double began;
    struct iovec out[2]; /* what is still to be written: a command, or a header and the body */
    size_t reply_len;
    char header[HEADER_MAX];
    char reply[REPLY_MAX];
};

struct source {
    struct sockaddr_in to;
    const char *sender, *domain, *round;
    unsigned long sessions, messages, per_connection;
    size_t size;
    bool pipelining;
    double timeout;

    int epoll;
    unsigned long next, accepted, failed_sessions, connections, open;
    double first_connect, last_accept, last_end;
    char date[64];
    char *body;
    size_t body_len;
    uint32_t *latency_usec; /* one an accepted message */
    struct session *session;
};

static void session_open(struct source *src, struct session *s);

/* Header and recipient have the same length for every serial number: the body fits them all. */
static size_t header_write(const struct source *src, char *buf, unsigned long serial)
{
    int n = snprintf(buf, HEADER_MAX,
                     "From: Bench Source <%s>\r\n"
                     "To: User %03lu <user%03lu@%s>\r\n"
                     "Subject: Figures for week %02lu, and a question about item %04lu\r\n"
                     "Date: %s\r\n"
                     "Message-ID: <%08lu.%s@bench-source.example.org>\r\n"
                     "MIME-Version: 1.0\r\n"
                     "Content-Type: text/plain; charset=us-ascii\r\n"
                     "\r\n",
                     src->sender, serial % 1000, serial % 1000, src->domain, serial % 52 + 1,
                     serial % 10000, src->date, serial, src->round);

    if (n < 0 || n >= HEADER_MAX)
        die(EX_USAGE, "--sender or --domain is too long");
    return (size_t)n;
}

static void body_make(struct source *src)
{
    static const char text[] =
        "Dear colleagues, the figures of last week are below. Stock went down by a fifth, and "
        "orders came in late from two of the regions; the lorry firm has been told, once more. "
        "Please look at the third column before Thursday and say whether 17 can be right? ";
    char header[HEADER_MAX];
    size_t header_len = header_write(src, header, 0), at = 0, column = 0;

    if (src->size < header_len + 2)
        die(EX_USAGE, "--size %zu: the header alone takes %zu", src->size, header_len);
    src->body_len = src->size - header_len + 3; /* the "." CRLF is not part of the size */
    src->body = malloc(src->body_len);
    if (!src->body)
        die(EX_OSERR, "out of memory");
    for (size_t i = 0, n = src->body_len - 5; i < n; i++) {
        if (column == 76 && n - i >= 2) {
            src->body[i++] = '\r';
            src->body[i] = '\n';
            column = 0;
            continue;
        }
        src->body[i] = text[at++ % (sizeof(text) - 1)];
        if (column++ == 0 && src->body[i] == '.')
            src->body[i] = ','; /* so that no line needs a second dot, RFC 5321 4.5.2 */
    }
    memcpy(src->body + src->body_len - 5, "\r\n.\r\n", 5);
}

static void session_close(struct source *src, struct session *s)
{
    close(s->fd);
    s->fd = -1;
    src->open--;
    src->last_end = now_seconds();
}

__attribute__((format(printf, 3, 4))) static void session_fail(struct source *src,
                                                               struct session *s, const char *fmt,
                                                               ...)
{
    va_list ap;

    if (++src->failed_sessions <= COMPLAINTS_MAX) {
        fprintf(stderr, "%s: at %s: ", program_invocation_short_name, stages[s->stage].name);
        va_start(ap, fmt);
        vfprintf(stderr, fmt, ap);
        va_end(ap);
        fputc('\n', stderr);
    }
    session_close(src, s);
}

/* Tells epoll only when something changes: most writes go out at once. */
static void session_watch(struct source *src, struct session *s, bool wants_out)
{
    struct epoll_event event = { .events = EPOLLIN | (wants_out ? (unsigned)EPOLLOUT : 0u),
                                 .data.ptr = s };

    if (s->wants_out == wants_out)
        return;
    s->wants_out = wants_out;
    epoll_ctl(src->epoll, EPOLL_CTL_MOD, s->fd, &event);
}

/* False when the session is gone. */
static bool session_write(struct source *src, struct session *s)
{
    while (s->out[0].iov_len + s->out[1].iov_len) {
        struct msghdr msg = { .msg_iov = s->out, .msg_iovlen = 2 };
        ssize_t n = sendmsg(s->fd, &msg, MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            session_fail(src, s, "send: %s", strerror(errno));
            return false;
        }
        for (int i = 0; i < 2; i++) {
            size_t take = (size_t)n < s->out[i].iov_len ? (size_t)n : s->out[i].iov_len;

            s->out[i].iov_base = (char *)s->out[i].iov_base + take;
            s->out[i].iov_len -= take;
            n -= (ssize_t)take;
        }
    }
    session_watch(src, s, s->out[0].iov_len + s->out[1].iov_len > 0);
    return true;
}

/* The header's buffer is free until DATA is answered, and commands are written from it. */
__attribute__((format(printf, 3, 4))) static bool session_say(struct source *src, struct session *s,
                                                              const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(s->header, sizeof(s->header), fmt, ap);
    va_end(ap);
    s->out[0] = (struct iovec){ s->header, (size_t)n };
    s->out[1] = (struct iovec){ NULL, 0 };
    return session_write(src, s);
}

/* The session is free: the next message, or the end of the connection. */
static bool session_next(struct source *src, struct session *s)
{
    if (src->next >= src->messages ||
        (src->per_connection && s->on_connection >= src->per_connection)) {
        s->stage = QUIT;
        return session_say(src, s, "QUIT\r\n");
    }
    s->serial = src->next++;
    s->on_connection++;
    s->began = now_seconds();
    s->stage = MAIL;
    if (s->pipelining)
        return session_say(src, s, "MAIL FROM:<%s>\r\nRCPT TO:<user%03lu@%s>\r\nDATA\r\n",
                           src->sender, s->serial % 1000, src->domain);
    return session_say(src, s, "MAIL FROM:<%s>\r\n", src->sender);
}

static bool session_content(struct source *src, struct session *s)
{
    s->stage = CONTENT;
    s->out[0] = (struct iovec){ s->header, header_write(src, s->header, s->serial) };
    s->out[1] = (struct iovec){ src->body, src->body_len };
    return session_write(src, s);
}

static bool session_accepted(struct source *src, struct session *s)
{
    double now = now_seconds();

    src->latency_usec[src->accepted++] = (uint32_t)((now - s->began) * 1e6);
    src->last_accept = now;
    return session_next(src, s);
}

/* One whole reply. Returns false when the session is gone. */
static bool session_reply(struct source *src, struct session *s, const char *reply, size_t len)
{
    if (strncmp(reply, stages[s->stage].want, 3) != 0) {
        session_fail(src, s, "%.*s", (int)len, reply);
        return false;
    }
    switch (s->stage) {
    case GREETING:
        s->stage = EHLO;
        return session_say(src, s, "EHLO bench-source.example.org\r\n");
    case EHLO:
        s->pipelining = src->pipelining && memmem(reply, len, "PIPELINING", 10);
        return session_next(src, s);
    case MAIL:
        s->stage = RCPT;
        return s->pipelining ||
            session_say(src, s, "RCPT TO:<user%03lu@%s>\r\n", s->serial % 1000, src->domain);
    case RCPT:
        s->stage = DATA;
        return s->pipelining || session_say(src, s, "DATA\r\n");
    case DATA:
        return session_content(src, s);
    case CONTENT:
        return session_accepted(src, s);
    case QUIT:
        break;
    }
    session_close(src, s);
    if (src->next < src->messages)
        session_open(src, s);
    return false;
}

/* The length of the reply at the start of BUF, all its lines; 0 when it is not whole yet. */
static size_t reply_length(const char *buf, size_t len)
{
    const char *line = buf, *end = buf + len, *lf;

    while ((lf = memchr(line, '\n', (size_t)(end - line)))) {
        if (lf - line < 4 || line[3] != '-')
            return (size_t)(lf + 1 - buf);
        line = lf + 1;
    }
    return 0;
}

static void session_read(struct source *src, struct session *s)
{
    ssize_t n = recv(s->fd, s->reply + s->reply_len, sizeof(s->reply) - s->reply_len, 0);
    size_t at = 0, len;

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        session_fail(src, s, "%s", n ? strerror(errno) : "closed by the server");
        return;
    }
    s->reply_len += (size_t)n;
    while ((len = reply_length(s->reply + at, s->reply_len - at))) {
        if (!session_reply(src, s, s->reply + at, len))
            return; /* gone, or begun anew with nothing read */
        at += len;
    }
    s->reply_len -= at;
    memmove(s->reply, s->reply + at, s->reply_len);
    if (s->reply_len == sizeof(s->reply))
        session_fail(src, s, "a reply of more than %d bytes", REPLY_MAX);
}

static void session_open(struct source *src, struct session *s)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = s };

    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        die(EX_OSERR, "socket: %s", strerror(errno));
    s->stage = GREETING;
    s->wants_out = false;
    s->on_connection = 0;
    s->reply_len = 0;
    src->open++;
    src->connections++;
    no_delay(s->fd);
    /* The server speaks first, so a connection needs no state of its own: either the greeting can
     * be read, or the error that kept it from coming. */
    if (connect(s->fd, (struct sockaddr *)&src->to, sizeof(src->to)) < 0 && errno != EINPROGRESS) {
        session_fail(src, s, "connect: %s", strerror(errno));
        return;
    }
    epoll_ctl(src->epoll, EPOLL_CTL_ADD, s->fd, &event);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static double percentile_ms(const struct source *src, unsigned per_mille)
{
    unsigned long last = src->accepted ? src->accepted - 1 : 0;

    return src->accepted ? src->latency_usec[last * per_mille / 1000] / 1e3 : 0;
}

static void source_report(struct source *src)
{
    qsort(src->latency_usec, src->accepted, sizeof(*src->latency_usec), by_value);
    printf("{\"round\": \"%s\", \"sessions\": %lu, \"size\": %zu, \"messages\": %lu, "
           "\"accepted\": %lu, \"failed_sessions\": %lu, \"connections\": %lu, "
           "\"pipelining\": %s, \"first_connect\": %.6f, \"last_accept\": %.6f, \"end\": %.6f, "
           "\"latency_ms\": {\"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, \"max\": %.3f}, "
           "\"cpu\": %.6f}\n",
           src->round, src->sessions, src->size, src->messages, src->accepted, src->failed_sessions,
           src->connections, src->pipelining ? "true" : "false", src->first_connect,
           src->last_accept, src->last_end, percentile_ms(src, 500), percentile_ms(src, 900),
           percentile_ms(src, 990), percentile_ms(src, 1000), own_cpu_seconds());
}

static void source_run(struct source *src)
{
    struct epoll_event events[256];

    src->first_connect = now_seconds();
    for (unsigned long i = 0; i < src->sessions && i < src->messages; i++)
        session_open(src, &src->session[i]);
    while (src->open) {
        double left = src->first_connect + src->timeout - now_seconds();
        int n = epoll_wait(src->epoll, events, 256, left > 0 ? (int)(left * 1e3) + 1 : 0);

        if (n == 0 && left <= 0) {
            fprintf(stderr, "%s: %lu sessions still open after %.0f s\n",
                    program_invocation_short_name, src->open, src->timeout);
            return;
        }
        for (int i = 0; i < n; i++) {
            struct session *s = events[i].data.ptr;

            if ((events[i].events & EPOLLOUT) && !session_write(src, s))
                continue;
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                session_read(src, s);
        }
    }
}

static void source_prepare(struct source *src)
{
    time_t now = time(NULL);
    struct tm tm;

    round_name_check(src->round);
    gmtime_r(&now, &tm);
    strftime(src->date, sizeof(src->date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
    body_make(src);
    src->latency_usec = calloc(src->messages, sizeof(*src->latency_usec));
    src->session = calloc(src->sessions, sizeof(*src->session));
    src->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!src->latency_usec || !src->session || src->epoll < 0)
        die(EX_OSERR, "%s", strerror(errno));
}

static const char usage[] =
    "usage: bench-source --to ADDRESS:PORT [--sessions N] [--messages M] [--size BYTES]\n"
    "                    [--per-connection K] [--pipelining] [--round NAME] [--timeout SECONDS]\n"
    "                    [--sender ADDRESS] [--domain DOMAIN]\n"
    "  --to              the server; 127.0.0.0/8 only\n"
    "  --sessions        sessions at the same time (default: 1)\n"
    "  --messages        messages in all (default: 1)\n"
    "  --size            bytes of a message, header included (default: 1024)\n"
    "  --per-connection  messages before a connection is closed; 0: no limit (default)\n"
    "  --pipelining      MAIL, RCPT and DATA in one, where the server offers PIPELINING\n"
    "  --round           name for the Message-IDs, as bench-sink was told (default: r)\n"
    "  --timeout         give up after this long (default: 300)\n"
    "  --sender          envelope sender (default: sender@bench-source.example.org)\n"
    "  --domain          recipients are user000 to user999 at this (default: example.net)\n"
    "prints one line of JSON; exit status 0 only when every message was accepted\n";

static const struct option options[] = {
    { "to", required_argument, NULL, 't' },
    { "sessions", required_argument, NULL, 's' },
    { "messages", required_argument, NULL, 'm' },
    { "size", required_argument, NULL, 'l' },
    { "per-connection", required_argument, NULL, 'k' },
    { "pipelining", no_argument, NULL, 'p' },
    { "round", required_argument, NULL, 'r' },
    { "timeout", required_argument, NULL, 'w' },
    { "sender", required_argument, NULL, 'f' },
    { "domain", required_argument, NULL, 'd' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

/* False when the usage shall be shown. */
static bool option_take(struct source *src, int c, const char *value)
{
    switch (c) {
    case 't':
        src->to = loopback_endpoint(value);
        return true;
    case 's':
        src->sessions = number_option("sessions", value, 1, SESSIONS_MAX);
        return true;
    case 'm':
        src->messages = number_option("messages", value, 1, MESSAGES_MAX);
        return true;
    case 'l':
        src->size = number_option("size", value, 1, SIZE_MAX_BYTES);
        return true;
    case 'k':
        src->per_connection = number_option("per-connection", value, 0, MESSAGES_MAX);
        return true;
    case 'p':
        src->pipelining = true;
        return true;
    case 'r':
        src->round = value;
        return true;
    case 'w':
        src->timeout = (double)number_option("timeout", value, 1, 86400);
        return true;
    case 'f':
        src->sender = value;
        return true;
    case 'd':
        src->domain = value;
        return true;
    default:
        return false;
    }
}

int main(int argc, char **argv)
{
    static struct source src = {
        .sender = "sender@bench-source.example.org",
        .domain = "example.net",
        .round = "r",
        .sessions = 1,
        .messages = 1,
        .size = 1024,
        .timeout = 300,
    };
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (!option_take(&src, c, optarg)) {
            fputs(usage, c == 'h' ? stdout : stderr);
            return c == 'h' ? EX_OK : EX_USAGE;
        }
    }
    if (!src.to.sin_port || optind != argc) {
        fputs(usage, stderr);
        return EX_USAGE;
    }
    source_prepare(&src);
    source_run(&src);
    source_report(&src);
    return src.accepted == src.messages ? EX_OK : EX_TEMPFAIL;
}
