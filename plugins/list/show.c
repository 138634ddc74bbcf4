/* show.c: what `postern list` prints: the lists that there is something to say of, as JSON.
 *
 * It runs in the operator's process, on the files as they are at that moment. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#include "members.h"
#include "state.h"

struct show {
    const struct settings *set;
    const char *what;
    postern_inspect_put *put;
    void *ctx;
    FILE *out;
    int64_t now;
    const char *comma;
};

static void put_string(FILE *out, const char *s)
{
    char clean[LIST_TEXT_MAX];

    fputc('"', out);
    for (postern_text_clean(s, strlen(s), clean, sizeof clean), s = clean; *s; s++) {
        if (*s == '"' || *s == '\\')
            fputc('\\', out);
        fputc(*s, out);
    }
    fputc('"', out);
}

static void put_member(void *ctx, const struct state_member *m)
{
    struct show *s = ctx;
    int64_t window = s->set->bounce_window / POSTERN_SECONDS(1);

    fprintf(s->out, "%s{\"member\":", s->comma);
    put_string(s->out, m->member);
    fprintf(s->out, ",\"count\":%llu,\"first\":%lld,\"last\":%lld,\"status\":",
            (unsigned long long)m->count, (long long)m->first, (long long)m->last);
    put_string(s->out, m->status);
    fputs(",\"reason\":", s->out);
    put_string(s->out, m->reason);
    fprintf(s->out, ",\"disabled\":%s}",
            state_disabled(m, s->set->bounce_limit, window, s->now) ? "true" : "false");
    s->comma = ",";
}

/* How many addresses are in the file now, or -1 with the problem in words. *ret_bad: how many lines
 * have something that is none. */
static long count_members(const char *path, const char *list, long *ret_bad, struct problem *reterr)
{
    struct members *m = malloc(sizeof *m);
    const char *at = strrchr(list, '@');
    char address[POSTERN_ADDRESS_MAX + 1];
    long n = 0;
    int r;

    if (!m) {
        problem_errno(reterr, ENOMEM, "read", path);
        return -1;
    }
    if (members_open(m, path, at ? at + 1 : "localhost", reterr) < 0) {
        free(m);
        return -1;
    }
    while ((r = members_next(m, address, sizeof address)) > 0 || r == -EBADMSG) {
        n += r > 0;
        *ret_bad += r < 0;
    }
    if (r < 0) {
        problem_errno(reterr, -r, "read", path);
        n = -1;
    }
    members_close(m);
    free(m);
    return n;
}

static void put_counts(struct show *s, const struct state *state, const char *list,
                       const char *path)
{
    struct problem problem;
    long bad = 0, n = *path ? count_members(path, list, &bad, &problem) : -1;

    fputs(",\"file\":", s->out);
    put_string(s->out, path);
    if (n >= 0) {
        fprintf(s->out, ",\"members\":%ld,\"bad_lines\":%ld", n, bad);
    } else if (*path) {
        fputs(",\"members\":null,\"problem\":", s->out);
        put_string(s->out, problem.text);
    }
    fprintf(s->out, ",\"posts\":%llu", (unsigned long long)state->posts);
    if (state->last_post) {
        fprintf(s->out, ",\"last_post\":%lld,\"last_id\":", (long long)state->last_post);
        put_string(s->out, state->id);
        fprintf(s->out, ",\"last_members\":%llu", (unsigned long long)state->members);
    }
}

/* list: an address, or only a name where none is known. */
static int show_list(struct show *s, const char *list, const struct state *state, const char *path)
{
    char *text = NULL;
    size_t len = 0;

    s->out = open_memstream(&text, &len);
    if (!s->out)
        return -errno;
    fputs("{\"list\":", s->out);
    put_string(s->out, list);
    put_counts(s, state, list, path);
    fputs(",\"bounces\":[", s->out);
    s->comma = "";
    state_each(state, put_member, s);
    fputs("]}", s->out);
    if (fclose(s->out) != 0) {
        free(text);
        return -ENOMEM;
    }
    s->put(s->ctx, text, len);
    free(text);
    return 0;
}

