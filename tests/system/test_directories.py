"""Who exists and what names stand for, asked of real directories: the system's users, a compiled
map, an LDAP server, and a plugin that never answers."""
import json
import os
import pwd
import subprocess
import time

import pytest

from harness.base import wait_for
from harness.ldap import LdapServer
from harness.mail import message
from harness.plugin import build

ME = pwd.getpwuid(os.geteuid()).pw_name

SILENT = r"""
#include <postern/postern.h>

static int it;
static int silent_open(postern_host *host, const struct postern_services *sv, const void *settings,
                       void **ret_self)
{
    (void)host;
    (void)sv;
    (void)settings;
    *ret_self = &it;
    return 0;
}
static void silent_close(void *self) { (void)self; }
static int lookup(void *self, postern_lookup *l)
{
    (void)self;
    (void)l;
    return 0;
}
static const struct postern_directory_ops directory = { .size = sizeof directory, .lookup = lookup };

POSTERN_PLUGIN(silent, .name = "silent", .version = "1", .summary = "says nothing",
               .open = silent_open, .close = silent_close, .directory = &directory);
"""

PEOPLE = {
    "ann": ["mail: ann@home.test"],
    "team": ["mail: bob", "mail: eve@away.test"],
    "alias@gw.test": ["mail: carol"],
    "nomail": [],
}


def local(directories, aliases=(), users=(), **routing):
    """Sections: those directories, who is asked for what, mailboxes for anybody."""
    return {"directories": directories, "aliases": {"directories": list(aliases)},
            "transports": {"local-mbox": {"users": "any"}},
            "routing": {"local_domains": ["gw.test"], "users": list(users), **routing},
            "queue": {"retry": ["1s"]}, "server": {"workers": 1}}


@pytest.fixture
def ldap(folder, at_end):
    server = LdapServer(os.path.join(folder, "ldap"), PEOPLE)
    at_end(server.stop)
    return server.start()


@pytest.fixture
def people(ldap):
    return ldap.options(user_filter="(uid={key})", alias_filter="(uid={key})")


def refusal(gw, rcpt):
    with gw.smtp() as client:
        client.mail("me@client.test")
        code, text = client.rcpt(rcpt)
    return code, text.decode()


def directory_lines(gw, address, code=0):
    said = gw.json("route", address, code=code)[0]
    return said.get("directories", []), said["decision"]


# --- LDAP ---

def test_ldap_says_what_a_name_stands_for(gateway, people):
    gw = gateway(local({"people": people}, aliases=["people"]))
    gw.send("me@client.test", ["team@gw.test", "alias@gw.test"], message())
    assert len(gw.wait_mail("bob")) == 1
    assert len(gw.wait_mail("carol")) == 1
    lines, _ = directory_lines(gw, "team@gw.test")
    assert lines[:2] == ["directory people: alias team@gw.test: not found",
                         "directory people: alias team: bob, eve@away.test"]
    # The same question is not asked twice.
    before = gw.json("status")["directories"]
    gw.send("me@client.test", "team@gw.test", message())
    gw.wait_mail("bob", 2)
    after = gw.json("status")["directories"]
    assert after["asked"] == before["asked"] and after["hits"] > before["hits"]
    assert "answers kept" in gw.cli("status").stdout


def test_mail_waits_while_the_ldap_server_is_away(gateway, ldap, people):
    ldap.stop()
    gw = gateway(local({"people": people}, aliases=["people"]))
    queue_id = gw.send("me@client.test", "team@gw.test", message())
    event = gw.wait_event("deliver.deferred", id=queue_id)[0]
    assert event["why"] == "directory people: Can't contact LDAP server"
    assert event["status"] == "4.4.3"
    assert "Can't contact LDAP server" in json.dumps(gw.queue())
    ldap.start()
    assert len(gw.wait_mail("bob")) == 1


def test_a_connection_that_the_server_closed_is_made_anew(gateway, ldap, people):
    gw = gateway(local({"people": people}, aliases=["people"]))
    gw.send("me@client.test", "alias@gw.test", message())
    gw.wait_mail("carol")
    ldap.stop()
    ldap.start()
    gw.send("me@client.test", "team@gw.test", message())
    gw.wait_mail("bob")
    assert not [e for e in gw.events("deliver.deferred") if "directory" in e.get("why", "")]
    assert not gw.events("ldap.down")


