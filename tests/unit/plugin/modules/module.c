/* Modules for test-load.c: one sound plugin, and, by a macro each, one with each kind of fault. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <postern/plugin.h>

struct settings {
    const char *greeting;
    int64_t port;
};

/* clang-format off */
static const struct postern_option options[] = {
    POSTERN_OPT(struct settings, greeting, POSTERN_OPT_STRING, .doc = "What to say first."),
    POSTERN_OPT(struct settings, port, POSTERN_OPT_INT, .min = 1, .max = 65535,
#ifdef BAD_TABLE
        .dflt = "70000",
#else
        .dflt = "25",
#endif
        .doc = "Port of the next hop."),
    { 0 },
};
/* clang-format on */

/* Vetting must not run a plugin's code: whoever calls these too early ends the test. */
static int check(const void *settings, char *why, size_t why_size)
{
    const struct settings *s = settings;

#ifdef ONLY_DATA
    abort();
#endif
    if (s->port != 13)
        return 0;
    snprintf(why, why_size, "port 13 brings bad luck");
    return -EINVAL;
}

static int open_it(postern_host *host, const struct postern_services *services,
                   const void *settings, void **ret_self)
{
    abort();
}

static void close_it(void *self)
{
    abort();
}

#ifdef INGRESS
static const struct postern_ingress_ops ingress = { .size = sizeof ingress };
#define CAPABILITY .ingress = &ingress
#else
static int deliver(void *self, postern_job *job)
{
    abort();
}

static void cancel(void *self, postern_job *job)
{
    abort();
}

static const struct postern_transport_ops transport = { sizeof transport, deliver, cancel };
#ifdef NO_CAPABILITY
#define CAPABILITY .drain = NULL
void *postern_test_unused = (void *)&transport;
#else
#define CAPABILITY .transport = &transport
#endif
#endif

#ifdef UNRESOLVED
int postern_test_function_that_is_nowhere(void);
POSTERN_API int postern_test_call(void);
POSTERN_API int postern_test_call(void)
{
    return postern_test_function_that_is_nowhere();
}
#endif

#ifdef NO_DESCRIPTOR
extern const struct postern_plugin something_else;
#define SYMBOL something_else
#else
#define SYMBOL_OF_(mod) mod##_LTX_postern_plugin
#define SYMBOL_OF(mod)  SYMBOL_OF_(mod)
#define SYMBOL          SYMBOL_OF(MODULE)
#endif
#ifdef BAD_PARAMS
static const char *const params[] = { "command", "user=", NULL };
#else
static const char *const params[] = { "command", NULL };
#endif
#ifndef ABI
#define ABI POSTERN_ABI_MAJOR, POSTERN_ABI_MINOR
#endif

/* By hand rather than by POSTERN_PLUGIN, which leaves no room for mistakes. */
POSTERN_API extern const struct postern_plugin SYMBOL;
POSTERN_API const struct postern_plugin SYMBOL = {
    sizeof(struct postern_plugin),
    sizeof(struct postern_option),
    sizeof(struct settings),
    ABI,
    .name = NAME,
    .version = "1.2",
    .summary = "For the tests of the loader.",
    .options = options,
    .check = check,
    .open = open_it,
    .close = close_it,
    CAPABILITY,
    .params = params,
};
