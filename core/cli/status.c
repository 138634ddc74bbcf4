/* cli/status.c: postern status [--json]: what the running gateway is doing. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "util/text.h"

#define STATUS_PATIENCE_MSEC 3000 /* with each worker */

static json_int_t number(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static const char *string(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static void print_queue(const json_t *q, json_int_t unread)
{
    const char *reason;
    json_t *n, *d;
    size_t i;

    printf("queue      %" JSON_INTEGER_FORMAT " messages, %" JSON_INTEGER_FORMAT
           " jobs in flight\n",
           number(q, "messages"), number(q, "in_flight"));
    if (unread)
        printf("           %" JSON_INTEGER_FORMAT
               " shard%s not read yet: there is more than this\n",
               unread, unread == 1 ? " is" : "s are");
    json_object_foreach (json_object_get(q, "waiting"), reason, n) {
        if (json_integer_value(n))
            printf("           %8" JSON_INTEGER_FORMAT " recipients: %s\n", json_integer_value(n),
                   reason);
    }
    printf("since start  accepted %" JSON_INTEGER_FORMAT ", delivered %" JSON_INTEGER_FORMAT
           ", deferred %" JSON_INTEGER_FORMAT ", failed %" JSON_INTEGER_FORMAT
           ", bounced %" JSON_INTEGER_FORMAT "\n",
           number(q, "accepted"), number(q, "delivered"), number(q, "deferred"),
           number(q, "failed"), number(q, "bounced"));
    json_array_foreach (json_object_get(q, "destinations"), i, d) {
        printf("  to %s %s: %" JSON_INTEGER_FORMAT " waiting, %" JSON_INTEGER_FORMAT " in flight",
               string(d, "transport"), string(d, "destination"), number(d, "waiting"),
               number(d, "in_flight"));
        if (json_object_get(d, "dead"))
            printf("; dead (%s), probe in %.0fs", string(d, "dead"),
                   json_number_value(json_object_get(d, "probe_in")));
        putchar('\n');
    }
}

static void print_spool(const json_t *s)
{
    char bytes[32], cache[32];

    printf("spool      %" JSON_INTEGER_FORMAT " messages in %" JSON_INTEGER_FORMAT
           " segments, %s on disk, %s cached%s%s\n",
           number(s, "live_messages"), number(s, "segments"),
           text_size(number(s, "segment_bytes"), bytes, sizeof bytes),
           text_size(number(s, "cache_bytes"), cache, sizeof cache),
           number(s, "full") ? "; FULL: accepting nothing new" : "",
           number(s, "failed") ? "; FAILED: accepting nothing new" : "");
    if (number(s, "damaged_records"))
        printf("           %" JSON_INTEGER_FORMAT " damaged records were set aside; see the log\n",
               number(s, "damaged_records"));
}

/* Adds the numbers of `from` to those of `to`; lists are joined, everything else is the first's. */
static void add_up(json_t *to, json_t *from)
{
    const char *key;
    json_t *v;

    json_object_foreach (from, key, v) {
        json_t *have = json_object_get(to, key);

        if (!have)
            json_object_set(to, key, v);
        else if (json_is_integer(have) && json_is_integer(v))
            json_integer_set(have, json_integer_value(have) + json_integer_value(v));
        else if (json_is_array(have))
            json_array_extend(have, v);
        else if (json_is_object(have))
            add_up(have, v);
    }
}

/* A worker that stands still does not answer, and that is just when somebody asks. */
static int answers(const struct control_client *cc)
{
    struct pollfd p = { .fd = control_fd(cc), .events = POLLIN };
    int r;

    do
        r = poll(&p, 1, STATUS_PATIENCE_MSEC);
    while (r < 0 && errno == EINTR);
    return r != 0;
}

static int ask_worker(const struct config *cfg, unsigned i, json_t **sum)
{
    static const char question[] = "{\"verb\":\"status\"}\n";
    struct control_client *cc = NULL;
    json_t *answer = NULL;
    int code = control_connect_worker(cfg, i, &cc);

    if (!code)
        control_send_bytes(cc, question, sizeof question - 1);
    if (!code && !answers(cc))
        code = cli_error(EX_TEMPFAIL, "worker %u does not answer; what it holds is not counted", i);
    if (!code)
        answer = control_answer_read(cc, &code);
    control_close(&cc);
    if (code || !answer) {
        json_decref(answer);
        return code;
    }
    if (*sum)
        add_up(*sum, answer);
    else
        *sum = json_incref(answer);
    json_decref(answer);
    return 0;
}

/* What each directory was asked, and what is remembered of it. */
static void print_directories(const json_t *d)
{
    const char *name;
    json_t *asked;

    if (!d)
        return;
    printf("lookups    %" JSON_INTEGER_FORMAT " answers kept, %" JSON_INTEGER_FORMAT
           " hits, %" JSON_INTEGER_FORMAT " misses, %" JSON_INTEGER_FORMAT " failures\n",
           number(d, "entries"), number(d, "hits"), number(d, "misses"), number(d, "failures"));
    json_object_foreach (json_object_get(d, "asked"), name, asked)
        printf("           %s was asked %" JSON_INTEGER_FORMAT " times\n", name,
               json_integer_value(asked));
}

static int is_ready(const json_t *worker)
{
    return !strcmp(string(worker, "state"), "ready");
}

/* The whole gateway in one object: the workers' numbers added up, and what the supervisor says.
 * With an answer and a code, some worker said nothing (printed). */
static int gather(const struct config *cfg, json_t **ret)
{
    struct control_client *cc = NULL;
    json_t *top = NULL, *sum = NULL, *w;
    size_t i;
    int code = control_connect(cfg, "M", 0, &cc);

    if (!code)
        top = control_ask(cc, json_pack("{s:s}", "verb", "status"), &code);
    control_close(&cc);
    if (code) {
        json_decref(top);
        return code;
    }
    json_array_foreach (json_object_get(top, "workers"), i, w) {
        int r = is_ready(w) ? ask_worker(cfg, (unsigned)i, &sum) : 0;

        code = code ? code : r;
    }
    if (!sum)
        sum = json_object();      /* no worker is up: still the supervisor has much to say */
    json_object_update(sum, top); /* pid and up are the supervisor's */
    json_decref(top);
    *ret = sum;
    return code;
}

static double seconds(const json_t *o)
{
    return json_number_value(json_object_get(o, "seconds"));
}

/* Below its line: what it has done, and what it is doing now. */
static void print_doing(const json_t *w)
{
    const json_t *doing = json_object_get(w, "doing"), *h;
    size_t i;

    printf("           accepted %" JSON_INTEGER_FORMAT ", delivered %" JSON_INTEGER_FORMAT
           ", deferred %" JSON_INTEGER_FORMAT ", failed %" JSON_INTEGER_FORMAT
           ", %" JSON_INTEGER_FORMAT " connections\n",
           number(w, "accepted"), number(w, "delivered"), number(w, "deferred"),
           number(w, "failed"), number(w, "connections"));
    if (json_is_object(doing))
        printf("           in %s%s%s for %.1fs\n", string(doing, "plugin"),
               *string(doing, "id") ? " with " : "", string(doing, "id"), seconds(doing));
    json_array_foreach (json_object_get(w, "holding"), i, h)
        printf("           %s holds %s for %.1fs\n", string(h, "plugin"), string(h, "id"),
               seconds(h));
}

static void print_sandbox(const json_t *w)
{
    json_int_t abi = number(w, "sandbox");

    if (strcmp(string(w, "state"), "ready") != 0)
        putchar('\n');
    else if (abi)
        printf(", sandboxed (Landlock %" JSON_INTEGER_FORMAT ")\n", abi);
    else
        puts(", not sandboxed");
}

static void print_workers(const json_t *answer)
{
    json_t *w;
    size_t i;

    json_array_foreach (json_object_get(answer, "workers"), i, w) {
        printf("worker %zu   pid %" JSON_INTEGER_FORMAT ", %s, shard %" JSON_INTEGER_FORMAT
               ", %" JSON_INTEGER_FORMAT " messages, %" JSON_INTEGER_FORMAT " in flight",
               i, number(w, "pid"), string(w, "state"), number(w, "shard"), number(w, "messages"),
               number(w, "in_flight"));
        print_sandbox(w);
        if (number(w, "pid"))
            print_doing(w);
    }
    json_array_foreach (json_object_get(answer, "draining"), i, w)
        printf("draining   pid %" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT
               " connections, %" JSON_INTEGER_FORMAT " in flight\n",
               number(w, "pid"), number(w, "connections"), number(w, "in_flight"));
    if (number(answer, "crashes"))
        printf("           %" JSON_INTEGER_FORMAT
               " workers have crashed since the start; see the log\n",
               number(answer, "crashes"));
    if (*string(answer, "reloading") && strcmp(string(answer, "reloading"), "no") != 0)
        printf("           a reload is under way: %s\n",
               strcmp(string(answer, "reloading"), "validating")
                   ? "the new workers are starting"
                   : "the configuration is being validated");
    if (*string(answer, "last_reload_error"))
        printf("           the last reload failed: %s\n", string(answer, "last_reload_error"));
}

int cli_status(int argc, char **argv)
{
    struct cli_common c;
    struct config *cfg = NULL;
    json_t *answer = NULL;
    size_t broken = 0;
    int code;

    code = cli_no_arguments(&c, argc, argv);
    if (!code)
        code = cli_load_control(&c, &cfg, &broken);
    if (code)
        return code;
    cli_note_broken(cfg, broken);
    code = gather(cfg, &answer);
    config_free(&cfg);
    if (answer && c.json) {
        json_dumpf(answer, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (answer) {
        printf("gateway    %s, pid %" JSON_INTEGER_FORMAT ", up %.0fs, %" JSON_INTEGER_FORMAT
               " connections\n",
               string(answer, "hostname"), number(answer, "pid"),
               json_number_value(json_object_get(answer, "up")), number(answer, "connections"));
        print_workers(answer);
        if (json_object_get(answer, "queue")) {
            print_spool(json_object_get(answer, "spool"));
            print_queue(json_object_get(answer, "queue"), number(answer, "unread_shards"));
            print_directories(json_object_get(answer, "directories"));
        }
    }
    json_decref(answer);
    return code;
}
