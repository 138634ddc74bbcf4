/* plugins/pipe: gives messages to a command.
 *
 * One idea: the command gets nothing that it was not promised. No shell between us unless asked
 * for, no descriptor, signal or variable of the worker's, its own process group, limits, and the
 * message as a file that it may read or not. What it says and how it ends is the outcome. */
#include "pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "message.h"
#include "run.h"

/* clang-format off */
#define OPT(member, type, ...) POSTERN_OPT(struct settings, member, POSTERN_OPT_##type, __VA_ARGS__)

static const struct postern_option options[] = {
    OPT(command, STRINGS, .max = PIPE_ARGS_MAX,
        .doc = "The program, by its full path, and its arguments, one an item; no shell is "
               "between. {recipient} {user} {extension} {local} {domain} {original_recipient} "
               "{sender} {client} {client_address} {id} {size} {file} stand for what they say; an "
               "argument with something of a recipient in it comes once for each."),
    OPT(shell, BOOL, .dflt = "false",
        .doc = "Give the one text in command to /bin/sh -c. Dangerous: addresses are chosen by "
               "strangers. They are in variables only, which the text must put into double quotes: "
               "\"$RECIPIENT\", \"$SENDER\", or \"$@\" for all recipients."),
    OPT(per, CHOICE, .choices = "recipient|message", .dflt = "recipient",
        .doc = "One command for each recipient, or one for all that go this way together."),
    OPT(allow_alias_commands, BOOL, .dflt = "false",
        .doc = "Whether the route may name another command (parameter \"command\"), as an alias "
               "with a \"|command arguments\" does. It is taken apart at blanks, '...' and \"...\" "
               "hold together; no shell."),
    OPT(alias_folder, PATH,
        .doc = "Commands of aliases are programs in this folder, named without a path. Without it "
               "they are named by their full path."),
    OPT(message, CHOICE, .choices = "stdin|file|p1", .dflt = "stdin",
        .doc = "How the command gets the message: on its standard input; in a temporary file, "
               "{file}; or in a temporary file that is its first argument, with all other "
               "arguments together as its second. The file is deleted when the command is over, if "
               "it has not done so itself."),
    OPT(tmp, PATH, .dflt = "/tmp", .flags = POSTERN_OPT_WRITES,
        .doc = "The folder of temporary files, and of messages over 1 MiB on their way to a "
               "command."),
    OPT(line_ends, CHOICE, .choices = "lf|crlf", .dflt = "lf",
        .doc = "What ends the lines of the message."),
    OPT(from_line, BOOL, .dflt = "false",
        .doc = "Begin the message with an mbox separator, \"From sender date\", and end it with an "
               "empty line."),
    OPT(quote_from, BOOL, .dflt = "false",
        .doc = "Put a \">\" before lines that begin with \"From \", as in an mbox (mboxrd)."),
    OPT(return_path, BOOL, .dflt = "true",
        .doc = "Begin the header with a Return-Path field."),
    OPT(delivered_to, BOOL, .dflt = "true",
        .doc = "Begin the header with a Delivered-To field when there is one recipient, and return "
               "a message that has that very field already: it goes in circles."),
    OPT(delimiters, STRING, .dflt = "+",
        .doc = "Any of these begins the extension of a local part: \"user+extension\"."),
    OPT(null_sender, STRING, .dflt = "MAILER-DAEMON",
        .doc = "What {sender} and SENDER say of a message without a sender."),
    OPT(allow_dash, BOOL, .dflt = "false",
        .doc = "Whether an address may begin an argument with \"-\". Without it such mail is "
               "returned, since many programs would take it for an option; of a message to "
               "several, the others get it by a command each."),
    OPT(environment, STRINGS, .max = PIPE_ENV_MAX,
        .doc = "Variables for the command, \"NAME=value\", beside and over those that it has: PATH "
               "SHELL HOME USER LOGNAME SENDER RECIPIENT ORIGINAL_RECIPIENT LOCAL DOMAIN EXTENSION "
               "CLIENT_HELO CLIENT_ADDRESS QUEUE_ID SIZE FILE."),
    OPT(user, STRING,
        .doc = "The user that the command runs as; without it, the worker's own, which must not be "
               "root. To become somebody else the worker must be root."),
    OPT(group, STRING,
        .doc = "The group that the command runs as; without it, the user's own."),
    OPT(cwd, PATH, .dflt = "/",
        .doc = "The folder that the command runs in."),
    OPT(writes, STRINGS, .max = 64, .flags = POSTERN_OPT_WRITES,
        .doc = "Folders that the command writes to. They count where workers are locked in "
               "(server.sandbox \"on\"), and their commands with them."),
    OPT(umask, STRING, .dflt = "077",
        .doc = "Its umask, octal."),
    OPT(timeout, DURATION, .dflt = "10m", .min = 10000, .max = POSTERN_DAYS(1),
        .doc = "How long it may take. Then it gets SIGTERM, with all of its process group, and the "
               "message is deferred. Less than server.delivery_deadline: after that the command is "
               "ended in any case."),
    OPT(kill_grace, DURATION, .dflt = "5s", .min = 0, .max = POSTERN_HOURS(1),
        .doc = "How long after that it gets SIGKILL."),
    OPT(cpu_limit, DURATION, .dflt = "0s", .min = 0, .max = POSTERN_DAYS(1),
        .doc = "Processor time that it may use, in whole seconds. 0: any."),
    OPT(memory_limit, SIZE, .dflt = "0", .min = 0, .max = INT64_MAX,
        .doc = "Address space that each of its processes may have. 0: any."),
    OPT(file_limit, SIZE, .dflt = "0", .min = 0, .max = INT64_MAX,
        .doc = "How large the files may be that it writes. 0: any."),
    OPT(process_limit, INT, .dflt = "0", .min = 0, .max = 1000000,
        .doc = "How many processes its user may have, counting all of them on this machine (root "
               "has no limit). 0: any."),
    OPT(concurrency, INT, .dflt = "20", .min = 1, .max = 1000,
        .doc = "Commands that run at the same time, in each worker. Others wait."),
    OPT(exit_codes, STRINGS, .max = 256,
        .doc = "What exit codes mean, where that is not what sysexits.h says: \"99=delivered\", "
               "\"1-9=deferred\", \"EX_NOUSER=failed 5.1.1\", \"signal=failed 5.3.0\" (which is "
               "for 129 to 159 too, a shell's codes for signals)."),
    {.key = NULL},
};
/* clang-format on */

