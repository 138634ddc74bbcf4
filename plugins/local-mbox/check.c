/* check.c: what options mean together. */
#include <errno.h>
#include <stdio.h>

#include "folder.h"
#include "notify.h"
#include "present.h"

/* In Internet style a message is what it was; a setting that does nothing is a mistake. */
static int check_style(const struct settings *set, char *why, size_t why_size)
{
    const char *key = set->header_control != CONTROL_ALL ? "header_control"
        : set->headers != HEADERS_TOP                    ? "headers"
        : set->vmsdef_to                                 ? "vmsdef_to"
        : set->jacket_local                              ? "jacket_local"
        : set->reply_control.n                           ? "reply_control"
                                                         : NULL;

    if (set->style == STYLE_VMS || !key)
        return 0;
    snprintf(why, why_size, "%s: changes nothing without \"style\": \"vms\"", key);
    return -EINVAL;
}

static int check_reply_control(const struct settings *set, char *why, size_t why_size)
{
    for (size_t i = 0; i < set->reply_control.n; i++) {
        if (present_is_originator(set->reply_control.v[i]))
            continue;
        snprintf(why, why_size,
                 "reply_control: found \"%s\", expected \"from\", \"reply-to\", or another field "
                 "that says who wrote a message",
                 set->reply_control.v[i]);
        return -EINVAL;
    }
    return 0;
}

int check_settings(const void *settings, char *why, size_t why_size)
{
    const struct settings *set = settings;
    int r = folder_check(set, why, why_size);

    if (!r)
        r = check_style(set, why, why_size);
    if (!r)
        r = check_reply_control(set, why, why_size);
    return r ? r : notify_check(set, why, why_size);
}
