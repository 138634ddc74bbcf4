/* postern/services.h: every effect that a plugin can have on the world.
 *
 * The host passes this table to open(). It grows only at its tail (see abi.h). All calls are made
 * on the worker's loop, except content_read and content_size, which any thread may call. No call
 * here calls the plugin back before it has returned. Functions that return int give 0 or -errno
 * unless they say otherwise; outputs are set only on success. */
#ifndef POSTERN_SERVICES_H
#define POSTERN_SERVICES_H

#include <postern/stream.h>
#include <postern/types.h>

/* Answers of the resolver. result: 0, -ENOENT (the name does not exist, or has no such data, by
 * authority), -EAGAIN (could not be found out now), -EINVAL (not a name). Arrays are borrowed. */
typedef void postern_mx_cb(void *ctx, int result, const struct postern_mx *mx, size_t n);
typedef void postern_host_cb(void *ctx, int result, const char *const *addresses, size_t n);

struct postern_services {
    size_t size;

    /* --- log ---
     * One event: a stable dotted name ("smtp.reject") and key=value pairs. The host adds time,
     * instance and escapes; give the queue id as "id=%s" first where there is one. Any thread. */
    void (*log)(postern_host *, int level, const char *event, const char *fmt, ...)
        POSTERN_PRINTF(4, 5);

    /* --- time ---
     * after: calls done(ctx, 0) once, `usec` microseconds from now. now: a monotonic clock in
     * microseconds, cheap, constant within one callback. */
    int (*after)(postern_host *, uint64_t usec, postern_done *, void *ctx, uint64_t *ret_id);
    uint64_t (*now)(postern_host *);

    /* --- descriptors and threads ---
     * watch: calls ready while `fd` is readable or writable, as asked. The fd stays the plugin's.
     * offload: runs work(ctx) on a thread of a small pool, then done(ctx, what work returned) on
     *   the loop. The only place for blocking calls. There is no cancelling: ctx lives until done.
     * forget: the callback with that id (after, watch, resolve_*) will not run any more. 0 and ids
     *   that are over are ignored. */
    int (*watch)(postern_host *, int fd, unsigned events, postern_ready *, void *ctx,
                 uint64_t *ret_id);
    int (*offload)(postern_host *, int (*work)(void *ctx), postern_done *, void *ctx);
    void (*forget)(postern_host *, uint64_t id);

    /* --- jobs: messages to deliver (transports) ---
     * A job is borrowed from deliver() until its last recipient is settled: the plugin may keep the
     * pointer so long. Strings are borrowed as long as the job. Recipients count from 0; sender is
     * "" for the null reverse-path.
     * job_destination: the domain (or other key) the recipients share when the route names no next
     *   hop; lower case.
     * job_next_hop: the i-th next hop of the route, or NULL past the end. Forms: "host",
     *   "host:port" (look up MX, then host), "[host]", "[192.0.2.1]:port" (no MX), see
     *   postern_next_hop_parse.
     * job_flags: POSTERN_MAIL_*.   job_id: the queue id, for logs and peers.
     * job_param: what the route's rule says beside the transport, by name; NULL when it says
     *   nothing.
     * job_settle: the fate of recipient i; exactly once for each. A second one is logged as the
     *   plugin's bug and ignored. After the last one the job is gone when the plugin returns.
     * job_content: the content; borrowed as long as the job. */
    const char *(*job_id)(const postern_job *);
    const char *(*job_sender)(const postern_job *);
    size_t (*job_rcpts)(const postern_job *);
    const char *(*job_rcpt)(const postern_job *, size_t i);
    const char *(*job_destination)(const postern_job *);
    const char *(*job_next_hop)(const postern_job *, size_t i);
    const char *(*job_param)(const postern_job *, const char *name);
    uint32_t (*job_flags)(const postern_job *);
    postern_content *(*job_content)(const postern_job *);
    void (*job_settle)(postern_job *, size_t i, const struct postern_outcome *);

    /* --- content ---
     * Lines end in CRLF. content_read copies up to len bytes from offset `at`; returns how many (0
     * at the end) or -errno; it may read a disk: call it from offload() only. */
    uint64_t (*content_size)(const postern_content *);
    int64_t (*content_read)(const postern_content *, uint64_t at, void *buf, size_t len);

