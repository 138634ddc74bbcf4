/* cli/status.c: postern status [--json]: what the running gateway is doing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "util/text.h"

static json_int_t number(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static const char *string(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static void print_queue(const json_t *q)
{
    const char *reason;
    json_t     *n, *d;
    size_t      i;

    printf("queue      %" JSON_INTEGER_FORMAT " messages, %" JSON_INTEGER_FORMAT " jobs in flight\n",
           number(q, "messages"), number(q, "in_flight"));
    json_object_foreach (json_object_get(q, "waiting"), reason, n) {
        if (json_integer_value(n))
            printf("           %8" JSON_INTEGER_FORMAT " recipients: %s\n", json_integer_value(n), reason);
    }
    printf("since start  accepted %" JSON_INTEGER_FORMAT ", delivered %" JSON_INTEGER_FORMAT
           ", deferred %" JSON_INTEGER_FORMAT ", failed %" JSON_INTEGER_FORMAT
           ", bounced %" JSON_INTEGER_FORMAT "\n",
           number(q, "accepted"), number(q, "delivered"), number(q, "deferred"), number(q, "failed"),
           number(q, "bounced"));
    json_array_foreach (json_object_get(q, "destinations"), i, d) {
        printf("  to %s %s: %" JSON_INTEGER_FORMAT " waiting, %" JSON_INTEGER_FORMAT " in flight",
               string(d, "transport"), string(d, "destination"), number(d, "waiting"),
               number(d, "in_flight"));
        if (json_object_get(d, "dead"))
            printf("; dead (%s), probe in %.0fs", string(d, "dead"),
                   json_number_value(json_object_get(d, "probe_in")));
        putchar('\n');
    }
}

static void print_spool(const json_t *s)
{
    char bytes[32], cache[32];

    printf("spool      %" JSON_INTEGER_FORMAT " messages in %" JSON_INTEGER_FORMAT
           " segments, %s on disk, %s cached%s%s\n",
           number(s, "live_messages"), number(s, "segments"),
           text_size(number(s, "segment_bytes"), bytes, sizeof bytes),
           text_size(number(s, "cache_bytes"), cache, sizeof cache),
           number(s, "full") ? "; FULL: accepting nothing new" : "",
           number(s, "failed") ? "; FAILED: accepting nothing new" : "");
    if (number(s, "damaged_records"))
        printf("           %" JSON_INTEGER_FORMAT " damaged records were set aside; see the log\n",
               number(s, "damaged_records"));
}

int cli_status(int argc, char **argv)
{
    struct cli_common      c;
    struct config         *cfg = NULL;
    struct control_client *cc = NULL;
    json_t                *answer;
    int                    code;

    cli_common_init(&c);
    for (int i = 1; i < argc; i++) {
        int r = cli_common_option(&c, argc, argv, &i);

        if (r < 0)
            return EX_USAGE;
        if (!r)
            return cli_usage("status", "unexpected argument %s", argv[i]);
    }
    code = cli_load_config(&c, &cfg);
    if (!code)
        code = control_connect(cfg, 'C', 0, &cc);
    config_free(&cfg);
    if (code) {
        control_close(&cc);
        return code;
    }
    answer = control_ask(cc, json_pack("{s:s}", "verb", "status"), &code);
    if (answer && !code && c.json) {
        json_dumpf(answer, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (answer && !code) {
        printf("gateway    %s, pid %" JSON_INTEGER_FORMAT ", up %.0fs, %" JSON_INTEGER_FORMAT
               " connections\n", string(answer, "hostname"), number(answer, "pid"),
               json_number_value(json_object_get(answer, "up")), number(answer, "connections"));
        print_spool(json_object_get(answer, "spool"));
        print_queue(json_object_get(answer, "queue"));
    }
    json_decref(answer);
    control_close(&cc);
    return code;
}
