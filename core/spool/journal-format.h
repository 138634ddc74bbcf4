/* spool/journal-format.h: the bytes of a record. Pure: no files, no memory. docs/spool.md has the
 * same for people.
 *
 * A record is a header of 32 bytes, little endian, and a payload:
 *
 *    0 u32 magic "PSJN"        12 u32 synced         24 u32 CRC-32C of the payload
 *    4 u8  type, u8 flags      16 u64 id             28 u32 CRC-32C of bytes 0..27, xor the
 *    6 u16 0                   (8 u32 length)               segment's salt
 *
 * synced: so many bytes of this segment were known to be durable when the record was written;
 * damage below the greatest of them is damage, above it may just be what a crash leaves.
 * salt: a random number of each segment, so that a message's content can't hold forged records that
 * a search for the next good record (after damage) would take for true. */
#ifndef SPOOL_JOURNAL_FORMAT_H
#define SPOOL_JOURNAL_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define FORMAT_VERSION      1u
#define FORMAT_MAGIC        0x4e4a5350u /* "PSJN" */
#define FORMAT_HEADER       32u
#define FORMAT_WORD     4u  /* a MESSAGE's payload begins with the length of its meta */
#define FORMAT_SEGMENT_LEN      32u /* payload of a SEGMENT record                            */
#define FORMAT_DONE_LEN         4u  /* payload of a DONE record                               */
#define FORMAT_LARGE_LEN        32u /* what follows the meta of a MESSAGE with FORMAT_F_LARGE */
#define FORMAT_NAME_LEN         16u /* hex digits of an id: the name of a content file        */

#define FORMAT_META_MAX     (32u << 20) /* bytes of meta; a caller that has more is refused     */
#define FORMAT_STATE_MAX    (64u << 20) /* bytes of state                                       */
#define FORMAT_INLINE_MAX   (64u << 20) /* bytes of content in a record, whatever is configured */
#define FORMAT_PAYLOAD_MAX  (FORMAT_WORD + FORMAT_META_MAX + FORMAT_INLINE_MAX)

enum format_type { FORMAT_MESSAGE = 1, FORMAT_STATE = 2, FORMAT_DONE = 3, FORMAT_BEGIN = 4 };

#define FORMAT_F_LARGE 1u /* MESSAGE: content is in a file of its own */

struct format_header {
    uint8_t  type, flags;
    uint32_t length; /* of the payload */
    uint32_t synced;
    uint64_t id;
    uint32_t payload_crc;
    uint32_t salt; /* what makes the header CRC true */
};

/* First record of a segment; its own header has salt 0 and, as id, the greatest id known then. */
struct format_segment {
    uint16_t version, shard;
    uint32_t seq, salt;
    uint32_t prev_seq, prev_synced; /* the segment before was durable up to there; 0, 0: none */
    int64_t  created_usec;
    uint32_t bad_from; /* all from this one to the one before could not be synced; 0: none      */
};

/* Where the content of a large message is. Its file is content/NAME. */
struct format_large {
    uint64_t size;
    uint32_t crc;
    char     name[FORMAT_NAME_LEN + 1];
};

void format_header(unsigned char out[FORMAT_HEADER], const struct format_header *h);
/* 0, or -EBADMSG when these bytes are no header of a segment with that salt. */
int format_header_read(const unsigned char in[FORMAT_HEADER], uint32_t salt,
                       struct format_header *ret);
/* The same without knowing the salt: whatever it must have been is in ret->salt. */
int format_header_guess(const unsigned char in[FORMAT_HEADER], struct format_header *ret);

void format_segment(unsigned char out[FORMAT_SEGMENT_LEN], const struct format_segment *s);
void format_segment_read(const unsigned char in[FORMAT_SEGMENT_LEN], struct format_segment *ret);

void format_large(unsigned char out[FORMAT_LARGE_LEN], const struct format_large *l);
/* 0, or -EBADMSG. */
int format_large_read(const unsigned char in[FORMAT_LARGE_LEN], struct format_large *ret);

void     format_u32(unsigned char *out, uint32_t v);
uint32_t format_u32_read(const unsigned char *in);

/* Names of files. 0, or -EINVAL when the name is not of that form. */
#define FORMAT_FILE_NAME 24u
void format_segment_name(char out[FORMAT_FILE_NAME], uint32_t seq);
void format_damaged_name(char out[FORMAT_FILE_NAME], uint32_t seq);
int  format_segment_name_read(const char *name, const char *suffix, uint32_t *ret_seq);
void format_content_name(char out[FORMAT_NAME_LEN + 1], uint64_t id);
int  format_content_name_read(const char *name, uint64_t *ret_id);

#endif
