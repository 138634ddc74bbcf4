/* cli/queue.c: postern queue list|show|retry|hold|release|remove|analyze.
 *
 * Asks the running gateway, a page at a time. When none is running, list and show read the spool
 * themselves: what waits can always be seen. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/queue_analyze.h"
#include "queue/queue.h"
#include "spool/spool.h"
#include "util/cleanup.h"
#include "util/mem.h"

#define PAGE 500

struct query {
    struct cli_common common;
    const char *action; /* list, show, retry... */
    struct queue_filter filter;
    const char *why;
    long limit; /* 0: all */
    size_t printed;
    json_int_t touched;
    json_int_t unread; /* shards that the supervisor says nobody has read; or that workers are at */
    json_int_t reading;
    int show;
    int repair;                                     /* analyze */
    void (*each)(void *ctx, const json_t *message); /* gets them instead; NULL: they are printed */
    void *each_ctx;
};

static const char *string(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

/* "3d04h", "12m", "45s": an age at a glance. */
static const char *age_text(double seconds, char *buf, size_t size)
{
    long s = seconds > 0 ? (long)seconds : 0;

    if (s >= 86400)
        snprintf(buf, size, "%ldd%02ldh", s / 86400, s % 86400 / 3600);
    else if (s >= 3600)
        snprintf(buf, size, "%ldh%02ldm", s / 3600, s % 3600 / 60);
    else if (s >= 60)
        snprintf(buf, size, "%ldm%02lds", s / 60, s % 60);
    else
        snprintf(buf, size, "%lds", s);
    return buf;
}

static void print_rcpt(const json_t *r, int show)
{
    char next[32] = "";

    if (!show && (!strcmp(string(r, "state"), "delivered") || !strcmp(string(r, "state"), "done")))
        return;
    if (json_object_get(r, "next_try_in"))
        age_text(json_number_value(json_object_get(r, "next_try_in")), next, sizeof next);
    printf("    %-32s  tries %" JSON_INTEGER_FORMAT "  %s%s%s\n", string(r, "recipient"),
           json_integer_value(json_object_get(r, "tries")),
           json_object_get(r, "reason") ? string(r, "reason") : string(r, "state"),
           *next ? ", next try in " : "", next);
    if (json_object_get(r, "text"))
        printf("        %s%s%s\n", *string(r, "remote") ? string(r, "remote") : string(r, "status"),
               *string(r, "remote") ? " said: " : " ", string(r, "text"));
    if (show && json_object_get(r, "decision"))
        printf("        by %s\n", string(r, "decision"));
}

static void print_message(struct query *q, const json_t *m)
{
    json_t *r;
    size_t i;
    char age[32];

    printf("%s  age %-7s  %8" JSON_INTEGER_FORMAT " bytes  from <%s>%s\n", string(m, "id"),
           age_text(json_number_value(json_object_get(m, "age")), age, sizeof age),
           json_integer_value(json_object_get(m, "size")), string(m, "sender"),
           json_object_get(m, "bounce") ? "  (bounce)" : "");
    if (q->show)
        printf("    received %s by %s from %s\n", string(m, "received"), string(m, "ingress"),
               string(m, "client"));
    json_array_foreach (json_object_get(m, "recipients"), i, r)
        print_rcpt(r, q->show);
}

/* One message: text, or one element of the JSON array. 0: enough. */
static int emit(struct query *q, const json_t *m)
{
    if (q->limit && q->printed >= (size_t)q->limit)
        return 0;
    if (q->each) {
        q->each(q->each_ctx, m);
    } else if (q->common.json) {
        fputs(q->printed ? ",\n" : "[\n", stdout);
        json_dumpf(m, stdout, JSON_COMPACT);
    } else {
        print_message(q, m);
    }
    q->printed++;
    return 1;
}

/* Both counts are of the same shards, seen at different times: some may be on their way. */
static void note_unread(const struct query *q, const char *so)
{
    json_int_t n = q->unread > q->reading ? q->unread : q->reading;

    if (!n)
        return;
    fflush(stdout);
    fprintf(stderr, "postern queue: %" JSON_INTEGER_FORMAT " shard%s not read yet: %s\n", n,
            n == 1 ? " is" : "s are", so);
}

static int finish(const struct query *q)
{
    if (q->each)
        return EX_OK;
    if (q->common.json)
        fputs(q->printed ? "\n]\n" : "[]\n", stdout);
    else if (!q->printed)
        puts(q->filter.all ? "the queue is empty" : "no such message is in the queue");
    note_unread(q, "the list is not complete");
    return q->show && !q->printed ? EX_DATAERR : EX_OK;
}

/* --- offline --- */

static void on_replayed(void *ctx, uint64_t id, struct spool_entry *entry, const void *meta,
                        size_t meta_len, const void *state, size_t state_len, uint64_t content_size)
{
    struct query *q = ctx;
    struct envelope *env;
    json_t *m;

    (void)entry;
    if ((q->limit && q->printed >= (size_t)q->limit) || envelope_decode(meta, meta_len, &env) < 0)
        return;
    m = queue_describe(id, env, state, state_len, content_size);
    if (queue_filter_match(&q->filter, m))
        emit(q, m);
    json_decref(m);
    free(env);
}

static int list_shard(struct query *q, const char *path)
{
    struct spool_config sc = { .path = path };
    struct spool *spool = NULL;
    char why[512];
    int r = spool_open(&sc, NULL, on_replayed, q, &spool, why, sizeof why);

    if (r < 0 && r != -ENOENT)
        return cli_error(r == -EBUSY ? EX_TEMPFAIL : EX_NOINPUT, "the spool can't be read: %s",
                         why);
    spool_close(&spool);
    return EX_OK;
}

/* parts: those that a crash has left in a shard that was being split; they are shards, too. */
static int list_shards(struct query *q, const char *folder, int parts)
{
    struct dirent **names;
    int n = scandir(folder, &names, NULL, alphasort), code = 0;

    if (n < 0 && errno != ENOENT)
        return cli_error(errno == EACCES ? EX_NOPERM : EX_NOINPUT,
                         "the spool can't be read: %s: %s", folder, strerror(errno));
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        AUTO_FREE char *path = mem_printf("%s/%s", folder, name);
        AUTO_FREE char *split = mem_printf("%s/" SPOOL_SPLIT, path);

        if (!code && (parts ? isdigit((unsigned char)*name) : !strncmp(name, "shard-", 6)))
            code = list_shard(q, path);
        if (!code && !parts && !access(split, F_OK))
            code = list_shards(q, split, 1);
        free(names[i]);
    }
    if (n >= 0)
        free(names);
    return code;
}

