/* daemon/reload.c: from one generation to the next.
 *
 * New workers come up beside the old ones, on the same listeners; only when all of them are ready
 * do the old ones drain. If they do not come up, they go and the old ones carry on: nothing has
 * changed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/activation.h"
#include "daemon/notify.h"
#include "daemon/supervisor.h"
#include "daemon/worker.h"
#include "log/log.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/mem.h"

static void join(const struct config_errors *errors, char *buf, size_t size)
{
    size_t len = 0;

    buf[0] = '\0';
    for (size_t i = 0; i < errors->n && len < size; i++) {
        int n = snprintf(buf + len, size - len, "%s%s", i ? "\n" : "", errors->lines[i]);

        len += n > 0 ? (size_t)n : 0;
    }
}

/* systemd wants to know since when (Type=notify-reload). */
static void notify_reloading(void)
{
    char text[80];

    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono());
    notify_service(text);
}

static void reload_again(struct supervisor *sv)
{
    if (!sv->again)
        return;
    sv->again = 0;
    reload_begin(sv);
}

/* The very first did not come up: that is the end, and whoever started us sees why. */
static void refuse_start(struct supervisor *sv, int code, const struct config_errors *errors)
{
    for (size_t i = 0; i < errors->n; i++)
        fprintf(stderr, "postern: %s\n", errors->lines[i]);
    sv->code = code;
    loop_stop(sv->loop);
}

/* The new generation could not even be started. */
static void refuse(struct supervisor *sv, int code, const struct config_errors *errors)
{
    generation_free(&sv->next);
    generation_listeners(sv);
    front_settle(sv, 0);
    if (!sv->current) {
        refuse_start(sv, code, errors);
        return;
    }
    join(errors, sv->last_error, sizeof sv->last_error);
    for (size_t i = 0; i < errors->n; i++)
        log_event(POSTERN_LOG_ERROR, "supervisor", "gateway.reload_failed", "why=%s",
                  log_q(errors->lines[i]));
    front_reload_done(sv, code, sv->last_error);
    notify_service("READY=1");
    reload_again(sv);
}

void reload_same(struct supervisor *sv)
{
    struct config_errors errors = { 0 };
    int code;

    if (sv->next || sv->stopping)
        return;
    code = generation_repeat(sv, &sv->next, &errors);
    if (code)
        refuse(sv, code, &errors);
    else
        generation_start(sv->next);
    config_errors_free(&errors);
}

void reload_begin(struct supervisor *sv)
{
    struct config_errors errors = { 0 };
    int code;

    if (sv->stopping)
        return;
    if (sv->next) { /* one at a time; what was changed since that one began is for the next */
        sv->again = 1;
        return;
    }
    if (sv->current) {
        notify_reloading();
        log_event(POSTERN_LOG_NOTICE, "supervisor", "gateway.reloading", "config=%s",
                  log_q(sv->config_dir ? sv->config_dir : "(built in)"));
    }
    code = generation_new(sv, &sv->next, &errors);
    if (code)
        refuse(sv, code, &errors);
    config_errors_free(&errors);
    log_flush();
}

void reload_probed(struct supervisor *sv, json_t *answer, const char *why)
{
    struct config_errors errors = { 0 };
    int code = generation_prepare(sv->next, answer, why, &errors);

    if (!code)
        code = front_open(sv, sv->next->config, &errors);
    if (!code)
        code = generation_lock(sv->next, &errors);
    if (!code && !sv->current)
        code = supervisor_log(sv->next->config, &errors);
    if (!code && !sv->current)
        activation_over(sv->listeners);
    if (code)
        refuse(sv, code, &errors);
    else
        generation_start(sv->next);
    config_errors_free(&errors);
    log_flush();
}

/* The log file may be another one now, or the old one has been moved away. */
static void reopen_log(const struct config *cfg)
{
    struct config_errors errors = { 0 };

    log_flush();
    if (supervisor_log(cfg, &errors))
        log_event(POSTERN_LOG_ERROR, "supervisor", "log.open", "why=%s", log_q(errors.lines[0]));
    config_errors_free(&errors);
}

static void first_ready(struct supervisor *sv)
{
    log_event(POSTERN_LOG_NOTICE, "gateway", "gateway.ready",
              "version=%s pid=%d workers=%zu config=%s spool=%s start=%.3fs", POSTERN_VERSION,
              (int)getpid(), sv->current->n, log_q(sv->current->config->source),
              log_q(sv->current->config->spool.path), (double)(clock_mono() - sv->started) / 1e6);
}

void reload_ready(struct supervisor *sv)
{
    struct generation *old = sv->current;

    sv->current = sv->next;
    sv->next = NULL;
    adopt_again(sv);
    front_settle(sv, 1);
    if (old) {
        sv->reloads++;
        reopen_log(sv->current->config);
        list_add_tail(&sv->old, &old->link);
        generation_drain(old, "a new generation took over");
        log_event(POSTERN_LOG_NOTICE, "supervisor", "gateway.reloaded", "generation=%u workers=%zu",
                  sv->current->number, sv->current->n);
        generation_listeners(sv);
    } else {
        first_ready(sv);
    }
    notify_service("READY=1\nSTATUS=delivering mail");
    sv->last_error[0] = '\0';
    front_reload_done(sv, EX_OK, NULL);
    adopt_soon(sv);
    log_flush();
    reload_again(sv);
}

void reload_failed(struct supervisor *sv, const char *why)
{
    struct generation *failed = sv->next;

    log_event(POSTERN_LOG_ERROR, "supervisor", "gateway.reload_failed", "why=%s", log_q(why));
    snprintf(sv->last_error, sizeof sv->last_error, "%s", why);
    sv->next = NULL;
    list_add_tail(&sv->old, &failed->link);
    generation_drain(failed, "the new generation did not come up");
    generation_listeners(sv);
    front_settle(sv, 0);
    front_reload_done(sv, sv->code, why);
    if (sv->current) {
        sv->code = 0;
        notify_service("READY=1");
    } else { /* the very first did not come up */
        fprintf(stderr, "postern: %s\n", why);
        sv->stopping = 1;
        supervisor_stopped(sv);
    }
    log_flush();
    reload_again(sv);
}
