/* plugin/load.c: finding and loading modules, through libltdl, and never letting them go again. */
#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <ltdl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/table.h"
#include "plugin/plugin.h"
#include "plugin/vet.h"
#include "util/buf.h"
#include "util/cleanup.h"

#define PLUGIN_FOLDERS_MAX 64u
#define PLUGIN_LISTED_MAX  4096u

struct plugin_catalog {
    char **folders;
    size_t folder_n;
    struct plugin_listed *listed; /* what was loaded or refused so far; entries own their strings */
    size_t listed_n;
};

/* --- the catalog --- */

static void add_folders(struct plugin_catalog *c, const char *list)
{
    while (*list && c->folder_n < PLUGIN_FOLDERS_MAX) {
        size_t n = strcspn(list, ":");

        if (n)
            c->folders[c->folder_n++] = mem_strndup(list, n);
        list += n + (list[n] == ':');
    }
}

struct plugin_catalog *plugin_catalog_new(void)
{
    struct plugin_catalog *c = mem_zalloc(sizeof *c);
    const char *list = getenv("POSTERN_PLUGIN_PATH");

    /* Counted by libltdl, and never undone: lt_dlexit would unload what runs. */
    lt_dlinit();
    c->folders = mem_zalloc(PLUGIN_FOLDERS_MAX * sizeof *c->folders);
    add_folders(c, list && *list ? list : PLUGINDIR);
    return c;
}

void plugin_catalog_free(struct plugin_catalog **c)
{
    if (!*c)
        return;
    for (size_t i = 0; i < (*c)->folder_n; i++)
        free((*c)->folders[i]);
    for (size_t i = 0; i < (*c)->listed_n; i++) {
        free((void *)(*c)->listed[i].name);
        free((void *)(*c)->listed[i].path);
        free((void *)(*c)->listed[i].refused);
    }
    free((*c)->folders);
    free((*c)->listed);
    free(*c);
    *c = NULL;
}

const char *plugin_folder(const struct plugin_catalog *c, size_t i)
{
    return i < c->folder_n ? c->folders[i] : NULL;
}

static struct plugin_listed *known(struct plugin_catalog *c, const char *name)
{
    for (size_t i = 0; i < c->listed_n; i++) {
        if (!strcmp(c->listed[i].name, name))
            return &c->listed[i];
    }
    return NULL;
}

/* --- finding --- */

static int is_file(const char *path)
{
    struct stat st;

    return !stat(path, &st) && S_ISREG(st.st_mode);
}

/* A module stands in the folder itself, or, in a build tree, in a folder of its own name; there the
 * .la file leads to what libtool has hidden. malloc'ed, NULL: not here. */
static char *find_in(const char *folder, const char *name)
{
    static const char *const ends[] = { "la", "so" };

    for (size_t i = 0; i < 4; i++) {
        char *path = i < 2 ? mem_printf("%s/%s.%s", folder, name, ends[i])
                           : mem_printf("%s/%s/%s.%s", folder, name, name, ends[i - 2]);

        if (is_file(path))
            return path;
        free(path);
    }
    return NULL;
}

static char *find(const struct plugin_catalog *c, const char *name)
{
    char *path = NULL;

    for (size_t i = 0; i < c->folder_n && !path; i++)
        path = find_in(c->folders[i], name);
    return path;
}

/* Adds the name when there is a module of that name in the folder. */
static void add_name(const char *folder, const char *file, char ***names, size_t *n)
{
    char *name AUTO_FREE = mem_strdup(file), *dot = strrchr(name, '.'), *path AUTO_FREE = NULL;

    if (dot && (!strcmp(dot, ".la") || !strcmp(dot, ".so")))
        *dot = '\0';
    if (*n < PLUGIN_LISTED_MAX && config_name_valid(name))
        path = find_in(folder, name);
    if (!path)
        return;
    *names = mem_realloc(*names, (*n + 1) * sizeof **names);
    (*names)[(*n)++] = STEAL_PTR(name);
}

