/* conf.d: order, merging, defaults, origins, and everything a file can do wrong. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "config/load.h"
#include "scratch.h"
#include "util/buf.h"

struct text {
    const char *file, *json;
};

/* Loads texts as if they were the files of conf.d; `lines` are the errors expected, one a line. */
static struct config *load_texts(const struct text *texts, const char *state, const char *lines)
{
    struct config_errors errors = { 0 };
    struct config_loader *l = config_loader_new("conf.d", &errors);
    struct buf all = { 0 };
    struct config *cfg;

    for (; texts->file; texts++)
        config_loader_add(l, texts->file, texts->json, strlen(texts->json));
    cfg = config_loader_finish(l, state);
    for (size_t i = 0; i < errors.n; i++)
        buf_printf(&all, "%s%s", i ? "\n" : "", errors.lines[i]);
    assert_string_equal(all.data ? all.data : "", lines);
    buf_free(&all);
    config_errors_free(&errors);
    return cfg;
}

#define TEXTS(...) ((const struct text[]){ __VA_ARGS__, { NULL, NULL } })

static void wrong(const char *json, const char *lines)
{
    struct config *cfg = load_texts(TEXTS({ "a.json", json }), NULL, lines);

    config_free(&cfg);
}

static const struct config_instance *instance(const struct config *cfg, const char *name)
{
    for (size_t i = 0; i < cfg->instance_n; i++) {
        if (!strcmp(cfg->instances[i].name, name))
            return &cfg->instances[i];
    }
    return NULL;
}

static void without_files_the_built_in_defaults_hold(void **state)
{
    struct config_errors errors = { 0 };
    char name[256] = "";
    struct config *cfg;

    (void)state;
    assert_int_equal(config_load(NULL, NULL, &cfg, &errors), 0);
    assert_int_equal(errors.n, 0);
    gethostname(name, sizeof name - 1);
    assert_string_equal(cfg->source, "(built in)");
    assert_int_equal(cfg->file_n, 0);
    assert_string_equal(cfg->server.hostname, name);
    assert_string_equal(cfg->server.postmaster, "postmaster");
    assert_int_equal(cfg->server.hop_count_max, 30);
    assert_int_equal(cfg->server.message_size_max, 50 << 20);
    assert_int_equal(cfg->server.recipients_max, 1000);
    assert_int_equal(cfg->server.offload_threads, 4);
    assert_int_equal(cfg->server.delivery_deadline, POSTERN_MINUTES(30));
    assert_string_equal(cfg->spool.path, "/var/spool/postern");
    assert_int_equal(cfg->spool.segment_size, 64 << 20);
    assert_int_equal(cfg->spool.inline_max, 1 << 20);
    assert_int_equal(cfg->spool.cache, 64 << 20);
    assert_int_equal(cfg->spool.reserve, 1 << 20);
    assert_int_equal(cfg->spool.min_free, 32 << 20);
    assert_int_equal(cfg->spool.sync_delay, POSTERN_SECONDS(1));
    assert_int_equal(cfg->queue.retry.n, 1);
    assert_string_equal(cfg->queue.retry.v[0], "30m");
    assert_int_equal(cfg->queue.jitter, 10);
    assert_int_equal(cfg->queue.lifetime, POSTERN_DAYS(3));
    assert_int_equal(cfg->queue.bounce_lifetime, POSTERN_DAYS(3));
    assert_int_equal(cfg->queue.destination_concurrency, 20);
    assert_int_equal(cfg->queue.concurrency, 500);
    assert_int_equal(cfg->queue.dead_min, POSTERN_SECONDS(30));
    assert_int_equal(cfg->queue.dead_max, POSTERN_MINUTES(30));
    assert_int_equal(cfg->queue.bounce_body_max, 65536);
    assert_int_equal(cfg->log.level + 3, POSTERN_LOG_INFO);
    assert_int_equal(cfg->log.format, 0);
    assert_null(cfg->log.file);
    assert_string_equal(cfg->control.socket, "/run/postern/control.sock");
    assert_int_equal(cfg->dns.servers.n, 0);
    assert_int_equal(cfg->dns.timeout, POSTERN_SECONDS(5));
    assert_int_equal(cfg->dns.tries, 3);
    assert_int_equal(cfg->dns.cache_max, 10000);
    assert_int_equal(cfg->dns.ipv6, 1);
    assert_int_equal(cfg->routing.local_domains.n, 2);
    assert_string_equal(cfg->routing.local_domains.v[0], name);
    assert_string_equal(cfg->routing.local_domains.v[1], "localhost");
    assert_string_equal(cfg->routing.local_transport, "local-mbox");
    assert_string_equal(cfg->routing.dflt.transport, "smtp-out");
    assert_int_equal(cfg->routing.rules.n, 0);
    assert_string_equal(cfg->local_origin.file, "(built in)");
    assert_string_equal(cfg->local_origin.pointer, "/routing/local_domains");
    assert_string_equal(cfg->default_origin.file, "(built in)");
    assert_string_equal(cfg->default_origin.pointer, "/routing/default");
    assert_int_equal(cfg->instance_n, 3);
    assert_int_equal(instance(cfg, "smtp-in")->kind, CONFIG_INGRESS);
    assert_int_equal(instance(cfg, "smtp-out")->kind, CONFIG_TRANSPORT);
    assert_string_equal(
        json_string_value(json_object_get(instance(cfg, "local-mbox")->object, "path")),
        "/var/mail");
    assert_string_equal(instance(cfg, "local-mbox")->origin.pointer, "/transports/local-mbox");
    config_free(&cfg);
}

