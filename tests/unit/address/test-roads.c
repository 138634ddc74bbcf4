/* Roads written into addresses: source routes (U-23), the %-hack (U-24), UUCP's bangs. */
#include "foreign-test.h"

static void U_23_a_source_route_is_a_percent_hack(void **state)
{
    (void)state;
    CHECK_ALL(postern_address_route_to_percent, NULL, { "@a,@b:username@c", "username%c%b@a", 0 },
              { "@a:u@c", "u%c@a", 0 }, { "@a.:u@c.", "u%c@a", 0 },
              { "@[192.0.2.1]:u@c", "u%c@[192.0.2.1]", 0 }, { "@a,@b,@c,@d:u@e", "u%e%d%c%b@a", 0 },
              { "u@c", NULL, "there is no source route in it: expected \"@a,@b:\"" },
              { "@a:\"u v\"@c", NULL, "a quoted local part can't take the %-hack" },
              { "@a,@[192.0.2.1]:u@c", NULL, "this character needs a quoted local part" });
}

static void U_24_a_percent_hack_is_a_source_route(void **state)
{
    (void)state;
    CHECK_ALL(postern_address_percent_to_route, NULL, { "username%c%b@a", "@a,@b:username@c", 0 },
              { "u%c@a", "@a:u@c", 0 }, { "u%x.org@a.example", "@a.example:u@x.org", 0 },
              { "u@c", NULL, "there is no %-hack in it: expected \"user%host@relay\"" },
              { "\"u%c\"@a", NULL, "there is no %-hack in it: expected \"user%host@relay\"" },
              { "u%@a", NULL, "what follows a '%' is no domain" },
              { "100%!@a", NULL, "what follows a '%' is no domain" },
              { "@x:u%c@a", NULL, "it has both a source route and a %-hack" },
              { "%c@a", NULL, "the local part is empty" });
}

static void a_relay_takes_its_own_name_off(void **state)
{
    (void)state;
    CHECK_ALL(postern_address_percent_next, NULL, { "username%c%b@a", "username%c@b", 0 },
              { "username%c@b", "username@c", 0 },
              { "username@c", NULL, "there is no %-hack in it: expected \"user%host@relay\"" },
              { "\"u%c\"@a", NULL, "there is no %-hack in it: expected \"user%host@relay\"" },
              { "u%-c@a", NULL, "what follows a '%' is no domain" });
}

static void there_and_back_is_the_same_road(void **state)
{
    uint32_t seed = 3;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        char route[256], percent[POSTERN_ADDRESS_SIZE], back[POSTERN_ADDRESS_SIZE];
        unsigned hops = 1 + next_random(&seed) % 8;
        int len = 0, n, m;

        for (unsigned k = 0; k < hops; k++)
            len += sprintf(route + len, "%s@h%u.example", k ? "," : "", next_random(&seed) % 99);
        len += sprintf(route + len, ":u%u@end.example", next_random(&seed) % 99);
        n = postern_address_route_to_percent(NULL, route, (size_t)len, percent, sizeof percent,
                                             NULL);
        assert_true(n > 0);
        m = postern_address_percent_to_route(NULL, percent, (size_t)n, back, sizeof back, NULL);
        assert_int_equal(m, len);
        assert_string_equal(back, route);
    }
}

static void bang_paths_are_put_into_the_order_of_domains(void **state)
{
    (void)state;
    CHECK_ALL(
        postern_address_bang_to_percent, NULL, { "a!b!c!user", "user%c%b@a", 0 },
        { "host!user", "user@host", 0 }, { "b!c!user@a.example", "user%c%b@a.example", 0 },
        { "u@c", NULL, "there is no bang path in it: expected \"host!user\"" },
        { "\"a!b\"@c", NULL, "there is no bang path in it: expected \"host!user\"" },
        { "a!u%b@c", NULL, "a bang path with a %-hack or a source route has no one meaning" },
        { "@x:a!u@c", NULL, "a bang path with a %-hack or a source route has no one meaning" },
        { "!u@c", NULL, "what stands before a '!' is no host" },
        { "a!!u@c", NULL, "what stands before a '!' is no host" },
        { "a!", NULL, "the user is missing: expected \"host!user\"" });
}

static void hacks_are_recognised_so_that_they_can_be_refused(void **state)
{
    static const struct {
        const char *text;
        uint32_t hacks;
    } cases[] = {
        { "u@a", 0 },
        { "u%c@a", POSTERN_HACK_PERCENT },
        { "b!u@a", POSTERN_HACK_BANG },
        { "b!u%c@a", POSTERN_HACK_BANG | POSTERN_HACK_PERCENT },
        { "@a:u@b", POSTERN_HACK_ROUTE },
        { "@a:u%c@b", POSTERN_HACK_ROUTE | POSTERN_HACK_PERCENT },
        { "\"u%c!d\"@a", 0 },
        { "@a:\"u%c\"@b", POSTERN_HACK_ROUTE },
        { "\"NODE::USER\"@a", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct postern_address a;

        assert_int_equal(postern_address_parse(cases[i].text, strlen(cases[i].text), 0, &a, NULL),
                         0);
        assert_int_equal(postern_address_hacks(&a), cases[i].hacks);
    }
}

static void what_outgrows_the_limit_is_refused(void **state)
{
    char text[POSTERN_ADDRESS_SIZE], buf[POSTERN_ADDRESS_SIZE];
    const char *why = NULL;
    size_t len = 0;

    (void)state;
    while (len < 900)
        len += (size_t)sprintf(text + len, "%s@host%zu.example", len ? "," : "", len);
    len += (size_t)sprintf(text + len, ":u@end.example");
    assert_int_equal(postern_address_route_to_percent(NULL, text, len, buf, sizeof buf, &why),
                     -EINVAL);
    assert_string_equal(why, "the local part is too long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(U_23_a_source_route_is_a_percent_hack),
        cmocka_unit_test(U_24_a_percent_hack_is_a_source_route),
        cmocka_unit_test(a_relay_takes_its_own_name_off),
        cmocka_unit_test(there_and_back_is_the_same_road),
        cmocka_unit_test(bang_paths_are_put_into_the_order_of_domains),
        cmocka_unit_test(hacks_are_recognised_so_that_they_can_be_refused),
        cmocka_unit_test(what_outgrows_the_limit_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
