/* daemon/notice.c: a message from the gateway to its postmaster, on the same road as all mail. */
#include <stdlib.h>
#include <string.h>

#include <postern/mail.h>

#include "daemon/worker.h"
#include "log/log.h"
#include "plugin/host_private.h"
#include "util/clock.h"
#include "util/mem.h"

static void on_done(void *ctx, int result)
{
    (void)ctx;
    if (result < 0)
        log_event(POSTERN_LOG_ERROR, "worker", "notice.write", "why=%s", log_q(strerror(-result)));
}

void worker_notice(struct worker *w, const char *text)
{
    const struct config_server *s = &w->plan.config->server;
    struct postern_envelope e = { .size = sizeof e, .sender = "", .protocol = "local" };
    postern_submit *submit;
    char date[48], *to, *message;

    to = strchr(s->postmaster, '@') ? mem_strdup(s->postmaster)
                                    : mem_printf("%s@%s", s->postmaster, s->hostname);
    if (host_submit_new(hosts_core(w->hosts), &e, &submit) < 0) {
        log_event(POSTERN_LOG_ERROR, "worker", "notice.write", "text=%s", log_q(text));
        free(to);
        return;
    }
    message =
        mem_printf("From: Postern <MAILER-DAEMON@%s>\r\nTo: <%s>\r\nDate: %s\r\n"
                   "Message-ID: <%s.notice@%s>\r\nSubject: A notice from the mail gateway\r\n"
                   "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                   "Content-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n",
                   s->hostname, to, postern_date_format(clock_wall() / 1000000, date, sizeof date),
                   host_submit_id(submit), s->hostname, text);
    host_submit_notice(submit);
    if (host_submit_rcpt(submit, to) < 0 || host_submit_write(submit, message, strlen(message)) < 0)
        host_submit_free(submit);
    else
        host_submit_commit(submit, on_done, NULL);
    free(message);
    free(to);
}
