/* util/intern.h: one copy of each text, counted. A dead destination gives a million messages the
 * same sentence; it is kept once. */
#ifndef UTIL_INTERN_H
#define UTIL_INTERN_H

struct intern;
struct intern *intern_new(void);
void           intern_free(struct intern **t);
const char    *intern_ref(struct intern *t, const char *text); /* NULL gives NULL */
void           intern_unref(struct intern *t, const char **text); /* clears *text; may be NULL */

#endif
