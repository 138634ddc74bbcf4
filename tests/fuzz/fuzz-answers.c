/* Fuzz target: what a directory has answered. The first line is who was asked for, the others are
 * the values. */
#include <errno.h>

#include "pieces.h"
#include "route/alias-set.h"
#include "route/answers.h"
#include "util/buf.h"

#define VALUES 6u

static void check_answer(struct route_answers *a, const struct route_need *n, int commands)
{
    struct route_answer got;
    struct buf text = { 0 };

    require(route_answers_get(a, n, &got));
    require(got.result == 0 || got.result == -ENOENT || got.result == -EAGAIN);
    require(got.result != -EAGAIN || (got.why && *got.why));
    if (got.source) {
        struct alias_record rec;
        struct alias_target t;
        size_t at = 0;

        require(alias_map_next(&got.source->map, &at, &rec) == 1);
        for (size_t i = 0; i < rec.target_n; i++) {
            rec.targets = alias_map_target(rec.targets, &t);
            require(commands || t.kind == ALIAS_ADDRESS || t.kind == ALIAS_LOCAL);
        }
    }
    route_answer_text(n, &got, &text);
    require(!memchr(text.data, '\n', text.len));
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pieces p = pieces_new(data, size, 1 + VALUES);
    struct config_lookups cfg = { .ttl = 1000000000,
                                  .negative_ttl = 1000000000,
                                  .cache_max = 1000 };
    struct route_answers *a = route_answers_new(&cfg);
    struct route_need n = { .kind = POSTERN_LOOKUP_ALIAS,
                            .source = "people",
                            .key = p.v[0],
                            .local = p.v[0],
                            .domain = "example.com" };

    for (int commands = 0; commands < 2; commands++) {
        for (size_t i = 0; i <= VALUES; i++) {
            route_answers_forget(a);
            route_answers_put(a, &n, 0, (const char *const *)p.v + 1, i, commands);
            check_answer(a, &n, commands);
        }
    }
    route_answers_put(a, &n, -EAGAIN, (const char *const *)p.v + 1, 1, 0);
    check_answer(a, &n, 0);
    route_answers_free(&a);
    pieces_free(&p);
    return 0;
}