static void a_state_folder_moves_the_places_of_the_defaults(void **state)
{
    struct config *cfg =
        load_texts(TEXTS({ "a.json", "{\"spool\": {\"cache\": \"1M\"}}" }), "/tmp/state", "");

    (void)state;
    assert_string_equal(cfg->spool.path, "/tmp/state/spool");
    assert_int_equal(cfg->spool.cache, 1 << 20);
    assert_string_equal(cfg->control.socket, "/tmp/state/control.sock");
    assert_string_equal(
        json_string_value(json_object_get(instance(cfg, "local-mbox")->object, "path")),
        "/tmp/state/mail");
    config_free(&cfg);
    cfg = load_texts(TEXTS({ "a.json", "{\"spool\": {\"path\": \"/else\"}}" }), "/tmp/state", "");
    assert_string_equal(cfg->spool.path, "/else");
    config_free(&cfg);
    cfg = load_texts(TEXTS({ "a.json", "{}" }), "relative", "");
    assert_int_equal(*cfg->spool.path, '/');
    assert_non_null(strstr(cfg->spool.path, "/relative/spool"));
    config_free(&cfg);
}

static void keys_of_several_files_join_and_default_transports_stay(void **state)
{
    struct config *cfg =
        load_texts(TEXTS({ "a.json",
                           "{\"server\": {\"hostname\": \"mail.example.com\"},"
                           " \"transports\": {\"x\": {\"plugin\": \"smtp-out\", \"port\": 1}}}" },
                         { "b.json",
                           "{\"server\": {\"recipients_max\": 5},"
                           " \"transports\": {\"y\": {\"enabled\": false}}}" }),
                   NULL, "");

    (void)state;
    assert_int_equal(cfg->file_n, 2);
    assert_string_equal(cfg->server.hostname, "mail.example.com");
    assert_int_equal(cfg->server.recipients_max, 5);
    assert_string_equal(cfg->routing.local_domains.v[0], "mail.example.com");
    assert_non_null(instance(cfg, "smtp-in"));
    assert_string_equal(instance(cfg, "smtp-out")->origin.file, "(built in)");
    assert_non_null(instance(cfg, "local-mbox"));
    assert_string_equal(instance(cfg, "x")->plugin, "smtp-out");
    assert_int_equal(instance(cfg, "x")->enabled, 1);
    assert_string_equal(instance(cfg, "x")->origin.file, "a.json");
    assert_string_equal(instance(cfg, "y")->plugin, "y");
    assert_int_equal(instance(cfg, "y")->enabled, 0);
    assert_string_equal(instance(cfg, "y")->origin.file, "b.json");
    assert_string_equal(instance(cfg, "y")->origin.pointer, "/transports/y");
    config_free(&cfg);
}

