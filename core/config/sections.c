/* config/sections.c: the gateway's own sections, as option tables. docs/configuration.md shows
 * them. */
#include "config/sections.h"

#define MIB ((int64_t)1 << 20)
#define GIB ((int64_t)1 << 30)
#define TIB ((int64_t)1 << 40)

/* clang-format off */
static const struct postern_option server_table[] = {
    POSTERN_OPT(struct config_server, hostname, POSTERN_OPT_STRING,
        .doc = "The gateway's own name, for greetings, Received fields and reports; "
               "without it, the machine's name."),
    POSTERN_OPT(struct config_server, postmaster, POSTERN_OPT_STRING, .dflt = "postmaster",
        .doc = "Address that gets what can be neither delivered nor returned; "
               "without a domain it is local."),
    POSTERN_OPT(struct config_server, hop_count_max, POSTERN_OPT_INT, .dflt = "30",
        .min = 1, .max = 1000,
        .doc = "Received fields a message may have; one with more is going round in circles."),
    POSTERN_OPT(struct config_server, message_size_max, POSTERN_OPT_SIZE, .dflt = "50M",
        .min = 0, .max = TIB,
        .doc = "Largest message accepted, headers and all; 0 for no limit."),
    POSTERN_OPT(struct config_server, recipients_max, POSTERN_OPT_INT, .dflt = "1000",
        .min = 1, .max = 100000,
        .doc = "Recipients of one message; RFC 5321 asks for at least 100."),
    POSTERN_OPT(struct config_server, offload_threads, POSTERN_OPT_INT, .dflt = "4",
        .min = 1, .max = 64,
        .doc = "Threads of each worker for what would block: files, mailboxes."),
    POSTERN_OPT(struct config_server, delivery_deadline, POSTERN_OPT_DURATION, .dflt = "30m",
        .min = 10000, .max = POSTERN_DAYS(1),
        .doc = "A delivery that has not ended by then is taken from its plugin and tried again."),
    POSTERN_OPT(struct config_server, workers, POSTERN_OPT_INT, .dflt = "0", .min = 0, .max = 64,
        .doc = "Worker processes; 0 for one per core."),
    POSTERN_OPT(struct config_server, user, POSTERN_OPT_STRING,
        .doc = "User that workers run as, when the gateway is started by root; "
               "without it they run as whoever started it."),
    POSTERN_OPT(struct config_server, group, POSTERN_OPT_STRING,
        .doc = "Group that workers run as; without it, the user's own."),
    POSTERN_OPT(struct config_server, groups, POSTERN_OPT_STRINGS, .max = 64,
        .doc = "Further groups of the workers, such as \"mail\"; without it, the user's own."),
    POSTERN_OPT(struct config_server, grace, POSTERN_OPT_DURATION, .dflt = "30s",
        .min = 0, .max = POSTERN_HOURS(1),
        .doc = "How long sessions and deliveries may take to finish at a stop or reload."),
    POSTERN_OPT(struct config_server, watchdog, POSTERN_OPT_DURATION, .dflt = "30s",
        .min = POSTERN_SECONDS(1), .max = POSTERN_HOURS(1),
        .doc = "A worker that stands still for so long (a plugin that blocks) is replaced."),
    POSTERN_OPT(struct config_server, memory_max, POSTERN_OPT_SIZE, .dflt = "0",
        .min = 0, .max = TIB,
        .doc = "A worker that has grown past this is replaced, gracefully; 0 for no limit."),
    { 0 },
};

