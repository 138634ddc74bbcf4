/* config/routing.c: the section "routing", as option tables. docs/configuration.md shows them,
 * docs/routing.md says what they are good for. */
#include "config/routing.h"

#include <string.h>

#include "config/sections.h"
#include "config/table.h"
#include "util/mem.h"

#define LIST_MAX 100000

/* clang-format off */
static const struct postern_option rule_table[] = {
    POSTERN_OPT(struct config_rule, recipient, POSTERN_OPT_STRINGS,
        .doc = "Matches recipients: \"user@example.com\", \"user@\" in any domain, "
               "\"@example.com\", \".example.com\", with * and ? as wildcards."),
    POSTERN_OPT(struct config_rule, domain, POSTERN_OPT_STRINGS,
        .doc = "Matches the recipient's domain: a name, or \".name\" for all below it, or a "
               "pattern with * and ?; \"*\" alone is every domain that is not local."),
    POSTERN_OPT(struct config_rule, sender, POSTERN_OPT_STRINGS,
        .doc = "Matches the envelope sender likewise; \"<>\" is the null sender."),
    POSTERN_OPT(struct config_rule, ingress, POSTERN_OPT_STRINGS,
        .doc = "Matches the name of the ingress instance that brought the message."),
    POSTERN_OPT(struct config_rule, transport, POSTERN_OPT_STRING, .flags = CONFIG_OPT_ACTION,
        .doc = "Action: deliver through this transport instance."),
    POSTERN_OPT(struct config_rule, next_hops, POSTERN_OPT_STRINGS,
        .doc = "With transport: where to, in order of preference: \"host\", \"host:port\" (MX is "
               "looked up), \"[host]:port\" (it is not), \"*\" and \"[*]\" (the recipient's own "
               "domain); \"?host\" counts only when nothing before it can be resolved."),
    POSTERN_OPT(struct config_rule, rewrite, POSTERN_OPT_STRING, .flags = CONFIG_OPT_ACTION,
        .doc = "Action: replace the recipient and go through the list again; * stands for what the "
               "first * of the recipient pattern matched, or else the local part; $1 to $9 for "
               "what each * did, from the left."),
    POSTERN_OPT(struct config_rule, fail, POSTERN_OPT_STRING, .flags = CONFIG_OPT_ACTION,
        .doc = "Action: refuse, with this text, which may begin with a status like \"5.7.1\"."),
    POSTERN_OPT(struct config_rule, hold, POSTERN_OPT_STRING, .flags = CONFIG_OPT_ACTION,
        .doc = "Action: keep in the queue until an operator releases it; the text says why."),
    POSTERN_OPT(struct config_rule, discard, POSTERN_OPT_BOOL, .dflt = "false",
        .flags = CONFIG_OPT_ACTION,
        .doc = "Action: accept and throw away, with a line in the log."),
    POSTERN_OPT(struct config_rule, accept_from, POSTERN_OPT_CHOICE, .dflt = "trusted",
        .choices = "trusted|anyone",
        .doc = "Who may send here: only clients that may relay, or everybody."),
    POSTERN_OPT(struct config_rule, params, POSTERN_OPT_STRINGS,
        .doc = "\"name=value\" texts handed to the transport."),
    POSTERN_OPT(struct config_rule, queue_group, POSTERN_OPT_STRING,
        .doc = "With transport: the queue group that this mail waits in, whatever its domain."),
    POSTERN_OPT(struct config_rule, comment, POSTERN_OPT_STRING,
        .doc = "Shown where the rule is shown: `postern route`, the log."),
    { 0 },
};

static const struct postern_option gateway_table[] = {
    POSTERN_OPT(struct config_gateway, domain, POSTERN_OPT_STRINGS,
        .flags = POSTERN_OPT_REQUIRED, .min = 1, .max = LIST_MAX,
        .doc = "Hosts, and \".domain\" for all below a domain. They need not be in DNS."),
    POSTERN_OPT(struct config_gateway, next_hops, POSTERN_OPT_STRINGS,
        .flags = POSTERN_OPT_REQUIRED, .min = 1, .max = 64,
        .doc = "Where their mail goes, as in a rule."),
    POSTERN_OPT(struct config_gateway, transport, POSTERN_OPT_STRING,
        .doc = "Transport instance; without it, the default's."),
    POSTERN_OPT(struct config_gateway, params, POSTERN_OPT_STRINGS,
        .doc = "\"name=value\" texts handed to the transport."),
    POSTERN_OPT(struct config_gateway, accept_from, POSTERN_OPT_CHOICE, .dflt = "trusted",
        .choices = "trusted|anyone",
        .doc = "Who may send there: only clients that may relay, or everybody."),
    POSTERN_OPT(struct config_gateway, comment, POSTERN_OPT_STRING,
        .doc = "Shown where the gateway is shown."),
    { 0 },
};