static void an_empty_plugin_section_is_an_answer(void **state)
{
    struct config *cfg = load_texts(TEXTS({ "a.json", "{\"ingress\": {}}" }), NULL, "");

    (void)state;
    assert_null(instance(cfg, "smtp-in"));
    assert_non_null(instance(cfg, "smtp-out"));
    config_free(&cfg);
}

static void rules_of_several_files_stand_in_their_order_and_know_where_they_came_from(void **state)
{
    struct config *cfg =
        load_texts(TEXTS({ "a.json",
                           "{\"routing\": {\"rules\": [{\"domain\": \"a\", \"transport\": \"t\"},"
                           " {\"domain\": [\"b\", \"c\"], \"fail\": \"5.1.1 no\"}]}}" },
                         { "b.json",
                           "{\"routing\": {\"rules\": [{\"sender\": \"<>\", \"discard\": true,"
                           " \"$comment\": \"x\", \"accept_from\": \"anyone\"}],"
                           " \"local_domains\": [\"here\"]}}" }),
                   NULL, "");
    const struct config_rule *rules = cfg->routing.rules.v;

    (void)state;
    assert_int_equal(cfg->routing.rules.n, 3);
    assert_string_equal(rules[0].transport, "t");
    assert_int_equal(rules[1].domain.n, 2);
    assert_string_equal(rules[1].fail, "5.1.1 no");
    assert_int_equal(rules[2].discard, 1);
    assert_int_equal(rules[2].accept_from, 1);
    assert_string_equal(cfg->rule_origins[1].file, "a.json");
    assert_string_equal(cfg->rule_origins[1].pointer, "/routing/rules/1");
    assert_string_equal(cfg->rule_origins[2].file, "b.json");
    assert_string_equal(cfg->rule_origins[2].pointer, "/routing/rules/0");
    assert_string_equal(cfg->local_origin.file, "b.json");
    assert_int_equal(cfg->routing.local_domains.n, 1);
    assert_string_equal(cfg->default_origin.file, "(built in)");
    assert_string_equal(cfg->routing.dflt.transport, "smtp-out");
    config_free(&cfg);
}

static void errors_in_merged_rules_name_their_own_file_and_place(void **state)
{
    struct config *cfg =
        load_texts(TEXTS({ "a.json", "{\"routing\": {\"rules\": [{\"hold\": \"x\"}]}}" },
                         { "b.json",
                           "{\"routing\": {\"rules\": [{\"hold\": \"x\"},"
                           " {\"domian\": \"x\", \"next_hops\": [\"a\", 5]}]}}" }),
                   NULL,
                   "b.json#/routing/rules/1/domian: unknown key; did you mean \"domain\"?\n"
                   "b.json#/routing/rules/1/next_hops/1: found 5, expected text in quotes");

    (void)state;
    assert_int_equal(cfg->routing.rules.n, 3);
    config_free(&cfg);
}

static void the_same_key_twice_names_both_files(void **state)
{
    struct config *cfg = load_texts(
        TEXTS({ "a.json", "{\"queue\": {\"jitter\": 1}, \"transports\": {\"t\": {}}}" },
              { "b.json", "{\"queue\": {\"jitter\": 2}, \"transports\": {\"t\": {}}}" }),
        NULL,
        "b.json#/queue/jitter: already said in a.json#/queue/jitter; say it in one place\n"
        "b.json#/transports/t: already said in a.json#/transports/t; say it in one "
        "place");

    (void)state;
    assert_int_equal(cfg->queue.jitter, 1);
    config_free(&cfg);
    wrong("{\"queue\": {}, \"queue\": {}}", "a.json:1:21: duplicate object key near '\"queue\"'");
}

