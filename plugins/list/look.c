/* look.c: see post.h: what needs a disk.
 *
 * Content is read under the post's lock: a job can be cancelled while the thread is at work, and
 * its content goes with it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "post.h"

int64_t look_content(struct post *p, uint64_t at, char *buf, size_t len)
{
    int64_t n = -ECANCELED;

    pthread_mutex_lock(&p->lock);
    if (!p->cancelled)
        n = p->l->svc->content_read(p->content, at, buf, len);
    pthread_mutex_unlock(&p->lock);
    return n;
}

static int refuse(struct post *p, const uint16_t status[3], const char *why)
{
    problem_set(&p->room->problem, POSTERN_FAILED, POSTERN_CAUSE_RECIPIENT, status,
                "the list %s %s", p->room->place.list, why);
    return 0;
}

/* The message's first bytes: how many, or -errno with the problem set. */
static int64_t read_start(struct post *p, size_t max)
{
    struct room *room = p->room;
    uint64_t at = 0;
    int64_t n = 1;

    while (at < max && (n = look_content(p, at, room->data + at, max - at)) > 0)
        at += (uint64_t)n;
    if (n >= 0)
        return (int64_t)at;
    problem_errno(&room->problem, (int)-n, "read", "the message");
    return n;
}

/* --- may it be posted? --- */

/* Loops, and mail that nobody wrote: RFC 3834 2. */
static int judge_head(struct post *p)
{
    const struct settings *set = p->l->set;
    const struct head *h = &p->room->head_facts;
    char why[128];

    if (h->open && p->content_size > LIST_HEAD_MAX)
        return refuse(p, STATUS(5, 6, 0), "takes no mail whose header is that long");
    if (h->ours || place_same(p->sender, p->room->place.bounces))
        return refuse(p, STATUS(5, 4, 6),
                      "has distributed this message already: it goes in circles");
    if (h->received > (uint64_t)set->hops_max)
        return refuse(p, STATUS(5, 4, 6), "takes no mail that came over so many hosts");
    if (h->automatic && set->automatic == AUTOMATIC_REFUSE) {
        snprintf(why, sizeof why,
                 "takes no automatic mail, and the field %s says that this is some", h->automatic);
        return refuse(p, STATUS(5, 7, 1), why);
    }
    return 1;
}

static int is_named(const struct post *p, const char *address)
{
    const struct postern_strings *posters = &p->l->set->posters;
    const char *owner = p->room->place.owner;

    if (!*address)
        return 0;
    for (size_t i = 0; i < posters->n; i++) {
        if (place_same(posters->v[i], address))
            return 1;
    }
    return *owner && place_same(owner, address);
}

/* Is one of the two a member? Reads the file, and leaves it at its beginning. 1, 0 or -errno. */
static int is_member(struct post *p, const char *a, const char *b)
{
    struct members *m = &p->room->members;
    char address[POSTERN_ADDRESS_MAX + 1];
    int r, found = 0;

    while (!found && (r = members_next(m, address, sizeof address)) != 0) {
        if (r == -EBADMSG)
            continue;
        if (r < 0)
            return r;
        found = place_same(address, a) || place_same(address, b);
    }
    r = members_rewind(m);
    return r < 0 ? r : found;
}

/* The envelope's sender and the author: neither proves anything, see docs/lists.md. */
static int may_post(struct post *p)
{
    const char *from = p->room->head_facts.from;
    int64_t policy = p->l->set->policy;

    if (policy == POLICY_OPEN || is_named(p, p->sender) || is_named(p, from))
        return 1;
    return policy == POLICY_MEMBERS ? is_member(p, p->sender, from) : 0;
}

static int judge_sender(struct post *p)
{
    struct room *room = p->room;
    int r = may_post(p);

    if (r > 0)
        return 1;
    if (r < 0) {
        problem_errno(&room->problem, -r, "read the members in", room->place.file);
        return 0;
    }
    if (p->l->set->policy == POLICY_MEMBERS)
        return refuse(p, STATUS(5, 7, 1), "takes mail from its members only");
    if (p->l->set->policy == POLICY_OWNER)
        return refuse(p, STATUS(5, 7, 1), "takes mail from its owner only");
    if (p->released)
        return 1;
    problem_set(&room->problem, POSTERN_DEFERRED, POSTERN_CAUSE_HELD, STATUS(4, 7, 0),
                "the list %s is moderated: released by hand, this message is posted",
                room->place.list);
    return 0;
}

