/* net/deadline.c: the time a stream has.
 *
 * A deadline is set for every command, and nearly every one is replaced before it passes. So the
 * timer is left as it is when it will fire in time anyway; when it fires too early, it is set
 * again. */
#include <errno.h>

#include "net/private.h"

#define DEADLINE_SLACK 1000 /* libevent's timers count milliseconds */

static void deadline_arm(postern_stream *s)
{
    int64_t at = s->deadline, now = loop_now(s->owner->loop);
    struct timeval tv;

    if (s->limit && (!at || s->limit < at))
        at = s->limit;
    if (!at || (s->armed && s->armed <= at))
        return;
    s->armed = at;
    at = at > now ? at - now : 0;
    tv = (struct timeval){ at / 1000000, at % 1000000 };
    event_add(&s->timer_ev, &tv);
}

static int64_t deadline_from_now(const postern_stream *s, uint64_t usec)
{
    int64_t now = loop_now(s->owner->loop);

    if (!usec)
        return 0;
    return usec < (uint64_t)(INT64_MAX - now) ? now + (int64_t)usec : INT64_MAX;
}

void stream_deadline(postern_stream *s, uint64_t usec)
{
    if (s->phase > STREAM_OPEN)
        return;
    s->deadline = deadline_from_now(s, usec);
    deadline_arm(s);
}

void deadline_limit(postern_stream *s, uint64_t usec)
{
    s->limit = deadline_from_now(s, usec);
    deadline_arm(s);
}

void deadline_fired(postern_stream *s)
{
    int64_t now = loop_now(s->owner->loop) + DEADLINE_SLACK;
    char to[NET_ADDRESS_TEXT];

    s->armed = 0;
    if (s->limit && s->limit <= now) {
        if (s->phase == STREAM_CONNECTING)
            stream_fail(s, -ETIMEDOUT, "connect to %s: no answer in time",
                        net_address_text(&s->remote, to, sizeof to));
        else
            stream_destroy(s);
        return;
    }
    if (s->deadline && s->deadline <= now) {
        s->deadline = 0;
        deadline_arm(s);
        stream_emit(s, POSTERN_STREAM_TIMEOUT, 0);
        return;
    }
    deadline_arm(s);
}