static void an_instance_has_a_name_of_its_own(void **state)
{
    (void)state;
    wrong("{\"ingress\": {\"x\": {}}, \"transports\": {\"x\": {}}}",
          "a.json#/transports/x: the name is taken by a.json#/ingress/x; every instance needs a "
          "name of its own");
    wrong("{\"ingress\": {\"Big Name\": {}}}",
          "a.json#/ingress/Big Name: an instance's name is lower case letters, digits and '-', at "
          "most 64 of them");
    wrong("{\"ingress\": {\"\": {}}}",
          "a.json#/ingress/: an instance's name is lower case letters, digits and '-', at most 64 "
          "of them");
    wrong("{\"ingress\": {\"x\": true}}", "a.json#/ingress/x: found true, expected an object");
    wrong("{\"ingress\": {\"x\": {\"plugin\": \"../../x\"}}}",
          "a.json#/ingress/x/plugin: found \"../../x\", expected a plugin's name: lower case "
          "letters, digits and '-', at most 64 of them");
    wrong("{\"ingress\": {\"x\": {\"plugin\": 1, \"enabled\": \"no\"}}}",
          "a.json#/ingress/x/plugin: found 1, expected text in quotes\n"
          "a.json#/ingress/x/enabled: found \"no\", expected true or false");
}

static void there_is_an_end_to_instances(void **state)
{
    struct buf json = { 0 };
    struct config *cfg;

    (void)state;
    buf_adds(&json, "{\"ingress\": {");
    for (unsigned i = 0; i < CONFIG_INSTANCES_MAX; i++)
        buf_printf(&json, "\"i%u\": {}, ", i);
    buf_adds(&json, "\"last\": {}}, \"transports\": {}}");
    cfg = load_texts(TEXTS({ "a.json", json.data }), NULL,
                     "a.json#/ingress/last: there are more than 256 plugin instances");
    assert_int_equal(cfg->instance_n, CONFIG_INSTANCES_MAX);
    buf_free(&json);
    config_free(&cfg);
}

static void unknown_sections_and_misplaced_keys_get_a_hint(void **state)
{
    (void)state;
    wrong("{\"transport\": {}}",
          "a.json#/transport: unknown section; did you mean \"transports\"?");
    wrong("{\"Server\": {}}", "a.json#/Server: unknown section; did you mean \"server\"?");
    wrong("{\"hostname\": \"x\"}",
          "a.json#/hostname: unknown section; \"hostname\" belongs in /server");
    wrong("{\"smtp-input-thing\": {}}",
          "a.json#/smtp-input-thing: unknown section; a plugin is "
          "set up in \"ingress\", \"transports\" or \"directories\"");
    wrong("{\"server\": {\"retry\": \"5m\"}}",
          "a.json#/server/retry: unknown key; \"retry\" belongs in /queue");
    wrong("{\"server\": {\"hostnam\": \"a\"}}",
          "a.json#/server/hostnam: unknown key; did you mean \"hostname\"?");
    wrong("{\"queue\": 5}", "a.json#/queue: found 5, expected an object");
    wrong("{\"routing\": {\"rules\": {}}}",
          "a.json#/routing/rules: found an object, expected a list of objects");
    wrong("{\"$comment\": \"fine\", \"log\": {\"$comment\": \"fine\"}}", "");
}