static int load_state(struct post *p)
{
    const struct settings *set = p->l->set;
    struct room *room = p->room;
    int r = 0;

    if (!set->state)
        return 1;
    r = state_path(set->state, room->place.list, room->state_path, sizeof room->state_path);
    if (!r && set->bounce_limit && room->place.role == ROLE_POST) {
        r = state_load(&room->state, room->state_path, set->bounce_window / POSTERN_SECONDS(1));
        room->has_state = 1;
    }
    if (!r)
        return 1;
    problem_errno(&room->problem, -r, "read the state in", set->state);
    return 0;
}

static int look_at_post(struct post *p)
{
    const struct settings *set = p->l->set;
    struct room *room = p->room;
    int64_t n;
    int r;

    if (!*p->sender)
        return refuse(p, STATUS(5, 7, 1), "takes no mail without a sender");
    if (set->max_size && p->content_size > (uint64_t)set->max_size)
        return refuse(p, STATUS(5, 2, 3), "takes no mail of that size");
    if (!*room->place.file) {
        problem_set(&room->problem, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5),
                    "nothing says where the members of the list %s are", room->place.list);
        return 0;
    }
    n = read_start(p, LIST_HEAD_MAX);
    if (n < 0)
        return 0;
    head_read(room->data, (size_t)n, &room->place, &room->head_facts);
    if (!judge_head(p))
        return 0;
    if (members_open(&room->members, room->place.file, room->place.domain, &room->problem) < 0)
        return 0;
    if (!judge_sender(p) || !load_state(p))
        return 0;
    r = head_write(set, &room->place, room->data, room->head_facts.body, &room->head,
                   &room->head_len);
    room->at = room->head_facts.body;
    if (!r)
        return 1;
    problem_errno(&room->problem, -r, "write", "the header");
    return 0;
}

/* --- what came back --- */

static int look_for_owner(struct post *p)
{
    const struct place *place = &p->room->place;

    if (!*place->owner)
        return refuse(p, STATUS(5, 1, 1), "has no owner who could get this");
    /* owner-NAME may be an alias that stands for somebody: then it does not come here. */
    if (place_same(place->owner, p->rcpt))
        return refuse(p, STATUS(5, 4, 6), "is its own owner");
    p->room->at = 0;
    return load_state(p);
}

/* Anybody can send a notification: only who is on the list is counted, where that is known. 1: he
 * is, or it is not known; 0; -errno. */
static int is_on_list(struct post *p, const char *member)
{
    struct room *room = p->room;
    int r;

    if (!*room->place.file)
        return 1;
    if (room->members.fd < 0) {
        r = members_open(&room->members, room->place.file, room->place.domain, &room->problem);
        if (r < 0)
            return r;
    }
    r = is_member(p, member, member);
    if (r < 0)
        problem_errno(&room->problem, -r, "read the members in", room->place.file);
    return r;
}

/* 1: it was; 0: he is no member; -errno. */
static int count(struct post *p, const char *member, const struct bounce *b)
{
    struct room *room = p->room;
    const struct settings *set = p->l->set;
    const char *status = b && *b->status ? b->status : "5.0.0";
    const char *reason = b && *b->reason ? b->reason : room->head_facts.subject;
    int r = is_on_list(p, member);

    if (r < 0)
        return r;
    if (!r) {
        p->l->svc->log(p->l->host, POSTERN_LOG_NOTICE, "list.bounce",
                       "id=%s list=%s member=%s note=\"he is no member: not counted\"", p->id,
                       POSTERN_LOG_QUOTED(room->place.list), POSTERN_LOG_QUOTED(member));
        return 0;
    }
    r = state_note_bounce(room->state_path, room->place.list, member, status, reason,
                          set->bounce_window / POSTERN_SECONDS(1), time(NULL));
    if (r < 0) {
        problem_errno(&room->problem, -r, "write the state in", set->state);
        return r;
    }
    p->l->svc->log(p->l->host, POSTERN_LOG_INFO, "list.bounce",
                   "id=%s list=%s member=%s status=%s why=%s", p->id,
                   POSTERN_LOG_QUOTED(room->place.list), POSTERN_LOG_QUOTED(member), status,
                   POSTERN_LOG_QUOTED(reason));
    return 1;
}

/* The sender's own address says which member it was; who failed is said by the report, if any. Both
 * return how many were counted, or -errno. */
static int count_verp(struct post *p, size_t n)
{
    struct room *room = p->room;
    const struct bounce *failed = NULL;

    for (size_t i = 0; i < n && !failed; i++) {
        if (room->bounces[i].failed)
            failed = &room->bounces[i];
    }
    return n && !failed ? 0 : count(p, room->place.member, failed);
}

