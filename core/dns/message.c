/* dns/message.c: see message.h. */
#include "dns/message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "util/text.h"

#define HEADER_SIZE 12u
#define CLASS_IN    1u

struct message {
    const uint8_t *data;
    size_t len;
    size_t pos;
    unsigned answers, authorities;
    size_t answers_at; /* where the answer section begins */
};

struct rr { /* a resource record */
    char owner[DNS_NAME_SIZE];
    uint16_t type, class;
    uint32_t ttl;
    size_t at, len; /* of its data in the message */
};

static uint16_t get16(const struct message *m, size_t at)
{
    return (uint16_t)(m->data[at] << 8 | m->data[at + 1]);
}

static uint32_t get32(const struct message *m, size_t at)
{
    return (uint32_t)get16(m, at) << 16 | get16(m, at + 2);
}

/* Reads a label into out. Returns its length in the text, or -EBADMSG. *odd: it has bytes that a
 * host name can't have and that nobody should see in a log. */
static int read_label(const struct message *m, size_t at, size_t len, char *out, size_t room,
                      int *odd)
{
    if (len > m->len - at || len >= room)
        return -EBADMSG;
    for (size_t i = 0; i < len; i++) {
        char c = (char)m->data[at + i];

        if (c <= ' ' || c > '~' || c == '.' || c == '\\') {
            *odd = 1;
            c = '?';
        }
        out[i] = text_lower(c);
    }
    return (int)len;
}

/* Reads the name at *pos, and moves *pos behind it. 0; 1: it has odd bytes; -EBADMSG. Pointers must
 * point backwards, each further than the last, so there is an end (RFC 1035 4.1.4). */
static int read_name(const struct message *m, size_t *pos, char out[DNS_NAME_SIZE])
{
    size_t at = *pos, lowest = *pos, n = 0;
    int jumped = 0, odd = 0;

    for (;;) {
        size_t len;
        int r;

        if (at >= m->len)
            return -EBADMSG;
        len = m->data[at++];
        if (len >= 0xc0) {
            if (at >= m->len)
                return -EBADMSG;
            len = (len & 0x3f) << 8 | m->data[at++];
            if (!jumped)
                *pos = at;
            jumped = 1;
            if (len >= lowest)
                return -EBADMSG;
            at = lowest = len;
            continue;
        }
        if (!len)
            break;
        if (len > DNS_LABEL_MAX || n + 1 >= DNS_NAME_SIZE)
            return -EBADMSG;
        if (n)
            out[n++] = '.';
        r = read_label(m, at, len, out + n, DNS_NAME_SIZE - n, &odd);
        if (r < 0)
            return r;
        n += len;
        at += len;
    }
    if (!jumped)
        *pos = at;
    out[n] = '\0';
    return odd;
}

static int read_rr(struct message *m, struct rr *ret)
{
    int r = read_name(m, &m->pos, ret->owner);

    if (r < 0 || m->len - m->pos < 10)
        return -EBADMSG;
    ret->type = get16(m, m->pos);
    ret->class = get16(m, m->pos + 2);
    ret->ttl = get32(m, m->pos + 4);
    if (ret->ttl > INT32_MAX)
        ret->ttl = 0; /* RFC 2181 8 */
    ret->len = get16(m, m->pos + 8);
    ret->at = m->pos + 10;
    if (ret->len > m->len - ret->at)
        return -EBADMSG;
    m->pos = ret->at + ret->len;
    return 0;
}

static int read_header(struct message *m, char question[DNS_NAME_SIZE])
{
    if (m->len < HEADER_SIZE || get16(m, 4) != 1)
        return -EBADMSG;
    m->answers = get16(m, 6);
    m->authorities = get16(m, 8);
    m->pos = HEADER_SIZE;
    if (read_name(m, &m->pos, question) < 0 || m->len - m->pos < 4)
        return -EBADMSG;
    m->pos += 4;
    m->answers_at = m->pos;
    return 0;
}

