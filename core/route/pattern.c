/* Patterns of domains and addresses: '*' is any run of characters, dots included, '?' is one. */
#include "route/pattern.h"

#include <errno.h>
#include <string.h>

#include "util/text.h"

static int is_glob(const char *text)
{
    return text[strcspn(text, "*?")] != 0;
}

/* --- domains --- */

/* Each label on its own: one with '*' in it is nothing that IDNA could convert, the others are. */
static int normalize_glob(const char *text, char *ret, const char **reterr_why)
{
    char label[ADDRESS_DOMAIN_MAX + 1];
    size_t out = 0;

    while (*text) {
        size_t n = strcspn(text, "."), len;

        if (n == 0 || route_domain_normalize(text, n, label) < 0) {
            *reterr_why = n == 0 ? "the domain has an empty label"
                                 : "a label of the domain is no valid internationalized name";
            return -EINVAL;
        }
        len = strlen(label);
        if (out + len + 2 > ADDRESS_DOMAIN_MAX) {
            *reterr_why = "the domain is too long";
            return -EINVAL;
        }
        memcpy(ret + out, label, len);
        out += len;
        text += n;
        if (*text == '.' && *++text)
            ret[out++] = '.';
    }
    ret[out] = 0;
    return 0;
}

static int normalize(const char *text, char *ret, const char **reterr_why)
{
    if (is_glob(text))
        return normalize_glob(text, ret, reterr_why);
    if (route_domain_normalize(text, strlen(text), ret) == 0)
        return 0;
    *reterr_why = "the domain is no valid internationalized name";
    return -EINVAL;
}

/* Is it a domain, or would it be one with letters in place of '*' and '?'? */
static int check_domain(const char *text, const char **reterr_why)
{
    char probe[ADDRESS_DOMAIN_MAX + 1];
    struct address_fault fault = { NULL, 0 };
    size_t len = strlen(text);

    if (len >= sizeof probe) {
        *reterr_why = "the domain is too long";
        return -EINVAL;
    }
    for (size_t i = 0; i <= len; i++)
        probe[i] = text[i] == '*' || text[i] == '?' ? 'x' : text[i];
    if (address_domain_check(text[0] == '[' ? text : probe, len,
                             POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_LITERAL, &fault) < 0) {
        *reterr_why = fault.why;
        return -EINVAL;
    }
    return 0;
}

int domain_pattern_parse(struct arena *a, const char *text, struct domain_pattern *ret,
                         const char **reterr_why)
{
    char lower[ADDRESS_DOMAIN_MAX + 1];
    const char *rest = text;
    struct domain_pattern p = { .text = arena_strdup(a, text), .lower = "" };

    if (strcmp(text, "*") == 0) {
        p.kind = DOMAIN_ANY;
        *ret = p;
        return 0;
    }
    if (text[0] == '.' || (strncmp(text, "*.", 2) == 0 && !is_glob(text + 2))) {
        p.kind = DOMAIN_BELOW;
        rest = strchr(text, '.') + 1;
    } else {
        p.kind = is_glob(text) ? DOMAIN_GLOB : DOMAIN_EXACT;
    }
    if (check_domain(rest, reterr_why) < 0)
        return -EINVAL;
    if (p.kind == DOMAIN_BELOW && is_glob(rest)) {
        *reterr_why = "a domain that begins with '.' may not have '*' or '?' in it";
        return -EINVAL;
    }
    if (normalize(rest, lower, reterr_why) < 0)
        return -EINVAL;
    p.lower = p.kind == DOMAIN_BELOW ? arena_printf(a, ".%s", lower) : arena_strdup(a, lower);
    p.len = strlen(p.lower);
    *ret = p;
    return 0;
}

int domain_pattern_match(const struct domain_pattern *p, const char *domain)
{
    size_t len;

    switch (p->kind) {
    case DOMAIN_ANY:
        return 1;
    case DOMAIN_EXACT:
        return strcmp(p->lower, domain) == 0;
    case DOMAIN_BELOW:
        len = strlen(domain);
        return len > p->len && strcmp(p->lower, domain + len - p->len) == 0;
    default:
        return text_glob(p->lower, domain);
    }
}

int domain_pattern_names(const struct domain_pattern *p)
{
    if (p->kind != DOMAIN_GLOB)
        return p->kind != DOMAIN_ANY;
    for (const char *label = p->lower;;) {
        size_t len = strcspn(label, ".");

        if (len && strcspn(label, "*?") >= len)
            return 1;
        if (!label[len])
            return 0;
        label += len + 1;
    }
}

