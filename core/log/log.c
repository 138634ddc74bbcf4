/* log/log.c: see log.h.
 *
 * The one piece of process-wide state outside daemon/: a log that is not global is a log that the
 * worst moment can't reach. */
#include "log/log.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <postern/mail.h>

#include "util/buf.h"
#include "util/clock.h"
#include "util/text.h"

#define LOG_GATHER_MAX \
    65536u /* bytes gathered before they are written without waiting for the turn */
#define LOG_VALUE_MAX 400u

static struct {
    pthread_mutex_t lock;
    int fd, level, format, journal;
    struct buf line; /* the one being made */
    int64_t second;  /* whose text is cached in stamp */
    char stamp[32];
    /* What was gathered and is not written yet, from..to. It is read by a signal handler at any
     * moment: the bytes are there before `to` counts them, and their place never moves. */
    _Atomic size_t from, to;
    char out[LOG_GATHER_MAX];
} the_log = { .lock = PTHREAD_MUTEX_INITIALIZER,
              .fd = STDERR_FILENO,
              .level = POSTERN_LOG_INFO,
              .format = LOG_TEXT };

static const char *const level_names[] = { "emerg",   "alert",  "crit", "error",
                                           "warning", "notice", "info", "debug" };

/* systemd says which file is its journal (sd-daemon(3)); then lines may begin with a priority. */
static int is_journal(int fd)
{
    const char *s = getenv("JOURNAL_STREAM");
    unsigned long long dev, ino;
    struct stat st;

    return s && sscanf(s, "%llu:%llu", &dev, &ino) == 2 && !fstat(fd, &st) && st.st_dev == dev &&
        st.st_ino == ino;
}

int log_fd(void)
{
    return the_log.fd;
}

