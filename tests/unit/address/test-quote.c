/* Quoting and unquoting local parts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <postern/mail.h>

static void assert_quoted(const char *plain, const char *quoted)
{
    char buf[64];

    assert_int_equal(postern_address_quote(plain, strlen(plain), buf, sizeof buf), strlen(quoted));
    assert_string_equal(buf, quoted);
}

static void assert_unquoted(const char *quoted, const char *plain)
{
    char buf[64];

    assert_int_equal(postern_address_unquote(quoted, strlen(quoted), buf, sizeof buf),
                     strlen(plain));
    assert_string_equal(buf, plain);
}

static void U_22_only_what_needs_quotes_gets_them(void **state)
{
    (void)state;
    assert_quoted("JONES", "JONES");
    assert_quoted("Beth.Jones", "Beth.Jones");
    assert_quoted("user%c%b", "user%c%b");
    assert_quoted("j\xc3\xb6rg", "j\xc3\xb6rg");
    assert_quoted("", "\"\"");
    assert_quoted(".a", "\".a\"");
    assert_quoted("a.", "\"a.\"");
    assert_quoted("a..b", "\"a..b\"");
    assert_quoted("JOE SMITH", "\"JOE SMITH\"");
    assert_quoted("SYSTM1::SMITH", "\"SYSTM1::SMITH\"");
    assert_quoted("MRGATE::\"A1::SMITH\"", "\"MRGATE::\\\"A1::SMITH\\\"\"");
    assert_quoted("a\\b", "\"a\\\\b\"");
    assert_quoted("j\xc3\xb6 b", "\"j\xc3\xb6 b\"");
}

static void what_cannot_stand_in_an_address_is_refused(void **state)
{
    char buf[64];

    (void)state;
    assert_int_equal(postern_address_quote("a\nb", 3, buf, sizeof buf), -EINVAL);
    assert_int_equal(postern_address_quote("a\0b", 3, buf, sizeof buf), -EINVAL);
    assert_int_equal(postern_address_quote("a\x7f", 2, buf, sizeof buf), -EINVAL);
    assert_int_equal(postern_address_quote("a\xff", 2, buf, sizeof buf), -EINVAL);
    assert_int_equal(postern_address_quote("a\xc3", 2, buf, sizeof buf), -EINVAL);
}

static void unquoting_takes_quotes_and_backslashes_off(void **state)
{
    (void)state;
    assert_unquoted("jones", "jones");
    assert_unquoted("\"jones\"", "jones");
    assert_unquoted("\"MRGATE::\\\"A1::SMITH\\\"\"", "MRGATE::\"A1::SMITH\"");
    assert_unquoted("\"\"", "");
    assert_unquoted("", "");
    /* Not what the parser lets through, but nothing may go wrong with it. */
    assert_unquoted("\"", "");
    assert_unquoted("\"a", "a");
    assert_unquoted("\"a\\", "a\\");
}

static void a_buffer_holds_the_text_and_its_nul_or_nothing(void **state)
{
    char buf[8] = "-------";

    (void)state;
    assert_int_equal(postern_address_quote("a b", 3, buf, 6), 5);
    assert_int_equal(postern_address_quote("a b", 3, buf, 5), -ENOBUFS);
    assert_int_equal(postern_address_quote("", 0, buf, 0), -ENOBUFS);
    assert_int_equal(postern_address_unquote("\"ab\"", 4, buf, 3), 2);
    assert_int_equal(postern_address_unquote("\"ab\"", 4, buf, 2), -ENOBUFS);
    assert_int_equal(postern_address_unquote("", 0, buf, 1), 0);
    assert_int_equal(postern_address_unquote("", 0, buf, 0), -ENOBUFS);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* What was quoted parses as a local part, and unquoted is what it was. */
static void check_round_trip(const char *plain, size_t len)
{
    char quoted[80], address[96], back[80];
    struct postern_address parsed;
    int n = postern_address_quote(plain, len, quoted, sizeof quoted);

    if (n < 0) {
        assert_int_equal(n, -EINVAL);
        return;
    }
    memcpy(address, quoted, (size_t)n);
    memcpy(address + n, "@x", 3);
    assert_int_equal(
        postern_address_parse(address, (size_t)n + 2, POSTERN_ADDRESS_UTF8, &parsed, NULL), 0);
    assert_int_equal(parsed.local_len, n);
    assert_int_equal(postern_address_unquote(quoted, (size_t)n, back, sizeof back), len);
    assert_memory_equal(back, plain, len);
}

static void any_text_comes_back_as_it_was(void **state)
{
    static const char alphabet[] = "aB.\"\\ @:%,<>()\xc3\xb6\xe2\x82\xac\x01";
    uint32_t seed = 42, accepted = 0;
    char plain[16];

    (void)state;
    for (int i = 0; i < 200000; i++) {
        size_t len = next_random(&seed) % sizeof plain;
        char buf[64];

        for (size_t k = 0; k < len; k++)
            plain[k] = alphabet[next_random(&seed) % (sizeof alphabet - 1)];
        check_round_trip(plain, len);
        accepted += postern_address_quote(plain, len, buf, sizeof buf) >= 0;
    }
    assert_true(accepted > 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(U_22_only_what_needs_quotes_gets_them),
        cmocka_unit_test(what_cannot_stand_in_an_address_is_refused),
        cmocka_unit_test(unquoting_takes_quotes_and_backslashes_off),
        cmocka_unit_test(a_buffer_holds_the_text_and_its_nul_or_nothing),
        cmocka_unit_test(any_text_comes_back_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
