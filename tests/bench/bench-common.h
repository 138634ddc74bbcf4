/* bench-common.h: the few things that the generator and the sink both need.
 * Static inline, so that each tool stays one file that any C compiler builds alone. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>

/* Both tools print times of this clock, so that a driver can subtract one's from the other's. */
static inline double now_seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static inline double own_cpu_seconds(void)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
        (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

__attribute__((noreturn, format(printf, 2, 3))) static inline void die(int status, const char *fmt,
                                                                       ...)
{
    va_list ap;

    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(status);
}

/* "127.0.0.1:2525" and nothing cleverer: a name would need a resolver, and would hide a mistake.
 * Anything but loopback is refused, so that a typing error cannot load somebody's mail server. */
static inline struct sockaddr_in loopback_endpoint(const char *text)
{
    struct sockaddr_in sin = { .sin_family = AF_INET };
    char host[INET_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    long port = colon ? strtol(colon + 1, NULL, 10) : 0;

    if (!colon || (size_t)(colon - text) >= sizeof(host) || port < 1 || port > 65535)
        die(EX_USAGE, "%s: expected ADDRESS:PORT", text);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    if (inet_pton(AF_INET, host, &sin.sin_addr) != 1)
        die(EX_USAGE, "%s: not an IPv4 address", host);
    if (ntohl(sin.sin_addr.s_addr) >> 24 != 127)
        die(EX_USAGE, "%s: benchmarks run on loopback only (127.0.0.0/8)", host);
    sin.sin_port = htons((uint16_t)port);
    return sin;
}

static inline unsigned long number_option(const char *name, const char *text, unsigned long min,
                                          unsigned long max)
{
    char *end;
    unsigned long n;

    errno = 0;
    n = strtoul(text, &end, 10);
    if (errno || end == text || *end || *text == '-' || n < min || n > max)
        die(EX_USAGE, "--%s %s: expected %lu to %lu", name, text, min, max);
    return n;
}

/* A round's name becomes part of every Message-ID, so it must be a plain atom. */
static inline void round_name_check(const char *name)
{
    size_t len = strlen(name);

    if (len < 1 || len > 30 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != len)
        die(EX_USAGE, "round \"%s\": expected 1 to 30 of a-z, 0-9 and -", name);
}

static inline void no_delay(int fd)
{
    int on = 1;

    /* Otherwise the last short segment of a message waits for a delayed ACK: 40 ms each. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

#endif