static void values_that_must_fit_each_other_are_compared(void **state)
{
    (void)state;
    wrong("{\"server\": {\"hostname\": \"a b\"}}",
          "a.json#/server/hostname: found \"a b\", expected a host name like "
          "\"mail.example.com\"");
    wrong("{\"server\": {\"postmaster\": \"<x@y>\"}}",
          "a.json#/server/postmaster: found \"<x@y>\", expected an address without brackets");
    wrong("{\"queue\": {\"retry\": [\"5m\", \"often\"]}}",
          "a.json#/queue/retry/1: found \"often\", expected a duration like \"5m\" or \"1h30m\"");
    wrong("{\"queue\": {\"retry\": \"0s\"}}",
          "a.json#/queue/retry: found \"0s\", expected 1ms to 52w");
    wrong("{\"queue\": {\"dead_min\": \"1h\", \"dead_max\": \"1m\"}}",
          "a.json#/queue/dead_max: found 1m, expected at least what dead_min says, 1h");
    wrong("{\"queue\": {\"dead_min\": \"1h\"}}",
          "a.json#/queue/dead_min: found 1h, expected at most what dead_max says, 30m");
    wrong("{\"dns\": {\"servers\": [\"::1\", \"1.2.3.4\", \"1.2.3.4:53\", \"[::1]:53\", "
          "\"ns.example.com\"]}}",
          "a.json#/dns/servers/4: found \"ns.example.com\", expected \"address\" or "
          "\"address:port\": that is not an IPv4 address before the port (for all addresses: "
          "\"0.0.0.0:PORT\" or \"[::]:PORT\")");
}

static void names_may_end_with_the_roots_dot(void **state)
{
    struct config *cfg =
        load_texts(TEXTS({ "a.json",
                           "{\"dns\": {\"local_mx\": [{\"domain\": \"Crow.test.\","
                           " \"host\": \"mx.test.\"}], \"hosts\": [{\"name\": \"vax.\","
                           " \"address\": \"192.0.2.1\"}]}}" }),
                   NULL, "");

    (void)state;
    config_free(&cfg);
    wrong("{\"dns\": {\"local_mx\": [{\"domain\": \"crow.test..\", \"host\": \"mx.test\"}]}}",
          "a.json#/dns/local_mx/0/domain: found \"crow.test..\", expected a domain");
    wrong("{\"dns\": {\"hosts\": [{\"name\": \".\", \"address\": \"192.0.2.1\"}]}}",
          "a.json#/dns/hosts/0/name: found \".\", expected the name of a host");
}

static void a_path_is_relative_to_its_file(void **state)
{
    struct config *cfg =
        load_texts(TEXTS({ "/etc/p/conf.d/a.json", "{\"log\": {\"file\": \"l\"}}" },
                         { "c/b.json", "{\"spool\": {\"path\": \"../s\"}}" }),
                   NULL, "");
    char *cwd = getcwd(NULL, 0), *expected = mem_printf("%s/c/../s", cwd);

    (void)state;
    assert_string_equal(cfg->log.file, "/etc/p/conf.d/l");
    assert_string_equal(cfg->spool.path, expected);
    free(cwd);
    free(expected);
    config_free(&cfg);
}

static void syntax_errors_have_a_line_and_a_column(void **state)
{
    (void)state;
    wrong("", "a.json: empty, expected an object: { \"section\": { ... } }");
    wrong(" \n", "a.json: empty, expected an object: { \"section\": { ... } }");
    wrong("{", "a.json:1:1: string or '}' expected near end of file");
    wrong("{\n  \"server\": {\n    \"hostname\" \"x\"\n  }\n}\n",
          "a.json:3:18: ':' expected near '\"x\"'");
    wrong("{\n  // ports\n}\n",
          "a.json:2:3: string or '}' expected near '/'; JSON has no comments: "
          "say it in a \"$comment\" key");
    wrong("[]", "a.json: found an array, expected an object: { \"section\": { ... } }");
    wrong("5", "a.json: found 5, expected an object: { \"section\": { ... } }");
    wrong("{} x", "a.json:1:4: end of file expected near 'x'");
    wrong("{\"a\": 99999999999999999999}",
          "a.json:1:26: too big integer near '99999999999999999999'");
    wrong("{\"a\": 1e999}", "a.json:1:11: real number overflow near '1e999'");
    wrong("{\"a\": \"\\u0000\"}",
          "a.json:1:14: found \\u0000, expected a character that a text can hold");
    wrong("{\"a\": \"\xff\"}", "a.json:1:7: unable to decode byte 0xff near '\"'");
    wrong("{\"a\": \"\xc0\xaf\"}", "a.json:1:7: unable to decode byte 0xc0 near '\"'");
    wrong("{\"a\": \"\xed\xa0\x80\"}", "a.json:1:7: unable to decode byte 0xed near '\"'");
    wrong("\xef\xbb\xbf{}", "");
}

