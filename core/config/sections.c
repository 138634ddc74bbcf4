/* config/sections.c: the gateway's own sections, as option tables. docs/configuration.md shows
 * them. */
#include "config/sections.h"

#include "config/table.h"

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
    POSTERN_OPT(struct config_server, sandbox, POSTERN_OPT_CHOICE, .dflt = "auto",
        .choices = "auto|on|off",
        .doc = "Whether workers lock themselves in (Landlock), so that they can write to the spool "
               "and to where plugins say that they write, and nowhere else. \"auto\": where the "
               "kernel can do it and every enabled plugin says where it writes; \"on\": or else "
               "do not start."),
    { 0 },
};

static const struct postern_option spool_table[] = {
    POSTERN_OPT(struct config_spool, path, POSTERN_OPT_PATH, .dflt = "/var/spool/postern",
        .flags = POSTERN_OPT_WRITES,
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
        .min = 1, .max = 64, .flags = CONFIG_OPT_DURATIONS,
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

static const struct postern_option local_mx_table[] = {
    POSTERN_OPT(struct config_local_mx, domain, POSTERN_OPT_STRINGS,
        .flags = POSTERN_OPT_REQUIRED, .min = 1, .max = 100000,
        .doc = "The domains that this is an exchanger of."),
    POSTERN_OPT(struct config_local_mx, host, POSTERN_OPT_STRING,
        .flags = POSTERN_OPT_REQUIRED,
        .doc = "The exchanger's name."),
    POSTERN_OPT(struct config_local_mx, preference, POSTERN_OPT_INT, .dflt = "0",
        .min = 0, .max = 65535,
        .doc = "The least is tried first; equal ones in random order, each time anew."),
    { 0 },
};

static const struct postern_option host_table[] = {
    POSTERN_OPT(struct config_host, name, POSTERN_OPT_STRINGS,
        .flags = POSTERN_OPT_REQUIRED, .min = 1, .max = 1000,
        .doc = "The host's names."),
    POSTERN_OPT(struct config_host, address, POSTERN_OPT_STRINGS,
        .flags = POSTERN_OPT_REQUIRED, .min = 1, .max = 64,
        .doc = "Its addresses, in the order in which they are tried."),
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
    POSTERN_OPT(struct config_dns, local_mx, POSTERN_OPT_OBJECTS,
        .sub = local_mx_table, .sub_size = sizeof(struct config_local_mx), .max = 100000,
        .doc = "Exchangers of the operator's own, looked at before those that name servers tell "
               "of; both together are sorted by preference, and each exchanger counts once."),
    POSTERN_OPT(struct config_dns, hosts, POSTERN_OPT_OBJECTS,
        .sub = host_table, .sub_size = sizeof(struct config_host), .max = 100000,
        .doc = "Hosts with their addresses, looked at before the machine's hosts file and the "
               "name servers."),
    { 0 },
};

static const struct postern_option alias_file_table[] = {
    POSTERN_OPT(struct config_alias_file, path, POSTERN_OPT_PATH, .flags = POSTERN_OPT_REQUIRED,
        .doc = "The file."),
    POSTERN_OPT(struct config_alias_file, syntax, POSTERN_OPT_CHOICE, .dflt = "auto",
        .choices = "auto|tcpware|sendmail|json",
        .doc = "How it is written; \"auto\": JSON if its name ends in .json, sendmail's way if it "
               "is called aliases, and else TCPware's way."),
    { 0 },
};

static const struct postern_option aliases_table[] = {
    POSTERN_OPT(struct config_aliases, files, POSTERN_OPT_OBJECTS, .max = 64,
        .sub = alias_file_table, .sub_size = sizeof(struct config_alias_file),
        .doc = "Alias files; of several that have a name the first counts."),
    POSTERN_OPT(struct config_aliases, lists, POSTERN_OPT_STRINGS, .flags = POSTERN_OPT_READS,
        .max = 64,
        .doc = "Folders with mailing lists: NAME.DIS holds the members of the list NAME, an "
               "address a line."),
    POSTERN_OPT(struct config_aliases, logicals, POSTERN_OPT_STRINGS, .flags = POSTERN_OPT_READS,
        .max = 256,
        .doc = "\"NAME=/folder\": where VMS file specifications that begin with NAME: are found; "
               "folders and names in lower case."),
    POSTERN_OPT(struct config_aliases, roots, POSTERN_OPT_STRINGS, .flags = POSTERN_OPT_READS,
        .max = 64,
        .doc = "Folders below which aliases may name files, of members to read or to append mail "
               "to; without them they may not."),
    { .key = "virtual", .offset = offsetof(struct config_aliases, virtual_aliases),
        .type = POSTERN_OPT_BOOL, .dflt = "true",
        .doc = "Look aliases up by the full address before the name alone." },
    POSTERN_OPT(struct config_aliases, user_file, POSTERN_OPT_STRING,
        .doc = "File in users' homes with their own aliases, such as \".postern-aliases\"; "
               "without it, users have none."),
    POSTERN_OPT(struct config_aliases, full_names, POSTERN_OPT_PATH,
        .doc = "Password file, such as /etc/passwd, whose full names make aliases like "
               "Firstname.Lastname."),
    POSTERN_OPT(struct config_aliases, subaddress, POSTERN_OPT_STRING, .dflt = "+",
        .doc = "The character in user+folder; \"\" for none."),
    POSTERN_OPT(struct config_aliases, owners, POSTERN_OPT_BOOL, .dflt = "true",
        .doc = "owner-LIST, LIST-owner and LIST-request reach the list's owner, and an alias "
               "owner-NAME makes NAME a list."),
    POSTERN_OPT(struct config_aliases, depth, POSTERN_OPT_INT, .dflt = "20", .min = 1, .max = 100,
        .doc = "How deep aliases of aliases may nest."),
    POSTERN_OPT(struct config_aliases, expansion_max, POSTERN_OPT_INT, .dflt = "100000",
        .min = 1, .max = 500000,
        .doc = "How many targets one address may come to stand for."),
    POSTERN_OPT(struct config_aliases, refresh, POSTERN_OPT_DURATION, .dflt = "30s",
        .min = 0, .max = POSTERN_DAYS(1),
        .doc = "How often it is looked whether files have changed; \"0s\": never."),
    POSTERN_OPT(struct config_aliases, pipe_transport, POSTERN_OPT_STRING,
        .doc = "The transport that runs an alias's command, an instance of the plugin \"pipe\"; "
               "without it, mail for such aliases waits."),
    POSTERN_OPT(struct config_aliases, file_transport, POSTERN_OPT_STRING,
        .doc = "The transport that appends to an alias's file, an instance of the plugin "
               "\"file\"; without it, mail for such aliases waits."),
    POSTERN_OPT(struct config_aliases, list_transport, POSTERN_OPT_STRING,
        .doc = "The transport that sends to the members of a list, an instance of the plugin "
               "\"list\"; without it, members are served like other targets of an alias."),
    POSTERN_OPT(struct config_aliases, directories, POSTERN_OPT_STRINGS, .max = 16,
        .doc = "Instances in \"directories\" that are asked what a name stands for when no file "
               "says it; the first that knows counts."),
    { 0 },
};

static const struct postern_option lookups_table[] = {
    POSTERN_OPT(struct config_lookups, ttl, POSTERN_OPT_DURATION, .dflt = "5m",
        .min = 0, .max = POSTERN_DAYS(7),
        .doc = "How long what a directory has answered is believed."),
    POSTERN_OPT(struct config_lookups, negative_ttl, POSTERN_OPT_DURATION, .dflt = "1m",
        .min = 0, .max = POSTERN_DAYS(7),
        .doc = "The same for the answer that there is no such name."),
    POSTERN_OPT(struct config_lookups, cache_max, POSTERN_OPT_INT, .dflt = "100000",
        .min = 10, .max = 100000000,
        .doc = "Answers kept by each worker."),
    POSTERN_OPT(struct config_lookups, deadline, POSTERN_OPT_DURATION, .dflt = "30s",
        .min = 1000, .max = POSTERN_HOURS(1),
        .doc = "A plugin that has not answered by then is not waited for any longer: mail waits "
               "and is tried again."),
    { 0 },
};

/* In the order in which the reference shows them. */
const struct config_section config_sections[] = {
    { "server", server_table },
    { "routing", config_routing_table },
    { "aliases", aliases_table },
    { "lookups", lookups_table },
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
    PLACE(aliases),
    PLACE(lookups),
    PLACE(queue),
    PLACE(spool),
    PLACE(dns),
    PLACE(log),
    PLACE(control),
};
/* clang-format on */

const char *const config_instance_keys[] = { "plugin", "enabled", NULL };
