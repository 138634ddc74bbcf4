/* problem.c: see problem.h. */
#include "problem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void problem_set(struct problem *p, uint32_t fate, uint32_t cause, const uint16_t status[3],
                 const char *fmt, ...)
{
    char text[PROBLEM_TEXT_MAX];
    va_list ap;

    p->fate = fate;
    p->cause = cause;
    memcpy(p->status, status, sizeof p->status);
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    postern_text_clean(text, strlen(text), p->text, sizeof p->text);
}

/* What would meet any message is the plugin's trouble, the rest is this recipient's. */
static const struct problem_kind most[] = {
    { ENOSPC, POSTERN_CAUSE_PLUGIN, { 4, 3, 1 } },
    { EDQUOT, POSTERN_CAUSE_RECIPIENT, { 4, 2, 2 } },
    { EFBIG, POSTERN_CAUSE_RECIPIENT, { 4, 2, 2 } },
    { EROFS, POSTERN_CAUSE_PLUGIN, { 4, 3, 0 } },
    { EIO, POSTERN_CAUSE_PLUGIN, { 4, 3, 0 } },
    { EMFILE, POSTERN_CAUSE_PLUGIN, { 4, 3, 0 } },
    { ENFILE, POSTERN_CAUSE_PLUGIN, { 4, 3, 0 } },
    { ENOMEM, POSTERN_CAUSE_PLUGIN, { 4, 3, 0 } },
    { EAGAIN, POSTERN_CAUSE_PLUGIN, { 4, 3, 0 } },
    { ENOTDIR, POSTERN_CAUSE_RECIPIENT, { 4, 3, 5 } },
    { ENOENT, POSTERN_CAUSE_RECIPIENT, { 4, 3, 5 } },
    { ENOEXEC, POSTERN_CAUSE_RECIPIENT, { 4, 3, 5 } },
    { ELOOP, POSTERN_CAUSE_RECIPIENT, { 4, 3, 5 } },
    { EISDIR, POSTERN_CAUSE_RECIPIENT, { 4, 3, 5 } },
    { ENXIO, POSTERN_CAUSE_RECIPIENT, { 4, 3, 5 } }, /* a socket */
    { EXDEV, POSTERN_CAUSE_RECIPIENT, { 4, 3, 5 } },
    { EACCES, POSTERN_CAUSE_RECIPIENT, { 4, 3, 5 } },
    { EPERM, POSTERN_CAUSE_RECIPIENT, { 4, 3, 5 } },
    { .err = 0 },
};

static const struct problem_kind *find(const struct problem_kind *table, int err)
{
    for (; table && table->err; table++) {
        if (table->err == err)
            return table;
    }
    return NULL;
}

void problem_errno_of(struct problem *p, const struct problem_kind *own, int err, const char *what,
                      const char *name)
{
    static const struct problem_kind other = { 0, POSTERN_CAUSE_RECIPIENT, { 4, 3, 0 } };
    const struct problem_kind *kind = find(own, err);

    if (!kind)
        kind = find(most, err);
    if (!kind)
        kind = &other;
    problem_set(p, POSTERN_DEFERRED, kind->cause, kind->status, "cannot %s %s: %s", what, name,
                strerror(err));
}

void problem_errno(struct problem *p, int err, const char *what, const char *name)
{
    problem_errno_of(p, NULL, err, what, name);
}

void problem_settle(const struct problem *p, const struct postern_services *svc, postern_job *job,
                    size_t i)
{
    struct postern_outcome outcome = {
        .size = sizeof outcome,
        .fate = p->fate,
        .cause = p->cause,
        .diagnostic = p->text,
    };

    memcpy(outcome.status, p->status, sizeof outcome.status);
    svc->job_settle(job, i, &outcome);
}
