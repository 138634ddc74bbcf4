/* pool.h: a few connections to the server, each used by one thread at a time. */
#ifndef POOL_H
#define POOL_H

#include "ldap.h"

struct ldap_pool;

struct ldap_pool *ldap_pool_new(const struct settings *set); /* NULL: no memory */
void              ldap_pool_free(struct ldap_pool **p);      /* no thread is inside any more */

/* On a thread; blocks, within the time limits. Takes an idle connection or makes one, and searches;
 * one that turns out to be dead is made anew, once. now: microseconds. 0 with values; -ENOENT;
 * with a sentence in s->why: -EBADMSG, of this answer, or -EAGAIN, of the server. */
int ldap_pool_search(struct ldap_pool *p, struct ldap_search *s, uint64_t now);

/* search.c: on an open connection (an LDAP *). LDAP_SUCCESS with values, LDAP_NO_SUCH_OBJECT, or
 * another result of libldap's, with why filled in. */
int  ldap_search_run(void *ld, struct ldap_search *s);
void ldap_search_clear(struct ldap_search *s); /* forgets the values */

#endif
