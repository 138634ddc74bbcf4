/* check.c: what options mean together. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "plan.h"

struct complaint {
    char *why;
    size_t size;
};

POSTERN_PRINTF(2, 3)
static int wrong(const struct complaint *c, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(c->why, c->size, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

/* --- the command --- */

struct seen {
    int file, message;
};

static int look(void *ctx, const char *name, const char *argument, char *buf, size_t size)
{
    struct seen *s = ctx;
    int is_file = !strcmp(name, "file");

    (void)buf;
    (void)size;
    s->file |= is_file;
    return argument || !plan_knows(name) || (is_file && s->message != MESSAGE_FILE) ? -ENOENT : 0;
}

static int check_words(const struct settings *set, const struct complaint *c)
{
    struct seen s = { .message = (int)set->message };
    const char *at;

    for (size_t i = 0; i < set->command.n; i++) {
        if (postern_template_expand(set->command.v[i], look, &s, NULL, 0, &at) < 0)
            return wrong(c,
                         "command: found \"%.60s\", expected one of {recipient} {user} {extension} "
                         "{local} {domain} {original_recipient} {sender} {client} {client_address} "
                         "{id} {size}%s; write \"{{\" for a brace",
                         at,
                         set->message == MESSAGE_FILE ? " {file}"
                                                      : " ({file} with \"message\": \"file\")");
    }
    if (set->message == MESSAGE_FILE && !s.file)
        return wrong(c, "command: \"message\" is \"file\", and no argument says {file}");
    if (strchr(set->command.v[0], '{'))
        return wrong(c, "command: the program itself cannot be a placeholder");
    return 0;
}

/* Anything of the kind would put somebody's address into a program text. */
static int check_shell(const struct settings *set, const struct complaint *c)
{
    const char *text, *p;
    char name[POSTERN_TEMPLATE_NAME_MAX];

    if (set->command.n != 1)
        return wrong(c, "shell: command has %zu items, expected one text for the shell",
                     set->command.n);
    if (set->message == MESSAGE_P1)
        return wrong(c, "shell: \"message\": \"p1\" makes arguments, and a shell's text has none");
    text = set->command.v[0];
    for (p = strchr(text, '{'); p; p = strchr(p + 1, '{')) {
        size_t len = strcspn(p + 1, "}");

        if (len >= sizeof name || !p[len + 1])
            continue;
        memcpy(name, p + 1, len);
        name[len] = '\0';
        if (plan_knows(name))
            return wrong(
                c,
                "shell: command has {%s} in it, and addresses are never put into a shell's "
                "text: use its variables, in double quotes, such as \"$RECIPIENT\" or "
                "\"$@\"",
                name);
    }
    return 0;
}

static int check_command(const struct settings *set, const struct complaint *c)
{
    if (!set->command.n)
        return set->allow_alias_commands && !set->shell
            ? 0
            : wrong(c, "command is missing%s",
                    set->shell ? ": there is nothing for the shell"
                               : " (only with allow_alias_commands can it be)");
    if (set->shell)
        return check_shell(set, c);
    if (set->command.v[0][0] != '/')
        return wrong(c, "command: found \"%.100s\", expected the full path of a program",
                     set->command.v[0]);
    return check_words(set, c);
}

/* --- the rest --- */

static int check_environment(const struct settings *set, const struct complaint *c)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

    for (size_t i = 0; i < set->environment.n; i++) {
        const char *v = set->environment.v[i];
        size_t len = strspn(v, letters);

        if (!len || v[len] != '=' || (*v >= '0' && *v <= '9'))
            return wrong(c, "environment: found \"%.100s\", expected \"NAME=value\"", v);
    }
    return 0;
}

static int check_paths(const struct settings *set, const struct complaint *c)
{
    const struct {
        const char *key, *path;
    } paths[] = { { "tmp", set->tmp }, { "cwd", set->cwd }, { "alias_folder", set->alias_folder } };

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (paths[i].path && strlen(paths[i].path) >= PIPE_PATH_MAX)
            return wrong(c, "%s: longer than %u bytes", paths[i].key, PIPE_PATH_MAX - 1);
    }
    if (set->alias_folder && !set->allow_alias_commands)
        return wrong(c, "alias_folder means nothing without allow_alias_commands");
    return 0;
}

int pipe_check(const void *settings, char *why, size_t why_size)
{
    const struct settings *set = settings;
    struct complaint c = { why, why_size };
    struct exits exits;
    int r = check_command(set, &c);

    r = r ? r : check_environment(set, &c);
    r = r ? r : check_paths(set, &c);
    if (!r &&
        (strspn(set->umask, "01234567") != strlen(set->umask) || strlen(set->umask) > 4 ||
         !*set->umask))
        r = wrong(&c, "umask: found \"%.20s\", expected an octal number such as \"077\"",
                  set->umask);
    if (!r && set->line_ends == ENDS_CRLF && (set->from_line || set->quote_from))
        r = wrong(&c, "line_ends: an mbox, which from_line and quote_from make, has \"lf\"");
    return r ? r : exits_fill(&set->exit_codes, &exits, why, why_size);
}

int pipe_check_facts(const struct postern_facts *facts, const void *settings, char *why,
                     size_t why_size)
{
    struct account account;

    return account_find(settings, facts->uid, &account, why, why_size);
}