static void a_nul_byte_is_found_where_it_is(void **state)
{
    static const char json[] = "{\n \"a\0b\": 1}";
    struct config_errors errors = { 0 };

    (void)state;
    assert_null(config_parse("a.json", json, sizeof json - 1, &errors));
    assert_int_equal(errors.n, 1);
    assert_string_equal(errors.lines[0],
                        "a.json:2:4: found a NUL byte, expected JSON text in UTF-8");
    config_errors_free(&errors);
}

static void nesting_has_an_end(void **state)
{
    struct buf json = { 0 };

    (void)state;
    buf_adds(&json, "{\"$comment\": ");
    for (unsigned i = 0; i < CONFIG_NESTING_MAX - 1; i++)
        buf_addc(&json, '[');
    buf_adds(&json, "\"[[[[\\\"{{{\"");
    for (unsigned i = 0; i < CONFIG_NESTING_MAX - 1; i++)
        buf_addc(&json, ']');
    buf_adds(&json, "}");
    wrong(json.data, "");
    buf_clear(&json);
    buf_adds(&json, "{\"$comment\": ");
    for (unsigned i = 0; i < 100000; i++)
        buf_addc(&json, '[');
    wrong(json.data, "a.json:1:45: nested too deeply");
    buf_free(&json);
}

/* --- the folder --- */

static int load_folder(const struct scratch *s, struct config **ret, const char *lines)
{
    struct config_errors errors = { 0 };
    struct buf all = { 0 };
    int r = config_load(s->dir, NULL, ret, &errors);

    for (size_t i = 0; i < errors.n; i++) {
        const char *line = errors.lines[i];

        if (!strncmp(line, s->dir, strlen(s->dir)))
            line += strlen(s->dir);
        buf_printf(&all, "%s%s", i ? "\n" : "", line);
    }
    assert_string_equal(all.data ? all.data : "", lines);
    buf_free(&all);
    config_errors_free(&errors);
    return r;
}

static void files_are_read_in_the_order_of_their_names(void **state)
{
    struct config *cfg;
    struct scratch s;

    (void)state;
    scratch_init(&s);
    scratch_file(&s, "b.json", "{\"routing\": {\"rules\": [{\"hold\": \"third\"}]}}");
    scratch_file(&s, "10.json", "{\"routing\": {\"rules\": [{\"hold\": \"first\"}]}}");
    scratch_file(&s, "B.json", "{\"routing\": {\"rules\": [{\"hold\": \"second\"}]}}");
    scratch_file(&s, "notes.txt", "no JSON");
    scratch_file(&s, "a.json.bak", "no JSON");
    scratch_file(&s, ".#a.json", "no JSON");
    assert_int_equal(load_folder(&s, &cfg, ""), 0);
    assert_int_equal(cfg->file_n, 3);
    assert_string_equal(((const struct config_rule *)cfg->routing.rules.v)[0].hold, "first");
    assert_string_equal(((const struct config_rule *)cfg->routing.rules.v)[1].hold, "second");
    assert_string_equal(((const struct config_rule *)cfg->routing.rules.v)[2].hold, "third");
    config_free(&cfg);
    scratch_done(&s);
}

