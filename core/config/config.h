/* config/config.h: what the operator said: the JSON files of conf.d, merged and validated.
 *
 * Loading never has an effect beside memory. Every error names the file, the JSON pointer (and the
 * line for a syntax error), what was found and what was expected:
 *
 *   conf.d/20-out.json#/transports/smtp-out/port: found 70000, expected 1 to 65535
 *   conf.d/20-out.json#/transports/smtp-out/timout: unknown key; did you mean "timeout"?
 *   conf.d/10-in.json#/ingress/smtp-in/retry: unknown key; "retry" belongs in /queue
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include <postern/plugin.h>

#include "config/routing.h"
#include "util/buf.h"
#include "util/mem.h"

/* --- errors, gathered: one line each --- */
struct config_errors {
    size_t n;
    char **lines;
};
void config_error(struct config_errors *e, const char *file, const char *pointer, const char *fmt,
                  ...) __attribute__((format(printf, 4, 5)));
void config_errors_free(struct config_errors *e);

/* --- the option engine: any JSON object, any table --- */

/* Where a value came from. file is as the operator would write it; pointer is RFC 6901. */
struct config_origin {
    const char *file;
    const char *pointer;
};

/* Fills `settings` (zeroed, as large as the table's struct) from `object` (NULL: all defaults) and
 * says what is wrong in `errors`. Strings and lists live in the arena. PATHs are made absolute
 * against the folder of `origin.file`. `step` is the row size the table's author was compiled with.
 * Keys beginning with "$comment" are skipped; `skip` (NULL-ended, may be NULL) names keys that are
 * somebody else's ("plugin"). Returns 0, or -EINVAL when errors were added. */
int config_fill(struct arena *a, const struct postern_option *table, size_t step, json_t *object,
                const struct config_origin *origin, const char *const *skip, void *settings,
                struct config_errors *errors);

/* A table as JSON, for `plugin info --json`, and later as JSON Schema. New reference. */
json_t *config_table_json(const struct postern_option *table, size_t step);

/* --- the gateway's own sections --- */

struct config_server {
    const char *hostname;    /* default: the machine's name                                      */
    const char *postmaster;  /* gets what can be neither delivered nor returned                  */
    int64_t     hop_count_max;
    int64_t     message_size_max;
    int64_t     recipients_max;
    int64_t     offload_threads;
    int64_t     delivery_deadline; /* usec: a job not settled by then is taken from its plugin    */
    int64_t     workers;    /* 0: one per core                                                    */
    const char *user;       /* workers run as; NULL: as whoever started it                        */
    const char *group;      /* NULL: the user's own                                               */
    struct postern_strings groups; /* supplementary groups; default: the user's own               */
    int64_t     grace;      /* usec: how long an old worker may finish what it holds              */
    int64_t     watchdog;   /* usec: a worker whose loop stands still for so long is replaced     */
    int64_t     memory_max; /* bytes of a worker; 0: any                                          */
    int64_t     sandbox;    /* choice auto|on|off, see daemon/sandbox.h                           */
};
struct config_spool {
    const char *path;
    int64_t     segment_size, inline_max, cache, reserve, min_free, sync_delay;
};
struct config_queue {
    struct postern_strings retry;    /* durations; the last one repeats; default "30m"            */
    int64_t                jitter;   /* percent                                                   */
    int64_t                lifetime; /* usec; default 3 days                                      */
    int64_t                bounce_lifetime; /* usec, for DSNs                                     */
    int64_t                destination_concurrency; /* default 20                                 */
    int64_t                concurrency;             /* all destinations together                  */
    int64_t                dead_min, dead_max; /* usec: back-off of an unreachable destination    */
    int64_t                bounce_body_max;    /* bytes of the returned body                      */
};
struct config_log {
    int64_t     level;  /* choice error|warning|notice|info|debug: index + 3 is postern_level     */
    int64_t     format; /* choice text|json */
    const char *file;
};
struct config_control {
    const char *socket;
};
struct config_dns {
    struct postern_strings servers; /* "127.0.0.1:5353"; empty: the system's                      */
    int64_t                timeout, tries, cache_max, ipv6; /* ipv6: bool                         */
    struct postern_objects local_mx; /* struct config_local_mx                                    */
    struct postern_objects hosts;    /* struct config_host                                        */
};
struct config_local_mx {
    struct postern_strings domain;
    const char            *host;
    int64_t                preference;
};
struct config_host {
    struct postern_strings name, address;
};

struct config_alias_file {
    const char *path;
    int64_t     syntax; /* choice auto|tcpware|sendmail|json: enum alias_syntax                   */
};
struct config_aliases { /* see route/alias.h for meanings */
    struct postern_objects files; /* struct config_alias_file; the first that has a name counts   */
    struct postern_strings lists; /* folders of .DIS files                                        */
    struct postern_strings logicals; /* "NAME=/folder"                                            */
    struct postern_strings roots;    /* folders below which aliases may name files                */
    int64_t                virtual_aliases; /* bool, key "virtual"                                */
    const char            *user_file;       /* in the user's home; NULL: none                     */
    const char            *full_names;      /* a password file; NULL: no Firstname.Lastname       */
    const char            *subaddress;      /* a character, or ""                                 */
    int64_t                owners;          /* bool                                               */
    int64_t                depth, expansion_max;
    int64_t                refresh; /* usec; 0: files are read at the start only                  */
    const char            *pipe_transport, *file_transport, *list_transport; /* NULL: none        */
    struct postern_strings directories; /* instances that are asked after the files             */
};

