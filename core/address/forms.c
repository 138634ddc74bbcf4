/* All forms of an address: see forms.h. First it is told what kind of thing was written, and an
 * SMTP address is made of it; the other forms are made of that. */
#include "address/forms.h"

#include <errno.h>
#include <string.h>

#include "address/address.h"
#include "address/foreign.h"

typedef int translate(const struct postern_address_site *site, const char *text, size_t len,
                      char *buf, size_t size, const char **reterr_why);

struct work {
    struct arena *arena;
    struct postern_address_site site; /* with a step that records into *into */
    struct address_version *into;
    char sound[POSTERN_ADDRESS_SIZE]; /* what was given, made to parse; with its source route */
    size_t sound_len;
};

const char *address_form_name(enum address_form form)
{
    static const char *const names[ADDRESS_FORMS] = { "smtp", "decnet",  "mr",
                                                      "vms",  "percent", "route",
                                                      "next", "ascii",   "unicode" };

    return names[form];
}

static void record(void *ctx, const char *rule, const char *before, size_t before_len,
                   const char *after, size_t after_len)
{
    struct work *w = ctx;
    struct address_version *v = w->into;

    if (v->step_n < ADDRESS_STEPS_MAX)
        v->steps[v->step_n++] = (struct address_step){
            rule,
            arena_strndup(w->arena, before, before_len),
            arena_strndup(w->arena, after, after_len),
        };
}

/* Makes one form of text; the steps of a translation that failed are of no interest. */
static int make(struct work *w, translate *how, const char *text, size_t len,
                struct address_version *v)
{
    char buf[POSTERN_ADDRESS_SIZE];
    size_t before = v->step_n;
    int r;

    w->into = v;
    r = how(&w->site, text, len, buf, sizeof buf, &v->why);
    if (r < 0) {
        v->step_n = before;
        return r;
    }
    v->why = NULL;
    v->text = arena_strndup(w->arena, buf, (size_t)r);
    return r;
}

/* --- what is it? --- */

/* Makes `sound` of the text. 1: done; 0: it is nothing of this kind. */
static int try(struct work *w, translate *how, const char *text, size_t len,
               struct address_version *smtp)
{
    if (make(w, how, text, len, smtp) < 0)
        return 0;
    w->sound_len = strlen(smtp->text);
    memcpy(w->sound, smtp->text, w->sound_len + 1);
    return 1;
}

/* "as it is": gives what parses, with a domain. */
static int as_it_is(const struct postern_address_site *site, const char *text, size_t len,
                    char *buf, size_t size, const char **reterr_why)
{
    struct postern_address parsed;

    (void)site;
    if (postern_address_parse(text, len, POSTERN_ADDRESS_UTF8, &parsed, reterr_why) < 0)
        return -EINVAL;
    if (len >= size)
        return -ENOBUFS;
    memcpy(buf, text, len);
    return (int)len;
}

/* Cent signs that are quotes: with the quotes it parses. */
static int unmasked(const struct postern_address_site *site, const char *text, size_t len,
                    char *buf, size_t size, const char **reterr_why)
{
    struct postern_address parsed;
    int r;

    if (memchr(text, '"', len) || !memchr(text, 0xa2, len))
        return address_refuse(reterr_why, "there is no cent sign in it");
    r = postern_address_unmask(site, text, len, buf, size, reterr_why);
    if (r >= 0 &&
        (postern_address_parse(buf, (size_t)r, POSTERN_ADDRESS_UTF8, &parsed, reterr_why) < 0 ||
         !(parsed.flags & POSTERN_ADDRESS_QUOTED)))
        return address_refuse(reterr_why, "its cent signs are no quotes");
    return r;
}

/* A local part without domain, in quotes: what lists of UCX hold for DECnet users. */
static int quoted_foreign(const struct postern_address_site *site, const char *text, size_t len,
                          char *buf, size_t size, const char **reterr_why)
{
    struct postern_address a;
    char plain[POSTERN_LOCAL_MAX + 1];
    int n = postern_address_parse(text, len, ADDRESS_ANY, &a, reterr_why);

    if (n < 0 || a.domain || !(a.flags & POSTERN_ADDRESS_QUOTED))
        return -EINVAL;
    n = postern_address_unquote(a.local, a.local_len, plain, sizeof plain);
    return n < 0 ? n : postern_address_smtpfy(site, plain, (size_t)n, buf, size, reterr_why);
}

static int bare_bang(const struct postern_address_site *site, const char *text, size_t len,
                     char *buf, size_t size, const char **reterr_why)
{
    if (memchr(text, '@', len))
        return address_refuse(reterr_why, "it has a domain");
    return postern_address_bang_to_percent(site, text, len, buf, size, reterr_why);
}

