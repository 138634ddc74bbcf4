/* plan.c: see plan.h.
 *
 * What came from outside goes into arguments as it is, since no shell ever reads them, with one
 * exception: an argument that would begin with "-" because of it would be an option to many
 * programs. */
#include "plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHELL        "/bin/sh"
#define PATH_DEFAULT "PATH=/usr/local/bin:/usr/bin:/bin"
#define VALUE_MAX    (POSTERN_ADDRESS_MAX + 1)

/* --- placeholders --- */

enum value_kind {
    VALUE_RECIPIENT,
    VALUE_USER,
    VALUE_EXTENSION,
    VALUE_LOCAL,
    VALUE_DOMAIN,
    VALUE_ORIGINAL,
    VALUE_SENDER,
    VALUE_CLIENT,
    VALUE_CLIENT_ADDRESS,
    VALUE_ID,
    VALUE_SIZE,
    VALUE_FILE
};

static const struct {
    const char *name;
    int each;    /* has another value for each recipient        */
    int outside; /* somebody else's words: may begin with a "-" */
} values[] = {
    [VALUE_RECIPIENT] = { "recipient", 1, 1 },
    [VALUE_USER] = { "user", 1, 1 },
    [VALUE_EXTENSION] = { "extension", 1, 1 },
    [VALUE_LOCAL] = { "local", 1, 1 },
    [VALUE_DOMAIN] = { "domain", 1, 1 },
    [VALUE_ORIGINAL] = { "original_recipient", 1, 1 },
    [VALUE_SENDER] = { "sender", 0, 1 },
    [VALUE_CLIENT] = { "client", 0, 1 },
    [VALUE_CLIENT_ADDRESS] = { "client_address", 0, 1 },
    [VALUE_ID] = { "id", 0, 0 },
    [VALUE_SIZE] = { "size", 0, 0 },
    [VALUE_FILE] = { "file", 0, 0 },
};
#define VALUES (sizeof values / sizeof *values)

static int kind_of(const char *name)
{
    for (size_t i = 0; i < VALUES; i++) {
        if (!strcmp(values[i].name, name))
            return (int)i;
    }
    return -ENOENT;
}

int plan_knows(const char *name)
{
    return kind_of(name) >= 0;
}

/* "host.example [192.0.2.7]" as two; what has no brackets is all name. */
static void client_parts(const char *client, char name[VALUE_MAX], char address[VALUE_MAX])
{
    const char *open = strrchr(client, '['), *close = open ? strchr(open, ']') : NULL;
    size_t len = close ? (size_t)(open - client) : strlen(client);

    while (len && client[len - 1] == ' ')
        len--;
    postern_text_clean(client, len, name, VALUE_MAX);
    address[0] = '\0';
    if (close)
        postern_text_clean(open + 1, (size_t)(close - open - 1), address, VALUE_MAX);
}

static const char *sender_of(const struct plan_from *f)
{
    return *f->sender ? f->sender : f->set->null_sender;
}

static int recipient_value(const struct plan_from *f, size_t i, enum value_kind kind,
                           char buf[VALUE_MAX])
{
    struct postern_recipient r;
    const char *why = "", *v = "";

    if (postern_recipient_parse(f->rcpts[i].address, f->set->delimiters, &r, &why) < 0)
        return -EINVAL;
    switch (kind) {
    case VALUE_RECIPIENT:
        v = f->rcpts[i].address;
        break;
    case VALUE_USER:
        v = r.user;
        break;
    case VALUE_EXTENSION:
        v = r.extension;
        break;
    case VALUE_LOCAL:
        v = r.local;
        break;
    case VALUE_DOMAIN:
        v = r.domain;
        break;
    default:
        v = f->rcpts[i].original;
        break;
    }
    return snprintf(buf, VALUE_MAX, "%s", v);
}