static const struct postern_option zone_table[] = {
    POSTERN_OPT(struct config_zone, zone, POSTERN_OPT_STRINGS, .max = LIST_MAX,
        .doc = "What is inside: domains with all that is below them (\".name\": only that); "
               "without it, the parent of server.hostname."),
    POSTERN_OPT(struct config_zone, gateway, POSTERN_OPT_STRINGS,
        .flags = POSTERN_OPT_REQUIRED, .min = 1, .max = 64,
        .doc = "Where mail goes that is for outside, in order of preference."),
    POSTERN_OPT(struct config_zone, sender, POSTERN_OPT_STRINGS,
        .doc = "The zone is for mail of these envelope senders only."),
    POSTERN_OPT(struct config_zone, destinations, POSTERN_OPT_STRINGS,
        .doc = "The gateway is for these domains only; others are the next zone's business."),
    POSTERN_OPT(struct config_zone, transport, POSTERN_OPT_STRING,
        .doc = "Transport instance; without it, the default's."),
    POSTERN_OPT(struct config_zone, always, POSTERN_OPT_BOOL, .dflt = "false",
        .doc = "Everything that is not local goes to the gateway, also what is inside."),
    POSTERN_OPT(struct config_zone, mx_if_unreachable, POSTERN_OPT_BOOL, .dflt = "false",
        .doc = "When the gateway can't be reached, try the recipient's own domain by MX; "
               "otherwise the message waits."),
    POSTERN_OPT(struct config_zone, no_mx, POSTERN_OPT_BOOL, .dflt = "false",
        .doc = "Inside, look up addresses only, no MX."),
    POSTERN_OPT(struct config_zone, resolve, POSTERN_OPT_CHOICE, .dflt = "mx",
        .choices = "mx|host",
        .doc = "How the gateway's name is looked up; an address is always taken as it is."),
    POSTERN_OPT(struct config_zone, comment, POSTERN_OPT_STRING,
        .doc = "Shown where the zone is shown."),
    { 0 },
};

static const struct postern_option forwarders_table[] = {
    POSTERN_OPT(struct config_forwarders, remote, POSTERN_OPT_STRINGS, .max = 64,
        .doc = "The hub that gets all mail that is not local and has no gateway of its own."),
    POSTERN_OPT(struct config_forwarders, local, POSTERN_OPT_STRINGS, .max = 64,
        .doc = "The hub that gets all local mail."),
    POSTERN_OPT(struct config_forwarders, unresolvable, POSTERN_OPT_STRINGS, .max = 64,
        .doc = "The hub for mail whose domain can't be resolved."),
    POSTERN_OPT(struct config_forwarders, append_to_mx, POSTERN_OPT_STRINGS, .max = 64,
        .doc = "The hub that is tried when none of the domain's own exchangers can be reached."),
    POSTERN_OPT(struct config_forwarders, except, POSTERN_OPT_STRINGS, .max = LIST_MAX,
        .doc = "Hosts, and \".domain\" for all below a domain, whose mail \"remote\" and \"local\" "
               "leave alone."),
    POSTERN_OPT(struct config_forwarders, except_users, POSTERN_OPT_STRINGS, .max = LIST_MAX,
        .doc = "Recipients (\"user@\", \"user@example.com\") whose mail \"local\" and \"remote\" "
               "leave alone."),
    POSTERN_OPT(struct config_forwarders, transport, POSTERN_OPT_STRING,
        .doc = "Transport instance; without it, the default's."),
    POSTERN_OPT(struct config_forwarders, resolve, POSTERN_OPT_CHOICE, .dflt = "host",
        .choices = "mx|host",
        .doc = "How the hubs' names are looked up; an address is always taken as it is."),
    { 0 },
};

