/* net/address.h: socket addresses as text, in both directions. */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#define NET_ADDRESS_TEXT 128u /* holds what net_address_text writes, a unix path included */

struct net_address {
    union {
        struct sockaddr         sa;
        struct sockaddr_in      in;
        struct sockaddr_in6     in6;
        struct sockaddr_un      un;
        struct sockaddr_storage any;
    };
    socklen_t len;
};

/* "192.0.2.1", "2001:db8::1", "fe80::1%eth0" or "unix:/path". 0; -EINVAL: none of these. */
int net_address_parse(const char *text, uint16_t port, struct net_address *ret);

/* "address:port", "[v6]:port" or "unix:/path". 0; -EINVAL with a static sentence. */
int net_endpoint_parse(const char *endpoint, struct net_address *ret, const char **reterr_why);

/* "192.0.2.1:25", "[2001:db8::1]:25", "unix:/path". Returns buf. */
char *net_address_text(const struct net_address *a, char *buf, size_t size);

/* "192.0.2.1" and 25; "local" and 0 for a unix socket. size >= INET6_ADDRSTRLEN. */
void net_address_host(const struct net_address *a, char *buf, size_t size, uint16_t *ret_port);

/* -errno as people read it inside a sentence: "connection refused". Returns buf. */
char *net_error_text(int error, char *buf, size_t size);

#endif
