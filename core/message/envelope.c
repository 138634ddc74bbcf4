/* The envelope, packed. On disk: a version byte, the numbers, then sender, ingress, client and the
 * recipients as counted strings (util/buf.h). A version that we do not know is refused: the message
 * stays in the spool for a newer program. */
#include "message/envelope.h"

#include <errno.h>
#include <string.h>

#include "util/mem.h"

#define ENVELOPE_VERSION 2
#define ENVELOPE_NARROW  1 /* the same, with 16 bits for the number of recipients */
#define FIXED_TEXTS      3 /* sender, ingress, client */

const char *wait_reason_name(int reason)
{
    static const char *const names[] = {
        [WAIT_NEW] = "new",
        [WAIT_BACKOFF] = "backoff",
        [WAIT_LIMIT] = "destination limit",
        [WAIT_HOST_DEAD] = "host unreachable",
        [WAIT_PLUGIN] = "transport down",
        [WAIT_DNS] = "dns",
        [WAIT_HELD] = "held",
        [WAIT_IN_FLIGHT] = "in flight",
        [WAIT_SPOOL] = "bounce not written",
        [WAIT_HOURS] = "group hours",
    };
    size_t n = sizeof names / sizeof names[0];

    return reason >= 0 && (size_t)reason < n ? names[reason] : "unknown";
}

static const char *text_or_empty(const char *s)
{
    return s ? s : "";
}

/* The i-th of all the strings. */
static const char *source_text(const struct envelope_new *from, size_t i)
{
    const char *const fixed[FIXED_TEXTS] = { from->sender, from->ingress, from->client };

    return text_or_empty(i < FIXED_TEXTS ? fixed[i] : from->rcpts[i - FIXED_TEXTS]);
}

struct envelope *envelope_new(const struct envelope_new *from)
{
    size_t n = FIXED_TEXTS + (from->packed ? 0 : from->rcpt_n), text_len = from->packed_len;
    struct envelope *e;
    char *to;

    if (from->rcpt_n > ENVELOPE_MAX_RCPTS || text_len > UINT32_MAX / 2) {
        errno = E2BIG;
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(source_text(from, i));

        if (len >= UINT32_MAX - text_len) {
            errno = E2BIG;
            return NULL;
        }
        text_len += len + 1;
    }
    e = mem_alloc(sizeof *e + text_len);
    *e = (struct envelope){ .received_usec = from->received_usec,
                            .flags = from->flags,
                            .hops = from->hops,
                            .rcpt_n = (uint32_t)from->rcpt_n,
                            .text_len = (uint32_t)text_len };
    to = e->text;
    for (size_t i = 0; i < n; i++)
        to = stpcpy(to, source_text(from, i)) + 1;
    if (from->packed_len)
        memcpy(to, from->packed, from->packed_len);
    return e;
}

const char *envelope_next_text(const char *s)
{
    return s + strlen(s) + 1;
}

const char *envelope_sender(const struct envelope *e)
{
    return e->text;
}

const char *envelope_ingress(const struct envelope *e)
{
    return envelope_next_text(envelope_sender(e));
}

const char *envelope_client(const struct envelope *e)
{
    return envelope_next_text(envelope_ingress(e));
}

const char *envelope_first_rcpt(const struct envelope *e)
{
    return envelope_next_text(envelope_client(e));
}

const char *envelope_rcpt(const struct envelope *e, size_t i)
{
    const char *rcpt = envelope_first_rcpt(e);

    while (i-- > 0)
        rcpt = envelope_next_text(rcpt);
    return rcpt;
}

void envelope_encode(const struct envelope *e, struct buf *out)
{
    const char *text = e->text;

    buf_put_u8(out, ENVELOPE_VERSION);
    buf_put_u64(out, (uint64_t)e->received_usec);
    buf_put_u32(out, e->flags);
    buf_put_u16(out, e->hops);
    buf_put_u32(out, e->rcpt_n);
    buf_reserve(out, e->text_len + (FIXED_TEXTS + (size_t)e->rcpt_n) * sizeof(uint32_t));
    for (size_t i = 0; i < FIXED_TEXTS + (size_t)e->rcpt_n; i++) {
        buf_put_str(out, text);
        text = envelope_next_text(text);
    }
}

/* Reads n strings that end where the bytes end, and copies them to `to` when it is not NULL.
 * Returns the memory they need, NULs included, or 0 for bytes that are not that. */
static size_t decode_texts(struct rd r, size_t n, char *to)
{
    size_t total = 0;

    for (size_t i = 0; i < n; i++) {
        size_t len = 0;
        const char *text = rd_bytes(&r, &len);

        if (r.bad || memchr(text, 0, len))
            return 0;
        if (to) {
            memcpy(to + total, text, len);
            to[total + len] = 0;
        }
        total += len + 1; /* each took len + 4 bytes of input: this cannot overflow */
    }
    return r.p == r.end && total <= UINT32_MAX ? total : 0;
}

int envelope_decode(const void *data, size_t len, struct envelope **ret)
{
    struct rd r = rd_of(data, len);
    uint8_t version = rd_u8(&r);
    struct envelope head = { .received_usec = (int64_t)rd_u64(&r) }, *e;
    size_t text_len;

    head.flags = rd_u32(&r);
    head.hops = rd_u16(&r);
    head.rcpt_n = version == ENVELOPE_NARROW ? rd_u16(&r) : rd_u32(&r);
    if (r.bad || (version != ENVELOPE_VERSION && version != ENVELOPE_NARROW) ||
        head.rcpt_n > ENVELOPE_MAX_RCPTS)
        return -EBADMSG;
    text_len = decode_texts(r, FIXED_TEXTS + (size_t)head.rcpt_n, NULL);
    if (text_len == 0)
        return -EBADMSG;

    e = mem_alloc(sizeof *e + text_len);
    *e = head;
    e->text_len = (uint32_t)text_len;
    decode_texts(r, FIXED_TEXTS + (size_t)head.rcpt_n, e->text);
    *ret = e;
    return 0;
}