def test_a_bad_entry_is_bad_news_for_its_own_name_only(gateway, folder, at_end):
    server = LdapServer(os.path.join(folder, "ldap"), {
        "big": ["description: " + "x" * 9000], "ann": ["mail: ann@gw.test"], "team": ["mail: bob"]})
    at_end(server.stop)
    server.start()
    people = server.options(user_filter="(uid={key})", alias_filter="(uid={key})",
                            attributes=["description", "mail"])
    gw = gateway(local({"people": people}, aliases=["people"], users=["people"]))
    code, text = refusal(gw, "big@gw.test")
    assert code == 451 and "description of 9000 bytes, expected at most 8192" in text
    assert refusal(gw, "team@gw.test")[0] == 250
    assert refusal(gw, "nobody@gw.test")[0] == 550
    assert refusal(gw, "big@gw.test")[0] == 451
    assert not gw.events("ldap.down")


def test_unknown_users_are_refused_when_ldap_knows_who_is_here(gateway, ldap, people):
    gw = gateway(local({"people": people}, aliases=["people"], users=["people"]))
    code, text = refusal(gw, "nobody@gw.test")
    assert code == 550 and text.startswith("5.1.1 <nobody@gw.test>: no such user here")
    assert refusal(gw, "ann@gw.test")[0] == 250  # an alias, and so not asked for as a user
    assert refusal(gw, "nomail@gw.test")[0] == 250  # a user, and no alias
    assert refusal(gw, "NoMail+folder@gw.test")[0] == 250
    ldap.stop()
    assert refusal(gw, "nobody@gw.test")[0] == 550  # remembered
    code, text = refusal(gw, "somebody@gw.test")
    assert code == 451 and "4.4.3" in text, (code, text)


def test_commands_behind_a_recipient_that_is_asked_for_wait(gateway, people):
    gw = gateway(local({"people": people}, users=["people"]))
    with gw.smtp() as client:
        client.send("MAIL FROM:<me@client.test>\r\nRCPT TO:<nobody@gw.test>\r\n"
                    "RCPT TO:<nomail@gw.test>\r\nDATA\r\n")
        replies = [client.getreply()[0] for _ in range(4)]
        assert replies == [250, 550, 250, 354]
        client.send("Subject: x\r\n\r\nx\r\n.\r\n")
        assert client.getreply()[0] == 250
    gw.wait_mail("nomail")


def test_a_filter_cannot_be_injected(gateway, people):
    gw = gateway(local({"people": people}, users=["people"]))
    for local_part in ('"*"', '"*)(uid=*"', '"ann)(uid=*"', '"\\\\2a"', "*", "an*"):
        assert refusal(gw, f"{local_part}@gw.test")[0] == 550, local_part
    assert refusal(gw, "ann@gw.test")[0] == 250


def test_a_wrong_password_is_told_in_words(new_gateway, ldap):
    people = ldap.options(alias_filter="(uid={key})", bind_password="falsch")
    gw = new_gateway(local({"people": people}, aliases=["people"]))
    _, decision = directory_lines(gw, "team@gw.test", code=75)
    assert decision["status"] == "4.4.3"
    assert decision["text"] == "directory people: Invalid credentials"
    assert "falsch" not in gw.cli("route", "team@gw.test", code=75).stdout


def test_starttls_is_used_or_nothing(new_gateway, folder, at_end):
    certificate = os.path.join(folder, "ldap-server")
    # By address: libldap puts the machine's own name in the place of "localhost".
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=ldap.test",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", certificate + ".key",
                    "-out", certificate + ".pem"], check=True, stderr=subprocess.DEVNULL)
    server = LdapServer(os.path.join(folder, "tls"), PEOPLE, certificate=certificate)
    at_end(server.stop)
    server.start()
    options = server.options(alias_filter="(uid={key})", tls="starttls")
    gw = new_gateway(local({"people": {**options, "tls_ca_file": certificate + ".pem"}},
                           aliases=["people"]))
    lines, _ = directory_lines(gw, "team@gw.test")
    assert "directory people: alias team: bob, eve@away.test" in lines
    # Nobody vouches for that certificate.
    gw.configure(local({"people": options}, aliases=["people"]))
    _, decision = directory_lines(gw, "team@gw.test", code=75)
    assert "StartTLS" in decision["text"]


