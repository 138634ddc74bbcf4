/* cli/run.c: postern run: the supervisor. Everything is validated and bound before anything starts. */
#include <sysexits.h>

#include "cli/cli.h"
#include "daemon/daemon.h"

int cli_run(int argc, char **argv)
{
    struct cli_common c;

    cli_common_init(&c);
    for (int i = 1; i < argc; i++) {
        int r = cli_common_option(&c, argc, argv, &i);

        if (r < 0)
            return EX_USAGE;
        if (!r)
            return cli_usage("run", "unexpected argument %s", argv[i]);
    }
    return supervisor_run(c.config_dir, c.state);
}
