/* cli/run.c: postern run: validate everything, bind, and only then start. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "daemon/daemon.h"
#include "log/log.h"
#include "util/cleanup.h"
#include "util/mem.h"

static int open_log(const struct config *cfg)
{
    struct log_config lc = {.level = (int)cfg->log.level + POSTERN_LOG_ERROR,
                            .format = (int)cfg->log.format, .file = cfg->log.file};
    int               r = log_open(&lc);

    return r < 0 ? cli_error(EX_CANTCREAT, "can't write the log %s: %s", lc.file, strerror(-r)) : 0;
}

/* The socket's folder is ours to make (the embedded default is in a folder of its own). */
static void make_parent(const char *path)
{
    AUTO_FREE char *copy = mem_strdup(path);
    char           *slash = strrchr(copy, '/');

    if (!slash || slash == copy)
        return;
    *slash = '\0';
    if (mkdir(copy, 0755) < 0 && errno == ENOENT) {
        make_parent(copy);
        mkdir(copy, 0755);
    }
}

static int bind_code(int err)
{
    return err == -EACCES || err == -EPERM ? EX_NOPERM : EX_UNAVAILABLE;
}

static int start(const struct plan *plan)
{
    const char       *socket_path = plan->config->control.socket;
    struct listeners *listeners = NULL;
    char              why[512];
    int               control_fd, r, code;

    r = listeners_bind(plan->config, &listeners, why, sizeof why);
    if (r < 0)
        return cli_error(bind_code(r), "%s", why);
    make_parent(socket_path);
    r = control_bind(socket_path, &control_fd, why, sizeof why);
    if (r < 0) {
        listeners_free(&listeners);
        return cli_error(bind_code(r), "%s#/control/socket: can't listen on %s", plan->config->source,
                         why);
    }
    code = open_log(plan->config);
    if (!code)
        code = worker_run(plan, listeners, control_fd);
    close(control_fd);
    unlink(socket_path);
    listeners_free(&listeners);
    return code;
}

int cli_run(int argc, char **argv)
{
    struct cli_common    c;
    struct plan          plan;
    struct config_errors errors = {0};
    int                  code;

    cli_common_init(&c);
    for (int i = 1; i < argc; i++) {
        int r = cli_common_option(&c, argc, argv, &i);

        if (r < 0)
            return EX_USAGE;
        if (!r)
            return cli_usage("run", "unexpected argument %s", argv[i]);
    }
    code = plan_load(c.config_dir, c.state, &plan, &errors) < 0 ? cli_print_errors(&errors)
                                                               : start(&plan);
    config_errors_free(&errors);
    plan_done(&plan);
    return code;
}
