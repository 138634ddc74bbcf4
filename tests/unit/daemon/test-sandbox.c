/* The sandbox: whether there is to be one, and which places it leaves open. */
#include <dlfcn.h>
#include <errno.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/sandbox.h"
#include "util/buf.h"
#include "util/mem.h"

struct inner {
    const char *file;
};

struct settings {
    const char *folder, *text, *certificate;
    struct postern_strings lists;
    struct postern_objects items;
};

static const struct postern_option inner_table[] = {
    POSTERN_OPT(struct inner, file, POSTERN_OPT_PATH, .flags = POSTERN_OPT_WRITES_FILE,
                .doc = "F."),
    { 0 },
};

static const struct postern_option table[] = {
    POSTERN_OPT(struct settings, folder, POSTERN_OPT_PATH, .flags = POSTERN_OPT_WRITES,
                .doc = "F."),
    POSTERN_OPT(struct settings, text, POSTERN_OPT_STRING, .doc = "T."),
    POSTERN_OPT(struct settings, certificate, POSTERN_OPT_PATH, .doc = "C."),
    POSTERN_OPT(struct settings, lists, POSTERN_OPT_STRINGS, .flags = POSTERN_OPT_WRITES,
                .doc = "L."),
    POSTERN_OPT(struct settings, items, POSTERN_OPT_OBJECTS, .sub = inner_table,
                .sub_size = sizeof(struct inner), .doc = "I."),
    { 0 },
};

struct world {
    struct postern_plugin plugin;
    struct settings settings;
    struct config_instance instance;
    struct config config;
    struct plan plan;
    struct buf read, written; /* " path path" */
};

static int make(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    w->plugin = (struct postern_plugin){ .size = sizeof w->plugin,
                                         .option_size = sizeof(struct postern_option),
                                         .options = table,
                                         .flags = POSTERN_PLUGIN_PATHS };
    w->instance = (struct config_instance){
        .name = "writer", .enabled = 1, .descriptor = &w->plugin, .settings = &w->settings
    };
    w->config.instances = &w->instance;
    w->config.instance_n = 1;
    w->config.source = "(built in)";
    w->config.spool.path = "/spool";
    w->plan.config = &w->config;
    w->plan.catalog = plugin_catalog_new();
    *state = w;
    return 0;
}

static int unmake(void **state)
{
    struct world *w = *state;

    plugin_catalog_free(&w->plan.catalog);
    buf_free(&w->read);
    buf_free(&w->written);
    free(w);
    return 0;
}

static void note(void *ctx, const char *path, enum sandbox_access access)
{
    struct world *w = ctx;

    buf_printf(access == SANDBOX_WRITE ? &w->written : &w->read, " %s", path);
}

static int paths(struct world *w, char *why, size_t size)
{
    buf_clear(&w->read);
    buf_clear(&w->written);
    return sandbox_paths(&w->plan, note, w, why, size);
}

static void expect_base(const char *value, uint32_t flags, const char *expected)
{
    char *base = sandbox_base(value, flags);

    if (expected)
        assert_string_equal(base, expected);
    else
        assert_null(base);
    free(base);
}

static void a_value_is_cut_before_its_first_wildcard(void **state)
{
    (void)state;
    expect_base("/var/mail", POSTERN_OPT_WRITES, "/var/mail");
    expect_base("/var/mail///", POSTERN_OPT_WRITES, "/var/mail");
    expect_base("/var/mail/%u", POSTERN_OPT_WRITES, "/var/mail");
    expect_base("/srv/mail-%d/%u/new", POSTERN_OPT_WRITES, "/srv");
    expect_base("/srv/{domain}/x", POSTERN_OPT_WRITES, "/srv");
    expect_base("/srv/mail/all", POSTERN_OPT_WRITES_FILE, "/srv/mail");
    expect_base("/srv/mail/$user", POSTERN_OPT_WRITES_FILE, "/srv/mail");
}

static void everywhere_is_no_place(void **state)
{
    (void)state;
    expect_base("/", POSTERN_OPT_WRITES, NULL);
    expect_base("//", POSTERN_OPT_WRITES, NULL);
    expect_base("/%u", POSTERN_OPT_WRITES, NULL);
    expect_base("/mbox", POSTERN_OPT_WRITES_FILE, NULL);
    expect_base("mail", POSTERN_OPT_WRITES, NULL);
    expect_base("%h/mail", POSTERN_OPT_WRITES, NULL);
    expect_base("", POSTERN_OPT_WRITES, NULL);
}

static void only_what_is_flagged_is_written(void **state)
{
    struct world *w = *state;
    const char *const lists[] = { "/srv/a/%u", "/srv/b" };
    const struct inner items[] = { { "/srv/c/log" }, { NULL }, { "/srv/d/log" } };
    char why[128];

    w->settings = (struct settings){ .folder = "/srv/mail",
                                     .text = "/srv/text",
                                     .certificate = "/srv/tls/cert.pem",
                                     .lists = { 2, lists },
                                     .items = { 3, items } };
    assert_int_equal(paths(w, why, sizeof why), 0);
    assert_string_equal(w->written.data, " /spool /srv/mail /srv/a /srv/b /srv/c /srv/d");
    assert_non_null(strstr(w->read.data, " /srv/tls"));
    assert_null(strstr(w->read.data, "/srv/text"));
}

