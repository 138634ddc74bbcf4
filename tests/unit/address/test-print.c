/* Addresses printed, domains in both alphabets, and a million addresses there and back. */
#include "foreign-test.h"

#define BOOKS \
    "b\xc3\xbc" \
    "cher.example"

#define STREET \
    "stra\xc3\x9f" \
    "e.example"

static int print(const char *text, uint32_t flags, char *buf, size_t size)
{
    struct postern_address a;
    const uint32_t allow = POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_BARE;

    assert_int_equal(postern_address_parse(text, strlen(text), allow, &a, NULL), 0);
    return postern_address_print(&a, flags, buf, size);
}

static void only_needed_quotes_are_printed(void **state)
{
    static const struct {
        const char *text;
        uint32_t flags;
        const char *printed;
    } cases[] = {
        { "bob@example.org", 0, "bob@example.org" },
        { "\"bob\"@example.org", 0, "bob@example.org" },
        { "\"a b\"@x", 0, "\"a b\"@x" },
        { "\"\\a\"@x", 0, "a@x" },
        { "bob", 0, "bob" },
        { "@a,@b:u@c", 0, "u@c" },
        { "@a,@b:u@c", POSTERN_PRINT_ROUTE, "@a,@b:u@c" },
        { "u@c", POSTERN_PRINT_ROUTE, "u@c" },
        { "@" BOOKS ":u@" BOOKS, POSTERN_PRINT_ROUTE | POSTERN_PRINT_ASCII,
          "@xn--bcher-kva.example:u@xn--bcher-kva.example" },
        { "U@EXAMPLE.org.", POSTERN_PRINT_ASCII, "U@example.org" },
        { "u@[IPv6:2001:DB8::1]", POSTERN_PRINT_ASCII, "u@[ipv6:2001:db8::1]" },
        /* These quotes say that it is no %-hack, no bang path. */
        { "\"DSN%X\"@a", 0, "\"DSN%X\"@a" },
        { "\"a!b\"@c", 0, "\"a!b\"@c" },
        { "u%c@a", 0, "u%c@a" },
    };
    char buf[256];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int n = print(cases[i].text, cases[i].flags, buf, sizeof buf);

        assert_int_equal(n, strlen(cases[i].printed));
        assert_string_equal(buf, cases[i].printed);
        assert_int_equal(print(cases[i].text, cases[i].flags, buf, (size_t)n + 1), n);
        assert_int_equal(print(cases[i].text, cases[i].flags, buf, (size_t)n), -ENOBUFS);
    }
    assert_int_equal(print("u@\xe2\x80\x8b", POSTERN_PRINT_ASCII, buf, sizeof buf), -EINVAL);
}

static void domains_are_written_in_both_alphabets(void **state)
{
    char buf[256];

    (void)state;
    assert_int_equal(postern_domain_to_ascii(BOOKS, strlen(BOOKS), buf, sizeof buf), 21);
    assert_string_equal(buf, "xn--bcher-kva.example");
    assert_int_equal(postern_domain_to_ascii("EXAMPLE.Org.", 12, buf, sizeof buf), 11);
    assert_string_equal(buf, "example.org");
    assert_int_equal(postern_domain_to_unicode("XN--BCHER-KVA.example", 21, buf, sizeof buf), 15);
    assert_string_equal(buf, BOOKS);
    assert_int_equal(postern_domain_to_unicode("example.org", 11, buf, sizeof buf), 11);
    assert_int_equal(postern_domain_to_ascii(BOOKS, strlen(BOOKS), buf, 21), -ENOBUFS);
    assert_int_equal(postern_domain_to_ascii(BOOKS, strlen(BOOKS), buf, 22), 21);
    assert_true(postern_domain_to_ascii(BOOKS "\xe3\x80\x82", strlen(BOOKS) + 3, buf, sizeof buf) >
                0);
    assert_string_equal(buf, "xn--bcher-kva.example");
    /* IDNA 2008, not 2003: this letter is itself. */
    assert_true(postern_domain_to_ascii(STREET, strlen(STREET), buf, sizeof buf) > 0);
    assert_string_equal(buf, "xn--strae-oqa.example");
}

static void what_is_no_domain_has_no_form(void **state)
{
    static const char *const bad[] = { "", ".", "\xe2\x80\x8b.example", "\xff.example" };
    char long_one[300], buf[600];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(postern_domain_to_ascii(bad[i], strlen(bad[i]), buf, sizeof buf), -EINVAL);
        assert_int_equal(postern_domain_to_unicode(bad[i], strlen(bad[i]), buf, sizeof buf),
                         -EINVAL);
    }
    memset(long_one, 'a', sizeof long_one);
    assert_int_equal(postern_domain_to_ascii(long_one, 256, buf, sizeof buf), -EINVAL);
    assert_int_equal(postern_domain_to_ascii(long_one, 255, buf, sizeof buf), 255);
    assert_int_equal(postern_domain_to_ascii("a\0b", 3, buf, sizeof buf), -EINVAL);
}