static const struct postern_option queue_group_table[] = {
    POSTERN_OPT(struct config_queue_group, name, POSTERN_OPT_STRING,
        .flags = POSTERN_OPT_REQUIRED,
        .doc = "What it is called."),
    POSTERN_OPT(struct config_queue_group, domain, POSTERN_OPT_STRINGS, .max = LIST_MAX,
        .doc = "Recipients' domains that belong to it; the first group that has a domain counts."),
    POSTERN_OPT(struct config_queue_group, concurrency, POSTERN_OPT_INT, .dflt = "0",
        .min = 0, .max = 10000,
        .doc = "Deliveries to all its destinations together at a time, of each worker; 0: as many "
               "as each destination may have."),
    POSTERN_OPT(struct config_queue_group, retry, POSTERN_OPT_STRINGS, .max = 64,
        .flags = CONFIG_OPT_DURATIONS,
        .doc = "How long to wait after each failed attempt; without it, as queue.retry says."),
    POSTERN_OPT(struct config_queue_group, hours, POSTERN_OPT_STRINGS, .max = 24,
        .flags = CONFIG_OPT_HOURS,
        .doc = "When deliveries may begin, local time: \"22:00-06:00\"; without it, always."),
    POSTERN_OPT(struct config_queue_group, comment, POSTERN_OPT_STRING,
        .doc = "Shown where the group is shown."),
    { 0 },
};

static const struct postern_option sender_table[] = {
    POSTERN_OPT(struct config_sender, sender, POSTERN_OPT_STRINGS,
        .flags = POSTERN_OPT_REQUIRED, .min = 1, .max = LIST_MAX,
        .doc = "Matches senders, as a rule's \"recipient\" does recipients."),
    POSTERN_OPT(struct config_sender, ingress, POSTERN_OPT_STRINGS,
        .doc = "Only in messages that came in by these ingress instances; \"local\" is `postern "
               "send`."),
    POSTERN_OPT(struct config_sender, rewrite, POSTERN_OPT_STRING,
        .flags = POSTERN_OPT_REQUIRED,
        .doc = "What the sender becomes; * and $1 to $9 as in a rule's \"rewrite\"."),
    POSTERN_OPT(struct config_sender, in, POSTERN_OPT_CHOICE, .dflt = "both",
        .choices = "both|envelope|header",
        .doc = "Where: the envelope's sender, the header's From, Sender and Reply-To, or both."),
    POSTERN_OPT(struct config_sender, comment, POSTERN_OPT_STRING,
        .doc = "Shown where the row is shown."),
    { 0 },
};