static void a_folder_that_is_not_there_is_an_error(void **state)
{
    struct config_errors errors = { 0 };
    struct config *cfg;

    (void)state;
    assert_int_equal(config_load("/nonexistent/conf.d/", NULL, &cfg, &errors), -ENOENT);
    assert_null(cfg);
    assert_int_equal(errors.n, 1);
    assert_string_equal(errors.lines[0],
                        "/nonexistent/conf.d: can't be read as a folder of "
                        "*.json files: No such file or directory");
    config_errors_free(&errors);
    assert_int_equal(config_load("/dev/null", NULL, &cfg, &errors), -ENOTDIR);
    config_errors_free(&errors);
}

static void files_that_cannot_be_read_are_errors_and_the_rest_counts(void **state)
{
    struct config *cfg;
    struct scratch s;
    char *path;

    (void)state;
    scratch_init(&s);
    path = scratch_path(&s, "a.json");
    assert_int_equal(mkfifo(path, 0600), 0);
    free(path);
    path = scratch_path(&s, "b.json");
    assert_int_equal(symlink("nowhere", path), 0);
    free(path);
    path = scratch_path(&s, "c.json");
    assert_int_equal(mkdir(path, 0700), 0);
    free(path);
    scratch_file(&s, "d.json", "");
    path = scratch_path(&s, "d.json");
    assert_int_equal(truncate(path, (off_t)CONFIG_FILE_MAX + 1), 0);
    free(path);
    scratch_file(&s, "e.json", "{\"queue\": {\"jitter\": 3}}");
    assert_int_equal(load_folder(&s, &cfg,
                                 "/a.json: can't be read: not a regular file\n"
                                 "/b.json: can't be read: No such file or directory\n"
                                 "/c.json: can't be read: not a regular file\n"
                                 "/d.json: can't be read: larger than 16 MiB"),
                     -EISDIR);
    assert_non_null(cfg);
    assert_int_equal(cfg->queue.jitter, 3);
    config_free(&cfg);
    scratch_done(&s);
}

static void what_is_written_wrong_is_told_apart_from_what_cannot_be_read(void **state)
{
    struct config *cfg;
    struct scratch s;

    (void)state;
    scratch_init(&s);
    scratch_file(&s, "a.json", "{\"queue\": {\"jitter\": 300}}");
    assert_int_equal(load_folder(&s, &cfg, "/a.json#/queue/jitter: found 300, expected 0 to 90"),
                     -EINVAL);
    assert_int_equal(cfg->queue.jitter, 10);
    config_free(&cfg);
    scratch_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_files_the_built_in_defaults_hold),
        cmocka_unit_test(a_state_folder_moves_the_places_of_the_defaults),
        cmocka_unit_test(keys_of_several_files_join_and_default_transports_stay),
        cmocka_unit_test(an_empty_plugin_section_is_an_answer),
        cmocka_unit_test(rules_of_several_files_stand_in_their_order_and_know_where_they_came_from),
        cmocka_unit_test(errors_in_merged_rules_name_their_own_file_and_place),
        cmocka_unit_test(the_same_key_twice_names_both_files),
        cmocka_unit_test(an_instance_has_a_name_of_its_own),
        cmocka_unit_test(there_is_an_end_to_instances),
        cmocka_unit_test(unknown_sections_and_misplaced_keys_get_a_hint),
        cmocka_unit_test(values_that_must_fit_each_other_are_compared),
        cmocka_unit_test(names_may_end_with_the_roots_dot),
        cmocka_unit_test(a_path_is_relative_to_its_file),
        cmocka_unit_test(syntax_errors_have_a_line_and_a_column),
        cmocka_unit_test(a_nul_byte_is_found_where_it_is),
        cmocka_unit_test(nesting_has_an_end),
        cmocka_unit_test(files_are_read_in_the_order_of_their_names),
        cmocka_unit_test(a_folder_that_is_not_there_is_an_error),
        cmocka_unit_test(files_that_cannot_be_read_are_errors_and_the_rest_counts),
        cmocka_unit_test(what_is_written_wrong_is_told_apart_from_what_cannot_be_read),
    };

    return cmocka_run_group_tests_name("config/load", tests, NULL, NULL);
}
