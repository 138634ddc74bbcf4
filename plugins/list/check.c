/* check.c: what options mean together; see list.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "head.h"

static int wrong(char *why, size_t why_size, const char *key, const char *found,
                 const char *expected)
{
    snprintf(why, why_size, "%s: found \"%.100s\", expected %s", key, found, expected);
    return -EINVAL;
}

static int is_address(const char *text)
{
    struct postern_address a = { .size = sizeof a };
    const char *why;

    return postern_address_parse(text, strlen(text), POSTERN_ADDRESS_UTF8, &a, &why) >= 0;
}

static const struct place sample = {
    .list = "name@example.com",
    .name = "name",
    .domain = "example.com",
    .owner = "owner@example.com",
    .bounces = "owner-name@example.com",
};

/* {owner} in the owner would be himself. */
static int check_address(const char *key, const char *text, char *why, size_t why_size)
{
    char address[POSTERN_ADDRESS_MAX + sizeof "@example.com"];

    if (!text)
        return 0;
    if (place_text(&sample, text, 0, address, POSTERN_ADDRESS_MAX, NULL) < 0 ||
        strstr(text, "{owner}"))
        return wrong(why, why_size, key, text,
                     "an address, with no placeholders but {list} {name} {domain}");
    if (!strchr(address, '@'))
        strcat(address, "@example.com");
    return is_address(address) ? 0 : wrong(why, why_size, key, text, "an address");
}

static int check_uri(const char *key, const char *text, char *why, size_t why_size)
{
    char uri[LIST_TEXT_MAX / 2];
    const char *p;

    if (!text || !*text || !strcmp(text, "NO"))
        return 0;
    if (place_text(&sample, text, 1, uri, sizeof uri, NULL) < 0)
        return wrong(why, why_size, key, text,
                     "a URI, with no placeholders but {list} {name} {domain} {owner} {bounces}");
    for (p = uri; *p > ' ' && *p < 0x7f && !strchr("<>\"", *p);)
        p++;
    return *p || !strchr(uri, ':') ? wrong(why, why_size, key, text, "a URI such as \"mailto:...\"")
                                   : 0;
}

/* Words that stand in a header as they are. */
static int check_words(const char *key, const char *text, const char *not_in, char *why,
                       size_t why_size)
{
    size_t n = 0;

    if (!text)
        return 0;
    for (const char *p = text; *p; p++, n++) {
        if (*p < ' ' || *p > '~' || strchr(not_in, *p))
            return wrong(why, why_size, key, text, "printable ASCII without brackets or quotes");
    }
    return n && n <= 200 ? 0 : wrong(why, why_size, key, text, "1 to 200 characters");
}

static int check_strip(const struct settings *set, char *why, size_t why_size)
{
    static const char *const kept[] = { "From", "Date", "Received", "Message-ID", LIST_TRACE };
    struct postern_field f = { .size = sizeof f };

    for (size_t i = 0; i < set->strip.n; i++) {
        const char *name = set->strip.v[i];

        f.name = name;
        f.name_len = strlen(name);
        for (const char *p = name; *p; p++) {
            if (*p <= ' ' || *p > '~' || *p == ':')
                return wrong(why, why_size, "strip", name, "the name of a header field");
        }
        for (size_t k = 0; k < sizeof kept / sizeof *kept; k++) {
            if (postern_field_is(&f, kept[k]))
                return wrong(why, why_size, "strip", name, "a field that mail can do without");
        }
    }
    return 0;
}

static int check_posters(const struct settings *set, char *why, size_t why_size)
{
    for (size_t i = 0; i < set->posters.n; i++) {
        if (!is_address(set->posters.v[i]))
            return wrong(why, why_size, "posters", set->posters.v[i], "an address");
    }
    for (size_t i = 0; i < set->roots.n; i++) {
        if (*set->roots.v[i] != '/' || strlen(set->roots.v[i]) >= LIST_PATH_MAX)
            return wrong(why, why_size, "roots", set->roots.v[i], "the full path of a folder");
    }
    return 0;
}

static int check_together(const struct settings *set, char *why, size_t why_size)
{
    const char *missing = NULL;

    if (!set->members && !set->roots.n)
        missing = "members is missing (it can be only where the route names the members, below "
                  "roots)";
    else if (set->members && strlen(set->members) >= LIST_PATH_MAX)
        missing = "members: the path is too long";
    else if (set->verp && !set->state)
        missing = "verp needs state: without it nobody would count what comes back";
    else if (set->bounce_limit && !set->state)
        missing = "bounce_limit needs state: without it nobody would count what comes back";
    else if (set->state && strlen(set->state) >= LIST_PATH_MAX / 2)
        missing = "state: the path is too long";
    if (!missing)
        return 0;
    snprintf(why, why_size, "%s", missing);
    return -EINVAL;
}

int list_check(const void *settings, char *why, size_t why_size)
{
    const struct settings *set = settings;
    const struct {
        const char *key, *text;
    } uris[] = { { "help", set->help },
                 { "subscribe", set->subscribe },
                 { "unsubscribe", set->unsubscribe },
                 { "archive_url", set->archive_url } };
    int r = check_together(set, why, why_size);

    if (!r && set->list && (!is_address(set->list) || strlen(set->list) > POSTERN_LOCAL_MAX))
        r = wrong(why, why_size, "list", set->list, "an address");
    if (!r)
        r = check_address("owner", set->owner, why, why_size);
    if (!r)
        r = check_address("archive", set->archive, why, why_size);
    for (size_t i = 0; i < sizeof uris / sizeof *uris && !r; i++)
        r = check_uri(uris[i].key, uris[i].text, why, why_size);
    if (!r)
        r = check_words("description", set->description, "<>\"()@,;:\\", why, why_size);
    if (!r)
        r = check_words("subject_prefix", set->subject_prefix, "", why, why_size);
    if (!r)
        r = check_strip(set, why, why_size);
    return r ? r : check_posters(set, why, why_size);
}
