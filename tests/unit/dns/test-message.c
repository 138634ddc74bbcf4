/* Reading name servers' messages: what is right is understood, what is wrong is refused, and
 * nothing is read that is not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/message.h"
#include "util/buf.h"

static void put16(struct buf *b, unsigned n)
{
    buf_addc(b, (char)(n >> 8));
    buf_addc(b, (char)n);
}

static void put32(struct buf *b, uint32_t n)
{
    put16(b, n >> 16);
    put16(b, n & 0xffff);
}

static void put_name(struct buf *b, const char *name)
{
    while (*name) {
        size_t n = strcspn(name, ".");

        buf_addc(b, (char)n);
        buf_add(b, name, n);
        name += n + (name[n] == '.');
    }
    buf_addc(b, 0);
}

static struct buf message(const char *question, unsigned answers, unsigned authorities)
{
    struct buf b = { 0 };

    put16(&b, 1);
    put16(&b, 0x8180);
    put16(&b, 1);
    put16(&b, answers);
    put16(&b, authorities);
    put16(&b, 0);
    put_name(&b, question);
    put16(&b, DNS_TYPE_MX);
    put16(&b, 1);
    return b;
}

static void put_rr(struct buf *b, const char *owner, unsigned type, uint32_t ttl, unsigned len)
{
    if (owner) {
        put_name(b, owner);
    } else {
        buf_addc(b, (char)0xc0); /* the question's name */
        buf_addc(b, 12);
    }
    put16(b, type);
    put16(b, 1);
    put32(b, ttl);
    put16(b, len);
}

static void put_mx(struct buf *b, const char *owner, uint32_t ttl, unsigned preference,
                   const char *name)
{
    put_rr(b, owner, DNS_TYPE_MX, ttl, (unsigned)(2 + strlen(name) + (*name ? 2 : 1)));
    put16(b, preference);
    put_name(b, name);
}

static void put_cname(struct buf *b, const char *owner, uint32_t ttl, const char *name)
{
    put_rr(b, owner, DNS_TYPE_CNAME, ttl, (unsigned)strlen(name) + 2);
    put_name(b, name);
}

/* Reads a copy of exactly that size, so that a sanitizer sees what lies beyond being read. */
static int read_exact(const struct buf *b, size_t len, uint16_t type, struct dns_records *ret)
{
    char *copy = malloc(len ? len : 1);
    int r;

    memcpy(copy, b->data, len);
    r = dns_message_read(copy, len, type, ret);
    free(copy);
    return r;
}

static void exchangers_come_sorted_with_the_least_ttl(void **state)
{
    struct buf b = message("Example.ORG", 3, 0);
    struct dns_records r;

    (void)state;
    put_mx(&b, "example.org", 900, 20, "MX2.example.org");
    put_mx(&b, NULL, 600, 10, "mx1.example.org");
    put_mx(&b, "EXAMPLE.org", 700, 20, "mx3.example.org");
    assert_int_equal(read_exact(&b, b.len, DNS_TYPE_MX, &r), 0);
    assert_int_equal(r.n, 3);
    assert_int_equal(r.ttl, 600);
    assert_string_equal(r.v[0].text, "mx1.example.org");
    assert_int_equal(r.v[0].preference, 10);
    assert_string_equal(r.v[1].text, "mx2.example.org");
    assert_string_equal(r.v[2].text, "mx3.example.org");
    buf_free(&b);
}

static void aliases_are_followed_in_any_order_and_bound_the_ttl(void **state)
{
    struct buf b = message("a.example", 4, 0);
    struct dns_records r;

    (void)state;
    put_mx(&b, "c.example", 900, 1, "mx.example");
    put_cname(&b, "b.example", 30, "c.example");
    put_cname(&b, "a.example", 500, "b.example");
    put_mx(&b, "elsewhere.example", 5, 1, "evil.example");
    assert_int_equal(read_exact(&b, b.len, DNS_TYPE_MX, &r), 0);
    assert_int_equal(r.n, 1);
    assert_int_equal(r.ttl, 30);
    assert_string_equal(r.v[0].text, "mx.example");
    buf_free(&b);
}

