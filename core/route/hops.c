/* Lists of next hops, as operators write them and as the table keeps them. */
#include "route/compile.h"

#include <string.h>

#include "address/address.h"
#include "util/buf.h"

/* 0, or -1 (said). */
static int check_hop(struct compile *c, const struct config_origin *origin, const char *key,
                     const struct postern_strings *list, size_t i)
{
    struct postern_next_hop hop = { .size = sizeof hop };
    const char *text, *why = NULL;
    unsigned flags = next_hop_flags(list->v[i], &text);

    if ((flags & NEXT_HOP_UNRESOLVED) && i == 0)
        why = "\"?\" means \"if nothing before it can be resolved\", and nothing is before it";
    else if ((flags & NEXT_HOP_UNRESOLVED) && (flags & NEXT_HOP_OWN))
        why = "the recipient's own domain takes no \"?\"";
    else if (!(flags & NEXT_HOP_OWN))
        postern_next_hop_parse(text, &hop, &why);
    if (why)
        compile_error(c, origin, key, i, list->n, "found \"%s\", expected a host: %s", list->v[i],
                      why);
    return why ? -1 : 0;
}

/* "host:25" is "[host]:25" when only its addresses are wanted. prefix: "" or "?". */
static const char *format_hop(struct compile *c, const char *text, const char *prefix,
                              enum config_resolve resolve)
{
    struct postern_next_hop hop = { .size = sizeof hop };
    unsigned flags;

    if (*text == '?') {
        prefix = "?";
        text++;
    }
    flags = next_hop_flags(text, &text);
    if (resolve == CONFIG_RESOLVE_MX || (flags & NEXT_HOP_OWN) ||
        postern_next_hop_parse(text, &hop, NULL) < 0 || hop.no_mx || hop.literal)
        return arena_printf(c->t->arena, "%s%s", prefix, text);
    if (hop.port)
        return arena_printf(c->t->arena, "%s[%s]:%u", prefix, hop.host, hop.port);
    return arena_printf(c->t->arena, "%s[%s]", prefix, hop.host);
}

struct postern_strings compile_hops(struct compile *c, const struct config_origin *origin,
                                    const char *key, const struct postern_strings *from,
                                    enum config_resolve resolve)
{
    const char **v = arena_alloc(c->t->arena, from->n * sizeof *v);

    for (size_t i = 0; i < from->n; i++) {
        check_hop(c, origin, key, from, i);
        v[i] = format_hop(c, from->v[i], "", resolve);
    }
    return (struct postern_strings){ from->n, v };
}

static void add_hubs(struct compile *c, const struct postern_strings *hubs, const char *prefix,
                     const char **v, size_t *n)
{
    for (size_t i = 0; i < hubs->n; i++)
        v[(*n)++] = format_hop(c, hubs->v[i], prefix,
                               (enum config_resolve)c->cfg->routing.forwarders.resolve);
}

struct postern_strings compile_direct(struct compile *c, int no_mx)
{
    const struct config_forwarders *f = &c->cfg->routing.forwarders;
    size_t n = 1 + f->append_to_mx.n + f->unresolvable.n;
    const char **v;

    if (n == 1 && !no_mx)
        return (struct postern_strings){ 0, NULL };
    v = arena_alloc(c->t->arena, n * sizeof *v);
    v[0] = no_mx ? "[*]" : "*";
    n = 1;
    /* Those for what can't be resolved first: behind others, which can be, they would never get
     * it. */
    add_hubs(c, &f->unresolvable, "?", v, &n);
    add_hubs(c, &f->append_to_mx, "", v, &n);
    return (struct postern_strings){ n, v };
}
