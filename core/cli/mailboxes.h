/* cli/mailboxes.h: the addresses in a To, Cc or Bcc field, or in a command-line argument. */
#ifndef CLI_MAILBOXES_H
#define CLI_MAILBOXES_H

#include <stddef.h>

/* Calls each(ctx, address) for every mailbox of an RFC 5322 address list: display names, comments,
 * group names and source routes taken off, folding undone. Never trusts its input. */
void mailboxes_each(const char *text, size_t len, void (*each)(void *ctx, const char *address),
                    void *ctx);
/* ctx: a json_t array of strings; null for an address that is not UTF-8 and can't be asked for. */
void mailboxes_append(void *ctx, const char *address);

#endif
