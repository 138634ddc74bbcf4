"""New senders for mail of our own users: rows, the substitute domain, and /FROM=."""
import os
import pwd

import pytest

from harness.base import POSTERN, free_port
from harness.mail import message
from harness.peers import swaks

ME = pwd.getpwuid(os.getuid()).pw_name

ROWS = {"routing": {
    "local_domains": ["gw.test", "local.test", "sales.local.test"],
    "senders": [
        {"sender": ["ann@gw.test", "bob@"], "rewrite": "*@sales.local.test",
         "comment": "the sales department"},
        {"sender": "@vax.test", "rewrite": "*@env.local.test", "in": "envelope"},
        {"sender": "@vax.test", "rewrite": "*@head.local.test", "in": "header"}]}}


def routing(**more):
    return {"routing": more}


@pytest.fixture
def sendmail(folder):
    path = os.path.join(folder, "sendmail")
    os.symlink(POSTERN, path)
    return path


def world(port):
    """A second door, whose clients may not relay."""
    return {"ingress": {"world": {"plugin": "smtp-in", "listen": [f"127.0.0.1:{port}"],
                                  "relay_from": ["192.0.2.0/24"]}}}


def test_T_103_a_department_has_its_host_in_envelope_and_header(gateway, sink, to):
    gw = gateway(ROWS, to(sink.hop, "remote.test"))
    code, said = swaks(gw.port, "--from", "ann@gw.test", "--to", "far@remote.test", "--header",
                       "From: \"Bee, Ann\" (of sales) <ann@gw.test>", "--header",
                       "Reply-To: us: bob@gw.test, dora@gw.test;", "--header",
                       "To: ann@gw.test")
    assert code == 0, said
    gw.wait_empty()
    (got,) = sink.messages()
    assert got.sender == "ann@sales.local.test"
    assert got.header("From") == '"Bee, Ann" (of sales) <ann@sales.local.test>'
    assert got.header("Reply-To") == "us: bob@sales.local.test, dora@gw.test;"
    assert got.header("To") == "ann@gw.test"
    (event,) = gw.events("sender.rewritten", **{"in": "envelope"})
    assert (event["from"], event["to"]) == ("ann@gw.test", "ann@sales.local.test")
    assert event["rule"] == "sender 1 (10-test.json#/routing/senders/0)"
    assert gw.events("deliver.delivered", id=event["id"])
    assert len(gw.events("sender.rewritten", id=event["id"])) == 3


def test_T_46_T_47_envelope_and_header_have_hosts_of_their_own(gateway, sink, to):
    gw = gateway(ROWS, to(sink.hop, "remote.test"))
    gw.send("carl@vax.test", "far@remote.test", message(sender="carl@vax.test"))
    gw.wait_empty()
    (got,) = sink.messages()
    assert got.sender == "carl@env.local.test"
    assert got.header("From") == "<carl@head.local.test>"


def test_mail_from_the_world_keeps_its_senders(gateway):
    port = free_port()
    gw = gateway(ROWS, world(port), routing(substitute_domain="corp.test", user_from=True))
    letter = message(sender="ann@gw.test", body="/FROM=x@y.test\r\nHello.\r\n")
    gw.send("ann@gw.test", "max@local.test", letter, port=port)
    (got,) = gw.wait_mail("max")
    assert got["Return-Path"] == "<ann@gw.test>" and got["From"] == "<ann@gw.test>"
    assert got.get_payload() == "/FROM=x@y.test\nHello.\n"
    assert not gw.events("sender.rewritten") and not gw.events("sender.named")
    gw.send("ann@gw.test", "eve@local.test", letter)  # the same by the other door
    (got,) = gw.wait_mail("eve")
    assert got["Return-Path"] == "<ann@sales.local.test>" and got["From"] == "x@y.test"
    assert got["Sender"] == "<ann@sales.local.test>"
    assert got.get_payload() == "Hello.\n"


def test_U_40_the_substitute_domain_stands_in_outgoing_addresses(gateway, sink, to, sendmail):
    gw = gateway(to(sink.hop, "remote.test"), routing(substitute_domain="corp.test"))
    gw.cli("-t", program=sendmail, stdin=b"To: far@remote.test\nSubject: hello\n\nHello.\n")
    gw.send('"SYSTM1::SMITH"@gw.test', "far@remote.test",
            message(sender='"SYSTM1::SMITH"@gw.test'))
    gw.wait_empty()
    for got, local in zip(sorted(sink.messages(), key=lambda m: m.sender != f"{ME}@corp.test"),
                          (ME, '"SYSTM1::SMITH"')):
        assert got.sender == f"{local}@corp.test"
        assert got.header("From") == f"<{local}@corp.test>"
    # An answer finds its way back.
    gw.send("far@remote.test", f"{ME}@corp.test", message())
    gw.wait_mail(ME)


