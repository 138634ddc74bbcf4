/* config/routing.h: the section "routing" as the operator wrote it; see docs/routing.md for what it
 * means, and route/compile.c for what becomes of it. */
#ifndef CONFIG_ROUTING_H
#define CONFIG_ROUTING_H

#include <stdint.h>

#include <postern/option.h>

struct config_rule { /* one of routing.rules; see route/route.h for meanings */
    /* Conditions: any of each list, all of the lists. */
    struct postern_strings recipient, domain, sender, ingress;
    /* One action: transport, rewrite, fail, hold or discard. */
    const char            *transport;
    struct postern_strings next_hops;
    const char            *rewrite;
    const char            *fail;        /* "5.7.1 text" or text                                   */
    const char            *hold;        /* why                                                    */
    int64_t                discard;     /* bool */
    int64_t                accept_from; /* choice trusted|anyone                                  */
    struct postern_strings params;      /* "name=value", handed to the transport (job_param)      */
    const char            *queue_group;
    const char            *comment;
};

enum config_resolve { CONFIG_RESOLVE_MX, CONFIG_RESOLVE_HOST };

struct config_gateway { /* one of routing.gateways */
    struct postern_strings domain, next_hops;
    const char            *transport;
    struct postern_strings params;
    int64_t                accept_from; /* choice trusted|anyone                                  */
    const char            *comment;
};

struct config_zone { /* one of routing.zones */
    struct postern_strings zone;    /* what is inside; empty: the parent of server.hostname       */
    struct postern_strings gateway; /* next hops for what is outside                              */
    struct postern_strings sender;  /* for mail of these senders only; empty: of all              */
    struct postern_strings destinations; /* the gateway is for these only; empty: for all         */
    const char            *transport;
    int64_t                always, mx_if_unreachable, no_mx; /* bool                              */
    int64_t                resolve; /* enum config_resolve                                        */
    const char            *comment;
};

struct config_forwarders { /* routing.forwarders: lists of next hops, and who is spared           */
    struct postern_strings remote, local, unresolvable, append_to_mx;
    struct postern_strings except;       /* patterns of domains                                   */
    struct postern_strings except_users; /* patterns of addresses                                 */
    const char            *transport;
    int64_t                resolve; /* enum config_resolve                                        */
};

struct config_queue_group { /* one of routing.queue_groups */
    const char            *name;
    struct postern_strings domain; /* patterns of domains; may be empty: rules name the group     */
    int64_t                concurrency; /* 0: as the queue section says                           */
    struct postern_strings retry;       /* durations; empty: as the queue section says            */
    struct postern_strings hours;       /* "22:00-06:00"; empty: at any time                      */
    const char            *comment;
};

enum config_sender_in { CONFIG_SENDER_BOTH, CONFIG_SENDER_ENVELOPE, CONFIG_SENDER_HEADER };

struct config_sender { /* one of routing.senders */
    struct postern_strings sender;  /* patterns of addresses                                      */
    struct postern_strings ingress; /* empty: of all                                              */
    const char            *rewrite;
    int64_t                in; /* enum config_sender_in                                           */
    const char            *comment;
};

struct config_routing {
    const char            *substitute_domain;
    int64_t                substitute_inbound;  /* bool: mail for it is local                     */
    struct postern_strings local_domains;       /* default: server.hostname and "localhost"       */
    struct postern_strings local_domains_files; /* legacy text files, one domain a line           */
    struct postern_strings host_names;          /* the first is used for outgoing mail            */
    struct postern_strings virtual_domains;
    struct postern_strings own_addresses;  /* beside those of the interfaces                      */
    int64_t                own_interfaces; /* bool: ask the machine                               */
    int64_t                local_by_address; /* bool: local are domains with such an address      */
    const char            *default_domain; /* for hosts without a dot; NULL: none                 */
    int64_t                roads; /* choice off|percent|all                                       */
    const char            *local_transport;
    struct postern_strings users;        /* directories that know who exists; none: anybody does  */
    const char            *unknown_user; /* an address for mail to others; NULL: it is refused    */
    struct postern_objects rules;    /* struct config_rule; concatenated over files in name order */
    struct postern_objects gateways; /* struct config_gateway; likewise                           */
    struct postern_objects zones;    /* struct config_zone; likewise                              */
    struct config_forwarders forwarders;
    struct postern_objects senders;  /* struct config_sender; likewise                            */
    int64_t                user_from;    /* bool: "/FROM=" in the first line of a body            */
    struct postern_objects queue_groups; /* struct config_queue_group; likewise                   */
    struct config_rule     dflt;         /* key "default" */
};

/* Keys whose places are remembered, for the table that is made of them (config.routing_at). */
enum config_routing_key {
    CONFIG_AT_SUBSTITUTE_DOMAIN,
    CONFIG_AT_LOCAL_DOMAINS_FILES,
    CONFIG_AT_HOST_NAMES,
    CONFIG_AT_VIRTUAL_DOMAINS,
    CONFIG_AT_OWN_ADDRESSES,
    CONFIG_AT_LOCAL_BY_ADDRESS,
    CONFIG_AT_DEFAULT_DOMAIN,
    CONFIG_AT_FORWARDERS,
    CONFIG_ROUTING_KEYS
};

#endif
