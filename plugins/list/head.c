/* head.c: see head.h. RFC 2369 (List-Help and others), 2919 (List-Id), 3834 (Auto-Submitted).
 *
 * Received fields stay where they are, so that hops are counted through the list. Fields that speak
 * of a list are ours alone: another list's, above us, would mislead members. So a List-Id is gone
 * when the next list has had the message, and what tells of all that it went through is a field of
 * its own, of Mailman's name: each list adds one, and none takes them out. */
#include "head.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- reading --- */

static void trim(const char **s, size_t *len)
{
    while (*len && strchr(" \t\r\n", (*s)[*len - 1]))
        --*len;
    while (*len && strchr(" \t\r\n", **s)) {
        ++*s;
        --*len;
    }
}

static int value_is(const struct postern_field *f, const char *word)
{
    const char *s = f->value;
    size_t len = f->value_len, n = strlen(word);

    trim(&s, &len);
    return len >= n && !strncasecmp(s, word, n) && (len == n || strchr(" \t\r\n;(", s[n]));
}

/* "phrase <garden.example.org>": the identifier is in the last brackets. */
static int is_our_id(const struct postern_field *f, const struct place *p)
{
    char id[2 * POSTERN_ADDRESS_MAX];
    const char *begin = memrchr(f->value, '<', f->value_len), *end;
    size_t len;

    if (!begin)
        return 0;
    begin++;
    end = memchr(begin, '>', (size_t)(f->value + f->value_len - begin));
    if (!end)
        return 0;
    len = (size_t)(end - begin);
    snprintf(id, sizeof id, "%s.%s", p->name, p->domain);
    return len == strlen(id) && !strncasecmp(begin, id, len);
}

static int is_our_trace(const struct postern_field *f, const struct place *p)
{
    const char *s = f->value;
    size_t len = f->value_len;

    trim(&s, &len);
    return len == strlen(p->list) && !strncasecmp(s, p->list, len);
}

static const char *why_automatic(const struct postern_field *f)
{
    static const char *const bulk[] = { "bulk", "junk", "list", "auto_reply" };

    if (postern_field_is(f, "Auto-Submitted") && !value_is(f, "no"))
        return "Auto-Submitted";
    for (size_t i = 0; postern_field_is(f, "Precedence") && i < sizeof bulk / sizeof *bulk; i++) {
        if (value_is(f, bulk[i]))
            return "Precedence";
    }
    return NULL;
}

static void take_from(const struct postern_field *f, struct head *h)
{
    struct postern_mailbox box = { .size = sizeof box };
    char buf[2 * 2048 + 4];
    size_t pos = 0, len = f->value_len < 2048 ? f->value_len : 2048;

    if (postern_mailbox_next(f->value, len, &pos, &box, buf, sizeof buf) > 0 &&
        box.address_len < sizeof h->from)
        strcpy(h->from, box.address);
}

void head_read(const char *data, size_t len, const struct place *p, struct head *ret)
{
    struct postern_field f = { .size = sizeof f };
    int r;

    memset(ret, 0, sizeof *ret);
    while ((r = postern_field_next(data, len, &ret->body, &f)) > 0) {
        ret->received += postern_field_is(&f, "Received") != 0;
        ret->ours |= (postern_field_is(&f, "List-Id") && is_our_id(&f, p)) ||
            (postern_field_is(&f, LIST_TRACE) && is_our_trace(&f, p));
        if (!ret->automatic)
            ret->automatic = why_automatic(&f);
        if (!*ret->from && postern_field_is(&f, "From"))
            take_from(&f, ret);
        if (!*ret->subject && postern_field_is(&f, "Subject")) {
            const char *s = f.value;
            size_t n = f.value_len;

            trim(&s, &n);
            postern_text_clean(s, n, ret->subject, sizeof ret->subject);
        }
    }
    ret->open = !r && ret->body >= len;
}

/* --- writing --- */

struct writer {
    const struct settings *set;
    const struct place *place;
    FILE *out;
    const struct postern_field *reply_to; /* the author's wish, or who he is */
};

static int is_one_of(const struct postern_field *f, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (postern_field_is(f, names[i]))
            return 1;
    }
    return 0;
}

/* Fields that do not come through. */
static int is_dropped(const struct writer *w, const struct postern_field *f)
{
    static const char *const always[] = {
        "List-Id",        "List-Help",         "List-Post",
        "List-Subscribe", "List-Unsubscribe",  "List-Owner",
        "List-Archive",   "Return-Path",       "List-Unsubscribe-Post",
        "Delivered-To",   "Return-Receipt-To", "Disposition-Notification-To",
    };

    if (is_one_of(f, always, sizeof always / sizeof *always) ||
        is_one_of(f, w->set->strip.v, w->set->strip.n))
        return 1;
    if (w->set->precedence && postern_field_is(f, "Precedence"))
        return 1;
    return w->set->reply_to != REPLY_SENDER && postern_field_is(f, "Reply-To");
}