# --- users of the system ---

def test_users_of_this_machine_are_known(gateway):
    gw = gateway(local({"passwd": {}}, users=["passwd"]))
    assert refusal(gw, f"{ME}@gw.test")[0] == 250
    assert refusal(gw, f"{ME.upper()}@gw.test")[0] == 250
    assert refusal(gw, "nobody-of-that-name@gw.test")[0] == 550
    assert refusal(gw, "nobody@elsewhere.test")[0] != 550  # not ours to know
    assert directory_lines(gw, f"{ME}@gw.test")[0] == [f"directory passwd: user {ME}: exists"]


def test_mail_for_unknown_users_goes_to_who_wants_it(gateway, folder):
    file = os.path.join(folder, "passwd")
    with open(file, "w", encoding="utf-8") as out:
        out.write("ann:x:1:1:Ann Bee:/:\nlost:x:2:2::/:\n")
    os.chmod(folder, 0o755)
    gw = gateway(local({"users": {"plugin": "passwd", "file": file, "full_names": True}},
                       users=["users"], aliases=["users"], unknown_user="lost@gw.test"))
    gw.send("me@client.test", ["ann@gw.test", "eve@gw.test"], message())
    assert len(gw.wait_mail("ann")) == 1
    assert len(gw.wait_mail("lost")) == 1
    gw.send("me@client.test", "Ann.Bee@gw.test", message())
    gw.wait_mail("ann", 2)


def users_file(folder, *names):
    file = os.path.join(folder, "passwd")
    with open(file, "w", encoding="utf-8") as out:
        out.writelines(f"{name}:x:1:1::/:\n" for name in names)
    os.chmod(folder, 0o755)
    return {"users": {"plugin": "passwd", "file": file}}


def test_aliases_speak_of_who_gets_mail_for_unknown_users_too(gateway, folder):
    """Also for those whom an alias names; and each place gets it once, whoever is unknown."""
    aliases = os.path.join(folder, "aliases")
    with open(aliases, "w", encoding="utf-8") as out:
        out.write("postmaster: ann\nteam: ghost, spook, ann\nothers: ghost, spook\n")
    sections = local(users_file(folder, "ann"), users=["users"],
                     unknown_user="Postmaster@gw.test")
    sections["aliases"] = {"files": [{"path": aliases}]}
    gw = gateway(sections)
    for rcpt in ("team", "others", "ghost"):
        before = len(gw.messages("ann"))
        gw.send("me@client.test", f"{rcpt}@gw.test", message())
        gw.wait_empty()
        assert len(gw.messages("ann")) == before + 1, rcpt
    assert not gw.messages("postmaster")


def test_nobody_asks_about_who_gets_mail_for_unknown_users(gateway, folder):
    aliases = os.path.join(folder, "aliases")
    with open(aliases, "w", encoding="utf-8") as out:
        out.write("lost: ghost\nteam: spook, ann\nround: ghost\n")
    sections = local(users_file(folder, "ann"), users=["users"], unknown_user="lost@gw.test")
    sections["aliases"] = {"files": [{"path": aliases}]}
    gw = gateway(sections)
    gw.send("ann@gw.test", "team@gw.test", message())
    gw.wait_empty()
    assert len(gw.messages("ann")) == len(gw.messages("ghost")) == 1
    # He is unknown, his mail is for lost, and that is himself: nobody may lose it.
    gw.send("ann@gw.test", "round@gw.test", message())
    gw.wait_empty()
    failed = gw.wait_event("deliver.failed", status="5.4.6")[0]
    assert "round in circles" in failed["why"] and len(gw.messages("ann")) == 2


