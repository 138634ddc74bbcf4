/* present.c: see present.h.
 *
 * Of the many fields that may say who wrote a message VMS MAIL has room for one, so the first of a
 * list that is there is taken (U-10). What is not a header field any more when the header is longer
 * than PRESENT_HEADER_MAX goes along with the body, so nothing is lost. */
#include "present.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LINE_VALUE_MAX 8192u /* bytes of a To, CC or Subj line                     */
#define TEXT_MAX       (6 * LINE_VALUE_MAX)
#define PIECES_STEP    16u
#define BOTTOM_TITLE   "\r\n================== RFC 822 Headers ==================\r\n"

/* --- who wrote it --- */

/* The fields that may say so, the best first; then the envelope's sender (Return-Path). */
static const char *const originators[] = {
    "Resent-Reply-To", "Resent-From", "Reply-To", "From", "Resent-Sender", "Sender", "Return-Path",
};
#define ORIGINATORS (sizeof originators / sizeof *originators)

/* What a reader needs to understand the message, and to answer it. */
static const char *const majors[] = {
    "From",        "Sender",       "Reply-To",     "To",
    "Cc",          "Subject",      "Date",         "Message-ID",
    "In-Reply-To", "Resent-From",  "Resent-To",    "Resent-Cc",
    "Resent-Date", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
};

int present_is_originator(const char *name)
{
    for (size_t i = 0; i < ORIGINATORS; i++) {
        if (!strcasecmp(originators[i], name))
            return 1;
    }
    return 0;
}

int present_is_major(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof majors / sizeof *majors; i++) {
        if (strlen(majors[i]) == len && !strncasecmp(majors[i], name, len))
            return 1;
    }
    return 0;
}

struct known { /* the first field of each name that counts */
    struct postern_field originator[ORIGINATORS], to, cc, subject, x_to, x_cc;
};

static void note(struct postern_field *known, const struct postern_field *f, const char *name)
{
    if (!known->name && postern_field_is(f, name))
        *known = *f;
}

static void note_all(struct known *k, const struct postern_field *f)
{
    for (size_t i = 0; i < ORIGINATORS; i++)
        note(&k->originator[i], f, originators[i]);
    note(&k->to, f, "To");
    note(&k->cc, f, "Cc");
    note(&k->subject, f, "Subject");
    note(&k->x_to, f, "X-VMS-To");
    note(&k->x_cc, f, "X-VMS-CC");
}

/* --- text --- */

struct text {
    char *data;
    size_t len;
};

static void add(struct text *t, const char *data, size_t len)
{
    size_t room = TEXT_MAX - t->len;

    if (len > room)
        len = room;
    memcpy(t->data + t->len, data, len);
    t->len += len;
}

static void adds(struct text *t, const char *s)
{
    add(t, s, strlen(s));
}

/* A field's value as it is, on one line. */
static void add_value(struct text *t, const char *value, size_t len)
{
    size_t end = t->len + LINE_VALUE_MAX;

    while (len && strchr(" \t", *value))
        value++, len--;
    for (size_t i = 0; i < len && t->len < end; i++) {
        char c = value[i];

        if (c == '\r' || c == '\n')
            continue;
        if (((unsigned char)c < 0x20 && c != '\t') || c == 0x7f)
            c = '?';
        add(t, &c, 1);
    }
}

/* f NULL: an empty one. */
static void add_line(struct text *t, const char *label, const struct postern_field *f)
{
    adds(t, label);
    if (f && f->name)
        add_value(t, f->value, f->value_len);
    adds(t, "\r\n");
}

/* --- the From line --- */

/* What reply_control names goes before our own order. */
static const struct postern_field *choose(const struct present_from *from, const struct known *k)
{
    const struct postern_strings *control = &from->set->reply_control;

    for (size_t c = 0; c < control->n; c++) {
        for (size_t i = 0; i < ORIGINATORS; i++) {
            if (k->originator[i].name && !strcasecmp(control->v[c], originators[i]))
                return &k->originator[i];
        }
    }
    for (size_t i = 0; i < ORIGINATORS; i++) {
        if (k->originator[i].name)
            return &k->originator[i];
    }
    return NULL;
}

