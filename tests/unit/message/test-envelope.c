/* Envelopes in memory and as bytes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "message/envelope.h"

static const char *const rcpts[] = { "bob@example.org", "\"A::B\"@gw", "carol@example.net" };

static struct envelope *example(void)
{
    struct envelope_new from = { .received_usec = 1795356941123456,
                                 .flags = ENVELOPE_BOUNCE | 1u,
                                 .hops = 3,
                                 .sender = "ann@example.com",
                                 .ingress = "smtp-in",
                                 .client = "h.example [192.0.2.7]",
                                 .rcpt_n = 3,
                                 .rcpts = rcpts };

    return envelope_new(&from);
}

static void assert_example(const struct envelope *e)
{
    const char *rcpt;

    assert_int_equal(e->received_usec, 1795356941123456);
    assert_int_equal(e->flags, ENVELOPE_BOUNCE | 1u);
    assert_int_equal(e->hops, 3);
    assert_int_equal(e->rcpt_n, 3);
    assert_string_equal(envelope_sender(e), "ann@example.com");
    assert_string_equal(envelope_ingress(e), "smtp-in");
    assert_string_equal(envelope_client(e), "h.example [192.0.2.7]");
    rcpt = envelope_first_rcpt(e);
    for (size_t i = 0; i < 3; i++, rcpt = envelope_next_text(rcpt)) {
        assert_string_equal(envelope_rcpt(e, i), rcpts[i]);
        assert_string_equal(rcpt, rcpts[i]);
    }
    assert_ptr_equal(rcpt, e->text + e->text_len);
}

static void an_envelope_keeps_what_it_was_given(void **state)
{
    struct envelope *e = example();

    (void)state;
    assert_example(e);
    free(e);
}

static void nothing_is_the_empty_text(void **state)
{
    struct envelope *e = envelope_new(&(struct envelope_new){ .flags = 0 });

    (void)state;
    assert_string_equal(envelope_sender(e), "");
    assert_string_equal(envelope_ingress(e), "");
    assert_string_equal(envelope_client(e), "");
    assert_int_equal(e->text_len, 3);
    free(e);
}

static void too_many_recipients_are_refused(void **state)
{
    const char **many = malloc((ENVELOPE_MAX_RCPTS + 1) * sizeof *many);
    struct envelope_new from = { .rcpt_n = ENVELOPE_MAX_RCPTS, .rcpts = many };
    struct envelope *e, *back;
    struct buf bytes = { 0 };

    (void)state;
    for (size_t i = 0; i <= ENVELOPE_MAX_RCPTS; i++)
        many[i] = "a@b";
    e = envelope_new(&from);
    assert_non_null(e);
    assert_int_equal(e->rcpt_n, ENVELOPE_MAX_RCPTS);
    envelope_encode(e, &bytes);
    assert_int_equal(envelope_decode(bytes.data, bytes.len, &back), 0);
    assert_int_equal(back->text_len, e->text_len);
    free(back);
    free(e);
    buf_free(&bytes);

    from.rcpt_n++;
    errno = 0;
    assert_null(envelope_new(&from));
    assert_int_equal(errno, E2BIG);
    free(many);
}

static void bytes_come_back_as_the_same_envelope(void **state)
{
    struct envelope *e = example(), *back;
    struct buf bytes = { 0 };

    (void)state;
    envelope_encode(e, &bytes);
    assert_int_equal(envelope_decode(bytes.data, bytes.len, &back), 0);
    assert_example(back);
    free(back);
    free(e);
    buf_free(&bytes);
}

/* The spool keeps these for as long as it likes: a change here is a new version. */
static void the_bytes_are_those_of_version_two(void **state)
{
    static const char *const one[] = { "b@c" };
    static const unsigned char expected[] = {
        2,                        /* version */
        8, 7, 6, 5, 4,   3, 2, 1, /* received */
        2, 1, 0, 0,               /* flags */
        9, 0,                     /* hops */
        1, 0, 0, 0,               /* recipients */
        1, 0, 0, 0, 'a', 0, 0, 0, 0, 1, 0, 0, 0, 'k', 3, 0, 0, 0, 'b', '@', 'c',
    };
    struct envelope_new from = { .received_usec = 0x0102030405060708,
                                 .flags = 0x102,
                                 .hops = 9,
                                 .sender = "a",
                                 .client = "k",
                                 .rcpt_n = 1,
                                 .rcpts = one };
    struct envelope *e = envelope_new(&from);
    struct buf bytes = { 0 };

    (void)state;
    envelope_encode(e, &bytes);
    assert_int_equal(bytes.len, sizeof expected);
    assert_memory_equal(bytes.data, expected, sizeof expected);
    free(e);
    buf_free(&bytes);
}

