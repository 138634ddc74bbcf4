/* config/default.c: a default, written in the table as text, as the JSON it stands for. What cannot
 * be read becomes a JSON string, which the type's own code then refuses in its own words. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/engine.h"

static json_t *number(const char *text)
{
    char *end;
    long long v;

    errno = 0;
    v = strtoll(text, &end, 10);
    return errno || end == text || *end ? json_string(text) : json_integer(v);
}

static json_t *comma_list(const char *text)
{
    json_t *list = json_array();

    while (*text) {
        size_t n, skipped = strspn(text, " ");

        text += skipped;
        n = strcspn(text, ",");
        json_array_append_new(list, json_stringn(text, n));
        text += n;
        if (*text == ',')
            text++;
    }
    return list;
}

json_t *config_default_json(const struct postern_option *row)
{
    const char *text = row->dflt;

    if (!text)
        return NULL;
    switch (row->type) {
    case POSTERN_OPT_INT:
        return number(text);
    case POSTERN_OPT_BOOL:
        if (!strcmp(text, "true") || !strcmp(text, "false"))
            return json_boolean(*text == 't');
        return json_string(text);
    case POSTERN_OPT_STRINGS:
    case POSTERN_OPT_LISTEN:
        return comma_list(text);
    default:
        return json_string(text);
    }
}
