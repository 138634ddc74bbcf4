"""Bad configuration: one clear error, an exit code of sysexits.h, and nothing started."""
import json
import os
import re
import socket
import subprocess

import pytest

from harness.base import POSTERN, TOP, port_open
from harness.gateway import plugin_path

EX_USAGE, EX_NOINPUT, EX_UNAVAILABLE, EX_CONFIG = 64, 66, 69, 78


def refused(gw, code, *patterns, check_code=None):
    """`run` and `check` both refuse, in the same words, one line; nothing was started or made."""
    ran = gw.cli("run", code=code)
    lines = ran.stderr.splitlines()
    assert len(lines) == 1, ran.stderr
    for pattern in patterns:
        assert re.search(pattern, lines[0]), (pattern, lines[0])
    assert ran.stdout == ""
    assert not os.path.exists(gw.spool)
    assert not port_open(gw.port)
    assert not os.path.exists(os.path.join(gw.folder, "control.sock"))
    checked = gw.cli("check", code=code if check_code is None else check_code)
    if check_code is None:
        assert checked.stderr.strip() == lines[0].removeprefix("postern: ")
        as_json = gw.json("check", code=code)
        assert as_json["ok"] is False and as_json["errors"] == [checked.stderr.strip()]


def place(gw, name, pointer):
    return "^postern: " + re.escape(f"{gw.confd}/{name}#{pointer}: ")


# What is written into 20-bad.json; where the error is; what it says.
BAD = {
    "an unknown key": (
        {"queue": {"lifetme": "3d"}}, "/queue/lifetme", ['did you mean "lifetime"']),
    "an unknown section": (
        {"quue": {}}, "/quue", ['did you mean "queue"']),
    "a plugin's unknown key": (
        {"transports": {"out": {"plugin": "smtp-out", "prot": 26}}}, "/transports/out/prot",
        ['did you mean "port"']),
    "a core key in a plugin's section": (
        {"transports": {"out": {"plugin": "smtp-out", "retry": ["5m"]}}}, "/transports/out/retry",
        ['"retry" belongs in /queue']),
    "a key of one core section in another": (
        {"server": {"lifetime": "3d"}}, "/server/lifetime", ['"lifetime" belongs in /queue']),
    "a core key outside of all sections": (
        {"hop_count_max": 20}, "/hop_count_max", ['"hop_count_max" belongs in /server']),
    "a wrong type": (
        {"server": {"hop_count_max": "many"}}, "/server/hop_count_max",
        ['found "many"', "expected a whole number"]),
    "a list where an object belongs": (
        {"queue": ["5m"]}, "/queue", ["found an array", "expected an object"]),
    "a number out of range": (
        {"transports": {"out": {"plugin": "smtp-out", "port": 70000}}}, "/transports/out/port",
        ["found 70000", "expected 1 to 65535"]),
    "a bad duration": (
        {"queue": {"lifetime": "3 days"}}, "/queue/lifetime",
        ['found "3 days"', "expected a duration"]),
    "a duration without a unit": (
        {"queue": {"lifetime": 3}}, "/queue/lifetime", ["found 3 without a unit"]),
    "a bad duration in a list": (
        {"queue": {"retry": ["5m", "soon"]}}, "/queue/retry/1",
        ['found "soon"', "expected a duration"]),
    "a bad size": (
        {"server": {"message_size_max": "25 megs"}}, "/server/message_size_max",
        ['found "25 megs"', "expected a size"]),
    "a bad choice": (
        {"log": {"format": "xml"}}, "/log/format", ['found "xml"', "text", "json"]),
    "a bad address to listen on": (
        {"ingress": {"more": {"plugin": "smtp-in", "listen": ["localhost:25"]}}},
        "/ingress/more/listen(/0)?", ['found "localhost:25"']),
    "a missing plugin": (
        {"transports": {"out": {"plugin": "smtp-uot"}}}, "/transports/out/plugin",
        ['there is no plugin "smtp-uot"', 'did you mean "smtp-out"']),
    "a transport as an ingress": (
        {"ingress": {"out": {"plugin": "smtp-out"}}}, "/ingress/out/plugin",
        ["belongs in /transports"]),
    "what a plugin itself refuses": (
        {"transports": {"out": {"plugin": "smtp-out", "tls_verify": True}}}, "/transports/out",
        ["tls_verify", "require"]),
    "an option that a plugin refuses": (
        {"transports": {"run": {"plugin": "pipe", "command": ["cat"]}}}, "/transports/run/command",
        ['found "cat"', "the full path"]),
    "an unknown directory for users": (
        {"routing": {"users": ["peeple"]}}, "/routing/users", ['unknown directory "peeple"']),
    "an unknown directory for aliases": (
        {"aliases": {"directories": ["peeple"]}}, "/aliases/directories", ['directory "peeple"']),
    "an address for unknown users that is none": (
        {"routing": {"unknown_user": "nobody"}}, "/routing/unknown_user", ['found "nobody"']),
    "a character that no text can hold": (
        '{"server": {"hostname": "a\\u0000b"}}', None, [r"found \\u0000, expected a character"]),
    "a disabled instance that is wrong": (
        {"transports": {"out": {"plugin": "smtp-out", "port": 0, "enabled": False}}},
        "/transports/out/port", ["expected 1 to 65535"]),
    "an unknown transport in a rule": (
        {"routing": {"rules": [{"domain": "a.test", "transport": "smpt-out"}]}},
        "/routing/rules/0/transport", ["smpt-out", 'did you mean "smtp-out"']),
    "a rule without an action": (
        {"routing": {"rules": [{"domain": "a.test", "hold": "x"}, {"domain": "a.test"}]}},
        "/routing/rules/1", ["no action"]),
    "a rule with two actions": (
        {"routing": {"rules": [{"domain": "a.test", "hold": "x", "discard": True}]}},
        "/routing/rules/0", ["several actions"]),
    "a bad next hop": (
        {"routing": {"rules": [{"domain": "a.test", "transport": "smtp-out",
                                "next_hops": ["ok.test", "[::1"]}]}},
        "/routing/rules/0/next_hops/1", [r'found "\[::1"']),
    "a rule that makes an open relay": (
        {"routing": {"rules": [{"domain": "*", "transport": "smtp-out", "accept_from": "anyone"}]}},
        "/routing/rules/0/accept_from", ["open relay"]),
    "a key said in two files": (
        {"server": {"hostname": "other.test"}}, "/server/hostname",
        ["already said in .*10-test.json#/server/hostname"]),
}


