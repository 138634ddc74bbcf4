/* dns/name.c: see name.h. */
#include "dns/name.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <postern/mail.h>

#include "util/text.h"

/* Letters, digits and hyphens (RFC 952), and the underscore that some hosts do have. */
static int is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Copies an ASCII name in lower case, label by label; its final dot is off. */
static int normal_ascii(const char *name, char ret[DNS_NAME_SIZE])
{
    size_t len = strlen(name), label = 0;

    if (!len || len > DNS_NAME_MAX)
        return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        char c = text_lower(name[i]);

        if (c == '.' ? !label : !is_host_char(c) || label == DNS_LABEL_MAX)
            return -EINVAL;
        label = c == '.' ? 0 : label + 1;
        ret[i] = c;
    }
    ret[len] = '\0';
    return label ? 0 : -EINVAL;
}

int dns_name_normal(const char *name, char ret[DNS_NAME_SIZE])
{
    char ascii[DNS_INPUT_MAX + 1];
    size_t len = strnlen(name, DNS_INPUT_MAX + 1);

    if (len > DNS_INPUT_MAX || postern_domain_to_ascii(name, len, ascii, sizeof ascii) < 0)
        return -EINVAL;
    return normal_ascii(ascii, ret);
}

int dns_literal(const char *name, char *ret, size_t size)
{
    unsigned char address[sizeof(struct in6_addr)];
    char bare[INET6_ADDRSTRLEN];
    size_t len = strlen(name);
    int family = AF_INET;

    if (len >= 2 && name[0] == '[' && name[len - 1] == ']') {
        name++;
        len -= 2;
    }
    if (len > 5 && !text_ncasecmp(name, "IPv6:", 5)) {
        name += 5;
        len -= 5;
        family = AF_INET6;
    }
    if (len >= sizeof bare)
        return 0;
    memcpy(bare, name, len);
    bare[len] = '\0';
    if (family == AF_INET6 || inet_pton(AF_INET, bare, address) != 1) {
        if (inet_pton(AF_INET6, bare, address) != 1)
            return 0;
        family = AF_INET6;
    }
    return inet_ntop(family, address, ret, (socklen_t)size) != NULL;
}
