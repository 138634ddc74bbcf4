/* daemon/channel.h: what supervisor and worker may say to each other: one list, one size, over a
 * sequenced-packet socket pair, with a descriptor where one is handed over.
 *
 * Marks are what is known of messages that were there at a crash. They may be more than a socket
 * takes
 * (a crash in a pool thread marks all that was in flight), so they travel as a file in memory: one
 * struct channel_message after another. */
#ifndef DAEMON_CHANNEL_H
#define DAEMON_CHANNEL_H

#include <stdint.h>

enum channel_verb {
    /* supervisor to worker */
    CHANNEL_HOLD = 1,   /* a mark: message id is to be put on hold, text says why */
    CHANNEL_SUSPECT,    /* a mark: message id may be what kills workers: deliver it alone */
    CHANNEL_GO,         /* open the spool and start; fd: marks, or none */
    CHANNEL_ADOPT,      /* take over shard arg, if it can be locked, and split it into up to id
                         * parts, if it is long; fd: marks, or none */
    CHANNEL_CONNECTION, /* a control connection (fd); arg: its first byte */
    CHANNEL_DRAIN,      /* take nothing new, finish, exit */
    CHANNEL_NOTICE,     /* send the text to the postmaster */
    /* worker to supervisor */
    CHANNEL_READY = 100, /* listening and delivering; arg: its shard */
    CHANNEL_FAILED,      /* can't start; arg: exit code, text: why */
    CHANNEL_HELD,        /* message id was put on hold, as a mark wanted */
    CHANNEL_EMPTY,       /* no mail is left in the adopted shard arg, but it stays */
    CHANNEL_PART,        /* shard arg was split off one that is being adopted; id: messages in it */
    CHANNEL_ADOPTED,     /* shard arg is with this worker, all of it; or with another one; or this
                          * one drains and gives it back */
    CHANNEL_NOT_ADOPTED, /* shard arg can't be */
};

struct channel_message {
    uint32_t verb; /* enum channel_verb */
    uint32_t arg;
    uint64_t id;
    char     text[944];
};

/* 0 or -errno. fd -1: none. */
int channel_send(int channel, uint32_t verb, uint32_t arg, uint64_t id, const char *text, int fd);
/* 1: *ret (and *ret_fd, -1 or to be closed by the caller); 0: nothing there now; -ECONNRESET: the
 * other side has gone; -EBADMSG: not a message. */
int channel_receive(int channel, struct channel_message *ret, int *ret_fd);

#endif
