/* cli/run.c: postern run: the supervisor. All is validated and bound before anything starts. */
#include <sysexits.h>

#include "cli/cli.h"
#include "daemon/daemon.h"

int cli_run(int argc, char **argv)
{
    struct cli_common c;
    int code;

    code = cli_no_arguments(&c, argc, argv);
    if (code)
        return code;
    return supervisor_run(c.config_dir, c.state);
}
