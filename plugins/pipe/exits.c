/* exits.c: see pipe.h. The table follows sysexits.h, as commands for mail have understood it since
 * sendmail. What says that the set-up is wrong is deferred: the operator can mend that, and the
 * mail still waits. */
#include "pipe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define CODES 256

static const struct {
    int code;
    const char *name;
    struct exit_fate fate;
} defaults[] = {
    { EX_OK, "EX_OK", { POSTERN_DELIVERED, { 2, 0, 0 } } },
    { EX_USAGE, "EX_USAGE", { POSTERN_DEFERRED, { 4, 3, 5 } } },
    { EX_DATAERR, "EX_DATAERR", { POSTERN_FAILED, { 5, 6, 0 } } },
    { EX_NOINPUT, "EX_NOINPUT", { POSTERN_FAILED, { 5, 3, 0 } } },
    { EX_NOUSER, "EX_NOUSER", { POSTERN_FAILED, { 5, 1, 1 } } },
    { EX_NOHOST, "EX_NOHOST", { POSTERN_FAILED, { 5, 1, 2 } } },
    { EX_UNAVAILABLE, "EX_UNAVAILABLE", { POSTERN_FAILED, { 5, 3, 0 } } },
    { EX_SOFTWARE, "EX_SOFTWARE", { POSTERN_FAILED, { 5, 3, 0 } } },
    { EX_OSERR, "EX_OSERR", { POSTERN_DEFERRED, { 4, 3, 0 } } },
    { EX_OSFILE, "EX_OSFILE", { POSTERN_DEFERRED, { 4, 3, 5 } } },
    { EX_CANTCREAT, "EX_CANTCREAT", { POSTERN_FAILED, { 5, 2, 0 } } },
    { EX_IOERR, "EX_IOERR", { POSTERN_DEFERRED, { 4, 3, 0 } } },
    { EX_TEMPFAIL, "EX_TEMPFAIL", { POSTERN_DEFERRED, { 4, 3, 0 } } },
    { EX_PROTOCOL, "EX_PROTOCOL", { POSTERN_FAILED, { 5, 5, 0 } } },
    { EX_NOPERM, "EX_NOPERM", { POSTERN_FAILED, { 5, 7, 1 } } },
    { EX_CONFIG, "EX_CONFIG", { POSTERN_DEFERRED, { 4, 3, 5 } } },
    { 126, "not executable", { POSTERN_DEFERRED, { 4, 3, 5 } } }, /* what a shell says of the */
    { 127, "not found", { POSTERN_DEFERRED, { 4, 3, 5 } } },      /* program it was to start  */
};
#define DEFAULTS (sizeof defaults / sizeof *defaults)

/* So a shell ends when a signal has ended what it ran last: SIGKILL, when memory is short. */
#define SHELL_SIGNAL_FIRST 129
#define SHELL_SIGNAL_LAST  159

static const struct exit_fate by_signal = { POSTERN_DEFERRED, { 4, 3, 0 } };
static const struct exit_fate unknown = { POSTERN_FAILED, { 5, 3, 0 } };

const char *exits_name(int code)
{
    for (size_t i = 0; i < DEFAULTS; i++) {
        if (defaults[i].code == code && code != EX_OK)
            return defaults[i].name;
    }
    return NULL;
}

int exits_signal(int code)
{
    return code >= SHELL_SIGNAL_FIRST && code <= SHELL_SIGNAL_LAST ? code - SHELL_SIGNAL_FIRST + 1
                                                                   : 0;
}

/* --- overrides: "75=failed 5.3.0", "1-9=deferred", "EX_NOUSER=deferred", "signal=failed" --- */

static int parse_code(const char **p, long *ret)
{
    char *end;

    for (size_t i = 0; i < DEFAULTS; i++) {
        size_t len = strlen(defaults[i].name);

        if (!strncmp(*p, "EX_", 3) && !strncmp(*p, defaults[i].name, len) && (*p)[len] == '=') {
            *ret = defaults[i].code;
            *p += len;
            return 0;
        }
    }
    if (**p < '0' || **p > '9')
        return -EINVAL;
    *ret = strtol(*p, &end, 10);
    *p = end;
    return *ret < CODES ? 0 : -EINVAL;
}

static int parse_fate(const char *p, struct exit_fate *ret)
{
    static const struct {
        const char *name;
        struct exit_fate fate;
    } fates[] = {
        { "delivered", { POSTERN_DELIVERED, { 2, 0, 0 } } },
        { "deferred", { POSTERN_DEFERRED, { 4, 3, 0 } } },
        { "failed", { POSTERN_FAILED, { 5, 3, 0 } } },
    };
    uint16_t status[3];
    size_t n;

    for (size_t i = 0; i < sizeof fates / sizeof *fates; i++) {
        size_t len = strlen(fates[i].name);

        if (strncmp(p, fates[i].name, len) != 0 || (p[len] && p[len] != ' '))
            continue;
        *ret = fates[i].fate;
        p += len;
        if (!*p)
            return 0;
        n = postern_status_parse(++p, status);
        if (!n || p[n] || status[0] != ret->status[0])
            return -EINVAL;
        memcpy(ret->status, status, sizeof status);
        return 0;
    }
    return -EINVAL;
}

static void set_by_signal(struct exits *e, const struct exit_fate *fate)
{
    e->by_signal = *fate;
    for (int code = SHELL_SIGNAL_FIRST; code <= SHELL_SIGNAL_LAST; code++)
        e->code[code] = *fate;
}

/* "signal" is looked at first: what says a code means that code, wherever it stands. */
static int take_override(const char *text, int signals, struct exits *e)
{
    struct exit_fate fate;
    const char *p = text;
    long first, last;
    int is_signal = !strncmp(p, "signal=", 7);

    if (is_signal != signals)
        return 0;
    if (is_signal) {
        if (parse_fate(p + 7, &fate) < 0)
            return -EINVAL;
        set_by_signal(e, &fate);
        return 0;
    }
    if (parse_code(&p, &first) < 0)
        return -EINVAL;
    last = first;
    if (*p == '-') {
        p++;
        if (parse_code(&p, &last) < 0)
            return -EINVAL;
    }
    if (*p != '=' || last < first || parse_fate(p + 1, &fate) < 0)
        return -EINVAL;
    for (long code = first; code <= last; code++)
        e->code[code] = fate;
    return 0;
}

int exits_fill(const struct postern_strings *overrides, struct exits *ret, char *why,
               size_t why_size)
{
    for (int i = 0; i < CODES; i++)
        ret->code[i] = unknown;
    for (size_t i = 0; i < DEFAULTS; i++)
        ret->code[defaults[i].code] = defaults[i].fate;
    set_by_signal(ret, &by_signal);
    for (size_t k = 0; k < 2 * overrides->n; k++) {
        size_t i = k % overrides->n;

        if (take_override(overrides->v[i], k < overrides->n, ret) < 0) {
            snprintf(
                why, why_size,
                "exit_codes: found \"%.100s\", expected \"CODE=FATE\" or \"CODE=FATE STATUS\", "
                "with CODE as 75, 1-9, EX_NOUSER or signal, FATE as delivered, deferred or "
                "failed, and a STATUS that fits it, such as 5.1.1",
                overrides->v[i]);
            return -EINVAL;
        }
    }
    return 0;
}
