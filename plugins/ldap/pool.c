/* pool.c: see pool.h. */
#include "pool.h"

#include <errno.h>
#include <ldap.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

struct connection {
    LDAP *ld; /* NULL: none */
    uint64_t used;
};

struct ldap_pool {
    const struct settings *set;
    char *uris; /* separated by blanks: tried in this order */
    pthread_mutex_t lock;
    struct connection *idle; /* as many as set->connections */
    size_t idle_n;
};

static char *join(const struct postern_strings *uris)
{
    size_t len = 1, n = 0;
    char *text;

    for (size_t i = 0; i < uris->n; i++)
        len += strlen(uris->v[i]) + 1;
    text = calloc(1, len);
    for (size_t i = 0; text && i < uris->n; i++)
        n += (size_t)snprintf(text + n, len - n, "%s%s", i ? " " : "", uris->v[i]);
    return text;
}

struct ldap_pool *ldap_pool_new(const struct settings *set)
{
    struct ldap_pool *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    p->set = set;
    p->uris = join(&set->uris);
    p->idle = calloc((size_t)set->connections, sizeof *p->idle);
    pthread_mutex_init(&p->lock, NULL);
    if (!p->uris || !p->idle)
        ldap_pool_free(&p);
    return p;
}

static void disconnect(LDAP *ld)
{
    if (ld)
        ldap_unbind_ext_s(ld, NULL, NULL);
}

void ldap_pool_free(struct ldap_pool **p)
{
    if (!*p)
        return;
    for (size_t i = 0; i < (*p)->idle_n; i++)
        disconnect((*p)->idle[i].ld);
    pthread_mutex_destroy(&(*p)->lock);
    free((*p)->idle);
    free((*p)->uris);
    free(*p);
    *p = NULL;
}

/* --- connecting --- */

static int option(LDAP *ld, int name, const void *value)
{
    return value ? ldap_set_option(ld, name, value) : LDAP_OPT_SUCCESS;
}

static int set_limits(LDAP *ld, const struct settings *set)
{
    const struct timeval connect = { (time_t)(set->connect_timeout / 1000000),
                                     (suseconds_t)(set->connect_timeout % 1000000) };
    const struct timeval all = { (time_t)(set->timeout / 1000000),
                                 (suseconds_t)(set->timeout % 1000000) };
    int version = LDAP_VERSION3;
    int r = option(ld, LDAP_OPT_PROTOCOL_VERSION, &version);

    r = r ? r : option(ld, LDAP_OPT_NETWORK_TIMEOUT, &connect);
    r = r ? r : option(ld, LDAP_OPT_TIMEOUT, &all);
    /* To follow one is to tell the password to whom it names. */
    return r ? r : option(ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
}

/* All of it is said here, so that nothing of it comes from the machine's ldap.conf. */
static int set_tls(LDAP *ld, const struct settings *set)
{
    int demand = set->tls_verify ? LDAP_OPT_X_TLS_DEMAND : LDAP_OPT_X_TLS_NEVER, client = 0;
    int r = option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand);

    r = r ? r : option(ld, LDAP_OPT_X_TLS_CACERTFILE, set->tls_ca_file);
    r = r ? r : option(ld, LDAP_OPT_X_TLS_CERTFILE, set->tls_certificate);
    r = r ? r
          : option(ld, LDAP_OPT_X_TLS_KEYFILE, set->tls_key ? set->tls_key : set->tls_certificate);
    return r ? r : option(ld, LDAP_OPT_X_TLS_NEWCTX, &client);
}

static int authenticate(LDAP *ld, const struct settings *set)
{
    struct berval secret = { 0, NULL };
    int r;

    if (!set->bind_dn)
        return LDAP_SUCCESS;
    secret.bv_val = (char *)set->bind_password;
    secret.bv_len = strlen(set->bind_password);
    r = ldap_sasl_bind_s(ld, set->bind_dn, LDAP_SASL_SIMPLE, &secret, NULL, NULL, NULL);
    return r;
}