@pytest.mark.parametrize("what", BAD)
def test_one_error_names_file_pointer_and_what_was_found(new_gateway, what):
    content, pointer, words = BAD[what]
    gw = new_gateway({"queue": {"retry": None}}, files={"20-bad.json": content})
    where = "^postern: " + re.escape(f"{gw.confd}/20-bad.json")
    where += f"#{pointer}: " if pointer else r":[0-9]+:[0-9]+: "
    refused(gw, EX_CONFIG, where, *words)


def test_every_error_is_told_at_once(new_gateway):
    gw = new_gateway(files={"20-bad.json": {"queue": {"lifetme": "3d", "jitter": 1000},
                                            "transports": {"out": {"plugin": "nothing"}},
                                            "routing": {"rules": [{"domain": "a.test"}]}}})
    ran = gw.cli("run", code=EX_CONFIG)
    lines = ran.stderr.splitlines()
    assert len(lines) == 4
    for pointer in ("/queue/lifetme", "/queue/jitter", "/transports/out/plugin",
                    "/routing/rules/0"):
        assert sum(f"20-bad.json#{pointer}: " in line for line in lines) == 1, lines


@pytest.mark.parametrize("text,words", [
    ('{\n  "server": {\n    "hostname": "a"\n    "postmaster": "b"\n  }\n}\n', r":4(:\d+)?: "),
    ("{\n// no\n}\n", r"\$comment"),
    ("", "empty"),
    ("[]", "found an array"),
    ('{ "log": {}, "log": {} }', "duplicate"),
    ("{ \"server\": { \"hostname\": \"\xff\" } }", "unable to decode byte 0xff")])
def test_a_syntax_error_names_the_line(new_gateway, text, words):
    gw = new_gateway()
    with open(os.path.join(gw.confd, "20-bad.json"), "wb") as file:
        file.write(text.encode("latin-1"))
    refused(gw, EX_CONFIG, "^postern: " + re.escape(f"{gw.confd}/20-bad.json"), words)


def test_a_file_that_cannot_be_read(new_gateway):
    # A folder: as root even a file of mode 0 can be read.
    gw = new_gateway()
    os.mkdir(os.path.join(gw.confd, "20-bad.json"))
    refused(gw, EX_NOINPUT, "^postern: " + re.escape(f"{gw.confd}/20-bad.json: can't be read"))


def test_a_link_that_leads_nowhere(new_gateway):
    gw = new_gateway()
    os.symlink("/nonexistent/file", os.path.join(gw.confd, "20-bad.json"))
    refused(gw, EX_NOINPUT, "20-bad.json: can't be read: No such file")


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_a_file_without_permission(new_gateway):
    gw = new_gateway(files={"20-bad.json": {}})
    os.chmod(os.path.join(gw.confd, "20-bad.json"), 0)
    refused(gw, EX_NOINPUT, "20-bad.json: can't be read: Permission denied")


def test_a_folder_that_is_not_there(new_gateway):
    gw = new_gateway()
    gw.confd += "-missing"
    refused(gw, EX_NOINPUT, re.escape(gw.confd) + ".*No such file")


