/* spool/journal-scan.c: see journal-scan.h.
 *
 * Time is linear in the size of the file, whatever is in it: a record whose header is good is
 * passed over by its length, and a header that is not costs one CRC of 28 bytes. */
#include "spool/journal-scan.h"

#include <stdlib.h>
#include <string.h>

#include "util/crc32c.h"
#include "util/mem.h"

#define SCAN_WINDOW 524288u /* bytes read at a time   */
#define SCAN_SECTOR 4096u   /* bytes given up at once */
#define SCAN_GUESS  8u      /* so many times a segment's size is read to find out a lost salt */

/* One whole read of len bytes (len is within the file); bytes that can't be had read as zeros. */
static void read_fully(struct scan *sc, unsigned char *buf, size_t len, uint64_t at)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = sc->io->pread(sc->io->ctx, sc->fd, buf + done, len - done, (off_t)(at + done));

        if (n <= 0) {
            size_t left = len - done, step = SCAN_SECTOR - (size_t)((at + done) % SCAN_SECTOR);

            /* The disk may have one bad place in a window that is good otherwise. */
            if (n < 0 && left > step) {
                n = sc->io->pread(sc->io->ctx, sc->fd, buf + done, step, (off_t)(at + done));
                left = step;
            }
            if (n <= 0) {
                memset(buf + done, 0, left);
                sc->unreadable += left;
                n = (ssize_t)left;
            }
        }
        done += (size_t)n;
    }
}

/* len bytes at `at`, len <= SCAN_WINDOW and within the file; valid until the next call. */
static const unsigned char *look(struct scan *sc, uint64_t at, size_t len)
{
    if (at < sc->window_at || at + len > sc->window_at + sc->window_len) {
        uint64_t left = sc->size - at;

        sc->window_at = at;
        sc->window_len = left < SCAN_WINDOW ? (size_t)left : SCAN_WINDOW;
        read_fully(sc, sc->window, sc->window_len, at);
    }
    return sc->window + (at - sc->window_at);
}

static uint32_t crc_at(struct scan *sc, uint64_t at, uint64_t len)
{
    uint32_t crc = 0;

    while (len) {
        uint64_t in_window = at >= sc->window_at && at < sc->window_at + sc->window_len
            ? sc->window_at + sc->window_len - at
            : SCAN_WINDOW;
        size_t n = (size_t)(len < in_window ? len : in_window);

        crc = crc32c(crc, look(sc, at, n), n);
        at += n;
        len -= n;
    }
    return crc;
}

void scan_init(struct scan *sc, const struct spool_io *io, int fd, uint64_t size)
{
    struct format_header h;
    const unsigned char *p;

    *sc = (struct scan){ .io = io, .fd = fd, .size = size };
    sc->window = mem_alloc(SCAN_WINDOW);
    sc->guess_bytes = SCAN_GUESS * size;
    if (size < FORMAT_HEADER + FORMAT_SEGMENT_LEN)
        return;
    p = look(sc, 0, FORMAT_HEADER + FORMAT_SEGMENT_LEN);
    if (format_header_read(p, 0, &h) < 0 || h.type != FORMAT_BEGIN ||
        crc32c(0, p + FORMAT_HEADER, FORMAT_SEGMENT_LEN) != h.payload_crc)
        return;
    format_segment_read(p + FORMAT_HEADER, &sc->segment);
    sc->begun = 1;
    sc->salt = sc->segment.salt;
    sc->salted = 1;
}

void scan_done(struct scan *sc)
{
    free(sc->window);
    sc->window = NULL;
}

/* Is there a record at `at`? When the salt is not known (the segment's first record is bad), the
 * first record that is whole in all else tells it. */
static int record_at(struct scan *sc, uint64_t at, struct scan_record *ret)
{
    const unsigned char *p = look(sc, at, FORMAT_HEADER);
    struct scan_record rec = { .at = at };
    int first = at == 0 && sc->begun;

    if (format_header_guess(p, &rec.h) < 0)
        return 0;
    if (first ? rec.h.type != FORMAT_BEGIN : rec.h.type == FORMAT_BEGIN)
        return 0;
    if (rec.h.salt != (first ? 0 : sc->salt) && (first || sc->salted))
        return 0;
    if (rec.h.length > sc->size - at - FORMAT_HEADER)
        return 0;
    if (!first && !sc->salted) {
        if (rec.h.length > sc->guess_bytes)
            return 0;
        sc->guess_bytes -= rec.h.length;
    }
    if (rec.h.length >= sizeof rec.word)
        memcpy(rec.word, look(sc, at + FORMAT_HEADER, sizeof rec.word), sizeof rec.word);
    rec.intact = crc_at(sc, at + FORMAT_HEADER, rec.h.length) == rec.h.payload_crc;
    if (!first && !sc->salted) {
        if (!rec.intact)
            return 0;
        sc->salt = rec.h.salt;
        sc->salted = 1;
    }
    *ret = rec;
    return 1;
}

/* Where the next magic begins, at `at` or later; sc->size when nowhere. */
static uint64_t find_magic(struct scan *sc, uint64_t at)
{
    unsigned char magic[4];

    format_u32(magic, FORMAT_MAGIC);
    while (at + FORMAT_HEADER <= sc->size) {
        const unsigned char *from = look(sc, at, FORMAT_HEADER), *hit;
        size_t len = (size_t)(sc->window_at + sc->window_len - at);

        hit = memmem(from, len, magic, sizeof magic);
        if (hit)
            return at + (uint64_t)(hit - from);
        at += len - (sizeof magic - 1);
    }
    return sc->size;
}

int scan_next(struct scan *sc, struct scan_record *ret)
{
    uint64_t from = sc->pos;

    while (sc->size - sc->pos >= FORMAT_HEADER) {
        if (record_at(sc, sc->pos, ret)) {
            ret->gap = sc->pos - from;
            sc->pos += FORMAT_HEADER + ret->h.length;
            return 1;
        }
        sc->pos = find_magic(sc, sc->pos + 1);
    }
    *ret = (struct scan_record){ .at = sc->size, .gap = sc->size - from };
    sc->pos = sc->size;
    return 0;
}
