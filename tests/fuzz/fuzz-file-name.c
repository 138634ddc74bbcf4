/* Fuzz target: from a stranger's address to the name of a file. Lines: recipient, the option's
 * template, the type of aliases' files, an alias's file. */
#include <strings.h>

#include "../../plugins/file/file.h"
#include "pieces.h"

/* It is below its root, and nobody's lock. */
static void check_name(const struct file_name *name)
{
    size_t len = strlen(name->path);

    require(name->root && len && len < sizeof name->path);
    require(name->path[0] != '/' && name->path[len - 1] != '/');
    require(len <= 5 || strcasecmp(name->path + len - 5, ".lock") != 0);
    for (const char *p = name->path; *p;) {
        size_t n = strcspn(p, "/");

        require(n && !(n == 1 && *p == '.') && !(n == 2 && p[0] == '.' && p[1] == '.'));
        p += n + (p[n] == '/');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pieces p = pieces_new(data, size, 4);
    const char *roots[] = { "/srv/a", "/srv/a/b/" };
    struct settings set = {
        .roots = { 2, roots },
        .path = p.v[1],
        .alias_type = p.v[2],
        .delimiters = "+",
    };
    char why[256] = "";
    int good = name_check("path", set.path, why, sizeof why) == 0;

    require(good || *why);
    for (int i = 0; i < 2; i++) {
        struct problem wrong = { .fate = 0 };
        struct file_name name;
        int r = name_make(&set, p.v[0], i ? p.v[3] : NULL, 1700000000, &name, &wrong);

        require((r < 0) == (wrong.fate != 0));
        if (r == 0)
            check_name(&name);
    }
    pieces_free(&p);
    return 0;
}
