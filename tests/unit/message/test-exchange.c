/* Addresses of a header exchanged in place: nothing else may change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "message/exchange.h"
#include "util/mem.h"

struct seen {
    char asked[512]; /* "From ann@x|..." */
    char kept[512];  /* likewise, with why */
    const char *to;  /* NULL: "*@new.test", for who is at old.test */
};

static void note(char *list, size_t size, const char *field, const char *text)
{
    size_t at = strlen(list);

    snprintf(list + at, size - at, "%s%s %s", at ? "|" : "", field, text);
}

static char *become(void *ctx, const char *field, const char *address)
{
    struct seen *s = ctx;
    const char *at = strrchr(address, '@');

    note(s->asked, sizeof s->asked, field, address);
    if (!at || strcmp(at, "@old.test") != 0)
        return NULL;
    return s->to ? mem_strdup(s->to) : mem_printf("%.*s@new.test", (int)(at - address), address);
}

static void kept(void *ctx, const char *field, const char *why)
{
    struct seen *s = ctx;

    note(s->kept, sizeof s->kept, field, why);
}

static const char *const fields[] = { "From", "Reply-To", NULL };

/* expected NULL: nothing is exchanged. The texts may end in a body. */
static void edit(struct seen *s, const char *head, const char *expected)
{
    const struct exchange x = { fields, s, become, kept };
    size_t len = strlen(head), end = SIZE_MAX, n;
    char *exact = malloc(len + 1);
    struct buf out = { 0 };

    assert_non_null(exact);
    memcpy(exact, head, len);
    n = exchange_addresses(&x, exact, len, &out, &end);
    assert_true(end <= len);
    if (!expected)
        assert_int_equal(out.len, 0);
    assert_int_equal(n == 0, expected == NULL);
    if (expected) {
        buf_add(&out, head + end, len - end);
        assert_string_equal(out.data, expected);
    }
    buf_free(&out);
    free(exact);
}

static void check(const char *head, const char *expected)
{
    struct seen s = { .to = NULL };

    edit(&s, head, expected);
    assert_string_equal(s.kept, "");
}

static void check_kept(const char *head, const char *expected, const char *why)
{
    struct seen s = { .to = NULL };

    edit(&s, head, expected);
    assert_string_equal(s.kept, why);
}

static void only_the_address_changes(void **state)
{
    (void)state;
    check("From: ann@old.test\r\n", "From: ann@new.test\r\n");
    check("From:ann@old.test\r\n", "From:ann@new.test\r\n");
    check("FROM : ann@old.test \t\r\n", "FROM : ann@new.test \t\r\n");
    check("From: Ann Bee <ann@old.test>\r\n", "From: Ann Bee <ann@new.test>\r\n");
    check("From: \"Bee, Ann <x@old.test>\" <ann@old.test>\r\n",
          "From: \"Bee, Ann <x@old.test>\" <ann@new.test>\r\n");
    check("From: ann@old.test (ann@old.test)\r\n", "From: ann@new.test (ann@old.test)\r\n");
    check("From: =?utf-8?q?J=C3=B6rg?= <j@old.test>\r\n",
          "From: =?utf-8?q?J=C3=B6rg?= <j@new.test>\r\n");
    check("From: J\xf6rg <j@old.test>\r\n", "From: J\xf6rg <j@new.test>\r\n");
    check("From: < ann@old.test >\r\n", "From: < ann@new.test >\r\n");
    check("From: ann@old.test\n", "From: ann@new.test\n");
    check("From: ann@old.test", "From: ann@new.test");
}

static void other_fields_and_addresses_stay(void **state)
{
    (void)state;
    check("To: ann@old.test\r\nFrom: ann@far.test\r\nX-From: ann@old.test\r\n\r\n", NULL);
    check("", NULL);
    check("\r\nFrom: ann@old.test\r\n", NULL);
    check("no field\r\nFrom: ann@old.test\r\n", NULL);
    check("From:\r\nFrom: \r\nFrom: <>\r\nFrom: ,;,\r\nFrom: nobody:;\r\n", NULL);
    check("To: ann@old.test\r\nFrom: ann@old.test\r\nSubject: From: ann@old.test\r\n"
          "\r\nFrom: ann@old.test\r\n",
          "To: ann@old.test\r\nFrom: ann@new.test\r\nSubject: From: ann@old.test\r\n"
          "\r\nFrom: ann@old.test\r\n");
    check("From: a@old.test\r\nDate: x\r\nReply-To: b@old.test\r\nFrom: c@old.test\r\nX: y\r\n",
          "From: a@new.test\r\nDate: x\r\nReply-To: b@new.test\r\nFrom: c@new.test\r\nX: y\r\n");
}

static void folding_stays(void **state)
{
    (void)state;
    check("From: Ann\r\n Bee\r\n\t<ann@old.test>\r\n (a\r\n b)\r\nX: y\r\n",
          "From: Ann\r\n Bee\r\n\t<ann@new.test>\r\n (a\r\n b)\r\nX: y\r\n");
    check("From:\r\n ann@old.test,\r\n bob@old.test\r\n",
          "From:\r\n ann@new.test,\r\n bob@new.test\r\n");
    check("From:\n ann@old.test\n\t\n", "From:\n ann@new.test\n\t\n");
}