def test_a_bounce_goes_to_the_new_sender_and_is_not_rewritten_itself(gateway, peer, to):
    server = peer(lambda session, verb, line: "550 5.1.1 no" if verb == "RCPT" else None)
    gw = gateway(to(server.hop, "remote.test"),
                 routing(local_domains=["gw.test", "local.test"],
                         senders=[{"sender": "*", "rewrite": "*@local.test"}]))
    gw.send("ann@gw.test", "far@remote.test", message(sender="ann@gw.test"))
    (got,) = gw.wait_mail("ann")
    assert got["Return-Path"] == "<>"
    assert got["From"].endswith("<MAILER-DAEMON@gw.test>")
    (bounce,) = gw.events("bounce.sent")
    assert bounce["to"] == "ann@local.test"
    assert not gw.events("sender.rewritten", id=bounce["id"])


def test_T_101_the_first_host_name_is_that_of_senders_without_one(gateway, sendmail):
    gw = gateway(routing(host_names=["mail.local.test", "old.local.test"]))
    gw.cli("-f", "ann", "bob", program=sendmail, stdin=b"Subject: at home\n\nHello.\n")
    (got,) = gw.wait_mail("bob")
    assert got["Return-Path"] == "<ann@mail.local.test>"
    assert got["From"] == "<ann@mail.local.test>"


def test_T_36_the_first_line_of_a_body_names_the_author(gateway, sendmail):
    gw = gateway(routing(user_from=True))
    gw.cli("-f", "ann@local.test", "-F", "Ann Bee", "max", program=sendmail,
           stdin=b"Subject: new\n\n/from=info@local.test\nHello.\n")
    (got,) = gw.wait_mail("max")
    assert got["From"] == "info@local.test"
    assert got["Sender"] == '"Ann Bee" <ann@local.test>'
    assert got["Return-Path"] == "<ann@local.test>"
    assert got.get_payload() == "Hello.\n"
    (event,) = gw.events("sender.named")
    assert event["to"] == "info@local.test" and gw.events("submit.accept", id=event["id"])
    gw.cli("-f", "ann@local.test", "eve", program=sendmail,
           stdin=b"Subject: bad\n\n/FROM=info\nHello.\n")
    (got,) = gw.wait_mail("eve")
    assert got["From"] == "<ann@local.test>" and got["Sender"] is None
    assert got.get_payload() == "/FROM=info\nHello.\n"
    (event,) = gw.events("sender.kept")
    assert event["in"] == "/FROM" and event["why"]


def test_a_large_message_is_rewritten_at_its_head_only(gateway, peer, to):
    server = peer()
    gw = gateway(ROWS, to(server.hop, "remote.test"))
    body = ("x" * 70 + "\r\n") * 40000 + "From: ann@gw.test\r\n"
    letter = message(sender="ann@gw.test", body=body)
    gw.send("ann@gw.test", "far@remote.test", letter)
    (got,) = server.wait_messages(1)
    assert got.header("From") == "<ann@sales.local.test>"
    assert got.data.endswith(letter.replace(b"ann@gw.test", b"ann@sales.local.test", 1)
                             [letter.index(b"From: "):])


def test_route_tells_what_a_sender_becomes(gateway, peer):
    server = peer()
    gw = gateway(ROWS, routing(rules=[
        {"domain": "remote.test", "sender": "@sales.local.test", "transport": "smtp-out",
         "next_hops": [server.hop]},
        {"domain": "remote.test", "fail": "5.7.1 only sales may"}]))
    text = gw.cli("route", "--from", "ann@gw.test", "far@remote.test").stdout
    assert "(10-test.json#/routing/senders/0)  yes: sender ann@gw.test matches ann@gw.test; in the " \
        "envelope and header it becomes ann@sales.local.test\n" in text
    assert "=> envelope ann@sales.local.test, header ann@sales.local.test" in text
    assert f"=> transport smtp-out, next hops: {server.hop}" in text
    # What RCPT is answered, and where it goes then, is the same.
    gw.send("ann@gw.test", "far@remote.test", message())
    with gw.smtp() as client:
        client.mail("carl@vax.test")
        assert client.rcpt("far@remote.test")[0] == 550
    server.wait_messages(1)
    (said,) = gw.json("route", "--from", "carl@vax.test", "max@local.test")
    assert said["sender"] == "carl@vax.test"
    becomes = said["sender_becomes"]
    assert becomes["envelope"]["address"] == "carl@env.local.test"
    assert becomes["header"]["address"] == "carl@head.local.test"
    assert becomes["header"]["rule"]["pointer"] == "/routing/senders/2"
    assert [step["matched"] for step in becomes["trace"]] == [False, True, True]
    (said,) = gw.json("route", "max@local.test")
    assert "sender_becomes" not in said
    assert "\nsender 1 (10-test.json#/routing/senders/0): sender ann@gw.test or bob@ -> " \
        "*@sales.local.test in the envelope and header\n" in gw.cli("route", "--table").stdout


def test_check_warns_of_domains_whose_answers_go_elsewhere(gateway):
    gw = gateway(routing(senders=[{"sender": "ann@gw.test", "rewrite": "*@far.test"}]))
    done = gw.cli("check")
    assert "/routing/senders/0: far.test is not local here: answers to \"*@far.test\" go " \
        "elsewhere" in done.stderr
