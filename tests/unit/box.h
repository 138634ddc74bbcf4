/* A folder of a test's own, with a plugin that delivers into it in the fake host. */
#ifndef TESTS_UNIT_BOX_H
#define TESTS_UNIT_BOX_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../fake/fakehost.h"

#define BOX_TEXT_MAX (4u << 20) /* bytes of a file that is looked at */

struct box {
    char folder[64];
    struct fakehost *h;
};

static void box_complain(void *ctx, const char *what)
{
    (void)ctx;
    fail_msg("%s", what);
}

/* options: names and values in turn, NULL at the end; may be NULL. The folder is there already:
 * another life of the plugin. */
static inline void box_start(struct box *b, const struct postern_plugin *plugin,
                             const char *folder_option, const char *const *fixed,
                             const char *const *options)
{
    b->h = fakehost_new();
    fakehost_on_failure(b->h, box_complain, NULL);
    fakehost_set(b->h, folder_option, b->folder);
    for (; fixed && *fixed; fixed += 2)
        fakehost_set(b->h, fixed[0], fixed[1]);
    for (; options && *options; options += 2)
        fakehost_set(b->h, options[0], options[1]);
    if (fakehost_open(b->h, plugin) < 0)
        fail_msg("%s", fakehost_why(b->h));
}

static inline void box_make_folder(struct box *b)
{
    snprintf(b->folder, sizeof b->folder, "/tmp/postern-box-XXXXXX");
    assert_non_null(mkdtemp(b->folder));
}

static int box_remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

static inline void box_free(struct box *b)
{
    fakehost_close(&b->h);
    nftw(b->folder, box_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* One of the last four. */
static inline const char *path_of(const struct box *b, const char *name)
{
    static char path[4][256];
    static unsigned next;
    char *p = path[next++ % 4];

    snprintf(p, sizeof path[0], "%s/%s", b->folder, name);
    return p;
}

/* The whole file at that path; "" when there is none. Lives until the next call. */
static inline const char *text_at(const char *path)
{
    static char text[BOX_TEXT_MAX];
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;

    if (f)
        fclose(f);
    text[n] = '\0';
    return text;
}

static inline const char *text_of(const struct box *b, const char *name)
{
    return text_at(path_of(b, name));
}

static inline void put(const struct box *b, const char *name, const char *text)
{
    FILE *f = fopen(path_of(b, name), "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    chmod(path_of(b, name), 0600);
}

static inline int exists(const struct box *b, const char *name)
{
    struct stat st;

    return lstat(path_of(b, name), &st) == 0;
}

#endif
