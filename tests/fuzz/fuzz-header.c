/* Header sections from anybody, walked and put into a notification. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <postern/mail.h>

#include "message/dsn.h"
#include "message/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

static void check_fields(const char *data, size_t len)
{
    struct postern_field field;
    size_t pos = 0, last = 0;
    unsigned received = 0;
    int r;

    while ((r = postern_field_next(data, len, &pos, &field)) > 0) {
        require(field.start == last && field.end == pos && pos > last && pos <= len);
        require(field.name_len > 0 && field.value > field.name);
        require(field.value + field.value_len <= data + pos);
        received += postern_field_is(&field, "Received") ? 1 : 0;
        last = pos;
    }
    require(r == 0 || r == -EBADMSG);
    require(header_end(data, len) == pos);
    require(header_count(data, len, "received") == received);
}

/* No line end but CRLF may come out, whatever went in. */
static void check_dsn(const char *data, size_t len, const char *text)
{
    struct dsn_rcpt rcpt = { .rcpt = text,
                             .original = text,
                             .action = "failed",
                             .status = { 5, 0, 0 },
                             .diagnostic = text,
                             .remote = text };
    struct dsn d = { .hostname = "gw.example",
                     .from = "MAILER-DAEMON@gw.example",
                     .to = text,
                     .queue_id = "0",
                     .sender = text,
                     .rcpt_n = 1,
                     .rcpts = &rcpt,
                     .head = data,
                     .head_len = len,
                     .content_size = len,
                     .body_max = 100,
                     .utf8 = len & 1 };
    struct buf out = { 0 };

    dsn_compose(&d, &out);
    for (size_t i = 0; i < out.len; i++) {
        require(out.data[i] != '\r' || (i + 1 < out.len && out.data[i + 1] == '\n'));
        require(out.data[i] != '\n' || (i > 0 && out.data[i - 1] == '\r'));
    }
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    char *text = malloc(size + 1);

    if (!text)
        return 0;
    memcpy(text, bytes, size);
    text[size] = 0;
    check_fields(bytes, size);
    check_dsn(bytes, size, text);
    free(text);
    return 0;
}
