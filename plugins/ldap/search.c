/* search.c: one search, and the values of its entries. */
#include <errno.h>
#include <ldap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "pool.h"

void ldap_search_clear(struct ldap_search *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->values[i]);
    free(s->values);
    s->values = NULL;
    s->n = 0;
}

static int too_many(struct ldap_search *s)
{
    snprintf(s->why, sizeof s->why, "the answer has more than %u values",
             POSTERN_LOOKUP_VALUES_MAX);
    return LDAP_SIZELIMIT_EXCEEDED;
}

static int add_value(struct ldap_search *s, const char *attribute, const struct berval *v)
{
    char **more;

    if (s->n == POSTERN_LOOKUP_VALUES_MAX)
        return too_many(s);
    if (!v->bv_len)
        return LDAP_SUCCESS;
    if (v->bv_len > POSTERN_LOOKUP_VALUE_MAX || memchr(v->bv_val, 0, v->bv_len)) {
        snprintf(s->why, sizeof s->why,
                 "the answer has a value that is no target (%s of %lu bytes, expected at most %u "
                 "and no NUL)",
                 attribute, (unsigned long)v->bv_len, POSTERN_LOOKUP_VALUE_MAX);
        return LDAP_INVALID_SYNTAX;
    }
    more = realloc(s->values, (s->n + 1) * sizeof *more);
    if (!more)
        return LDAP_NO_MEMORY;
    s->values = more;
    s->values[s->n] = strndup(v->bv_val, v->bv_len);
    if (!s->values[s->n])
        return LDAP_NO_MEMORY;
    s->n++;
    return LDAP_SUCCESS;
}

/* The values of the first attribute of the list that the entry has. */
static int add_entry(LDAP *ld, LDAPMessage *entry, struct ldap_search *s)
{
    size_t before = s->n;
    int r = LDAP_SUCCESS;

    for (size_t i = 0; i < s->set->attributes.n && s->n == before && !r; i++) {
        struct berval **v = ldap_get_values_len(ld, entry, s->set->attributes.v[i]);

        for (int k = 0; v && v[k] && !r; k++)
            r = add_value(s, s->set->attributes.v[i], v[k]);
        ldap_value_free_len(v);
    }
    return r;
}

/* An entry without any of the attributes stands for nothing. */
static int read_entries(LDAP *ld, LDAPMessage *result, struct ldap_search *s)
{
    int r = LDAP_SUCCESS;

    if (!s->attributes)
        return ldap_count_entries(ld, result) > 0 ? LDAP_SUCCESS : LDAP_NO_SUCH_OBJECT;
    for (LDAPMessage *e = ldap_first_entry(ld, result); e && !r; e = ldap_next_entry(ld, e))
        r = add_entry(ld, e, s);
    return r || s->n ? r : LDAP_NO_SUCH_OBJECT;
}

static void explain(LDAP *ld, int r, struct ldap_search *s)
{
    char *more = NULL;

    ldap_get_option(ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &more);
    snprintf(s->why, sizeof s->why, "%s%s%.200s%s", ldap_err2string(r), more && *more ? " (" : "",
             more && *more ? more : "", more && *more ? ")" : "");
    ldap_memfree(more);
}

int ldap_search_run(void *ctx, struct ldap_search *s)
{
    static const int scopes[] = { LDAP_SCOPE_SUBTREE, LDAP_SCOPE_ONELEVEL, LDAP_SCOPE_BASE };
    struct timeval limit = { (time_t)(s->set->timeout / 1000000),
                             (suseconds_t)(s->set->timeout % 1000000) };
    char *none[] = { (char *)LDAP_NO_ATTRS, NULL }, **wanted = none;
    LDAPMessage *result = NULL;
    LDAP *ld = ctx;
    int r;

    if (s->attributes) {
        wanted = calloc(s->set->attributes.n + 1, sizeof *wanted);
        if (!wanted)
            return LDAP_NO_MEMORY;
        for (size_t i = 0; i < s->set->attributes.n; i++)
            wanted[i] = (char *)s->set->attributes.v[i];
    }
    r = ldap_search_ext_s(ld, s->set->base, scopes[s->set->scope], s->filter, wanted, 0, NULL, NULL,
                          &limit, s->attributes ? (int)POSTERN_LOOKUP_VALUES_MAX : 2, &result);
    /* That there are two is enough for a user to exist. */
    if (r == LDAP_SIZELIMIT_EXCEEDED && !s->attributes)
        r = LDAP_SUCCESS;
    if (r == LDAP_SUCCESS) {
        r = read_entries(ld, result, s);
    } else if (r != LDAP_NO_SUCH_OBJECT) {
        explain(ld, r, s);
    } else { /* a base that is not there is a mistake, not an answer */
        r = LDAP_NO_SUCH_ATTRIBUTE;
        snprintf(s->why, sizeof s->why, "the server has nothing at the base \"%.200s\"",
                 s->set->base);
    }
    ldap_msgfree(result);
    if (wanted != none)
        free(wanted);
    return r;
}
