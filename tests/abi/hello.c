/* The README's first plugin, to the letter (tests/abi/check-readme compares them). Whatever the ABI
 * consists of is reachable from its descriptor, so its DWARF is what abidiff watches. */
#include <postern/postern.h>

struct settings {
    const char *greeting;
};

static const struct postern_option options[] = {
    POSTERN_OPT(struct settings, greeting, POSTERN_OPT_STRING, .dflt = "hello",
                .doc = "What is said to each recipient."),
    { .key = NULL },
};

struct self {
    postern_host *host;
    const struct postern_services *sv;
    const struct settings *settings;
};
static struct self the_one; /* a real plugin allocates one an instance */

static int hello_open(postern_host *host, const struct postern_services *sv, const void *settings,
                      void **ret_self)
{
    the_one = (struct self){ host, sv, settings };
    *ret_self = &the_one;
    return 0;
}

static void hello_close(void *self)
{
    (void)self;
}

static int hello_deliver(void *ctx, postern_job *job)
{
    struct self *self = ctx;
    struct postern_outcome ok = {
        .size = sizeof ok, .fate = POSTERN_DELIVERED, .status = { 2, 0, 0 }, .diagnostic = "greeted"
    };
    size_t n = self->sv->job_rcpts(job);

    for (size_t i = 0; i < n; i++) {
        self->sv->log(self->host, POSTERN_LOG_INFO, "hello.greeted", "id=%s text=%s",
                      self->sv->job_id(job), self->settings->greeting);
        self->sv->job_settle(job, i, &ok);
    }
    return 0;
}

static void hello_cancel(void *self, postern_job *job)
{
    (void)self;
    (void)job;
}

static const struct postern_transport_ops transport = { sizeof transport, hello_deliver,
                                                        hello_cancel };

POSTERN_PLUGIN(hello, .name = "hello", .version = "1.0", .summary = "Greets instead of delivering.",
               .options = options, .settings_size = sizeof(struct settings), .open = hello_open,
               .close = hello_close, .transport = &transport);