const struct postern_option config_routing_table[] = {
    POSTERN_OPT(struct config_routing, substitute_domain, POSTERN_OPT_STRING,
        .doc = "The domain that takes the place of this host's names in the senders of outgoing "
               "mail, behind \"senders\"."),
    POSTERN_OPT(struct config_routing, substitute_inbound, POSTERN_OPT_BOOL, .dflt = "true",
        .doc = "Whether mail for the substitute domain is local."),
    POSTERN_OPT(struct config_routing, local_domains, POSTERN_OPT_STRINGS,
        .doc = "Domains whose users are here; without it, server.hostname and \"localhost\"."),
    POSTERN_OPT(struct config_routing, local_domains_files, POSTERN_OPT_STRINGS, .max = 64,
        .doc = "Text files with more of them, one a line, \"!\" or \"#\" before a comment; read at "
               "start and reload."),
    POSTERN_OPT(struct config_routing, host_names, POSTERN_OPT_STRINGS, .max = LIST_MAX,
        .doc = "This host's names, all of them local; the first is used for outgoing mail."),
    POSTERN_OPT(struct config_routing, virtual_domains, POSTERN_OPT_STRINGS, .max = LIST_MAX,
        .doc = "Local domains that have users and aliases of their own."),
    POSTERN_OPT(struct config_routing, own_addresses, POSTERN_OPT_STRINGS, .max = 1000,
        .doc = "IP addresses that are ours (of a cluster, before a NAT) beside those of the "
               "interfaces: mail for user@[address] is local."),
    POSTERN_OPT(struct config_routing, own_interfaces, POSTERN_OPT_BOOL, .dflt = "true",
        .doc = "Whether the addresses of this machine's interfaces are ours; asked at start and "
               "reload."),
    POSTERN_OPT(struct config_routing, local_by_address, POSTERN_OPT_BOOL, .dflt = "false",
        .doc = "Whether a domain is local when one of its addresses (dns.hosts, A, AAAA) is ours; "
               "it costs a look-up for each domain that nothing else makes local."),
    POSTERN_OPT(struct config_routing, default_domain, POSTERN_OPT_STRING,
        .doc = "The domain that is put behind a host without a dot, when it is not local and has "
               "no gateway: user@host becomes user@host.example.com, and the walk begins anew."),
    POSTERN_OPT(struct config_routing, roads, POSTERN_OPT_CHOICE, .dflt = "off",
        .choices = "off|percent|all",
        .doc = "Whether roads written into the local part of our own addresses are followed: "
               "user%c@us goes on to user@c, with \"all\" also UUCP's c!user@us. Only for clients "
               "that may relay; \"off\" takes them for users' names."),
    POSTERN_OPT(struct config_routing, local_transport, POSTERN_OPT_STRING,
        .doc = "Transport instance for local users; without it, \"local-mbox\"."),
    POSTERN_OPT(struct config_routing, users, POSTERN_OPT_STRINGS, .max = 16,
        .doc = "Instances in \"directories\" that know who is here. Mail for local users whom "
               "none of "
               "them knows, and who are no alias, is refused. Without it, the transport judges."),
    POSTERN_OPT(struct config_routing, unknown_user, POSTERN_OPT_STRING,
        .doc = "Where mail for users whom nobody knows goes instead: an address, in which * "
               "stands for the user, such as \"*@hub.example.com\"."),
    POSTERN_OPT(struct config_routing, rules, POSTERN_OPT_OBJECTS,
        .sub = rule_table, .sub_size = sizeof(struct config_rule),
        .doc = "Tried in order, before the local domains; the first that matches decides. A rule "
               "has conditions, all of which must match, and one action. Rules of several files "
               "are put together in the order of the files' names."),
    POSTERN_OPT(struct config_routing, gateways, POSTERN_OPT_OBJECTS,
        .sub = gateway_table, .sub_size = sizeof(struct config_gateway),
        .doc = "Next hops for certain hosts and domains that are not local; a host counts before a "
               "domain, and a longer domain before a shorter one. Put together like rules."),
    POSTERN_OPT(struct config_routing, zones, POSTERN_OPT_OBJECTS,
        .sub = zone_table, .sub_size = sizeof(struct config_zone),
        .doc = "Inside a zone mail is delivered directly, outside it goes to the zone's gateway. "
               "Put together like rules."),
    { .key = "forwarders", .offset = offsetof(struct config_routing, forwarders),
        .type = POSTERN_OPT_OBJECT, .sub = forwarders_table,
        .sub_size = sizeof(struct config_forwarders),
        .doc = "Mail hubs that take what we do not deliver ourselves." },
    POSTERN_OPT(struct config_routing, senders, POSTERN_OPT_OBJECTS, .max = 10000,
        .sub = sender_table, .sub_size = sizeof(struct config_sender),
        .doc = "New addresses for senders in mail of clients that may relay and of `postern send`; "
               "the first row that matches counts. Put together like rules."),
    POSTERN_OPT(struct config_routing, user_from, POSTERN_OPT_BOOL, .dflt = "false",
        .doc = "Whether those may set From: by \"/FROM=user@domain\" as the first line of a "
               "body."),
    POSTERN_OPT(struct config_routing, queue_groups, POSTERN_OPT_OBJECTS,
        .sub = queue_group_table, .sub_size = sizeof(struct config_queue_group),
        .doc = "Destinations with a concurrency and a schedule of their own. Put together like "
               "rules."),
    { .key = "default", .offset = offsetof(struct config_routing, dflt),
        .type = POSTERN_OPT_OBJECT, .sub = rule_table, .sub_size = sizeof(struct config_rule),
        .doc = "What happens to recipients that are not local and match no rule: an action, "
               "written like a rule's; without it, {\"transport\": \"smtp-out\"}." },
    { 0 },
};
/* clang-format on */

/* --- our own name --- */

const char *config_own_name(const struct config *cfg)
{
    return cfg->routing.host_names.n ? cfg->routing.host_names.v[0] : cfg->server.hostname;
}

char *config_whole_address(const struct config *cfg, const char *address)
{
    if (!*address || strchr(address, '@'))
        return mem_strdup(address);
    return mem_printf("%s@%s", address, config_own_name(cfg));
}
