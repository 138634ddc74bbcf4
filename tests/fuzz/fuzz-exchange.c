/* Header sections from anybody, whose addresses are exchanged: for each that is exchanged, what is
 * around it stays. The first byte says which addresses are. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <postern/mail.h>

#include "message/exchange.h"
#include "message/header.h"
#include "message/user-from.h"
#include "util/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NEW "new@address.test"

struct seen {
    unsigned every;          /* each of how many is exchanged */
    size_t asked, exchanged; /* addresses */
    size_t taken;            /* bytes of those, at most */
};

static void require(int holds)
{
    if (!holds)
        abort();
}

static char *become(void *ctx, const char *field, const char *address)
{
    struct seen *s = ctx;

    require(strcmp(field, "From") == 0 && *address);
    if (s->asked++ % s->every)
        return NULL;
    s->exchanged++;
    s->taken += strlen(address);
    return mem_strdup(NEW);
}

static void kept(void *ctx, const char *field, const char *why)
{
    (void)ctx;
    require(strcmp(field, "From") == 0 && *why);
}

/* What is new is taken out again, and what is left is in the old text, in this order. */
static void check_rest(const char *old, size_t old_len, const struct buf *edited)
{
    const char *p = edited->data, *end = edited->data + edited->len, *from = old;

    while (p < end) {
        const char *found;

        if ((size_t)(end - p) >= sizeof NEW - 1 && memcmp(p, NEW, sizeof NEW - 1) == 0) {
            p += sizeof NEW - 1;
            continue;
        }
        found = memchr(from, *p++, old_len - (size_t)(from - old));
        require(found != NULL);
        from = found + 1;
    }
}

static void check_exchange(const char *data, size_t len, unsigned every)
{
    static const char *const fields[] = { "From", NULL };
    struct seen s = { .every = every };
    const struct exchange x = { fields, &s, become, kept };
    struct buf out = { 0 };
    size_t end, n = exchange_addresses(&x, data, len, &out, &end);

    require(end == header_end(data, len) && s.asked <= EXCHANGE_MAX);
    require(n <= s.exchanged && (n > 0) == (out.len > 0));
    require(!n || out.len + s.taken + s.exchanged * 2 >= end);
    if (n)
        check_rest(data, end, &out);
    if (n && header_end(out.data, out.len) != out.len)
        abort(); /* the body begins where it did */
    buf_free(&out);
}

static void check_user_from(const char *data, size_t len)
{
    const char *address, *why;
    size_t address_len, body = header_end(data, len);
    struct buf out = { 0 };

    if (user_from_parse(data + body, len - body, POSTERN_ADDRESS_UTF8, &address, &address_len,
                        &why) > 0)
        require(address >= data + body && address + address_len <= data + len);
    if ((!body || data[body - 1] == '\n') &&
        user_from_apply(data, body, NEW, sizeof NEW - 1, &out) == 0)
        require(header_count(out.data, header_end(out.data, out.len), "From") == 1);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    check_exchange((const char *)data + 1, size - 1, 1 + data[0] % 3);
    check_user_from((const char *)data + 1, size - 1);
    return 0;
}
