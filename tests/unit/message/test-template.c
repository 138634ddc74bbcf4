/* Placeholders: what they become, and who is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <postern/delivery.h>

static int value(void *ctx, const char *name, const char *argument, char *buf, size_t size)
{
    int n;
    (void)ctx;

    if (!strcmp(name, "who"))
        n = snprintf(buf, size, "bob");
    else if (!strcmp(name, "nasty"))
        n = snprintf(buf, size, "{who}");
    else if (!strcmp(name, "arg"))
        n = snprintf(buf, size, "<%s>", argument ? argument : "none");
    else if (!strcmp(name, "no"))
        return -EPERM;
    else
        return -ENOENT;
    return n < 0 || (size_t)n > size ? -ENOBUFS : n;
}

static void placeholders_become_their_values(void **state)
{
    static const char *const cases[][2] = {
        { "", "" },
        { "plain", "plain" },
        { "{who}", "bob" },
        { "a{who}b{who}", "abobbbob" },
        { "{nasty}", "{who}" },
        { "{arg}", "<none>" },
        { "{arg:}", "<>" },
        { "{arg:%H:%M}", "<%H:%M>" },
        { "{{who}", "{who}" },
        { "}{{}", "}{}" },
    };
    char buf[64];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int n = postern_template_expand(cases[i][0], value, NULL, buf, sizeof buf, NULL);

        assert_int_equal(n, strlen(cases[i][1]));
        assert_string_equal(buf, cases[i][1]);
        assert_int_equal(postern_template_expand(cases[i][0], value, NULL, NULL, 0, NULL), 0);
    }
}

static void what_is_wrong_is_pointed_at(void **state)
{
    static const struct {
        const char *text;
        int r;
        size_t at;
    } cases[] = {
        { "ab{what}", -ENOENT, 2 },
        { "{who", -EINVAL, 0 },
        { "x{}", -EINVAL, 1 },
        { "{no}", -EPERM, 0 },
    };
    char buf[64];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *at = NULL;

        assert_int_equal(postern_template_expand(cases[i].text, value, NULL, buf, sizeof buf, &at),
                         cases[i].r);
        assert_int_equal(at - cases[i].text, cases[i].at);
        at = NULL;
        assert_int_equal(postern_template_expand(cases[i].text, value, NULL, NULL, 0, &at),
                         cases[i].r);
        assert_int_equal(at - cases[i].text, cases[i].at);
    }
}

static void the_buffer_is_enough_or_not_touched_behind_its_end(void **state)
{
    char buf[8];
    (void)state;

    assert_int_equal(postern_template_expand("x{who}yz", value, NULL, buf, 7, NULL), 6);
    for (size_t size = 0; size < 7; size++) {
        memset(buf, '#', sizeof buf);
        assert_int_equal(postern_template_expand("x{who}yz", value, NULL, buf, size, NULL),
                         -ENOBUFS);
        for (size_t i = size; i < sizeof buf; i++)
            assert_int_equal(buf[i], '#');
    }
}

static void a_name_has_a_limit(void **state)
{
    char text[POSTERN_TEMPLATE_NAME_MAX + 8], buf[128];
    (void)state;

    memset(text, 'x', sizeof text);
    memcpy(text, "{arg:", 5);
    text[POSTERN_TEMPLATE_NAME_MAX] = '}';
    text[POSTERN_TEMPLATE_NAME_MAX + 1] = '\0';
    assert_true(postern_template_expand(text, value, NULL, buf, sizeof buf, NULL) > 0);
    text[POSTERN_TEMPLATE_NAME_MAX] = 'x';
    text[POSTERN_TEMPLATE_NAME_MAX + 1] = '}';
    text[POSTERN_TEMPLATE_NAME_MAX + 2] = '\0';
    assert_int_equal(postern_template_expand(text, value, NULL, buf, sizeof buf, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(placeholders_become_their_values),
        cmocka_unit_test(what_is_wrong_is_pointed_at),
        cmocka_unit_test(the_buffer_is_enough_or_not_touched_behind_its_end),
        cmocka_unit_test(a_name_has_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
