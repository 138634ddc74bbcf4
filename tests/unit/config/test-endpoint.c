/* Endpoints: which texts are addresses to listen on, and what is said of those that are not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "config/engine.h"

static void good_endpoints_pass(void **state)
{
    static const char *const good[] = {
        "127.0.0.1:25", "0.0.0.0:65535",    "192.0.2.1:0", "[::1]:25",
        "[::]:2525",    "[2001:db8::1]:25", "unix:/run/x",
    };
    const char *why = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (config_listen_check(good[i], &why))
            print_error("%s: %s\n", good[i], why);
        assert_int_equal(config_listen_check(good[i], &why), 0);
    }
    assert_null(why);
}

static void bad_endpoints_are_told_why(void **state)
{
    static const struct {
        const char *text, *why;
    } bad[] = {
        { "",
          "that is not an IPv4 address before the port (for all addresses: \"0.0.0.0:PORT\" or "
          "\"[::]:PORT\")" },
        { "25",
          "that is not an IPv4 address before the port (for all addresses: \"0.0.0.0:PORT\" "
          "or \"[::]:PORT\")" },
        { "*:25",
          "that is not an IPv4 address before the port (for all addresses: "
          "\"0.0.0.0:PORT\" or \"[::]:PORT\")" },
        { "localhost:25",
          "that is not an IPv4 address before the port (for all addresses: "
          "\"0.0.0.0:PORT\" or \"[::]:PORT\")" },
        { "1.2.3:25",
          "that is not an IPv4 address before the port (for all addresses: "
          "\"0.0.0.0:PORT\" or \"[::]:PORT\")" },
        { "1.2.3.4", "the port is missing" },
        { "1.2.3.4:", "the port is missing" },
        { "1.2.3.4:smtp", "the port is not a number" },
        { "1.2.3.4:-1", "the port is not a number" },
        { "1.2.3.4:65536", "the port is larger than 65535" },
        { "1.2.3.4:99999999999999999999999", "the port is larger than 65535" },
        { "[::1]", "the port is missing" },
        { "[::1]25", "the port is missing" },
        { "[::1:25", "the closing bracket is missing" },
        { "[1.2.3.4]:25", "that is not an IPv6 address between the brackets" },
        { "[::1%lo]:25", "that is not an IPv6 address between the brackets" },
        { "::1:25", "an IPv6 address wants brackets: \"[2001:db8::1]:25\"" },
        { "unix:run/x", "the path of a unix: socket must be absolute" },
        { "unix:", "the path of a unix: socket must be absolute" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *why = "";

        if (!config_listen_check(bad[i].text, &why))
            print_error("%s\n", bad[i].text);
        assert_int_equal(config_listen_check(bad[i].text, &why), -EINVAL);
        assert_string_equal(why, bad[i].why);
    }
}

static void a_socket_path_has_the_length_that_the_kernel_takes(void **state)
{
    char text[5 + 108 + 1] = "unix:/";
    const char *why = NULL;

    (void)state;
    memset(text + 6, 'x', 106); /* 107 bytes with the slash, and a NUL: sun_path is full */
    assert_int_equal(config_listen_check(text, &why), 0);
    text[6 + 106] = 'x';
    assert_int_equal(config_listen_check(text, &why), -EINVAL);
    assert_string_equal(why, "the path of a unix: socket is limited to 107 bytes");
}

static void a_name_server_needs_no_port(void **state)
{
    const char *why;

    (void)state;
    assert_int_equal(config_server_check("127.0.0.1", &why), 0);
    assert_int_equal(config_server_check("127.0.0.1:5353", &why), 0);
    assert_int_equal(config_server_check("::1", &why), 0);
    assert_int_equal(config_server_check("[::1]", &why), 0);
    assert_int_equal(config_server_check("[::1]:53", &why), 0);
    assert_int_equal(config_server_check("unix:/x", &why), -EINVAL);
    assert_int_equal(config_server_check("ns.example.com", &why), -EINVAL);
    assert_int_equal(config_server_check("127.0.0.1:", &why), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_endpoints_pass),
        cmocka_unit_test(bad_endpoints_are_told_why),
        cmocka_unit_test(a_socket_path_has_the_length_that_the_kernel_takes),
        cmocka_unit_test(a_name_server_needs_no_port),
    };

    return cmocka_run_group_tests_name("config/endpoint", tests, NULL, NULL);
}
