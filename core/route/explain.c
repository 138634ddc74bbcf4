/* The trace and the decision, for people and as JSON. */
#include "route/expand.h"

#include <stdio.h>
#include <string.h>

#include <postern/mail.h>

#include "address/address.h"

#define SHOWN_SIZE 1100 /* an address or a sentence as shown: cleaned, cut */

/* "rule 3", "rules 3-99", "local", "default" */
static const char *step_name(const struct route_step *s, char *buf, size_t size)
{
    const struct route_rule *r = s->rule;

    if (s->last)
        snprintf(buf, size, "%ss %zu-%zu", r->what, r->number, s->last->number);
    else if (strcmp(r->what, "local domain") == 0)
        snprintf(buf, size, "local");
    else if (r->number)
        snprintf(buf, size, "%s %zu", r->what, r->number);
    else
        snprintf(buf, size, "%s", r->what);
    return buf;
}

/* "(90-routing.json#/routing/rules/2)": all files stand in one folder, so its name says nothing. */
static const char *step_place(const struct route_step *s, char *buf, size_t size)
{
    const struct config_origin *o = &s->rule->origin;
    const char *slash = strrchr(o->file, '/');
    const char *file = slash ? slash + 1 : o->file;

    if (file[0] == '(')
        snprintf(buf, size, "%s", file);
    else
        snprintf(buf, size, "(%s#%s%s)", file, o->pointer, s->last ? " ..." : "");
    return buf;
}

static const char *clean(const char *text, char *buf, size_t size)
{
    return postern_text_clean(text, strlen(text), buf, size);
}

static const char *paint(int colour, const char *code)
{
    return colour ? code : "";
}

void route_explain_head(const struct route_query *q, struct buf *out)
{
    char text[SHOWN_SIZE];

    buf_printf(out, "%s\n", clean(q->rcpt, text, sizeof text));
    if (q->was)
        buf_printf(out, "  repaired: it was %s (%s)\n", clean(q->was, text, sizeof text),
                   q->repair);
}

void route_explain_steps(const struct route_trace *t, int colour, struct buf *out)
{
    char name[64], place[512], text[SHOWN_SIZE];
    int name_width = 0, place_width = 0;

    for (size_t i = 0; i < t->n; i++) {
        int n = (int)strlen(step_name(&t->steps[i], name, sizeof name));
        int p = (int)strlen(step_place(&t->steps[i], place, sizeof place));

        name_width = n > name_width ? n : name_width;
        place_width = p > place_width ? p : place_width;
    }
    for (size_t i = 0; i < t->n; i++) {
        const struct route_step *s = &t->steps[i];

        buf_printf(out, "  %-*s  %-*s  %s%s%s: %s\n", name_width, step_name(s, name, sizeof name),
                   place_width, step_place(s, place, sizeof place),
                   paint(colour, s->matched ? "\033[32m" : "\033[2m"), s->matched ? "yes" : "no",
                   paint(colour, "\033[0m"), clean(s->text, text, sizeof text));
    }
}

static void explain_next_hop(const struct route_decision *d, size_t i, struct buf *out)
{
    const char *hop;
    unsigned flags = next_hop_flags(d->next_hops[i], &hop);

    if (flags & NEXT_HOP_OWN_HOST)
        buf_printf(out, "the address of %s", d->domain);
    else if (flags & NEXT_HOP_OWN)
        buf_printf(out, d->domain[0] == '[' ? "%s" : "by MX of %s", d->domain);
    else
        buf_printf(out, "%s%s", hop,
                   flags & NEXT_HOP_UNRESOLVED ? " if that can't be resolved" : "");
}

static int is_local(const struct route_rule *rule)
{
    static const char *const whats[] = { "local domain",   "substitute domain", "host name",
                                         "virtual domain", "own address",       "own host",
                                         "alias" /* a command, a file, a list */ };

    for (size_t i = 0; i < sizeof whats / sizeof *whats; i++) {
        if (strcmp(rule->what, whats[i]) == 0)
            return 1;
    }
    return 0;
}

static void explain_transport(const struct route_decision *d, struct buf *out)
{
    buf_printf(out, "transport %s", d->transport);
    for (size_t i = 0; i < d->next_hop_n; i++) {
        buf_adds(out, i ? ", " : ", next hops: ");
        explain_next_hop(d, i, out);
    }
    /* Mail for our own goes no further; whether a transport looks up an MX is its business. */
    if (d->next_hop_n == 0 && !d->no_next_hop && !is_local(d->rule))
        buf_printf(out, d->domain[0] == '[' ? ", next hop: %s" : ", next hops: by MX of %s",
                   d->domain);
    for (size_t i = 0; i < d->params->n; i++)
        buf_printf(out, "%s%s", i ? ", " : "; with ", d->params->v[i]);
    if (d->group)
        buf_printf(out, "; queue group %s", d->group->name);
}

static void explain_decision(const struct route_query *q, const struct route_decision *d,
                             struct buf *out)
{
    char text[SHOWN_SIZE];