static const struct postern_option spool_table[] = {
    POSTERN_OPT(struct config_spool, path, POSTERN_OPT_PATH, .dflt = "/var/spool/postern",
        .doc = "Folder of the spool; made if it is missing."),
    POSTERN_OPT(struct config_spool, segment_size, POSTERN_OPT_SIZE, .dflt = "64M",
        .min = 65536, .max = 4 * GIB,
        .doc = "A new journal file is begun when one has grown past this."),
    POSTERN_OPT(struct config_spool, inline_max, POSTERN_OPT_SIZE, .dflt = "1M",
        .min = 0, .max = GIB,
        .doc = "A larger message gets a file of its own beside the journal."),
    POSTERN_OPT(struct config_spool, cache, POSTERN_OPT_SIZE, .dflt = "64M",
        .min = 0, .max = TIB,
        .doc = "Memory of each worker for messages just received, so that their first delivery "
               "reads no disk."),
    POSTERN_OPT(struct config_spool, reserve, POSTERN_OPT_SIZE, .dflt = "1M",
        .min = 65536, .max = GIB,
        .doc = "Disk space kept aside so that outcomes can be written when the disk is full."),
    POSTERN_OPT(struct config_spool, min_free, POSTERN_OPT_SIZE, .dflt = "32M",
        .min = 0, .max = TIB,
        .doc = "Nothing new is accepted while the file system has less room than this."),
    POSTERN_OPT(struct config_spool, sync_delay, POSTERN_OPT_DURATION, .dflt = "1s",
        .min = 1000, .max = POSTERN_MINUTES(1),
        .doc = "Outcomes of deliveries are on disk after this at the latest; new messages always "
               "are before they are acknowledged."),
    { 0 },
};

static const struct postern_option queue_table[] = {
    POSTERN_OPT(struct config_queue, retry, POSTERN_OPT_STRINGS, .dflt = "30m",
        .min = 1, .max = 64,
        .doc = "How long to wait after each failed attempt: one duration for each, and the last "
               "one for all that follow."),
    POSTERN_OPT(struct config_queue, jitter, POSTERN_OPT_INT, .dflt = "10", .min = 0, .max = 90,
        .doc = "Percent by which each wait is varied, so that attempts do not come in waves."),
    POSTERN_OPT(struct config_queue, lifetime, POSTERN_OPT_DURATION, .dflt = "3d",
        .min = 0, .max = POSTERN_DAYS(364),
        .doc = "How long delivery is tried before the message is returned; \"0s\": once."),
    POSTERN_OPT(struct config_queue, bounce_lifetime, POSTERN_OPT_DURATION, .dflt = "3d",
        .min = 0, .max = POSTERN_DAYS(364),
        .doc = "The same for delivery status notifications."),
    POSTERN_OPT(struct config_queue, destination_concurrency, POSTERN_OPT_INT, .dflt = "20",
        .min = 1, .max = 10000,
        .doc = "Deliveries to one destination at a time, of each worker."),
    POSTERN_OPT(struct config_queue, concurrency, POSTERN_OPT_INT, .dflt = "500",
        .min = 1, .max = 100000,
        .doc = "Deliveries to all destinations together at a time, of each worker."),
    POSTERN_OPT(struct config_queue, dead_min, POSTERN_OPT_DURATION, .dflt = "30s",
        .min = 1000, .max = POSTERN_DAYS(1),
        .doc = "How long a destination that cannot be reached is left alone at first; doubled "
               "each time."),
    POSTERN_OPT(struct config_queue, dead_max, POSTERN_OPT_DURATION, .dflt = "30m",
        .min = 1000, .max = POSTERN_DAYS(1),
        .doc = "How long it is left alone at most."),
    POSTERN_OPT(struct config_queue, bounce_body_max, POSTERN_OPT_SIZE, .dflt = "64K",
        .min = 0, .max = 64 * MIB,
        .doc = "How much of the original message's body a notification returns."),
    { 0 },
};

static const struct postern_option log_table[] = {
    POSTERN_OPT(struct config_log, level, POSTERN_OPT_CHOICE, .dflt = "info",
        .choices = "error|warning|notice|info|debug",
        .doc = "What is less urgent than this is not written."),
    POSTERN_OPT(struct config_log, format, POSTERN_OPT_CHOICE, .dflt = "text",
        .choices = "text|json",
        .doc = "\"text\": key=value for people; \"json\": one object a line."),
    POSTERN_OPT(struct config_log, file, POSTERN_OPT_PATH,
        .doc = "File to append to; without it, standard error."),
    { 0 },
};

static const struct postern_option control_table[] = {
    POSTERN_OPT(struct config_control, socket, POSTERN_OPT_PATH,
        .dflt = "/run/postern/control.sock",
        .doc = "Socket through which `postern status`, `queue` and `send` reach the gateway."),
    { 0 },
};

