/* cli/queue_analyze.c: postern queue analyze: is the spool what the queue believes it to be?
 *
 * The workers of a running gateway look at their own shards; what they do not have is read here,
 * under its lock. With --repair a shard is opened here as a worker would, with a queue that does
 * not run, so that there is one way of mending. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/queue_analyze.h"
#include "log/log.h"
#include "queue/analyze.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/text.h"

#define REPAIRED_ALL 1 /* exit code: there were faults, there are none now */
#define EMPTYING_USEC \
    30000000 /* how long a segment may take to be emptied; the next start goes on */

struct shard {
    char *name, *path;
    unsigned number;
    int held; /* by another process */
    struct spool_report report;
};

struct analyze {
    const struct config *cfg;
    int repair, json;
    uid_t owner;
    gid_t group;
    json_t *shards;
    struct shard *v;
    size_t n;
};

/* --- the gateway's --- */

static int ask_worker(struct analyze *a, unsigned worker)
{
    struct control_client *cc = NULL;
    json_t *answer = NULL;
    int code = control_connect_worker(a->cfg, worker, &cc);

    if (!code)
        answer = control_ask(
            cc, json_pack("{s:s, s:b}", "verb", "queue.analyze", "repair", a->repair), &code);
    if (answer && !code)
        json_array_extend(a->shards, json_object_get(answer, "shards"));
    json_decref(answer);
    control_close(&cc);
    return code;
}

static int ask_gateway(struct analyze *a)
{
    int code, workers = control_workers(a->cfg, 1, &code, NULL);

    if (workers < 0)
        return code == EX_UNAVAILABLE ? EX_OK : code;
    for (int i = 0; i < workers && !code; i++)
        code = ask_worker(a, (unsigned)i);
    return code;
}

/* --- the others --- */

static int is_told(const struct analyze *a, const char *name)
{
    json_t *s;
    size_t i;

    json_array_foreach (a->shards, i, s) {
        if (!strcmp(json_string_value(json_object_get(s, "shard")), name))
            return 1;
    }
    return 0;
}

static void add_shard(struct analyze *a, const char *name)
{
    char *end;
    unsigned long number;

    if (strncmp(name, "shard-", 6) || is_told(a, name))
        return;
    number = strtoul(name + 6, &end, 10);
    if (end == name + 6 || *end || number > UINT8_MAX)
        return;
    a->v = mem_realloc(a->v, (a->n + 1) * sizeof *a->v);
    a->v[a->n++] = (struct shard){ .name = mem_strdup(name),
                                   .path = mem_printf("%s/%s", a->cfg->spool.path, name),
                                   .number = (unsigned)number };
}

