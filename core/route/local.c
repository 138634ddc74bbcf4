/* What is looked up by domain alone: which row makes it local, which queue group it is in. */
#include "route/table.h"

#include <arpa/inet.h>
#include <string.h>

#include "util/text.h"

/* "[192.0.2.1]" or "[IPv6:2001:db8::1]", the literals of RFC 5321 4.1.3. */
int route_literal(const char *domain, char *ret, size_t size)
{
    char bare[INET6_ADDRSTRLEN];
    struct in6_addr address;
    size_t len = strlen(domain);
    int family = AF_INET;

    if (len < 2 || domain[0] != '[' || domain[len - 1] != ']')
        return 0;
    domain++;
    len -= 2;
    if (len > 5 && text_ncasecmp(domain, "IPv6:", 5) == 0) {
        domain += 5;
        len -= 5;
        family = AF_INET6;
    }
    if (len >= sizeof bare)
        return 0;
    memcpy(bare, domain, len);
    bare[len] = 0;
    return inet_pton(family, bare, &address) == 1 &&
        inet_ntop(family, &address, ret, (socklen_t)size) != NULL;
}

const struct route_row *route_local(const struct route_table *t, const char *domain)
{
    const struct route_row *row = map_get(t->local, domain);

    /* Exact names are in the map; this walks over the few that have wildcards. */
    for (size_t i = 0; !row && i < t->pattern_n; i++) {
        const struct route_row *one = &t->rows[t->patterns[i]];

        if (domain_pattern_match(&one->domain.v[0], domain))
            row = one;
    }
    if (!row && route_own_literal(t, domain))
        row = &t->rows[t->own_row];
    return row;
}

const struct route_row *route_unqualified(const struct route_table *t)
{
    return &t->rows[t->head_n + t->local_n - 1];
}

const struct route_group *route_group_of(const struct route_table *t, const char *domain)
{
    const struct route_group *g = map_get(t->group_of, domain);

    for (size_t i = 0; i < t->group_pattern_n; i++) {
        const struct group_pattern *p = &t->group_patterns[i];

        /* Groups lie in the order in which they are written, so an address compares as a place. */
        if ((!g || p->group < g) && domain_pattern_match(&p->pattern, domain))
            return p->group;
    }
    return g;
}

unsigned route_group_wait(const struct route_group *g, unsigned minute_of_day, unsigned second)
{
    const unsigned day = 24 * 60;
    unsigned least = day;

    for (size_t i = 0; i < g->hours_n; i++) {
        const struct route_hours *h = &g->hours[i];
        unsigned since = (minute_of_day + day - h->from) % day;
        unsigned length = h->from == h->to ? day : (h->to + day - h->from) % day;

        if (since < length)
            return 0;
        if (day - since < least)
            least = day - since;
    }
    return g->hours_n ? least * 60 - second : 0;
}
