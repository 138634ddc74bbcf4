/* grammar.h: command lines of SMTP (RFC 5321 4.1), as a pure parser: bytes in, words out.
 *
 * Everything that comes out is borrowed from the line that went in. */
#ifndef SMTPIN_GRAMMAR_H
#define SMTPIN_GRAMMAR_H

#include <stddef.h>
#include <stdint.h>

#include <postern/mail.h>

#define SMTPIN_COMMAND_MAX 2048 /* bytes of a command line; RFC 5321 4.5.3.1.4 asks for 512, and  */
                                /* the extensions add to it; a path alone may have 1024 here      */
#define SMTPIN_HELO_MAX    255  /* RFC 5321 4.5.3.1.2                                             */

struct smtpin_span {
    const char *p;
    size_t      n;
};

enum smtpin_verb {
    SMTPIN_UNKNOWN,
    SMTPIN_MAIL,
    SMTPIN_RCPT,
    SMTPIN_DATA,
    SMTPIN_EHLO,
    SMTPIN_HELO,
    SMTPIN_RSET,
    SMTPIN_NOOP,
    SMTPIN_QUIT,
    SMTPIN_STARTTLS,
    SMTPIN_VRFY,
    SMTPIN_EXPN,
    SMTPIN_HELP,
    SMTPIN_KNOWN, /* a verb of some RFC that this server does not implement                       */
    SMTPIN_HTTP,  /* a web browser, or somebody who makes one talk to us                          */
    SMTPIN_VERBS
};

/* Splits a line (without its end) into the verb and what follows it, white space around it gone. */
enum smtpin_verb smtpin_verb(const char *line, size_t len, struct smtpin_span *ret_args);

/* A word to greet us with: a domain, an address literal, or what people write instead. 0 or -EINVAL
 * for what could not stand in a Received field. */
int smtpin_helo(struct smtpin_span args);

struct smtpin_path {
    struct smtpin_span address; /* without brackets and source route; empty: the null path        */
    int                bare;    /* a local part without a domain                                  */
    int                utf8;    /* some of it is not ASCII                                        */
};

struct smtpin_mail {
    struct smtpin_path path;
    uint64_t           size; /* SIZE=, 0 when it was not said                                     */
    int                body_8bit, utf8;
};

/* A refusal: the reply's code and text, and a detail to be put behind it in words (may be NULL) or,
 * when `word` is not empty, that word of the peer's. */
struct smtpin_fault {
    const char        *reply;
    const char        *detail;
    struct smtpin_span word;
};

/* The local part of a path that a relay on its way took quotes or backslashes from (damaged.c). */
struct smtpin_mended {
    char        address[POSTERN_ADDRESS_SIZE];
    const char *rule; /* postern_address_repair's name of it */
};
/* 0, or -EINVAL: it is sound, or nothing that a relay makes of an address. */
int smtpin_mend(struct smtpin_span inside, struct smtpin_mended *ret);

/* The arguments of MAIL and of RCPT. utf8: addresses may be internationalised. 0, or -EINVAL with
 * *reterr_fault. */
int smtpin_mail(struct smtpin_span args, struct smtpin_mail *ret,
                struct smtpin_fault *reterr_fault);
int smtpin_rcpt(struct smtpin_span args, int utf8, struct smtpin_path *ret,
                struct smtpin_fault *reterr_fault);
/* Arguments that smtpin_rcpt refuses, once more, with the path mended: it is borrowed from *room,
 * and is one that smtpin_rcpt takes. *ret_was: as it stood. 0, or -EINVAL: they stay refused. */
int smtpin_rcpt_damaged(struct smtpin_span args, int utf8, struct smtpin_mended *room,
                        struct smtpin_path *ret, struct smtpin_span *ret_was);

#endif
