/* What becomes of a sender, and by which row: for people and as JSON. */
#include "route/sender.h"

#include <stdlib.h>
#include <string.h>

#include <postern/mail.h>

#include "route/expand.h"

#define SHOWN_SIZE 1100 /* an address as shown: cleaned, cut */

static const char *clean(const char *text, char *buf, size_t size)
{
    return postern_text_clean(text, strlen(text), buf, size);
}

void route_sender_explain(const struct route_table *t, const char *address, const char *ingress,
                          int colour, struct buf *out)
{
    struct route_sender envelope, header;
    struct route_trace trace;
    char from[SHOWN_SIZE], text[SHOWN_SIZE];

    route_sender(t, address, ingress, ROUTE_SENDER_ENVELOPE, &envelope);
    route_sender(t, address, ingress, ROUTE_SENDER_HEADER, &header);
    route_sender_trace(t, address, ingress, &trace);
    buf_printf(out, "sender %s\n", clean(address, from, sizeof from));
    route_explain_steps(&trace, colour, out);
    buf_printf(out, "  %s=> envelope %s, header %s%s\n", colour ? "\033[1m" : "",
               envelope.address ? clean(envelope.address, text, sizeof text) : "as it is",
               header.address ? clean(header.address, from, sizeof from) : "as it is",
               colour ? "\033[0m" : "");
    buf_adds(out, "     in mail of clients that may relay\n");
    route_trace_done(&trace);
    free(envelope.address);
    free(header.address);
}

/* What it becomes in one place; null: it stays as it is. */
static json_t *place_json(const struct route_table *t, const char *address, const char *ingress,
                          unsigned place)
{
    struct route_sender s;
    json_t *j = json_null();

    if (route_sender(t, address, ingress, place, &s) > 0) {
        j = json_object();
        json_object_set_new(j, "address", route_text_json(s.address));
        json_object_set_new(j, "rule", route_rule_json(s.rule));
    }
    free(s.address);
    return j;
}

json_t *route_sender_json(const struct route_table *t, const char *address, const char *ingress)
{
    json_t *j = json_object();
    struct route_trace trace;

    route_sender_trace(t, address, ingress, &trace);
    json_object_set_new(j, "envelope", place_json(t, address, ingress, ROUTE_SENDER_ENVELOPE));
    json_object_set_new(j, "header", place_json(t, address, ingress, ROUTE_SENDER_HEADER));
    json_object_set_new(j, "trace", route_steps_json(&trace));
    route_trace_done(&trace);
    return j;
}
