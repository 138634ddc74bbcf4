/* plugins/ldap: a directory behind the LDAP protocol (RFC 4511), through libldap.
 *
 * libldap blocks, so a search runs on a thread of the pool; at most `connections` of them at a
 * time. After a failure of the server questions are answered with it for a moment, without asking:
 * who waits for one time limit after the other is no help. What is wrong with one answer is told to
 * who asked for that one. Known gaps: referrals are not followed; SASL
 * binds other than EXTERNAL over ldapi are not offered. */
#include "ldap.h"

#include <errno.h>
#include <ldap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/turns.h"
#include "filter.h"
#include "pool.h"

#define PAUSE POSTERN_SECONDS(1) /* after a failure nobody asks for so long */

/* clang-format off */
#define OPT(member, type, ...) POSTERN_OPT(struct settings, member, POSTERN_OPT_##type, __VA_ARGS__)

static const struct postern_option options[] = {
    OPT(uris, STRINGS, .flags = POSTERN_OPT_REQUIRED, .min = 1, .max = 16,
        .doc = "Servers, \"ldap://host:389\", \"ldaps://host\" or "
               "\"ldapi://%2Frun%2Fslapd%2Fldapi\"; the next one is asked when one cannot be "
               "reached."),
    OPT(base, STRING, .flags = POSTERN_OPT_REQUIRED,
        .doc = "Where searches begin: \"ou=people,dc=example,dc=com\"."),
    OPT(scope, CHOICE, .choices = "sub|one|base", .dflt = "sub",
        .doc = "How deep they go."),
    OPT(bind_dn, STRING,
        .doc = "Who the gateway is to the server; without it, nobody (anonymous)."),
    OPT(bind_password, SECRET,
        .doc = "The password for bind_dn."),
    OPT(tls, CHOICE, .choices = "no|starttls", .dflt = "no",
        .doc = "\"starttls\": encrypt an ldap:// connection, or do not use it. ldaps:// is "
               "encrypted in any case."),
    OPT(tls_ca_file, PATH,
        .doc = "Certificates that the server's is checked against; without it, the system's."),
    OPT(tls_certificate, PATH,
        .doc = "A certificate of our own, for servers that ask for one."),
    OPT(tls_key, PATH,
        .doc = "Its key; without it, in the same file."),
    OPT(tls_verify, BOOL, .dflt = "true",
        .doc = "Refuse a server whose certificate or name does not hold."),
    OPT(user_filter, STRING,
        .doc = "Finds a user: \"(&(objectClass=posixAccount)(uid={key}))\". {key} is the name in "
               "lower case, {local} as it was written, {domain} the domain. Without it, users "
               "are not asked for."),
    OPT(alias_filter, STRING,
        .doc = "Finds what a name stands for: \"(mailAlternateAddress={key})\". {key} is a full "
               "address first, and then, for a local domain, the name alone. Without it, aliases "
               "are not asked for."),
    OPT(attributes, STRINGS, .dflt = "mail", .min = 1, .max = 32,
        .doc = "Of the entries that alias_filter finds, the first of these attributes that is "
               "there; all of its values are targets."),
    OPT(connections, INT, .dflt = "2", .min = 1, .max = 32,
        .doc = "Connections at a time, of each worker. Each takes one of server.offload_threads "
               "while it waits for the server."),
    OPT(connect_timeout, DURATION, .dflt = "5s", .min = 100000, .max = POSTERN_MINUTES(5),
        .doc = "How long to wait for a connection to one server."),
    OPT(timeout, DURATION, .dflt = "10s", .min = 100000, .max = POSTERN_MINUTES(5),
        .doc = "How long to wait for an answer."),
    OPT(idle, DURATION, .dflt = "1m", .min = 0, .max = POSTERN_DAYS(1),
        .doc = "A connection that was not used for so long is not used again."),
    {.key = NULL},
};
/* clang-format on */

struct question {
    struct turn turn; /* first */
    struct ldap_search search;
    char filter[FILTER_MAX];
};

struct ldap_dir {
    postern_host *host;
    const struct postern_services *svc;
    const struct settings *set;
    struct ldap_pool *pool;
    struct turns turns;
    uint64_t pause_until;
    char down[LDAP_WHY_MAX]; /* what went wrong last; "": all is well */
};

