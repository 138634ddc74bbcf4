/* What a command is given, and what its end means: all that is pure in the plugin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../plugins/pipe/plan.h"

static const struct account account = { .uid = 1000, .name = "mail", .home = "/var/mail" };

struct plan_case {
    struct settings set;
    const char *words[8];
    struct plan_rcpt rcpts[3];
    struct plan_from from;
};

static void init(struct plan_case *c, const char *const *words)
{
    memset(c, 0, sizeof *c);
    for (size_t i = 0; words && words[i]; i++, c->set.command.n++)
        c->words[i] = words[i];
    c->set.command.v = c->words;
    c->set.delimiters = "+";
    c->set.null_sender = "MAILER-DAEMON";
    c->rcpts[0] = (struct plan_rcpt){ "Bob+x@b.example", "old@a.example" };
    c->rcpts[1] = (struct plan_rcpt){ "eve@b.example", "eve@b.example" };
    c->rcpts[2] = (struct plan_rcpt){ "-dash@b.example", "-dash@b.example" };
    c->from = (struct plan_from){ .set = &c->set,
                                  .account = &account,
                                  .sender = "ann@c.example",
                                  .id = "ID",
                                  .client = "host.example [192.0.2.7]",
                                  .size = 123,
                                  .rcpts = c->rcpts,
                                  .n = 1 };
}

/* The arguments, each in "<>". */
static void expect_args(struct plan_case *c, const char *expected)
{
    char got[4096] = "";
    struct plan *p = NULL;
    struct problem problem;

    if (plan_make(&c->from, &p, &problem) < 0)
        fail_msg("%s", problem.text);
    assert_null(p->argv[p->argc]);
    for (size_t i = 0, n = 0; i < p->argc; i++)
        n += (size_t)snprintf(got + n, sizeof got - n, "<%s>", p->argv[i]);
    assert_string_equal(p->path, p->argv[0]);
    free(p);
    assert_string_equal(got, expected);
}

static void expect_refusal(struct plan_case *c, uint32_t fate, unsigned detail, const char *words)
{
    struct plan *p = NULL;
    struct problem problem = { 0 };

    assert_true(plan_make(&c->from, &p, &problem) < 0);
    assert_null(p);
    assert_int_equal(problem.fate, fate);
    assert_int_equal(problem.status[2], detail);
    if (!strstr(problem.text, words))
        fail_msg("\"%s\" is not in \"%s\"", words, problem.text);
}

static void placeholders_are_filled_in(void **state)
{
    struct plan_case c;
    (void)state;

    init(&c,
         (const char *const[]){ "/x", "{recipient} {user} {extension} {local} {domain}",
                                "{original_recipient}{{{sender}", "{client}:{client_address}",
                                "{id},{size}", "-f{sender}", NULL });
    expect_args(&c,
                "</x><Bob+x@b.example Bob x Bob+x b.example><old@a.example{ann@c.example>"
                "<host.example:192.0.2.7><ID,123><-fann@c.example>");
    c.from.client = "local";
    c.from.sender = "";
    expect_args(&c,
                "</x><Bob+x@b.example Bob x Bob+x b.example><old@a.example{MAILER-DAEMON>"
                "<local:><ID,123><-fMAILER-DAEMON>");
}

static void an_argument_with_a_recipient_comes_once_for_each(void **state)
{
    struct plan_case c;
    (void)state;

    init(&c, (const char *const[]){ "/x", "to={user}@{domain}", "{id}", NULL });
    c.from.n = 2;
    expect_args(&c, "</x><to=Bob@b.example><to=eve@b.example><ID>");
}

static void what_a_stranger_writes_is_never_looked_at_again(void **state)
{
    struct plan_case c;
    (void)state;

    init(&c, (const char *const[]){ "/x", "{recipient}", "{sender}", NULL });
    c.rcpts[0].address = "\"{sender} $(id) ;'\"@b.example";
    c.from.sender = "{id}@c.example";
    expect_args(&c, "</x><\"{sender} $(id) ;'\"@b.example><{id}@c.example>");
}