static void the_bytes_of_version_one_are_still_read(void **state)
{
    static const unsigned char old[] = {
        1,                        /* version */
        8, 7, 6, 5, 4,   3, 2, 1, /* received */
        2, 1, 0, 0,               /* flags */
        9, 0,                     /* hops */
        1, 0,                     /* recipients: 16 bits */
        1, 0, 0, 0, 'a', 0, 0, 0, 0, 1, 0, 0, 0, 'k', 3, 0, 0, 0, 'b', '@', 'c',
    };
    struct envelope *e;

    (void)state;
    assert_int_equal(envelope_decode(old, sizeof old, &e), 0);
    assert_int_equal(e->rcpt_n, 1);
    assert_int_equal(e->hops, 9);
    assert_int_equal(e->flags, 0x102);
    assert_string_equal(envelope_rcpt(e, 0), "b@c");
    free(e);
}

/* More than 16 bits can count, packed as a submission has them. */
static void a_hundred_thousand_recipients_fit(void **state)
{
    enum { MANY = 100000 };
    struct buf packed = { 0 }, bytes = { 0 };
    struct envelope *e, *back;

    (void)state;
    for (int i = 0; i < MANY; i++) {
        buf_printf(&packed, "user%d@c.example", i);
        buf_addc(&packed, 0);
    }
    e = envelope_new(&(struct envelope_new){
        .sender = "a@b", .rcpt_n = MANY, .packed = packed.data, .packed_len = packed.len });
    assert_non_null(e);
    envelope_encode(e, &bytes);
    assert_int_equal(envelope_decode(bytes.data, bytes.len, &back), 0);
    assert_int_equal(back->rcpt_n, MANY);
    assert_string_equal(envelope_sender(back), "a@b");
    assert_string_equal(envelope_rcpt(back, MANY - 1), "user99999@c.example");
    free(e);
    free(back);
    buf_free(&packed);
    buf_free(&bytes);
}

static void damaged_bytes_are_refused(void **state)
{
    struct envelope *e = example(), *back = NULL;
    struct buf bytes = { 0 };

    (void)state;
    envelope_encode(e, &bytes);
    for (size_t len = 0; len < bytes.len; len++)
        assert_int_equal(envelope_decode(bytes.data, len, &back), -EBADMSG);
    buf_addc(&bytes, 0);
    assert_int_equal(envelope_decode(bytes.data, bytes.len, &back), -EBADMSG);
    bytes.len--;
    bytes.data[0] = 3; /* another version */
    assert_int_equal(envelope_decode(bytes.data, bytes.len, &back), -EBADMSG);
    bytes.data[0] = 2;
    bytes.data[bytes.len - 1] = 0; /* a NUL inside a text */
    assert_int_equal(envelope_decode(bytes.data, bytes.len, &back), -EBADMSG);
    bytes.data[bytes.len - 1] = 't';
    memset(bytes.data + 15, 0xff, 4); /* too many recipients */
    assert_int_equal(envelope_decode(bytes.data, bytes.len, &back), -EBADMSG);
    memset(bytes.data + 15, 0, 4); /* fewer than there are */
    assert_int_equal(envelope_decode(bytes.data, bytes.len, &back), -EBADMSG);
    assert_null(back);
    free(e);
    buf_free(&bytes);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Whatever is accepted is what envelope_encode would have written. */
static void random_damage_is_refused_or_harmless(void **state)
{
    struct envelope *e = example();
    struct buf bytes = { 0 }, again = { 0 };
    uint32_t seed = 99, accepted = 0;

    (void)state;
    envelope_encode(e, &bytes);
    for (int i = 0; i < 100000; i++) {
        char *copy = malloc(bytes.len);
        struct envelope *back;

        memcpy(copy, bytes.data, bytes.len);
        for (unsigned k = next_random(&seed) % 3; k < 3; k++)
            copy[next_random(&seed) % bytes.len] = (char)next_random(&seed);
        if (envelope_decode(copy, bytes.len, &back) == 0) {
            buf_clear(&again);
            envelope_encode(back, &again);
            assert_int_equal(again.len, bytes.len);
            assert_memory_equal(again.data, copy, bytes.len);
            free(back);
            accepted++;
        }
        free(copy);
    }
    assert_true(accepted > 100);
    free(e);
    buf_free(&bytes);
    buf_free(&again);
}

static void every_reason_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int i = WAIT_NEW; i <= WAIT_HOURS; i++) {
        assert_string_not_equal(wait_reason_name(i), "unknown");
        for (int k = WAIT_NEW; k < i; k++)
            assert_string_not_equal(wait_reason_name(i), wait_reason_name(k));
    }
    assert_string_equal(wait_reason_name(-1), "unknown");
    assert_string_equal(wait_reason_name(WAIT_HOURS + 1), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_envelope_keeps_what_it_was_given),
        cmocka_unit_test(nothing_is_the_empty_text),
        cmocka_unit_test(too_many_recipients_are_refused),
        cmocka_unit_test(bytes_come_back_as_the_same_envelope),
        cmocka_unit_test(the_bytes_are_those_of_version_two),
        cmocka_unit_test(the_bytes_of_version_one_are_still_read),
        cmocka_unit_test(a_hundred_thousand_recipients_fit),
        cmocka_unit_test(damaged_bytes_are_refused),
        cmocka_unit_test(random_damage_is_refused_or_harmless),
        cmocka_unit_test(every_reason_has_a_name_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
