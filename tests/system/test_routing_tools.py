"""postern route --table, postern check --routes, postern diff."""
import json
import os
import pwd
import subprocess

from harness.base import POSTERN
from harness.mail import message

RULES = [{"domain": "a.test", "transport": "smtp-out", "next_hops": "[127.0.0.1]:9"},
         {"domain": ".b.test", "hold": "look first"},
         {"domain": "x.b.test", "discard": True}]


def routing(rules, **more):
    return {"routing": {"rules": rules, **more}}


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def test_the_table_is_printed_and_warns_of_rows_that_never_match(new_gateway):
    gw = new_gateway(routing(RULES))
    said = gw.cli("route", "--table")
    text = said.stdout
    assert "rule 1 (10-test.json#/routing/rules/0): domain a.test -> smtp-out via [127.0.0.1]:9" \
        in text
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("rule 3"))
    assert "never matches: all of it is taken by rule 2" in lines[at + 1]
    assert "1 of " in said.stderr and "rows can never match" in said.stderr
    listed = gw.json("route", "--table")
    assert [row["number"] for row in listed if row["shadowed_by"]] == [3]
    assert listed[-1]["what"] == "default" and listed[-1]["when"] == "all the rest"


def test_expectations_are_checked_before_a_reload(new_gateway, folder):
    gw = new_gateway(routing(RULES))
    path = write(folder, "routes.txt", "# what must not change\n"
                 "*, bob@a.test -> smtp-out via [127.0.0.1]:9\n"
                 "<>, ann@local.test -> local-mbox\n"
                 "bob@y.b.test -> hold\n"
                 "bob@far.test -> smtp-out via mx\n")
    assert "4 of 4 routes are as expected" in gw.cli("check", "--routes", path).stdout
    other = new_gateway(routing(RULES[1:]))
    said = other.cli("check", "--routes", path, code=78).stdout
    assert f"{path}:2: bob@a.test: found smtp-out, by default 1" in said
    assert "3 of 4 routes are as expected" in said
    told = other.json("check", "--routes", path, code=78)
    assert [r["line"] for r in told["routes"] if not r["ok"]] == [2]


def test_a_line_that_is_no_expectation_is_named(new_gateway, folder):
    gw = new_gateway()
    path = write(folder, "routes.txt", "bob@a.test\n")
    assert f"{path}:1: expected \"from, address -> where\"" in \
        gw.cli("check", "--routes", path, code=65).stderr
    gw.cli("check", "--routes", os.path.join(folder, "nothing"), code=66)


def test_json_says_that_a_route_is_not_as_expected(new_gateway, folder):
    gw = new_gateway()
    path = write(folder, "routes.txt", "bob@a.test -> hold\n")
    assert gw.json("check", "--routes", path, code=78)["ok"] is False
    path = write(folder, "routes.txt", "bob@a.test -> smtp-out\n")
    assert gw.json("check", "--routes", path)["ok"] is True


def test_no_line_is_passed_over(new_gateway, folder):
    gw = new_gateway()
    path = write(folder, "lines.txt", "\0bob@a.test -> hold\n# fine\nann@local.test -> local-mbox\n")
    said = gw.cli("check", "--routes", path, code=65)
    assert f"{path}:1: found a NUL, expected text" in said.stderr
    assert "1 of 2 routes are as expected" in said.stdout
    path = write(folder, "addresses.txt", "bob@a.test\nbad addr\n\0x@y.test\na@b@c\n")
    said = gw.cli("diff", gw.confd, gw.confd, "--addresses", path, code=65)
    lines = said.stderr.splitlines()
    assert [line.split(":")[2] for line in lines if path in line] == ["2", "3", "4"], lines
    assert "bad addr: no address: " in lines[0] and "found a NUL" in lines[1]
    assert "0 of 1 would go elsewhere" in said.stdout
    for words in (["check", "--routes", folder], ["diff", gw.confd, gw.confd, "--addresses", folder]):
        assert "it is a directory, expected a file" in gw.cli(*words, code=66).stderr


def test_what_could_not_be_written_is_an_error(new_gateway):
    gw = new_gateway()
    many = [f"user{i}@far.test" for i in range(200)]
    for words in (["route", "a@far.test"], ["route", *many], ["route", "--json", *many],
                  ["route", "--table"], ["check"], ["diff", gw.confd, gw.confd, "--queue"]):
        if words[0] == "diff":
            gw.start()
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([POSTERN, words[0], "--config", gw.confd, *words[1:]],
                                  stdout=full, stderr=subprocess.PIPE, env=gw.env, check=False)
        assert done.returncode == 74, (words[:2], done)


def test_next_hops_are_told_where_there_are_any(new_gateway, folder):
    os.makedirs(os.path.join(folder, "boxes"))
    gw = new_gateway({"transports": {"run": {"plugin": "pipe", "command": ["/bin/cat"]},
                                     "keep": {"plugin": "file", "path": f"{folder}/boxes/x"}}},
                     routing([{"domain": "pipe.test", "transport": "run"},
                              {"domain": "file.test", "transport": "keep"},
                              {"domain": "out.test", "transport": "smtp-out"}]))
    for domain in ("pipe.test", "file.test"):
        assert "next hop" not in gw.cli("route", f"a@{domain}").stdout
        assert gw.json("route", f"a@{domain}")[0]["decision"]["next_hops"] == []
    assert "transport smtp-out, next hops: by MX of out.test" in gw.cli("route", "a@out.test").stdout


