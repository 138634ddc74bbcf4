/* cli/send.c: postern send, and sendmail(8): a message on standard input, given to the gateway.
 *
 * What sendmail's callers rely on: -f/-r sender, -F name, -t (recipients from the header, Bcc
 * removed), -i/-oi (a lone dot does not end), -bm, -bs (SMTP), -bp (the queue); other options are
 * taken and ignored, as every sendmail does. Fields that a message must have and lacks are added
 * (RFC 6409 8). */
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/compose.h"
#include "util/mem.h"

struct send_args {
    struct cli_common common;
    struct compose compose;
    int smtp, dot_ends, list;
};

static int user_name(struct send_args *a, char *buf, size_t size)
{
    const struct passwd *pw = getpwuid(getuid());

    if (pw)
        snprintf(buf, size, "%s", pw->pw_name);
    else
        snprintf(buf, size, "uid%u", (unsigned)getuid());
    if (!a->compose.sender)
        a->compose.sender = buf;
    return 0;
}

/* An option letter with its value in the same word or the next one, as getopt would. */
static const char *letter_value(const char *rest, int argc, char **argv, int *i)
{
    if (*rest)
        return rest;
    return *i + 1 < argc ? argv[++*i] : NULL;
}

static int mode_option(struct send_args *a, const char *mode)
{
    switch (mode[0]) {
    case 'm':
        return 0;
    case 's':
        a->smtp = 1;
        return 0;
    case 'p':
        a->list = 1;
        return 0;
    default:
        return cli_usage("send", "mode -b%s is not supported (-bm, -bs and -bp are)", mode);
    }
}

static int value_option(struct send_args *a, char letter, const char *v)
{
    switch (letter) {
    case 'f':
    case 'r':
        if (!v)
            return cli_usage("send", "-%c needs an address", letter);
        a->compose.sender = v;
        return 0;
    case 'F':
        a->compose.full_name = v;
        return 0;
    case 'o':
        if (v && *v == 'i')
            a->dot_ends = 0;
        return 0;
    default:
        return 0; /* the rest is taken and ignored */
    }
}

/* Letters that take a value, in the same word or the next one. Not heeded: B (body type: found out
 * from the content), N R V (DSN conditions: not supported yet), C D h L O p X (other programs'
 * settings). */
#define VALUE_LETTERS "fFroBNRVCDhLOpX"
/* Letters whose value, if any, is in the same word. Not heeded: A d e q. */
#define TAIL_LETTERS  "Adeq"

/* One word of options: "-i", "-ti", "-fann@example.com", "-oi". */
static int letter_option(struct send_args *a, int argc, char **argv, int *i)
{
    for (const char *p = argv[*i] + 1; *p; p++) {
        if (*p == 'b')
            return mode_option(a, p + 1);
        if (strchr(VALUE_LETTERS, *p))
            return value_option(a, *p, letter_value(p + 1, argc, argv, i));
        if (strchr(TAIL_LETTERS, *p))
            return 0;
        if (*p == 't')
            a->compose.from_header = 1;
        else if (*p == 'i')
            a->dot_ends = 0;
        /* -v -m -n -U -G and the like: as every sendmail, taken and ignored */
    }
    return 0;
}

static int parse(struct send_args *a, int argc, char **argv)
{
    int i;

    for (i = 1; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
        int r = cli_common_option(&a->common, argc, argv, &i);

        if (!strcmp(argv[i], "--")) {
            i++;
            break;
        }
        if (r > 0)
            continue;
        if (r < 0)
            return EX_USAGE;
        if (argv[i][1] == '-')
            return cli_usage("send", "unknown option %s", argv[i]);
        r = letter_option(a, argc, argv, &i);
        if (r)
            return r;
    }
    a->compose.rcpts = (const char *const *)argv + i;
    a->compose.rcpt_n = (size_t)(argc - i);
    return 0;
}

/* -bs: what comes in on standard input goes to the gateway's SMTP server and back. */
static int pump(int fd)
{
    struct pollfd p[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
                           { .fd = fd, .events = POLLIN } };
    char buf[16384];

    for (;;) {
        if (poll(p, 2, -1) < 0) {
            if (errno == EINTR)
                continue;
            return EX_OSERR;
        }
        if (p[1].revents) {
            ssize_t n = recv(fd, buf, sizeof buf, 0);

            if (n <= 0)
                return n < 0 ? EX_TEMPFAIL : EX_OK;
            if (write(STDOUT_FILENO, buf, (size_t)n) != n)
                return EX_IOERR;
        }
        if (p[0].fd >= 0 && p[0].revents) {
            ssize_t n = read(STDIN_FILENO, buf, sizeof buf);

            if (n <= 0) {
                shutdown(fd, SHUT_WR);
                p[0].fd = -1;
            } else if (send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n) {
                return EX_TEMPFAIL;
            }
        }
    }
}

/* Callers of sendmail keep what they could not send, and try again. */
static int connect_to(const struct config *cfg, const char *kind, struct control_client **ret)
{
    int code = control_connect(cfg, kind, 0, ret);

    return code == EX_UNAVAILABLE ? EX_TEMPFAIL : code;
}

/* Request line, content, then the one answer; which may come early and end the dialogue, so that it
 * is read even when sending fails. */
static json_t *ask_submit(struct control_client *cc, const json_t *request,
                          const struct buf *content, int *ret_code)
{
    char *line = json_dumps(request, JSON_COMPACT);

    if (line && control_send_bytes(cc, line, strlen(line)) >= 0 &&
        control_send_bytes(cc, "\n", 1) >= 0)
        control_send_bytes(cc, content->data, content->len);
    free(line);
    return control_answer_read(cc, ret_code);
}

static int submit(struct send_args *a, const struct config *cfg)
{
    struct buf content = { 0 };
    struct control_client *cc = NULL;
    json_t *request = NULL, *answer = NULL;
    int code;

    /* The message is read before the gateway is bothered: who writes it may take hours. */
    code = compose_message(&a->compose, cfg, stdin, a->dot_ends, &content, &request);
    if (!code)
        code = connect_to(cfg, "C", &cc);
    if (!code)
        answer = ask_submit(cc, request, &content, &code);
    if (answer && !code && a->common.json) {
        json_dumpf(answer, stdout, 0);
        putchar('\n');
    }
    json_decref(answer);
    json_decref(request);
    buf_free(&content);
    control_close(&cc);
    return code;
}

static int dialogue(const struct config *cfg)
{
    struct control_client *cc = NULL;
    int code = connect_to(cfg, "S", &cc);

    if (!code)
        code = pump(control_fd(cc));
    control_close(&cc);
    return code;
}

static int send_main(struct send_args *a)
{
    struct config *cfg = NULL;
    char user[64];
    int code = cli_load_config(&a->common, &cfg);

    if (code)
        return code;
    user_name(a, user, sizeof user);
    code = a->smtp ? dialogue(cfg) : submit(a, cfg);
    config_free(&cfg);
    return code;
}

static int send_args(int argc, char **argv, int dot_ends)
{
    struct send_args a = { .dot_ends = dot_ends };
    int code;

    cli_common_init(&a.common);
    code = parse(&a, argc, argv);
    if (code)
        return code;
    if (a.list)
        return cli_mailq(0, NULL);
    if (!a.smtp && !a.compose.rcpt_n && !a.compose.from_header)
        return cli_usage("send",
                         "no recipients: name them, or give -t to take them from the header");
    return send_main(&a);
}

int cli_send(int argc, char **argv)
{
    return send_args(argc, argv, 0);
}

int cli_sendmail(int argc, char **argv)
{
    return send_args(argc, argv, 1);
}