    /* --- submissions: messages to accept (ingress) ---
     * submit_new: begins a message. -ENOSPC: the spool is full (452 4.3.1); -EIO: it is unwell
     *   (451). -EINVAL: the sender is neither "" nor an address; -EFBIG: the size announced is over
     *   the limit.
     * submit_id: its queue id, borrowed as long as the submission.
     * submit_rcpt: adds a recipient. -EINVAL: not an address; -E2BIG: too many.
     * submit_write: appends content; the bytes are copied. 1 instead of 0: taken, but wait with
     *   more until submit_room calls back (the disk is behind). -EFBIG: over the configured size
     *   limit.
     * submit_room: calls done(ctx, 0) once when there is room again.
     * submit_commit: makes it durable. done gets 0 when it is (say 250 now, not before), -ENOSPC,
     *   -EIO, or -ELOOP (too many Received fields: 554 5.4.6). Consumes the submission, whatever
     *   comes.
     * submit_free: abandons it; NULL is fine. */
    int (*submit_new)(postern_host *, const struct postern_envelope *, postern_submit **ret);
    const char *(*submit_id)(const postern_submit *);
    int (*submit_rcpt)(postern_submit *, const char *rcpt);
    int (*submit_write)(postern_submit *, const void *data, size_t len);
    void (*submit_room)(postern_submit *, postern_done *, void *ctx);
    void (*submit_commit)(postern_submit *, postern_done *, void *ctx);
    void (*submit_free)(postern_submit *);

    /* route_check: what would the router say? A pure look-up: quick, no DNS. -EINVAL: rcpt is no
     * address; -EAGAIN: a directory or the resolver has to be asked, which is for route_ask. */
    int (*route_check)(postern_host *, const char *sender, const char *rcpt,
                       struct postern_verdict *ret);

    /* --- facts ---
     * hostname: the gateway's own name (server.hostname).   instance: this instance's name.
     * size_limit: largest content accepted, in bytes; 0: none. */
    const char *(*hostname)(postern_host *);
    const char *(*instance)(postern_host *);
    uint64_t (*size_limit)(postern_host *);

    /* --- streams ---
     * listen: takes connections on an endpoint, which must be one of the plugin's own
     *   POSTERN_OPT_LISTEN values; the host bound it long ago. Accepting begins when the worker is
     *   ready.
     * stream_connect: address is a literal ("192.0.2.1", "::1") or "unix:/path";
     *   POSTERN_STREAM_OPEN or _ERROR follows (-ETIMEDOUT after timeout_usec).
     * stream_events: sets the callback (for accepted streams).
     * stream_peek: the buffered input, borrowed until the next consume, line, or return to the
     *   loop.
     * stream_consume: drops n bytes of it.
     * stream_line: takes one line off the input. 1: *ret_line (borrowed, as peek) of *ret_len bytes
     *   without its terminator, *ret_eol is 2 for CRLF and 1 for a bare LF; 0: no whole line yet;
     *   -EMSGSIZE: longer than max (nothing is consumed).
     * stream_write: queues a copy of the bytes. stream_printf: the same, formatted (at most 4 KiB).
     * stream_content: queues content from byte `at` on (POSTERN_CONTENT_*), read piecemeal as the
     *   peer takes it; the content must stay until DRAINED or stream_close. At most one at a time.
     * stream_pending: bytes queued and not yet with the kernel (content counts as one at least).
     * stream_pause: 1 stops reading from the peer, 0 goes on. Use it while a commit is under way.
     * stream_deadline: TIMEOUT comes in `usec`, unless it is set again before; 0: never.
     * stream_starttls: begins the handshake after what is queued has left; refuses (-EBUSY) while
     *   input is buffered as a server (RFC 3207 4.2 command injection). name: expected peer, SNI;
     *   may be NULL. POSTERN_STREAM_SECURE or _ERROR follows.
     * stream_info: fills in facts, see stream.h.
     * stream_close: flushes what is queued (up to 10 s), closes. No events follow. NULL is fine.
     * stream_abort: closes at once and drops what is queued. NULL is fine.
     * tls_new: loads certificates; -EINVAL with the reason logged. Lives as long as the plugin. */
    int (*listen)(postern_host *, const char *endpoint, postern_accept_cb *, void *ctx);
    int (*stream_connect)(postern_host *, const char *address, uint16_t port, uint64_t timeout_usec,
                          postern_stream_cb *, void *ctx, postern_stream **ret);
    void (*stream_events)(postern_stream *, postern_stream_cb *, void *ctx);
    size_t (*stream_peek)(postern_stream *, const char **ret_data);
    void (*stream_consume)(postern_stream *, size_t n);
    int (*stream_line)(postern_stream *, size_t max, const char **ret_line, size_t *ret_len,
                       int *ret_eol);
    int (*stream_write)(postern_stream *, const void *data, size_t len);
    int (*stream_printf)(postern_stream *, const char *fmt, ...) POSTERN_PRINTF(2, 3);
    int (*stream_content)(postern_stream *, postern_content *, uint64_t at, uint32_t flags);
    size_t (*stream_pending)(const postern_stream *);
    void (*stream_pause)(postern_stream *, int on);
    void (*stream_deadline)(postern_stream *, uint64_t usec);
    int (*stream_starttls)(postern_stream *, postern_tls *, const char *name);
    void (*stream_info)(postern_stream *, struct postern_stream_info *out);
    void (*stream_close)(postern_stream *);
    void (*stream_abort)(postern_stream *);
    int (*tls_new)(postern_host *, const struct postern_tls_params *, postern_tls **ret);

