/* daemon/sandbox_paths.c: what the configuration says of places: the spool, and the values of those
 * options by which plugins say what they write and read. */
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/sections.h"
#include "config/table.h"
#include "daemon/sandbox.h"
#include "util/cleanup.h"
#include "util/mem.h"

#define WILDCARDS    "%{$*"
#define HOMES_USUAL  "/home"
#define HOMES_MAX    4096u /* users whose homes are outside of it */
#define FIRST_PERSON 1000u /* uid; those below are the system's own (Debian Policy 9.2.2) */
#define WRITES       (POSTERN_OPT_WRITES | POSTERN_OPT_WRITES_FILE)

struct walk {
    sandbox_each *each;
    void *ctx;
    const char *whose; /* options these are */
    char *why;
    size_t why_size;
    int r;
};

char *sandbox_base(const char *value, uint32_t flags)
{
    size_t whole = strlen(value), len = strcspn(value, WILDCARDS);

    if (value[0] != '/')
        return NULL;
    if (len < whole || (flags & POSTERN_OPT_WRITES_FILE)) {
        while (len && value[len - 1] != '/')
            len--;
    }
    while (len > 1 && value[len - 1] == '/')
        len--;
    return len > 1 ? mem_strndup(value, len) : NULL;
}

/* --- the homes of people: for what begins with ~ --- */

/* Of the system's own users only those count who have the file, NULL: none does. */
static int is_person(const struct passwd *pw, const char *file)
{
    char *path AUTO_FREE = NULL;

    if (pw->pw_uid == 0 || pw->pw_uid >= FIRST_PERSON)
        return 1;
    if (!file)
        return 0;
    path = mem_printf("%s/%s", pw->pw_dir, file);
    return !access(path, F_OK);
}

static int has_home(const struct passwd *pw, const char *file)
{
    struct stat st;

    return pw->pw_dir && pw->pw_dir[0] == '/' && pw->pw_dir[1] &&
        strncmp(pw->pw_dir, HOMES_USUAL "/", sizeof HOMES_USUAL) != 0 && !stat(pw->pw_dir, &st) &&
        S_ISDIR(st.st_mode) && is_person(pw, file);
}

static void homes(const struct walk *w, enum sandbox_access how, const char *file)
{
    const struct passwd *pw;

    if (!access(HOMES_USUAL, F_OK))
        w->each(w->ctx, HOMES_USUAL, how); /* of whoever will be there tomorrow, too */
    setpwent();
    /* cppcheck-suppress getpwentCalled ; there is only one thread yet */
    for (unsigned n = 0; n < HOMES_MAX && (pw = getpwent());) {
        if (!has_home(pw, file))
            continue;
        w->each(w->ctx, pw->pw_dir, how);
        n++;
    }
    endpwent();
}

/* --- options --- */

static void writes(struct walk *w, const struct postern_option *row, const char *value)
{
    char *base AUTO_FREE = NULL;

    if (value[0] == '~') {
        homes(w, SANDBOX_WRITE, NULL);
        return;
    }
    base = sandbox_base(value, row->flags);
    if (base) {
        w->each(w->ctx, base, SANDBOX_WRITE);
        return;
    }
    snprintf(w->why, w->why_size, "%s may write anywhere: its \"%s\" is \"%s\"", w->whose, row->key,
             value);
    w->r = -EINVAL;
}

/* What is read may be replaced while we run (a certificate, a list), by a new file of its name. */
static void reads_place(const struct walk *w, const char *value)
{
    char *folder AUTO_FREE = NULL;
    struct stat st;

    if (stat(value, &st) || !S_ISDIR(st.st_mode))
        folder = sandbox_base(value, POSTERN_OPT_WRITES_FILE);
    w->each(w->ctx, folder ? folder : value, SANDBOX_READ);
}

static void reads(const struct walk *w, const char *value)
{
    const char *place = strstr(value, "=/");
    char *real AUTO_FREE = NULL;

    if (value[0] == '~') {
        homes(w, SANDBOX_READ, NULL);
        return;
    }
    if (value[0] != '/' && place)
        value = place + 1;
    if (!strcmp(value, "/")) /* a program's working folder, say: no more is meant by it */
        return;
    reads_place(w, value);
    real = realpath(value, NULL);
    if (real && strcmp(real, value) != 0) /* a link: the wall asks where it leads */
        reads_place(w, real);
}