static void the_core_s_own_options_are_places_too(void **state)
{
    static const char *const logicals[] = { "LISTS=/srv/vms/lists.dis" };
    struct world *w = *state;
    char why[128];

    w->config.aliases.logicals = (struct postern_strings){ 1, logicals };
    w->config.aliases.user_file = ".aliases";
    assert_int_equal(paths(w, why, sizeof why), 0);
    assert_string_equal(w->written.data, " /spool");
    assert_non_null(strstr(w->read.data, " /srv/vms "));
    assert_non_null(strstr(w->read.data, " /root"));
}

/* The users of the machine; or, while there are some, these. */
static struct passwd *passwd_next, *passwd_end;

struct passwd *getpwent(void)
{
    struct passwd *(*real)(void);

    if (passwd_next)
        return passwd_next < passwd_end ? passwd_next++ : NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "getpwent");
    return real();
}

static void homes_of_the_system_s_users_are_read_where_the_file_is(void **state)
{
    struct world *w = *state;
    char with[] = "/tmp/postern-home-XXXXXX", without[] = "/tmp/postern-home-XXXXXX", why[128];
    char *file;
    struct passwd users[] = { { .pw_uid = 34, .pw_dir = mkdtemp(with) },
                              { .pw_uid = 35, .pw_dir = mkdtemp(without) } };

    file = mem_printf("%s/.aliases", with);
    assert_int_equal(symlink("x", file), 0); /* a link that leads nowhere is no file */
    w->config.aliases.user_file = ".aliases";
    passwd_next = users;
    passwd_end = users + 2;
    assert_int_equal(paths(w, why, sizeof why), 0);
    assert_null(strstr(w->read.data, with));
    unlink(file);
    assert_int_equal(mkdir(file, 0700), 0);
    passwd_next = users;
    assert_int_equal(paths(w, why, sizeof why), 0);
    passwd_next = NULL;
    assert_non_null(strstr(w->read.data, with));
    assert_null(strstr(w->read.data, without));
    rmdir(file);
    rmdir(with);
    rmdir(without);
    free(file);
}

static void a_disabled_instance_opens_nothing(void **state)
{
    struct world *w = *state;
    char why[128];

    w->settings.folder = "/srv/mail";
    w->instance.enabled = 0;
    assert_int_equal(paths(w, why, sizeof why), 0);
    assert_string_equal(w->written.data, " /spool");
}

static void what_can_not_be_covered_is_named(void **state)
{
    struct world *w = *state;
    char why[128] = "";

    w->settings.folder = "/%u";
    assert_int_equal(paths(w, why, sizeof why), -EINVAL);
    assert_string_equal(why, "writer may write anywhere: its \"folder\" is \"/%u\"");
}

static void a_tilde_is_the_homes_of_all(void **state)
{
    struct world *w = *state;
    const char *const lists[] = { "~/Maildir" };
    char why[128];

    w->settings.lists = (struct postern_strings){ 1, lists };
    assert_int_equal(paths(w, why, sizeof why), 0);
    assert_non_null(strstr(w->written.data, " /root")); /* passwd(5) of every machine has that */
    assert_null(strstr(w->written.data, "~"));
    assert_null(strstr(w->written.data, " / "));
    assert_null(strstr(w->written.data, " /usr/sbin")); /* where daemon is said to live */
}

#define DECIDES(wish, abi, expected, words) \
    do { \
        why[0] = '\0'; \
        w->config.server.sandbox = (wish); \
        assert_int_equal(sandbox_decide(&w->config, abi, why, sizeof why), expected); \
        assert_non_null(strstr(why, words)); \
    } while (0)

static void kernel_operator_and_plugins_decide(void **state)
{
    enum { AUTO, ON, OFF };
    struct world *w = *state;
    char why[128];

    DECIDES(AUTO, 7, 1, "");
    DECIDES(AUTO, 2, 1, "");
    DECIDES(AUTO, 1, 0, "version 1 of Landlock, and 2 is needed");
    DECIDES(AUTO, 0, 0, "version 0");
    DECIDES(ON, 7, 1, "");
    DECIDES(ON, 1, -ENOTSUP, "version 1");
    DECIDES(OFF, 7, 0, "\"off\"");
    DECIDES(OFF, 0, 0, "\"off\"");
    w->plugin.flags = 0;
    DECIDES(AUTO, 7, 0, "\"writer\" does not say where it writes");
    DECIDES(ON, 7, 1, "");
    w->instance.enabled = 0;
    DECIDES(AUTO, 7, 1, "");
}

static void a_plugin_of_the_first_abi_says_nothing(void **state)
{
    struct world *w = *state;

    assert_null(sandbox_undeclared(&w->config));
    w->plugin.size = offsetof(struct postern_plugin, flags); /* what stands behind is not its */
    assert_string_equal(sandbox_undeclared(&w->config), "writer");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_value_is_cut_before_its_first_wildcard),
        TEST(everywhere_is_no_place),
        TEST(only_what_is_flagged_is_written),
        TEST(the_core_s_own_options_are_places_too),
        TEST(homes_of_the_system_s_users_are_read_where_the_file_is),
        TEST(a_disabled_instance_opens_nothing),
        TEST(what_can_not_be_covered_is_named),
        TEST(a_tilde_is_the_homes_of_all),
        TEST(kernel_operator_and_plugins_decide),
        TEST(a_plugin_of_the_first_abi_says_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