static int jacketed(const struct postern_address_site *site, const char *text, size_t len,
                    char *buf, size_t size, const char **reterr_why)
{
    char inner[POSTERN_ADDRESS_SIZE];
    struct postern_address a;
    int n = postern_address_unjacket(site, text, len, inner, sizeof inner, reterr_why);

    if (n < 0)
        return n;
    if (postern_address_parse(inner, (size_t)n, ADDRESS_ANY, &a, reterr_why) == 0 && !a.domain)
        return postern_address_smtpfy(site, inner, (size_t)n, buf, size, reterr_why);
    return as_it_is(site, inner, (size_t)n, buf, size, reterr_why);
}

static const char *kind_of_foreign(const struct work *w, const char *text, size_t len)
{
    if (postern_address_is_mts(&w->site, text, len))
        return "a Message Router address";
    if (postern_decnet_split(text, len, &(struct postern_decnet){ 0 }, NULL) == 0)
        return "a DECnet address";
    if (memchr(text, '%', len))
        return "an address of a foreign transport";
    return "a user name";
}

/* NODE::..., or NAME%"...": there an '@' means nothing to SMTP. */
static int looks_foreign(const char *text, size_t len)
{
    size_t name = 0;

    if (postern_decnet_split(text, len, &(struct postern_decnet){ 0 }, NULL) == 0)
        return 1;
    while (name < len && text[name] != '%' && address_is_atext(text[name]))
        name++;
    return name > 0 && len - name > 2 && text[name] == '%' && text[name + 1] == '"';
}

/* Its kind, or NULL. */
static const char *recognise(struct work *w, const char *text, size_t len,
                             struct address_version *smtp, struct address_fault *reterr)
{
    static const struct {
        translate *how;
        const char *kind;
    } kinds[] = {
        { unmasked, "an SMTP address with its quotes masked" },
        { as_it_is, "an SMTP address" },
        { jacketed, "an SMTP address in a jacket" },
        { quoted_foreign, "a quoted local part" },
        { bare_bang, "a UUCP bang path" },
        { postern_address_repair, "an SMTP address, damaged on its way" },
    };
    const int has_at = memchr(text, '@', len) != NULL;
    struct postern_address parsed;

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        /* Without a domain there is nothing to repair. */
        if (kinds[i].how == postern_address_repair && !has_at)
            continue;
        if (try(w, kinds[i].how, text, len, smtp))
            return kinds[i].kind;
    }
    if (!has_at || looks_foreign(text, len)) {
        if (try(w, postern_address_smtpfy, text, len, smtp))
            return kind_of_foreign(w, text, len);
        *reterr = (struct address_fault){ smtp->why, ADDRESS_NOWHERE };
    } else if (address_parse(text, len, ADDRESS_ANY, &parsed, reterr) == 0) {
        *reterr = (struct address_fault){ "it is no address", ADDRESS_NOWHERE }; /* cannot be */
    }
    return NULL;
}

/* --- what else could be written? --- */

static int canonical(const struct postern_address_site *site, const char *text, size_t len,
                     char *buf, size_t size, const char **reterr_why)
{
    struct postern_address a;
    int r = postern_address_parse(text, len, POSTERN_ADDRESS_UTF8, &a, reterr_why);

    if (r == 0)
        r = postern_address_print(&a, 0, buf, size);
    if (r >= 0 && ((size_t)r != len || memcmp(buf, text, len) != 0))
        address_step(site, "smtp.canonical", text, len, buf, (size_t)r);
    return r;
}

/* What a DECnet user writes: the foreign address itself, or a jacket, at our node. */
static int to_decnet(const struct postern_address_site *site, const char *text, size_t len,
                     char *buf, size_t size, const char **reterr_why)
{
    char bare[POSTERN_ADDRESS_SIZE], made[POSTERN_ADDRESS_SIZE];
    struct out o = out_to(made, sizeof made);
    int n = postern_address_unsmtpfy(site, text, len, bare, sizeof bare, reterr_why);

    if (n == -ENOENT)
        n = postern_address_jacket(site, text, len, bare, sizeof bare, reterr_why);
    if (n < 0)
        return n;
    if (!site->node ||
        postern_decnet_split(bare, (size_t)n, &(struct postern_decnet){ 0 }, NULL) == 0) {
        memcpy(buf, bare, (size_t)n + 1);
        return n;
    }
    out_text(&o, site->node, strlen(site->node));
    out_text(&o, "::", 2);
    out_text(&o, bare, (size_t)n);
    return address_give(site, "decnet.node", bare, (size_t)n, &o, buf, size, reterr_why);
}

