/* daemon/control_submit.c: `postern send`: a request line, then exactly as many bytes of content as
 * it announced, then one answer. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include <postern/mail.h>

#include "daemon/control_private.h"
#include "log/log.h"
#include "plugin/host_private.h"
#include "util/clock.h"

static void spoil(struct control_session *s, int code, const char *why)
{
    if (!s->submit_error) {
        s->submit_error = code;
        snprintf(s->submit_why, sizeof s->submit_why, "%s", why);
    }
    host_submit_free(s->submit);
    s->submit = NULL;
}

static void spoil_errno(struct control_session *s, int err)
{
    char text[200];

    switch (-err) {
    case ENOSPC:
        spoil(s, EX_TEMPFAIL, "the spool is full; try again later");
        break;
    case EFBIG:
        spoil(s, EX_DATAERR, "the message is larger than this gateway accepts");
        break;
    case EINVAL:
        spoil(s, EX_DATAERR, "the sender is not an address");
        break;
    case ELOOP:
        spoil(s, EX_UNAVAILABLE, "the message has too many Received fields: a mail loop");
        break;
    default:
        snprintf(text, sizeof text, "the spool can't take it now: %s", strerror(-err));
        spoil(s, EX_TEMPFAIL, text);
        break;
    }
}

static void add_rcpts(struct control_session *s, const json_t *rcpts)
{
    json_t *r;
    size_t i;
    char text[200];

    json_array_foreach (rcpts, i, r) {
        const char *rcpt = json_string_value(r);
        int err = rcpt && s->submit ? host_submit_rcpt(s->submit, rcpt) : -EINVAL;

        if (err == -E2BIG) {
            spoil(s, EX_DATAERR, "too many recipients");
        } else if (err < 0) {
            snprintf(text, sizeof text, "not a recipient address: %s", rcpt ? rcpt : "(not text)");
            spoil(s, EX_DATAERR, text);
        }
        if (err < 0)
            return;
    }
    if (!i)
        spoil(s, EX_USAGE, "no recipients");
}

static void note_for_log(struct control_session *s, const char *sender, const json_t *rcpts)
{
    char path[POSTERN_ADDRESS_MAX + 3];

    snprintf(path, sizeof path, "<%s>", sender);
    snprintf(s->said, sizeof s->said, "from=%s rcpts=%zu size=%llu", log_q(path),
             json_array_size(rcpts), (unsigned long long)s->content_left);
}

static void add_received(struct control_session *s)
{
    const struct config *cfg = s->control->env.config;
    char line[512], date[48];
    int n, r;

    if (!s->submit)
        return;
    /* Every field of it is bounded far below the size of line. */
    n = snprintf(line, sizeof line,
                 "Received: by %.255s (Postern, from userid %u)\r\n\tid %s; %s\r\n",
                 cfg->server.hostname, (unsigned)s->uid, host_submit_id(s->submit),
                 postern_date_format(clock_wall() / 1000000, date, sizeof date));
    r = host_submit_write(s->submit, line, (size_t)n);
    if (r < 0)
        spoil_errno(s, r);
}

void control_submit_begin(struct control_session *s, const json_t *request)
{
    const char *sender = json_string_value(json_object_get(request, "sender"));
    char client[48];
    struct postern_envelope e = { .size = sizeof e, .protocol = "local" };
    json_int_t size = json_integer_value(json_object_get(request, "size"));
    int r;

    s->submit_error = 0;
    if (!sender || size <= 0) {
        control_refuse(s, EX_PROTOCOL, "a submission needs sender, rcpts and size");
        return;
    }
    snprintf(client, sizeof client, "uid %u", (unsigned)s->uid);
    e.sender = sender;
    e.client = client;
    e.size_hint = (uint64_t)size;
    /* Who may open the control socket is one of us. */
    e.flags = POSTERN_MAIL_TRUSTED |
        (json_is_true(json_object_get(request, "utf8")) ? POSTERN_MAIL_UTF8 : 0);
    s->content_left = (uint64_t)size;
    note_for_log(s, sender, json_object_get(request, "rcpts"));
    r = host_submit_new(hosts_core(s->control->env.hosts), &e, &s->submit);
    if (r < 0)
        spoil_errno(s, r);
    else
        add_rcpts(s, json_object_get(request, "rcpts"));
    add_received(s);
}

static void on_committed(void *ctx, int result)
{
    struct control_session *s = ctx;

    s->submit = NULL;
    if (result >= 0)
        log_event(POSTERN_LOG_INFO, "control", "submit.accept", "id=%s %s client=\"uid %u\"", s->id,
                  s->said, (unsigned)s->uid);
    /* Also when the asker has ended his side: he may still listen, and writing to nobody is no
     * harm. */
    if (result < 0) {
        spoil_errno(s, result);
        control_refuse(s, s->submit_error, s->submit_why);
    } else {
        control_answer(s, json_pack("{s:s}", "id", s->id));
    }
    control_resume(s);
}

static void on_room(void *ctx, int result)
{
    (void)result;
    control_resume(ctx);
}

static void finish(struct control_session *s)
{
    postern_submit *submit = s->submit;

    if (!submit) {
        control_refuse(s, s->submit_error, s->submit_why);
        return;
    }
    snprintf(s->id, sizeof s->id, "%s", host_submit_id(submit));
    s->submit = NULL; /* the commit owns it now */
    s->waiting = 1;
    stream_pause(s->stream, 1);
    host_submit_commit(submit, on_committed, s);
}

int control_submit_content(struct control_session *s)
{
    const char *data;
    size_t n = stream_peek(s->stream, &data);
    int r = 0;

    if (!n)
        return 0;
    if (n > s->content_left)
        n = (size_t)s->content_left;
    if (s->submit)
        r = host_submit_write(s->submit, data, n);
    stream_consume(s->stream, n);
    s->content_left -= n;
    if (r < 0)
        spoil_errno(s, r);
    if (!s->content_left) {
        finish(s);
    } else if (r > 0) {
        s->waiting = 1;
        stream_pause(s->stream, 1);
        host_submit_room(s->submit, on_room, s);
    }
    return 1;
}

void control_submit_abort(struct control_session *s)
{
    host_submit_free(s->submit);
    s->submit = NULL;
}