static int find_shards(struct analyze *a)
{
    struct dirent **names;
    int n = scandir(a->cfg->spool.path, &names, NULL, alphasort);

    if (n < 0 && errno == ENOENT)
        return EX_OK; /* nothing was ever spooled */
    if (n < 0)
        return cli_error(errno == EACCES ? EX_NOPERM : EX_NOINPUT,
                         "the spool can't be read: %s: %s", a->cfg->spool.path, strerror(errno));
    for (int i = 0; i < n; i++) {
        add_shard(a, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return EX_OK;
}

/* Whose the files are to be: the gateway's user's, or who has the spool's folder. */
static int find_owner(struct analyze *a)
{
    const struct passwd *pw = a->cfg->server.user ? getpwnam(a->cfg->server.user) : NULL;
    struct stat st;

    if (stat(a->cfg->spool.path, &st) < 0)
        return cli_error(EX_NOINPUT, "%s: %s", a->cfg->spool.path, strerror(errno));
    a->owner = pw ? pw->pw_uid : st.st_uid;
    a->group = pw ? pw->pw_gid : st.st_gid;
    return EX_OK;
}

/* What is written must be readable to the gateway: root becomes its user. */
static int become_owner(const struct analyze *a)
{
    if (geteuid() != 0 || a->owner == 0)
        return EX_OK;
    if (setgroups(1, &a->group) < 0 || setresgid(a->group, a->group, a->group) < 0 ||
        setresuid(a->owner, a->owner, a->owner) < 0)
        return cli_error(EX_NOPERM, "can't become uid %u, who has the spool: %s",
                         (unsigned)a->owner, strerror(errno));
    return EX_OK;
}

static void tell(struct analyze *a, struct shard *s, const char *state, const char *why)
{
    json_array_append_new(a->shards, queue_analyze_json(s->name, state, why, &s->report));
}

/* Before it is opened: what can't be read can't be replayed. Under the lock, as all that changes
 * something. */
static void mend_modes(const struct analyze *a, struct shard *s)
{
    AUTO_FREE char *path = mem_printf("%s/lock", s->path);
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
        s->held = 1;
    else
        spool_analyze_modes(s->path, a->owner, 1, &s->report);
}

static struct spool_config config_of(const struct analyze *a, const struct shard *s)
{
    const struct config_spool *c = &a->cfg->spool;

    return (struct spool_config){ .path = s->path,
                                  .segment_bytes = (uint64_t)c->segment_size,
                                  .inline_bytes = (uint64_t)c->inline_max,
                                  .reserve_bytes = (uint64_t)c->reserve,
                                  .min_free_bytes = (uint64_t)c->min_free,
                                  .lazy_sync_usec = c->sync_delay,
                                  .shard = (uint8_t)s->number,
                                  .keep_orphans = 1 };
}

static void unopened(struct analyze *a, struct shard *s, int err, const char *why)
{
    if (err == -EBUSY) {
        tell(a, s, "held", "another process has it; it was not touched");
        return;
    }
    if (!a->repair)
        spool_analyze_modes(s->path, a->owner, 0, &s->report);
    tell(a, s, "error", why);
}

static void look(struct analyze *a, struct shard *s)
{
    struct spool_config sc = config_of(a, s);
    struct spool *spool = NULL;
    char why[512];
    int r = spool_open(&sc, NULL, NULL, NULL, &spool, why, sizeof why);

    if (r < 0) {
        unopened(a, s, r, why);
        return;
    }
    queue_analyze_reading(spool, a->owner, &s->report);
    tell(a, s, "free", NULL);
    spool_close(&spool);
}

/* --- repairing --- */

struct repair {
    struct loop *loop;
    struct queue *queue;
    struct spool *spool;
    int over;
};

static void on_over(void *ctx, int result)
{
    (void)result; /* nobody stops it */
    ((struct repair *)ctx)->over = 1;
}

static void nothing(void *ctx)
{
    (void)ctx;
}

/* Segments with damage are emptied, then set aside. */
static void wait_emptied(struct repair *r)
{
    int64_t until = clock_mono() + EMPTYING_USEC;

    while (spool_emptying(r->spool) && clock_mono() < until) {
        struct loop_timer *t = loop_after(r->loop, 50000, nothing, NULL);

        (void)t; /* it fires, or goes with the loop */
        loop_turn(r->loop, 1);
    }
}

static void analyse(struct analyze *a, struct shard *s, struct repair *r)
{
    struct queue_analyze_setup setup = {
        .loop = r->loop, .queue = r->queue, .spool = r->spool, .repair = 1, .owner = a->owner
    };
    struct queue_analysis *running = NULL;

    if (queue_analyze(&setup, &s->report, on_over, r, &running) < 0)
        return;
    while (!r->over)
        loop_turn(r->loop, 1);
    queue_analysis_free(&running);
    wait_emptied(r);
}

static void mend(struct analyze *a, struct shard *s)
{
    struct repair r = { .loop = loop_new(1) };
    struct queue_setup setup = { .loop = r.loop, .config = a->cfg };
    struct spool_config sc = config_of(a, s);
    char why[512] = "the queue can't start: a bad retry list";
    int err = queue_new(&setup, &r.queue);

    if (err == 0)
        err = spool_open(&sc, r.loop, queue_replay, r.queue, &r.spool, why, sizeof why);
    if (err < 0) {
        unopened(a, s, err, why);
    } else {
        queue_set_spool(r.queue, r.spool);
        analyse(a, s, &r);
        tell(a, s, "free", NULL);
    }
    spool_close(&r.spool);
    queue_free(&r.queue);
    loop_free(&r.loop);
}

static int see_to_the_rest(struct analyze *a)
{
    int code = find_shards(a);

    if (code || !a->n)
        return code;
    code = find_owner(a);
    for (size_t i = 0; !code && a->repair && i < a->n; i++)
        mend_modes(a, &a->v[i]);
    if (!code && a->repair)
        code = become_owner(a);
    for (size_t i = 0; !code && i < a->n; i++) {
        if (a->v[i].held)
            unopened(a, &a->v[i], -EBUSY, NULL);
        else if (a->repair)
            mend(a, &a->v[i]);
        else
            look(a, &a->v[i]);
    }
    return code;
}

/* --- telling --- */

static json_int_t number(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static const char *word(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static void print_finding(const json_t *f, int repair)
{
    const char *state = word(f, "state");

    printf("  %-8s  %s", state, word(f, "file"));
    if (json_object_get(f, "offset"))
        printf(" at %" JSON_INTEGER_FORMAT, number(f, "offset"));
    if (number(f, "bytes"))
        printf(", %" JSON_INTEGER_FORMAT " bytes", number(f, "bytes"));
    if (*word(f, "id"))
        printf(", message %s", word(f, "id"));
    printf("\n            %s (%s)\n            expected %s\n", word(f, "found"), word(f, "kind"),
           word(f, "expected"));
    if (!strcmp(state, "note"))
        return;
    printf("            %s%s\n", repair ? "" : "--repair would: ", word(f, "repair"));
}

static void print_shard(const json_t *s, int repair)
{
    const json_t *facts = json_object_get(s, "facts");
    char bytes[32], free_bytes[32];
    json_t *f;
    size_t i;

    printf("%s (%s)", word(s, "shard"), word(s, "state"));
    if (*word(s, "why"))
        printf(": %s", word(s, "why"));
    else
        printf(": %" JSON_INTEGER_FORMAT " messages; %s in %" JSON_INTEGER_FORMAT
               " segments, %s reclaimable; %" JSON_INTEGER_FORMAT " content files",
               number(facts, "live_messages"),
               text_size(number(facts, "segment_bytes"), bytes, sizeof bytes),
               number(facts, "segments"),
               text_size(number(facts, "reclaimable_bytes"), free_bytes, sizeof free_bytes),
               number(facts, "content_files"));
    putchar('\n');
    if (number(facts, "set_aside_files"))
        printf("  note      %" JSON_INTEGER_FORMAT " damaged files are set aside, %s\n",
               number(facts, "set_aside_files"),
               text_size(number(facts, "set_aside_bytes"), bytes, sizeof bytes));
    if (number(facts, "lost_found_files"))
        printf("  note      %" JSON_INTEGER_FORMAT " files are in " SPOOL_LOST_FOUND "/, %s\n",
               number(facts, "lost_found_files"),
               text_size(number(facts, "lost_found_bytes"), bytes, sizeof bytes));
    json_array_foreach (json_object_get(s, "findings"), i, f)
        print_finding(f, repair);
    if (number(s, "untold"))
        printf("  and %" JSON_INTEGER_FORMAT " findings more, which were left as they are\n",
               number(s, "untold"));
}

static void count(const json_t *shards, json_int_t *ret_faults, json_int_t *ret_repaired,
                  int *ret_code)
{
    json_t *s;
    size_t i;

    json_array_foreach (shards, i, s) {
        *ret_faults += number(s, "faults");
        *ret_repaired += number(s, "repaired");
        if (!strcmp(word(s, "state"), "error"))
            *ret_code = EX_IOERR;
        else if (!strcmp(word(s, "state"), "held") && !*ret_code)
            *ret_code = EX_TEMPFAIL;
    }
    if (*ret_code == EX_IOERR)
        return;
    if (*ret_faults > *ret_repaired)
        *ret_code = EX_DATAERR;
    else if (*ret_faults && !*ret_code)
        *ret_code = REPAIRED_ALL;
}

static int print(const struct analyze *a)
{
    json_int_t faults = 0, repaired = 0;
    int code = EX_OK;
    json_t *s;
    size_t i;

    count(a->shards, &faults, &repaired, &code);
    if (a->json) {
        json_t *all = json_pack("{s:O, s:I, s:I}", "shards", a->shards, "faults", faults,
                                "repaired", repaired);

        json_dumpf(all, stdout, JSON_INDENT(1));
        putchar('\n');
        json_decref(all);
        return code;
    }
    json_array_foreach (a->shards, i, s)
        print_shard(s, a->repair);
    if (!json_array_size(a->shards))
        puts("there is no spool yet");
    else if (!faults)
        puts("nothing is wrong");
    else
        printf("%" JSON_INTEGER_FORMAT " fault%s, %" JSON_INTEGER_FORMAT " repaired\n", faults,
               faults == 1 ? "" : "s", repaired);
    return code;
}

int queue_analyze_cli(const struct config *cfg, int repair, int json)
{
    static const struct log_config quiet = { .level = -1 };
    struct analyze a = { .cfg = cfg, .repair = repair, .json = json, .shards = json_array() };
    int code;

    log_open(&quiet); /* what a replay would log is among the findings */
    code = ask_gateway(&a);
    if (!code)
        code = see_to_the_rest(&a);
    if (!code)
        code = print(&a);
    for (size_t i = 0; i < a.n; i++) {
        spool_report_done(&a.v[i].report);
        free(a.v[i].name);
        free(a.v[i].path);
    }
    free(a.v);
    json_decref(a.shards);
    return code;
}
