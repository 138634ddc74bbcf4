/* Senders go through a list of their own: see sender.h. */
#include "route/sender.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "route/table.h"
#include "util/text.h"

unsigned route_sender_places(const struct route_table *t)
{
    return t->sender_places;
}

const char *route_sender_places_text(unsigned places)
{
    return places == ROUTE_SENDER_ENVELOPE ? "envelope"
        : places == ROUTE_SENDER_HEADER    ? "header"
                                           : "envelope and header";
}

/* --- matching --- */

static const struct address_pattern *match_sender(const struct sender_row *row,
                                                  const struct route_address *a)
{
    for (size_t i = 0; i < row->sender.n; i++) {
        if (address_pattern_match(&row->sender.v[i], a))
            return &row->sender.v[i];
    }
    return NULL;
}

static int match_ingress(const struct sender_row *row, const char *ingress)
{
    for (size_t i = 0; i < row->ingress.n; i++) {
        if (ingress && text_casecmp(row->ingress.v[i], ingress) == 0)
            return 1;
    }
    return row->ingress.n == 0;
}

/* --- rewriting --- */

static int is_ascii(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text >= 0x80)
            return 0;
    }
    return 1;
}

/* The domain as A-labels, so that mail without SMTPUTF8 can have it, too. Takes `to`. */
static char *in_ascii(char *to, const char *from, const char **reterr_why)
{
    char text[POSTERN_ADDRESS_SIZE];
    struct postern_address a = { .size = sizeof a };

    if (is_ascii(to))
        return to;
    if (postern_address_parse(to, strlen(to), POSTERN_ADDRESS_UTF8, &a, reterr_why) == 0) {
        *reterr_why = "the new address would need SMTPUTF8";
        if (postern_address_print(&a, POSTERN_PRINT_ASCII, text, sizeof text) >= 0 &&
            (is_ascii(text) || !is_ascii(from))) {
            free(to);
            return mem_strdup(text);
        }
    }
    free(to);
    return NULL;
}

static char *rewrite(const struct sender_row *row, const struct address_pattern *pattern,
                     const struct route_address *a, const char *address, const char **reterr_why)
{
    char *to = route_rewrite(row->rewrite, pattern, NULL, a, reterr_why);

    return to ? in_ascii(to, address, reterr_why) : NULL;
}

int route_sender(const struct route_table *t, const char *address, const char *ingress,
                 unsigned place, struct route_sender *ret)
{
    const struct address_pattern *pattern = NULL;
    const struct sender_row *row = NULL;
    struct route_address a;

    *ret = (struct route_sender){ 0 };
    if (route_address_init(&a, address, t->hostname, &ret->why) < 0)
        return -EINVAL;
    for (size_t i = 0; i < t->sender_n && !pattern; i++) {
        row = &t->senders[i];
        if ((row->places & place) && match_ingress(row, ingress))
            pattern = match_sender(row, &a);
    }
    if (!pattern)
        return 0;
    ret->rule = &row->rule;
    ret->address = rewrite(row, pattern, &a, address, &ret->why);
    if (!ret->address)
        return -EINVAL;
    if (strcmp(ret->address, address) != 0)
        return 1;
    free(ret->address); /* it has been what it should be */
    ret->address = NULL;
    return 0;
}

/* --- in words --- */

/* Takes the text. */
static void add_step(struct route_trace *trace, const struct sender_row *row, int matched,
                     struct buf text)
{
    trace->steps = mem_realloc(trace->steps, (trace->n + 1) * sizeof *trace->steps);
    trace->steps[trace->n++] = (struct route_step){ &row->rule, NULL, matched, text.data };
}

static void tell_match(const struct sender_row *row, const struct address_pattern *pattern,
                       const struct route_address *a, const char *address, unsigned places,
                       struct buf *out)
{
    const char *why;
    char *to = rewrite(row, pattern, a, address, &why);

    buf_printf(out, "sender %s matches %s; ", address, pattern->text);
    if (to)
        buf_printf(out, "in the %s it becomes %s", route_sender_places_text(places), to);
    else
        buf_printf(out, "it stays as it is, for \"%s\" makes no address of it: %s", row->rewrite,
                   why);
    free(to);
}

/* One row. open: the places that no row before has decided; less those that this one does. */
static void trace_row(const struct sender_row *row, const struct route_address *a,
                      const char *address, const char *ingress, unsigned *open,
                      struct route_trace *trace)
{
    const struct address_pattern *pattern = match_sender(row, a);
    unsigned places = row->places & *open;
    struct buf text = { 0 };
    int matched = 0;

    if (!pattern) {
        buf_printf(&text, "sender %s", address);
        route_why_not_addresses(&text, &row->sender);
    } else if (!match_ingress(row, ingress)) {
        buf_printf(&text, ingress ? "ingress %s" : "the ingress is not known%s",
                   ingress ? ingress : "");
        if (ingress)
            route_why_not_texts(&text, &row->ingress);
    } else if (!places) {
        buf_printf(&text, "for the %s only, which a row above has decided",
                   route_sender_places_text(row->places));
    } else {
        matched = 1;
        *open &= ~places;
        tell_match(row, pattern, a, address, places, &text);
    }
    add_step(trace, row, matched, text);
}

void route_sender_trace(const struct route_table *t, const char *address, const char *ingress,
                        struct route_trace *ret)
{
    unsigned open = t->sender_places;
    struct route_address a;
    const char *why;

    *ret = (struct route_trace){ 0 };
    if (route_address_init(&a, address, t->hostname, &why) < 0)
        return;
    for (size_t i = 0; i < t->sender_n && open; i++)
        trace_row(&t->senders[i], &a, address, ingress, &open, ret);
}
