/* cli/check_user.c: what root can read and the workers can't. They read some files when they have
 * become server.user: maps when they start, alias files again and again. A process that becomes
 * him, too, looks at all that once more. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/check.h"
#include "daemon/drop.h"
#include "plugin/plugin.h"
#include "route/alias.h"

/* What the child writes: lines, the first letter of which says what kind they are. */
#define LINE_ERROR   'e'
#define LINE_WARNING 'w'
#define ANSWER_MAX   1048576u

static void put_lines(FILE *out, char kind, const struct config_errors *lines)
{
    for (size_t i = 0; i < lines->n; i++)
        fprintf(out, "%c%s\n", kind, lines->lines[i]);
}

/* In the child. What was good as root is good but for the permissions. */
static void look(struct config *cfg, FILE *out)
{
    struct plugin_catalog *catalog = plugin_catalog_new();
    struct config_errors errors = { 0 };
    struct alias_report report = { 0 };
    struct alias_set *set = NULL;

    plugin_resolve(catalog, cfg, &errors);
    put_lines(out, LINE_ERROR, &errors);
    if (alias_set_load(&cfg->aliases, NULL, &set, &report) == 1)
        alias_set_unref(&set);
    put_lines(out, LINE_WARNING, &report.errors);
    put_lines(out, LINE_WARNING, &report.warnings);
    config_errors_free(&errors);
    alias_report_done(&report);
    plugin_catalog_free(&catalog);
}

static void child(struct config *cfg, int fd)
{
    FILE *out = fdopen(fd, "w");
    char why[512];

    if (!out)
        _exit(1);
    if (drop_privileges(&cfg->server, why, sizeof why) < 0)
        fprintf(out, "%c%s#/server/user: %s\n", LINE_ERROR, cfg->source, why);
    else
        look(cfg, out);
    _exit(fclose(out) ? 1 : 0);
}

/* Root was warned of it, too. */
static int is_known(const struct config_errors *lines, const char *line, size_t len)
{
    for (size_t i = 0; i < lines->n; i++) {
        if (strlen(lines->lines[i]) == len && !memcmp(lines->lines[i], line, len))
            return 1;
    }
    return 0;
}

static void take_line(const struct config *cfg, const char *line, size_t len,
                      struct config_errors *errors, struct config_errors *warnings)
{
    const int is_error = *line == LINE_ERROR;

    if (is_known(warnings, line + 1, len - 1))
        return;
    config_error(is_error ? errors : warnings, NULL, NULL, "%.*s (as server.user, %s%s)",
                 (int)len - 1, line + 1, cfg->server.user,
                 is_error ? ""
                          : ": it is read once, when a worker starts, and changes do not count");
}

static void take_answer(const struct config *cfg, const struct buf *answer,
                        struct config_errors *errors, struct config_errors *warnings)
{
    const char *p = answer->data, *end = p + answer->len;

    while (p < end) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));

        if (!stop)
            break;
        if (stop > p)
            take_line(cfg, p, (size_t)(stop - p), errors, warnings);
        p = stop + 1;
    }
}

static void read_answer(int fd, struct buf *ret)
{
    ssize_t n;

    do {
        buf_reserve(ret, 4096);
        n = read(fd, ret->data + ret->len, 4096);
        if (n > 0)
            ret->len += (size_t)n;
    } while ((n > 0 && ret->len < ANSWER_MAX) || (n < 0 && errno == EINTR));
}

void cli_check_user(struct config *cfg, struct config_errors *errors,
                    struct config_errors *warnings)
{
    struct buf answer = { 0 };
    int ends[2], status;
    pid_t pid;

    if (!cfg->server.user || geteuid() != 0 || pipe(ends) < 0)
        return;
    pid = fork();
    if (pid == 0) {
        close(ends[0]);
        child(cfg, ends[1]);
    }
    close(ends[1]);
    if (pid > 0) {
        read_answer(ends[0], &answer);
        if (answer.len)
            take_answer(cfg, &answer, errors, warnings);
    }
    close(ends[0]);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status))
        config_error(warnings, NULL, NULL,
                     "what server.user, %s, can read could not be looked at: no process for it",
                     cfg->server.user);
    buf_free(&answer);
}
