/* problem.h: what became of a recipient, or why not, in words: shared by plugins that deliver
 * finally. */
#ifndef COMMON_PROBLEM_H
#define COMMON_PROBLEM_H

#include <postern/postern.h>

#define PROBLEM_TEXT_MAX 1024u

struct problem { /* fate 0: nothing yet */
    uint32_t fate, cause;
    uint16_t status[3];
    uint16_t reserved;
    char     text[PROBLEM_TEXT_MAX];
};

struct problem_kind { /* what an error of the system means; a table of them ends with err 0 */
    int      err;
    uint32_t cause;
    uint16_t status[3];
};

#define STATUS(a, b, c) ((const uint16_t[3]){(a), (b), (c)})

/* The text is one line, whatever the arguments were. */
void problem_set(struct problem *p, uint32_t fate, uint32_t cause, const uint16_t status[3],
                 const char *fmt, ...) POSTERN_PRINTF(5, 6);
/* A system call failed: "cannot WHAT NAME: ERROR"; status and cause by the error. Always
 * deferred. */
void problem_errno(struct problem *p, int err, const char *what, const char *name);
/* The same, where some errors mean something else than they do for most; own: those, or NULL. */
void problem_errno_of(struct problem *p, const struct problem_kind *own, int err,
                      const char *what, const char *name);
/* Tells the host. */
void problem_settle(const struct problem *p, const struct postern_services *svc, postern_job *job,
                    size_t i);

#endif
