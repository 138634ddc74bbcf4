/* Addresses and next hops from anybody: whatever is accepted must be consistent with itself. The
 * first byte is the flags. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "address/address.h"
#include "route/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

/* The local part without quotes, quoted again, is a local part of the same meaning. */
static void check_local(const struct postern_address *a)
{
    char plain[POSTERN_LOCAL_MAX + 1], quoted[2 * POSTERN_LOCAL_MAX + 3];
    char again[POSTERN_LOCAL_MAX + 1];
    int n = postern_address_unquote(a->local, a->local_len, plain, sizeof plain), m;

    require(n >= 0);
    m = postern_address_quote(plain, (size_t)n, quoted, sizeof quoted);
    require(m >= 0);
    require(postern_address_unquote(quoted, (size_t)m, again, sizeof again) == n);
    require(memcmp(plain, again, (size_t)n) == 0);
}

static void check_address(const char *text, size_t len, uint32_t flags)
{
    struct postern_address a, again;
    struct address_fault fault = { NULL, 0 };
    char shown[256];

    if (address_parse(text, len, flags, &a, &fault) < 0) {
        require(fault.why && fault.at <= len);
        address_fault_text(&fault, text, len, shown, sizeof shown);
        return;
    }
    require(a.local >= text && a.local + a.local_len <= text + len);
    require(!a.domain || a.domain + a.domain_len == text + len);
    require(a.domain || (flags & POSTERN_ADDRESS_BARE));
    require(address_parse(a.local, (size_t)(text + len - a.local), flags, &again, &fault) == 0);
    check_local(&a);
}

/* There are as many as are said, and each fits. */
static void check_captures(const struct address_pattern *pattern,
                           const struct route_address *address)
{
    unsigned count = address_pattern_captures(pattern, NULL);
    char capture[ADDRESS_CAPTURE_SIZE];

    for (unsigned n = 1; n <= count; n++) {
        require(address_pattern_capture(pattern, NULL, address, n, capture) == 0);
        require(memchr(capture, 0, sizeof capture) != NULL);
    }
    require(address_pattern_capture(pattern, NULL, address, count + 1, capture) == -ENOENT);
}

/* What the router and the configuration do with texts that end in a NUL. */
static void check_text(const char *text)
{
    struct arena *arena = arena_new();
    struct route_address address;
    struct address_pattern pattern;
    struct postern_next_hop hop;
    const char *why;

    if (postern_next_hop_parse(text, &hop, &why) == 0)
        require(hop.host[0] && memchr(hop.host, 0, sizeof hop.host));
    if (route_address_init(&address, text, "localhost", &why) == 0 &&
        address_pattern_parse(arena, text, &pattern, &why) == 0 &&
        address_pattern_match(&pattern, &address))
        check_captures(&pattern, &address);
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;

    if (size == 0)
        return 0;
    check_address((const char *)data + 1, size - 1,
                  data[0] & (POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_BARE));
    text = malloc(size);
    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;
    check_text(text);
    free(text);
    return 0;
}