static int message_value(const struct plan_from *f, enum value_kind kind, char buf[VALUE_MAX])
{
    char name[VALUE_MAX], address[VALUE_MAX];

    client_parts(f->client, name, address);
    switch (kind) {
    case VALUE_SENDER:
        return snprintf(buf, VALUE_MAX, "%s", sender_of(f));
    case VALUE_CLIENT:
        return snprintf(buf, VALUE_MAX, "%s", name);
    case VALUE_CLIENT_ADDRESS:
        return snprintf(buf, VALUE_MAX, "%s", address);
    case VALUE_ID:
        return snprintf(buf, VALUE_MAX, "%s", f->id);
    case VALUE_SIZE:
        return snprintf(buf, VALUE_MAX, "%llu", (unsigned long long)f->size);
    default:
        return f->file ? snprintf(buf, VALUE_MAX, "%s", f->file) : -ENOENT;
    }
}

struct expansion {
    const struct plan_from *from;
    size_t rcpt;
    int each, outside; /* out: a placeholder of that sort was there */
};

static int value(void *ctx, const char *name, const char *argument, char *buf, size_t size)
{
    struct expansion *x = ctx;
    char text[VALUE_MAX];
    int kind = argument ? -ENOENT : kind_of(name), n;

    if (kind < 0)
        return -ENOENT;
    x->each |= values[kind].each;
    x->outside |= values[kind].outside;
    n = values[kind].each ? recipient_value(x->from, x->rcpt, kind, text)
                          : message_value(x->from, kind, text);
    if (n < 0)
        return n;
    if ((size_t)n >= sizeof text || (size_t)n > size)
        return -ENOBUFS;
    memcpy(buf, text, (size_t)n);
    return n;
}

/* --- the plan's memory --- */

static char *take(struct plan *p, const char *text)
{
    size_t len = strlen(text) + 1;
    char *at = p->text + p->used;

    if (len > sizeof p->text - p->used)
        return NULL;
    memcpy(at, text, len);
    p->used += len;
    return at;
}

static int add_arg(struct plan *p, char *arg)
{
    if (!arg || p->argc == PLAN_ARGS_MAX)
        return -E2BIG;
    p->argv[p->argc++] = arg;
    return 0;
}

/* --- arguments --- */

static void refuse(struct problem *reterr, int r, const char *text)
{
    if (r == -EPERM)
        problem_set(reterr, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, STATUS(5, 1, 3),
                    "an address that begins with \"-\" is not given to a command");
    else if (r == -EINVAL || r == -ENOENT)
        problem_set(reterr, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5),
                    "the command has a placeholder that means nothing here, in \"%.200s\"", text);
    else
        problem_set(reterr, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5),
                    "the command and its arguments are too long (%u bytes and %u words at most)",
                    PIPE_TEXT_MAX, PLAN_ARGS_MAX);
}

static int expand_for(struct plan *p, struct expansion *x, const char *word)
{
    char *at = p->text + p->used;
    int n = postern_template_expand(word, value, x, at, sizeof p->text - p->used, NULL);

    if (n < 0)
        return n;
    if (*at == '-' && *word == '{' && x->outside && !x->from->set->allow_dash)
        return -EPERM;
    p->used += (size_t)n + 1;
    return add_arg(p, at);
}

/* A word with something of a recipient in it comes once for each of them. */
static int expand(struct plan *p, const struct plan_from *f, const char *word)
{
    struct expansion x = { .from = f };
    int r = expand_for(p, &x, word);

    for (size_t i = 1; !r && x.each && i < f->n; i++) {
        x.rcpt = i;
        r = expand_for(p, &x, word);
    }
    return r;
}

/* The program, the file, and all the rest as one word. */
static int arguments_p1(struct plan *p, const char *file, const char *rest)
{
    char *first = take(p, file), *second = *rest ? take(p, rest) : NULL;
    int r = p->argc == 1 ? add_arg(p, first) : -EINVAL;

    return !r && *rest ? add_arg(p, second) : r;
}