struct config_lookups { /* questions to directories */
    int64_t ttl, negative_ttl; /* usec that answers are believed */
    int64_t cache_max;         /* answers kept by each worker */
    int64_t deadline;          /* usec: a plugin that has not answered by then is given up */
};

/* A plugin instance: {"transports": {"smtp-out": {"plugin": "smtp-out", ...}}}. */
enum config_kind { CONFIG_INGRESS, CONFIG_TRANSPORT, CONFIG_DIRECTORY };
struct config_instance {
    enum config_kind     kind;
    const char          *name;
    const char          *plugin; /* "plugin" key; default: the instance's name                    */
    int                  enabled; /* "enabled" key, default true; a disabled one is validated too */
    json_t              *object; /* borrowed from the tree                                        */
    struct config_origin origin;
    /* filled in by plugin_resolve (plugin/plugin.h) */
    const struct postern_plugin *descriptor;
    void                        *settings;
};

struct config_kept { /* a text file that was read when the configuration was validated */
    const struct config_kept *next;
    const char               *path, *text;
    size_t                    len;
};
#define CONFIG_KEPT_MAX (16u << 20) /* bytes of one */

struct config {
    struct arena         *arena;
    json_t               *tree; /* merged */
    struct config_server  server;
    struct config_spool   spool;
    struct config_queue   queue;
    struct config_log     log;
    struct config_control control;
    struct config_dns     dns;
    struct config_routing routing;
    struct config_aliases aliases;
    struct config_lookups lookups;
    struct config_origin *rule_origins;  /* as many as routing.rules.n                            */
    struct config_origin *gateway_origins, *zone_origins, *group_origins; /* likewise             */
    struct config_origin *sender_origins; /* likewise                                             */
    struct config_origin  local_origin;  /* of local_domains ("(built in)" when defaulted)        */
    struct config_origin  default_origin;
    struct config_origin  routing_at[CONFIG_ROUTING_KEYS];
    struct config_instance *instances;
    size_t                  instance_n;
    const char             *source; /* the folder, or "(built in)"                                */
    size_t                  file_n; /* files read from it                                         */
    const struct config_kept *kept; /* newest first                                               */
    struct config_origins  *origins; /* config_origin_at                                          */
};

/* Where the value at that place of the merged tree was said, down to what is inside of it. Built-in
 * and unsaid values: the folder, and the pointer itself, borrowed. */
struct config_origin config_origin_at(const struct config *cfg, const char *pointer);

/* What completes addresses without a domain; and an address so completed, malloc'ed: "" stays. */
const char *config_own_name(const struct config *cfg);
char       *config_whole_address(const struct config *cfg, const char *address);

/* Loads `dir` (NULL: the embedded defaults only). Files *.json in name order; sections that no file
 * mentions come from the embedded defaults: smtp-in on 127.0.0.1:2525, local-mbox for local users,
 * smtp-out for the rest (relaying only for loopback clients). `state` (may be NULL; from
 * POSTERN_STATE) replaces /var/spool/postern, /var/mail and /run/postern by state/spool,
 * state/mail, state/control.sock in the defaults. Merging: top-level keys by name; inside a
 * section, keys of different files join; the same key twice is an error that names both files,
 * except lists of objects in routing (rules, gateways, ...), which are
 * concatenated. Plugins' sections are not validated here
 * (plugin_resolve does). *ret is set also when there were errors (for more checks), NULL only when
 * nothing could be read. */
int  config_load(const char *dir, const char *state, struct config **ret,
                 struct config_errors *errors);
void config_free(struct config **c);

/* The same in two steps, for the supervisor: the bytes of all files as they are at one moment, and
 * a configuration made of those bytes, by whoever has them. The snapshot is for this machine and
 * version only. 0 or -errno with errors added. */
int  config_snapshot(const char *dir, const char *state, struct buf *ret,
                     struct config_errors *errors);
int  config_load_snapshot(const void *data, size_t len, struct config **ret,
                          struct config_errors *errors);

/* Text files that the configuration names and that are a part of it, "local_domains_files": what is
 * kept of them goes into the snapshot behind the rest. */
void config_keep(struct config *cfg, const char *path, const char *text, size_t len);
void config_keep_files(struct config *cfg);                    /* reads them */
void config_snapshot_kept(const struct config *cfg, struct buf *out);
/* As config_read_file; what was kept is given instead of what the disk says. path is absolute. */
int config_read_kept(const struct config *cfg, const char *path, char **ret, size_t *ret_len);
/* Writes at the end of a snapshot's file. 0 or -errno. */
int config_snapshot_write(int fd, const struct buf *bytes);

/* All the core tables, by section name, for `postern check`, docs and the "belongs in" hint. */
struct config_section {
    const char                  *name; /* "queue" */
    const struct postern_option *table;
};
extern const struct config_section config_sections[]; /* NULL name ends */

#endif
