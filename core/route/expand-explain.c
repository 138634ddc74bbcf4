/* An expansion for people and as JSON: the walk to the alias, then each leaf with its own. */
#include "route/expand.h"

#include <string.h>

#include <postern/mail.h>

#include "util/buf.h"

#define SHOWN_SIZE 1100 /* an address or a sentence as shown: cleaned, cut */

static const char *clean(const char *text, char *buf, size_t size)
{
    return postern_text_clean(text, strlen(text), buf, size);
}

/* Each line of `text` behind some blanks. */
static void indent(const char *text, const char *blanks, struct buf *out)
{
    while (text && *text) {
        size_t len = strcspn(text, "\n");

        buf_printf(out, "%s%.*s\n", blanks, (int)len, text);
        text += len + (text[len] != '\0');
    }
}

static void explain_leaf(const struct route_leaf *leaf, int colour, struct buf *out)
{
    struct route_query q = leaf->query;
    struct buf text = { 0 };
    char shown[SHOWN_SIZE];

    q.rcpt = leaf->shown;
    buf_printf(out, "    %s\n", clean(leaf->shown, shown, sizeof shown));
    route_explain_steps(&leaf->trace, colour, &text);
    route_explain_decision(&q, &leaf->decision, colour, &text);
    indent(text.data, "    ", out);
    if (leaf->sender)
        buf_printf(out, "         bounces go to %s\n", clean(leaf->sender, shown, sizeof shown));
    buf_free(&text);
}

/* A recipient that is not delivered because of what a directory said has a leaf without any. */
static const struct route_trace *steps_of(const struct route_expansion *e)
{
    return e->aliased || !e->leaves[0].trace.n ? &e->trace : &e->leaves[0].trace;
}

void route_expansion_explain(const struct route_query *q, const struct route_expansion *e,
                             int colour, struct buf *out)
{
    const char *strong = colour ? "\033[1m" : "", *plain = colour ? "\033[0m" : "";
    char text[SHOWN_SIZE], file[SHOWN_SIZE];

    if (!e->aliased && !e->asked_n) {
        route_explain(q, &e->leaves[0].decision, &e->leaves[0].trace, colour, out);
        return;
    }
    route_explain_head(q, out);
    route_explain_steps(steps_of(e), colour, out);
    for (size_t i = 0; i < e->asked_n; i++)
        buf_printf(out, "  %s\n", clean(e->asked[i], text, sizeof text));
    if (!e->aliased) {
        route_explain_decision(q, &e->leaves[0].decision, colour, out);
        return;
    }
    buf_printf(out, "  %s=> alias (%s", strong, clean(e->alias_file, file, sizeof file));
    if (e->alias_line) /* a directory has none */
        buf_printf(out, ":%u", e->alias_line);
    buf_printf(out, ") for %zu place%s%s\n", e->n, e->n == 1 ? "" : "s", plain);
    buf_printf(out, "     accepted from %s\n",
               e->first.anyone ? "anyone" : "clients that may relay");
    for (size_t i = 0; i < e->n; i++)
        explain_leaf(&e->leaves[i], colour, out);
}

static void add_asked(json_t *j, const struct route_expansion *e)
{
    json_t *asked = json_array();

    for (size_t i = 0; i < e->asked_n; i++)
        json_array_append_new(asked, route_text_json(e->asked[i]));
    if (e->asked_n)
        json_object_set(j, "directories", asked);
    json_decref(asked);
}

json_t *route_expansion_json(const struct route_query *q, const struct route_expansion *e)
{
    json_t *j, *leaves, *alias;

    if (!e->aliased) {
        j = route_explain_json(q, &e->leaves[0].decision, steps_of(e));
        add_asked(j, e);
        return j;
    }
    j = route_explain_json(q, &e->first, &e->trace);
    /* It is what led to the alias; nothing goes there. */
    json_object_set_new(json_object_get(j, "decision"), "replaced_by", json_string("alias"));
    add_asked(j, e);
    alias = json_object();
    json_object_set_new(alias, "file", route_text_json(e->alias_file));
    json_object_set_new(alias, "line", json_integer((json_int_t)e->alias_line));
    leaves = json_array();
    for (size_t i = 0; i < e->n; i++) {
        const struct route_leaf *leaf = &e->leaves[i];
        struct route_query own = leaf->query;
        json_t *one;

        own.rcpt = leaf->shown;
        one = route_explain_json(&own, &leaf->decision, &leaf->trace);
        json_object_set_new(one, "chain", route_text_json(leaf->chain));
        json_object_set_new(one, "bounces_to", route_text_json(leaf->sender));
        json_array_append_new(leaves, one);
    }
    json_object_set_new(alias, "leaves", leaves);
    json_object_set_new(j, "alias", alias);
    return j;
}
