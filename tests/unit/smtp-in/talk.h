/* talk.h: a conversation with smtp-in on a fake host, for its tests. */
#ifndef TALK_H
#define TALK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../fake/fakehost.h"

extern const struct postern_plugin smtp_in_LTX_postern_plugin;

#define GREETING "220 gw.example ESMTP Postern\r\n"
#define HELLO    "250 gw.example\r\n"
#define OK_MAIL  "250 2.1.0 Ok\r\n"
#define OK_RCPT  "250 2.1.5 Ok\r\n"
#define OK       "250 2.0.0 Ok\r\n"
#define GO_AHEAD "354 End data with <CR><LF>.<CR><LF>\r\n"
#define BYE      "221 2.0.0 Bye\r\n"

/* HELO, MAIL, RCPT, DATA in one go, and the replies to it, greeting included. */
#define BEGIN                                                                                      \
    "HELO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<x@y.example>\r\nDATA\r\n"
#define BEGUN GREETING HELLO OK_MAIL OK_RCPT GO_AHEAD

struct talk {
    struct fakehost *h;
    postern_stream  *s;
};

/* A fake host whose complaints fail the test. */
struct fakehost *talk_host(void);
/* Opens the plugin with "key=value;key=value" (may be NULL), expecting it to succeed. */
void talk_open(struct fakehost *h, const char *options);
/* All of it, and a client at that address (NULL: a stranger, 198.51.100.7). */
struct talk talk_start(const char *options, const char *peer);
void        talk_end(struct talk *t);

/* The client says that, and everything runs until it comes to rest. */
void talk_say(struct talk *t, const char *text);
void talk_send(struct talk *t, const void *data, size_t len);
/* What came back since the last talk_expect (or the beginning) is exactly this. */
void talk_expect(struct talk *t, const char *replies);
/* Content of the i-th submission without its Received field, which must be there. */
const char *talk_body(const struct fakehost_message *m, size_t *ret_len);

#endif
