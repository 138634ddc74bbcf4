/* spool/journal-format.c: see journal-format.h. */
#include "spool/journal-format.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/crc32c.h"

static void put_le(unsigned char *out, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        out[i] = (unsigned char)(v >> (8 * i));
}

static uint64_t get_le(const unsigned char *in, int bytes)
{
    uint64_t v = 0;

    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)in[i] << (8 * i);
    return v;
}

void format_u32(unsigned char *out, uint32_t v)
{
    put_le(out, v, 4);
}

uint32_t format_u32_read(const unsigned char *in)
{
    return (uint32_t)get_le(in, 4);
}

void format_header(unsigned char out[FORMAT_HEADER], const struct format_header *h)
{
    put_le(out, FORMAT_MAGIC, 4);
    out[4] = h->type;
    out[5] = h->flags;
    put_le(out + 6, 0, 2);
    put_le(out + 8, h->length, 4);
    put_le(out + 12, h->synced, 4);
    put_le(out + 16, h->id, 8);
    put_le(out + 24, h->payload_crc, 4);
    put_le(out + 28, crc32c(0, out, 28) ^ h->salt, 4);
}

/* What a header of that type may say at all. */
static int plausible(const struct format_header *h)
{
    switch (h->type) {
    case FORMAT_MESSAGE:
        return h->length >= FORMAT_WORD && h->length <= FORMAT_PAYLOAD_MAX &&
            !(h->flags & ~FORMAT_F_LARGE);
    case FORMAT_STATE:
        return h->length <= FORMAT_STATE_MAX && !h->flags;
    case FORMAT_DONE:
        return h->length == FORMAT_DONE_LEN && !h->flags;
    case FORMAT_BEGIN:
        return h->length == FORMAT_SEGMENT_LEN && !h->flags;
    default:
        return 0;
    }
}

int format_header_guess(const unsigned char in[FORMAT_HEADER], struct format_header *ret)
{
    struct format_header h = {
        .type = in[4],
        .flags = in[5],
        .length = format_u32_read(in + 8),
        .synced = format_u32_read(in + 12),
        .id = get_le(in + 16, 8),
        .payload_crc = format_u32_read(in + 24),
    };

    if (format_u32_read(in) != FORMAT_MAGIC || get_le(in + 6, 2) || !plausible(&h))
        return -EBADMSG;
    h.salt = format_u32_read(in + 28) ^ crc32c(0, in, 28);
    *ret = h;
    return 0;
}

int format_header_read(const unsigned char in[FORMAT_HEADER], uint32_t salt,
                       struct format_header *ret)
{
    struct format_header h;

    if (format_header_guess(in, &h) < 0 || h.salt != salt)
        return -EBADMSG;
    *ret = h;
    return 0;
}

void format_segment(unsigned char out[FORMAT_SEGMENT_LEN], const struct format_segment *s)
{
    put_le(out, s->version, 2);
    put_le(out + 2, s->shard, 2);
    put_le(out + 4, s->seq, 4);
    put_le(out + 8, s->salt, 4);
    put_le(out + 12, s->prev_seq, 4);
    put_le(out + 16, s->prev_synced, 4);
    put_le(out + 20, (uint64_t)s->created_usec, 8);
    put_le(out + 28, s->bad_from, 4);
}

void format_segment_read(const unsigned char in[FORMAT_SEGMENT_LEN], struct format_segment *ret)
{
    ret->version = (uint16_t)get_le(in, 2);
    ret->shard = (uint16_t)get_le(in + 2, 2);
    ret->seq = format_u32_read(in + 4);
    ret->salt = format_u32_read(in + 8);
    ret->prev_seq = format_u32_read(in + 12);
    ret->prev_synced = format_u32_read(in + 16);
    ret->created_usec = (int64_t)get_le(in + 20, 8);
    ret->bad_from = format_u32_read(in + 28);
}

void format_large(unsigned char out[FORMAT_LARGE_LEN], const struct format_large *l)
{
    put_le(out, l->size, 8);
    put_le(out + 8, l->crc, 4);
    put_le(out + 12, FORMAT_NAME_LEN, 4);
    memcpy(out + 16, l->name, FORMAT_NAME_LEN);
}

int format_large_read(const unsigned char in[FORMAT_LARGE_LEN], struct format_large *ret)
{
    struct format_large l;
    uint64_t id;

    l.size = get_le(in, 8);
    l.crc = format_u32_read(in + 8);
    memcpy(l.name, in + 16, FORMAT_NAME_LEN);
    l.name[FORMAT_NAME_LEN] = '\0';
    /* The name becomes a path: nothing but what we write ourselves is let through. */
    if (format_u32_read(in + 12) != FORMAT_NAME_LEN || format_content_name_read(l.name, &id) < 0)
        return -EBADMSG;
    *ret = l;
    return 0;
}

void format_segment_name(char out[FORMAT_FILE_NAME], uint32_t seq)
{
    snprintf(out, FORMAT_FILE_NAME, "%08" PRIu32 ".seg", seq);
}

void format_damaged_name(char out[FORMAT_FILE_NAME], uint32_t seq)
{
    snprintf(out, FORMAT_FILE_NAME, "%08" PRIu32 ".damaged", seq);
}

int format_segment_name_read(const char *name, const char *suffix, uint32_t *ret_seq)
{
    uint64_t seq = 0;
    size_t digits = strspn(name, "0123456789");

    if (digits < 8 || digits > 10 || (digits > 8 && name[0] == '0') ||
        strcmp(name + digits, suffix))
        return -EINVAL;
    for (size_t i = 0; i < digits; i++)
        seq = seq * 10 + (uint64_t)(name[i] - '0');
    if (!seq || seq > UINT32_MAX)
        return -EINVAL;
    *ret_seq = (uint32_t)seq;
    return 0;
}

void format_content_name(char out[FORMAT_NAME_LEN + 1], uint64_t id)
{
    snprintf(out, FORMAT_NAME_LEN + 1, "%016" PRIx64, id);
}

int format_content_name_read(const char *name, uint64_t *ret_id)
{
    uint64_t id = 0;

    for (size_t i = 0; i < FORMAT_NAME_LEN; i++) {
        const char *digits = "0123456789abcdef", *at = name[i] ? strchr(digits, name[i]) : NULL;

        if (!at)
            return -EINVAL;
        id = id << 4 | (uint64_t)(at - digits);
    }
    if (name[FORMAT_NAME_LEN])
        return -EINVAL;
    *ret_id = id;
    return 0;
}