/* --- a million --- */

static size_t put(char *to, const char *text)
{
    size_t len = strlen(text);

    memcpy(to, text, len);
    return len;
}

static size_t put_random(char *to, uint32_t *seed, const char *const *from, size_t n, size_t most)
{
    size_t len = 0;

    for (size_t count = 1 + next_random(seed) % most; count; count--)
        len += put(to + len, from[next_random(seed) % n]);
    return len;
}

#define FROM(list) list, sizeof list / sizeof list[0]

static size_t random_local(char *to, uint32_t *seed)
{
    static const char *const atoms[] = { "a", "Bob", "x%y", "b!c", "+tag", "\xc3\xb6", "_-" };
    static const char *const quoted[] = { "A::B", "\\\"", "\\\\", " ", "@",
                                          ",",    "c%d",  "\\x",  ".", "\xe2\x82\xac" };
    size_t len = 0;

    if (next_random(seed) % 2) {
        to[len++] = '"';
        len += put_random(to + len, seed, FROM(quoted), 6);
        to[len++] = '"';
        return len;
    }
    for (unsigned dots = next_random(seed) % 3;; dots--) {
        len += put_random(to + len, seed, FROM(atoms), 3);
        if (!dots)
            return len;
        to[len++] = '.';
    }
}

static size_t random_domain(char *to, uint32_t *seed)
{
    static const char *const whole[] = { "[192.0.2.1]", "[IPv6:2001:db8::1]", "localhost",
                                         "example.org.", BOOKS };
    static const char *const labels[] = { "a", "b1", "x-y", "EXAMPLE", "under_score" };
    size_t len = 0;

    if (next_random(seed) % 3 == 0)
        return put(to, whole[next_random(seed) % 5]);
    for (unsigned dots = next_random(seed) % 4;; dots--) {
        len += put_random(to + len, seed, FROM(labels), 2);
        if (!dots)
            return len;
        to[len++] = '.';
    }
}

static size_t random_address(char *to, uint32_t *seed)
{
    size_t len = 0;

    if (next_random(seed) % 4 == 0) {
        for (unsigned hops = next_random(seed) % 3;; hops--) {
            to[len++] = '@';
            len += random_domain(to + len, seed);
            to[len++] = hops ? ',' : ':';
            if (!hops)
                break;
        }
    }
    len += random_local(to + len, seed);
    to[len++] = '@';
    return len + random_domain(to + len, seed);
}

static void assert_same_piece(const char *a, size_t a_len, const char *b, size_t b_len)
{
    assert_int_equal(a_len, b_len);
    if (a_len)
        assert_memory_equal(a, b, a_len);
}

static void check_there_and_back(const char *text, size_t len)
{
    struct postern_address a, b;
    char printed[512], again[512], plain[256], plain_again[256];
    int n, m;

    if (postern_address_parse(text, len, POSTERN_ADDRESS_UTF8, &a, NULL) < 0)
        fail_msg("%.*s does not parse", (int)len, text);
    n = postern_address_print(&a, POSTERN_PRINT_ROUTE, printed, sizeof printed);
    assert_true(n > 0);
    if (postern_address_parse(printed, (size_t)n, POSTERN_ADDRESS_UTF8, &b, NULL) < 0)
        fail_msg("%.*s became %s, which does not parse", (int)len, text, printed);
    assert_same_piece(a.domain, a.domain_len, b.domain, b.domain_len);
    assert_same_piece(a.route, a.route_len, b.route, b.route_len);
    assert_int_equal(postern_address_hacks(&a), postern_address_hacks(&b));
    n = postern_address_unquote(a.local, a.local_len, plain, sizeof plain);
    m = postern_address_unquote(b.local, b.local_len, plain_again, sizeof plain_again);
    assert_int_equal(n, m);
    assert_memory_equal(plain, plain_again, (size_t)n);
    m = postern_address_print(&b, POSTERN_PRINT_ROUTE, again, sizeof again);
    assert_true(m > 0);
    assert_string_equal(printed, again);
}

static void a_million_addresses_keep_their_meaning(void **state)
{
    uint32_t seed = 20260101;
    char text[512];

    (void)state;
    for (int i = 0; i < 1000000; i++)
        check_there_and_back(text, random_address(text, &seed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_needed_quotes_are_printed),
        cmocka_unit_test(domains_are_written_in_both_alphabets),
        cmocka_unit_test(what_is_no_domain_has_no_form),
        cmocka_unit_test(a_million_addresses_keep_their_meaning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
