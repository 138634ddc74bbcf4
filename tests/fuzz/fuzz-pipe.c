/* Fuzz target: the command of an alias, taken apart without a shell, and an operator's with its
 * placeholders filled in from addresses of strangers.
 *
 * Lines: recipient, original recipient, sender, client, the option's argument, the alias's
 * command. */
#include "../../plugins/pipe/plan.h"
#include "pieces.h"

static char *const program[] = { (char[]){ "/bin/program" }, NULL };

static void check_words(const char *text)
{
    char *copy = strdup(text), *words[16];
    size_t len = strlen(text);
    int n = words_split(copy, words, 16);

    for (int i = 0; i < n; i++) {
        require(words[i] >= copy && words[i] <= copy + len);
        require(words[i] + strlen(words[i]) <= copy + len);
    }
    if (n > 0) {
        const char *rest = words_rest(text);

        require(rest >= text && rest <= text + len);
        require((n > 1) == (*rest != '\0'));
    }
    free(copy);
}

/* Nothing that came from outside is an option, and everything is a string of the plan's own. */
static void check_plan(const struct plan_from *from)
{
    struct problem p = { .fate = 0 };
    struct plan *plan = NULL;
    int r = plan_make(from, &plan, &p);

    require((r < 0) == (p.fate != 0));
    if (r < 0)
        return;
    require(plan->path && plan->argc >= 1 && !plan->argv[plan->argc]);
    require(plan->argc <= PLAN_ARGS_MAX && plan->used <= sizeof plan->text);
    for (size_t i = 0; i < plan->argc; i++)
        require(plan->argv[i] >= plan->text && plan->argv[i] < plan->text + plan->used);
    if (!from->alias && plan->argc > 1)
        require(*plan->argv[1] != '-' || *from->set->command.v[1] != '{');
    free(plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pieces p = pieces_new(data, size, 6);
    const char *command[] = { program[0], p.v[4] };
    struct account account = { .name = "user", .home = "/" };
    struct plan_rcpt rcpts[] = { { p.v[0], p.v[1] }, { p.v[1], p.v[0] } };
    struct settings set = {
        .command = { 2, command },
        .delimiters = "+",
        .null_sender = "MAILER-DAEMON",
        .cwd = "/",
        .alias_folder = size & 1 ? "/bin" : NULL,
        .message = (int64_t)(size % 3),
        .allow_alias_commands = 1,
    };
    struct plan_from from = {
        .set = &set,
        .account = &account,
        .sender = p.v[2],
        .id = "id",
        .client = p.v[3],
        .file = set.message == MESSAGE_STDIN ? NULL : "/tmp/file",
        .size = size,
        .rcpts = rcpts,
        .n = 2,
    };

    check_words(p.v[5]);
    check_plan(&from);
    from.alias = p.v[5];
    check_plan(&from);
    pieces_free(&p);
    return 0;
}
