/* daemon/probe.c: validating a configuration in a process of its own, where plugins are loaded and
 * asked. It may die, or never end, and takes nobody with it; the supervisor goes on watching
 * meanwhile. */
#include "daemon/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/mem.h"

#define PROBE_SECONDS 60u
#define PROBE_MAX     (4u << 20) /* bytes of an answer: at its longest, a hundred errors */

struct probe {
    pid_t pid;
    int out;
    struct event *ev;
    struct loop_timer *late;
    struct buf text;
    const char *killed; /* why we ended it; NULL: it ends by itself */
    probe_done *done;
    void *ctx;
};

static void become_probe(const char *program, int snapshot_fd, int out)
{
    char snapshot[32];
    char *argv[] = { (char *)program, (char[]){ "worker" }, (char[]){ "--probe" }, snapshot, NULL };
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody would hear its answer */
    snprintf(snapshot, sizeof snapshot, "--snapshot=%d", snapshot_fd);
    fcntl(snapshot_fd, F_SETFD, 0);
    dup2(out, STDOUT_FILENO);
    execv(program, argv);
    _exit(127);
}

static void end_it(struct probe *p, const char *why)
{
    if (!p->killed)
        kill(p->pid, SIGKILL); /* its end comes as SIGCHLD */
    p->killed = why;
}

static void on_late(void *ctx)
{
    struct probe *p = ctx;

    p->late = NULL;
    end_it(p, "it took more than a minute; a plugin may not come back from its start");
}

static void read_more(struct probe *p)
{
    ssize_t n;

    do {
        buf_reserve(&p->text, 65536);
        n = read(p->out, p->text.data + p->text.len, 65536);
        if (n > 0)
            p->text.len += (size_t)n;
        if (p->text.len > PROBE_MAX) {
            end_it(p, "what came back is too long to be an answer");
            return;
        }
    } while (n > 0 || (n < 0 && errno == EINTR));
    if (n == 0) /* nothing more comes, and the event would say so again and again */
        event_del(p->ev);
}

static void on_output(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    read_more(arg);
}

int probe_start(struct loop *loop, const char *program, int snapshot_fd, probe_done *done,
                void *ctx, struct probe **ret)
{
    struct probe *p;
    int out[2], saved;
    pid_t pid;

    if (pipe2(out, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    pid = fork();
    if (pid == 0) {
        fcntl(out[1], F_SETFL, 0); /* our end only must not wait */
        become_probe(program, snapshot_fd, out[1]);
    }
    saved = errno;
    close(out[1]);
    if (pid < 0) {
        close(out[0]);
        return -saved;
    }
    p = mem_zalloc(sizeof *p);
    p->pid = pid;
    p->out = out[0];
    p->done = done;
    p->ctx = ctx;
    p->ev = event_new(loop_base(loop), p->out, EV_READ | EV_PERSIST, on_output, p);
    event_add(p->ev, NULL);
    p->late = loop_after(loop, PROBE_SECONDS * 1000000ull, on_late, p);
    *ret = p;
    return 0;
}

/* The answer, or NULL with why there is none. New reference. */
static json_t *take_answer(struct probe *p, int status, char *why, size_t why_size)
{
    json_t *answer = NULL;
    json_error_t e;

    if (!p->killed)
        read_more(p);
    if (!p->killed && p->text.len)
        answer = json_loadb(p->text.data, p->text.len, 0, &e);
    if (answer)
        return answer;
    if (p->killed)
        snprintf(why, why_size, "the configuration could not be validated: %s", p->killed);
    else if (WIFSIGNALED(status))
        snprintf(why, why_size, "a plugin died when it was loaded (signal %d)", WTERMSIG(status));
    else
        snprintf(why, why_size,
                 "the configuration could not be validated: the process that was to do it ended "
                 "with %d and without an answer",
                 WEXITSTATUS(status));
    return NULL;
}

int probe_gone(struct probe *p, pid_t pid, int status)
{
    char why[256] = "";
    json_t *answer;

    if (pid != p->pid)
        return 0;
    answer = take_answer(p, status, why, sizeof why);
    p->pid = 0;
    p->done(p->ctx, answer, why); /* which may free p */
    json_decref(answer);
    return 1;
}

void probe_free(struct probe **pp)
{
    struct probe *p = *pp;

    if (!p)
        return;
    *pp = NULL;
    if (p->pid)
        kill(p->pid, SIGKILL);
    event_free(p->ev);
    loop_cancel(&p->late);
    close(p->out);
    buf_free(&p->text);
    free(p);
}