static void option(struct walk *w, const struct postern_option *row, const char *value)
{
    if (value && *value && (row->flags & WRITES))
        writes(w, row, value);
    else if (value && *value && (row->type == POSTERN_OPT_PATH || (row->flags & POSTERN_OPT_READS)))
        reads(w, value);
}

static void options(struct walk *w, const struct postern_option *table, size_t step,
                    const void *settings, unsigned depth)
{
    struct postern_option row;

    for (size_t i = 0; depth <= CONFIG_TABLE_DEPTH_MAX && config_row(table, step, i, &row); i++) {
        const void *member = (const char *)settings + row.offset;
        const struct postern_strings *texts = member;
        const struct postern_objects *objects = member;

        switch (row.type) {
        case POSTERN_OPT_STRING:
        case POSTERN_OPT_PATH:
            option(w, &row, *(const char *const *)member);
            break;
        case POSTERN_OPT_STRINGS:
            for (size_t k = 0; k < texts->n; k++)
                option(w, &row, texts->v[k]);
            break;
        case POSTERN_OPT_OBJECT:
            options(w, row.sub, step, member, depth + 1);
            break;
        case POSTERN_OPT_OBJECTS:
            for (size_t k = 0; k < objects->n; k++)
                options(w, row.sub, step, (const char *)objects->v + k * row.sub_size, depth + 1);
            break;
        default:
            break;
        }
    }
}

/* --- core files: only for who has asked for them --- */

static void core_folder(const struct walk *w)
{
    char pattern[PATH_MAX] = "", *folder AUTO_FREE = NULL;
    struct rlimit limit;
    FILE *f;

    if (getrlimit(RLIMIT_CORE, &limit) || !limit.rlim_cur)
        return;
    f = fopen("/proc/sys/kernel/core_pattern", "re");
    if (!f)
        return;
    if (fgets(pattern, sizeof pattern, f))
        pattern[strcspn(pattern, "\n")] = '\0';
    fclose(f);
    if (*pattern == '|' || !*pattern) /* a program takes it, outside of the sandbox */
        return;
    folder = *pattern == '/' ? sandbox_base(pattern, POSTERN_OPT_WRITES_FILE) : getcwd(NULL, 0);
    if (folder && strcmp(folder, "/") != 0)
        w->each(w->ctx, folder, SANDBOX_WRITE);
}

/* --- the whole --- */

static void program_folder(const struct walk *w)
{
    char path[PATH_MAX], *folder AUTO_FREE = NULL;
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

    if (n <= 0)
        return;
    path[n] = '\0';
    folder = sandbox_base(path, POSTERN_OPT_WRITES_FILE);
    if (folder)
        w->each(w->ctx, folder, SANDBOX_READ);
}

int sandbox_paths(const struct plan *plan, sandbox_each *each, void *ctx, char *why,
                  size_t why_size)
{
    struct walk w = { .each = each, .ctx = ctx, .why = why, .why_size = why_size };
    const struct config *cfg = plan->config;
    const char *folder;

    program_folder(&w);
    for (size_t i = 0; (folder = plugin_folder(plan->catalog, i)); i++)
        each(ctx, folder, SANDBOX_READ);
    each(ctx, cfg->source, SANDBOX_READ); /* "(built in)" is no folder, and is passed over */
    core_folder(&w);
    for (size_t i = 0; (w.whose = config_sections[i].name); i++)
        options(&w, config_sections[i].table, sizeof *config_sections[i].table,
                (const char *)cfg + config_places[i].offset, 0);
    if (cfg->aliases.user_file)
        homes(&w, SANDBOX_READ, cfg->aliases.user_file);
    for (size_t i = 0; i < cfg->instance_n; i++) {
        const struct config_instance *in = &cfg->instances[i];

        w.whose = in->name;
        if (in->enabled && in->descriptor && in->descriptor->options)
            options(&w, in->descriptor->options, in->descriptor->option_size, in->settings, 0);
    }
    return w.r;
}

const char *sandbox_undeclared(const struct config *cfg)
{
    for (size_t i = 0; i < cfg->instance_n; i++) {
        const struct config_instance *in = &cfg->instances[i];
        const struct postern_plugin *d = in->descriptor;

        if (in->enabled && d && !(POSTERN_HAS(d, flags) && (d->flags & POSTERN_PLUGIN_PATHS)))
            return in->name;
    }
    return NULL;
}
