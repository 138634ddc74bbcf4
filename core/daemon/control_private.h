/* daemon/control_private.h: a dialogue on the control socket. */
#ifndef DAEMON_CONTROL_PRIVATE_H
#define DAEMON_CONTROL_PRIVATE_H

#include <jansson.h>
#include <sys/types.h>

#include "daemon/daemon.h"
#include "net/stream.h"
#include "util/list.h"

struct control {
    struct control_env  env;
    struct stream_owner streams;
    struct list         list;
    size_t              sessions;
    struct control_analysis *analysis; /* NULL: none is under way */
};

struct control_session {
    struct list     link;
    struct control *control;
    postern_stream *stream;
    uid_t           uid;
    int             waiting; /* for a commit or for room: no more input now */
    int             gone;    /* the asker has left meanwhile */
    postern_submit *submit;
    char            id[16]; /* of the message being submitted */
    char            said[1700]; /* of it, for the log: sender, number of recipients, size */
    uint64_t        content_left; /* bytes of content that are still to come */
    int             submit_error; /* sysexits code: content is read and dropped, then refused */
    char            submit_why[256];
};

void control_answer(struct control_session *s, json_t *answer); /* takes answer */
void control_refuse(struct control_session *s, int code, const char *why);
void control_input(struct control_session *s);
void control_resume(struct control_session *s);

/* control_submit.c */
void control_submit_begin(struct control_session *s, const json_t *request);
int  control_submit_content(struct control_session *s); /* 0: needs more input */
void control_submit_abort(struct control_session *s);

/* control_analyze.c */
void control_analyze(struct control_session *s, const json_t *request);
void control_analyze_free(struct control *c);

#endif
