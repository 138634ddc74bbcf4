/* cli/main.c: `postern VERB`, and the names it goes by elsewhere: sendmail, mailq. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/cli.h"

static int cli_help(int argc, char **argv);
static int cli_version(int argc, char **argv);

static const struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} verbs[] = {
    { "run", cli_run, "start the gateway (in the foreground)" },
    { "reload", cli_reload,
      "put a changed configuration, program or plugin into force, without downtime" },
    { "check", cli_check, "validate the whole configuration without starting" },
    { "route", cli_route, "explain where mail for an address goes, and why" },
    { "mx", cli_mx,
      "show the exchangers of a domain, where they are known from, and their addresses" },
    { "address", cli_address, "show an address in every form, with each step" },
    { "diff", cli_diff, "which addresses would go elsewhere under another configuration" },
    { "send", cli_send, "submit a message from standard input (also as sendmail)" },
    { "queue", cli_queue, "list, show, retry, hold, release or remove mail; analyze the spool" },
    { "map", cli_map, "compile alias files into one file that is looked up, not read" },
    { "status", cli_status, "what the running gateway is doing" },
    { "list", cli_list, "mailing lists: members, posts, who bounces" },
    { "plugin", cli_plugin, "list plugins, or describe one with its options" },
    { "help", cli_help, "this text" },
    { "version", cli_version, "the version" },
};
#define VERBS (sizeof verbs / sizeof *verbs)

static int cli_help(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    puts("usage: postern [--config DIR] VERB [ARGUMENTS]\n");
    for (size_t i = 0; i < VERBS; i++)
        printf("  %-8s  %s\n", verbs[i].name, verbs[i].summary);
    puts("\n  --config DIR   the folder of *.json files (also POSTERN_CONFIG); without one,\n"
         "                 " SYSCONFDIR "/postern/conf.d if it is there, else the embedded "
         "defaults\n"
         "  --json         answers of listing verbs as JSON\n\nSee postern(8), postern.conf(5).");
    return EX_OK;
}

static int cli_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("postern %s (plugin ABI %u.%u)\n", POSTERN_VERSION, POSTERN_ABI_MAJOR,
           POSTERN_ABI_MINOR);
    return EX_OK;
}

/* Not for people: how the supervisor starts its workers. */
static const struct verb worker_verb = { "worker", cli_worker, "" };

static const struct verb *find_verb(const char *name)
{
    if (!strcmp(name, "--help") || !strcmp(name, "-h"))
        name = "help";
    if (!strcmp(name, "--version") || !strcmp(name, "-V"))
        name = "version";
    if (!strcmp(name, "worker"))
        return &worker_verb;
    for (size_t i = 0; i < VERBS; i++) {
        if (!strcmp(verbs[i].name, name))
            return &verbs[i];
    }
    return NULL;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* "postern --config X route a@b" is "postern route --config X a@b". */
static int run_verb(int argc, char **argv)
{
    struct cli_common c;
    int at = 1;
    const struct verb *v;
    char **args;
    int code;

    cli_common_init(&c);
    while (at < argc) {
        int r = cli_common_option(&c, argc, argv, &at);

        if (r < 0)
            return EX_USAGE;
        if (!r)
            break;
        at++;
    }
    if (at >= argc) {
        cli_help(0, NULL);
        return EX_USAGE;
    }
    v = find_verb(argv[at]);
    if (!v)
        return cli_usage(argv[at], "there is no such verb");
    args = calloc((size_t)argc + 1, sizeof *args);
    if (!args)
        return EX_OSERR;
    args[0] = argv[at];
    memcpy(args + 1, argv + 1, (size_t)(at - 1) * sizeof *args);
    memcpy(args + at, argv + at + 1, (size_t)(argc - at) * sizeof *args);
    code = v->run(argc - 1, args);
    free(args);
    return code;
}

/* Was something not written, now or before? A reader who has gone had seen enough. */
static int output_is_lost(void)
{
    struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
    int lost = fflush(stdout) == EOF || ferror(stdout);

    return lost && !(poll(&out, 1, 0) == 1 && (out.revents & POLLERR));
}

int main(int argc, char **argv)
{
    const char *name = base_name(argc ? argv[0] : "postern");
    int code;

    /* A peer that goes away is an error of a write, not the end of the process. */
    signal(SIGPIPE, SIG_IGN);
    if (!strcmp(name, "sendmail") || !strcmp(name, "send-mail"))
        code = cli_sendmail(argc, argv);
    else if (!strcmp(name, "mailq"))
        code = cli_mailq(argc, argv);
    else
        code = run_verb(argc, argv);
    return output_is_lost() && code == EX_OK ? EX_IOERR : code;
}
