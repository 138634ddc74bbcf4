/* daemon/channel.c: see channel.h. */
#include "daemon/channel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control_space { /* aligned as a cmsghdr must be */
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

int channel_send(int channel, uint32_t verb, uint32_t arg, uint64_t id, const char *text, int fd)
{
    struct channel_message m = { .verb = verb, .arg = arg, .id = id };
    struct iovec iov = { &m, sizeof m };
    union control_space space = { .bytes = { 0 } };
    struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
    ssize_t n;

    if (text)
        snprintf(m.text, sizeof m.text, "%s", text);
    if (fd >= 0) {
        struct cmsghdr *c = &space.header;

        h.msg_control = space.bytes;
        h.msg_controllen = sizeof space.bytes;
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    do
        n = sendmsg(channel, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

static int received_fd(struct msghdr *h)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(h);
    int fd = -1;

    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

int channel_receive(int channel, struct channel_message *ret, int *ret_fd)
{
    struct iovec iov = { ret, sizeof *ret };
    union control_space space;
    struct msghdr h = { .msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = space.bytes,
                        .msg_controllen = sizeof space.bytes };
    ssize_t n;

    do
        n = recvmsg(channel, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? 0 : -errno;
    if (n == 0)
        return -ECONNRESET;
    *ret_fd = received_fd(&h);
    if (n != (ssize_t)sizeof *ret) {
        if (*ret_fd >= 0)
            close(*ret_fd);
        return -EBADMSG;
    }
    ret->text[sizeof ret->text - 1] = '\0';
    return 1;
}