void dns_records_add(struct dns_records *r, uint32_t preference, const char *text)
{
    size_t i = r->n;

    if (i == DNS_RECORDS_MAX && preference >= r->v[i - 1].preference)
        return;
    if (i == DNS_RECORDS_MAX)
        i--;
    else
        r->n++;
    for (; i > 0 && r->v[i - 1].preference > preference; i--)
        r->v[i] = r->v[i - 1];
    r->v[i].preference = preference;
    strcpy(r->v[i].text, text); /* callers have a name or an address, both fit */
}

static void least(struct dns_records *r, uint32_t ttl)
{
    if (ttl < r->ttl)
        r->ttl = ttl;
}

/* 1: the record was used; 0: it is malformed. */
static int take_record(const struct message *m, const struct rr *rr, struct dns_records *ret)
{
    char text[DNS_NAME_SIZE];
    size_t at = rr->at + 2;

    switch (rr->type) {
    case DNS_TYPE_A:
        if (rr->len != 4)
            return 0;
        inet_ntop(AF_INET, m->data + rr->at, text, sizeof text);
        dns_records_add(ret, 0, text);
        return 1;
    case DNS_TYPE_AAAA:
        if (rr->len != 16)
            return 0;
        inet_ntop(AF_INET6, m->data + rr->at, text, sizeof text);
        dns_records_add(ret, 0, text);
        return 1;
    default: /* MX */
        if (rr->len < 3 || read_name(m, &at, text) || at != rr->at + rr->len)
            return 0;
        dns_records_add(ret, get16(m, rr->at), text);
        return 1;
    }
}

/* One step from `name` along an alias. 1: there was one; 0: none; -EBADMSG. */
static int follow_alias(struct message *m, char name[DNS_NAME_SIZE], struct dns_records *ret)
{
    struct rr rr;

    m->pos = m->answers_at;
    for (unsigned i = 0; i < m->answers; i++) {
        size_t at;

        if (read_rr(m, &rr))
            return -EBADMSG;
        if (rr.type != DNS_TYPE_CNAME || rr.class != CLASS_IN || strcmp(rr.owner, name))
            continue;
        at = rr.at;
        if (read_name(m, &at, name) < 0)
            return -EBADMSG;
        least(ret, rr.ttl);
        return 1;
    }
    return 0;
}

static int take_answers(struct message *m, const char *name, uint16_t type, struct dns_records *ret)
{
    struct rr rr;

    m->pos = m->answers_at;
    for (unsigned i = 0; i < m->answers; i++) {
        if (read_rr(m, &rr))
            return -EBADMSG;
        if (rr.type != type || rr.class != CLASS_IN || strcmp(rr.owner, name))
            continue;
        if (take_record(m, &rr, ret))
            least(ret, rr.ttl);
        else
            ret->odd++;
    }
    return 0;
}

/* How long may "there is none" be believed? RFC 2308 5: the lesser of the SOA's TTL and its
 * minimum. */
static uint32_t negative_ttl(struct message *m)
{
    struct rr rr;

    for (unsigned i = 0; i < m->authorities; i++) {
        uint32_t minimum;

        if (read_rr(m, &rr))
            return 0;
        if (rr.type != DNS_TYPE_SOA || rr.len < 22)
            continue;
        minimum = get32(m, rr.at + rr.len - 4);
        return rr.ttl < minimum ? rr.ttl : minimum;
    }
    return 0;
}

int dns_message_read(const void *data, size_t len, uint16_t type, struct dns_records *ret)
{
    struct message m = { .data = data, .len = len };
    char name[DNS_NAME_SIZE];
    int r = read_header(&m, name);

    ret->n = 0;
    ret->odd = 0;
    ret->ttl = UINT32_MAX;
    if (r)
        return r;
    for (unsigned i = 0; i < DNS_ALIASES_MAX; i++) {
        r = follow_alias(&m, name, ret);
        if (r < 0)
            return r;
        if (!r)
            break;
    }
    r = take_answers(&m, name, type, ret);
    if (r)
        return r;
    if (!ret->n)
        ret->ttl = negative_ttl(&m);
    return 0;
}