/* The address in the field, or the whole of what should be one. Bytes written. */
static size_t address_of(const struct postern_field *f, char *buf, size_t size)
{
    struct postern_mailbox mailbox = { .size = sizeof mailbox };
    char work[2 * POSTERN_ADDRESS_MAX + 4];
    size_t pos = 0, n = 0;

    if (postern_mailbox_next(f->value, f->value_len, &pos, &mailbox, work, sizeof work) == 1 &&
        mailbox.address_len && mailbox.address_len < size) {
        n = mailbox.address_len;
        memcpy(buf, mailbox.address, n);
    }
    buf[n] = '\0';
    return n;
}

static int same_domain(const char *domain, size_t len, const char *other)
{
    return strlen(other) == len && !strncasecmp(domain, other, len);
}

/* A user of this place: his name alone says who he is. 0: it is somebody else. */
static int local_name(const struct present_from *from, const char *address, size_t len, char *buf,
                      size_t size)
{
    struct postern_address a = { .size = sizeof a }, r = { .size = sizeof r };
    const char *why;

    if (from->set->jacket_local ||
        postern_address_parse(address, len, POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_BARE, &a, &why) <
            0)
        return 0;
    if (a.domain && !same_domain(a.domain, a.domain_len, from->hostname)) {
        if (postern_address_parse(from->rcpt, strlen(from->rcpt),
                                  POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_BARE, &r, &why) < 0 ||
            !r.domain || r.domain_len != a.domain_len ||
            strncasecmp(a.domain, r.domain, r.domain_len) != 0)
            return 0;
    }
    return postern_address_unquote(a.local, a.local_len, buf, size) > 0;
}

static void lower_user(char *address)
{
    char *at = strrchr(address, '@');

    for (char *p = address; *p && p != at; p++)
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + ('a' - 'A') : *p);
}

static void add_from(struct text *t, const struct present_from *from, const struct known *k)
{
    const struct postern_address_site site = { .size = sizeof site, .host = from->hostname };
    const struct postern_field *f = choose(from, k);
    char address[POSTERN_ADDRESS_SIZE], shown[2 * POSTERN_ADDRESS_SIZE];
    size_t n = f ? address_of(f, address, sizeof address) : 0;

    if (!n)
        n = (size_t)snprintf(address, sizeof address, "%s", from->sender);
    if (n >= sizeof address)
        n = sizeof address - 1;
    if (from->set->lowercase_user)
        lower_user(address);
    adds(t, "From:\t");
    if (!n)
        adds(t, "MAILER-DAEMON");
    else if (local_name(from, address, n, shown, sizeof shown) ||
             postern_address_jacket(&site, address, n, shown, sizeof shown, NULL) > 0)
        add_value(t, shown, strlen(shown));
    else
        add_value(t, address, n);
    adds(t, "\r\n");
}

/* Which field To or CC is taken from; NULL: from none. */
static const struct postern_field *addressed(const struct settings *set,
                                             const struct postern_field *x_vms,
                                             const struct postern_field *rfc822)
{
    if (set->use_x_vms && x_vms->name)
        return x_vms;
    return set->use_rfc822_to ? rfc822 : NULL;
}

static int says_something(const struct postern_field *f)
{
    size_t blanks = 0;

    while (f && f->name && blanks < f->value_len && strchr(" \t\r\n", f->value[blanks]))
        blanks++;
    return f && f->name && blanks < f->value_len;
}

/* The lines of VMS MAIL, and the empty line behind them. */
static void add_vms_head(struct text *t, const struct present_from *from, const struct known *k)
{
    const struct settings *set = from->set;
    const struct postern_field *to = set->vmsdef_to ? NULL : addressed(set, &k->x_to, &k->to);

    add_from(t, from, k);
    if (says_something(to)) {
        add_line(t, "To:\t", to);
    } else {
        adds(t, "To:\t");
        adds(t, from->user);
        adds(t, "\r\n");
    }
    add_line(t, "CC:\t", addressed(set, &k->x_cc, &k->cc));
    add_line(t, "Subj:\t", &k->subject);
    adds(t, "\r\n");
}

/* --- pieces --- */

