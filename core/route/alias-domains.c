/* Names for which mail is local, one a line: SMTP_HOST_ALIASES of TCPware (T-54), and the local
 * alias file of UCX and TCP/IP Services (U-70, C-23), which has stricter rules. Limits that were
 * limits of their time are said, not kept. */
#include <errno.h>
#include <string.h>

#include "route/alias-read.h"

#define UCX_NAMES_MAX 255u
#define UCX_NAME_MAX  64u

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void warn_ucx(struct alias_reader *r, const char *at, const char *name, size_t len)
{
    if (!memchr(name, '.', len))
        alias_warn(r, at, "\"%.*s\" is unqualified, and matches only mail addressed so", (int)len,
                   name);
    if (len > UCX_NAME_MAX)
        alias_warn(r, at, "UCX took names of %u characters at most; here it counts", UCX_NAME_MAX);
    if (r->map->record_n == UCX_NAMES_MAX + 1)
        alias_warn(r, at, "UCX took %u names at most; here all count", UCX_NAMES_MAX);
}

static int add_domain(struct alias_reader *r, const char *at, size_t len, int ucx)
{
    struct address_fault fault = { NULL, 0 };
    char domain[ADDRESS_DOMAIN_MAX + 1];
    uint32_t first = 0;
    int n;

    if (*at == '[')
        return alias_error(r, at, "found '[', expected a domain: an address literal is none");
    if (alias_domain(at, len, domain, &fault) < 0)
        return alias_error(r, at, "found \"%.*s\", expected a domain: %s",
                           (int)(len > 100 ? 100 : len), at, fault.why);
    n = alias_map_begin(r->map, domain, strlen(domain), r->line, 0, &first);
    if (n == -EEXIST)
        alias_warn(r, at, "\"%s\" is in line %u already", domain, first);
    else if (n < 0)
        return alias_error(r, at, "expected at most %u MiB of domains", ALIAS_MAP_BYTES_MAX >> 20);
    if (ucx && !n)
        warn_ucx(r, at, domain, strlen(domain));
    return 0;
}

static int read_line(struct alias_reader *r, const char *end, int ucx)
{
    const char *p = r->p, *name;

    while (p < end && is_blank(*p))
        p++;
    if (p == end)
        return 0;
    if (*p == '!' || (!ucx && *p == '#')) {
        if (ucx && p > r->p)
            alias_warn(r, p, "found a comment that does not begin in column 1: skipped");
        return 0;
    }
    for (name = p; p < end && !is_blank(*p); p++)
        ;
    if (add_domain(r, name, (size_t)(p - name), ucx) < 0)
        return -EINVAL;
    while (p < end && is_blank(*p))
        p++;
    if (p == end)
        return 0;
    if (*p != '!' && *p != '#')
        return alias_error(r, p, "found '%c', expected one domain a line", *p);
    if (ucx)
        alias_warn(r, p, "found a comment that does not begin in column 1: skipped");
    return 0;
}

int alias_read_domains(struct alias_reader *r, enum alias_syntax syntax)
{
    while (r->p < r->end) {
        const char *end = memchr(r->p, '\n', (size_t)(r->end - r->p));

        if (read_line(r, end ? end : r->end, syntax == ALIAS_SYNTAX_UCX_DOMAINS) < 0)
            return -EINVAL;
        alias_skip_line(r);
    }
    return 0;
}
