/* message/exchange.c: see exchange.h. */
#include "message/exchange.h"

#include <stdlib.h>
#include <string.h>

#include <postern/mail.h>

#include "address/mailbox.h"
#include "util/mem.h"

struct editing {
    const struct exchange *x;
    const char *name; /* of the field */
    struct buf text;  /* the field, as far as it is edited */
    size_t seen;      /* addresses in all fields */
    size_t done;      /* addresses exchanged, likewise */
};

static void keep(struct editing *e, const char *why)
{
    e->x->kept(e->x->ctx, e->name, why);
}

/* The first piece becomes the new address, the others go, and what is between them stays. Returns
 * how far the value is now told. */
static size_t put_address(struct editing *e, const char *value, size_t told,
                          const struct mailbox_place *place, const char *to)
{
    for (size_t i = 0; i < place->n; i++) {
        buf_add(&e->text, value + told, place->pieces[i].start - told);
        told = place->pieces[i].start + place->pieces[i].len;
        if (i == 0)
            buf_adds(&e->text, to);
    }
    return told;
}

/* Returns how many addresses were exchanged; the text is the whole value then. */
static size_t edit_value(struct editing *e, const char *value, size_t len)
{
    const size_t size = 2 * len + 4; /* enough for any of them */
    char *buf = mem_alloc(size);
    struct postern_mailbox one = { .size = sizeof one };
    struct mailbox_place place;
    size_t pos = 0, told = 0, n = 0;

    while (mailbox_next(value, len, &pos, &one, &place, buf, size) > 0) {
        char *to;

        if (++e->seen > EXCHANGE_MAX) {
            keep(e, "there are too many addresses");
            break;
        }
        if (!place.sound) {
            keep(e, "an address can't be told from what is around it");
            continue;
        }
        to = e->x->become(e->x->ctx, e->name, one.address);
        if (!to)
            continue;
        told = put_address(e, value, told, &place, to);
        n++;
        free(to);
    }
    buf_add(&e->text, value + told, len - told);
    free(buf);
    return n;
}

static size_t longest_line(const char *p, size_t len)
{
    const char *end = p + len, *lf;
    size_t longest = 0;

    for (; p < end; p = lf + 1) {
        lf = memchr(p, '\n', (size_t)(end - p));
        if (!lf)
            lf = end;
        if ((size_t)(lf - p) > longest)
            longest = (size_t)(lf - p);
    }
    return longest;
}

/* 1: e->text is the field as it shall be, line end included. */
static int edit_field(struct editing *e, const char *data, const struct postern_field *f)
{
    const char *field = data + f->start, *end = data + f->end;
    const char *behind = f->value + f->value_len;
    size_t n, longest;

    buf_clear(&e->text);
    buf_add(&e->text, field, (size_t)(f->value - field));
    n = edit_value(e, f->value, f->value_len);
    if (!n)
        return 0;
    buf_add(&e->text, behind, (size_t)(end - behind));
    longest = longest_line(e->text.data, e->text.len);
    /* One byte more, for the CR. */
    if (longest > EXCHANGE_LINE_MAX + 1 && longest > longest_line(field, f->end - f->start)) {
        keep(e, "a line would become too long");
        return 0;
    }
    e->done += n;
    return 1;
}

static const char *wanted(const struct exchange *x, const struct postern_field *f)
{
    for (const char *const *name = x->fields; *name; name++) {
        if (postern_field_is(f, *name))
            return *name;
    }
    return NULL;
}

size_t exchange_addresses(const struct exchange *x, const char *data, size_t len, struct buf *out,
                          size_t *ret_end)
{
    struct editing e = { .x = x };
    struct postern_field field = { .size = sizeof field };
    size_t pos = 0, told = 0;

    while (postern_field_next(data, len, &pos, &field) > 0) {
        e.name = wanted(x, &field);
        if (!e.name || !edit_field(&e, data, &field))
            continue;
        buf_add(out, data + told, field.start - told);
        buf_add(out, e.text.data, e.text.len);
        told = field.end;
    }
    if (told)
        buf_add(out, data + told, pos - told);
    *ret_end = pos;
    buf_free(&e.text);
    return e.done;
}