static const struct postern_option dns_table[] = {
    POSTERN_OPT(struct config_dns, servers, POSTERN_OPT_STRINGS, .min = 0, .max = 16,
        .doc = "Name servers, \"address\" or \"address:port\"; without them, those of the system."),
    POSTERN_OPT(struct config_dns, timeout, POSTERN_OPT_DURATION, .dflt = "5s",
        .min = 10000, .max = POSTERN_MINUTES(5),
        .doc = "How long to wait for the answer to one try."),
    POSTERN_OPT(struct config_dns, tries, POSTERN_OPT_INT, .dflt = "3", .min = 1, .max = 10,
        .doc = "How often each name server is asked before the answer is \"not now\"."),
    POSTERN_OPT(struct config_dns, cache_max, POSTERN_OPT_INT, .dflt = "10000",
        .min = 0, .max = 10000000,
        .doc = "Answers kept by each worker."),
    POSTERN_OPT(struct config_dns, ipv6, POSTERN_OPT_BOOL, .dflt = "true",
        .doc = "Look up and use IPv6 addresses of other hosts."),
    { 0 },
};

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
    POSTERN_OPT(struct config_rule, transport, POSTERN_OPT_STRING,
        .doc = "Action: deliver through this transport instance."),
    POSTERN_OPT(struct config_rule, next_hops, POSTERN_OPT_STRINGS,
        .doc = "With transport: where to, in order of preference: \"host\", \"host:port\" (MX is "
               "looked up), \"[host]:port\" (it is not)."),
    POSTERN_OPT(struct config_rule, rewrite, POSTERN_OPT_STRING,
        .doc = "Action: replace the recipient and go through the list again; * stands for what the "
               "first * of the recipient pattern matched, or else the local part."),
    POSTERN_OPT(struct config_rule, fail, POSTERN_OPT_STRING,
        .doc = "Action: refuse, with this text, which may begin with a status like \"5.7.1\"."),
    POSTERN_OPT(struct config_rule, hold, POSTERN_OPT_STRING,
        .doc = "Action: keep in the queue until an operator releases it; the text says why."),
    POSTERN_OPT(struct config_rule, discard, POSTERN_OPT_BOOL, .dflt = "false",
        .doc = "Action: accept and throw away, with a line in the log."),
    POSTERN_OPT(struct config_rule, accept_from, POSTERN_OPT_CHOICE, .dflt = "trusted",
        .choices = "trusted|anyone",
        .doc = "Who may send here: only clients that may relay, or everybody."),
    POSTERN_OPT(struct config_rule, params, POSTERN_OPT_STRINGS,
        .doc = "\"name=value\" texts handed to the transport."),
    POSTERN_OPT(struct config_rule, comment, POSTERN_OPT_STRING,
        .doc = "Shown where the rule is shown: `postern route`, the log."),
    { 0 },
};

static const struct postern_option routing_table[] = {
    POSTERN_OPT(struct config_routing, local_domains, POSTERN_OPT_STRINGS,
        .doc = "Domains whose users are here; without it, server.hostname and \"localhost\"."),
    POSTERN_OPT(struct config_routing, local_transport, POSTERN_OPT_STRING,
        .doc = "Transport instance for local users; without it, \"local-mbox\"."),
    POSTERN_OPT(struct config_routing, rules, POSTERN_OPT_OBJECTS,
        .sub = rule_table, .sub_size = sizeof(struct config_rule),
        .doc = "Tried in order, before the local domains; the first that matches decides. A rule "
               "has conditions, all of which must match, and one action. Rules of several files "
               "are put together in the order of the files' names."),
    { .key = "default", .offset = offsetof(struct config_routing, dflt),
        .type = POSTERN_OPT_OBJECT, .sub = rule_table, .sub_size = sizeof(struct config_rule),
        .doc = "What happens to recipients that are not local and match no rule: an action, "
               "written like a rule's; without it, {\"transport\": \"smtp-out\"}." },
    { 0 },
};

/* In the order in which the reference shows them. */
const struct config_section config_sections[] = {
    { "server", server_table },
    { "routing", routing_table },
    { "queue", queue_table },
    { "spool", spool_table },
    { "dns", dns_table },
    { "log", log_table },
    { "control", control_table },
    { NULL, NULL },
};

#define PLACE(member) { offsetof(struct config, member), sizeof(((struct config *)0)->member) }
const struct config_place config_places[] = {
    PLACE(server),
    PLACE(routing),
    PLACE(queue),
    PLACE(spool),
    PLACE(dns),
    PLACE(log),
    PLACE(control),
};
/* clang-format on */

const char *const config_instance_keys[] = { "plugin", "enabled", NULL };
