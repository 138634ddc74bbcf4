/* address/forms.h: every way of writing one address, with the steps that lead to each. What
 * `postern address` shows, and what explains a rewritten address elsewhere. */
#ifndef ADDRESS_FORMS_H
#define ADDRESS_FORMS_H

#include "address/address.h"

#include "util/mem.h"

enum address_form {
    ADDRESS_SMTP,    /* as in MAIL FROM and RCPT TO                                               */
    ADDRESS_DECNET,  /* as a DECnet user writes it: NODE::USER, HQ::SMTP%"user@host"              */
    ADDRESS_MR,      /* as it goes through Message Router                                         */
    ADDRESS_VMS,     /* as VMS MAIL shows a sender: SMTP%"user@host"                              */
    ADDRESS_PERCENT, /* user%c%b@a                                                                */
    ADDRESS_ROUTE,   /* @a,@b:user@c                                                              */
    ADDRESS_NEXT,    /* what the domain's host makes of a %-hack                                  */
    ADDRESS_ASCII,   /* for hosts without SMTPUTF8                                                */
    ADDRESS_UNICODE, /* for people                                                                */
    ADDRESS_FORMS
};

#define ADDRESS_STEPS_MAX 16 /* of one translation; the longest there is takes 7 */

struct address_step {
    const char *rule; /* static */
    const char *before, *after;
};

struct address_version {
    const char         *text; /* NULL: there is none, and why says so */
    const char         *why;  /* NULL: of no interest */
    struct address_step steps[ADDRESS_STEPS_MAX];
    size_t              step_n;
};

struct address_forms {
    const char            *kind; /* "a DECnet address" */
    struct address_version forms[ADDRESS_FORMS];
};

/* "smtp" and so on. */
const char *address_form_name(enum address_form form);

/* site->step and ctx are not used. All strings live in the arena. 0, or -EINVAL: in no way an
 * address; the fault's place is in text, or ADDRESS_NOWHERE. */
#define ADDRESS_NOWHERE SIZE_MAX
int address_forms(struct arena *arena, const struct postern_address_site *site, const char *text,
                  size_t len, struct address_forms *ret, struct address_fault *reterr);

#endif
