/* daemon/sandbox.h: a worker locks itself in (Landlock, landlock(7)): from then on it and all that
 * it starts read the system, the program, its plugins and the configuration, and write to the
 * spool and to where its plugins have said that they write, and nowhere else. */
#ifndef DAEMON_SANDBOX_H
#define DAEMON_SANDBOX_H

#include "config/config.h"
#include "daemon/daemon.h"

#define SANDBOX_ABI_LEAST 2u /* the first in which a file can be moved between folders */

enum sandbox_access {
    SANDBOX_READ,
    SANDBOX_WRITE, /* a folder: everything below it */
};

/* 0 when the process is in it (*ret_abi: the version of Landlock), or is to do without (*ret_abi
 * 0): either is logged. -errno with why in words when server.sandbox is "on" and it can't be had.
 * Before the first thread is made: one that exists already would stay outside. */
int sandbox_enter(const struct plan *plan, unsigned *ret_abi, char *why, size_t why_size);

/* The same for a kernel that has that version (0: none): is it to be? 1, or 0 with why not in
 * words; -ENOTSUP likewise when it must be and can't. */
int sandbox_decide(const struct config *cfg, unsigned kernel_abi, char *why, size_t why_size);

/* --- sandbox_paths.c --- */

/* The place of an option that says that its plugin writes there, as a folder that can be opened:
 * up to the first part with a wildcard ("%u", "{user}", "$name", "*"), and for a file, the folder
 * it stands in. NULL: that would be everywhere, or no absolute path. malloc'ed. */
char *sandbox_base(const char *value, uint32_t flags);

typedef void sandbox_each(void *ctx, const char *path, enum sandbox_access access);
/* Everything but the system itself. 0, or -EINVAL with why in words when something that a plugin
 * writes can't be covered. */
int sandbox_paths(const struct plan *plan, sandbox_each *each, void *ctx, char *why,
                  size_t why_size);
/* The name of an enabled instance whose plugin does not say where it writes; NULL: they all do. */
const char *sandbox_undeclared(const struct config *cfg);

#endif