def test_an_unknown_user_is_no_way_to_relay(gateway, folder):
    """Whatever the name is that a stranger makes up: it leads nowhere where he may not send."""
    for roads, names in (("percent", ['"x%evil.test"', "x%evil.test"]),
                         ("all", ['"evil.test!x"', '"x%evil.test"', "evil.test!x"])):
        gw = gateway(local(users_file(folder, "ann"), users=["users"], roads=roads,
                           local_domains=["gw.test", "local.test"], unknown_user="*@local.test",
                           rules=[{"recipient": "to-*@local.test", "rewrite": "*@evil.test"}]),
                     {"ingress": {"smtp-in": {"relay_from": []}}})
        assert refusal(gw, "x@evil.test")[0] == 550
        # What the operator has his own addresses rewritten to is for anyone, as it is without this.
        assert refusal(gw, "to-x@gw.test")[0] == refusal(gw, "to-x@local.test")[0] == 250
        for name in names:
            code, text = refusal(gw, f"{name}@gw.test")
            assert code == 250 or "5.7.1" in text, (name, code, text)
            if code == 250:
                (where,) = gw.json("route", f"{name}@gw.test")
                assert where["decision"]["recipient"] == f"{name}@local.test", where
        assert refusal(gw, "nobody@gw.test")[0] == 250
        gw.send("me@client.test", "nobody@gw.test", message())
        gw.wait_mail("nobody")


def test_an_unknown_user_may_be_a_strangers_recipient_at_the_hub(gateway, folder, peer):
    hub = peer()
    gw = gateway(local(users_file(folder, "ann"), users=["users"], unknown_user="*@hub.test",
                       default_domain="far.test",
                       gateways=[{"domain": "hub.test", "next_hops": hub.hop}]),
                 {"ingress": {"smtp-in": {"relay_from": []}}})
    assert refusal(gw, "x@hub.test")[0] == 550
    gw.send("me@client.test", ["nobody@gw.test", '"a b"@gw.test'], message())
    hub.wait_messages(1)
    # What completes the operator's own address is no detour.
    gw = gateway(local(users_file(folder, "ann"), users=["users"], unknown_user="*@hub",
                       default_domain="hub.test",
                       gateways=[{"domain": "hub.hub.test", "next_hops": hub.hop}]),
                 {"ingress": {"smtp-in": {"relay_from": []}}})
    gw.send("me@client.test", "nobody@gw.test", message())
    hub.wait_messages(2)


@pytest.mark.parametrize("postmaster, reader", [(None, "postmaster"), ("ann@gw.test", "ann"),
                                                ("postmaster@gw.test", "postmaster")])
def test_nobody_refuses_mail_for_the_postmaster(gateway, folder, postmaster, reader):
    """RFC 5321 4.5.1: at each domain of ours, in any case, and with no domain at all."""
    sections = local(users_file(folder, "ann"), users=["users"],
                     local_domains=["gw.test", "local.test"], virtual_domains=["virtual.test"])
    if postmaster:
        sections["server"]["postmaster"] = postmaster
    gw = gateway(sections, {"ingress": {"smtp-in": {"relay_from": []}}})
    recipients = ["postmaster@gw.test", "PostMaster@local.test", "postmaster",
                  "postmaster@virtual.test"]
    assert refusal(gw, "postmasters@gw.test")[0] == 550
    for rcpt in recipients:
        code, text = refusal(gw, rcpt)
        assert code == 250, (rcpt, text)
        gw.send("me@client.test", rcpt, message())
    gw.wait_mail(reader, len(recipients))
    lines, decision = directory_lines(gw, "Postmaster@local.test")
    assert lines == ["directory users: user postmaster: not found",
                     "Postmaster@local.test is unknown, and is never refused: server.postmaster, "
                     f"{postmaster or 'postmaster'}, gets it"]
    assert decision["recipient"] == (postmaster or "postmaster@gw.test")
    lines, _ = directory_lines(gw, "postmaster@gw.test")
    assert lines[-1].startswith("postmaster@gw.test is unknown, and is never refused"), lines
    assert ("gets it" in lines[-1]) == (reader == "ann")


def test_an_alias_for_an_unknown_postmaster_is_no_dead_end(gateway, folder):
    path = os.path.join(folder, "aliases")
    with open(path, "w", encoding="utf-8") as out:
        out.write("admin: postmaster\n")
    sections = local(users_file(folder, "ann"), users=["users"])
    sections["aliases"]["files"] = [{"path": path}]
    sections["server"]["postmaster"] = "ann"
    gw = gateway(sections)
    gw.send("me@client.test", "admin@gw.test", message())
    gw.wait_mail("ann")


