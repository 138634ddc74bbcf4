/* Foreign addresses from anybody, through every translation: what comes out parses, fits, and comes
 * back where the way back is promised. The first byte chooses the site. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "address/address.h"
#include "address/forms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int translate(const struct postern_address_site *site, const char *text, size_t len,
                      char *buf, size_t size, const char **reterr_why);

static void require(int holds)
{
    if (!holds)
        abort();
}

static int parses(const char *text, size_t len, uint32_t allow)
{
    struct postern_address a;

    return postern_address_parse(text, len, POSTERN_ADDRESS_UTF8 | allow, &a, NULL) == 0;
}

/* Runs one; its answer is in buf. Whatever it is: the same with a buffer that just fits. */
static int run(translate *how, const struct postern_address_site *site, const char *text,
               size_t len, char *buf)
{
    const char *why = NULL;
    int n = how(site, text, len, buf, POSTERN_ADDRESS_SIZE, &why);
    char *tight;

    if (n < 0) {
        require((n == -EINVAL || n == -ENOENT) && why && *why);
        return n;
    }
    require(!why && n <= POSTERN_ADDRESS_MAX && buf[n] == 0);
    tight = malloc((size_t)n + 1);
    require(tight && how(site, text, len, tight, (size_t)n + 1, NULL) == n);
    require(memcmp(tight, buf, (size_t)n + 1) == 0);
    require(how(site, text, len, tight, (size_t)n, NULL) == -ENOBUFS);
    free(tight);
    return n;
}

/* --- the promises --- */

static void check_back(translate *there, translate *back, const struct postern_address_site *site,
                       const char *text, size_t len)
{
    char made[POSTERN_ADDRESS_SIZE], again[POSTERN_ADDRESS_SIZE];
    int n = run(there, site, text, len, made);

    if (n < 0)
        return;
    require(run(back, site, made, (size_t)n, again) == (int)len);
    require(memcmp(again, text, len) == 0);
}

static void check_smtp(translate *how, const struct postern_address_site *site, const char *text,
                       size_t len, uint32_t allow)
{
    char made[POSTERN_ADDRESS_SIZE];
    int n = run(how, site, text, len, made);

    if (n >= 0)
        require(parses(made, (size_t)n, allow));
}

static void check_print(const char *text, size_t len)
{
    struct postern_address a, b;
    char once[POSTERN_ADDRESS_SIZE * 2], twice[POSTERN_ADDRESS_SIZE * 2];
    int n;

    if (postern_address_parse(text, len, POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_BARE, &a, NULL) < 0)
        return;
    n = postern_address_print(&a, POSTERN_PRINT_ROUTE, once, sizeof once);
    require(n > 0);
    require(postern_address_parse(once, (size_t)n, POSTERN_ADDRESS_UTF8 | POSTERN_ADDRESS_BARE, &b,
                                  NULL) == 0);
    require(postern_address_hacks(&a) == postern_address_hacks(&b));
    require(postern_address_print(&b, POSTERN_PRINT_ROUTE, twice, sizeof twice) == n);
    require(memcmp(once, twice, (size_t)n) == 0);
    n = postern_address_print(&a, POSTERN_PRINT_ASCII, once, sizeof once);
    require(n > 0 || n == -EINVAL);
    if (n > 0)
        require(parses(once, (size_t)n, POSTERN_ADDRESS_BARE));
}

static void check_mailboxes(const char *text, size_t len)
{
    size_t pos = 0, before = 0, size = 2 * len + 4;
    char *buf = malloc(size);
    struct postern_mailbox one;

    require(buf != NULL);
    while (postern_mailbox_next(text, len, &pos, &one, buf, size) > 0) {
        require(one.address_len > 0 && strlen(one.address) == one.address_len);
        require(strlen(one.name) == one.name_len && pos > before && pos <= len);
        before = pos;
    }
    require(pos == len);
    free(buf);
}

static void check_forms(const struct postern_address_site *site, const char *text, size_t len)
{
    struct arena *arena = arena_new();
    struct address_fault fault = { NULL, 0 };
    struct address_forms forms;

    if (address_forms(arena, site, text, len, &forms, &fault) == 0)
        require(parses(forms.forms[ADDRESS_SMTP].text, strlen(forms.forms[ADDRESS_SMTP].text), 0));
    else
        require(fault.why && (fault.at <= len || fault.at == ADDRESS_NOWHERE));
    arena_free(&arena);
}

static void check_all(const struct postern_address_site *site, const char *text, size_t len)
{
    const uint32_t bare = POSTERN_ADDRESS_BARE;
    char made[POSTERN_ADDRESS_SIZE];

    check_back(postern_address_smtpfy, postern_address_unsmtpfy, site, text, len);
    check_back(postern_address_jacket, postern_address_unjacket, site, text, len);
    check_back(postern_address_mask, postern_address_unmask, site, text, len);
    check_smtp(postern_address_smtpfy, site, text, len, 0);
    check_smtp(postern_address_repair, site, text, len, bare);
    check_smtp(postern_address_unjacket, site, text, len, bare);
    check_smtp(postern_address_route_to_percent, site, text, len, 0);
    check_smtp(postern_address_percent_to_route, site, text, len, 0);
    check_smtp(postern_address_percent_next, site, text, len, 0);
    check_smtp(postern_address_bang_to_percent, site, text, len, 0);
    run(postern_address_unsmtpfy, site, text, len, made);
    check_print(text, len);
    check_mailboxes(text, len);
    check_forms(site, text, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct postern_address_site sites[] = {
        { .size = sizeof sites[0],
          .domain = "xyzcorp.com",
          .host = "systm2.xyzcorp.com",
          .node = "SYSTM2" },
        { .size = sizeof sites[0],
          .host = "HQ.DNET.EXAMPLE.COM",
          .decnet_domain = "DNET.EXAMPLE.COM" },
        { .size = sizeof sites[0],
          .domain = "b\xc3\xbc.example",
          .decnet_domain = "d\xc3\xbc.test",
          .mrgate = "GW",
          .flags = POSTERN_SITE_LATIN1 },
    };

    if (size > 0)
        check_all(&sites[data[0] % 3], (const char *)data + 1, size - 1);
    return 0;
}