static int command_p1(struct plan *p, const struct plan_from *f)
{
    char rest[PIPE_ALIAS_MAX] = "";
    size_t words = p->argc, len = 0;

    for (size_t i = 1; i < words; i++) {
        int n = snprintf(rest + len, sizeof rest - len, "%s%s", i > 1 ? " " : "", p->argv[i]);

        if (n < 0 || (size_t)n >= sizeof rest - len)
            return -E2BIG;
        len += (size_t)n;
    }
    p->argc = 1;
    return arguments_p1(p, f->file, rest);
}

static int option_arguments(struct plan *p, const struct plan_from *f, struct problem *reterr)
{
    const struct postern_strings *words = &f->set->command;
    int r = 0;

    for (size_t i = 0; i < words->n && !r; i++) {
        r = expand(p, f, words->v[i]);
        if (r < 0)
            refuse(reterr, r, words->v[i]);
    }
    if (!r && f->set->message == MESSAGE_P1) {
        r = command_p1(p, f);
        if (r < 0)
            refuse(reterr, r, words->v[0]);
    }
    return r;
}

/* The text goes to the shell as it was written, and only that: addresses are parameters of it. */
static int shell_arguments(struct plan *p, const struct plan_from *f, struct problem *reterr)
{
    const char *const head[] = { SHELL, "-c", f->set->command.v[0], "postern" };
    int r = 0;

    for (size_t i = 0; i < sizeof head / sizeof *head && !r; i++)
        r = add_arg(p, take(p, head[i]));
    for (size_t i = 0; i < f->n && !r; i++) {
        const char *address = f->rcpts[i].address;

        r = *address == '-' && !f->set->allow_dash ? -EPERM : add_arg(p, take(p, address));
    }
    if (r < 0)
        refuse(reterr, r, "shell");
    return r;
}

/* --- the command of an alias --- */

static int refuse_program(const struct plan_from *f, const char *program, struct problem *reterr)
{
    const char *folder = f->set->alias_folder;

    if (folder ? *program && *program != '.' && !strchr(program, '/') : *program == '/')
        return 0;
    problem_set(reterr, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5),
                folder
                    ? "the alias names the command \"%.200s\", expected the name of a program in "
                      "alias_folder, without a path"
                    : "the alias names the command \"%.200s\", expected the full path of a "
                      "program",
                program);
    return -EPERM;
}

static int alias_program(struct plan *p, const struct plan_from *f, char *program,
                         struct problem *reterr)
{
    char path[4096];
    int n, r = refuse_program(f, program, reterr);

    if (r < 0)
        return r;
    n = f->set->alias_folder ? snprintf(path, sizeof path, "%s/%s", f->set->alias_folder, program)
                             : snprintf(path, sizeof path, "%s", program);
    if (n < 0 || (size_t)n >= sizeof path || add_arg(p, take(p, path)) < 0) {
        refuse(reterr, -E2BIG, program);
        return -E2BIG;
    }
    return 0;
}

static int alias_arguments(struct plan *p, const struct plan_from *f, struct problem *reterr)
{
    char text[PIPE_ALIAS_MAX], *words[PIPE_ARGS_MAX];
    size_t len = strlen(f->alias);
    int n, r;

    n = len < sizeof text ? 0 : -E2BIG;
    if (!n) {
        memcpy(text, f->alias, len + 1);
        n = words_split(text, words, PIPE_ARGS_MAX);
    }
    if (n < 0) {
        problem_set(reterr, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5),
                    "the command of the alias %s: \"%.200s\"",
                    n == -E2BIG        ? "is too long"
                        : n == -ENOENT ? "is empty"
                                       : "has a quote that is not closed",
                    f->alias);
        return n;
    }
    r = alias_program(p, f, words[0], reterr);
    if (r < 0)
        return r;
    if (f->set->message == MESSAGE_P1) {
        r = arguments_p1(p, f->file, words_rest(f->alias));
        if (r < 0)
            refuse(reterr, r, f->alias);
        return r;
    }
    for (int i = 1; i < n && !r; i++) {
        r = expand(p, f, words[i]);
        if (r < 0)
            refuse(reterr, r, words[i]);
    }
    return r;
}

/* --- the environment --- */

