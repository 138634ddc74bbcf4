/* ldap.h: what the files of this plugin share. */
#ifndef LDAP_PLUGIN_H
#define LDAP_PLUGIN_H

#include <postern/postern.h>

#define LDAP_WHY_MAX 512u /* bytes of a sentence about what went wrong */

enum ldap_tls { LDAP_TLS_NO, LDAP_TLS_STARTTLS };
enum ldap_scope { LDAP_SUB, LDAP_ONE, LDAP_BASE };

struct settings {
    struct postern_strings uris;
    const char *base;
    int64_t     scope;
    const char *bind_dn;
    const char *bind_password;
    int64_t     tls; /* enum ldap_tls */
    const char *tls_ca_file, *tls_certificate, *tls_key;
    int64_t     tls_verify; /* bool */
    const char *user_filter, *alias_filter; /* NULL: that is not asked */
    struct postern_strings attributes;
    int64_t     connections;
    int64_t     connect_timeout, timeout;
    int64_t     idle;
};

/* One question, as a thread works at it. */
struct ldap_search {
    const struct settings *set;
    char *filter; /* complete */
    int   attributes; /* are values wanted? */
    /* filled in */
    char **values;
    size_t n;
    char   why[LDAP_WHY_MAX];
};

#endif