static void a_leading_dash_is_refused_unless_it_is_ours(void **state)
{
    struct plan_case c;
    (void)state;

    init(&c, (const char *const[]){ "/x", "{recipient}", NULL });
    c.from.rcpts = c.rcpts + 2;
    expect_refusal(&c, POSTERN_FAILED, 3, "begins with \"-\"");
    c.set.allow_dash = 1;
    expect_args(&c, "</x><-dash@b.example>");
    c.set.allow_dash = 0;
    c.words[1] = "-{recipient}";
    expect_args(&c, "</x><--dash@b.example>");
    c.words[1] = "x";
    c.set.shell = 1;
    c.set.command.n = 1;
    expect_refusal(&c, POSTERN_FAILED, 3, "begins with \"-\"");
}

static void a_shell_gets_the_text_as_it_is(void **state)
{
    struct plan_case c;
    (void)state;

    init(&c, (const char *const[]){ "echo \"$@\" ${x} {recipient}", NULL });
    c.set.shell = 1;
    c.from.n = 2;
    expect_args(&c,
                "</bin/sh><-c><echo \"$@\" ${x} {recipient}><postern><Bob+x@b.example>"
                "<eve@b.example>");
}

static void p1_and_p2(void **state)
{
    struct plan_case c;
    (void)state;

    init(&c, (const char *const[]){ "/x", "a b", "{user}", NULL });
    c.set.message = MESSAGE_P1;
    c.from.file = "/tmp/f";
    expect_args(&c, "</x></tmp/f><a b Bob>");
    c.set.command.n = 1;
    expect_args(&c, "</x></tmp/f>");
    c.from.alias = " \"/y z\"  p2 'p3  {user}' ";
    expect_args(&c, "</y z></tmp/f><p2 'p3  {user}' >");
}

static void commands_of_aliases(void **state)
{
    static const struct {
        const char *folder, *text, *args, *refused;
    } cases[] = {
        { NULL, "/x a  'b c' \"d\\\"e\" f\\ g '' {user}", "</x><a><b c><d\"e><f g><><Bob>", NULL },
        { NULL, "x a", NULL, "expected the full path" },
        { NULL, "/x 'a", NULL, "quote that is not closed" },
        { NULL, "/x \\", NULL, "quote that is not closed" },
        { NULL, "  ", NULL, "is empty" },
        { NULL, "/x {what}", NULL, "placeholder" },
        { NULL, "/x {file}", NULL, "placeholder" },
        { "/lib/mail", "x a", "</lib/mail/x><a>", NULL },
        { "/lib/mail", "/x a", NULL, "without a path" },
        { "/lib/mail", "../x a", NULL, "without a path" },
        { "/lib/mail", ".x a", NULL, "without a path" },
        { "/lib/mail", "'' a", NULL, "without a path" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan_case c;

        init(&c, NULL);
        c.set.alias_folder = cases[i].folder;
        c.from.alias = cases[i].text;
        if (cases[i].args)
            expect_args(&c, cases[i].args);
        else
            expect_refusal(&c, POSTERN_DEFERRED, 5, cases[i].refused);
    }
}

static void what_is_too_long_is_deferred(void **state)
{
    char *text = malloc(PIPE_ALIAS_MAX + 1);
    struct plan_case c;
    (void)state;

    memset(text, 'x', PIPE_ALIAS_MAX);
    text[0] = '/';
    text[PIPE_ALIAS_MAX] = '\0';
    init(&c, NULL);
    c.from.alias = text;
    expect_refusal(&c, POSTERN_DEFERRED, 5, "too long");
    for (size_t i = 1; i < PIPE_ALIAS_MAX - 1; i++)
        text[i] = i % 2 ? ' ' : 'x';
    text[PIPE_ALIAS_MAX - 1] = '\0';
    expect_refusal(&c, POSTERN_DEFERRED, 5, "too long");
    free(text);
}

static const char *env_of(const struct plan *p, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < p->envc; i++) {
        if (!strncmp(p->envp[i], name, len) && p->envp[i][len] == '=')
            return p->envp[i] + len + 1;
    }
    return NULL;
}