# --- a compiled map ---

def test_a_map_that_is_not_there_is_told_by_check(new_gateway, folder):
    path = os.path.join(folder, "a.lmdb")
    os.chmod(folder, 0o755)
    gw = new_gateway(local({"map": {"plugin": "lmdb", "path": path}}, aliases=["map"]))
    place = f"10-test.json#/directories/map/path: {path}: "
    assert place + "No such file or directory" in gw.cli("check", code=78).stderr
    with open(path, "w", encoding="utf-8") as out:
        out.write("no map")
    assert place + "MDB_INVALID" in gw.cli("check", code=78).stderr
    gw.configure(local({"map": {"plugin": "lmdb", "path": path, "enabled": False}}))
    gw.cli("check")


def test_a_map_is_built_asked_and_replaced(new_gateway, folder):
    source, target = os.path.join(folder, "aliases"), os.path.join(folder, "a.lmdb")
    os.chmod(folder, 0o755)

    def build_map(text):
        with open(source, "w", encoding="utf-8") as out:
            out.write(text)
        return gw.cli("map", "build", target, source).stdout

    sections = local({"map": {"plugin": "lmdb", "path": target, "refresh": "0s"}}, aliases=["map"])
    sections["lookups"] = {"ttl": "0s"}
    gw = new_gateway(sections)
    assert "4 aliases" in build_map("sales: bob\nstaff: bob, carol\nowner-staff: ann\nx: y\n")
    gw.start()
    gw.send("me@client.test", "sales@gw.test", message())
    gw.wait_mail("bob")
    gw.send("me@client.test", "staff@gw.test", message())
    assert gw.wait_mail("carol")[0]["Return-Path"] == "<owner-staff@gw.test>"
    build_map("sales: eve\n")
    assert gw.cli("map", "get", target, "sales").stdout == "eve\n"
    assert gw.cli("map", "get", target, "staff", code=67).stdout == ""

    def new_one_counts():
        gw.send("me@client.test", "sales@gw.test", message())
        return gw.messages("eve")
    wait_for("the new map to count", new_one_counts)


def test_more_are_asked_for_than_answers_are_kept(new_gateway, folder):
    """An alias with 50 local members, each looked up as an alias and as a user, and 10 answers."""
    users = [f"user{i}" for i in range(50)]
    source, target = os.path.join(folder, "aliases"), os.path.join(folder, "a.lmdb")
    passwd = os.path.join(folder, "passwd")
    os.chmod(folder, 0o755)
    with open(source, "w", encoding="utf-8") as out:
        out.write(f"all: {', '.join(users)}\n")
    with open(passwd, "w", encoding="utf-8") as out:
        out.writelines(f"{user}:x:{1000 + i}:1::/:\n" for i, user in enumerate(users))
    sections = local({"map": {"plugin": "lmdb", "path": target},
                      "people": {"plugin": "passwd", "file": passwd}},
                     aliases=["map"], users=["people"])
    sections["lookups"] = {"cache_max": 10, "ttl": "0s", "negative_ttl": "0s"}
    gw = new_gateway(sections)
    gw.cli("map", "build", target, source)
    (answer,) = gw.json("route", "all@gw.test")
    assert len(answer["alias"]["leaves"]) == len(users)
    gw.start()
    gw.send("me@client.test", ["all@gw.test", "user7@gw.test"], message())
    gw.wait_empty()
    assert [len(gw.messages(user)) for user in users] == [1] * 7 + [2] + [1] * 42
    status = gw.json("status")["directories"]
    assert status["entries"] <= 10 and not gw.events("deliver.deferred")
    assert refusal(gw, "all@gw.test")[0] == 250
    assert refusal(gw, "nobody@gw.test")[0] == 550


