/* The trace and the decision, for people and as JSON. */
#include "route/route.h"

#include <stdio.h>
#include <string.h>

#include <postern/mail.h>

#define SHOWN_SIZE 1100 /* an address or a sentence as shown: cleaned, cut */

/* "rule 3", "local", "default" */
static const char *row_name(const struct route_rule *rule, char *buf, size_t size)
{
    if (strcmp(rule->what, "rule") == 0)
        snprintf(buf, size, "rule %zu", rule->index + 1);
    else
        snprintf(buf, size, "%s", strcmp(rule->what, "default") == 0 ? "default" : "local");
    return buf;
}

/* "(90-routing.json#/routing/rules/2)": all files stand in one folder, so its name says nothing. */
static const char *row_place(const struct route_rule *rule, char *buf, size_t size)
{
    const char *slash = strrchr(rule->origin.file, '/');
    const char *file = slash ? slash + 1 : rule->origin.file;

    if (file[0] == '(')
        snprintf(buf, size, "%s", file);
    else
        snprintf(buf, size, "(%s#%s)", file, rule->origin.pointer);
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

static void explain_steps(const struct route_trace *t, int colour, struct buf *out)
{
    char name[64], place[512], text[SHOWN_SIZE];
    int name_width = 0, place_width = 0;

    for (size_t i = 0; i < t->n; i++) {
        int n = (int)strlen(row_name(t->steps[i].rule, name, sizeof name));
        int p = (int)strlen(row_place(t->steps[i].rule, place, sizeof place));

        name_width = n > name_width ? n : name_width;
        place_width = p > place_width ? p : place_width;
    }
    for (size_t i = 0; i < t->n; i++) {
        const struct route_step *s = &t->steps[i];

        buf_printf(out, "  %-*s  %-*s  %s%s%s: %s\n", name_width,
                   row_name(s->rule, name, sizeof name), place_width,
                   row_place(s->rule, place, sizeof place),
                   paint(colour, s->matched ? "\033[32m" : "\033[2m"), s->matched ? "yes" : "no",
                   paint(colour, "\033[0m"), clean(s->text, text, sizeof text));
    }
}

static void explain_transport(const struct route_decision *d, struct buf *out)
{
    buf_printf(out, "transport %s", d->transport);
    for (size_t i = 0; i < d->next_hop_n; i++)
        buf_printf(out, "%s%s", i ? ", " : ", next hops: ", d->next_hops[i]);
    /* Mail for our own goes no further; whether a transport looks up an MX is its business. */
    if (d->next_hop_n == 0 && strcmp(d->rule->what, "local domain") != 0)
        buf_printf(out, d->domain[0] == '[' ? ", next hop: %s" : ", next hops: by MX of %s",
                   d->domain);
    for (size_t i = 0; i < d->params->n; i++)
        buf_printf(out, "%s%s", i ? ", " : "; with ", d->params->v[i]);
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

void route_explain(const struct route_query *q, const struct route_decision *d,
                   const struct route_trace *t, int colour, struct buf *out)
{
    char text[SHOWN_SIZE];

    buf_printf(out, "%s\n", clean(q->rcpt, text, sizeof text));
    explain_steps(t, colour, out);
    buf_printf(out, "  %s=> ", paint(colour, d->action == ROUTE_FAIL ? "\033[1;31m" : "\033[1m"));
    explain_decision(q, d, out);
    buf_printf(out, "%s\n", paint(colour, "\033[0m"));
    if (d->rule && d->rule->comment)
        buf_printf(out, "     (%s)\n", clean(d->rule->comment, text, sizeof text));
    if (d->action != ROUTE_FAIL)
        buf_printf(out, "     accepted from %s\n", d->anyone ? "anyone" : "clients that may relay");
}

/* --- JSON --- */

/* A text that may hold anything: what is not UTF-8 becomes '?'. NULL gives null. */
static json_t *json_text(const char *text)
{
    char shown[SHOWN_SIZE];
    json_t *j = text ? json_string(text) : json_null();

    return j ? j : json_string(clean(text, shown, sizeof shown));
}

static json_t *json_list(const char *const *v, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_text(v[i]));
    return list;
}

static json_t *json_rule(const struct route_rule *rule)
{
    json_t *j;

    if (!rule)
        return json_null();
    j = json_object();
    json_object_set_new(j, "index", json_integer((json_int_t)rule->index));
    json_object_set_new(j, "what", json_text(rule->what));
    json_object_set_new(j, "file", json_text(rule->origin.file));
    json_object_set_new(j, "pointer", json_text(rule->origin.pointer));
    json_object_set_new(j, "comment", json_text(rule->comment));
    return j;
}

static json_t *json_steps(const struct route_trace *t)
{
    json_t *list = json_array();

    for (size_t i = 0; i < t->n; i++) {
        json_t *step = json_rule(t->steps[i].rule);

        json_object_set_new(step, "matched", json_boolean(t->steps[i].matched));
        json_object_set_new(step, "text", json_text(t->steps[i].text));
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

    json_object_set_new(j, "action", json_text(actions[d->action]));
    json_object_set_new(j, "rule", json_rule(d->rule));
    json_object_set_new(j, "recipient", json_text(d->rcpt));
    json_object_set_new(j, "domain", json_text(d->domain));
    json_object_set_new(j, "accept_from", json_text(d->anyone ? "anyone" : "trusted"));
    if (d->action == ROUTE_TRANSPORT) {
        json_object_set_new(j, "transport", json_text(d->transport));
        json_object_set_new(j, "next_hops", json_list(d->next_hops, d->next_hop_n));
        json_object_set_new(j, "params", json_list(d->params->v, d->params->n));
    }
    if (d->action == ROUTE_FAIL) {
        snprintf(status, sizeof status, "%u.%u.%u", d->status[0], d->status[1], d->status[2]);
        json_object_set_new(j, "status", json_text(status));
    }
    if (d->text)
        json_object_set_new(j, "text", json_text(d->text));
    return j;
}

json_t *route_explain_json(const struct route_query *q, const struct route_decision *d,
                           const struct route_trace *t)
{
    json_t *j = json_object();

    json_object_set_new(j, "recipient", json_text(q->rcpt));
    json_object_set_new(j, "sender", json_text(q->sender));
    json_object_set_new(j, "ingress", json_text(q->ingress));
    json_object_set_new(j, "trace", json_steps(t));
    json_object_set_new(j, "decision", json_decision(d));
    return j;
}
