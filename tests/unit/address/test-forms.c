/* One address in every form: what is taken for what, and what each becomes. */
#include "foreign-test.h"

#include "address/forms.h"

#define CENT "\xc2\xa2"

/* "-" where there is no such form. */
static const char *form(const struct address_forms *f, enum address_form which)
{
    return f->forms[which].text ? f->forms[which].text : "-";
}

static void U_32_each_kind_is_told_from_the_others(void **state)
{
    static const struct {
        const char *text, *kind, *smtp, *decnet, *mr, *vms;
    } cases[] = {
        { "SUMNOD::SMITH", "a DECnet address", "\"SUMNOD::SMITH\"@xyzcorp.com", "SUMNOD::SMITH",
          "-", "SMTP%\"" CENT "SUMNOD::SMITH" CENT "@xyzcorp.com\"" },
        { "\"SUMNOD::SMITH\"@xyzcorp.com", "an SMTP address", "\"SUMNOD::SMITH\"@xyzcorp.com",
          "SUMNOD::SMITH", "-", "SMTP%\"" CENT "SUMNOD::SMITH" CENT "@xyzcorp.com\"" },
        { "SUMNOD::SMITH@xyzcorp.com", "an SMTP address, damaged on its way",
          "\"SUMNOD::SMITH\"@xyzcorp.com", "SUMNOD::SMITH", "-",
          "SMTP%\"" CENT "SUMNOD::SMITH" CENT "@xyzcorp.com\"" },
        { CENT "A::B" CENT "@x.org", "an SMTP address with its quotes masked", "\"A::B\"@x.org",
          "SYSTM2::SMTP%\"" CENT "A::B" CENT "@x.org\"", "-",
          "SMTP%\"" CENT "A::B" CENT "@x.org\"" },
        /* These are just letters. */
        { CENT "a@x.org", "an SMTP address", CENT "a@x.org", "-", "-", "-" },
        { "u@x.org", "an SMTP address", "u@x.org", "SYSTM2::SMTP%\"u@x.org\"", "-",
          "SMTP%\"u@x.org\"" },
        { "SMTP%\"u@x.org\"", "an SMTP address in a jacket", "u@x.org", "SYSTM2::SMTP%\"u@x.org\"",
          "-", "SMTP%\"u@x.org\"" },
        { "SYSTM2::SMTP%\"u@x.org\"", "an SMTP address in a jacket", "u@x.org",
          "SYSTM2::SMTP%\"u@x.org\"", "-", "SMTP%\"u@x.org\"" },
        { "SMTP%\"jones\"", "an SMTP address in a jacket", "jones@xyzcorp.com", "SYSTM2::jones",
          "-", "SMTP%\"jones@xyzcorp.com\"" },
        { "FAR::SMTP%\"u@x.org\"", "a DECnet address", "\"FAR::SMTP%\\\"u@x.org\\\"\"@xyzcorp.com",
          "FAR::SMTP%\"u@x.org\"", "-",
          "SMTP%\"" CENT "FAR::SMTP%\\" CENT "u@x.org\\" CENT CENT "@xyzcorp.com\"" },
        { "\"NODNAM::USER\"", "a quoted local part", "\"NODNAM::USER\"@xyzcorp.com", "NODNAM::USER",
          "-", "SMTP%\"" CENT "NODNAM::USER" CENT "@xyzcorp.com\"" },
        { "MRGATE::\"A1::X\"", "a Message Router address", "\"MRGATE::\\\"A1::X\\\"\"@xyzcorp.com",
          "MRGATE::\"A1::X\"", "MRGATE::\"A1::X\"",
          "SMTP%\"" CENT "MRGATE::\\" CENT "A1::X\\" CENT CENT "@xyzcorp.com\"" },
        { "DSN%SRQ$Z1", "an address of a foreign transport", "\"DSN%SRQ$Z1\"@xyzcorp.com",
          "SYSTM2::DSN%SRQ$Z1", "-", "SMTP%\"" CENT "DSN%SRQ$Z1" CENT "@xyzcorp.com\"" },
        { "NM%\"x@y\"", "an address of a foreign transport", "\"NM%\\\"x@y\\\"\"@xyzcorp.com",
          "SYSTM2::NM%\"x@y\"", "-",
          "SMTP%\"" CENT "NM%\\" CENT "x@y\\" CENT CENT "@xyzcorp.com\"" },
        { "JONES", "a user name", "JONES@xyzcorp.com", "SYSTM2::JONES", "-",
          "SMTP%\"JONES@xyzcorp.com\"" },
        { "a!b!u", "a UUCP bang path", "u%b@a", "SYSTM2::SMTP%\"u%b@a\"", "-", "SMTP%\"u%b@a\"" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena *arena = arena_new();
        struct address_fault fault = { NULL, 0 };
        struct address_forms f;

        if (address_forms(arena, &ucx, cases[i].text, strlen(cases[i].text), &f, &fault) < 0)
            fail_msg("%s: %s", cases[i].text, fault.why);
        assert_string_equal(f.kind, cases[i].kind);
        assert_string_equal(form(&f, ADDRESS_SMTP), cases[i].smtp);
        assert_string_equal(form(&f, ADDRESS_DECNET), cases[i].decnet);
        assert_string_equal(form(&f, ADDRESS_MR), cases[i].mr);
        assert_string_equal(form(&f, ADDRESS_VMS), cases[i].vms);
        arena_free(&arena);
    }
}

static void roads_and_alphabets_are_shown_where_there_are_any(void **state)
{
    static const struct {
        const char *text, *percent, *route, *next, *ascii, *unicode;
    } cases[] = {
        { "u@x", "-", "-", "-", "-", "-" },
        { "@a,@b:u@c", "u%c%b@a", "-", "-", "-", "-" },
        { "u%c%b@a", "-", "@a,@b:u@c", "u%c@b", "-", "-" },
        { "b!u@x", "u%b@x", "-", "-", "-", "-" },
        { "u@b\xc3\xbc.example", "-", "-", "-", "u@xn--b-eha.example", "-" },
        { "u@xn--b-eha.example", "-", "-", "-", "-", "u@b\xc3\xbc.example" },
        { "\xc3\xbc@x", "-", "-", "-", "-", "-" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena *arena = arena_new();
        struct address_fault fault = { NULL, 0 };
        struct address_forms f;

        assert_int_equal(
            address_forms(arena, &ucx, cases[i].text, strlen(cases[i].text), &f, &fault), 0);
        assert_string_equal(form(&f, ADDRESS_PERCENT), cases[i].percent);
        assert_string_equal(form(&f, ADDRESS_ROUTE), cases[i].route);
        assert_string_equal(form(&f, ADDRESS_NEXT), cases[i].next);
        assert_string_equal(form(&f, ADDRESS_ASCII), cases[i].ascii);
        assert_string_equal(form(&f, ADDRESS_UNICODE), cases[i].unicode);
        arena_free(&arena);
    }
}

/* Each form begins where the SMTP form ends, and each step where the one before ended. */
static void the_steps_are_a_chain(void **state)
{
    static const char *const texts[] = { "A::MRGATE::\"B::C\"@xyzcorp.com",
                                         "SMTP%\"" CENT "A::B" CENT "@xyzcorp.com\"", "@a:\"x\"@c",
                                         "JONES", "A::B" };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct arena *arena = arena_new();
        struct address_fault fault = { NULL, 0 };
        struct address_forms f;

        assert_int_equal(address_forms(arena, &ucx, texts[i], strlen(texts[i]), &f, &fault), 0);
        for (int k = 0; k < ADDRESS_FORMS; k++) {
            const struct address_version *v = &f.forms[k];
            const char *at = k == ADDRESS_SMTP ? texts[i] : f.forms[ADDRESS_SMTP].text;

            if (k == ADDRESS_PERCENT)
                continue; /* made of the text with its source route */
            assert_true(v->text ? v->step_n < ADDRESS_STEPS_MAX : v->step_n == 0);
            for (size_t s = 0; s < v->step_n; at = v->steps[s++].after)
                assert_string_equal(v->steps[s].before, at);
            if (v->step_n)
                assert_string_equal(at, v->text);
        }
        arena_free(&arena);
    }
}

static void what_is_no_address_says_why_and_where(void **state)
{
    static const struct {
        const char *text, *why;
        size_t at;
    } cases[] = {
        { "", "the address is empty", ADDRESS_NOWHERE },
        { "bo b@x", "this character needs a quoted local part", 2 },
        { "a@b@c", "this character is not allowed in a domain", 3 },
        { "NODE\"u p\"::X", "there is a password in it: NODE\"user password\"::", ADDRESS_NOWHERE },
        { "A\x01", "control characters and what is not UTF-8 can't be in an address",
          ADDRESS_NOWHERE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena *arena = arena_new();
        struct address_fault fault = { NULL, 0 };
        struct address_forms f;

        assert_int_equal(
            address_forms(arena, &ucx, cases[i].text, strlen(cases[i].text), &f, &fault), -EINVAL);
        assert_string_equal(fault.why, cases[i].why);
        assert_int_equal(fault.at, cases[i].at);
        arena_free(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(U_32_each_kind_is_told_from_the_others),
        cmocka_unit_test(roads_and_alphabets_are_shown_where_there_are_any),
        cmocka_unit_test(the_steps_are_a_chain),
        cmocka_unit_test(what_is_no_address_says_why_and_where),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
