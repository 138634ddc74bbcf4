/* place.h: which list a recipient means, and what of it. Pure, but for a look into a folder. */
#ifndef LIST_PLACE_H
#define LIST_PLACE_H

#include "list.h"

enum role {
    ROLE_POST,   /* for all members                                      */
    ROLE_OWNER,  /* owner-NAME, NAME-owner, NAME-request: for the owner  */
    ROLE_BOUNCE  /* owner-NAME that came from nobody, or with a member   */
};

struct place {
    enum role role;
    char list[POSTERN_ADDRESS_MAX + 1];   /* the list's address, lower case             */
    char name[POSTERN_LOCAL_MAX + 1];     /* its local part, without quotes, lower case */
    char domain[POSTERN_ADDRESS_MAX + 1];
    char owner[POSTERN_ADDRESS_MAX + 1];  /* "" when there is none                      */
    char bounces[POSTERN_ADDRESS_MAX + 1]; /* owner-NAME@domain                         */
    char member[POSTERN_ADDRESS_MAX + 1]; /* of owner-NAME+user=domain; "": none        */
    char file[LIST_PATH_MAX];             /* of members; "" when it is not known        */
};

struct route_says { /* parameters of the route, each may be NULL */
    const char *list, *owner, *members;
};

/* rcpt: whom the message is for; sender: "" decides between the owner and a bounce. May look into
 * the folder of lists: for a thread. 0, or -errno with what is to become of the message. */
int place_find(const struct settings *set, const struct route_says *route, const char *rcpt,
               const char *sender, struct place *ret, struct problem *reterr);

/* The member whose bounces come back to "owner-NAME+EXTENSION": "" when it is none. */
void place_verp_decode(const char *extension, char *buf, size_t size);

/* Writes a template of an option, with {list} {name} {domain} {owner}
 * {bounces} (owner-NAME). uri: what is put in is
 * encoded for a URI. Bytes written, or -errno; *reterr_at as in postern_template_expand. */
int place_text(const struct place *p, const char *text, int uri, char *buf, size_t size,
               const char **reterr_at);

/* Are two addresses one, the case of letters aside? */
int place_same(const char *a, const char *b);

#endif
