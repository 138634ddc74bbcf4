/* postern/plugin.h: what a plugin is.
 *
 * A plugin is one shared object that exports one constant descriptor. One loop, one thread: every
 * callback runs on the worker's loop and returns soon; blocking work goes through offload().
 *
 *   static const struct postern_transport_ops transport = { sizeof transport, deliver, cancel };
 *   POSTERN_PLUGIN(my_mailer, .name = "my-mailer", .version = "1.0", .summary = "...",
 *                  .options = options, .settings_size = sizeof(struct settings),
 *                  .open = my_open, .close = my_close, .transport = &transport);
 *
 * Life of an instance: open, then any number of jobs or connections, then drain (take nothing new,
 * finish what you hold), then close. Nothing is ever unloaded or reloaded: a reload is a new
 * process. */
#ifndef POSTERN_PLUGIN_H
#define POSTERN_PLUGIN_H

#include <postern/directory.h>
#include <postern/option.h>
#include <postern/services.h>
#include <postern/types.h>

struct postern_ingress_ops {
    size_t size;
    /* A connection that the host took on the plugin's behalf (`postern send -bs`). The stream is
     * the plugin's from now on. <0: not taken, the host closes it. NULL: it takes none. */
    int (*attach)(void *self, postern_stream *stream);
};

struct postern_transport_ops {
    size_t size;
    /* A job: deliver one message to recipients that share a next hop. 0: mine, I settle each
     * recipient exactly once, from here or later. <0 (-errno): not taken, the host defers it. */
    int (*deliver)(void *self, postern_job *job);
    /* Give up on that job: settle what is left before you return. */
    void (*cancel)(void *self, postern_job *job);
};

/* What a check may know of the gateway that it is for. */
struct postern_facts {
    size_t      size;
    const char *hostname; /* server.hostname                                                     */
    const char *user;     /* whom workers run as, by name; NULL: whoever starts the gateway      */
    uint32_t    uid;      /* of that user, or of whoever checks; (uint32_t)-1: there is no such  */
    uint32_t    reserved;
};

/* One answer of inspect: a JSON object in UTF-8, borrowed during the call. */
typedef void postern_inspect_put(void *ctx, const char *json, size_t len);

struct postern_plugin {
    size_t                       size;
    size_t                       option_size; /* sizeof(struct postern_option), as compiled       */
    size_t                       settings_size;
    uint32_t                     abi_major, abi_minor;
    const char                  *name; /* as in {"plugin": "name"}: lower case, digits, '-'       */
    const char                  *version;
    const char                  *summary; /* one line                                             */
    const struct postern_option *options; /* NULL: takes no settings                              */

    /* Checks what options mean together, without any effect: no files are made, no names resolved.
     * <0: not valid; write what is wrong into why. NULL: nothing to check. Called by `postern
     * check` and before open. */
    int (*check)(const void *settings, char *why, size_t why_size);

    /* settings: constant, alive until close. <0: cannot run (say why with log). */
    int (*open)(postern_host *, const struct postern_services *, const void *settings,
                void **ret_self);
    void (*drain)(void *self); /* NULL: nothing to do                                             */
    void (*close)(void *self); /* every job is settled by now; let go of everything               */

    const struct postern_ingress_ops   *ingress; /* one pointer a capability; NULL: not ours      */
    const struct postern_transport_ops *transport;

    /* Since 1.1. The same as check, and called after it, for what depends on the gateway. */
    int (*check_facts)(const struct postern_facts *, const void *settings, char *why,
                       size_t why_size);

    uint64_t flags; /* POSTERN_PLUGIN_*; since 1.1                                                */

    const struct postern_directory_ops *directory; /* since 1.1                                   */

    /* Since 1.1. What an operator may know of an instance with these settings: one object for each
     * thing that there is, `what` names one of them (NULL: all). Called in the operator's process,
     * for an instance that runs or does not: reads files, and has no effect. 0 or -errno. */
    int (*inspect)(const void *settings, const char *what, postern_inspect_put *put, void *ctx);

    /* Since 1.1. Names of the params (job_param) that the transport understands; NULL ends them.
     * The aliases of the gateway hand over a "command", a "file", or a "list" with its "members"
     * and "owner": only to a transport that names what it gets. */
    const char *const *params;
};

/* Everything that this plugin writes is the value of an option that says so (POSTERN_OPT_WRITES),
 * or it writes nothing; and what it reads is the value of a PATH option, or belongs to the system
 * (/etc, /usr). With server.sandbox at its default, workers are locked in when all their plugins
 * say this. Not for one that runs commands of the operator's: those share the plugin's fate. */
#define POSTERN_PLUGIN_PATHS 1u

/* Its transport asks for no next hop: by this road mail leaves for nowhere. Explanations of a route
 * then do not speak of any. */
#define POSTERN_PLUGIN_NO_NEXT_HOP 2u

/* The one exported symbol. mod: the module's file name with every character that is not a letter or
 * digit as '_' (libltdl's convention: it finds postern_plugin behind that prefix, and modules can
 * also be linked statically together). */
#define POSTERN_PLUGIN(mod, ...)                                                                   \
    POSTERN_API extern const struct postern_plugin mod##_LTX_postern_plugin;                       \
    POSTERN_API const struct postern_plugin        mod##_LTX_postern_plugin = {                    \
        .size = sizeof(struct postern_plugin),                                              \
        .option_size = sizeof(struct postern_option),                                       \
        .abi_major = POSTERN_ABI_MAJOR,                                                     \
        .abi_minor = POSTERN_ABI_MINOR,                                                     \
        __VA_ARGS__}

#endif
