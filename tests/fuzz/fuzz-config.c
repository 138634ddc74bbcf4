/* The configuration: one or two files (divided by a line "---"), merged, filled, verified; then
 * every instance's object filled once more by a table with all types. Secrets are not read from
 * files. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/load.h"
#include "config/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct inner {
    const char *text;
    int64_t number;
};
struct settings {
    const char *text, *path;
    int64_t number, flag, wait, room, mode;
    struct postern_strings texts, listen;
    struct inner one;
    struct postern_objects many;
};

/* clang-format off */
static const struct postern_option inner_table[] = {
    POSTERN_OPT(struct inner, text, POSTERN_OPT_STRING, .flags = POSTERN_OPT_REQUIRED, .doc = "T."),
    POSTERN_OPT(struct inner, number, POSTERN_OPT_INT, .doc = "N."),
    { 0 },
};
static const struct postern_option table[] = {
    POSTERN_OPT(struct settings, text, POSTERN_OPT_STRING, .doc = "T."),
    POSTERN_OPT(struct settings, path, POSTERN_OPT_PATH, .doc = "P."),
    POSTERN_OPT(struct settings, number, POSTERN_OPT_INT, .min = 1, .max = 9, .doc = "N."),
    POSTERN_OPT(struct settings, flag, POSTERN_OPT_BOOL, .doc = "F."),
    POSTERN_OPT(struct settings, wait, POSTERN_OPT_DURATION, .doc = "W."),
    POSTERN_OPT(struct settings, room, POSTERN_OPT_SIZE, .doc = "R."),
    POSTERN_OPT(struct settings, mode, POSTERN_OPT_CHOICE, .choices = "a|bc", .doc = "M."),
    POSTERN_OPT(struct settings, texts, POSTERN_OPT_STRINGS, .max = 4, .doc = "T."),
    POSTERN_OPT(struct settings, listen, POSTERN_OPT_LISTEN, .doc = "L."),
    POSTERN_OPT(struct settings, one, POSTERN_OPT_OBJECT, .sub = inner_table,
        .sub_size = sizeof(struct inner), .doc = "O."),
    POSTERN_OPT(struct settings, many, POSTERN_OPT_OBJECTS, .sub = inner_table,
        .sub_size = sizeof(struct inner), .doc = "M."),
    { 0 },
};
/* clang-format on */

static void add(struct config_loader *l, const char *file, const char *text, size_t len)
{
    char *copy = mem_strndup(text, len);

    config_loader_add(l, file, copy, len);
    free(copy);
}

static void check_errors(const struct config_errors *e)
{
    for (size_t i = 0; i < e->n; i++) {
        if (strpbrk(e->lines[i], "\n\r\033")) /* one line, and harmless to a terminal */
            abort();
    }
}

static void check_rules(const struct config *cfg)
{
    for (size_t i = 0; i < cfg->routing.rules.n; i++) {
        if (!cfg->rule_origins[i].file || !cfg->rule_origins[i].pointer)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *cut = size ? memmem(text, size, "\n---\n", 5) : NULL;
    struct config_errors errors = { 0 };
    struct config_loader *l = config_loader_new("conf.d", &errors);
    struct config *cfg;

    add(l, "conf.d/a.json", text, cut ? (size_t)(cut - text) : size);
    if (cut)
        add(l, "conf.d/b.json", cut + 5, size - (size_t)(cut + 5 - text));
    cfg = config_loader_finish(l, "/state");
    check_rules(cfg);
    for (size_t i = 0; i < cfg->instance_n; i++) {
        struct settings settings = { 0 };

        config_fill(cfg->arena, table, sizeof *table, cfg->instances[i].object,
                    &cfg->instances[i].origin, NULL, &settings, &errors);
        if (settings.texts.n > 4)
            abort();
    }
    check_errors(&errors);
    config_free(&cfg);
    config_errors_free(&errors);
    return 0;
}
