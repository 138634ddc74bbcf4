/* What is put into a filter stays a value; what cannot work is refused; a server that is not there
 * is told of in words. The rest needs a server: tests/system/test_directories.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../../plugins/ldap/filter.h"
#include "../../fake/fakehost.h"

extern const struct postern_plugin ldap_LTX_postern_plugin;

static void complain(void *ctx, const char *what)
{
    (void)ctx;
    fail_msg("%s", what);
}

static void expect_filter(const char *text, const char *key, const char *expected)
{
    struct filter_values v = { key, "Local*", "example.com" };
    char got[256];

    assert_int_equal(filter_expand(text, &v, got, sizeof got), strlen(expected));
    assert_string_equal(got, expected);
}

static void what_was_asked_is_a_value_and_never_a_filter(void **state)
{
    (void)state;
    expect_filter("(uid={key})", "ann", "(uid=ann)");
    expect_filter("(uid={key})", "*)(uid=*", "(uid=\\2a\\29\\28uid=\\2a)");
    expect_filter("(uid={key})", "\\2a", "(uid=\\5c2a)");
    expect_filter("(uid={key})", "{local}", "(uid={local})");
    expect_filter("(|(a={local})(b={domain}))", "x", "(|(a=Local\\2a)(b=example.com))");
    expect_filter("(uid={key})", "j\xc3\xbcrgen\n\x7f", "(uid=j\\c3\\bcrgen\\0a\\7f)");
}

static void no_byte_of_a_value_can_end_it(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++) {
        char key[2] = { (char)c, 0 }, got[16];
        struct filter_values v = { key, "", "" };
        int n = filter_expand("({key})", &v, got, sizeof got);

        assert_true(n == 3 || n == 5);
        got[n - 1] = '\0';
        assert_null(strpbrk(got + 1, "()*"));
        if (n == 3)
            assert_int_not_equal(c, '\\');
    }
}

static void what_does_not_fit_or_does_not_exist_is_an_error(void **state)
{
    struct filter_values v = { "***", "", "" };
    char got[16];

    (void)state;
    assert_int_equal(filter_expand("(uid={key})", &v, got, 12), -ENOBUFS);
    assert_int_equal(filter_expand("(uid={user})", &v, got, sizeof got), -EINVAL);
    assert_int_equal(filter_expand("(uid={key", &v, got, sizeof got), -EINVAL);
    assert_int_equal(filter_expand("(uid={key:x})", &v, got, sizeof got), -EINVAL);
}

static void expect_refused(const char *const set[][2], const char *why)
{
    struct fakehost *h = fakehost_new();

    fakehost_on_failure(h, complain, NULL);
    fakehost_set(h, "uris", "ldap://127.0.0.1:1");
    fakehost_set(h, "base", "dc=x");
    for (size_t i = 0; set[i][0]; i++)
        fakehost_set(h, set[i][0], set[i][1]);
    assert_int_equal(fakehost_open(h, &ldap_LTX_postern_plugin), -EINVAL);
    if (!strstr(fakehost_why(h), why))
        fail_msg("found \"%s\", expected \"%s\"", fakehost_why(h), why);
    fakehost_close(&h);
}
#define SET(...) \
    (const char *const[][2]) \
    { \
        __VA_ARGS__, \
        { \
            NULL, NULL \
        } \
    }

static void settings_that_cannot_work_are_refused_in_words(void **state)
{
    (void)state;
    expect_refused(SET({ "bind_dn", "" }), "nothing to ask for");
    expect_refused(SET({ "user_filter", "uid={key}" }), "in brackets");
    expect_refused(SET({ "user_filter", "(uid={key}" }), "do not match");
    expect_refused(SET({ "user_filter", "(uid={key}))(x=y)" }), "do not match");
    expect_refused(SET({ "alias_filter", "(uid={mail})" }), "expected only {key}");
    expect_refused(SET({ "user_filter", "(uid={key})" }, { "uris", "http://x" }), "ldap://host");
    expect_refused(
        SET({ "user_filter", "(uid={key})" }, { "uris", "ldaps://x" }, { "tls", "starttls" }),
        "from the beginning");
    expect_refused(SET({ "user_filter", "(uid={key})" }, { "bind_dn", "cn=x" }), "bind_password");
    expect_refused(SET({ "user_filter", "(uid={key})" }, { "bind_password", "x" }), "bind_dn");
    expect_refused(SET({ "user_filter", "(uid={key})" }, { "tls_key", "/x" }), "tls_certificate");
}

/* A port that nobody listens on, because we hold it without listening. */
static int closed_port(int *ret_fd)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof a;

    *ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(*ret_fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(*ret_fd, (struct sockaddr *)&a, &len), 0);
    return ntohs(a.sin_port);
}

static void a_server_that_is_not_there_is_told_of_once_and_left_alone(void **state)
{
    struct fakehost *h = fakehost_new();
    postern_lookup *l[4];
    char uri[64];
    int fd;

    (void)state;
    fakehost_on_failure(h, complain, NULL);
    snprintf(uri, sizeof uri, "ldap://127.0.0.1:%d", closed_port(&fd));
    fakehost_set(h, "uris", uri);
    fakehost_set(h, "base", "dc=x");
    fakehost_set(h, "user_filter", "(uid={key})");
    fakehost_set(h, "connections", "1");
    assert_int_equal(fakehost_open(h, &ldap_LTX_postern_plugin), 0);
    for (int i = 0; i < 3; i++) /* two of them wait for the only connection */
        l[i] = fakehost_lookup(h, POSTERN_LOOKUP_USER, "ann", NULL, NULL, NULL);
    fakehost_run(h);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fakehost_answer(l[i]), -EAGAIN);
        assert_string_equal(fakehost_values(l[i]), "Can't contact LDAP server");
    }
    l[3] = fakehost_lookup(h, POSTERN_LOOKUP_USER, "bob", NULL, NULL, NULL);
    assert_int_equal(fakehost_answer(l[3]), -EAGAIN); /* at once */
    fakehost_advance(h, 2000000);
    l[3] = fakehost_lookup(h, POSTERN_LOOKUP_USER, "bob", NULL, NULL, NULL);
    assert_int_equal(fakehost_answer(l[3]), 1); /* it is tried again */
    fakehost_run(h);
    assert_int_equal(fakehost_answer(l[3]), -EAGAIN);
    assert_int_equal(fakehost_logged(h, "ldap.down"), 1);
    l[3] = fakehost_lookup(h, POSTERN_LOOKUP_ALIAS, "bob", NULL, NULL, NULL);
    assert_int_equal(fakehost_answer(l[3]), -ENOENT); /* there is no filter for those */
    fakehost_close(&h);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_asked_is_a_value_and_never_a_filter),
        cmocka_unit_test(no_byte_of_a_value_can_end_it),
        cmocka_unit_test(what_does_not_fit_or_does_not_exist_is_an_error),
        cmocka_unit_test(settings_that_cannot_work_are_refused_in_words),
        cmocka_unit_test(a_server_that_is_not_there_is_told_of_once_and_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
