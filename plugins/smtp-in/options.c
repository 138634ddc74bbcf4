/* options.c: what an operator may say to smtp-in, and what of it goes together. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "smtp-in.h"

#define OPT(member, type, ...) POSTERN_OPT(struct smtpin_settings, member, type, __VA_ARGS__)

/* clang-format off */
const struct postern_option smtpin_options[] = {
    OPT(listen, POSTERN_OPT_LISTEN, .dflt = "127.0.0.1:2525",
        .doc = "Where to take connections: \"address:port\" or \"[v6]:port\", one or several."),
    OPT(banner, POSTERN_OPT_STRING, .dflt = "ESMTP Postern",
        .doc = "What stands behind the host name in the greeting."),
    OPT(relay_from, POSTERN_OPT_STRINGS, .dflt = "127.0.0.0/8,::1,local",
        .doc = "Networks of clients that may send to any destination; \"local\" means streams "
               "handed over on this machine, like those of `postern send -bs`."),
    OPT(bare_lf_from, POSTERN_OPT_STRINGS,
        .doc = "Networks of clients that may end lines in a bare LF, which becomes CRLF; the end "
               "of a message is CRLF.CRLF from them, too."),
    OPT(nul_bytes, POSTERN_OPT_CHOICE, .choices = "refuse|pass", .dflt = "refuse",
        .doc = "What becomes of content with NUL bytes, which no standard allows."),
    OPT(vrfy, POSTERN_OPT_BOOL, .dflt = "true",
        .doc = "Answer VRFY with 252, which says nothing; false: with 502."),
    OPT(repair_addresses, POSTERN_OPT_BOOL, .dflt = "true",
        .doc = "Understand recipients with \"::\" whose quotes or backslashes a relay has lost, "
               "such as <NODE::USER@host>; false: refuse them."),
    OPT(tls_certificate, POSTERN_OPT_PATH,
        .doc = "PEM file with our certificate and its chain; with it STARTTLS is offered."),
    OPT(tls_key, POSTERN_OPT_PATH,
        .doc = "PEM file with the certificate's key, when it is not in the same file."),
    OPT(tls_required, POSTERN_OPT_BOOL, .dflt = "false",
        .doc = "Take mail over TLS only (not from local streams)."),
    OPT(max_connections, POSTERN_OPT_INT, .dflt = "1000", .min = 1, .max = 1000000,
        .doc = "Connections at a time, in each worker; more are answered with 421."),
    OPT(max_connections_per_client, POSTERN_OPT_INT, .dflt = "50", .min = 0, .max = 1000000,
        .doc = "Connections at a time of one address, in each worker, unless it is in relay_from; "
               "0: no such limit."),
    OPT(max_recipients, POSTERN_OPT_INT, .dflt = "1000", .min = 1, .max = 10000,
        .doc = "Recipients of one message; more are answered with 452."),
    OPT(max_messages, POSTERN_OPT_INT, .dflt = "0", .min = 0, .max = 1000000000,
        .doc = "Messages in one connection; 0: no limit."),
    OPT(max_errors, POSTERN_OPT_INT, .dflt = "20", .min = 0, .max = 1000000,
        .doc = "Refused commands since the last message that was accepted, before the connection "
               "is closed; 0: no limit."),
    OPT(max_idle_commands, POSTERN_OPT_INT, .dflt = "100", .min = 0, .max = 1000000000,
        .doc = "Commands like NOOP, RSET and MAIL since the last message that was accepted, before "
               "the connection is closed; 0: no limit."),
    OPT(command_timeout, POSTERN_OPT_DURATION, .dflt = "5m", .min = POSTERN_SECONDS(1),
        .max = POSTERN_DAYS(1),
        .doc = "How long to wait for the next command."),
    OPT(data_timeout, POSTERN_OPT_DURATION, .dflt = "5m", .min = POSTERN_SECONDS(1),
        .max = POSTERN_DAYS(1),
        .doc = "How long to wait for the next piece of a message."),
    OPT(data_max_time, POSTERN_OPT_DURATION, .dflt = "1h", .min = POSTERN_SECONDS(1),
        .max = POSTERN_DAYS(7),
        .doc = "How long a whole message may take."),
    OPT(greeting_delay, POSTERN_OPT_DURATION, .dflt = "0s", .min = 0,
        .max = POSTERN_MINUTES(5),
        .doc = "How long to wait before the greeting, to see who cannot wait for it."),
    OPT(early_talkers, POSTERN_OPT_CHOICE, .choices = "reject|allow", .dflt = "reject",
        .doc = "What becomes of a client that speaks during greeting_delay."),
    { .key = NULL },
};
/* clang-format on */

static int bad(char *why, size_t size, const char *key, const char *value, const char *what)
{
    snprintf(why, size, "%s: \"%s\": %s", key, value, what);
    return -EINVAL;
}

static int check_networks(const char *key, const struct postern_strings *list, char *why,
                          size_t size)
{
    const char *what;
    struct smtpin_network n;

    for (size_t i = 0; i < list->n; i++) {
        if (smtpin_network_parse(list->v[i], &n, &what) < 0)
            return bad(why, size, key, list->v[i], what);
    }
    return 0;
}

/* It is put into a reply line. */
static int check_banner(const char *banner, char *why, size_t size)
{
    if (!banner || strlen(banner) > SMTPIN_BANNER_MAX)
        return bad(why, size, "banner", banner ? banner : "", "expected at most 200 characters");
    for (const char *p = banner; *p; p++) {
        if (*p < ' ' || *p > '~')
            return bad(why, size, "banner", "...", "expected printable ASCII only");
    }
    return 0;
}

int smtpin_check(const void *settings, char *why, size_t why_size)
{
    const struct smtpin_settings *set = settings;

    if (check_banner(set->banner, why, why_size) < 0 ||
        check_networks("relay_from", &set->relay_from, why, why_size) < 0 ||
        check_networks("bare_lf_from", &set->bare_lf_from, why, why_size) < 0)
        return -EINVAL;
    if (set->tls_key && !set->tls_certificate)
        return bad(why, why_size, "tls_key", set->tls_key, "tls_certificate is missing");
    if (set->tls_required && !set->tls_certificate)
        return bad(why, why_size, "tls_required", "true", "tls_certificate is missing");
    return 0;
}
