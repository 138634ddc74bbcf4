/* util/textset.h: texts, each once, packed one behind the other in the order of their coming: five
 * bytes a text beside its own. All zero is a valid empty set, of texts that differ in any byte. */
#ifndef UTIL_TEXTSET_H
#define UTIL_TEXTSET_H

#include "util/buf.h"

struct textset {
    struct buf text; /* each with its NUL */
    size_t     n;
    uint32_t  *slots; /* 1 + offset in text; 0: free */
    size_t     slot_n;
    uint64_t   key[2];
    /* Makes a copy of a text what others are to be compared with; set while the set is empty. */
    void (*fold)(char *text, size_t len);
};
#define TEXTSET_FOLD_MAX 2048u /* bytes of a text that is folded */

int  textset_has(const struct textset *s, const char *text);
/* A text that is not in it. 0, or -E2BIG: it would become too large. */
int  textset_add(struct textset *s, const char *text);
void textset_done(struct textset *s);

#endif