static int list_offline(struct query *q, const struct config *cfg)
{
    int code = list_shards(q, cfg->spool.path, 0);

    return code ? code : finish(q);
}

/* --- online --- */

static json_t *request_of(const struct query *q, const char *verb)
{
    json_t *r = json_pack("{s:s}", "verb", verb);

    if (q->filter.id)
        json_object_set_new(r, "id", json_string(q->filter.id));
    if (q->filter.recipient)
        json_object_set_new(r, "recipient", json_string(q->filter.recipient));
    if (q->filter.domain)
        json_object_set_new(r, "domain", json_string(q->filter.domain));
    if (q->filter.sender)
        json_object_set_new(r, "sender", json_string(q->filter.sender));
    if (q->filter.held)
        json_object_set_new(r, "held", json_true());
    if (q->filter.all)
        json_object_set_new(r, "all", json_true());
    if (q->why)
        json_object_set_new(r, "why", json_string(q->why));
    return r;
}

static int list_online(struct query *q, struct control_client *cc)
{
    json_int_t after = 0;
    int code = 0;

    do {
        json_t *request = request_of(q, "queue.list"), *answer, *m;
        size_t i;
        long left = q->limit ? q->limit - (long)q->printed : PAGE;

        json_object_set_new(request, "after", json_integer(after));
        json_object_set_new(request, "limit", json_integer(left < PAGE ? left : PAGE));
        answer = control_ask(cc, request, &code);
        if (!answer || code) {
            json_decref(answer);
            return code;
        }
        json_array_foreach (json_object_get(answer, "messages"), i, m)
            emit(q, m);
        after = json_integer_value(json_object_get(answer, "next"));
        if (!after)
            q->reading += json_integer_value(json_object_get(answer, "unread_shards"));
        json_decref(answer);
    } while (after && (!q->limit || q->printed < (size_t)q->limit));
    return EX_OK;
}

static int act_online(struct query *q, struct control_client *cc)
{
    json_int_t from = 0;
    int code = 0;

    do {
        json_t *request = request_of(q, "queue.act"), *answer;

        json_object_set_new(request, "action", json_string(q->action));
        json_object_set_new(request, "from", json_integer(from));
        answer = control_ask(cc, request, &code);
        if (!answer || code) {
            json_decref(answer);
            return code;
        }
        q->touched += json_integer_value(json_object_get(answer, "touched"));
        from = json_integer_value(json_object_get(answer, "next"));
        if (!from)
            q->reading += json_integer_value(json_object_get(answer, "unread_shards"));
        json_decref(answer);
    } while (from);
    return EX_OK;
}

static int finish_act(const struct query *q)
{
    if (q->common.json)
        printf("{\"touched\": %" JSON_INTEGER_FORMAT "}\n", q->touched);
    else
        printf("%s: %" JSON_INTEGER_FORMAT " recipient%s\n", q->action, q->touched,
               q->touched == 1 ? "" : "s");
    note_unread(q, "what is there was left alone");
    return q->touched ? EX_OK : EX_DATAERR;
}

/* Each worker has its own shard: all are asked. */
static int ask_all(struct query *q, const struct config *cfg, int workers, int listing)
{
    int code = 0;

    for (int i = 0; i < workers && !code; i++) {
        struct control_client *cc = NULL;

        code = control_connect_worker(cfg, (unsigned)i, &cc);
        if (!code)
            code = listing ? list_online(q, cc) : act_online(q, cc);
        control_close(&cc);
    }
    if (code)
        return code;
    return listing ? finish(q) : finish_act(q);
}

