/* daemon/control.c: a worker's side of the control socket: one JSON line for each question and
 * answer.
 *
 * The supervisor takes the connections and hands them over (front.c). Anybody may submit mail;
 * looking and acting is for root and the gateway's own user (SO_PEERCRED tells who is asking). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <postern/mail.h>

#include "daemon/control_private.h"
#include "log/log.h"
#include "plugin/directory.h"
#include "util/mem.h"

#define CONTROL_LINE_MAX  (1u << 20)  /* a submission with very many recipients */
#define CONTROL_REPLY_MAX (64u << 20) /* a page of the queue's list, at its very largest */
#define CONTROL_BACKLOG   65536u      /* bytes of answers not taken; then nothing more is asked */
#define CONTROL_IDLE_USEC 600000000u
#define CONTROL_CLIENTS   64u
#define CONTROL_RESERVED  8u /* of these, for those who may look and act: nobody locks them out */
#define CONTROL_PAUSE     1000000u /* usec without accepting when out of descriptors */

int control_bind(const char *path, int *ret_fd, char *why, size_t why_size)
{
    char *endpoint = mem_printf("unix:%s", path);
    int r = net_bind(endpoint, ret_fd, why, why_size);

    free(endpoint);
    if (r < 0)
        return r;
    /* Everybody may knock; what he may do is decided when he asks. */
    if (!chmod(path, 0666))
        return 0;
    r = -errno;
    snprintf(why, why_size, "%s: can't be opened for everybody: %s", path, strerror(-r));
    close(*ret_fd);
    unlink(path);
    return r;
}

static uid_t peer_of(int fd)
{
    struct ucred who = { .uid = (uid_t)-1 };
    socklen_t len = sizeof who;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 ? (uid_t)-1 : who.uid;
}

static int is_trusted(uid_t uid)
{
    return uid == 0 || uid == geteuid();
}

/* Whoever asked waits for a line: he gets one, whatever happens. */
void control_answer(struct control_session *s, json_t *answer)
{
    static const char sorry[] = "{\"error\":\"the answer can't be put into words\",\"code\":70}\n";
    char *text = json_dumps(answer, JSON_COMPACT);

    json_decref(answer);
    if (!text || stream_write(s->stream, text, strlen(text)) < 0)
        stream_write(s->stream, sorry, sizeof sorry - 1);
    else
        stream_write(s->stream, "\n", 1);
    free(text);
}

void control_refuse(struct control_session *s, int code, const char *why)
{
    char clean[512];

    /* It may quote the asker, and end in half a character: JSON takes whole ones only. */
    postern_text_clean(why, strlen(why), clean, sizeof clean);
    control_answer(s, json_pack("{s:s, s:i}", "error", clean, "code", code));
}

static void session_free(struct control_session *s)
{
    s->control->sessions--;
    list_del(&s->link);
    control_submit_abort(s);
    stream_close(s->stream);
    free(s);
}

/* How many shards there are that the answer can't speak of yet. */
static json_t *unread(const struct control_session *s)
{
    const struct control_env *env = &s->control->env;

    return json_integer(env->unread ? (json_int_t)env->unread(env->ctx) : 0);
}

static void status(struct control_session *s)
{
    const struct control_env *env = &s->control->env;
    struct spool_stats st;
    json_t *spool, *directories = directory_status(env->hosts), *answer;

    spool_stats(env->spool, &st);
    spool = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:i}", "live_messages",
                      (json_int_t)st.live_messages, "segments", (json_int_t)st.segments,
                      "segment_bytes", (json_int_t)st.segment_bytes, "cache_bytes",
                      (json_int_t)st.cache_bytes, "damaged_records", (json_int_t)st.damaged_records,
                      "synced_groups", (json_int_t)st.synced_groups, "appended",
                      (json_int_t)st.appended, "full", st.full, "failed", st.failed);
    answer = json_pack(
        "{s:s, s:i, s:f, s:I, s:o, s:o}", "hostname", env->config->server.hostname, "pid",
        (int)getpid(), "up", (double)(loop_now(env->loop) - env->started) / 1e6, "connections",
        (json_int_t)hosts_streams(env->hosts), "spool", spool, "queue", queue_status(env->queue));
    if (directories)
        json_object_set_new(answer, "directories", directories);
    json_object_set_new(answer, "unread_shards", unread(s));
    control_answer(s, answer);
}

