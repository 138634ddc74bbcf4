/* cli/common.c: what the verbs share. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/mem.h"

void cli_common_init(struct cli_common *c)
{
    const char *dir = getenv("POSTERN_CONFIG"), *state = getenv("POSTERN_STATE");

    *c = (struct cli_common){ .state = state && *state ? state : NULL };
    if (dir && *dir)
        c->config_dir = dir;
    else if (!c->state && !access(SYSCONFDIR "/postern/conf.d", F_OK))
        c->config_dir = SYSCONFDIR "/postern/conf.d";
}

int cli_value(const char *name, int argc, char **argv, int *i, const char **ret)
{
    size_t len = strlen(name);

    if (strncmp(argv[*i], name, len))
        return 0;
    if (argv[*i][len] == '=') {
        *ret = argv[*i] + len + 1;
        return 1;
    }
    if (argv[*i][len])
        return 0;
    if (*i + 1 >= argc) {
        fprintf(stderr, "postern: %s needs a value\n", name);
        return -1;
    }
    *ret = argv[++*i];
    return 1;
}

int cli_common_option(struct cli_common *c, int argc, char **argv, int *i)
{
    int r = cli_value("--config", argc, argv, i, &c->config_dir);

    if (r)
        return r;
    if (!strcmp(argv[*i], "--json")) {
        c->json = 1;
        return 1;
    }
    return 0;
}

char *cli_strip_brackets(const char *text)
{
    size_t len = strlen(text);

    if (len >= 2 && text[0] == '<' && text[len - 1] == '>')
        return mem_strndup(text + 1, len - 2);
    return mem_strdup(text);
}

int cli_error(int code, const char *fmt, ...)
{
    va_list ap;

    fputs("postern: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return code;
}

int cli_usage(const char *verb, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "postern %s: ", verb);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nTry 'postern help'.\n");
    return EX_USAGE;
}

int cli_print_errors(const struct config_errors *e)
{
    int unreadable = 0;

    for (size_t i = 0; i < e->n; i++) {
        fprintf(stderr, "postern: %s\n", e->lines[i]);
        unreadable |= strstr(e->lines[i], "can't be read") != NULL;
    }
    return unreadable ? EX_NOINPUT : EX_CONFIG;
}

int cli_load_config(const struct cli_common *c, struct config **ret)
{
    struct config_errors errors = { 0 };
    int code = 0;

    if (config_load(c->config_dir, c->state, ret, &errors) < 0 || errors.n) {
        code = cli_print_errors(&errors);
        config_free(ret);
    }
    config_errors_free(&errors);
    return code;
}

int cli_load_control(const struct cli_common *c, struct config **ret, size_t *ret_broken)
{
    struct config_errors errors = { 0 };
    int code = 0;

    config_load(c->config_dir, c->state, ret, &errors);
    *ret_broken = errors.n;
    if (!*ret)
        code = cli_print_errors(&errors);
    config_errors_free(&errors);
    return code;
}

void cli_note_broken(const struct config *cfg, size_t broken)
{
    if (broken)
        fprintf(stderr,
                "postern: the configuration in %s has errors ('postern check' shows them); all "
                "that was taken from it is control.socket: %s\n",
                cfg->source, cfg->control.socket);
}

int cli_no_arguments(struct cli_common *c, int argc, char **argv)
{
    cli_common_init(c);
    for (int i = 1; i < argc; i++) {
        int r = cli_common_option(c, argc, argv, &i);

        if (r < 0)
            return EX_USAGE;
        if (!r)
            return cli_usage(argv[0], "unexpected argument %s", argv[i]);
    }
    return EX_OK;
}