/* what: an address, a name, or NULL for all. */
static int is_asked_for(const struct show *s, const char *list)
{
    size_t len = s->what ? strlen(s->what) : 0;

    if (!s->what || place_same(list, s->what))
        return 1;
    return !strchr(s->what, '@') && !strncasecmp(list, s->what, len) &&
        (list[len] == '@' || !list[len]);
}

/* --- where lists are known from --- */

static int ends_in(const char *s, const char *end)
{
    size_t len = strlen(s), n = strlen(end);

    return len > n && !strcasecmp(s + len - n, end);
}

static int show_state(struct show *s, const char *path)
{
    struct state state;
    int r = state_load(&state, path, s->set->bounce_window / POSTERN_SECONDS(1));

    if (!r && *state.list && is_asked_for(s, state.list)) {
        struct route_says nothing = { 0 };
        struct place place;
        struct problem ignored;

        /* The folder knows better than the last post where the members are now. */
        if (!*state.path && s->set->members &&
            place_find(s->set, &nothing, state.list, "", &place, &ignored) == 0)
            snprintf(state.path, sizeof state.path, "%s", place.file);
        r = show_list(s, state.list, &state, state.path);
    }
    state_done(&state);
    return r;
}

static int each_in(struct show *s, const char *folder, int (*each)(struct show *, const char *))
{
    struct dirent **names = NULL;
    int n = scandir(folder, &names, NULL, alphasort), r = n < 0 ? -errno : 0;

    for (int i = 0; i < n; i++) {
        char path[LIST_PATH_MAX];

        if (!r && names[i]->d_name[0] != '.' &&
            (size_t)snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name) < sizeof path)
            r = each(s, path);
        free(names[i]);
    }
    free(names);
    return r;
}

static int show_if_state(struct show *s, const char *path)
{
    return ends_in(path, STATE_SUFFIX) ? show_state(s, path) : 0;
}

/* Has some list of that name a state? Then it has been shown with it. */
static int has_state(const struct show *s, const char *name)
{
    struct dirent *e;
    size_t len = strlen(name);
    DIR *d = s->set->state ? opendir(s->set->state) : NULL;
    int found = 0;

    while (d && !found && (e = readdir(d)) != NULL)
        found = ends_in(e->d_name, STATE_SUFFIX) && !strncasecmp(e->d_name, name, len) &&
            e->d_name[len] == '@';
    if (d)
        closedir(d);
    return found;
}

static int show_file(struct show *s, const char *path)
{
    char name[256];
    const char *leaf = strrchr(path, '/') + 1, *dot = strrchr(leaf, '.');
    const struct state none = { 0 };

    if (!dot || (strcasecmp(dot, ".list") != 0 && strcasecmp(dot, ".dis") != 0))
        return 0;
    snprintf(name, sizeof name, "%.*s", (int)(dot - leaf), leaf);
    return is_asked_for(s, name) && !has_state(s, name) ? show_list(s, name, &none, path) : 0;
}

/* The one list of an instance, or those of its folder, that nothing has been posted to. */
static int show_configured(struct show *s)
{
    const struct settings *set = s->set;
    const struct state none = { 0 };
    struct stat st;
    char path[LIST_PATH_MAX];

    if (set->list) {
        if (!is_asked_for(s, set->list) ||
            (set->state && state_path(set->state, set->list, path, sizeof path) == 0 &&
             stat(path, &st) == 0))
            return 0;
        return show_list(s, set->list, &none, set->members ? set->members : "");
    }
    if (!set->members || stat(set->members, &st) < 0 || !S_ISDIR(st.st_mode))
        return 0;
    return each_in(s, set->members, show_file);
}

int list_inspect(const void *settings, const char *what, postern_inspect_put *put, void *ctx)
{
    const struct settings *set = settings;
    struct show s = { .set = set, .what = what, .put = put, .ctx = ctx, .now = time(NULL) };
    int r = set->state ? each_in(&s, set->state, show_if_state) : 0;

    if (r == -ENOENT)
        r = 0; /* no worker has made it yet */
    return r < 0 ? r : show_configured(&s);
}
