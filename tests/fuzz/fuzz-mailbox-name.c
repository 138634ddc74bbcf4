/* Fuzz target: from an address to the place of a mailbox, by an operator's pattern; and the words
 * of the command that is told of new mail. Lines: recipient, pattern, two words of the command. */
#include "../../plugins/local-mbox/folder.h"
#include "pieces.h"

static void check_place(const struct settings *set, const char *rcpt)
{
    struct user user = { .home = "/home/user" };
    struct addressee whom;
    const char *why = NULL;
    char key[ADDRESSEE_KEY_MAX], path[PATH_MAX];
    int r = addressee_parse(set, rcpt, &whom, &why);

    require(r == 0 || why);
    if (r < 0)
        return;
    /* Each may become the name of a file. */
    require(*whom.name && *whom.name != '.' && !strchr(whom.name, '/'));
    require(!strpbrk(whom.folder, "/.,") && *whom.domain != '.' && !strchr(whom.domain, '/'));
    addressee_key(set, &whom, key);
    memcpy(user.name, whom.name, sizeof user.name);
    memcpy(user.domain, whom.domain, sizeof user.domain);
    if (folder_path(set, &user, whom.folder, path, sizeof path) == 0)
        require(strlen(path) < sizeof path);
    (void)folder_path(set, &user, whom.folder, path, 16);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pieces p = pieces_new(data, size, 4);
    const char *words[] = { p.v[2], p.v[3] };
    struct settings set = {
        .path = "/var/mail",
        .mailbox = *p.v[1] ? p.v[1] : NULL,
        .format = size & 1 ? FORMAT_MAILDIR : FORMAT_MBOX,
        .folders = FOLDERS_YES,
        .users = USERS_ANY,
        .lowercase_user = size & 2,
        .notify = { 2, words },
    };
    char why[1024] = "";
    int good = folder_check(&set, why, sizeof why) == 0;

    require(good || *why);
    if (good)
        check_place(&set, p.v[0]);
    *why = '\0';
    set.mailbox = NULL; /* so that the command is reached */
    require(check_settings(&set, why, sizeof why) == 0 || *why);
    pieces_free(&p);
    return 0;
}
