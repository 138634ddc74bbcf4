/* Fuzz target: whatever somebody asks for, in a filter it is one value. Lines: what is asked for,
 * the operator's filter. */
#include "../../plugins/ldap/filter.h"
#include "pieces.h"

/* Undoes RFC 4515 3, and refuses what must not stand in a value. */
static void check_escaped(const char *text, size_t len, const char *value)
{
    size_t v = 0, wanted = strlen(value);

    for (size_t i = 0; i < len; i++) {
        unsigned c = (unsigned char)text[i];

        require(!strchr("*()", (int)c) && c >= 0x20 && c < 0x7f);
        if (c == '\\') {
            require(i + 2 < len && sscanf(text + i + 1, "%2x", &c) == 1);
            i += 2;
        }
        require(v < wanted && (unsigned char)value[v++] == c);
    }
    require(v == wanted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pieces p = pieces_new(data, size, 2);
    struct filter_values v = { p.v[0], p.v[0], p.v[0] };
    char *buf = malloc(FILTER_MAX);
    int n;

    require(buf != NULL);
    n = filter_expand("(x={key})", &v, buf, FILTER_MAX);
    if (n >= 0) {
        require(n >= 4 && !memcmp(buf, "(x=", 3) && buf[n - 1] == ')');
        check_escaped(buf + 3, (size_t)n - 4, p.v[0]);
    }
    n = filter_expand(p.v[1], &v, buf, FILTER_MAX);
    require(n < (int)FILTER_MAX);
    free(buf);
    pieces_free(&p);
    return 0;
}
