/* Fuzz target: what comes back to a list: notifications, the address they come to, and the file in
 * which they are counted. */
#include "../../plugins/list/bounce.h"
#include "../../plugins/list/place.h"
#include "../../plugins/list/state.h"
#include "pieces.h"

#define WINDOW 604800

static void check_member(void *ctx, const struct state_member *m)
{
    const struct state *s = ctx;

    require(m->member && *m->member && state_find(s, m->member) == m);
    require(memchr(m->status, '\0', sizeof m->status) != NULL);
    (void)state_disabled(m, 5, WINDOW, 1700000000);
}

static void check_state(const uint8_t *data, size_t size)
{
    static struct memory_file file;
    struct state s;

    memory_file_fill(&file, data, size);
    if (state_load(&s, file.path, WINDOW) == 0) {
        require(memchr(s.list, '\0', sizeof s.list) && memchr(s.path, '\0', sizeof s.path));
        state_each(&s, check_member, &s);
    }
    state_done(&s);
}

static void check_bounce(const uint8_t *data, size_t size)
{
    struct bounce *b = calloc(BOUNCE_MAX, sizeof *b);
    size_t n;

    require(b != NULL);
    n = bounce_read((const char *)data, size, b, BOUNCE_MAX);
    for (size_t i = 0; i < n && i < BOUNCE_MAX; i++) {
        require(*b[i].member && !strpbrk(b[i].member, "\r\n"));
        require(!strpbrk(b[i].status, "\r\n") && !strpbrk(b[i].reason, "\r\n"));
    }
    free(b);
}

static void check_address(const uint8_t *data, size_t size)
{
    struct pieces p = pieces_new(data, size, 1);
    char member[POSTERN_ADDRESS_MAX + 1], small[4];

    place_verp_decode(p.v[0], member, sizeof member);
    require(strlen(member) < sizeof member);
    place_verp_decode(p.v[0], small, sizeof small);
    require(strlen(small) < sizeof small);
    pieces_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_state(data, size);
    check_bounce(data, size);
    check_address(data, size);
    return 0;
}
