/* What the walk says about each row, in the words of an operator. */
#include "route/table.h"

#include <stdlib.h>
#include <string.h>

#include "util/buf.h"

#define SHOWN_MAX 4u /* patterns of a list that are named when none of them matched */

/* Takes the text. */
static void add_step(struct route_walk *w, const struct route_row *row, int matched,
                     struct buf text)
{
    struct route_trace *t = w->trace;

    t->steps = mem_realloc(t->steps, (t->n + 1) * sizeof *t->steps);
    t->steps[t->n++] = (struct route_step){ &row->rule, NULL, matched, text.data };
}

void route_trace_done(struct route_trace *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->steps[i].text);
    free(t->steps);
    *t = (struct route_trace){ 0 };
}

/* --- why not --- */

/* " is not a", " is neither a nor b", " is none of a, b, c and 7 more" */
static void add_not(struct buf *out, const char *const *texts, size_t shown, size_t n)
{
    if (n == 1)
        buf_printf(out, " is not %s", texts[0]);
    else if (n == 2)
        buf_printf(out, " is neither %s nor %s", texts[0], texts[1]);
    else {
        buf_adds(out, " is none of ");
        for (size_t i = 0; i < shown; i++)
            buf_printf(out, "%s%s", i ? ", " : "", texts[i]);
        if (n > shown)
            buf_printf(out, " and %zu more", n - shown);
    }
}

static size_t shown(size_t n)
{
    return n < SHOWN_MAX ? n : SHOWN_MAX;
}

void route_why_not_addresses(struct buf *out, const struct address_patterns *p)
{
    const char *texts[SHOWN_MAX] = { NULL };

    for (size_t i = 0; i < shown(p->n); i++)
        texts[i] = p->v[i].text;
    add_not(out, texts, shown(p->n), p->n);
}

void route_why_not_texts(struct buf *out, const struct postern_strings *p)
{
    add_not(out, p->v, shown(p->n), p->n);
}

static void why_not_domain(struct buf *out, const struct route_walk *w, const struct route_row *row)
{
    const char *texts[SHOWN_MAX] = { NULL };

    buf_printf(out, "domain %s", w->rcpt.domain);
    for (size_t i = 0; i < row->domain.n; i++) {
        if (row->domain.v[i].kind == DOMAIN_ANY) {
            buf_adds(out, " is local, and \"*\" means those that are not");
            return;
        }
    }
    for (size_t i = 0; i < shown(row->domain.n); i++)
        texts[i] = row->domain.v[i].text;
    add_not(out, texts, shown(row->domain.n), row->domain.n);
}

static void why_not_sender(struct buf *out, const struct route_walk *w, const struct route_row *row)
{
    if (w->sender_state == SENDER_UNKNOWN) {
        buf_adds(out, "the sender is not known");
    } else if (w->sender_state == SENDER_BAD) {
        buf_adds(out, "the sender is not an address");
    } else {
        buf_printf(out, "sender %s", w->sender_state == SENDER_NULL ? "<>" : w->q->sender);
        route_why_not_addresses(out, &row->sender);
    }
}

static void why_not_ingress(struct buf *out, const struct route_walk *w,
                            const struct route_row *row)
{
    if (w->q->ingress) {
        buf_printf(out, "ingress %s", w->q->ingress);
        route_why_not_texts(out, &row->ingress);
    } else {
        buf_adds(out, "the ingress is not known");
    }
}

static void why_not(struct buf *out, const struct route_walk *w, const struct route_row *row,
                    const struct route_match *m)
{
    switch (m->failed) {
    case COND_LOCAL:
        buf_printf(out, "%s is not local", w->rcpt.domain);
        break;
    case COND_DOMAIN:
        why_not_domain(out, w, row);
        break;
    case COND_RECIPIENT:
        buf_printf(out, "recipient %s", w->rcpt.parsed.local);
        route_why_not_addresses(out, &row->recipient);
        break;
    case COND_SENDER:
        why_not_sender(out, w, row);
        break;
    case COND_SHORT:
        buf_printf(out, "%s is no host without a dot", w->rcpt.domain);
        break;
    case COND_EXCEPT:
        buf_printf(out, "%s is spared by %s", w->rcpt.parsed.local, m->except);
        break;
    case COND_RELEASED:
        buf_adds(out, "it holds this, and an operator has released it");
        break;
    default:
        why_not_ingress(out, w, row);
    }
}

/* --- why --- */

static void add_matches(struct buf *out, const char *what, const char *value, const char *pattern)
{
    buf_printf(out, "%s%s %s matches %s", out->len ? ", " : "", what, value, pattern);
}