static void write_field(FILE *out, const char *data, const struct postern_field *f)
{
    fwrite(data + f->start, 1, f->end - f->start, out);
    if (f->end == f->start || data[f->end - 1] != '\n')
        fputs("\r\n", out);
}

static int has_prefix(const struct postern_field *f, const char *prefix)
{
    size_t n = strlen(prefix);

    for (size_t i = 0; i + n <= f->value_len; i++) {
        if (!strncasecmp(f->value + i, prefix, n))
            return 1;
    }
    return 0;
}

static void write_subject(const struct writer *w, const char *data, const struct postern_field *f)
{
    const char *s = f->value, *prefix = w->set->subject_prefix;
    size_t len = f->value_len;

    if (!prefix || has_prefix(f, prefix)) {
        write_field(w->out, data, f);
        return;
    }
    trim(&s, &len);
    fprintf(w->out, "Subject: %s %.*s\r\n", prefix, (int)len, s);
}

static void write_uri(const struct writer *w, const char *name, const char *text)
{
    char uri[LIST_TEXT_MAX];
    int n;

    if (!text || !*text)
        return;
    n = place_text(w->place, text, 1, uri, sizeof uri, NULL);
    if (n < 0)
        return; /* the check has tried it: only a very long name comes here */
    if (!strcmp(uri, "NO"))
        fprintf(w->out, "%s: NO\r\n", name);
    else
        fprintf(w->out, "%s: <%s>\r\n", name, uri);
}

static void write_list_fields(const struct writer *w)
{
    const struct settings *set = w->set;
    const struct place *p = w->place;

    if (set->description && *set->description)
        fprintf(w->out, "List-Id: %s <%s.%s>\r\n", set->description, p->name, p->domain);
    else
        fprintf(w->out, "List-Id: <%s.%s>\r\n", p->name, p->domain);
    write_uri(w, "List-Post", set->policy == POLICY_OWNER ? "NO" : "mailto:{list}");
    write_uri(w, "List-Help", set->help);
    write_uri(w, "List-Subscribe", set->subscribe);
    write_uri(w, "List-Unsubscribe", set->unsubscribe);
    write_uri(w, "List-Owner", "mailto:{bounces}");
    write_uri(w, "List-Archive", set->archive_url);
    if (set->precedence)
        fputs("Precedence: list\r\n", w->out);
    fprintf(w->out, LIST_TRACE ": %s\r\n", p->list);
}

static void write_reply_to(const struct writer *w)
{
    const struct postern_field *f = w->reply_to;
    const char *s = f ? f->value : "";
    size_t len = f ? f->value_len : 0;

    trim(&s, &len);
    if (w->set->reply_to == REPLY_LIST || (w->set->reply_to == REPLY_BOTH && !len))
        fprintf(w->out, "Reply-To: %s\r\n", w->place->list);
    else if (w->set->reply_to == REPLY_BOTH)
        fprintf(w->out, "Reply-To: %.*s,\r\n %s\r\n", (int)len, s, w->place->list);
}

int head_write(const struct settings *set, const struct place *p, const char *data, size_t len,
               char **ret, size_t *ret_len)
{
    struct postern_field f = { .size = sizeof f }, author;
    struct writer w = { .set = set, .place = p };
    size_t pos = 0, n = 0;
    char *text = NULL;
    int subject = 0;

    w.out = open_memstream(&text, &n);
    if (!w.out)
        return -errno;
    while (postern_field_next(data, len, &pos, &f) > 0) {
        if (postern_field_is(&f, "Reply-To") || (!w.reply_to && postern_field_is(&f, "From"))) {
            author = f;
            w.reply_to = &author;
        }
        if (is_dropped(&w, &f))
            continue;
        if (postern_field_is(&f, "Subject")) {
            write_subject(&w, data, &f);
            subject = 1;
        } else {
            write_field(w.out, data, &f);
        }
    }
    if (!subject && set->subject_prefix)
        fprintf(w.out, "Subject: %s\r\n", set->subject_prefix);
    write_reply_to(&w);
    write_list_fields(&w);
    fputs("\r\n", w.out);
    if (fclose(w.out) != 0) {
        free(text);
        return -ENOMEM;
    }
    *ret = text;
    *ret_len = n;
    return 0;
}