int log_open(const struct log_config *cfg)
{
    int fd = STDERR_FILENO;

    if (cfg->file && *cfg->file) {
        fd = open(cfg->file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (fd < 0)
            return -errno;
    }
    pthread_mutex_lock(&the_log.lock);
    if (the_log.fd != STDERR_FILENO)
        close(the_log.fd);
    the_log.fd = fd;
    the_log.level = cfg->level;
    the_log.format = cfg->format;
    the_log.journal = is_journal(fd);
    pthread_mutex_unlock(&the_log.lock);
    return 0;
}

/* A log that can't be written must not stop mail: what does not go out is dropped. */
static void write_all(const char *data, size_t len)
{
    while (len) {
        ssize_t n = write(the_log.fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        data += n;
        len -= (size_t)n;
    }
}

/* `from` goes first: at the worst, a crash in between loses what was just written from the count of
 * what is to be written, and never writes it twice. */
static void write_out(void)
{
    size_t from = the_log.from, to = the_log.to;

    the_log.from = to;
    write_all(the_log.out + from, to - from);
    the_log.to = 0;
    the_log.from = 0;
}

static void gather(const char *data, size_t len)
{
    if (len > sizeof the_log.out - the_log.to)
        write_out();
    if (len > sizeof the_log.out) { /* behind what came before it, and not to be kept */
        write_all(data, len);
        return;
    }
    memcpy(the_log.out + the_log.to, data, len);
    the_log.to += len;
}

void log_last_words(void)
{
    size_t from = the_log.from, to = the_log.to;

    if (from < to)
        write_all(the_log.out + from, to - from);
}

void log_flush(void)
{
    pthread_mutex_lock(&the_log.lock);
    if (the_log.to)
        write_out();
    pthread_mutex_unlock(&the_log.lock);
}

int log_enabled(int level)
{
    return level <= the_log.level;
}

static void add_time(struct buf *b)
{
    int64_t wall = clock_wall();

    if (wall / 1000000 != the_log.second) {
        text_time(wall, the_log.stamp, sizeof the_log.stamp);
        the_log.second = wall / 1000000;
    }
    buf_add(b, the_log.stamp, 20); /* up to the decimal point */
    buf_printf(b, "%03dZ", (int)(wall / 1000 % 1000));
}

/* Takes one value off "key=value key=\"quoted \\x41\" ...": what log_q wrote, read back. */
static const char *unquote(const char *s, struct buf *value)
{
    if (*s != '"') {
        while (*s && *s != ' ')
            buf_addc(value, *s++);
        return s;
    }
    for (s++; *s && *s != '"'; s++) {
        unsigned byte;

        /* Two digits, looked at first: sscanf would take one, or a sign, and we would step over
         * the end. */
        if (*s == '\\' && s[1] == 'x' && isxdigit((unsigned char)s[2]) &&
            isxdigit((unsigned char)s[3]) && sscanf(s + 2, "%2x", &byte) == 1) {
            buf_addc(value, (char)byte);
            s += 3;
        } else {
            if (*s == '\\' && s[1])
                s++;
            buf_addc(value, *s);
        }
    }
    return *s ? s + 1 : s;
}

static void add_pairs_json(struct buf *b, const char *s)
{
    struct buf value = { 0 };

    while (*s) {
        const char *key = s, *end = strpbrk(s, "= ");

        if (!end || *end == ' ') { /* a bare word: keep it, named for what it is */
            end = end ? end : s + strlen(s);
            buf_adds(b, ",\"note\":");
            text_json(b, key, (size_t)(end - key));
            s = *end ? end + 1 : end;
            continue;
        }
        buf_clear(&value);
        s = unquote(end + 1, &value);
        buf_addc(b, ',');
        text_json(b, key, (size_t)(end - key));
        buf_addc(b, ':');
        text_json(b, value.data ? value.data : "", value.len);
        while (*s == ' ')
            s++;
    }
    buf_free(&value);
}

static void add_line(struct buf *b, int level, const char *where, const char *event,
                     const char *pairs)
{
    if (the_log.format == LOG_JSON) {
        buf_adds(b, "{\"time\":\"");
        add_time(b);
        buf_printf(b, "\",\"level\":\"%s\",\"part\":", level_names[level]);
        text_json(b, where, strlen(where));
        buf_adds(b, ",\"event\":");
        text_json(b, event, strlen(event));
        add_pairs_json(b, pairs);
        buf_adds(b, "}\n");
        return;
    }
    if (the_log.journal)
        buf_printf(b, "<%d>", level);
    else
        add_time(b);
    if (!the_log.journal)
        buf_addc(b, ' ');
    buf_adds(b, level_names[level]);
    buf_addc(b, ' ');
    buf_adds(b, where);
    buf_addc(b, ' ');
    buf_adds(b, event);
    if (*pairs)
        buf_addc(b, ' ');
    buf_adds(b, pairs);
    buf_addc(b, '\n');
}

/* Whatever a caller forgot to quote, a line stays a line. */
static void one_line(char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
    }
}

void log_vevent(int level, const char *where, const char *event, const char *fmt, va_list ap)
{
    char small[1024], *text = small, *big = NULL;
    va_list again;
    int n;

    if (level < 0 || level > POSTERN_LOG_DEBUG || !log_enabled(level))
        return;
    va_copy(again, ap);
    n = vsnprintf(small, sizeof small, fmt, ap);
    if (n >= (int)sizeof small && vasprintf(&big, fmt, again) >= 0)
        text = big;
    va_end(again);
    one_line(text);
    pthread_mutex_lock(&the_log.lock);
    buf_clear(&the_log.line);
    add_line(&the_log.line, level, where ? where : "postern", event, text);
    gather(the_log.line.data, the_log.line.len);
    if (level <= POSTERN_LOG_WARNING)
        write_out();
    pthread_mutex_unlock(&the_log.lock);
    free(big);
}

void log_event(int level, const char *where, const char *event, const char *fmt, ...)
{
    va_list ap;

    if (!log_enabled(level))
        return;
    va_start(ap, fmt);
    log_vevent(level, where, event, fmt, ap);
    va_end(ap);
}

const char *log_qn(const char *s, size_t len)
{
    static _Thread_local char ring[8][LOG_VALUE_MAX * 4 + 8];
    static _Thread_local unsigned turn;
    char *out = ring[turn++ % 8];

    if (!s)
        return "-";
    return postern_log_value(s, len > LOG_VALUE_MAX ? LOG_VALUE_MAX : len, out, sizeof ring[0]);
}

const char *log_q(const char *s)
{
    return log_qn(s, s ? strlen(s) : 0);
}
