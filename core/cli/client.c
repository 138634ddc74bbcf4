/* cli/client.c: talking to the control socket of a running gateway: one JSON line each way. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/buf.h"
#include "util/mem.h"

struct control_client {
    int fd;
    struct buf in;
};

static int connect_unix(const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd;

    if (strlen(path) >= sizeof a.sun_path)
        return -ENAMETOOLONG;
    strcpy(a.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        int err = -errno;

        close(fd);
        return err;
    }
    return fd;
}

int control_connect(const struct config *cfg, const char *kind, int quiet,
                    struct control_client **ret)
{
    int fd = connect_unix(cfg->control.socket);

    if (fd < 0) {
        if (quiet)
            return EX_UNAVAILABLE;
        return cli_error(fd == -EACCES ? EX_NOPERM : EX_UNAVAILABLE,
                         "no gateway answers on %s: %s; is 'postern run' running with this "
                         "configuration?",
                         cfg->control.socket, strerror(-fd));
    }
    *ret = mem_zalloc(sizeof **ret);
    (*ret)->fd = fd;
    if (control_send_bytes(*ret, kind, strlen(kind)) >= 0)
        return 0;
    return quiet ? EX_UNAVAILABLE
                 : cli_error(EX_UNAVAILABLE,
                             "the gateway on %s hung up at once; it may be busy, or stopping",
                             cfg->control.socket);
}

int control_connect_worker(const struct config *cfg, unsigned worker, struct control_client **ret)
{
    char index = (char)worker;
    int code = control_connect(cfg, "W", 0, ret);

    return code ? code : control_send_bytes(*ret, &index, 1) < 0 ? EX_UNAVAILABLE : 0;
}

int control_workers(const struct config *cfg, int quiet, int *ret_code, json_int_t *ret_unread)
{
    struct control_client *c = NULL;
    json_t *answer = NULL;
    int n = -1;

    *ret_code = control_connect(cfg, "M", quiet, &c);
    if (!*ret_code)
        answer = control_ask(c, json_pack("{s:s}", "verb", "status"), ret_code);
    if (answer && !*ret_code)
        n = (int)json_array_size(json_object_get(answer, "workers"));
    if (ret_unread)
        *ret_unread = json_integer_value(json_object_get(answer, "unread_shards"));
    json_decref(answer);
    control_close(&c);
    return n;
}

void control_close(struct control_client **c)
{
    if (!*c)
        return;
    close((*c)->fd);
    buf_free(&(*c)->in);
    free(*c);
    *c = NULL;
}

int control_fd(const struct control_client *c)
{
    return c->fd;
}

int control_send_bytes(struct control_client *c, const void *data, size_t len)
{
    const char *p = data;

    while (len) {
        ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

static json_t *read_answer(struct control_client *c)
{
    char *end;
    json_t *answer;
    json_error_t e;

    while (!c->in.data || !(end = memchr(c->in.data, '\n', c->in.len))) {
        ssize_t n;

        buf_reserve(&c->in, 65536);
        n = recv(c->fd, c->in.data + c->in.len, 65536, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return NULL;
        c->in.len += (size_t)n;
    }
    answer = json_loadb(c->in.data, (size_t)(end - c->in.data), 0, &e);
    buf_consume(&c->in, (size_t)(end - c->in.data) + 1);
    return answer;
}

json_t *control_answer_read(struct control_client *c, int *ret_code)
{
    json_t *answer = read_answer(c), *error, *code;

    *ret_code = EX_OK;
    if (!answer) {
        *ret_code = cli_error(EX_TEMPFAIL, "the gateway closed the connection without an answer");
        return NULL;
    }
    error = json_object_get(answer, "error");
    code = json_object_get(answer, "code");
    if (error)
        *ret_code = cli_error(code ? (int)json_integer_value(code) : EX_SOFTWARE, "%s",
                              json_string_value(error));
    return answer;
}

json_t *control_ask(struct control_client *c, json_t *request, int *ret_code)
{
    char *text = json_dumps(request, JSON_COMPACT);

    /* When sending fails, the gateway may have said why before it hung up. */
    if (text && control_send_bytes(c, text, strlen(text)) >= 0)
        control_send_bytes(c, "\n", 1);
    free(text);
    json_decref(request);
    return control_answer_read(c, ret_code);
}