    /* --- names ---
     * resolve_mx: exchangers of a domain, ascending by preference, equal ones shuffled, each name
     *   once, from the operator's table ("local mx") and MX records ("dns mx"); a domain without
     *   any gives itself with preference 0 ("local host", "dns host") when it has addresses.
     * resolve_host: addresses of a host, IPv6 and IPv4 as configured, as literals.
     * Both may answer from the cache; never before they have returned. */
    int (*resolve_mx)(postern_host *, const char *domain, postern_mx_cb *, void *ctx,
                      uint64_t *ret_id);
    int (*resolve_host)(postern_host *, const char *name, postern_host_cb *, void *ctx,
                        uint64_t *ret_id);

    /* --- more about jobs (since 1.1: ask POSTERN_HAS) ---
     * job_client: who brought the message, as its ingress said it ("host.example [192.0.2.7]",
     *   "local"); "" when nobody did.
     * job_original: recipient i as it was accepted, before anything was rewritten or expanded; NULL
     *   past the end.
     * Both are borrowed as long as the job. */
    const char *(*job_client)(const postern_job *);
    const char *(*job_original)(const postern_job *, size_t i);

    /* --- more about next hops (since 1.1: ask POSTERN_HAS) ---
     * job_next_hop_flags: what is special about next hop i; 0 past the end. The text that
     *   job_next_hop gives is an ordinary next hop in any case.
     *   POSTERN_NEXT_HOP_OWN: it is the recipients' own domain, which the route leaves to find its
     *     way by itself: what is final about it is final for them.
     *   POSTERN_NEXT_HOP_UNRESOLVED: to be used only when no next hop before it has an address. */
    uint32_t (*job_next_hop_flags)(const postern_job *, size_t i);

    /* --- questions to directories (since 1.1: ask POSTERN_HAS) ---
     * A lookup is borrowed from the directory's lookup() until it is answered; its strings
     * likewise. lookup_kind: enum postern_lookup_kind.
     * lookup_key: what is looked up, in lower case: "ann", or "ann@example.com" (an alias by its
     *   full address), with the quotes that an address needs.
     * lookup_local, lookup_domain: the address that the question is about, whatever the key is: its
     *   local part without quotes, as it was written; its domain, lower case.
     * lookup_answer: exactly once. 0 with n values (borrowed); -ENOENT: there is no such name, by
     *   authority; -EAGAIN: could not be found out now, and values[0], if there is one, says why. A
     *   second answer is logged as the plugin's bug and ignored. */
    uint32_t (*lookup_kind)(const postern_lookup *);
    const char *(*lookup_key)(const postern_lookup *);
    const char *(*lookup_local)(const postern_lookup *);
    const char *(*lookup_domain)(const postern_lookup *);
    void (*lookup_answer)(postern_lookup *, int result, const char *const *values, size_t n);

    /* --- more about routes (since 1.1: ask POSTERN_HAS) ---
     * route_ask: as route_check, but it asks directories and the resolver when it has to: for when
     *   that said -EAGAIN. forget() ends it. */
    int (*route_ask)(postern_host *, const char *sender, const char *rcpt, postern_verdict_cb *,
                     void *ctx, uint64_t *ret_id);

    /* --- more about holds (since 1.1: ask POSTERN_HAS) ---
     * job_released: 1 when recipient i was on hold because a plugin settled it with
     *   POSTERN_CAUSE_HELD, and an operator has released it since; such a plugin asks this, or it
     *   would hold it again. */
    int (*job_released)(const postern_job *, size_t i);

    /* --- more about submissions (since 1.1: ask POSTERN_HAS) ---
     * submit_sender: the sender that its envelope has now, which the operator's settings may have
     *   made another (POSTERN_MAIL_TRUSTED); it is the one to name to route_check. Borrowed as long
     *   as the submission.
     * submit_rcpts: how many recipients it has. One that is added again, or differs from one before
     *   in the case of the domain only, is taken and not counted; of POSTERN_MAIL_LIST likewise one
     *   that differs in the case of the user. */
    const char *(*submit_sender)(const postern_submit *);
    size_t (*submit_rcpts)(const postern_submit *);
};
#define POSTERN_NEXT_HOP_OWN        1u
#define POSTERN_NEXT_HOP_UNRESOLVED 2u

#endif