static struct queue_filter filter_of(const json_t *request)
{
    return (struct queue_filter){
        .id = json_string_value(json_object_get(request, "id")),
        .recipient = json_string_value(json_object_get(request, "recipient")),
        .domain = json_string_value(json_object_get(request, "domain")),
        .sender = json_string_value(json_object_get(request, "sender")),
        .held = json_is_true(json_object_get(request, "held")),
        .all = json_is_true(json_object_get(request, "all")),
    };
}

static void list_queue(struct control_session *s, const json_t *request)
{
    struct queue_filter f = filter_of(request);
    json_int_t limit = json_integer_value(json_object_get(request, "limit"));
    uint64_t after = (uint64_t)json_integer_value(json_object_get(request, "after")), next;
    json_t *list = queue_list(s->control->env.queue, &f, after,
                              limit > 0 && limit < 1000 ? (size_t)limit : 1000, &next);

    control_answer(s,
                   json_pack("{s:o, s:I, s:o}", "messages", list, "next", (json_int_t)next,
                             "unread_shards", unread(s)));
}

static void act_on_queue(struct control_session *s, const json_t *request)
{
    static const char *const names[] = { "retry", "hold", "release", "remove" };
    const char *action = json_string_value(json_object_get(request, "action"));
    const char *why = json_string_value(json_object_get(request, "why"));
    uint64_t from = (uint64_t)json_integer_value(json_object_get(request, "from")), next;
    struct queue_filter f = filter_of(request);
    char who[32];

    if (!f.id && !f.recipient && !f.domain && !f.sender && !f.held && !f.all) {
        control_refuse(s, EX_USAGE, "say which messages");
        return;
    }
    snprintf(who, sizeof who, "uid %u", (unsigned)s->uid);
    for (int i = 0; action && i < 4; i++) {
        size_t n;

        if (strcmp(action, names[i]))
            continue;
        n = queue_act(s->control->env.queue, &f, (enum queue_action)i, why, who, from, &next);
        control_answer(s,
                       json_pack("{s:I, s:I, s:o}", "touched", (json_int_t)n, "next",
                                 (json_int_t)next, "unread_shards", unread(s)));
        return;
    }
    control_refuse(s, EX_USAGE, "unknown action");
}

/* The dialogue can't go on: what was said so far is still sent, nothing more is read. */
static void end_dialogue(struct control_session *s, const char *why)
{
    control_refuse(s, EX_PROTOCOL, why);
    session_free(s);
}

/* 0: the session is gone. */
static int dispatch(struct control_session *s, const char *line, size_t len)
{
    json_error_t e;
    json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &e);
    const char *verb = json_string_value(json_object_get(request, "verb"));

    if (!verb) {
        json_decref(request);
        end_dialogue(s, "not a request");
        return 0;
    }
    if (!strcmp(verb, "submit"))
        control_submit_begin(s, request);
    else if (!is_trusted(s->uid))
        control_refuse(s, EX_NOPERM, "only root and the gateway's own user may ask that");
    else if (!strcmp(verb, "status"))
        status(s);
    else if (!strcmp(verb, "queue.list"))
        list_queue(s, request);
    else if (!strcmp(verb, "queue.act"))
        act_on_queue(s, request);
    else if (!strcmp(verb, "queue.analyze"))
        control_analyze(s, request);
    else
        control_refuse(s, EX_USAGE,
                       "this gateway does not know that verb; is it an older version?");
    json_decref(request);
    return 1;
}

