/* pipe.h: what the parts of the plugin share.
 *
 *   pipe.c      options, open, deliver, cancel, close
 *   check.c     what options mean together
 *   account.c   the user that commands run as
 *   exits.c     from how a command ended to a fate; its table
 *   words.c     the text of an alias, taken apart without a shell; pure
 *   plan.c      the argument vector and the environment of one run; pure
 *   message.c   the message as the command gets it; on a thread
 *   run.c       one command, from its turn to its end; on the loop */
#ifndef PIPE_H
#define PIPE_H

#include <postern/postern.h>

#include "../common/account.h"
#include "../common/problem.h"

#define PIPE_ARGS_MAX  256u          /* words of a command                              */
#define PIPE_TEXT_MAX  (128u * 1024) /* bytes of all arguments, or of the environment   */
#define PIPE_ALIAS_MAX 8192u         /* bytes of a command that an alias names          */
#define PIPE_PATH_MAX  960u          /* bytes of a folder's or program's path, with NUL */
#define PIPE_ENV_MAX   64u           /* variables that an operator adds                 */

enum pipe_message { MESSAGE_STDIN, MESSAGE_FILE, MESSAGE_P1 };
enum pipe_per { PER_RECIPIENT, PER_MESSAGE };
enum pipe_ends { ENDS_LF, ENDS_CRLF };

struct settings {
    struct postern_strings command, environment, exit_codes, writes;
    const char *alias_folder, *tmp, *delimiters, *null_sender, *cwd, *umask, *user, *group;
    int64_t     allow_alias_commands, shell;
    int64_t     message;   /* enum pipe_message */
    int64_t     per;       /* enum pipe_per     */
    int64_t     line_ends; /* enum pipe_ends    */
    int64_t     from_line, quote_from, return_path, delivered_to, allow_dash;
    int64_t     timeout, kill_grace, cpu_limit;                    /* microseconds */
    int64_t     memory_limit, file_limit, process_limit, concurrency;
};

struct exit_fate {
    uint16_t fate; /* enum postern_fate */
    uint16_t status[3];
};
struct exits {
    struct exit_fate code[256];
    struct exit_fate by_signal; /* also in code[129] to [159], unless a code has its own */
};

/* check.c. Both: 0 or -EINVAL, with what is wrong in why. */
int pipe_check(const void *settings, char *why, size_t why_size);
int pipe_check_facts(const struct postern_facts *, const void *settings, char *why,
                     size_t why_size);

/* account.c. Blocks. 0 or -errno, with why in words. uid: the worker's. */
int account_find(const struct settings *set, uid_t uid, struct account *ret, char *why,
                 size_t why_size);

/* exits.c. 0 or -EINVAL, with why in words. */
int exits_fill(const struct postern_strings *overrides, struct exits *ret, char *why,
               size_t why_size);
/* The name of an exit code in sysexits.h, or NULL. */
const char *exits_name(int code);
/* The signal that an exit code of a shell tells of, which has ended what it ran; or 0. */
int exits_signal(int code);

/* words.c: takes a command line apart at blanks; '...' and "..." hold words together, and a
 * backslash (not in '...') takes its meaning from the next character. text is overwritten. How many
 * words, or -EINVAL (a quote is not closed), -E2BIG, -ENOENT (no word). */
int words_split(char *text, char **words, size_t max);
/* What stands behind the first word of a command line that words_split understood. */
const char *words_rest(const char *text);

#endif
