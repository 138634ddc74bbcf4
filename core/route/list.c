/* The compiled table, row by row, as people read it and as JSON. */
#include <stdio.h>
#include <string.h>

#include "route/expand.h"
#include "route/sender.h"
#include "route/shadow.h"

#define SHOWN_MAX 6u /* patterns of a list that are named */

/* --- one row in words --- */

static void add_text(struct buf *out, size_t i, const char *key, const char *text)
{
    if (i == 0)
        buf_printf(out, "%s%s ", out->len ? ", " : "", key);
    if (i < SHOWN_MAX)
        buf_printf(out, "%s%s", i ? " or " : "", text);
}

static void add_more(struct buf *out, size_t n)
{
    if (n > SHOWN_MAX)
        buf_printf(out, " or %zu more", n - SHOWN_MAX);
}

static void add_domains(struct buf *out, const char *key, const struct domain_patterns *p)
{
    for (size_t i = 0; i < p->n; i++)
        add_text(out, i, key, p->v[i].text);
    add_more(out, p->n);
}

static void add_addresses(struct buf *out, const char *key, const struct address_patterns *p)
{
    for (size_t i = 0; i < p->n; i++)
        add_text(out, i, key, p->v[i].text);
    add_more(out, p->n);
}

static void conditions(const struct route_row *row, struct buf *out)
{
    if (row->local_only)
        buf_adds(out, "local");
    add_domains(out, "domain", &row->domain);
    add_addresses(out, "recipient", &row->recipient);
    add_addresses(out, "sender", &row->sender);
    for (size_t i = 0; i < row->ingress.n; i++)
        add_text(out, i, "ingress", row->ingress.v[i]);
    add_domains(out, "but not", &row->except);
    add_addresses(out, "but not", &row->except_users);
    if (row->kind == ROW_OWN_ADDRESS)
        buf_adds(out, "an address of this host");
    else if (row->kind == ROW_OWN_HOST)
        buf_adds(out, "a domain with an address of this host");
    else if (row->kind == ROW_SHORT)
        buf_adds(out, "a host without a dot");
    else if (row->kind == ROW_UNQUALIFIED)
        buf_adds(out, "an address without a domain");
    else if (!out->len)
        buf_adds(out, "all the rest");
}

static void action(const struct route_row *row, struct buf *out)
{
    if (row->rewrite) {
        buf_printf(out, "rewrite to %s", row->rewrite);
        return;
    }
    switch (row->action) {
    case ROUTE_TRANSPORT:
        buf_adds(out, row->transport);
        for (size_t i = 0; i < row->next_hops.n; i++)
            buf_printf(out, "%s%s", i ? ", " : " via ", row->next_hops.v[i]);
        break;
    case ROUTE_FAIL:
        buf_printf(out, "fail %u.%u.%u", row->status[0], row->status[1], row->status[2]);
        break;
    case ROUTE_HOLD:
        buf_adds(out, "hold");
        break;
    case ROUTE_DISCARD:
        buf_adds(out, "discard");
    }
}

void route_rule_place(const struct route_rule *r, struct buf *out)
{
    const char *slash = strrchr(r->origin.file, '/');

    buf_printf(out, r->number ? "%s %zu" : "%s", r->what, r->number);
    if (r->origin.file[0] == '(')
        buf_printf(out, " %s", r->origin.file);
    else
        buf_printf(out, " (%s#%s)", slash ? slash + 1 : r->origin.file, r->origin.pointer);
}

/* --- all of them --- */

size_t route_rows(const struct route_table *t)
{
    return t->row_n;
}

static void sender_conditions(const struct sender_row *row, struct buf *out)
{
    add_addresses(out, "sender", &row->sender);
    for (size_t i = 0; i < row->ingress.n; i++)
        add_text(out, i, "ingress", row->ingress.v[i]);
    add_more(out, row->ingress.n);
}

static void sender_action(const struct sender_row *row, struct buf *out)
{
    buf_printf(out, "%s in the %s", row->rewrite, route_sender_places_text(row->places));
}

/* They stand behind the list: a section of their own. */
static void list_senders(const struct route_table *t, struct buf *out)
{
    if (t->sender_n)
        buf_adds(out, "senders, in mail of clients that may relay:\n");
    for (size_t i = 0; i < t->sender_n; i++) {
        struct buf when = { 0 };

        sender_conditions(&t->senders[i], &when);
        route_rule_place(&t->senders[i].rule, out);
        buf_printf(out, ": %s -> ", when.data);
        sender_action(&t->senders[i], out);
        buf_addc(out, '\n');
        buf_free(&when);
    }
}

static void list_row(const struct route_row *row, const struct route_row *shadow, int colour,
                     struct buf *out)
{
    struct buf when = { 0 };

    conditions(row, &when);
    route_rule_place(&row->rule, out);
    buf_printf(out, ": %s -> ", when.data);
    action(row, out);
    buf_addc(out, '\n');
    if (shadow) {
        buf_printf(out, "  %snever matches%s: all of it is taken by ", colour ? "\033[1;31m" : "",
                   colour ? "\033[0m" : "");
        route_rule_place(&shadow->rule, out);
        buf_addc(out, '\n');
    }
    buf_free(&when);
}

size_t route_list(const struct route_table *t, int colour, struct buf *out)
{
    size_t dead = 0;

    for (size_t i = 0; i < t->row_n; i++) {
        const struct route_row *shadow = route_shadow(t, &t->rows[i]);

        dead += shadow != NULL;
        list_row(&t->rows[i], shadow, colour, out);
    }
    list_senders(t, out);
    return dead;
}

/* when and then are the caller's. */
static json_t *entry_json(const struct route_rule *rule, const struct buf *when,
                          const struct buf *then)
{
    json_t *j = route_rule_json(rule);

    json_object_set_new(j, "when", route_text_json(when->data));
    json_object_set_new(j, "then", route_text_json(then->data));
    return j;
}

static json_t *list_row_json(const struct route_row *row, const struct route_row *shadow)
{
    struct buf when = { 0 }, then = { 0 };
    json_t *j;

    conditions(row, &when);
    action(row, &then);
    j = entry_json(&row->rule, &when, &then);
    json_object_set_new(j, "shadowed_by", shadow ? route_rule_json(&shadow->rule) : json_null());
    buf_free(&when);
    buf_free(&then);
    return j;
}

static json_t *list_sender_json(const struct sender_row *row)
{
    struct buf when = { 0 }, then = { 0 };
    json_t *j;

    sender_conditions(row, &when);
    sender_action(row, &then);
    j = entry_json(&row->rule, &when, &then);
    json_object_set_new(j, "section", json_string("senders"));
    buf_free(&when);
    buf_free(&then);
    return j;
}

json_t *route_list_json(const struct route_table *t)
{
    json_t *list = json_array();

    for (size_t i = 0; i < t->row_n; i++)
        json_array_append_new(list, list_row_json(&t->rows[i], route_shadow(t, &t->rows[i])));
    for (size_t i = 0; i < t->sender_n; i++)
        json_array_append_new(list, list_sender_json(&t->senders[i]));
    return list;
}