static int is_action(const char *s)
{
    return !strcmp(s, "retry") || !strcmp(s, "hold") || !strcmp(s, "release") ||
        !strcmp(s, "remove");
}

/* 1, or -1: printed, as options are. */
static int parse_limit(struct query *q, const char *text)
{
    char *end;

    errno = 0;
    q->limit = strtol(text, &end, 10);
    if (end != text && !*end && !errno && q->limit > 0)
        return 1;
    cli_usage("queue", "--limit %s: expected a number from 1", text);
    return -1;
}

static int option(struct query *q, int argc, char **argv, int *i)
{
    const struct {
        const char *name;
        const char **to;
    } values[] = { { "--id", &q->filter.id },
                   { "--recipient", &q->filter.recipient },
                   { "--domain", &q->filter.domain },
                   { "--sender", &q->filter.sender },
                   { "--why", &q->why } };
    const char *limit;
    int r = cli_common_option(&q->common, argc, argv, i);

    for (size_t k = 0; !r && k < sizeof values / sizeof *values; k++)
        r = cli_value(values[k].name, argc, argv, i, values[k].to);
    if (r)
        return r;
    if ((r = cli_value("--limit", argc, argv, i, &limit)))
        r = r > 0 ? parse_limit(q, limit) : r;
    else if (!strcmp(argv[*i], "--held"))
        r = q->filter.held = 1;
    else if (!strcmp(argv[*i], "--all"))
        r = q->filter.all = 1;
    else if (!strcmp(argv[*i], "--repair"))
        r = q->repair = 1;
    return r;
}

static int parse(struct query *q, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int r = option(q, argc, argv, &i);

        if (r < 0)
            return EX_USAGE;
        if (r)
            continue;
        if (argv[i][0] == '-')
            return cli_usage("queue", "unknown option %s", argv[i]);
        if (!q->action)
            q->action = argv[i];
        else if (!q->filter.id && !strchr(argv[i], '@'))
            q->filter.id = argv[i];
        else if (!q->filter.recipient)
            q->filter.recipient = argv[i];
        else
            return cli_usage("queue", "unexpected argument %s", argv[i]);
    }
    if (!q->action)
        q->action = "list";
    return 0;
}

static int named_any(const struct queue_filter *f)
{
    return f->id || f->recipient || f->domain || f->sender || f->held || f->all;
}

static int ask_or_read(struct query *q, const struct config *cfg, int listing)
{
    int code = 0, workers = control_workers(cfg, listing, &code, &q->unread);

    if (workers >= 0)
        return ask_all(q, cfg, workers, listing);
    return listing && code == EX_UNAVAILABLE ? list_offline(q, cfg) : code;
}

int cli_queue_each(const struct config *cfg, void (*each)(void *ctx, const json_t *message),
                   void *ctx)
{
    struct query q = { .filter = { .all = 1 }, .each = each, .each_ctx = ctx };

    return ask_or_read(&q, cfg, 1);
}

static int run_query(struct query *q)
{
    struct config *cfg = NULL;
    int listing = !is_action(q->action), code = cli_load_config(&q->common, &cfg);

    if (code)
        return code;
    if (!strcmp(q->action, "analyze")) {
        code = queue_analyze_cli(cfg, q->repair, q->common.json);
        config_free(&cfg);
        return code;
    }
    code = ask_or_read(q, cfg, listing);
    config_free(&cfg);
    return code;
}

int cli_queue(int argc, char **argv)
{
    struct query q = { 0 };
    int code, analyze;

    cli_common_init(&q.common);
    code = parse(&q, argc, argv);
    if (code)
        return code;
    q.show = !strcmp(q.action, "show");
    analyze = !strcmp(q.action, "analyze");
    if (!q.show && !analyze && strcmp(q.action, "list") && !is_action(q.action))
        return cli_usage("queue",
                         "unknown action %s; expected list, show, retry, hold, release, remove or "
                         "analyze",
                         q.action);
    if (analyze && named_any(&q.filter))
        return cli_usage("queue", "analyze looks at everything: it takes --repair and --json only");
    if (q.repair && !analyze)
        return cli_usage("queue", "--repair is for analyze");
    if (q.show && !q.filter.id)
        return cli_usage("queue", "show needs a queue id");
    if (is_action(q.action) && !named_any(&q.filter))
        return cli_usage("queue",
                         "%s which messages? Give an id, a recipient, --domain, --sender, --held "
                         "or --all",
                         q.action);
    if (!named_any(&q.filter))
        q.filter.all = 1;
    return run_query(&q);
}

int cli_mailq(int argc, char **argv)
{
    char *args[] = { "queue", "list", NULL };

    (void)argc;
    (void)argv;
    return cli_queue(2, args);
}