void control_input(struct control_session *s)
{
    const char *line;
    size_t len;
    int eol, r;

    stream_deadline(s->stream, CONTROL_IDLE_USEC);
    while (!s->waiting) {
        if (s->content_left) {
            if (!control_submit_content(s))
                return;
            continue;
        }
        if (stream_pending(s->stream) > CONTROL_BACKLOG)
            return; /* DRAINED comes back here */
        r = stream_line(s->stream, CONTROL_LINE_MAX, &line, &len, &eol);
        if (r < 0)
            end_dialogue(s, "the request is too long");
        if (r <= 0 || !dispatch(s, line, len))
            return;
    }
}

static void on_event(void *ctx, postern_stream *stream, uint32_t event, int error)
{
    struct control_session *s = ctx;

    (void)stream;
    (void)error;
    switch (event) {
    case POSTERN_STREAM_INPUT:
    case POSTERN_STREAM_DRAINED:
        control_input(s);
        break;
    case POSTERN_STREAM_EOF:
    case POSTERN_STREAM_TIMEOUT:
    case POSTERN_STREAM_ERROR:
        if (s->waiting)
            s->gone = 1; /* a commit is under way: it decides, and frees */
        else
            session_free(s);
        break;
    default:
        break;
    }
}

/* After something that was waited for: go on, or end if the asker has gone meanwhile. */
void control_resume(struct control_session *s)
{
    s->waiting = 0;
    if (s->gone) {
        session_free(s);
        return;
    }
    stream_pause(s->stream, 0);
    control_input(s);
}

static void begin_session(struct control *c, int fd)
{
    struct control_session *s = mem_zalloc(sizeof *s);

    s->control = c;
    s->uid = peer_of(fd);
    s->stream = stream_from_fd(&c->streams, fd, POSTERN_STREAM_LOCAL);
    c->sessions++;
    list_add_tail(&c->list, &s->link);
    stream_events(s->stream, on_event, s);
    stream_deadline(s->stream, CONTROL_IDLE_USEC);
}

/* Words for people, without quotes or control characters. A line fits into any socket's buffer. */
void control_turn_away(int fd, char kind, const char *why)
{
    char line[256];
    int n = kind == 'S'
        ? snprintf(line, sizeof line, "421 4.3.2 %s\r\n", why)
        : snprintf(line, sizeof line, "{\"error\":\"%s\",\"code\":%d}\n", why, EX_TEMPFAIL);

    if (n > 0 && (size_t)n < sizeof line)
        (void)!send(fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(fd);
}

void control_take(struct control *c, int fd, char kind)
{
    if (kind == 'S')
        hosts_attach(c->env.hosts, NULL, fd);
    else if (kind == 'C' &&
             c->sessions < CONTROL_CLIENTS - (is_trusted(peer_of(fd)) ? 0 : CONTROL_RESERVED))
        begin_session(c, fd);
    else
        control_turn_away(fd, kind, "this worker has as many connections as it takes; try again");
}

size_t control_sessions(const struct control *c)
{
    return c->sessions;
}

/* One byte more than the longest line: a buffer that is full can get no end of line. */
static const struct stream_config stream_limits = { .input_max = CONTROL_LINE_MAX + 2,
                                                    .output_max = CONTROL_REPLY_MAX };

struct control *control_new(const struct control_env *env)
{
    struct control *c = mem_zalloc(sizeof *c);

    c->env = *env;
    c->streams.loop = env->loop;
    c->streams.name = "control";
    c->streams.config = &stream_limits;
    list_init(&c->list);
    return c;
}

void control_free(struct control **pc)
{
    struct control *c = *pc;

    if (!c)
        return;
    *pc = NULL;
    control_analyze_free(c);
    LIST_EACH_SAFE (&c->list, it, tmp)
        session_free(CONTAINER(it, struct control_session, link));
    stream_abort_all(&c->streams);
    free(c);
}