static void the_environment_is_ours_and_the_operators(void **state)
{
    static const char *const extra[] = { "PATH=/bin", "RECIPIENT=me", "NEW=1" };
    struct plan_case c;
    struct plan *p;
    struct problem problem;
    (void)state;

    init(&c, (const char *const[]){ "/x", NULL });
    c.set.environment = (struct postern_strings){ 3, extra };
    c.from.sender = "a\nPATH=/evil@c.example";
    assert_int_equal(plan_make(&c.from, &p, &problem), 0);
    assert_null(p->envp[p->envc]);
    assert_string_equal(env_of(p, "PATH"), "/bin");
    assert_string_equal(env_of(p, "RECIPIENT"), "me");
    assert_string_equal(env_of(p, "NEW"), "1");
    assert_string_equal(env_of(p, "SENDER"), "a?PATH=/evil@c.example");
    assert_string_equal(env_of(p, "EXTENSION"), "x");
    assert_string_equal(env_of(p, "USER"), "mail");
    assert_string_equal(env_of(p, "CLIENT_ADDRESS"), "192.0.2.7");
    assert_string_equal(env_of(p, "CLIENT_HELO"), "host.example");
    assert_null(env_of(p, "CLIENT_HOSTNAME"));
    assert_null(env_of(p, "FILE"));
    assert_int_equal(p->envc, 16);
    free(p);
    c.from.n = 2;
    c.set.environment.n = 0;
    assert_int_equal(plan_make(&c.from, &p, &problem), 0);
    assert_null(env_of(p, "RECIPIENT"));
    free(p);
}

static void exit_codes(void **state)
{
    static const char *const good[] = { "EX_NOUSER=deferred 4.2.1", "1-3=delivered",
                                        "signal=failed" };
    static const char *const shells[] = { "137=failed 5.1.0", "signal=delivered", "8=delivered" };
    static const char *const bad[] = { "",
                                       "75",
                                       "75=",
                                       "x=failed",
                                       "256=failed",
                                       "9-1=failed",
                                       "1=maybe",
                                       "1=failed 4.1.1",
                                       "1=failed 5",
                                       "1=failed 5.1.1 x",
                                       "EX_NO=failed" };
    struct postern_strings list = { 3, good };
    struct exits e;
    char why[512];
    (void)state;

    assert_int_equal(exits_fill(&list, &e, why, sizeof why), 0);
    assert_int_equal(e.code[67].fate, POSTERN_DEFERRED);
    assert_int_equal(e.code[67].status[1], 2);
    assert_int_equal(e.code[0].fate, POSTERN_DELIVERED);
    assert_int_equal(e.code[3].fate, POSTERN_DELIVERED);
    assert_int_equal(e.code[4].fate, POSTERN_FAILED);
    assert_int_equal(e.by_signal.fate, POSTERN_FAILED);
    assert_int_equal(e.code[137].fate, POSTERN_FAILED);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct postern_strings one = { 1, &bad[i] };

        assert_int_equal(exits_fill(&one, &e, why, sizeof why), -EINVAL);
        assert_non_null(strstr(why, "exit_codes: found"));
    }
    list = (struct postern_strings){ 3, shells };
    assert_int_equal(exits_fill(&list, &e, why, sizeof why), 0);
    assert_int_equal(e.code[128].fate, POSTERN_FAILED);
    assert_int_equal(e.code[129].fate, POSTERN_DELIVERED);
    assert_int_equal(e.code[137].fate, POSTERN_FAILED);
    assert_int_equal(e.code[137].status[1], 1);
    assert_int_equal(e.code[159].fate, POSTERN_DELIVERED);
    assert_int_equal(e.code[160].fate, POSTERN_FAILED);
    list.n = 0;
    assert_int_equal(exits_fill(&list, &e, why, sizeof why), 0);
    assert_int_equal(e.code[137].fate, POSTERN_DEFERRED);
    assert_int_equal(exits_signal(137), 9);
    assert_int_equal(exits_signal(128), 0);
    assert_int_equal(exits_signal(160), 0);
    assert_string_equal(exits_name(75), "EX_TEMPFAIL");
    assert_null(exits_name(0));
    assert_null(exits_name(1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(placeholders_are_filled_in),
        cmocka_unit_test(an_argument_with_a_recipient_comes_once_for_each),
        cmocka_unit_test(what_a_stranger_writes_is_never_looked_at_again),
        cmocka_unit_test(a_leading_dash_is_refused_unless_it_is_ours),
        cmocka_unit_test(a_shell_gets_the_text_as_it_is),
        cmocka_unit_test(p1_and_p2),
        cmocka_unit_test(commands_of_aliases),
        cmocka_unit_test(what_is_too_long_is_deferred),
        cmocka_unit_test(the_environment_is_ours_and_the_operators),
        cmocka_unit_test(exit_codes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
