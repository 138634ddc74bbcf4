/* plugins/list: mailing lists: one message in, one message for all members out.
 *
 * One idea: a list adds recipients, nothing else. The post becomes one new message in the spool,
 * the queue brings it to the members as it brings everything; the archive is a recipient, and so is
 * the owner. */
#include "list.h"

#include <errno.h>
#include <stdlib.h>

#include "post.h"

/* clang-format off */
#define OPT(member, type, ...) POSTERN_OPT(struct settings, member, POSTERN_OPT_##type, __VA_ARGS__)

static const struct postern_option options[] = {
    OPT(members, PATH,
        .doc = "The file of members, an address a line; or a folder: NAME.list or NAME.DIS in it "
               "are the members of the list NAME, whatever the case of letters."),
    OPT(roots, STRINGS, .max = LIST_NAMES_MAX, .flags = POSTERN_OPT_READS,
        .doc = "Folders below which the route may name the file of members (parameter "
               "\"members\"), as an alias \"name:: owner, file;\" does."),
    OPT(list, STRING,
        .doc = "The address of the list. Without it: the address that the message came to, or what "
               "the route says (parameter \"list\")."),
    OPT(owner, STRING,
        .doc = "Who gets mail for owner-NAME, NAME-owner and NAME-request, and bounces (but see "
               "return_path). {list} {name} {domain} stand for those of the list. The route can "
               "say another one (parameter \"owner\")."),
    OPT(policy, CHOICE, .choices = "open|members|owner|moderated", .dflt = "members",
        .doc = "Who may post: everybody, members, or the owner. The owner and posters may always. "
               "\"moderated\": mail of others is put on hold, and posted when it is released "
               "(postern queue release)."),
    OPT(posters, STRINGS, .max = LIST_NAMES_MAX,
        .doc = "More addresses that may post."),
    OPT(automatic, CHOICE, .choices = "refuse|accept", .dflt = "refuse",
        .doc = "What to do with mail that no person wrote, as Auto-Submitted or Precedence say. "
               "\"accept\" for lists of reports, and for lists that are members of lists."),
    OPT(max_size, SIZE, .dflt = "0", .min = 0, .max = INT64_MAX,
        .doc = "The largest message that is posted. 0: any that the gateway takes."),
    OPT(members_max, INT, .dflt = "1000000", .min = 1, .max = 1000000,
        .doc = "How many members a list may have."),
    OPT(hops_max, INT, .dflt = "25", .min = 1, .max = 100,
        .doc = "A message with more Received fields than that goes in circles."),
    OPT(return_path, CHOICE, .choices = "owner|list", .dflt = "owner",
        .doc = "Where bounces go: to the owner; or to owner-NAME at the list's domain, for which "
               "routing must come back here, so that they are counted. A list without an owner "
               "has owner-NAME."),
    OPT(verp, BOOL, .dflt = "false",
        .doc = "Each member gets a message of his own, whose bounces come to "
               "owner-NAME+user=domain, so that it is certain who is meant. Needs state."),
    OPT(state, PATH, .flags = POSTERN_OPT_WRITES,
        .doc = "A folder for what `postern list` tells: a small file a list. With it, bounces that "
               "come back are counted and go no further."),
    OPT(bounce_limit, INT, .dflt = "0", .min = 0, .max = 1000,
        .doc = "A member with so many bounces within bounce_window gets no mail until "
               "bounce_window after the last of them. 0: bounces have no effect."),
    OPT(bounce_window, DURATION, .dflt = "7d", .min = POSTERN_HOURS(1), .max = POSTERN_DAYS(366),
        .doc = "See bounce_limit."),
    OPT(description, STRING,
        .doc = "A few words about the list, for List-Id."),
    OPT(help, STRING, .dflt = "mailto:{name}-request@{domain}?subject=help",
        .doc = "URI in List-Help (RFC 2369); placeholders as in owner. \"\": no such field; this "
               "holds for the next three, too."),
    OPT(subscribe, STRING, .dflt = "mailto:{name}-request@{domain}?subject=subscribe",
        .doc = "URI in List-Subscribe."),
    OPT(unsubscribe, STRING, .dflt = "mailto:{name}-request@{domain}?subject=unsubscribe",
        .doc = "URI in List-Unsubscribe."),
    OPT(archive_url, STRING,
        .doc = "URI in List-Archive."),
    OPT(precedence, BOOL, .dflt = "true",
        .doc = "Say \"Precedence: list\", which keeps vacation programs silent."),
    OPT(reply_to, CHOICE, .choices = "sender|list|both", .dflt = "sender",
        .doc = "Where replies go: as the author wants it, to the list, or to both."),
    OPT(subject_prefix, STRING,
        .doc = "Put before subjects that do not have it yet: \"[Garden]\"."),
    OPT(strip, STRINGS, .max = LIST_FIELDS_MAX,
        .doc = "Header fields that are taken out, beside those of other lists and requests for "
               "receipts."),
    OPT(archive, STRING,
        .doc = "An address that gets a copy of every post: one that routing sends to a transport "
               "for files. Placeholders as in owner."),
    {.key = NULL},
};
/* clang-format on */

static int list_open(postern_host *host, const struct postern_services *svc, const void *settings,
                     void **ret_self)
{
    struct lister *l = calloc(1, sizeof *l);

    if (!l)
        return -ENOMEM;
    l->host = host;
    l->svc = svc;
    l->set = settings;
    TAILQ_INIT(&l->waiting);
    TAILQ_INIT(&l->at_work);
    *ret_self = l;
    return 0;
}

static int deliver(void *self, postern_job *job)
{
    struct lister *l = self;

    for (size_t i = 0, n = l->svc->job_rcpts(job); i < n; i++) {
        struct problem problem;

        if (post_add(l, job, i) == 0)
            continue;
        problem_errno(&problem, ENOMEM, "handle", "the message");
        problem_settle(&problem, l->svc, job, i);
    }
    return 0;
}

static void cancel(void *self, postern_job *job)
{
    post_cancel(self, job);
}

static void list_close(void *self)
{
    post_end_all(self);
    free(self);
}

static const struct postern_transport_ops transport = {
    .size = sizeof transport,
    .deliver = deliver,
    .cancel = cancel,
};

static const char *const params[] = { "list", "members", "owner", NULL };

POSTERN_PLUGIN(list, .name = "list", .version = "0.1.0",
               .summary = "mailing lists: hands posts to all members", .options = options,
               .settings_size = sizeof(struct settings), .check = list_check, .open = list_open,
               .close = list_close, .transport = &transport, .params = params,
               .flags = POSTERN_PLUGIN_PATHS | POSTERN_PLUGIN_NO_NEXT_HOP, .inspect = list_inspect);