/* The operator's word counts, whatever we would have said. */
static int is_overridden(const struct settings *set, const char *name, size_t len)
{
    for (size_t i = 0; i < set->environment.n; i++) {
        if (!strncmp(set->environment.v[i], name, len) && set->environment.v[i][len] == '=')
            return 1;
    }
    return 0;
}

static int add_env(struct plan *p, const struct plan_from *f, const char *name, const char *text)
{
    char line[VALUE_MAX + 128], clean[VALUE_MAX];

    if (is_overridden(f->set, name, strlen(name)))
        return 0;
    postern_text_clean(text, strlen(text), clean, sizeof clean);
    snprintf(line, sizeof line, "%s=%s", name, clean);
    p->envp[p->envc] = take(p, line);
    return p->envp[p->envc++] ? 0 : -E2BIG;
}

static int recipient_env(struct plan *p, const struct plan_from *f)
{
    static const struct {
        const char *name;
        enum value_kind kind;
    } vars[] = {
        { "RECIPIENT", VALUE_RECIPIENT }, { "ORIGINAL_RECIPIENT", VALUE_ORIGINAL },
        { "LOCAL", VALUE_LOCAL },         { "DOMAIN", VALUE_DOMAIN },
        { "EXTENSION", VALUE_EXTENSION },
    };
    char text[VALUE_MAX];
    int r = 0;

    for (size_t i = 0; i < sizeof vars / sizeof *vars && !r; i++) {
        if (recipient_value(f, 0, vars[i].kind, text) >= 0 && *text)
            r = add_env(p, f, vars[i].name, text);
    }
    return r;
}

static int message_env(struct plan *p, const struct plan_from *f)
{
    char client[VALUE_MAX], address[VALUE_MAX], size[32];
    int r = add_env(p, f, "SENDER", sender_of(f));

    client_parts(f->client, client, address);
    snprintf(size, sizeof size, "%llu", (unsigned long long)f->size);
    r = r ? r : add_env(p, f, "QUEUE_ID", f->id);
    r = r ? r : add_env(p, f, "SIZE", size);
    if (!r && *client && *address) /* his own word for it; nobody has asked the DNS */
        r = add_env(p, f, "CLIENT_HELO", client);
    if (!r && *address)
        r = add_env(p, f, "CLIENT_ADDRESS", address);
    if (!r && f->file)
        r = add_env(p, f, "FILE", f->file);
    return r;
}

static int environment(struct plan *p, const struct plan_from *f)
{
    int r = 0;

    if (!is_overridden(f->set, "PATH", 4))
        p->envp[p->envc++] = take(p, PATH_DEFAULT);
    r = add_env(p, f, "SHELL", SHELL);
    r = r ? r : add_env(p, f, "HOME", f->account->home);
    r = r ? r : add_env(p, f, "USER", f->account->name);
    r = r ? r : add_env(p, f, "LOGNAME", f->account->name);
    r = r ? r : message_env(p, f);
    if (!r && f->n == 1)
        r = recipient_env(p, f);
    for (size_t i = 0; i < f->set->environment.n && !r; i++) {
        p->envp[p->envc] = take(p, f->set->environment.v[i]);
        r = p->envp[p->envc++] ? 0 : -E2BIG;
    }
    return r;
}

int plan_make(const struct plan_from *f, struct plan **ret, struct problem *reterr)
{
    struct plan *p = malloc(sizeof *p);
    int r;

    if (!p) {
        problem_errno(reterr, ENOMEM, "start", "the command");
        return -ENOMEM;
    }
    p->argc = p->envc = p->used = 0;
    if (f->alias)
        r = alias_arguments(p, f, reterr);
    else if (f->set->shell)
        r = shell_arguments(p, f, reterr);
    else
        r = option_arguments(p, f, reterr);
    if (!r) {
        r = environment(p, f);
        if (r < 0)
            refuse(reterr, r, "environment");
    }
    if (r < 0) {
        free(p);
        return r;
    }
    p->argv[p->argc] = NULL;
    p->envp[p->envc] = NULL;
    p->path = p->argv[0];
    *ret = p;
    return 0;
}
