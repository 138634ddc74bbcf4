/* daemon/last_words.c: what a worker still says when it stands still, or dies.
 *
 * Everything here runs in signal handlers: write(2) and nothing that takes a lock or memory. The
 * death itself is left to whom it belonged before (the kernel and its core file, a sanitizer and
 * its report): the handler only goes first. */
#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "daemon/worker.h"
#include "log/log.h"

#define LAST_STACK_BYTES 65536u /* for handlers when the stack itself has run out */
#define LAST_FRAMES      64

static const int fatal[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGSYS, SIGTRAP };
#define FATAL_N (sizeof fatal / sizeof *fatal)

static struct sigaction before[FATAL_N]; /* what was in force for each of them */
static char spare_stack[LAST_STACK_BYTES];

/* The supervisor asks where we are when the loop stands still. backtrace() was called once before,
 * so that nothing is loaded or allocated here. */
static void on_stack_wanted(int sig)
{
    static const char head[] = "postern: this worker stands still; its stack:\n";
    void *frames[LAST_FRAMES];
    int saved = errno;

    (void)sig;
    if (write(log_fd(), head, sizeof head - 1) > 0)
        backtrace_symbols_fd(frames, backtrace(frames, LAST_FRAMES), log_fd());
    errno = saved;
}

static void on_fatal(int sig, siginfo_t *info, void *context)
{
    (void)context;
    log_last_words();
    for (size_t i = 0; i < FATAL_N; i++) {
        if (fatal[i] == sig)
            sigaction(sig, &before[i], NULL);
    }
    /* What the processor found wrong is found wrong again, at the same instruction. What somebody
     * has sent (abort(3), the supervisor's watchdog) has to be sent again. */
    if (info->si_code <= 0)
        raise(sig);
}

static void prepare_stack(void)
{
    stack_t now = { .ss_sp = NULL };
    stack_t spare = { .ss_sp = spare_stack, .ss_size = sizeof spare_stack };

    if (!sigaltstack(NULL, &now) && (now.ss_flags & SS_DISABLE)) /* a sanitizer brings its own */
        sigaltstack(&spare, NULL);
}

void worker_last_words(void)
{
    struct sigaction wanted = { .sa_handler = on_stack_wanted, .sa_flags = SA_RESTART };
    struct sigaction dying = { .sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    void *frame[1];

    backtrace(frame, 1);
    sigaction(SIGUSR2, &wanted, NULL);
    prepare_stack();
    for (size_t i = 0; i < FATAL_N; i++)
        sigaction(fatal[i], &dying, &before[i]);
}