static void an_alias_loop_ends(void **state)
{
    struct buf b = message("a.example", 2, 0);
    struct dns_records r;

    (void)state;
    put_cname(&b, "a.example", 30, "b.example");
    put_cname(&b, "b.example", 30, "a.example");
    assert_int_equal(read_exact(&b, b.len, DNS_TYPE_MX, &r), 0);
    assert_int_equal(r.n, 0);
    buf_free(&b);
}

static void that_there_is_none_holds_as_long_as_the_soa_says(void **state)
{
    static const struct {
        uint32_t ttl, minimum, want;
    } cases[] = { { 3600, 60, 60 }, { 20, 60, 20 }, { 0x80000000u, 60, 0 } };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct buf b = message("none.example", 0, 1);
        struct dns_records r;

        put_rr(&b, "example", DNS_TYPE_SOA, cases[i].ttl, 22);
        buf_addc(&b, 0);
        buf_addc(&b, 0);
        for (int n = 0; n < 4; n++)
            put32(&b, 7);
        put32(&b, cases[i].minimum);
        assert_int_equal(read_exact(&b, b.len, DNS_TYPE_MX, &r), 0);
        assert_int_equal(r.n, 0);
        assert_int_equal(r.ttl, cases[i].want);
        buf_free(&b);
    }
}

static void addresses_are_written_and_wrong_ones_left_out(void **state)
{
    struct buf b = message("h.example", 3, 0);
    struct dns_records r;

    (void)state;
    put_rr(&b, NULL, DNS_TYPE_A, 60, 4);
    buf_add(&b, "\xc0\x00\x02\x01", 4);
    put_rr(&b, NULL, DNS_TYPE_A, 60, 3);
    buf_add(&b, "\xc0\x00\x02", 3);
    put_rr(&b, NULL, DNS_TYPE_AAAA, 60, 16);
    buf_add(&b, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
    assert_int_equal(read_exact(&b, b.len, DNS_TYPE_A, &r), 0);
    assert_int_equal(r.n, 1);
    assert_int_equal(r.odd, 1);
    assert_string_equal(r.v[0].text, "192.0.2.1");
    assert_int_equal(read_exact(&b, b.len, DNS_TYPE_AAAA, &r), 0);
    assert_string_equal(r.v[0].text, "2001:db8::1");
    buf_free(&b);
}

static void exchangers_that_are_no_host_names_are_left_out(void **state)
{
    static const char *const odd[] = { "a b", "a\nb", "a\x7f", "a\xc3\xa9", "a\\b", "\x01" };

    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        struct buf b = message("x.example", 2, 0);
        struct dns_records r;

        put_mx(&b, NULL, 60, 5, odd[i]);
        put_mx(&b, NULL, 60, 10, "good.example");
        assert_int_equal(read_exact(&b, b.len, DNS_TYPE_MX, &r), 0);
        assert_int_equal(r.n, 1);
        assert_int_equal(r.odd, 1);
        assert_string_equal(r.v[0].text, "good.example");
        buf_free(&b);
    }
}

static void the_null_exchanger_is_an_empty_name(void **state)
{
    struct buf b = message("x.example", 1, 0);
    struct dns_records r;

    (void)state;
    put_mx(&b, NULL, 60, 0, "");
    assert_int_equal(read_exact(&b, b.len, DNS_TYPE_MX, &r), 0);
    assert_int_equal(r.n, 1);
    assert_string_equal(r.v[0].text, "");
    buf_free(&b);
}

static void of_too_many_records_the_preferred_are_kept(void **state)
{
    struct buf b = message("x.example", 300, 0);
    struct dns_records r;

    (void)state;
    for (unsigned i = 0; i < 300; i++) {
        char name[32];

        snprintf(name, sizeof name, "mx%u.example", i);
        put_mx(&b, NULL, 60, 1000 - i, name);
    }
    assert_int_equal(read_exact(&b, b.len, DNS_TYPE_MX, &r), 0);
    assert_int_equal(r.n, DNS_RECORDS_MAX);
    assert_string_equal(r.v[0].text, "mx299.example");
    assert_int_equal(r.v[DNS_RECORDS_MAX - 1].preference, 1000 - 299 + DNS_RECORDS_MAX - 1);
    buf_free(&b);
}