static int count_report(struct post *p, size_t n)
{
    int r = 0, counted = 0;

    for (size_t i = 0; i < n && r >= 0; i++) {
        if (!p->room->bounces[i].failed)
            continue;
        r = count(p, p->room->bounces[i].member, &p->room->bounces[i]);
        counted += r > 0;
    }
    return r < 0 ? r : counted;
}

/* What was not counted may be of interest to who looks for it. */
static void bounce_done(struct post *p, int counted, size_t n)
{
    const struct room *room = p->room;
    int failed = !n && *room->place.member;

    for (size_t i = 0; i < n && !failed; i++)
        failed = room->bounces[i].failed;
    problem_set(&p->room->problem, POSTERN_DELIVERED, POSTERN_CAUSE_NONE, STATUS(2, 0, 0),
                "a %s of the list %s, %s", failed ? "bounce" : "report", room->place.list,
                counted      ? "counted"
                    : failed ? "not counted: of nobody who is a member"
                             : "not counted: nobody failed");
}

static int look_at_bounce(struct post *p)
{
    struct room *room = p->room;
    int64_t len;
    size_t n;
    int r;

    if (!p->l->set->state)
        return look_for_owner(p);
    if (!load_state(p))
        return 0;
    len = read_start(p, BOUNCE_READ_MAX);
    if (len < 0)
        return 0;
    head_read(room->data, (size_t)len, &room->place, &room->head_facts);
    n = bounce_read(room->data, (size_t)len, room->bounces, BOUNCE_MAX);
    if (!n && !*room->place.member)
        return look_for_owner(p); /* it says of nobody in particular that he was not reached */
    r = *room->place.member ? count_verp(p, n) : count_report(p, n);
    if (r >= 0)
        bounce_done(p, r, n);
    return 0;
}

int look(void *ctx)
{
    struct post *p = ctx;
    struct room *room = p->room;

    if (place_find(p->l->set, &p->route, p->rcpt, p->sender, &room->place, &room->problem) < 0)
        return 0;
    switch (room->place.role) {
    case ROLE_POST:
        return look_at_post(p);
    case ROLE_OWNER:
        return look_for_owner(p);
    case ROLE_BOUNCE:
        break;
    }
    return look_at_bounce(p);
}

/* --- members --- */

static void complain(struct post *p)
{
    const struct room *room = p->room;

    if (room->bad <= POST_BAD_LINES)
        p->l->svc->log(p->l->host, POSTERN_LOG_WARNING, "list.line",
                       "id=%s list=%s path=%s line=%u why=\"%s: passed over\"", p->id,
                       POSTERN_LOG_QUOTED(room->place.list), POSTERN_LOG_QUOTED(room->place.file),
                       room->members.line, room->members.why);
}

static int is_wanted(struct post *p, const char *address, int64_t now)
{
    const struct settings *set = p->l->set;
    struct room *room = p->room;

    if (place_same(address, room->place.list)) {
        room->members.why = "the list cannot be its own member";
        room->bad++;
        complain(p);
        return 0;
    }
    if (room->has_state &&
        state_disabled(state_find(&room->state, address), set->bounce_limit,
                       set->bounce_window / POSTERN_SECONDS(1), now)) {
        room->disabled++;
        return 0;
    }
    return 1;
}

int look_members(void *ctx)
{
    struct post *p = ctx;
    struct room *room = p->room;
    int64_t now = time(NULL);
    int r = 1;

    room->len = 0;
    while (r && room->len + POSTERN_ADDRESS_MAX + 1 <= POST_PIECE) {
        char *to = room->data + room->len;

        r = members_next(&room->members, to, POSTERN_ADDRESS_MAX + 1);
        if (r == -EBADMSG) {
            room->bad++;
            complain(p);
        } else if (r < 0) {
            problem_errno(&room->problem, -r, "read the members in", room->place.file);
            room->failed = r;
            return 0;
        } else if (r && is_wanted(p, to, now)) {
            room->len += strlen(to) + 1;
        }
    }
    room->all = !r;
    if (!room->all || members_same(&room->members))
        return 0;
    problem_set(&room->problem, POSTERN_DEFERRED, POSTERN_CAUSE_RECIPIENT, STATUS(4, 3, 5),
                "the file of members %s was changed while it was read", room->place.file);
    room->failed = -EAGAIN;
    return 0;
}