/* --- answers --- */

static void answer(struct ldap_dir *d, postern_lookup *l, int result, const char *why)
{
    d->svc->lookup_answer(l, result, &why, result == -EAGAIN ? 1 : 0);
}

static void question_free(struct turn *turn)
{
    struct question *q = (struct question *)turn;

    ldap_search_clear(&q->search);
    free(q);
}

/* The state of the server changed: one line each time. */
static void note_state(struct ldap_dir *d, int result, const char *why)
{
    if (result == -EAGAIN && !d->down[0])
        d->svc->log(d->host, POSTERN_LOG_WARNING, "ldap.down", "why=%s", POSTERN_LOG_QUOTED(why));
    else if (result != -EAGAIN && d->down[0])
        d->svc->log(d->host, POSTERN_LOG_NOTICE, "ldap.up", "base=%s",
                    POSTERN_LOG_QUOTED(d->set->base));
    snprintf(d->down, sizeof d->down, "%s", result == -EAGAIN ? why : "");
    if (result == -EAGAIN)
        d->pause_until = d->svc->now(d->host) + (uint64_t)PAUSE;
}

static int work(void *ctx)
{
    struct question *q = ctx;

    return ldap_pool_search(((struct ldap_dir *)q->turn.turns->self)->pool, &q->search,
                            q->turn.now);
}

static void done(struct turn *turn, int result)
{
    struct question *q = (struct question *)turn;
    struct ldap_dir *d = turn->turns->self;

    for (char *p = q->search.why; *p; p++) { /* the server's words go into a line */
        if ((unsigned char)*p < ' ' || *p == '"')
            *p = ' ';
    }
    note_state(d, result, q->search.why);
    if (result == 0)
        d->svc->lookup_answer(turn->lookup, 0, (const char *const *)q->search.values, q->search.n);
    else /* a bad answer may be a good one when somebody has mended the entry */
        answer(d, turn->lookup, result == -EBADMSG ? -EAGAIN : result, q->search.why);
    question_free(turn);
}

/* --- questions --- */

static const char *is_pausing(void *self)
{
    const struct ldap_dir *d = self;

    return d->down[0] && d->svc->now(d->host) < d->pause_until ? d->down : NULL;
}

static const struct turns_ops turns_ops = {
    .work = work,
    .done = done,
    .free = question_free,
    .pause = is_pausing,
};

/* NULL: such questions are not asked. */
static const char *filter_of(const struct ldap_dir *d, uint32_t kind)
{
    switch (kind) {
    case POSTERN_LOOKUP_USER:
        return d->set->user_filter;
    case POSTERN_LOOKUP_ALIAS:
        return d->set->alias_filter;
    default:
        return NULL;
    }
}

static int lookup(void *self, postern_lookup *l)
{
    struct ldap_dir *d = self;
    const struct postern_services *svc = d->svc;
    const char *filter = filter_of(d, svc->lookup_kind(l));
    const struct filter_values values = { svc->lookup_key(l), svc->lookup_local(l),
                                          svc->lookup_domain(l) };
    struct question *q;
    int r;

    if (!filter || !*values.key) {
        answer(d, l, -ENOENT, NULL);
        return 0;
    }
    if (is_pausing(d)) {
        answer(d, l, -EAGAIN, d->down);
        return 0;
    }
    q = calloc(1, sizeof *q);
    if (!q)
        return -ENOMEM;
    q->turn.lookup = l;
    q->search = (struct ldap_search){ .set = d->set,
                                      .filter = q->filter,
                                      .attributes = svc->lookup_kind(l) == POSTERN_LOOKUP_ALIAS };
    r = filter_expand(filter, &values, q->filter, sizeof q->filter);
    r = r < 0 ? r : turns_ask(&d->turns, &q->turn);
    if (r < 0)
        free(q);
    return r;
}

/* --- checking --- */

static int refuse(char *why, size_t why_size, const char *key, const char *what)
{
    snprintf(why, why_size, "%s: %s", key, what);
    return -EINVAL;
}