static void why(struct buf *out, const struct route_walk *w, const struct route_row *row,
                const struct route_match *m)
{
    if (m->domain)
        add_matches(out, "domain", w->rcpt.domain, m->domain->text);
    if (m->recipient)
        add_matches(out, "recipient", w->rcpt.parsed.local, m->recipient->text);
    if (m->sender)
        add_matches(out, "sender", *w->q->sender ? w->q->sender : "<>", m->sender->text);
    if (m->ingress)
        buf_printf(out, "%singress is %s", out->len ? ", " : "", m->ingress);
    if (row->local_only)
        buf_printf(out, "%s%s is local", out->len ? ", " : "", w->rcpt.domain);
    else if (row->kind == ROW_SHORT)
        buf_printf(out, "%s is a host without a dot", w->rcpt.domain);
    else if (!out->len)
        buf_printf(out, "%s is %s", w->rcpt.domain,
                   row->kind == ROW_ZONE_GATE ? "outside of the zone" : "not local");
}

/* --- the steps --- */

void route_trace_rule(struct route_walk *w, const struct route_row *row, int matched,
                      const struct route_match *m)
{
    struct buf text = { 0 };

    if (!w->trace)
        return;
    if (matched)
        why(&text, w, row, m);
    else
        why_not(&text, w, row, m);
    add_step(w, row, matched, text);
}

static void trace_one(struct route_walk *w, const struct route_row *row)
{
    struct route_match m;
    int matched = route_row_match(row, w, &m);

    route_trace_rule(w, row, matched, &m);
}

/* Rows of one kind. */
static void trace_run(struct route_walk *w, size_t from, size_t to)
{
    struct route_trace *t = w->trace;
    struct buf text = { 0 };

    buf_printf(&text, "none of these %zu names %s%s", to - from, w->rcpt.parsed.local,
               w->t->index.sender_n ? " or its sender" : "");
    add_step(w, &w->t->rows[from], 0, text);
    t->steps[t->n - 1].last = &w->t->rows[to - 1].rule;
}

void route_trace_skipped(struct route_walk *w, size_t from, size_t to)
{
    const struct route_row *rows = w->t->rows;

    if (!w->trace)
        return;
    while (from < to) {
        size_t end = from + 1;

        while (end < to && rows[end].kind == rows[from].kind)
            end++;
        if (end == from + 1 || w->t->row_n <= ROUTE_TRACE_ALL_MAX)
            end = from + 1, trace_one(w, &rows[from]);
        else
            trace_run(w, from, end);
        from = end;
    }
}

void route_trace_rewrite(struct route_walk *w, const char *to)
{
    struct route_step *last;
    char *text;

    if (!w->trace)
        return;
    last = &w->trace->steps[w->trace->n - 1];
    text = mem_printf("%s; rewritten to %s", last->text, to);
    free(last->text);
    last->text = text;
}

static void why_local(struct buf *out, const struct route_walk *w, const struct route_row *row)
{
    const struct domain_pattern *p = row->domain.v;
    const char *domain = w->rcpt.domain, *from;

    switch (row->kind) {
    case ROW_UNQUALIFIED:
        buf_adds(out, "an address without a domain is local");
        break;
    case ROW_OWN_ADDRESS:
        from = route_own_literal(w->t, domain);
        buf_printf(out, "%s is an address of this host%s%s", domain, from ? ": " : "",
                   from ? from : "");
        break;
    default:
        buf_printf(out, p->kind == DOMAIN_EXACT ? "%s is a %s" : "%s matches the %s %s", domain,
                   row->rule.what, p->text);
    }
}

void route_trace_local(struct route_walk *w)
{
    const struct route_row *row = w->local;
    int known = row && row->kind != ROW_OWN_HOST;
    struct buf text = { 0 };

    if (!w->trace)
        return;
    if (known) {
        why_local(&text, w, row);
    } else {
        /* One step for all of them: a thousand local domains would hide the rest. */
        row = &w->t->rows[w->t->head_n];
        buf_printf(&text, "%s is not a local domain", w->rcpt.domain);
    }
    add_step(w, row, known, text);
}

void route_trace_own(struct route_walk *w)
{
    const struct route_own *how = &w->own_how;
    struct buf text = { 0 };

    if (!w->trace || w->own == OWN_OFF)
        return;
    if (w->own == OWN_YES)
        buf_printf(&text, "%s has %s, an address of this host: %s", w->rcpt.domain, how->address,
                   how->from);
    else if (w->own == OWN_NO && how->addresses)
        buf_printf(&text, "%s has %s: not ours", w->rcpt.domain, how->addresses);
    else if (w->own == OWN_NO)
        buf_printf(&text, "%s has no address", w->rcpt.domain);
    else
        buf_adds(&text, w->own == OWN_FAILED ? how->why : "its addresses are not known yet");
    add_step(w, &w->t->rows[w->t->own_host_row], w->own == OWN_YES, text);
}

void route_trace_default(struct route_walk *w)
{
    struct buf text = { 0 };

    if (!w->trace)
        return;
    buf_adds(&text, "nothing above matched");
    add_step(w, route_default(w->t), 1, text);
}
