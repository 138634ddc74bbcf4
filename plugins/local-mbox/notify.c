/* notify.c: see notify.h.
 *
 * Without a shell: each word of the command is one argument, whatever a sender calls himself. As
 * root, the command runs as the user whose mail it is, and not at all where nobody knows who that
 * is. */
#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <postern/delivery.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/spawn.h"

struct notice { /* one command, from its start to its end */
    LIST_ENTRY(notice) link;
    struct notify *n;
    struct account account;
    pid_t pid;
    int pidfd, starting, stopped;
    uint64_t watch, timer;
    const char *what; /* failed at starting it */
    char *argv[NOTIFY_ARGS_MAX + 1];
    char text[NOTIFY_TEXT_MAX];
};

static char *const environment[] = { (char[]){ "PATH=/usr/local/bin:/usr/bin:/bin" },
                                     (char[]){ "LANG=C.UTF-8" }, NULL };

/* --- the words --- */

static int value(void *ctx, const char *name, const char *argument, char *buf, size_t size)
{
    const struct notify_mail *m = ctx;
    const char *text = !strcmp(name, "user") ? m->user->name
        : !strcmp(name, "recipient")         ? m->rcpt
        : !strcmp(name, "sender")            ? m->sender
        : !strcmp(name, "folder")            ? (*m->folder ? m->folder : "INBOX")
        : !strcmp(name, "mailbox")           ? m->user->path
        : !strcmp(name, "id")                ? m->id
                                             : NULL;
    size_t n;

    if (!text || argument)
        return -ENOENT;
    n = strlen(text);
    if (n > size)
        return -ENOBUFS;
    memcpy(buf, text, n);
    return (int)n;
}

/* A word that only by its value looks like an option would be taken for one. */
static int fill_in(struct notice *run, const struct settings *set, const struct notify_mail *mail)
{
    size_t used = 0;

    for (size_t i = 0; i < set->notify.n; i++) {
        const char *word = set->notify.v[i];
        int n = postern_template_expand(word, value, (void *)(uintptr_t)mail, run->text + used,
                                        sizeof run->text - used, NULL);

        if (n < 0)
            return n;
        run->argv[i] = run->text + used;
        if (*run->argv[i] == '-' && *word != '-')
            return -EPERM;
        used += (size_t)n + 1;
    }
    return 0;
}

int notify_check(const struct settings *set, char *why, size_t why_size)
{
    static const struct user user = { .name = "u", .path = "/p" };
    const struct notify_mail mail = { "1", "s@d", "u@d", &user, "" };
    char text[NOTIFY_TEXT_MAX];

    if (!set->notify.n)
        return 0;
    if (*set->notify.v[0] != '/' || strchr(set->notify.v[0], '{')) {
        snprintf(why, why_size, "notify: found \"%s\", expected a program's absolute path",
                 set->notify.v[0]);
        return -EINVAL;
    }
    for (size_t i = 0; i < set->notify.n; i++) {
        if (postern_template_expand(set->notify.v[i], value, (void *)(uintptr_t)&mail, text,
                                    sizeof text, NULL) < 0) {
            snprintf(why, why_size,
                     "notify: \"%s\" may have {user}, {recipient}, {sender}, {folder}, {mailbox} "
                     "and {id} in it",
                     set->notify.v[i]);
            return -EINVAL;
        }
    }
    return 0;
}

/* --- its life --- */

static void notice_free(struct notice *run)
{
    const struct notify *n = run->n;

    n->svc->forget(n->host, run->watch);
    n->svc->forget(n->host, run->timer);
    if (run->pidfd >= 0)
        close(run->pidfd);
    LIST_REMOVE(run, link);
    run->n->n--;
    free(run);
}

static void reap(struct notice *run, siginfo_t *ret)
{
    memset(ret, 0, sizeof *ret);
    while (waitid(P_PIDFD, (id_t)run->pidfd, ret, WEXITED) < 0 && errno == EINTR)
        ;
}

static void say(const struct notice *run, const char *why)
{
    run->n->svc->log(run->n->host, POSTERN_LOG_WARNING, "notify.failed", "command=%s why=%s",
                     POSTERN_LOG_QUOTED(run->n->set->notify.v[0]), POSTERN_LOG_QUOTED(why));
}