static int is_visible(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

static void names_in(const char *folder, char ***names, size_t *n)
{
    struct dirent **files;
    int count = scandir(folder, &files, is_visible, alphasort);

    if (count < 0)
        return;
    for (int i = 0; i < count; i++) {
        add_name(folder, files[i]->d_name, names, n);
        free(files[i]);
    }
    free(files);
}

static void all_names(const struct plugin_catalog *c, char ***names, size_t *n)
{
    *names = NULL;
    *n = 0;
    for (size_t i = 0; i < c->folder_n; i++)
        names_in(c->folders[i], names, n);
}

static void free_names(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

static int not_found(const struct plugin_catalog *c, const char *name, char *why, size_t why_size)
{
    struct buf text = { 0 };
    size_t n, best = SIZE_MAX;
    const char *near = NULL;
    char **names;

    buf_printf(&text, "there is no plugin \"%s\" in ", name);
    for (size_t i = 0; i < c->folder_n; i++)
        buf_printf(&text, "%s%s", i ? ", " : "", c->folders[i]);
    all_names(c, &names, &n);
    for (size_t i = 0; i < n; i++) {
        if (config_nearer(name, names[i], &best))
            near = names[i];
    }
    if (near)
        buf_printf(&text, "; did you mean \"%s\"?", near);
    snprintf(why, why_size, "%s", text.data);
    buf_free(&text);
    free_names(names, n);
    return -ENOENT;
}

/* --- loading --- */

/* libltdl loads lazily and knows only "file not found". Binding every symbol beforehand makes a
 * plugin with a missing one fail here, with its name, and not at the first call; libltdl then gets
 * the very same object. */
static int bind_now(const char *path, char *why, size_t why_size)
{
    size_t len = strlen(path);
    int folder = (int)(strrchr(path, '/') - path);
    char *real AUTO_FREE = NULL;

    if (strcmp(path + len - 3, ".la")) {
        real = mem_strdup(path);
    } else {
        int name = (int)len - 3 - (folder + 1);

        real = mem_printf("%.*s/.libs/%.*s.so", folder, path, name, path + folder + 1);
        if (!is_file(real)) {
            free(real);
            real = mem_printf("%.*s/%.*s.so", folder, path, name, path + folder + 1);
        }
    }
    /* cppcheck-suppress leakReturnValNotUsed ; nothing is ever unloaded */
    if (!dlopen(real, RTLD_NOW | RTLD_LOCAL)) {
        const char *error = dlerror();

        if (!error)
            error = "the loader says nothing";
        /* The caller names the path; a .la file leads to another one. */
        if (!strcmp(real, path) && !strncmp(error, path, len) && !strncmp(error + len, ": ", 2))
            error += len + 2;
        snprintf(why, why_size, "cannot be loaded: %s", error);
        return -EINVAL;
    }
    return 0;
}

static lt_dlhandle open_module(const char *path, char *why, size_t why_size)
{
    lt_dlhandle handle = NULL;
    lt_dladvise advise;

    if (bind_now(path, why, why_size) < 0)
        return NULL;
    if (lt_dladvise_init(&advise)) {
        snprintf(why, why_size, "cannot be loaded: libltdl does not work");
        return NULL;
    }
    if (!lt_dladvise_local(&advise) && !lt_dladvise_resident(&advise))
        handle = lt_dlopenadvise(path, advise);
    if (!handle) {
        const char *error = lt_dlerror();

        snprintf(why, why_size, "cannot be loaded: %s", error ? error : "libltdl says nothing");
    }
    lt_dladvise_destroy(&advise);
    return handle;
}

/* libltdl puts the prefix before a symbol's name only for a module that came by way of its .la
 * file, and distributions delete those. */
static const struct postern_plugin *descriptor_of(lt_dlhandle handle, const char *name)
{
    const void *symbol = lt_dlsym(handle, "postern_plugin");
    char *prefixed AUTO_FREE = mem_printf("%s_LTX_postern_plugin", name);

    for (char *p = prefixed; *p && p < prefixed + strlen(name); p++) {
        if (!isalnum((unsigned char)*p))
            *p = '_';
    }
    return symbol ? symbol : lt_dlsym(handle, prefixed);
}

/* *ret: vetted. */
static int load_from(const char *path, const char *name, const struct postern_plugin **ret,
                     char *why, size_t why_size)
{
    lt_dlhandle handle = open_module(path, why, why_size);
    const struct postern_plugin *p;

    if (!handle)
        return -EINVAL;
    p = descriptor_of(handle, name);
    if (!p) {
        snprintf(why, why_size, "no Postern plugin: it exports no descriptor (postern_plugin)");
        return -EINVAL;
    }
    if (plugin_vet(p, name, why, why_size) < 0)
        return -EINVAL;
    *ret = p;
    return 0;
}

static struct plugin_listed *note(struct plugin_catalog *c, const char *name, char *path,
                                  const struct postern_plugin *descriptor, const char *refused)
{
    struct plugin_listed *l;

    c->listed = mem_realloc(c->listed, (c->listed_n + 1) * sizeof *c->listed);
    l = &c->listed[c->listed_n++];
    *l = (struct plugin_listed){ .name = mem_strdup(name),
                                 .path = path,
                                 .descriptor = descriptor,
                                 .refused = refused ? mem_strdup(refused) : NULL };
    return l;
}

int plugin_load(struct plugin_catalog *c, const char *name, const struct postern_plugin **ret,
                const char **ret_path, char *why, size_t why_size)
{
    struct plugin_listed *l;

    /* Before it becomes a part of a path. */
    if (!config_name_valid(name)) {
        snprintf(why, why_size, "\"%s\" is no plugin's name", name);
        return -EINVAL;
    }
    l = known(c, name);
    if (!l) {
        const struct postern_plugin *p = NULL;
        char *path = find(c, name), refused[512] = "";

        if (!path)
            return not_found(c, name, why, why_size);
        load_from(path, name, &p, refused, sizeof refused);
        l = note(c, name, path, p, p ? NULL : refused);
    }
    if (!l->descriptor) {
        snprintf(why, why_size, "%s: %s", l->path, l->refused);
        return -EINVAL;
    }
    *ret = l->descriptor;
    if (ret_path)
        *ret_path = l->path;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct plugin_listed *)a)->name, ((const struct plugin_listed *)b)->name);
}

size_t plugin_list(struct plugin_catalog *c, const struct plugin_listed **ret)
{
    const struct postern_plugin *ignored;
    char **names, why[512];
    size_t n;

    all_names(c, &names, &n);
    for (size_t i = 0; i < n; i++)
        plugin_load(c, names[i], &ignored, NULL, why, sizeof why);
    free_names(names, n);
    if (c->listed_n)
        qsort(c->listed, c->listed_n, sizeof *c->listed, by_name);
    *ret = c->listed;
    return c->listed_n;
}
