/* daemon/sandbox.c: see sandbox.h.
 *
 * Only files are guarded: a mail gateway has to connect to anywhere, and what it may bind was bound
 * before. A kernel without Landlock, or with its first version, is no failure unless the operator
 * said so. */
#include "daemon/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log/log.h"
#include "util/cleanup.h"

enum sandbox_wish { WISH_AUTO, WISH_ON, WISH_OFF }; /* the choices of server.sandbox, in order */

int sandbox_decide(const struct config *cfg, unsigned kernel_abi, char *why, size_t why_size)
{
    const char *silent = sandbox_undeclared(cfg);

    if (cfg->server.sandbox == WISH_OFF) {
        snprintf(why, why_size, "server.sandbox is \"off\"");
        return 0;
    }
    if (kernel_abi < SANDBOX_ABI_LEAST) {
        snprintf(why, why_size, "this kernel offers version %u of Landlock, and %u is needed",
                 kernel_abi, SANDBOX_ABI_LEAST);
        return cfg->server.sandbox == WISH_ON ? -ENOTSUP : 0;
    }
    if (cfg->server.sandbox == WISH_AUTO && silent) {
        snprintf(why, why_size, "the plugin of \"%s\" does not say where it writes", silent);
        return 0;
    }
    return 1;
}

#if defined SYS_landlock_create_ruleset && __has_include(<linux/landlock.h>)
#include <linux/landlock.h>

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ull << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ull << 14)
#endif

#define READS \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define CHANGES \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | \
     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | \
     LANDLOCK_ACCESS_FS_REFER)
#define NEVER (LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK)
#define OF_A_FILE \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | \
     LANDLOCK_ACCESS_FS_TRUNCATE)
#define TRUNCATE_SINCE 3u

struct rules {
    int fd;
    unsigned abi;
    unsigned folders; /* that may be written */
    int error;        /* of the first rule that was refused */
};

static unsigned kernel_abi(void)
{
    long r = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    return r > 0 ? (unsigned)r : 0;
}

static uint64_t truncates(const struct rules *s)
{
    return s->abi >= TRUNCATE_SINCE ? LANDLOCK_ACCESS_FS_TRUNCATE : 0;
}

/* What is not there needs no rule: 0. */
static int add_rule(struct rules *s, const char *path, uint64_t access)
{
    AUTO_CLOSE int fd = open(path, O_PATH | O_CLOEXEC);
    struct landlock_path_beneath_attr rule = { .allowed_access = access, .parent_fd = fd };
    struct stat st;

    if (fd < 0 || fstat(fd, &st))
        return 0;
    if (!S_ISDIR(st.st_mode))
        rule.allowed_access &= OF_A_FILE;
    if (!syscall(SYS_landlock_add_rule, s->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
        return 1;
    if (!s->error)
        s->error = errno;
    return 0;
}

/* A folder that is to be written is made if it is missing, as plugins do at their first start:
 * inside there is no way to make it any more. */
static void add_folder(void *ctx, const char *path, enum sandbox_access access)
{
    struct rules *s = ctx;

    if (access == SANDBOX_READ) {
        add_rule(s, path, READS);
        return;
    }
    if (!mkdir(path, 0755))
        log_event(POSTERN_LOG_NOTICE, "worker", "sandbox.folder", "made=%s", log_q(path));
    if (add_rule(s, path, (READS & ~LANDLOCK_ACCESS_FS_EXECUTE) | CHANGES | truncates(s)))
        s->folders++;
    else
        log_event(POSTERN_LOG_WARNING, "worker", "sandbox.folder",
                  "path=%s text=\"it is not there, and can't be written before the next reload\"",
                  log_q(path));
}

static void add_system(struct rules *s)
{
    static const char *const read[] = { "/usr",         "/lib",        "/lib32", "/lib64",
                                        "/libx32",      "/bin",        "/sbin",  "/etc",
                                        "/run",         "/proc",       "/sys",   "/dev/random",
                                        "/dev/urandom", "/var/lib/sss" };
    static const char *const write[] = { "/dev/null", "/dev/zero", "/dev/full" };

    for (size_t i = 0; i < sizeof read / sizeof *read; i++)
        add_rule(s, read[i], READS);
    for (size_t i = 0; i < sizeof write / sizeof *write; i++)
        add_rule(s, write[i], READS | LANDLOCK_ACCESS_FS_WRITE_FILE | truncates(s));
}

/* 0 or -errno with why in words. */
static int restrict_self(const struct plan *plan, unsigned abi, char *why, size_t why_size)
{
    struct rules s = { .abi = abi };
    struct landlock_ruleset_attr all = { .handled_access_fs =
                                             READS | CHANGES | NEVER | truncates(&s) };
    AUTO_CLOSE int fd =
        (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all.handled_access_fs, 0);
    int r;

    if (fd < 0) {
        r = -errno;
        snprintf(why, why_size, "Landlock: %s", strerror(-r));
        return r;
    }
    s.fd = fd;
    add_system(&s);
    r = sandbox_paths(plan, add_folder, &s, why, why_size);
    if (r < 0)
        return r;
    if (!s.error && syscall(SYS_landlock_restrict_self, fd, 0))
        s.error = errno;
    if (s.error) {
        snprintf(why, why_size, "Landlock: %s", strerror(s.error));
        return -s.error;
    }
    log_event(POSTERN_LOG_INFO, "worker", "sandbox.on", "landlock=%u writable=%u", abi, s.folders);
    return 0;
}

#else

static unsigned kernel_abi(void)
{
    return 0; /* built where nobody knew of it */
}

static int restrict_self(const struct plan *plan, unsigned abi, char *why, size_t why_size)
{
    (void)plan;
    (void)abi;
    snprintf(why, why_size, "this program was built without Landlock");
    return -ENOTSUP;
}

#endif

int sandbox_enter(const struct plan *plan, unsigned *ret_abi, char *why, size_t why_size)
{
    unsigned abi = kernel_abi();
    int r = sandbox_decide(plan->config, abi, why, why_size);

    *ret_abi = 0;
    if (r > 0) {
        r = restrict_self(plan, abi, why, why_size);
        if (!r) {
            *ret_abi = abi;
            return 0;
        }
    }
    if (r < 0 && plan->config->server.sandbox == WISH_ON)
        return r;
    log_event(POSTERN_LOG_INFO, "worker", "sandbox.off", "why=%s", log_q(why));
    return 0;
}