def test_a_port_in_use_is_named_and_nothing_is_started(new_gateway):
    gw = new_gateway()
    with socket.create_server(("127.0.0.1", gw.port)):
        ran = gw.cli("run", code=EX_UNAVAILABLE)
        (line,) = ran.stderr.splitlines()
        assert line.startswith(f"postern: {gw.confd}/10-test.json#/ingress/smtp-in/listen: ")
        assert f"127.0.0.1:{gw.port}" in line and "in use" in line.lower()
        assert not os.path.exists(gw.spool)
        # Good as such: only this machine's ports are taken.
        gw.cli("check")
    gw.start()


def test_two_instances_cannot_listen_on_one_port(new_gateway):
    gw = new_gateway()
    gw.configure({"ingress": {"more": {"plugin": "smtp-in", "listen": [f"127.0.0.1:{gw.port}"]}}})
    ran = gw.cli("run", code=EX_CONFIG)
    assert "/ingress/more/listen: " in ran.stderr and "/ingress/smtp-in/listen too" in ran.stderr
    assert not os.path.exists(gw.spool)


def test_the_control_socket_of_a_running_gateway_is_not_taken_away(new_gateway):
    one = new_gateway().start()
    two = new_gateway({"control": {"socket": os.path.join(one.folder, "control.sock")}})
    ran = two.cli("run", code=EX_UNAVAILABLE)
    assert "/control/socket" in ran.stderr
    assert not os.path.exists(two.spool)
    assert one.json("status")["pid"] == one.process.pid


def test_a_folder_for_the_spool_that_cannot_be_made(new_gateway):
    gw = new_gateway({"spool": {"path": "/dev/null/spool"}})
    ran = gw.cli("run", code=73)
    assert "/dev/null/spool" in ran.stderr
    assert not port_open(gw.port)


def test_a_good_configuration_is_praised(new_gateway):
    gw = new_gateway(files={"20-more.json": {"$comment": "why", "routing": {"rules": [
        {"$comment": ["of", "several", "lines"], "domain": "a.test", "hold": "x"}]}}})
    said = gw.cli("check").stdout
    assert said == "configuration is good: 2 files, 3 plugins, 1 rule\n"
    assert gw.json("check") == {"ok": True, "files": 2, "plugins": 3, "rules": 1, "errors": [],
                                "warnings": []}
    assert not os.path.exists(gw.spool)


def test_senders_of_several_files_are_put_together(new_gateway):
    def senders(sender, rewrite):
        return {"routing": {"senders": [{"sender": sender, "rewrite": rewrite}]}}
    gw = new_gateway(files={"20-a.json": senders("ann@", "*@a.test"),
                            "30-b.json": senders("bob@", "*@b.test")})
    gw.cli("check")
    (answer,) = gw.json("route", "--from", "bob@gw.test", "x@far.test")
    assert answer["sender_becomes"]["envelope"]["address"] == "bob@b.test"
    gw.write_config("30-b.json", senders("bob@", "nowhere"))
    assert "/30-b.json#/routing/senders/0/rewrite: " in gw.cli("check", code=EX_CONFIG).stderr


def test_secrets_and_paths_are_found_beside_the_file(new_gateway, certificate):
    gw = new_gateway()
    certificate("gw.test")  # into the test's folder, one above the gateway's
    gw.configure({"spool": {"path": "../spool"},
                  "ingress": {"smtp-in": {"tls_certificate": "../../gw.test.pem",
                                          "tls_key": "../../gw.test.key"}}})
    gw.start()
    assert os.path.isdir(gw.spool)
    with gw.smtp() as client:
        assert "starttls" in client.esmtp_features


# --- plugins ---

PLUGIN = r"""
#include <postern/postern.h>
%(before)s
static int deliver(void *self, postern_job *job) { (void)self; (void)job; %(body)s return -5; }
static void cancel(void *self, postern_job *job) { (void)self; (void)job; }
static int open_it(postern_host *h, const struct postern_services *s, const void *set, void **ret)
{ (void)h; (void)s; (void)set; *ret = 0; return 0; }
static void close_it(void *self) { (void)self; }
static const struct postern_transport_ops ops = { sizeof ops, deliver, cancel };
POSTERN_PLUGIN(my_own, .name = "my-own", .version = "1", .summary = "a test",
               .open = open_it, .close = close_it, .transport = &ops);
"""


def build_plugin(gw, before="", body="", source=PLUGIN):
    folder = os.path.join(gw.folder, "plugins")
    os.mkdir(folder)
    path = os.path.join(folder, "my-own.c")
    with open(path, "w", encoding="utf-8") as file:
        file.write(source % {"before": before, "body": body})
    subprocess.run(["gcc", "-std=gnu11", "-shared", "-fPIC", "-fvisibility=hidden",
                    "-I" + os.path.join(TOP, "include"), "-o", path[:-1] + "so", path], check=True)
    gw.env["POSTERN_PLUGIN_PATH"] = plugin_path() + ":" + folder
    gw.configure({"transports": {"mine": {"plugin": "my-own"}}})
    return path[:-1] + "so"