static void names_may_be_as_long_as_they_may(void **state)
{
    char label[64], name[300] = "";
    struct buf b;
    struct dns_records r;

    (void)state;
    memset(label, 'a', 63);
    label[63] = '\0';
    for (int i = 0; i < 3; i++) {
        strcat(name, label);
        strcat(name, ".");
    }
    memset(label, 'b', 61);
    label[61] = '\0';
    strcat(name, label);
    assert_int_equal(strlen(name), DNS_NAME_MAX);
    b = message(name, 1, 0);
    put_mx(&b, NULL, 60, 1, name);
    assert_int_equal(read_exact(&b, b.len, DNS_TYPE_MX, &r), 0);
    assert_string_equal(r.v[0].text, name);
    buf_free(&b);
    strcat(name, "b");
    b = message(name, 0, 0);
    assert_int_equal(read_exact(&b, b.len, DNS_TYPE_MX, &r), -EBADMSG);
    buf_free(&b);
}

static void pointers_that_do_not_go_back_are_refused(void **state)
{
    /* 12 and 14 begin labels of the question; 13 is inside one; the rest does not go back. */
    static const struct {
        unsigned char target;
        int want;
    } cases[] = { { 12, 0 },        { 14, 0 },        { 13, -EBADMSG },
                  { 27, -EBADMSG }, { 28, -EBADMSG }, { 29, -EBADMSG },
                  { 30, -EBADMSG }, { 31, -EBADMSG }, { 200, -EBADMSG } };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = message("x.example", 1, 0); /* the answer begins at 27 */
        struct dns_records r;

        assert_int_equal(b.len, 27);
        buf_add(&b, "\x01y", 2);
        buf_addc(&b, (char)0xc0);
        buf_addc(&b, (char)cases[i].target);
        put16(&b, DNS_TYPE_A);
        put16(&b, 1);
        put32(&b, 5);
        put16(&b, 0);
        assert_int_equal(read_exact(&b, b.len, DNS_TYPE_A, &r), cases[i].want);
        buf_free(&b);
    }
}

static void every_cut_message_is_refused(void **state)
{
    struct buf b = message("a.example", 3, 0);
    struct dns_records r;

    (void)state;
    put_cname(&b, NULL, 500, "b.example");
    put_mx(&b, "b.example", 900, 1, "mx.example");
    put_mx(&b, "b.example", 900, 2, "mx2.example");
    assert_int_equal(read_exact(&b, b.len, DNS_TYPE_MX, &r), 0);
    for (size_t len = 0; len < b.len; len++)
        assert_int_equal(read_exact(&b, len, DNS_TYPE_MX, &r), -EBADMSG);
    buf_free(&b);
}

static void a_record_s_name_may_not_leave_the_record(void **state)
{
    struct buf b = message("a.example", 1, 0);
    struct dns_records r;

    (void)state;
    put_rr(&b, NULL, DNS_TYPE_MX, 60, 5);
    put16(&b, 1);
    put_name(&b, "longer.example");
    assert_int_equal(read_exact(&b, b.len, DNS_TYPE_MX, &r), 0);
    assert_int_equal(r.n, 0);
    assert_int_equal(r.odd, 1);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exchangers_come_sorted_with_the_least_ttl),
        cmocka_unit_test(aliases_are_followed_in_any_order_and_bound_the_ttl),
        cmocka_unit_test(an_alias_loop_ends),
        cmocka_unit_test(that_there_is_none_holds_as_long_as_the_soa_says),
        cmocka_unit_test(addresses_are_written_and_wrong_ones_left_out),
        cmocka_unit_test(exchangers_that_are_no_host_names_are_left_out),
        cmocka_unit_test(the_null_exchanger_is_an_empty_name),
        cmocka_unit_test(of_too_many_records_the_preferred_are_kept),
        cmocka_unit_test(names_may_be_as_long_as_they_may),
        cmocka_unit_test(pointers_that_do_not_go_back_are_refused),
        cmocka_unit_test(every_cut_message_is_refused),
        cmocka_unit_test(a_record_s_name_may_not_leave_the_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