static void lists_and_groups(void **state)
{
    (void)state;
    check("From: a@old.test, B <b@far.test>, C <c@old.test>,, d@old.test\r\n",
          "From: a@new.test, B <b@far.test>, C <c@new.test>,, d@new.test\r\n");
    check("From: our team: a@old.test, B <b@old.test>;\r\n",
          "From: our team: a@new.test, B <b@new.test>;\r\n");
    check("From: \"a:b\": a@old.test;, c@old.test\r\n",
          "From: \"a:b\": a@new.test;, c@new.test\r\n");
}

static void quoted_local_parts(void **state)
{
    (void)state;
    check("From: \"ann bee\"@old.test\r\n", "From: \"ann bee\"@new.test\r\n");
    check("From: A <\"NODE::ANN\"@old.test>\r\n", "From: A <\"NODE::ANN\"@new.test>\r\n");
    check("From: \"a\\\"@b,<\"@old.test\r\n", "From: \"a\\\"@b,<\"@new.test\r\n");
}

/* RFC 5322 4.4: they stand in the midst of an address, and are not lost. */
static void comments_inside_an_address_stay(void **state)
{
    (void)state;
    check("From: ann (1) @ (2) old.test (3)\r\n", "From: ann@new.test (1)  (2)  (3)\r\n");
    check("From: <ann\r\n @old(x).test>\r\n", "From: <ann@new.test\r\n (x)>\r\n");
}

static void a_source_route_goes(void **state)
{
    struct seen s = { .to = "ann@new.test" };

    (void)state;
    edit(&s, "From: Ann <@a.test, @b.test:ann@old.test>\r\n", "From: Ann <ann@new.test >\r\n");
    assert_string_equal(s.asked, "From @a.test,@b.test:ann@old.test");
    assert_string_equal(s.kept, "");
}

#define DOUBT "From an address can't be told from what is around it"

static void what_can_be_read_in_two_ways_stays(void **state)
{
    (void)state;
    check_kept("From: Ann Bee ann@old.test\r\n", NULL, DOUBT);
    check_kept("From: \"Ann\" ann@old.test\r\n", NULL, DOUBT);
    check_kept("From: Ann <ann@old.test\r\n", NULL, DOUBT);
    check_kept("From: ann@old.test>\r\n", NULL, DOUBT);
    check_kept("From: <ann@old.test> <bob@old.test>\r\n", NULL, DOUBT);
    check_kept("From: \"Ann <ann@old.test>\r\n", NULL, DOUBT);
    check_kept("From: ann@old.test (Ann\r\n", NULL, DOUBT);
    /* ... and what stands beside it does not suffer. */
    check_kept("From: A B a@old.test, b@old.test\r\n", "From: A B a@old.test, b@new.test\r\n",
               DOUBT);
    check_kept("From: a.(1)b.(2)c.(3)d.(4)e.(5)f.(6)g.(7)h.(8)i.(9)j.(10)k.(11)l.(12)m.(13)"
               "n.(14)o.(15)p.(16)q@old.test\r\n",
               NULL, DOUBT);
}

/* "From: " and so many bytes of a name, and "<a@old.test>". */
static char *long_line(size_t len)
{
    char *name = mem_alloc(len + 1), *head;

    memset(name, 'x', len);
    name[len] = 0;
    head = mem_printf("From: %s <a@old.test>\r\n", name);
    free(name);
    return head;
}

static void a_line_may_become_as_long_as_a_line_may_be(void **state)
{
    const size_t fixed = strlen("From:  <>"), to = EXCHANGE_LINE_MAX - 500;
    char address[EXCHANGE_LINE_MAX];
    struct seen s = { .to = address };
    char *head = long_line(EXCHANGE_LINE_MAX - fixed - to);
    struct buf expected = { 0 };

    (void)state;
    memset(address, 'y', to);
    address[to] = 0;
    buf_add(&expected, head, strlen(head) - strlen("a@old.test>\r\n"));
    buf_printf(&expected, "%s>\r\n", address);
    edit(&s, head, expected.data);
    assert_string_equal(s.kept, "");
    buf_free(&expected);
    free(head);

    head = long_line(EXCHANGE_LINE_MAX - fixed - to + 1);
    edit(&s, head, NULL);
    assert_string_equal(s.kept, "From a line would become too long");
    free(head);
}

static void so_many_addresses_and_no_more(void **state)
{
    struct buf head = { 0 };
    struct seen s = { .to = NULL };
    const struct exchange x = { fields, &s, become, kept };
    struct buf out = { 0 };
    size_t end;

    (void)state;
    for (unsigned i = 0; i <= EXCHANGE_MAX; i++)
        buf_adds(&head, i ? ",\r\n a@old.test" : "From: a@old.test");
    buf_adds(&head, "\r\n");
    assert_int_equal(exchange_addresses(&x, head.data, head.len, &out, &end), EXCHANGE_MAX);
    assert_int_equal(out.len, head.len);
    assert_string_equal(out.data + out.len - strlen("new.test,\r\n a@old.test\r\n"),
                        "new.test,\r\n a@old.test\r\n");
    assert_string_equal(s.kept, "From there are too many addresses");
    buf_free(&head);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_address_changes),
        cmocka_unit_test(other_fields_and_addresses_stay),
        cmocka_unit_test(folding_stays),
        cmocka_unit_test(lists_and_groups),
        cmocka_unit_test(quoted_local_parts),
        cmocka_unit_test(comments_inside_an_address_stay),
        cmocka_unit_test(a_source_route_goes),
        cmocka_unit_test(what_can_be_read_in_two_ways_stays),
        cmocka_unit_test(a_line_may_become_as_long_as_a_line_may_be),
        cmocka_unit_test(so_many_addresses_and_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
