/* smtp-in.h: one instance of the plugin: what the operator said, and the sessions that stand. */
#ifndef SMTPIN_H
#define SMTPIN_H

#include <postern/postern.h>

#include "access.h"

struct smtpin_settings { /* see the table in options.c */
    struct postern_strings listen;
    const char            *banner;
    struct postern_strings relay_from, bare_lf_from;
    int64_t                nul_bytes; /* enum smtpin_nul */
    int64_t                vrfy;
    int64_t                repair_addresses;
    const char            *tls_certificate, *tls_key;
    int64_t                tls_required;
    int64_t                max_connections, max_connections_per_client;
    int64_t                max_recipients, max_messages, max_errors, max_idle_commands;
    int64_t                command_timeout, data_timeout, data_max_time;
    int64_t                greeting_delay;
    int64_t                early_talkers; /* enum smtpin_early */
};
enum smtpin_nul { SMTPIN_NUL_REFUSE, SMTPIN_NUL_PASS };
enum smtpin_early { SMTPIN_EARLY_REJECT, SMTPIN_EARLY_ALLOW };

extern const struct postern_option smtpin_options[];

/* plugin's check(): what the settings mean together. */
int smtpin_check(const void *settings, char *why, size_t why_size);

#define SMTPIN_BUCKETS    1024u /* of clients, to count their connections; a power of two */
#define SMTPIN_BANNER_MAX 200   /* bytes of the banner's text, so that the greeting fits 512 */

struct smtpin_session;

struct smtpin {
    postern_host                  *host;
    const struct postern_services *v;
    const struct smtpin_settings  *set;
    struct smtpin_access           relay_from, bare_lf_from;
    postern_tls                   *tls; /* NULL: STARTTLS is not offered */
    uint64_t                       size_limit;
    int                            draining;

    struct smtpin_session *sessions; /* all of them */
    struct smtpin_session *buckets[SMTPIN_BUCKETS];
    size_t                 session_n; /* with a connection */

    /* Constant for a second, wanted once a message. */
    int64_t date_second;
    char    date[48];
};

/* The date for a Received field. */
const char *smtpin_date(struct smtpin *in);

#endif
