/* Domains that are ours because one of their addresses is: the last that is asked of what is local
 * (UCX asked it, too). The addresses are the resolver's, which who calls the router has to ask. */
#include "route/table.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "route/answers.h"

static const char loopback[] = "loopback";

/* Where we know an address from, or NULL. What leads any machine back to itself is ours, listed or
 * not: mail that is sent there comes in again. It is rewritten as the table writes addresses. */
static const char *whose(const struct route_table *t, char address[INET6_ADDRSTRLEN])
{
    struct in6_addr six;
    struct in_addr four;
    int is_four = inet_pton(AF_INET, address, &four) == 1;

    if (!is_four && inet_pton(AF_INET6, address, &six) != 1)
        return NULL;
    if (!is_four && IN6_IS_ADDR_V4MAPPED(&six)) {
        memcpy(&four, six.s6_addr + 12, sizeof four);
        is_four = 1;
    }
    inet_ntop(is_four ? AF_INET : AF_INET6, is_four ? (const void *)&four : (const void *)&six,
              address, INET6_ADDRSTRLEN);
    if (is_four ? ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET || four.s_addr == htonl(INADDR_ANY)
                : IN6_IS_ADDR_LOOPBACK(&six) || IN6_IS_ADDR_UNSPECIFIED(&six))
        return loopback;
    return map_get(t->own, address);
}

const char *route_own_literal(const struct route_table *t, const char *domain)
{
    char address[INET6_ADDRSTRLEN];
    struct in_addr bare;
    const char *from;

    if (!route_literal(domain, address, sizeof address)) {
        if (inet_pton(AF_INET, domain, &bare) != 1)
            return NULL;
        inet_ntop(AF_INET, &bare, address, sizeof address);
    }
    from = whose(t, address);
    /* An operator who does without the interfaces may speak to a neighbour on one of them. */
    return from == loopback && !t->own_interfaces ? map_get(t->own, address) : from;
}

enum own_state route_own(const struct route_table *t, const char *domain, struct route_own *ret)
{
    const struct route_need n = route_need_addresses(domain);
    struct route_answer got;

    *ret = (struct route_own){ .from = NULL };
    if (!t->own_host_row || domain[0] == '[')
        return OWN_OFF;
    if (!route_answers_get(t->answers, &n, &got))
        return OWN_WANTED;
    if (got.result == -EAGAIN) {
        ret->why = got.why;
        return OWN_FAILED;
    }
    ret->addresses = got.addresses;
    for (const char *p = got.addresses; p && *p; p += *p == ' ') {
        size_t len = strcspn(p, " ");

        if (len < sizeof ret->address) {
            memcpy(ret->address, p, len);
            ret->address[len] = 0;
            ret->from = whose(t, ret->address);
        }
        if (ret->from)
            return OWN_YES;
        p += len;
    }
    return OWN_NO;
}

void route_walk_own(struct route_walk *w)
{
    if (w->own != OWN_UNASKED)
        return;
    w->own = route_own(w->t, w->rcpt.domain, &w->own_how);
    if (w->own == OWN_YES)
        w->local = &w->t->rows[w->t->own_host_row];
    route_trace_own(w);
}