def test_a_difference_of_two_configurations_is_shown(new_gateway, folder):
    old, new = new_gateway(routing(RULES)), new_gateway(routing(RULES[1:]))
    path = write(folder, "addresses", "bob@a.test\nann@local.test\n<>, x@b.test\n")
    said = old.cli("diff", old.confd, new.confd, "--addresses", path).stdout
    assert said == ("bob@a.test\n  - smtp-out via [127.0.0.1]:9\n  + smtp-out\n"
                    "1 of 3 would go elsewhere\n")
    (one,) = json.loads(old.cli("diff", old.confd, new.confd, "--addresses", path, "--json").stdout)
    assert one == {"recipient": "bob@a.test", "old": "smtp-out via [127.0.0.1]:9",
                   "new": "smtp-out"}
    old.cli("diff", old.confd, code=64)
    old.cli("diff", old.confd, new.confd, code=64)


def aliases(path, **options):
    return {"aliases": {"files": [{"path": path, "syntax": "tcpware"}], **options}}


def test_a_changed_alias_is_a_difference_and_a_changed_order_is_none(new_gateway, folder):
    before = write(folder, "before", "sales: ann, bob@a.test;\nstaff: ann, bob;\n"
                                     "all: \"|/bin/archive one\";\nlist:: ann, members;\n")
    after = write(folder, "after", "sales: ann, carol@a.test;\nstaff: bob, ann;\n"
                                   "all: \"|/bin/archive two\";\nlist:: bob, members;\n")
    write(folder, "members", "joe@a.test\n")
    pipe = {"transports": {"pipe": {"allow_param": True}}}
    old, new = (new_gateway(routing(RULES), pipe,
                            aliases(path, pipe_transport="pipe", roots=[folder]))
                for path in (before, after))
    asked = write(folder, "addresses", "sales@local.test\nstaff@local.test\nall@local.test\n"
                                       "list@local.test\nann@local.test\n")
    said = old.cli("diff", old.confd, new.confd, "--addresses", asked).stdout
    via = "smtp-out via [127.0.0.1]:9 as"
    assert said == (
        "sales@local.test\n"
        f"  - local-mbox as ann@gw.test; {via} bob@a.test (from anyone)\n"
        f"  + local-mbox as ann@gw.test; {via} carol@a.test (from anyone)\n"
        "all@local.test\n"
        "  - pipe as |/bin/archive one (from anyone)\n"
        "  + pipe as |/bin/archive two (from anyone)\n"
        "list@local.test\n"
        f"  - {via} joe@a.test (bounces to ann@gw.test) (from anyone)\n"
        f"  + {via} joe@a.test (bounces to bob@gw.test) (from anyone)\n"
        "3 of 5 would go elsewhere\n")


def test_several_places_can_be_expected(new_gateway, folder):
    path = write(folder, "aliases", "sales: ann, bob@a.test;\n")
    gw = new_gateway(routing(RULES), aliases(path))
    expected = write(folder, "routes.txt",
                     "sales@local.test -> local-mbox; smtp-out via [127.0.0.1]:9\n"
                     "sales@local.test -> local-mbox as ann@gw.test; smtp-out as bob@a.test\n"
                     "sales@local.test -> local-mbox\n")
    said = gw.cli("check", "--routes", expected, code=78).stdout
    assert (f"{expected}:3: sales@local.test: found local-mbox as ann@gw.test; "
            f"smtp-out via [127.0.0.1]:9 as bob@a.test, by alias ({path}:1)\n") in said
    assert "2 of 3 routes are as expected" in said
    told = gw.json("check", "--routes", expected, code=78)["routes"]
    assert [r["ok"] for r in told] == [True, True, False]
    assert told[2]["rule"]["alias"] == {"file": path, "line": 1}
    assert told[2]["rule"]["what"] == "local domain"


def test_a_personal_alias_file_counts_in_expectations_and_differences(new_gateway, folder):
    me = pwd.getpwuid(os.getuid())
    name = f".postern-tools-{os.getpid()}"
    own = write(me.pw_dir, name, f"{me.pw_name}: bob@a.test;\n")
    os.chmod(own, 0o600)
    gw, without = new_gateway(routing(RULES), {"aliases": {"user_file": name}}), \
        new_gateway(routing(RULES))
    expected = write(folder, "routes.txt", f"{me.pw_name}@local.test -> "
                                           "smtp-out via [127.0.0.1]:9 as bob@a.test\n")
    try:
        assert "1 of 1 routes are as expected" in gw.cli("check", "--routes", expected).stdout
        assert "1 of 1 would go elsewhere" in \
            gw.cli("diff", gw.confd, without.confd, "--addresses", expected).stdout
    finally:
        os.unlink(own)


def test_what_is_strange_about_alias_files_is_a_warning(new_gateway, folder):
    path = write(folder, "aliases", "sales: ann;\nsales: bob;\n")
    gw = new_gateway(aliases(path))
    said = gw.cli("check")
    assert "configuration is good" in said.stdout
    assert f"warning: {path}:2" in said.stderr
    (warning,) = gw.json("check")["warnings"]
    assert warning.startswith(f"{path}:2")
    assert new_gateway().json("check")["warnings"] == []


def test_waiting_mail_is_compared_too_with_and_without_a_gateway_that_runs(gateway, new_gateway):
    gw = gateway(routing(RULES))
    other = new_gateway(routing([RULES[1]]))
    gw.send("ann@client.test", ["bob@a.test", "carl@y.b.test"], message())
    gw.wait_event("deliver.held", to="carl@y.b.test")
    gw.wait_event("deliver.deferred", to="bob@a.test")
    for _ in ("running", "stopped"):
        said = gw.cli("diff", gw.confd, other.confd, "--queue").stdout
        assert "bob@a.test from <ann@client.test>\n  - smtp-out via [127.0.0.1]:9\n  + smtp-out\n" \
            in said
        assert "1 of 2 would go elsewhere" in said
        if gw.running():
            gw.stop()
