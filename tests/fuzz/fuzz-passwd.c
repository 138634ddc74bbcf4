/* Fuzz target: a password file, and the names that are looked up in it. The first line is asked
 * for, the rest is the file. */
#include <errno.h>

#include "../../plugins/passwd/names.h"
#include "pieces.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct memory_file file;
    struct pieces p = pieces_new(data, size, 2);
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    size_t first = end ? (size_t)(end - data) + 1 : size;
    struct settings set = { .full_names = 1, .uid_max = 60000 };
    char why[NAMES_WHY_MAX] = "", login[POSTERN_ADDRESS_MAX + 1];
    struct names *n;
    int r;

    memory_file_fill(&file, data + first, size - first);
    set.file = file.path;
    n = names_new(&set);
    require(n != NULL);
    r = names_user(n, p.v[0], 1, why, sizeof why);
    require(r == 0 || r == -ENOENT || (r == -EAGAIN && *why));
    r = names_full(n, p.v[0], 1, login, sizeof login, why, sizeof why);
    if (r == 0) /* who has a full name is a user */
        require(names_user(n, login, 1, why, sizeof why) == 0);
    names_free(&n);
    pieces_free(&p);
    return 0;
}
