/* cli/reload.c: postern reload: a new generation of workers, or a reason why not. */
#include <stdio.h>
#include <sysexits.h>

#include "cli/cli.h"

int cli_reload(int argc, char **argv)
{
    struct cli_common c;
    struct config *cfg = NULL;
    struct control_client *cc = NULL;
    json_t *answer = NULL;
    size_t broken = 0;
    int code;

    code = cli_no_arguments(&c, argc, argv);
    if (code)
        return code;
    code = cli_load_control(&c, &cfg, &broken);
    if (code)
        return code;
    code = control_connect(cfg, "M", 0, &cc);
    if (code) { /* else the gateway itself says what is wrong with it */
        cli_note_broken(cfg, broken);
        fputs(
            "postern: if control.socket was changed since the gateway was started, send SIGHUP to "
            "its supervisor instead\n",
            stderr);
    } else
        answer = control_ask(cc, json_pack("{s:s}", "verb", "reload"), &code);
    if (answer && !code && c.json)
        puts("{\"reloaded\": true}");
    else if (answer && !code)
        printf("reloaded; workers up: %d\n",
               (int)json_integer_value(json_object_get(answer, "workers")));
    json_decref(answer);
    control_close(&cc);
    config_free(&cfg);
    return code;
}
