/* cli/cli.h: how the operator asks. One file a verb; each is int cli_VERB(argc, argv) with the verb
 * in argv[0], and returns a code of sysexits.h. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <jansson.h>

#include "config/config.h"

/* Options that every verb takes: --config DIR (also POSTERN_CONFIG), --json. */
struct cli_common {
    const char *config_dir; /* NULL: the embedded defaults */
    const char *state;      /* POSTERN_STATE or NULL */
    int         json;
};
void cli_common_init(struct cli_common *c);
/* 1: consumed argv[*i] (and moved *i); 0: not mine; -1: a usage error, already printed. */
int cli_common_option(struct cli_common *c, int argc, char **argv, int *i);

/* For a verb with no arguments of its own. 0, or EX_USAGE, printed. */
int cli_no_arguments(struct cli_common *c, int argc, char **argv);

/* If argv[*i] is NAME or NAME=VALUE: 1 and the value; 0: it is not; -1: no value, printed. */
int cli_value(const char *name, int argc, char **argv, int *i, const char **ret);

/* "<ann@example.org>" is "ann@example.org", and "<>" is "". The caller frees. */
char *cli_strip_brackets(const char *text);

/* "postern VERB: ..." on standard error, and EX_USAGE. */
int cli_usage(const char *verb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int cli_error(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Loads the configuration or prints its errors, one a line. 0 or a sysexits code. */
int cli_load_config(const struct cli_common *c, struct config **ret);
/* For who only asks the running gateway: what is wrong with the configuration is of no matter as
 * long as control.socket is to be had (or its default). 0, or a sysexits code when nothing can be
 * read (printed). *ret_broken: how many errors there are; cli_note_broken says so, if any. */
int  cli_load_control(const struct cli_common *c, struct config **ret, size_t *ret_broken);
void cli_note_broken(const struct config *cfg, size_t broken);
/* Prints them. EX_CONFIG, or EX_NOINPUT when something could not be read. */
int cli_print_errors(const struct config_errors *e);

/* --- the control socket of a running gateway --- */
struct control_client;
/* 0; EX_UNAVAILABLE printed when nobody answers (quiet: not printed); EX_NOPERM. kind: whom to talk
 * to, see daemon/front.c: "M" the supervisor, "C" a worker, "S" SMTP. */
int  control_connect(const struct config *cfg, const char *kind, int quiet,
                     struct control_client **ret);
int  control_connect_worker(const struct config *cfg, unsigned worker, struct control_client **ret);
/* How many workers there are, or -1 (printed). *ret_unread (may be NULL): shards of the spool whose
 * messages none of them knows yet. */
int  control_workers(const struct config *cfg, int quiet, int *ret_code, json_int_t *ret_unread);
void control_close(struct control_client **c);
int  control_fd(const struct control_client *c);
/* Sends one request and reads one answer; takes request. NULL: the connection broke, printed. An
 * answer with "error" is printed and its "code" (sysexits) is in *ret_code. */
json_t *control_ask(struct control_client *c, json_t *request, int *ret_code);
json_t *control_answer_read(struct control_client *c, int *ret_code); /* the second half of ask */
int     control_send_bytes(struct control_client *c, const void *data, size_t len);

/* Every message that waits, as `queue list --json` shows it: asked of the running gateway, or read
 * from the spool. EX_OK, or a code, printed. */
int cli_queue_each(const struct config *cfg, void (*each)(void *ctx, const json_t *message),
                   void *ctx);

int cli_run(int argc, char **argv);
int cli_worker(int argc, char **argv); /* by the supervisor, not by people */
int cli_reload(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_schema(void); /* check --schema */
int cli_route(int argc, char **argv);
int cli_address(int argc, char **argv);
int cli_send(int argc, char **argv);
int cli_sendmail(int argc, char **argv); /* called as sendmail */
int cli_mailq(int argc, char **argv);    /* called as mailq */
int cli_queue(int argc, char **argv);
int cli_diff(int argc, char **argv);
int cli_map(int argc, char **argv);
int cli_mx(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_list(int argc, char **argv);
int cli_plugin(int argc, char **argv);

#endif