/* --- addresses --- */

static int parse_local(struct arena *a, const char *text, size_t len, const char **ret,
                       const char **reterr_why)
{
    char *local = arena_alloc(a, len + 1);

    if (len == 0) {
        *ret = NULL;
        return 0;
    }
    if (len > POSTERN_LOCAL_MAX || postern_address_unquote(text, len, local, len + 1) < 0) {
        *reterr_why = "the local part is too long";
        return -EINVAL;
    }
    text_lower_str(local);
    *ret = strcmp(local, "*") == 0 ? NULL : local;
    return 0;
}

int address_pattern_parse(struct arena *a, const char *text, struct address_pattern *ret,
                          const char **reterr_why)
{
    struct address_pattern p = { .text = arena_strdup(a, text) };
    const char *at = strrchr(text, '@');
    const char *domain = at ? at + 1 : text;

    if (strcmp(text, "<>") == 0) {
        p.null = 1;
        *ret = p;
        return 0;
    }
    if (!at && text[0] != '.' && strcmp(text, "*") != 0) {
        *reterr_why = "no '@': write \"user@\" for a user, \"@example.com\" for a domain";
        return -EINVAL;
    }
    if (at && text[1] == 0) {
        *reterr_why = "a '@' alone is no pattern: write \"*\" for every address";
        return -EINVAL;
    }
    if (at && parse_local(a, text, (size_t)(at - text), &p.local, reterr_why) < 0)
        return -EINVAL;
    if (domain_pattern_parse(a, *domain ? domain : "*", &p.domain, reterr_why) < 0)
        return -EINVAL;
    *ret = p;
    return 0;
}

int address_pattern_match(const struct address_pattern *p, const struct route_address *address)
{
    return !p->null && domain_pattern_match(&p->domain, address->domain) &&
        (!p->local || text_glob(p->local, address->local));
}

/* --- captures --- */

static unsigned count_stars(const char *glob)
{
    unsigned n = 0;

    for (; *glob; glob++)
        n += *glob == '*';
    return n;
}

static unsigned domain_stars(const struct domain_pattern *p)
{
    return !p                     ? 0
        : p->kind == DOMAIN_BELOW ? 1
        : p->kind == DOMAIN_GLOB  ? count_stars(p->lower)
                                  : 0;
}

unsigned address_pattern_captures(const struct address_pattern *p,
                                  const struct domain_pattern *domain)
{
    unsigned local = p && p->local ? count_stars(p->local) : 1;
    unsigned n = local + domain_stars(p ? &p->domain : domain);

    return n ? n : 1;
}

/* The run that the n-th '*' of the glob stands for, when each before it takes the shortest that it
 * can; the text matches the glob. */
static void glob_capture(const char *glob, const char *text, unsigned n, size_t *ret_at,
                         size_t *ret_len)
{
    size_t at = 0, len = 0;

    for (;; at += len) {
        size_t fixed = strcspn(glob, "*");

        at += fixed;
        glob += fixed + 1;
        for (len = 0; text[at + len] && !text_glob(glob, text + at + len);)
            len++;
        if (--n == 0)
            break;
    }
    *ret_at = at;
    *ret_len = len;
}

static void domain_capture(const struct domain_pattern *p, const char *domain, unsigned n,
                           size_t *ret_at, size_t *ret_len)
{
    if (p->kind == DOMAIN_GLOB) {
        glob_capture(p->lower, domain, n, ret_at, ret_len);
        return;
    }
    *ret_at = 0;
    *ret_len = strlen(domain) - p->len;
}

int address_pattern_capture(const struct address_pattern *p, const struct domain_pattern *domain,
                            const struct route_address *address, unsigned n, char *buf)
{
    char plain[POSTERN_LOCAL_MAX + 1];
    const char *from = plain;
    unsigned local = p && p->local ? count_stars(p->local) : 1;
    size_t at = 0, len = address->local_len;

    if (n == 0 || n > address_pattern_captures(p, domain))
        return -ENOENT;
    /* As typed: case is for the mailbox's owner to judge. */
    if (postern_address_unquote(address->parsed.local, address->parsed.local_len, plain,
                                sizeof plain) < 0)
        plain[0] = 0;
    if (p)
        domain = &p->domain;
    if (n <= local) {
        if (p && p->local)
            glob_capture(p->local, address->local, n, &at, &len);
    } else if (domain_stars(domain)) {
        from = address->domain;
        domain_capture(domain, address->domain, n - local, &at, &len);
    }
    memcpy(buf, from + at, len);
    buf[len] = 0;
    return 0;
}