static int to_mr(const struct postern_address_site *site, const char *text, size_t len, char *buf,
                 size_t size, const char **reterr_why)
{
    int r = postern_address_unsmtpfy(site, text, len, buf, size, reterr_why);

    if (r >= 0 && !postern_address_is_mts(site, buf, (size_t)r))
        return address_refuse(reterr_why, "no hop of it is the Message Router gateway");
    return r;
}

static int to_ascii(const struct postern_address_site *site, const char *text, size_t len,
                    char *buf, size_t size, const char **reterr_why)
{
    struct postern_address a;
    int r = postern_address_parse(text, len, POSTERN_ADDRESS_UTF8, &a, reterr_why);

    if (r < 0)
        return r;
    for (size_t i = 0; i < a.local_len; i++) {
        if ((unsigned char)a.local[i] >= 0x80)
            return address_refuse(reterr_why, "its local part is not ASCII");
    }
    r = postern_address_print(&a, POSTERN_PRINT_ASCII, buf, size);
    if (r == -EINVAL)
        return address_refuse(reterr_why, "the domain is no valid internationalized name");
    if (r >= 0)
        address_step(site, "domain.to-ascii", text, len, buf, (size_t)r);
    return r;
}

static int to_unicode(const struct postern_address_site *site, const char *text, size_t len,
                      char *buf, size_t size, const char **reterr_why)
{
    struct postern_address a;
    char labels[ADDRESS_DOMAIN_MAX * 2], made[POSTERN_ADDRESS_SIZE];
    struct out o = out_to(made, sizeof made);
    int r = postern_address_parse(text, len, POSTERN_ADDRESS_UTF8, &a, reterr_why);

    if (r < 0)
        return r;
    r = postern_domain_to_unicode(a.domain, a.domain_len, labels, sizeof labels);
    if (r < 0)
        return address_refuse(reterr_why, "the domain is no valid internationalized name");
    out_text(&o, text, (size_t)(a.domain - text));
    out_text(&o, labels, (size_t)r);
    return address_give(site, "domain.to-unicode", text, len, &o, buf, size, reterr_why);
}

/* The forms that only some addresses have. */
static void make_special(struct work *w, const char *smtp, size_t len, struct address_forms *ret)
{
    struct postern_address a = { 0 };
    uint32_t hacks;

    if (postern_address_parse(w->sound, w->sound_len, POSTERN_ADDRESS_UTF8, &a, NULL) < 0)
        return;
    hacks = postern_address_hacks(&a);
    if (hacks & POSTERN_HACK_ROUTE)
        make(w, postern_address_route_to_percent, w->sound, w->sound_len,
             &ret->forms[ADDRESS_PERCENT]);
    else if (hacks & POSTERN_HACK_BANG)
        make(w, postern_address_bang_to_percent, smtp, len, &ret->forms[ADDRESS_PERCENT]);
    if ((hacks & POSTERN_HACK_PERCENT) && !(hacks & POSTERN_HACK_ROUTE)) {
        make(w, postern_address_percent_to_route, smtp, len, &ret->forms[ADDRESS_ROUTE]);
        make(w, postern_address_percent_next, smtp, len, &ret->forms[ADDRESS_NEXT]);
    }
    if (a.flags & POSTERN_ADDRESS_UTF8)
        make(w, to_ascii, smtp, len, &ret->forms[ADDRESS_ASCII]);
    if (strcasestr(smtp, "xn--"))
        make(w, to_unicode, smtp, len, &ret->forms[ADDRESS_UNICODE]);
}

int address_forms(struct arena *arena, const struct postern_address_site *site, const char *text,
                  size_t len, struct address_forms *ret, struct address_fault *reterr)
{
    struct work w = { .arena = arena, .site = *site };
    struct address_forms got = { 0 };
    struct address_version *smtp = &got.forms[ADDRESS_SMTP];

    w.site.step = record;
    w.site.ctx = &w;
    got.kind = recognise(&w, text, len, smtp, reterr);
    if (!got.kind)
        return -EINVAL;
    make(&w, canonical, w.sound, w.sound_len, smtp);
    len = strlen(smtp->text);
    make(&w, to_decnet, smtp->text, len, &got.forms[ADDRESS_DECNET]);
    make(&w, to_mr, smtp->text, len, &got.forms[ADDRESS_MR]);
    make(&w, postern_address_jacket, smtp->text, len, &got.forms[ADDRESS_VMS]);
    make_special(&w, smtp->text, len, &got);
    *ret = got;
    return 0;
}
