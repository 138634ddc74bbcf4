"""Plugins that are compiled for one test, to misbehave in it."""
import os
import subprocess

from .base import TOP

# What it does is in the recipient's local part. TAG tells one build of it from another.
ODD = r"""
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <postern/postern.h>

#ifndef TAG
#define TAG "odd"
#endif

struct settings { int64_t broken; };

static const struct postern_option options[] = {
    POSTERN_OPT(struct settings, broken, POSTERN_OPT_BOOL, .dflt = "false",
                .doc = "Cannot be opened."),
    { .key = NULL },
};

struct self { postern_host *host; const struct postern_services *sv; };
static struct self the_one;

static int odd_open(postern_host *host, const struct postern_services *sv, const void *settings,
                    void **ret_self)
{
    if (((const struct settings *)settings)->broken) {
        sv->log(host, POSTERN_LOG_NOTICE, "odd.open", "why=\"told not to\"");
        return -EIO;
    }
    the_one = (struct self){host, sv};
    *ret_self = &the_one;
    return 0;
}

static void odd_close(void *self) { (void)self; }

static void settle_all(postern_job *job, const struct postern_outcome *o)
{
    size_t n = the_one.sv->job_rcpts(job);

    for (size_t i = 0; i < n; i++)
        the_one.sv->job_settle(job, i, o);
}

static int *volatile nowhere;

static void fall(void) { *nowhere = 1; }

__attribute__((noinline)) int odd_stands_still(void);
int odd_stands_still(void)
{
    for (volatile int i = 1; i; )
        ;
    return 1;
}

static int work(void *ctx)
{
    (void)ctx;
    usleep(200000); /* so that the loop is elsewhere */
    fall();
    return 0;
}

static void worked(void *ctx, int result) { (void)ctx; (void)result; }

static int odd_deliver(void *ctx, postern_job *job)
{
    struct postern_outcome ok = {.size = sizeof ok, .fate = POSTERN_DELIVERED, .status = {2, 0, 0},
                                 .diagnostic = TAG};
    const char *rcpt = the_one.sv->job_rcpt(job, 0);

    (void)ctx;
    the_one.sv->log(the_one.host, POSTERN_LOG_INFO, "odd.takes", "rcpt=%s", rcpt);
    if (!strncmp(rcpt, "crash", 5))
        fall();
    if (!strncmp(rcpt, "loop", 4))
        return odd_stands_still();
    if (!strncmp(rcpt, "thread", 6))
        return the_one.sv->offload(the_one.host, work, worked, NULL);
    if (!strncmp(rcpt, "never", 5))
        return 0;
    if (!strncmp(rcpt, "leak", 4)) {
        volatile char *lost = malloc(64 << 20);

        for (long i = 0; lost && i < 64 << 20; i += 4096)
            lost[i] = 1;
    }
    settle_all(job, &ok);
    return 0;
}

static void odd_cancel(void *self, postern_job *job)
{
    struct postern_outcome later = {.size = sizeof later, .fate = POSTERN_DEFERRED,
                                    .status = {4, 4, 7}, .diagnostic = "given up"};

    (void)self;
    settle_all(job, &later);
}

static const struct postern_transport_ops transport = {sizeof transport, odd_deliver, odd_cancel};

POSTERN_PLUGIN(odd, .name = "odd", .version = "1", .summary = "Misbehaves as it is told.",
               .options = options, .settings_size = sizeof(struct settings), .open = odd_open,
               .close = odd_close, .transport = &transport);
"""


def build(folder, name="odd", source=ODD, tag=None):
    """folder/NAME.so, put there in one piece, as a package manager does."""
    os.makedirs(folder, exist_ok=True)
    code, new = os.path.join(folder, name + ".c"), os.path.join(folder, name + ".new")
    with open(code, "w", encoding="ascii") as file:
        file.write(source)
    defines = [f'-DTAG="{tag}"'] if tag else []
    subprocess.run(["gcc", "-shared", "-fPIC", "-g", "-O1", "-w", *defines,
                    "-I", os.path.join(TOP, "include"), "-o", new, code], check=True)
    os.rename(new, os.path.join(folder, name + ".so"))
    return folder