def test_a_plugin_of_a_third_party_is_loaded_and_used(new_gateway):
    gw = new_gateway()
    build_plugin(gw)
    gw.configure({"transports": {"mine": {"plugin": "my-own"}},
                  "routing": {"rules": [{"domain": "a.test", "transport": "mine"}]}})
    gw.start()
    (info,) = [p for p in gw.json("plugin", "list") if p["name"] == "my-own"]
    assert info["capabilities"] == ["transport"] and info["summary"] == "a test"
    gw.send("ann@client.test", "x@a.test", b"Subject: x\r\n\r\n")
    # It takes no job: the message waits, with its name.
    (deferred, *_) = gw.wait_event("deliver.deferred", to="x@a.test")
    assert "mine" in deferred["reply"] or deferred["part"] == "mine"


def test_a_plugin_of_another_abi_version_is_refused_in_words(new_gateway):
    gw = new_gateway()
    path = build_plugin(gw, "#undef POSTERN_ABI_MAJOR\n#define POSTERN_ABI_MAJOR 7u")
    refused(gw, EX_CONFIG, place(gw, "10-test.json", "/transports/mine/plugin"),
            re.escape(path), r"plugin ABI 7\.\d", "rebuild it")
    listed = [p for p in gw.json("plugin", "list") if p["name"] == "my-own"]
    assert "ABI 7" in listed[0]["refused"]
    assert "ABI 7" in gw.cli("plugin", "info", "my-own", code=EX_UNAVAILABLE).stderr


def test_a_plugin_with_a_missing_symbol_is_refused_at_load(new_gateway):
    gw = new_gateway()
    build_plugin(gw, "int not_there_at_all(void);", "return not_there_at_all();")
    refused(gw, EX_CONFIG, place(gw, "10-test.json", "/transports/mine/plugin"),
            "not_there_at_all")


def test_a_shared_object_that_is_no_plugin_is_refused(new_gateway):
    gw = new_gateway()
    build_plugin(gw, source="int something(void);\nint something(void) { return 1; }\n")
    refused(gw, EX_CONFIG, place(gw, "10-test.json", "/transports/mine/plugin"), "descriptor")


def test_plugin_info_shows_every_option_with_its_default(new_gateway):
    gw = new_gateway()
    names = [p["name"] for p in gw.json("plugin", "list")]
    assert {"smtp-in", "smtp-out", "local-mbox"} <= set(names)
    for name in ("smtp-in", "smtp-out", "local-mbox"):
        info = gw.json("plugin", "info", name)
        assert info["name"] == name and info["options"]
        text = gw.cli("plugin", "info", name).stdout
        for option in info["options"]:
            assert option["key"] in text
            assert option["doc"]
    assert "there is no plugin" in gw.cli("plugin", "info", "nothing", code=EX_UNAVAILABLE).stderr


# --- the command line ---

@pytest.mark.parametrize("words", [[], ["frobnicate"], ["run", "now"], ["queue", "list", "--nope"],
                                   ["check", "this"], ["plugin"], ["status", "x"],
                                   ["queue", "show"], ["send", "--nope"], ["route"]])
def test_a_wrong_command_line_is_told_on_stderr(new_gateway, words):
    gw = new_gateway()
    done = gw.cli(*words, code=EX_USAGE)
    if words:
        assert done.stderr and not done.stdout
    assert not os.path.exists(gw.spool)


def test_without_configuration_the_defaults_hold(new_gateway):
    """POSTERN_STATE instead of a configuration: what the first ./dev run uses."""
    gw = new_gateway()
    state = os.path.join(gw.folder, "state")
    gw.env["POSTERN_STATE"] = state
    done = subprocess.run([POSTERN, "check", "--json"], env=gw.env, check=True,
                          stdout=subprocess.PIPE)
    assert json.loads(done.stdout)["plugins"] == 3
    done = subprocess.run([POSTERN, "route", "bob@localhost", "--json"], env=gw.env, check=True,
                          stdout=subprocess.PIPE)
    assert json.loads(done.stdout)[0]["decision"]["transport"] == "local-mbox"
    assert not os.path.exists(state)


def test_config_may_stand_before_or_behind_the_verb(new_gateway):
    gw = new_gateway()
    for words in (["--config", gw.confd, "check"], ["check", "--config", gw.confd],
                  [f"--config={gw.confd}", "check"]):
        done = subprocess.run([POSTERN, *words], env=gw.env, stdout=subprocess.PIPE, check=True)
        assert b"good" in done.stdout
