/* cli/worker.c: postern worker: how the supervisor starts a worker. Every argument is a descriptor
 * or a number that it has made; nobody else calls this. */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "daemon/daemon.h"

static int listener(struct listeners *l, const char *value)
{
    const char *eq = strchr(value, '=');

    if (!eq)
        return -1;
    listeners_give(l, eq + 1, atoi(value));
    return 1;
}

static int option(struct worker_setup *s, int argc, char **argv, int *i)
{
    const struct {
        const char *name;
        int *fd;
        unsigned *number;
    } table[] = { { "--snapshot", &s->snapshot_fd, NULL },
                  { "--channel", &s->channel, NULL },
                  { "--scoreboard", &s->scoreboard_fd, NULL },
                  { "--row", NULL, &s->row },
                  { "--shard", NULL, &s->shard },
                  { "--step", NULL, &s->step } };
    const char *value;
    int r = 0;

    for (size_t k = 0; !r && k < sizeof table / sizeof *table; k++) {
        r = cli_value(table[k].name, argc, argv, i, &value);
        if (r > 0 && table[k].fd)
            *table[k].fd = atoi(value);
        else if (r > 0)
            *table[k].number = (unsigned)atoi(value);
    }
    if (!r && (r = cli_value("--listen", argc, argv, i, &value)) > 0)
        r = listener(s->listeners, value);
    return r;
}

int cli_worker(int argc, char **argv)
{
    struct worker_setup s = { .snapshot_fd = -1, .channel = -1, .scoreboard_fd = -1, .step = 1 };
    int probe = 0, code;

    s.listeners = listeners_new();
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--probe"))
            probe = 1;
        else if (option(&s, argc, argv, &i) <= 0)
            return cli_usage("worker", "unexpected argument %s; this is for the supervisor's use",
                             argv[i]);
    }
    if (s.snapshot_fd < 0 || (!probe && (s.channel < 0 || s.scoreboard_fd < 0 || !s.step)))
        return cli_usage("worker", "this is for the supervisor's use; see 'postern run'");
    code = probe ? worker_probe(s.snapshot_fd) : worker_run(&s);
    listeners_free(&s.listeners);
    return code;
}