static void ended(void *ctx, unsigned events)
{
    struct notice *run = ctx;
    char why[64];
    siginfo_t end;

    (void)events;
    reap(run, &end);
    if (run->stopped)
        say(run, "it took longer than notify_timeout");
    else if (end.si_code != CLD_EXITED || end.si_status) {
        snprintf(why, sizeof why, "it ended with %s %d",
                 end.si_code == CLD_EXITED ? "code" : "signal", end.si_status);
        say(run, why);
    }
    notice_free(run);
}

static void stop(void *ctx, int result)
{
    struct notice *run = ctx;

    (void)result;
    run->timer = 0;
    run->stopped = 1;
    kill(-run->pid, SIGKILL); /* its group, which it leads; the pidfd becomes ready */
}

static void started(void *ctx, int result)
{
    struct notice *run = ctx;
    const struct notify *n = run->n;
    char why[128];
    siginfo_t end;
    int r = result;

    run->starting = 0;
    if (r < 0) {
        snprintf(why, sizeof why, "cannot %s it: %s", run->what, strerror(-r));
        say(run, why);
        notice_free(run);
        return;
    }
    r = n->svc->watch(n->host, run->pidfd, POSTERN_READ, ended, run, &run->watch);
    if (!r)
        r = n->svc->after(n->host, (uint64_t)n->set->notify_timeout, stop, run, &run->timer);
    if (r < 0) {
        kill(-run->pid, SIGKILL);
        reap(run, &end);
        say(run, strerror(-r));
        notice_free(run);
    }
}

static int start(void *ctx)
{
    struct notice *run = ctx;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), r;
    struct spawn s = {
        .path = run->argv[0],
        .argv = run->argv,
        .envp = environment,
        .cwd = "/",
        .umask = 077,
        .in = null,
        .out = null,
        .account = &run->account,
    };
    const char *path; /* it is named by whoever reads run->what */

    run->what = "prepare";
    if (null < 0)
        return -errno;
    r = spawn_start(&s, &run->pid, &run->pidfd, &run->what, &path);
    close(null);
    return r;
}

/* 0, or -EPERM: nobody knows as whom. */
static int find_account(struct notice *run, const struct user *user)
{
    if (geteuid() != 0)
        return 0;
    if (!user->known)
        return -EPERM;
    run->account = (struct account){ .other = user->uid != 0,
                                     .uid = user->uid,
                                     .gid = user->gid,
                                     .groups = { user->gid },
                                     .group_n = 1 };
    return 0;
}

static struct notice *notice_new(struct notify *n, const struct notify_mail *mail,
                                 const char **reterr_why)
{
    struct notice *run = calloc(1, sizeof *run);

    if (!run) {
        *reterr_why = "memory is out";
        return NULL;
    }
    run->n = n;
    run->pidfd = -1;
    *reterr_why = NULL;
    if (find_account(run, mail->user) < 0)
        *reterr_why = "the worker is root, and the mailbox has no user to run the command as";
    else if (fill_in(run, n->set, mail) < 0)
        *reterr_why = "an argument is too long, or looks like an option";
    if (*reterr_why) {
        free(run);
        return NULL;
    }
    return run;
}

void notify_send(struct notify *n, const struct notify_mail *mail)
{
    const char *why = "too many of these commands run already";
    struct notice *run;

    if (!n->set->notify.n)
        return;
    run = n->n < NOTIFY_MAX ? notice_new(n, mail, &why) : NULL;
    if (run) {
        LIST_INSERT_HEAD(&n->running, run, link);
        n->n++;
        run->starting = 1;
        if (n->svc->offload(n->host, start, started, run) == 0)
            return;
        notice_free(run);
        why = "no thread is free";
    }
    n->svc->log(n->host, POSTERN_LOG_NOTICE, "notify.skipped", "id=%s to=%s why=\"%s\"", mail->id,
                POSTERN_LOG_QUOTED(mail->rcpt), why);
}

void notify_init(struct notify *n, postern_host *host, const struct postern_services *svc,
                 const struct settings *set)
{
    *n = (struct notify){ .host = host, .svc = svc, .set = set };
    LIST_INIT(&n->running);
}

/* One that a thread is still starting (the host lets threads end first, so there should be none) is
 * left to it. */
void notify_done(struct notify *n)
{
    struct notice *run, *next;

    for (run = LIST_FIRST(&n->running); run; run = next) {
        siginfo_t end;

        next = LIST_NEXT(run, link);
        if (run->starting)
            continue;
        kill(-run->pid, SIGKILL);
        reap(run, &end);
        notice_free(run);
    }
}
