/* spool/analyze-report.c: findings, in words. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "spool/analyze-private.h"
#include "util/mem.h"

void spool_report_done(struct spool_report *r)
{
    free(r->v);
    *r = (struct spool_report){ 0 };
}

struct spool_finding *report_add(struct spool_report *r, const char *kind, int state,
                                 const char *file, int64_t at)
{
    struct spool_finding *f;

    r->faults += state != SPOOL_NOTE;
    r->mended += state == SPOOL_REPAIRED;
    if (r->n == SPOOL_FINDINGS_MAX) {
        r->untold++;
        return NULL;
    }
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 16;
        r->v = mem_realloc(r->v, r->cap * sizeof *r->v);
    }
    f = &r->v[r->n++];
    *f = (struct spool_finding){ .kind = kind, .state = state, .at = at };
    snprintf(f->file, sizeof f->file, "%s", file);
    return f;
}

void report_mend(struct spool_report *r, struct spool_finding *f)
{
    if (!f || f->state != SPOOL_FOUND)
        return;
    f->state = SPOOL_REPAIRED;
    r->mended++;
}

struct spool_finding *report_at(struct spool_report *r, ptrdiff_t i)
{
    return i < 0 ? NULL : &r->v[i];
}

void finding_found(struct spool_finding *f, const char *fmt, ...)
{
    va_list ap;

    if (!f)
        return;
    va_start(ap, fmt);
    vsnprintf(f->found, sizeof f->found, fmt, ap);
    va_end(ap);
}

void finding_expected(struct spool_finding *f, const char *fmt, ...)
{
    va_list ap;

    if (!f)
        return;
    va_start(ap, fmt);
    vsnprintf(f->expected, sizeof f->expected, fmt, ap);
    va_end(ap);
}

void finding_repair(struct spool_finding *f, const char *fmt, ...)
{
    va_list ap;

    if (!f)
        return;
    va_start(ap, fmt);
    vsnprintf(f->repair, sizeof f->repair, fmt, ap);
    va_end(ap);
}