    switch (d->action) {
    case ROUTE_TRANSPORT:
        explain_transport(d, out);
        break;
    case ROUTE_FAIL:
        buf_printf(out, "fail %u.%u.%u: %s", d->status[0], d->status[1], d->status[2],
                   clean(d->text, text, sizeof text));
        break;
    case ROUTE_HOLD:
        buf_printf(out, "hold: %s", clean(d->text, text, sizeof text));
        break;
    case ROUTE_DISCARD:
        buf_adds(out, "discard");
    }
    if (d->action != ROUTE_FAIL && strcmp(d->rcpt, q->rcpt) != 0)
        buf_printf(out, "; recipient %s", clean(d->rcpt, text, sizeof text));
}

void route_explain_decision(const struct route_query *q, const struct route_decision *d, int colour,
                            struct buf *out)
{
    char text[SHOWN_SIZE];

    buf_printf(out, "  %s=> ", paint(colour, d->action == ROUTE_FAIL ? "\033[1;31m" : "\033[1m"));
    explain_decision(q, d, out);
    buf_printf(out, "%s\n", paint(colour, "\033[0m"));
    if (d->rule && d->rule->comment)
        buf_printf(out, "     (%s)\n", clean(d->rule->comment, text, sizeof text));
}

void route_explain(const struct route_query *q, const struct route_decision *d,
                   const struct route_trace *t, int colour, struct buf *out)
{
    route_explain_head(q, out);
    route_explain_steps(t, colour, out);
    route_explain_decision(q, d, colour, out);
    if (d->action != ROUTE_FAIL)
        buf_printf(out, "     accepted from %s\n", d->anyone ? "anyone" : "clients that may relay");
}

/* --- JSON --- */

json_t *route_text_json(const char *text)
{
    char shown[SHOWN_SIZE];
    json_t *j = text ? json_string(text) : json_null();

    return j ? j : json_string(clean(text, shown, sizeof shown));
}

static json_t *json_list(const char *const *v, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, route_text_json(v[i]));
    return list;
}

json_t *route_rule_json(const struct route_rule *rule)
{
    json_t *j;

    if (!rule)
        return json_null();
    j = json_object();
    json_object_set_new(j, "index", json_integer((json_int_t)rule->index));
    json_object_set_new(j, "what", route_text_json(rule->what));
    if (rule->number)
        json_object_set_new(j, "number", json_integer((json_int_t)rule->number));
    json_object_set_new(j, "file", route_text_json(rule->origin.file));
    json_object_set_new(j, "pointer", route_text_json(rule->origin.pointer));
    json_object_set_new(j, "comment", route_text_json(rule->comment));
    return j;
}

json_t *route_steps_json(const struct route_trace *t)
{
    json_t *list = json_array();

    for (size_t i = 0; i < t->n; i++) {
        json_t *step = route_rule_json(t->steps[i].rule);

        if (t->steps[i].last)
            json_object_set_new(step, "last_index",
                                json_integer((json_int_t)t->steps[i].last->index));
        json_object_set_new(step, "matched", json_boolean(t->steps[i].matched));
        json_object_set_new(step, "text", route_text_json(t->steps[i].text));
        json_array_append_new(list, step);
    }
    return list;
}

static json_t *json_decision(const struct route_decision *d)
{
    static const char *const actions[] = { [ROUTE_TRANSPORT] = "transport",
                                           [ROUTE_FAIL] = "fail",
                                           [ROUTE_HOLD] = "hold",
                                           [ROUTE_DISCARD] = "discard" };
    char status[32];
    json_t *j = json_object();

    json_object_set_new(j, "action", route_text_json(actions[d->action]));
    json_object_set_new(j, "rule", route_rule_json(d->rule));
    json_object_set_new(j, "recipient", route_text_json(d->rcpt));
    json_object_set_new(j, "domain", route_text_json(d->domain));
    json_object_set_new(j, "accept_from", route_text_json(d->anyone ? "anyone" : "trusted"));
    if (d->action == ROUTE_TRANSPORT) {
        json_object_set_new(j, "transport", route_text_json(d->transport));
        json_object_set_new(j, "next_hops", json_list(d->next_hops, d->next_hop_n));
        json_object_set_new(j, "params", json_list(d->params->v, d->params->n));
        json_object_set_new(j, "queue_group", route_text_json(d->group ? d->group->name : NULL));
    }
    if (d->action == ROUTE_FAIL) {
        snprintf(status, sizeof status, "%u.%u.%u", d->status[0], d->status[1], d->status[2]);
        json_object_set_new(j, "status", route_text_json(status));
    }
    if (d->text)
        json_object_set_new(j, "text", route_text_json(d->text));
    return j;
}

json_t *route_explain_json(const struct route_query *q, const struct route_decision *d,
                           const struct route_trace *t)
{
    json_t *j = json_object();

    json_object_set_new(j, "recipient", route_text_json(q->rcpt));
    if (q->was)
        json_object_set_new(
            j, "repaired",
            json_pack("{s:o, s:s}", "was", route_text_json(q->was), "rule", q->repair));
    json_object_set_new(j, "sender", route_text_json(q->sender));
    json_object_set_new(j, "ingress", route_text_json(q->ingress));
    json_object_set_new(j, "trace", route_steps_json(t));
    json_object_set_new(j, "decision", json_decision(d));
    return j;
}