@pytest.mark.slow
def test_a_million_aliases(new_gateway, folder, capsys):
    source, target = os.path.join(folder, "aliases"), os.path.join(folder, "a.lmdb")
    os.chmod(folder, 0o755)
    with open(source, "w", encoding="utf-8") as out:
        out.writelines(f"user{i}: mailbox{i}@backend{i % 7}.test\n" for i in range(1000000))
    gw = new_gateway(local({"map": {"plugin": "lmdb", "path": target}}, aliases=["map"],
                           rules=[{"domain": "backend*.test", "discard": True}]))
    began = time.monotonic()
    assert "1000000 aliases" in gw.cli("map", "build", target, source).stdout
    built = time.monotonic() - began
    gw.start()

    def memory():
        with open(f"/proc/{gw.workers()[0]}/status", encoding="utf-8") as file:
            return {line.split(":")[0]: int(line.split()[1]) for line in file
                    if line.startswith(("RssAnon", "RssFile"))}
    before = memory()
    with gw.smtp() as client:
        for batch in range(20):
            client.mail("me@client.test")
            for i in range(500):
                assert client.rcpt(f"user{(batch * 500 + i) * 97 % 1000000}@gw.test")[0] == 250
            client.data(message())
    gw.wait_empty()
    after, status = memory(), gw.json("status")["directories"]
    assert status["failures"] == 0 and status["asked"]["map"] >= 10000
    with capsys.disabled():
        print(f"\na map of 1000000 aliases: built in {built:.1f} s, "
              f"{os.path.getsize(target) >> 20} MiB; {status['asked']['map']} look-ups; memory of "
              f"the worker in KiB {before} -> {after}")


# --- the guard ---

def test_a_directory_that_never_answers_is_named_and_does_not_hold_up_others(new_gateway, folder):
    build(os.path.join(folder, "silent"), "silent", SILENT)
    sections = local({"mute": {"plugin": "silent"}}, aliases=["mute"])
    sections["lookups"] = {"deadline": "200ms"}
    sections["routing"]["rules"] = [{"recipient": "other@gw.test", "transport": "local-mbox"}]
    gw = new_gateway(sections)
    gw.add_plugins(os.path.join(folder, "silent"))
    gw.start()
    queue_id = gw.send("me@client.test", "ann@gw.test", message())
    gw.send("me@client.test", "other@gw.test", message())
    gw.wait_mail("other")
    event = gw.wait_event("deliver.deferred", id=queue_id)[0]
    assert event["why"] == "directory mute: plugin silent has not answered within 200ms"
    silent = gw.wait_event("directory.silent")[0]
    assert silent["plugin"] == "silent" and silent["part"] == "mute"


def test_what_is_no_directory_is_refused(new_gateway):
    gw = new_gateway(local({"people": {"plugin": "smtp-out"}}, aliases=["peeple"]))
    said = gw.cli("check", code=78).stderr
    assert 'unknown directory "peeple"; did you mean "people"?' in said
    assert 'plugin "smtp-out" knows no names; it belongs in /transports' in said
    gw.configure(local({"passwd": {}}, users=["passwd"], unknown_user="no address"))
    assert "expected an address like" in gw.cli("check", code=78).stderr


def test_answers_are_kept_for_the_name_and_the_domain_as_they_were_asked(gateway, folder, at_end):
    people = {"ann": ["mail: ann@a.test"], "bob": ["mail: bob@a.test"]}
    server = LdapServer(os.path.join(folder, "by-domain"), people)
    at_end(server.stop)
    server.start()
    users = os.path.join(folder, "passwd")
    with open(users, "w", encoding="utf-8") as file:
        file.write("Bob:x:2000:100::/home/bob:/bin/sh\n")
    gw = gateway(local({"people": server.options(user_filter="(mail={local}@{domain})")},
                       users=["people"]),
                 {"routing": {"local_domains": ["a.test", "b.test"]}})
    assert refusal(gw, "ann@b.test")[0] == 550  # whoever is asked for first
    assert refusal(gw, "ann@a.test")[0] == 250
    assert refusal(gw, "bob@a.test")[0] == 250
    assert refusal(gw, "bob@b.test")[0] == 550
    gw.stop()
    gw.configure(local({"pw": {"plugin": "passwd", "file": users}}, users=["pw"]))
    gw.start()
    assert refusal(gw, "bob@gw.test")[0] == 550
    assert refusal(gw, "Bob@gw.test")[0] == 250