static int add_piece(struct present *p, const char *text, uint64_t from, uint64_t to)
{
    struct piece *last = p->n ? &p->pieces[p->n - 1] : NULL;

    if (from == to)
        return 0;
    if (last && !text && !last->text && last->to == from) {
        last->to = to;
        return 0;
    }
    if (p->n % PIECES_STEP == 0) {
        struct piece *more = realloc(p->pieces, (p->n + PIECES_STEP) * sizeof *more);

        if (!more)
            return -ENOMEM;
        p->pieces = more;
    }
    p->pieces[p->n++] = (struct piece){ text, from, to };
    return 0;
}

/* What was written to the text since `mark`. */
static int add_text(struct present *p, const struct text *t, size_t mark)
{
    return add_piece(p, t->data + mark, 0, t->len - mark);
}

/* What final delivery adds (RFC 5321 4.4). */
static void add_trace(struct text *t, const struct present_from *from)
{
    adds(t, "Return-Path: <");
    add_value(t, from->sender, strlen(from->sender));
    adds(t, ">\r\nDelivered-To: ");
    add_value(t, from->rcpt, strlen(from->rcpt));
    adds(t, "\r\n");
}

struct header { /* where it is, as far as it was seen */
    struct known known;
    uint64_t end, body; /* of the last field; where the body begins */
};

/* A field that reaches to the end of what was seen may go on: it counts as body. */
static void scan(const struct present_from *from, struct header *h)
{
    struct postern_field f = { .size = sizeof f };
    size_t pos = 0;

    memset(h, 0, sizeof *h);
    while (postern_field_next(from->head, from->head_len, &pos, &f) == 1) {
        if (f.end == from->head_len && from->head_len < from->size) {
            h->body = h->end;
            return;
        }
        note_all(&h->known, &f);
        h->end = f.end;
    }
    h->body = pos;
}

static int add_headers(struct present *p, struct text *t, const struct present_from *from,
                       const struct header *h)
{
    struct postern_field f = { .size = sizeof f };
    size_t pos = 0, mark = t->len;
    int r = 0;

    if (from->set->header_control == CONTROL_ALL) {
        add_trace(t, from);
        r = add_text(p, t, mark);
    }
    while (!r && pos < h->end && postern_field_next(from->head, h->end, &pos, &f) == 1) {
        if (from->set->header_control == CONTROL_ALL || present_is_major(f.name, f.name_len))
            r = add_piece(p, NULL, f.start, f.end);
    }
    return r;
}

static int make_vms(struct present *p, struct text *t, const struct present_from *from)
{
    int shown = from->set->header_control != CONTROL_NONE && from->set->headers != HEADERS_OMITTED;
    int top = shown && from->set->headers == HEADERS_TOP;
    struct header h;
    size_t mark;
    int r;

    scan(from, &h);
    add_vms_head(t, from, &h.known);
    r = add_text(p, t, 0);
    if (!r && top) {
        r = add_headers(p, t, from, &h);
        mark = t->len;
        adds(t, "\r\n");
        if (!r)
            r = add_text(p, t, mark);
    }
    if (!r)
        r = add_piece(p, NULL, h.body, from->size);
    if (!r && shown && !top) {
        mark = t->len;
        adds(t, BOTTOM_TITLE);
        r = add_text(p, t, mark);
        if (!r)
            r = add_headers(p, t, from, &h);
    }
    return r;
}

size_t present_wants(const struct settings *set)
{
    return set->style == STYLE_VMS ? PRESENT_HEADER_MAX : 0;
}

int present_make(const struct present_from *from, struct present *ret)
{
    struct present p = { .text = malloc(TEXT_MAX) };
    struct text t = { p.text, 0 };
    int r = p.text ? 0 : -ENOMEM;

    if (!r && from->set->style == STYLE_VMS) {
        r = make_vms(&p, &t, from);
    } else if (!r) {
        add_trace(&t, from);
        r = add_text(&p, &t, 0);
        if (!r)
            r = add_piece(&p, NULL, 0, from->size);
    }
    if (r < 0)
        present_free(&p);
    else
        *ret = p;
    return r;
}

void present_free(struct present *p)
{
    free(p->pieces);
    free(p->text);
    memset(p, 0, sizeof *p);
}