/* Brackets in pairs, and placeholders that there are; the server judges the rest. */
static const char *judge_filter(const char *filter)
{
    static const struct filter_values sample = { "k", "l", "d" };
    char text[FILTER_MAX];
    int depth = 0, r = filter_expand(filter, &sample, text, sizeof text);

    if (r == -ENOBUFS)
        return "it is too long";
    if (r < 0)
        return "expected only {key}, {local} and {domain} in braces";
    if (text[0] != '(')
        return "expected a filter in brackets, like \"(uid={key})\"";
    for (const char *p = text; *p; p++) {
        depth += (*p == '(') - (*p == ')');
        if (depth < 0 || (!depth && p[1]))
            return "its brackets do not match";
    }
    return depth ? "its brackets do not match" : NULL;
}

static int check_filters(const struct settings *set, char *why, size_t why_size)
{
    const char *wrong = set->user_filter ? judge_filter(set->user_filter) : NULL;

    if (wrong)
        return refuse(why, why_size, "user_filter", wrong);
    wrong = set->alias_filter ? judge_filter(set->alias_filter) : NULL;
    if (wrong)
        return refuse(why, why_size, "alias_filter", wrong);
    if (!set->user_filter && !set->alias_filter)
        return refuse(why, why_size, "user_filter",
                      "neither it nor alias_filter is said, so there is nothing to ask for");
    return 0;
}

static int check_uris(const struct settings *set, char *why, size_t why_size)
{
    for (size_t i = 0; i < set->uris.n; i++) {
        const char *uri = set->uris.v[i];

        if (!ldap_is_ldap_url(uri) && !ldap_is_ldaps_url(uri) && !ldap_is_ldapi_url(uri)) {
            snprintf(why, why_size, "uris: found \"%.100s\", expected \"ldap://host\"", uri);
            return -EINVAL;
        }
        if (set->tls == LDAP_TLS_STARTTLS && ldap_is_ldaps_url(uri))
            return refuse(why, why_size, "tls",
                          "\"starttls\" is for ldap://; ldaps:// is encrypted from the beginning");
    }
    return 0;
}

static int ldap_check(const void *settings, char *why, size_t why_size)
{
    const struct settings *set = settings;
    int r = check_uris(set, why, why_size);

    if (!r)
        r = check_filters(set, why, why_size);
    /* To a server, a name without a password is nobody (RFC 4513 5.1.2). */
    if (!r && set->bind_dn && (!set->bind_password || !*set->bind_password))
        r = refuse(why, why_size, "bind_password", "expected one, since there is a bind_dn");
    if (!r && !set->bind_dn && set->bind_password)
        r = refuse(why, why_size, "bind_dn", "expected one, since there is a bind_password");
    if (!r && set->tls_key && !set->tls_certificate)
        r = refuse(why, why_size, "tls_certificate", "expected one, since there is a tls_key");
    return r;
}

/* --- life --- */

static int ldap_open_dir(postern_host *host, const struct postern_services *svc,
                         const void *settings, void **ret_self)
{
    struct ldap_dir *d;

    if (!POSTERN_HAS(svc, lookup_answer))
        return -ENOSYS;
    d = calloc(1, sizeof *d);
    if (d)
        d->pool = ldap_pool_new(settings);
    if (!d || !d->pool) {
        free(d);
        return -ENOMEM;
    }
    d->host = host;
    d->svc = svc;
    d->set = settings;
    turns_init(&d->turns, host, svc, &turns_ops, d, d->set->connections);
    *ret_self = d;
    return 0;
}

static void ldap_close_dir(void *self)
{
    struct ldap_dir *d = self;

    turns_done(&d->turns);
    ldap_pool_free(&d->pool);
    free(d);
}

static const struct postern_directory_ops directory = {
    .size = sizeof directory,
    .lookup = lookup,
};

POSTERN_PLUGIN(ldap, .name = "ldap", .version = "0.1.0",
               .summary = "users and aliases from an LDAP server", .options = options,
               .settings_size = sizeof(struct settings), .check = ldap_check, .open = ldap_open_dir,
               .close = ldap_close_dir, .directory = &directory, .flags = POSTERN_PLUGIN_PATHS);