struct sweep { /* looking for what killed workers have left; a thread's */
    const char *folder;
    uid_t uid;
};

static int sweep(void *ctx)
{
    const struct sweep *s = ctx;

    message_sweep(s->folder, s->uid);
    return 0;
}

static void swept(void *ctx, int result)
{
    (void)result;
    free(ctx);
}

static void start_sweep(struct pipe *p)
{
    struct sweep *s = p->set->message == MESSAGE_STDIN ? NULL : malloc(sizeof *s);

    if (!s)
        return;
    s->folder = p->set->tmp;
    s->uid = p->account.uid;
    if (p->svc->offload(p->host, sweep, swept, s) < 0)
        free(s);
}

/* Above 2, so that it can become a child's standard input. */
static int open_null(void)
{
    int low = open("/dev/null", O_RDWR | O_CLOEXEC), fd, err;

    if (low < 0)
        return -errno;
    if (low > 2)
        return low;
    fd = fcntl(low, F_DUPFD_CLOEXEC, 3);
    err = errno;
    close(low);
    return fd < 0 ? -err : fd;
}

static int prepare(struct pipe *p)
{
    char why[512] = "";
    int r = account_find(p->set, geteuid(), &p->account, why, sizeof why);

    if (!r)
        r = exits_fill(&p->set->exit_codes, &p->exits, why, sizeof why);
    if (!r) {
        p->null_fd = open_null();
        if (p->null_fd >= 0)
            return 0;
        r = p->null_fd;
        strcpy(why, "/dev/null cannot be opened");
    }
    p->svc->log(p->host, POSTERN_LOG_ERROR, "pipe.open", "why=%s", POSTERN_LOG_QUOTED(why));
    return r;
}

static int pipe_open(postern_host *host, const struct postern_services *svc, const void *settings,
                     void **ret_self)
{
    struct pipe *p = calloc(1, sizeof *p);
    int r;

    if (!p)
        return -ENOMEM;
    p->host = host;
    p->svc = svc;
    p->set = settings;
    p->umask = (mode_t)strtoul(p->set->umask, NULL, 8);
    TAILQ_INIT(&p->waiting);
    TAILQ_INIT(&p->active);
    r = prepare(p);
    if (r < 0) {
        free(p);
        return r;
    }
    start_sweep(p);
    *ret_self = p;
    return 0;
}

static void fail_all(const struct pipe *p, postern_job *job, const char *text)
{
    struct problem problem;

    problem_set(&problem, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5), "%s", text);
    for (size_t i = 0, n = p->svc->job_rcpts(job); i < n; i++)
        problem_settle(&problem, p->svc, job, i);
}

static int deliver(void *self, postern_job *job)
{
    struct pipe *p = self;
    const char *alias = p->svc->job_param(job, "command");
    size_t n = p->svc->job_rcpts(job);

    if (alias && !p->set->allow_alias_commands) {
        fail_all(p, job, "the route names a command, and allow_alias_commands does not allow that");
        return 0;
    }
    if (!alias && !p->set->command.n) {
        fail_all(p, job, "there is no command, and the route names none");
        return 0;
    }
    run_add(p, job, 0, n, p->set->per == PER_MESSAGE ? n : 1);
    run_pump(p);
    return 0;
}

static void cancel(void *self, postern_job *job)
{
    run_cancel(self, job);
}

static void pipe_close(void *self)
{
    struct pipe *p = self;

    run_end_all(p);
    close(p->null_fd);
    free(p);
}

static const struct postern_transport_ops transport = {
    .size = sizeof transport,
    .deliver = deliver,
    .cancel = cancel,
};

static const char *const params[] = { "command", NULL };

POSTERN_PLUGIN(pipe, .name = "pipe", .version = "0.1.0",
               .summary = "gives messages to a command, without a shell", .options = options,
               .settings_size = sizeof(struct settings), .check = pipe_check, .open = pipe_open,
               .close = pipe_close, .transport = &transport, .check_facts = pipe_check_facts,
               .params = params, .flags = POSTERN_PLUGIN_NO_NEXT_HOP);