static void explain(LDAP *ld, int r, const char *what, char *why)
{
    char *more = NULL;

    if (ld)
        ldap_get_option(ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &more);
    snprintf(why, LDAP_WHY_MAX, "%s%s%s%.200s%s", what, ldap_err2string(r),
             more && *more ? " (" : "", more && *more ? more : "", more && *more ? ")" : "");
    ldap_memfree(more);
}

static int connect_server(struct ldap_pool *p, LDAP **ret, char *why)
{
    const char *what = "";
    LDAP *ld = NULL;
    int r = ldap_initialize(&ld, p->uris);

    if (r == LDAP_SUCCESS && (set_limits(ld, p->set) || set_tls(ld, p->set)))
        r = LDAP_PARAM_ERROR; /* certificates that cannot be read come out here */
    if (r == LDAP_SUCCESS && p->set->tls == LDAP_TLS_STARTTLS) {
        what = "StartTLS: ";
        r = ldap_start_tls_s(ld, NULL, NULL);
    }
    if (r == LDAP_SUCCESS) {
        what = "";
        r = authenticate(ld, p->set);
    }
    if (r != LDAP_SUCCESS) {
        explain(ld, r, what, why);
        disconnect(ld);
        return r;
    }
    *ret = ld;
    return r;
}

/* --- the idle ones --- */

static LDAP *take(struct ldap_pool *p, uint64_t now)
{
    LDAP *old[64], *ld = NULL;
    size_t n = 0;

    pthread_mutex_lock(&p->lock);
    while (p->idle_n && !ld && n < sizeof old / sizeof *old) {
        struct connection *c = &p->idle[--p->idle_n];

        if (now - c->used <= (uint64_t)p->set->idle)
            ld = c->ld;
        else
            old[n++] = c->ld;
    }
    pthread_mutex_unlock(&p->lock);
    while (n)
        disconnect(old[--n]);
    return ld;
}

static void put_back(struct ldap_pool *p, LDAP *ld, uint64_t now)
{
    pthread_mutex_lock(&p->lock);
    if (p->idle_n < (size_t)p->set->connections) {
        p->idle[p->idle_n++] = (struct connection){ ld, now };
        ld = NULL;
    }
    pthread_mutex_unlock(&p->lock);
    disconnect(ld);
}

/* --- searching --- */

/* Of the question, or of the entry that was found; the next one may fare better. What says that the
 * server is slow or busy is not among them. */
static int is_bad_answer(int r)
{
    return r == LDAP_SIZELIMIT_EXCEEDED || r == LDAP_ADMINLIMIT_EXCEEDED ||
        r == LDAP_INVALID_SYNTAX || r == LDAP_INAPPROPRIATE_MATCHING || r == LDAP_FILTER_ERROR;
}

/* Does the result say nothing of the connection? */
static int is_answer(int r)
{
    return r == LDAP_SUCCESS || r == LDAP_NO_SUCH_OBJECT || is_bad_answer(r);
}

int ldap_pool_search(struct ldap_pool *p, struct ldap_search *s, uint64_t now)
{
    LDAP *ld = take(p, now);
    int used = ld != NULL, r = LDAP_SUCCESS;

    for (;;) {
        if (!ld)
            r = connect_server(p, &ld, s->why);
        if (r == LDAP_SUCCESS)
            r = ldap_search_run(ld, s);
        if (is_answer(r) || !used || r == LDAP_TIMEOUT)
            break;
        /* The server may have closed it long ago: that is no trouble of his now. */
        disconnect(ld);
        ld = take(p, now);
        used = ld != NULL;
        ldap_search_clear(s);
        r = LDAP_SUCCESS;
    }
    if (is_answer(r))
        put_back(p, ld, now);
    else
        disconnect(ld);
    if (r == LDAP_SUCCESS)
        return 0;
    ldap_search_clear(s);
    if (r == LDAP_NO_SUCH_OBJECT)
        return -ENOENT;
    if (!s->why[0])
        snprintf(s->why, sizeof s->why, "%s", ldap_err2string(r));
    return is_bad_answer(r) ? -EBADMSG : -EAGAIN;
}
