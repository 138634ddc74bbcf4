"""Aliases: one recipient that stands for several places, each served once and reported for itself."""
import os
import pwd
import signal

import pytest

from harness.base import POSTERN, free_port, wait_for
from harness.mail import Report, message
from harness.peers import SmtpPeer


class Aliases:
    """A gateway with one alias file, and what goes with it."""

    def __init__(self, new_gateway, text, *sections, syntax="tcpware", **options):
        self.gw = new_gateway()
        self.path = os.path.join(self.gw.folder, "aliases.txt")
        self.write(text)
        self.gw.configure({"aliases": {"files": [{"path": self.path, "syntax": syntax}],
                                       "roots": [self.gw.folder], "refresh": "100ms", **options}},
                          *sections)

    def write(self, text):
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            file.write(text.replace("@DIR@", self.gw.folder))
        os.rename(self.path + ".new", self.path)

    def file(self, name, text):
        path = os.path.join(self.gw.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def start(self):
        return self.gw.start()


def rule(domain, hop):
    return {"routing": {"rules": [{"domain": domain, "transport": "smtp-out",
                                   "next_hops": [hop], "accept_from": "anyone"}]}}


def test_T_85_U_67_an_alias_reaches_all_that_it_names(new_gateway, peer):
    server = peer()
    aliases = Aliases(new_gateway, """
! the sales people
sales: ann, bob@remote.test,
       "carol jones"@remote.test ;
postmaster: ann;
""", rule("remote.test", server.hop))
    gw = aliases.start()
    queue_id = gw.send("joe@client.test", "sales@local.test", message("one offer"))
    (mail,) = gw.wait_mail("ann")
    gw.wait_empty()
    assert mail["Subject"] == "one offer"
    assert {r for m in server.messages() for r in m.rcpts} == {"bob@remote.test",
                                                               '"carol jones"@remote.test'}
    (event,) = gw.events("deliver.alias", id=queue_id)
    assert event["to"] == "sales@local.test" and event["places"] == "3"
    assert event["alias"] == aliases.path + ":3"
    gw.send("joe@client.test", "POSTMASTER@Local.Test", message())
    gw.wait_mail("ann", 2)


def test_U_64_U_65_forwarding_keeps_one_header_block_and_counts_hops(new_gateway, peer):
    server = peer()
    gw = Aliases(new_gateway, "gone: bob@remote.test;\n", rule("remote.test", server.hop)).start()
    gw.send("joe@client.test", "gone@local.test", message("moved", headers=["X-Mark: one"]))
    server.wait_messages(1)
    (got,) = server.messages()
    assert got.sender == "joe@client.test" and got.rcpts == ["bob@remote.test"]
    assert got.data.count(b"Subject: ") == 1 and got.data.count(b"X-Mark: ") == 1
    assert got.data.count(b"\r\nReceived: ") + got.data.startswith(b"Received: ") == 1
    gw.wait_empty()


def test_T_86_T_87_underscore_and_star_end_the_search(new_gateway, peer):
    hub = peer()
    gw = Aliases(new_gateway, """
fnord: FNORD@remote.test, _FNORD;
smith: *;
john: fnord;
""", rule("remote.test", hub.hop),
                 {"routing": {"forwarders": {"local": [hub.hop]}}}).start()
    gw.send("joe@client.test", "smith@local.test", message("stays"))
    assert [m["Subject"] for m in gw.wait_mail("smith")] == ["stays"]
    gw.send("joe@client.test", "john@local.test", message("both"))
    assert [m["Subject"] for m in gw.wait_mail("fnord")] == ["both"]
    hub.wait_messages(1)
    gw.send("joe@client.test", "other@local.test", message("to the hub"))
    hub.wait_messages(2)
    assert [m.rcpts for m in hub.messages()] == [["FNORD@remote.test"], ["other@local.test"]]
    gw.wait_empty()


def test_a_place_that_is_down_is_tried_again_and_the_others_are_not(new_gateway):
    port = free_port()
    aliases = Aliases(new_gateway, "sales: ann, bob@remote.test, ben@remote.test;\n",
                      rule("remote.test", f"[127.0.0.1]:{port}"))
    gw = aliases.start()
    gw.send("joe@client.test", "sales@local.test", message("once"))
    gw.wait_mail("ann")
    (waiting,) = gw.queue()
    assert [r["recipient"] for r in waiting["recipients"]] == ["sales@local.test"]
    gw.restart()

    def served():
        (m,) = gw.queue()
        return {p["place"]: p["state"] for p in m["recipients"][0].get("places", [])}
    wait_for(lambda: f"the delivered place to be known: {served()}",
             lambda: served().get("ann@gw.test") == "delivered")
    server = SmtpPeer(port=port)
    try:
        gw.cli("queue", "retry", "--all", code=None)  # it may be under way already
        server.wait_messages(1)
        gw.wait_empty()
        assert sorted(r for m in server.messages() for r in m.rcpts) == ["ben@remote.test",
                                                                         "bob@remote.test"]
    finally:
        server.close()
    assert len(gw.messages("ann")) == 1


def test_each_place_that_fails_is_reported_for_itself_and_at_once(new_gateway, peer):
    server = peer(lambda session, verb, line:
                  "550 5.1.1 who is that" if verb == "RCPT" and "bob" in line else
                  "451 4.3.0 later" if verb == "RCPT" else None)
    gw = Aliases(new_gateway, "team: ann, bob@remote.test, ben@remote.test;\n",
                 rule("remote.test", server.hop), {"queue": {"retry": ["1h"]}}).start()
    gw.send("joe@local.test", "team@local.test", message("for the team"))
    gw.wait_mail("ann")
    (raw,) = gw.wait_mail("joe")
    report = Report(raw)
    assert [r["Final-Recipient"] for r in report.recipients] == ["rfc822; bob@remote.test"]
    failed = report.recipient("bob@remote.test")
    assert failed["Original-Recipient"] == "rfc822; team@local.test"
    assert "who is that" in failed["Diagnostic-Code"]
    (waiting,) = gw.queue()
    places = {p["place"]: p["state"] for p in waiting["recipients"][0]["places"]}
    assert places == {"ann@gw.test": "delivered", "bob@remote.test": "done",
                      "ben@remote.test": "waiting"}
    assert "4.3.0 later" in waiting["recipients"][0]["text"]


def test_whom_two_aliases_share_gets_one_copy(new_gateway, peer):
    server = peer()
    gw = Aliases(new_gateway, "sales: ann, bob@remote.test;\nteam: bob@remote.test, ann, carol;\n",
                 rule("remote.test", server.hop)).start()
    gw.send("joe@client.test", ["sales@local.test", "team@local.test"], message("once"))
    gw.wait_mail("carol")
    gw.wait_empty()
    assert [m.rcpts for m in server.messages()] == [["bob@remote.test"]]
    assert len(gw.messages("ann")) == 1
    assert {e["place"] for e in gw.events("deliver.shared")} == {"ann@gw.test", "bob@remote.test"}


def test_a_circle_comes_back_with_its_chain(new_gateway):
    gw = Aliases(new_gateway, "a: b@local.test;\nb: c@local.test;\nc: b@local.test;\n").start()
    gw.send("joe@local.test", "a@local.test", message("round"))
    (raw,) = gw.wait_mail("joe")
    (failed,) = Report(raw).recipients
    assert failed["Status"] == "5.4.6"
    assert "b@local.test -> c@local.test -> b@local.test" in failed["Diagnostic-Code"]
    gw.wait_empty()


def test_T_91_U_69_bounces_of_a_list_go_to_its_owner(new_gateway, peer):
    server = peer()
    aliases = Aliases(new_gateway, "staff:: boss@local.test, @DIR@/staff.lis;\n",
                      rule("remote.test", server.hop))
    aliases.file("staff.lis", "! members\nbob@remote.test\nann\n")
    gw = aliases.start()
    gw.send("joe@client.test", "staff@local.test", message("to all"))
    (mail,) = gw.wait_mail("ann")
    assert mail["Return-Path"] == "<boss@local.test>"
    server.wait_messages(1)
    assert [(m.sender, m.rcpts) for m in server.messages()] == [("boss@local.test",
                                                                 ["bob@remote.test"])]
    gw.send("joe@client.test", "owner-staff@local.test", message("hello, owner"))
    assert gw.wait_mail("boss")[0]["Subject"] == "hello, owner"
    gw.wait_empty()


def test_U_68_U_71_a_dis_file_is_a_list(new_gateway):
    aliases = Aliases(new_gateway, "x: y;\n", lists=["@1", "@2"])
    first, second = (os.path.join(aliases.gw.folder, name) for name in ("node", "common"))
    aliases.gw.configure({"aliases": {"files": [{"path": aliases.path}],
                                      "lists": [first, second]}})
    for folder, name, text in ((first, "SALES.DIS", "! ours\nann@local.test\n"),
                               (second, "SALES.DIS", "never@local.test\n"),
                               (second, "STAFF.DIS", "bob@local.test\n")):
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    gw = aliases.start()
    gw.send("joe@client.test", ["sales@local.test", "Staff@local.test"], message("lists"))
    gw.wait_mail("ann")
    gw.wait_mail("bob")
    gw.wait_empty()
    assert not gw.messages("never")


def test_T_88_a_file_of_addresses_is_read(new_gateway):
    aliases = Aliases(new_gateway, 'announce: "<@DIR@/names.txt";\n')
    aliases.file("names.txt", "ann\nbob\n")
    gw = aliases.start()
    gw.send("joe@client.test", "announce@local.test", message())
    gw.wait_mail("ann")
    gw.wait_mail("bob")
    gw.wait_empty()


def test_T_89_T_90_commands_and_files_go_to_the_transports_for_them(new_gateway):
    aliases = Aliases(new_gateway, '''
ticket: "|/bin/sh @DIR@/take.sh HELP ""very high""";
archive: ">@DIR@/all.mail", ">@DIR@/dated";
''', {"transports": {"commands": {"plugin": "pipe", "allow_alias_commands": True,
                                  **({"user": pwd.getpwuid(os.getuid()).pw_name}
                                     if os.getuid() == 0 else {})},
                     "files": {"plugin": "file", "roots": ["@"], "allow_alias_files": True}}},
                      pipe_transport="commands", file_transport="files")
    text = open(os.path.join(aliases.gw.confd, "10-test.json"), encoding="utf-8").read()
    aliases.gw.write_config("10-test.json", text.replace('"@"', f'"{aliases.gw.folder}"'))
    aliases.file("take.sh", 'printf "%s|" "$@" >"$(dirname "$0")/taken.new"\n'
                            'cat >>"$(dirname "$0")/taken.new"\n'
                            'mv "$(dirname "$0")/taken.new" "$(dirname "$0")/taken"\n')
    gw = aliases.start()
    gw.send("joe@client.test", ["ticket@local.test", "archive@local.test"], message("help me"))
    gw.wait_empty()
    with open(os.path.join(gw.folder, "taken"), encoding="utf-8") as file:
        taken = file.read()
    assert taken.startswith("HELP|very high|") and "Subject: help me" in taken
    names = os.listdir(gw.folder)
    assert "all.mail" in names
    (dated,) = [n for n in names if n.startswith("dated.20")]
    for name in ("all.mail", dated):
        with open(os.path.join(gw.folder, name), encoding="utf-8") as file:
            assert "Subject: help me" in file.read()


def test_mail_for_a_command_waits_when_there_is_no_transport_for_it(new_gateway):
    gw = Aliases(new_gateway, 'ticket: "|/bin/true";\n').start()
    gw.send("joe@client.test", "ticket@local.test", message())
    wait_for(lambda: f"the reason: {gw.queue()}",
             lambda: "aliases.pipe_transport" in (gw.queue()[0]["recipients"][0].get("text") or ""))


def test_files_are_read_again_and_a_broken_version_changes_nothing(new_gateway):
    aliases = Aliases(new_gateway, "sales: ann;\n")
    gw = aliases.start()
    gw.send("joe@client.test", "sales@local.test", message("first"))
    gw.wait_mail("ann")
    aliases.write("sales: bob;\n")
    gw.wait_event("alias.read")
    gw.send("joe@client.test", "sales@local.test", message("second"))
    gw.wait_mail("bob")
    gw.expected_errors.add("alias.broken")
    aliases.write("sales: carol\nno end here\n")
    (broken,) = gw.wait_event("alias.broken")
    assert "aliases.txt" in broken["what"]
    gw.send("joe@client.test", "sales@local.test", message("third"))
    gw.wait_mail("bob", 2)
    gw.wait_empty()
    assert not gw.messages("carol")
    # The next start refuses it, with the place.
    done = gw.cli("check", code=78)
    assert "aliases.txt:" in done.stderr


def test_a_link_to_another_folder_is_read_again(new_gateway, folder):
    """Also by a worker that has locked itself in."""
    aliases = Aliases(new_gateway, "sales: ann;\n")
    real = os.path.join(folder, "real.txt")
    with open(real, "w", encoding="utf-8") as file:
        file.write("sales: ann;\n")
    os.unlink(aliases.path)
    os.symlink(real, aliases.path)
    gw = aliases.start()
    with open(real + ".new", "w", encoding="utf-8") as file:
        file.write("sales: bob;\n")
    os.rename(real + ".new", real)
    gw.wait_event("alias.read")
    gw.send("joe@client.test", "sales@local.test", message("second"))
    gw.wait_mail("bob")


def test_mended_aliases_mend_the_mail_that_waits(new_gateway):
    aliases = Aliases(new_gateway, "sales: bob@remote.test;\n",
                      rule("remote.test", f"[127.0.0.1]:{free_port()}"))
    gw = aliases.start()
    gw.send("joe@client.test", "sales@local.test", message("late"))
    gw.wait_event("deliver.deferred")
    aliases.write("sales: ann;\n")
    gw.wait_event("alias.read")
    gw.cli("queue", "retry", "--all", code=None)  # it may be under way already
    gw.wait_mail("ann")
    gw.wait_empty()


def test_a_user_has_a_file_of_his_own(new_gateway):
    me = pwd.getpwuid(os.getuid())
    name = f".postern-test-{os.getpid()}"
    own = os.path.join(me.pw_dir, name)
    aliases = Aliases(new_gateway, "x: y;\n", user_file=name)
    with open(own, "w", encoding="utf-8") as file:
        file.write(f"{me.pw_name}: ann, _{me.pw_name};\n")
    os.chmod(own, 0o600)
    try:
        gw = aliases.start()
        gw.send("joe@client.test", f"{me.pw_name}@local.test", message("mine"))
        gw.wait_mail("ann")
        gw.wait_mail(me.pw_name)
        gw.wait_empty()
        text = gw.cli("route", f"{me.pw_name}@local.test").stdout
        assert name in text and "ann@gw.test" in text
    finally:
        os.unlink(own)


def test_route_tells_each_place_with_its_reasons(new_gateway):
    aliases = Aliases(new_gateway, "sales: ann, bob@remote.test;\n",
                      rule("remote.test", "[192.0.2.1]"))
    (answer,) = aliases.gw.json("route", "sales@local.test")
    assert answer["alias"]["file"] == aliases.path and answer["alias"]["line"] == 1
    places = {leaf["recipient"]: leaf for leaf in answer["alias"]["leaves"]}
    assert places["ann@gw.test"]["decision"]["transport"] == "local-mbox"
    assert places["bob@remote.test"]["decision"]["next_hops"] == ["[192.0.2.1]"]
    assert places["bob@remote.test"]["chain"] == "sales@local.test -> bob@remote.test"
    assert answer["decision"]["replaced_by"] == "alias"
    assert "replaced_by" not in places["ann@gw.test"]["decision"]
    text = aliases.gw.cli("route", "--no-color", "sales@local.test").stdout
    assert f"=> alias ({aliases.path}:1) for 2 places" in text
    assert "=> transport smtp-out, next hops: [192.0.2.1]" in text


def test_a_list_is_told_by_its_own_line(new_gateway):
    aliases = Aliases(new_gateway, "# lists\n\nstaff:: ann, @DIR@/staff.lis;\n")
    aliases.file("staff.lis", "bob\ncarol\n")
    (answer,) = aliases.gw.json("route", "staff@local.test")
    assert (answer["alias"]["file"], answer["alias"]["line"]) == (aliases.path, 3)
    assert len(answer["alias"]["leaves"]) == 2


@pytest.mark.parametrize("key, param", [("pipe_transport", "command"), ("file_transport", "file"),
                                        ("list_transport", "list")])
def test_aliases_go_to_a_transport_that_understands_them(new_gateway, key, param):
    plugin = key.split("_", maxsplit=1)[0]
    place = f"10-test.json#/aliases/{key}: "
    wrong = f'found "smtp-out", whose plugin "smtp-out" takes no {param}; expected an instance of ' \
            f'the plugin "{plugin}"'
    gw = Aliases(new_gateway, "ann: bob;\n", **{key: "smtp-out"}).gw
    assert place + wrong in gw.cli("check", code=78).stderr
    assert place + wrong in gw.cli("route", "ann@local.test", code=78).stderr
    # Also where there are no alias files.
    gw = new_gateway({"aliases": {key: "smtp-out"}})
    assert place + wrong in gw.cli("check", code=78).stderr
    gw.configure({"aliases": {key: "smtp-uot"}})
    assert place + 'unknown transport "smtp-uot"; did you mean "smtp-out"?' in \
        gw.cli("check", code=78).stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_what_workers_will_not_be_able_to_read_is_told_by_check(new_gateway, folder):
    aliases = Aliases(new_gateway, "ann: bob;\nstaff:: ann, @DIR@/staff.lis;\n",
                      {"server": {"user": "nobody"}})
    members = aliases.file("staff.lis", "bob\n")
    os.chmod(folder, 0o755)
    os.chmod(aliases.gw.folder, 0o755)
    assert "warning" not in aliases.gw.cli("check").stderr
    os.chmod(aliases.path, 0o600)
    said = aliases.gw.cli("check").stderr
    assert said == (f"warning: {aliases.path}: Permission denied (as server.user, nobody: it is "
                    "read once, when a worker starts, and changes do not count)\n")
    os.chmod(aliases.path, 0o644)
    os.chmod(members, 0o600)
    assert f"{members}: Permission denied (as server.user" in aliases.gw.cli("check").stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_map_that_workers_can_not_read_is_an_error(new_gateway, folder):
    aliases = Aliases(new_gateway, "ann: bob;\n")
    path = os.path.join(folder, "a.lmdb")
    os.chmod(folder, 0o755)
    aliases.gw.cli("map", "build", path, aliases.path)
    gw = new_gateway({"server": {"user": "nobody"}, "aliases": {"directories": ["map"]},
                      "directories": {"map": {"plugin": "lmdb", "path": path}}})
    gw.cli("check")
    os.chmod(path, 0o600)
    assert f"/directories/map/path: {path}: Permission denied (as server.user, nobody)" in \
        gw.cli("check", code=78).stderr


def test_T_92_an_alias_is_reached_from_every_entry(new_gateway, folder):
    gw = Aliases(new_gateway, "sales: ann;\nstaff:: boss@local.test, @DIR@/staff.lis;\n")
    gw.file("staff.lis", "ann\n")
    gw = gw.start()
    sendmail = os.path.join(folder, "sendmail")
    os.symlink(POSTERN, sendmail)
    letter = b"Subject: by %s\n\nHello.\n"
    gw.send("joe@client.test", ["sales@local.test"], message("by SMTP"))
    gw.send("joe@client.test", ["staff@local.test"], message("by SMTP to the list"))
    gw.cli("send", "-f", "joe@local.test", "sales@local.test", stdin=letter % b"send")
    gw.cli("send", "-f", "joe@local.test", "staff@local.test", stdin=letter % b"send to the list")
    # As a user types it, without a domain.
    gw.cli("-f", "joe@local.test", "sales", stdin=letter % b"sendmail", program=sendmail)
    gw.cli("-f", "joe@local.test", "-t", program=sendmail,
           stdin=b"To: staff\n" + letter % b"sendmail -t")
    subjects = {"by SMTP", "by SMTP to the list", "by send", "by send to the list", "by sendmail",
                "by sendmail -t"}
    mails = gw.wait_mail("ann", len(subjects))
    assert {m["Subject"] for m in mails} == subjects
    owners = {m["Subject"]: m["Return-Path"] for m in mails}
    assert owners["by SMTP to the list"] == owners["by sendmail -t"] == "<boss@local.test>"
    assert owners["by send"] == "<joe@local.test>"
    gw.wait_empty()


def test_T_100_T_37_a_virtual_domain_has_aliases_of_its_own(new_gateway, peer):
    server = peer()
    hosts = {"routing": {"virtual_domains": ["museum.test", "shop.test"]}}
    gw = Aliases(new_gateway, "info@museum.test: ann, curator@remote.test;\n"
                              "info@shop.test: bob;\ninfo: carol;\n",
                 hosts, rule("remote.test", server.hop)).start()
    gw.send("joe@client.test", ["info@Museum.Test"], message("old things"))
    gw.send("joe@client.test", ["info@shop.test"], message("new things"))
    gw.send("joe@client.test", ["info@local.test"], message("things"))
    assert [m["Subject"] for m in gw.wait_mail("ann")] == ["old things"]
    assert [m["Subject"] for m in gw.wait_mail("bob")] == ["new things"]
    assert [m["Subject"] for m in gw.wait_mail("carol")] == ["things"]
    assert server.wait_messages(1)[0].rcpts == ["curator@remote.test"]
    gw.wait_empty()


def test_U_66_a_forward_may_wear_the_jacket(new_gateway, peer):
    server = peer()
    gw = Aliases(new_gateway, 'gone: SMTP%"bob@remote.test";\nmoved: bob@remote.test;\n',
                 rule("remote.test", server.hop)).start()
    gw.send("joe@client.test", ["gone@local.test"], message())
    gw.send("joe@client.test", ["moved@local.test"], message())
    assert [m.rcpts for m in server.wait_messages(2)] == [["bob@remote.test"]] * 2
    gw.wait_empty()


def new_worker(gw):
    """Kills the only worker without a word, and waits for the next one."""
    gw.expected_errors |= {"worker.died", "worker.crashed"}
    (pid,) = gw.wait_workers(1)
    os.kill(pid, signal.SIGKILL)
    gw.wait_workers(1, without=[pid])


def test_a_worker_comes_back_while_an_alias_file_is_broken(new_gateway, peer):
    server = peer()
    aliases = Aliases(new_gateway, "sales: bob@remote.test;\n", rule("remote.test", server.hop),
                      {"server": {"workers": 1}})
    gw = aliases.start()
    gw.expected_errors.add("alias.broken")
    aliases.write("sales: bob@remote.test\n")
    gw.wait_event("alias.broken")
    gw.send("joe@client.test", "sales@local.test", message("by the version before"))
    server.wait_messages(1)
    new_worker(gw)
    gw.wait_event("alias.broken", 2)
    # What no alias can be about goes on; what may be an alias waits, with the reason.
    gw.send("joe@client.test", "x@remote.test", message("elsewhere"))
    server.wait_messages(2)
    gw.send("joe@client.test", "sales@local.test", message("later"))
    gw.send("joe@client.test", "ann@local.test", message("for a mailbox"))
    gw.wait_event("deliver.deferred", 2, status="4.3.5")
    assert all(aliases.path + ":2:1: found the end of the file" in event["why"]
               for event in gw.events("deliver.deferred", status="4.3.5"))
    assert not gw.messages("ann") and not gw.messages("sales")
    gw.cli("route", "sales@local.test", code=78)
    aliases.write("sales: bob@remote.test;\n")
    gw.wait_event("alias.read", 1)
    gw.cli("queue", "retry", "--all", code=None)  # it may be under way already
    server.wait_messages(3)
    gw.wait_mail("ann")
    gw.wait_empty()


def test_a_worker_comes_back_while_files_and_folders_are_away(new_gateway, peer):
    gw = new_gateway()
    for name in ("lists", "away"):
        os.mkdir(os.path.join(gw.folder, name))
    folder, names = os.path.join(gw.folder, "lists"), os.path.join(gw.folder, "names")
    with open(names, "w", encoding="ascii") as file:
        file.write("ann:x:1000:1000:Ann Adams:/nonexistent:/bin/false\n")
    with open(os.path.join(folder, "TEAM.DIS"), "w", encoding="ascii") as file:
        file.write("ann\n")
    gw.configure({"aliases": {"lists": [folder], "full_names": names, "refresh": "0s"},
                  "server": {"workers": 1}})
    gw.start()
    gw.expected_errors.add("alias.broken")
    for path in (folder, names):
        os.rename(path, path + ".away")
    new_worker(gw)
    gw.wait_event("alias.broken", 2)
    gw.send("joe@client.test", ["team@local.test", "ann.adams@local.test"], message())
    gw.wait_event("deliver.deferred", 2, status="4.3.5")
    for path in (folder, names):
        os.rename(path + ".away", path)
    gw.wait_event("alias.read")  # although "refresh" is off
    gw.cli("queue", "retry", "--all", code=None)  # it may be under way already
    gw.wait_mail("ann")
    gw.wait_empty()


def test_a_worker_that_comes_back_has_the_local_domains_that_were_validated(new_gateway):
    gw = new_gateway()
    path = os.path.join(gw.folder, "domains.txt")
    with open(path, "w", encoding="ascii") as file:
        file.write("one.test\n")
    gw.configure({"routing": {"local_domains_files": [path]}, "server": {"workers": 1}})
    gw.start()
    gw.expected_errors.add("gateway.reload_failed")
    with open(path, "w", encoding="ascii") as file:
        file.write("one.test\n..\n")
    new_worker(gw)
    gw.send("joe@client.test", "ann@one.test", message())
    gw.wait_mail("ann")
    assert "domains.txt#line 2" in gw.cli("reload", code=78).stderr
    os.unlink(path)
    new_worker(gw)
    gw.send("joe@client.test", "ann@one.test", message())
    gw.wait_mail("ann", 2)
    with open(path, "w", encoding="ascii") as file:
        file.write("two.test\n")
    gw.cli("reload")
    gw.send("joe@client.test", "ann@two.test", message())
    gw.wait_mail("ann", 3)


def test_route_tells_what_becomes_of_what_was_accepted(new_gateway):
    aliases = Aliases(new_gateway, """
a: b;
b: a;
lst: "<none.txt";
""", {"queue": {"retry": ["1h"]}})
    gw = aliases.start()
    gw.send("ann@local.test", "a@local.test", message())  # is accepted,
    gw.wait_event("deliver.failed", status="5.4.6")        # comes back,
    gw.wait_mail("ann")
    said = gw.cli("route", "a@local.test", code=67).stdout  # and route says so.
    assert "=> fail 5.4.6: aliases go round in circles" in said
    assert "once it has been accepted: the message comes back to its sender" in said
    gw.send("ann@local.test", "lst@local.test", message())
    gw.wait_event("deliver.deferred", status="4.3.5")
    said = gw.cli("route", "lst@local.test", code=75).stdout
    assert "=> fail 4.3.5" in said and "none.txt: No such file or directory" in said
    assert "once it has been accepted: the message waits" in said
    (said,) = gw.json("route", "lst@local.test", code=75)
    assert said["accepted"] is True


def test_with_users_the_client_hears_that_aliases_cannot_be_read(new_gateway):
    gw = new_gateway()
    lists, users = os.path.join(gw.folder, "lists"), os.path.join(gw.folder, "passwd")
    os.mkdir(lists)
    with open(os.path.join(lists, "TEAM.DIS"), "w", encoding="ascii") as file:
        file.write("ann@local.test\n@@@\n")
    with open(users, "w", encoding="ascii") as file:
        file.write("ann:x:1000:1000::/nonexistent:/bin/false\n")
    gw.configure({"aliases": {"lists": [lists]}, "routing": {"users": ["here"]},
                  "directories": {"here": {"plugin": "passwd", "file": users}}})
    gw.start()
    with gw.smtp() as client:
        client.mail("joe@client.test")
        code, text = client.rcpt("team@local.test")
        assert code == 451 and text.startswith(b"4.3.5") and b"TEAM.DIS:2:1: found" in text
        assert client.rcpt("ann@local.test")[0] == 250
    (said,) = gw.json("route", "team@local.test", code=75)
    assert said["accepted"] is False


def test_members_that_expire_are_told_to_the_owner_by_their_names(new_gateway):
    """What has reached some of a list is not "not delivered" to its poster."""
    aliases = Aliases(new_gateway, "staff:: boss, @DIR@/staff.list;\n",
                      rule("remote.test", f"[127.0.0.1]:{free_port()}"),
                      {"queue": {"lifetime": "2s", "retry": ["300ms"]}})
    aliases.file("staff.list", "ann@local.test\nbob@remote.test\n")
    gw = aliases.start()
    gw.send("poster@local.test", "staff@local.test", message("post"))
    gw.wait_mail("ann")
    (mail,) = gw.wait_mail("boss")
    report = Report(mail)
    assert [r["final-recipient"] for r in report.recipients] == ["rfc822; bob@remote.test"]
    gw.wait_empty()
    assert not gw.messages("poster")
