/* log/log.h: one event a line, for people (key=value) or machines (JSON), any thread.
 *
 *   2026-11-22T14:15:41.123Z info smtp.accept id=... from=<a@b> ...
 *
 * A line is made of a stable dotted event name and pairs, written by the caller as printf text of
 * key=value pairs whose untrusted values went through log_q (quoting). With format json the pairs
 * are taken apart again by the one writer, so that callers need not care. Lines are gathered and
 * written once a turn (log_flush); errors at once. */
#ifndef LOG_LOG_H
#define LOG_LOG_H

#include <stddef.h>

#include <postern/types.h>

enum log_format { LOG_TEXT, LOG_JSON };

struct log_config {
    int         level;  /* POSTERN_LOG_*: what is less urgent is not written */
    int         format; /* enum log_format */
    const char *file;   /* NULL: standard error; with systemd priorities when it is the journal */
};

int  log_open(const struct log_config *cfg); /* 0 or -errno; before it: text, info, stderr */
void log_flush(void);
int  log_fd(void); /* where it goes, for a signal handler that can only write(2) */
/* Writes what was gathered, from a signal handler: it takes no lock and only calls write(2). For a
 * process that is about to die: log_flush would write it again. */
void log_last_words(void);
int  log_enabled(int level);
/* `where`: instance name ("smtp-in") or part of the core ("queue", "spool"); goes first as part= */
void log_event(int level, const char *where, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void log_vevent(int level, const char *where, const char *event, const char *fmt,
                __builtin_va_list ap) __attribute__((format(printf, 4, 0)));

/* Quotes an untrusted value for use as %s in a pair. Result lives in a small ring of buffers per
 * thread (8 of them): use it in the same call. NULL gives "-". Long values are cut at 400 bytes. */
const char *log_q(const char *s);
const char *log_qn(const char *s, size_t len);

#endif
