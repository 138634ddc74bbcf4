"""The operator's rules, and that `postern route` says what delivery then does."""
import pytest

from harness.base import wait_for
from harness.mail import message


def one(gw, address, *args, code=0):
    (answer,) = gw.json("route", address, *args, code=code)
    return answer


def rules(*list_of_rules, **more):
    return {"routing": {"rules": list(list_of_rules), **more}}


CASES = [
    # recipient, sender, what the rules below make of it
    ("bob@exact.test", "ann@client.test", ("exact", None)),
    ("bob@EXACT.test", "ann@client.test", ("exact", None)),
    ("bob@sub.exact.test", "ann@client.test", ("default", None)),
    ("bob@deep.down.below.test", "ann@client.test", ("below", None)),
    ("bob@below.test", "ann@client.test", ("default", None)),
    ("bob@mail7.glob.test", "ann@client.test", ("glob", None)),
    ("bob@mail.glob.test", "ann@client.test", ("default", None)),
    ("bob@other.test", "boss@client.test", ("boss", None)),
    ("bob@other.test", "", ("null", None)),
    ("bob@old.test", "ann@client.test", ("exact", "bob@exact.test")),
    ("sales@both.test", "ann@client.test", ("both", None)),
    ("bob@both.test", "ann@client.test", ("default", None)),
]


def test_each_kind_of_match_sends_mail_where_route_says(gateway, peer):
    servers = {name: peer()
               for name in ("exact", "below", "glob", "boss", "null", "both", "default")}
    hop = {name: {"transport": "smtp-out", "next_hops": [server.hop]}
           for name, server in servers.items()}
    gw = gateway(rules({"domain": "exact.test", **hop["exact"]},
                       {"domain": ".below.test", **hop["below"]},
                       {"domain": "mail?.glob.test", **hop["glob"]},
                       {"recipient": "*@old.test", "rewrite": "*@exact.test"},
                       {"recipient": "sales@*", "domain": "both.test", **hop["both"]},
                       {"recipient": "*", "sender": "boss@client.test", **hop["boss"]},
                       {"recipient": "*", "sender": "<>", **hop["null"]},
                       default=hop["default"]))
    expected = {name: [] for name in servers}
    for rcpt, sender, (where, rewritten) in CASES:
        decision = one(gw, rcpt, "--from", sender or "<>")["decision"]
        assert decision["action"] == "transport"
        assert decision["next_hops"] == [servers[where].hop], (rcpt, decision)
        assert decision["recipient"] == (rewritten or rcpt)
        expected[where].append((sender, [decision["recipient"]]))
        gw.send(sender, rcpt, message())
    gw.wait_empty()
    for name, server in servers.items():
        got = [(m.sender, m.rcpts) for m in server.messages()]
        assert sorted(got) == sorted(expected[name]), name
    # The decision that was taken is in the log, with where it stands.
    assert len(gw.events("deliver.delivered")) == len(CASES)


def test_the_first_rule_that_matches_decides_over_all_files(new_gateway, peer):
    first, second = peer(), peer()
    gw = new_gateway(files={
        "30-second.json": rules({"domain": "remote.test", "transport": "smtp-out",
                                 "next_hops": [second.hop]}),
        "20-first.json": rules({"domain": "remote.test", "transport": "smtp-out",
                                "next_hops": [first.hop], "comment": "the first file wins"})})
    gw.start()
    answer = one(gw, "bob@remote.test")
    assert answer["decision"]["rule"]["file"].endswith("20-first.json")
    assert answer["decision"]["rule"]["pointer"] == "/routing/rules/0"
    assert answer["decision"]["rule"]["comment"] == "the first file wins"
    text = gw.cli("route", "bob@remote.test").stdout
    assert "20-first.json#/routing/rules/0" in text and "the first file wins" in text
    assert f"=> transport smtp-out, next hops: {first.hop}" in text
    gw.send("ann@client.test", "bob@remote.test", message())
    first.wait_messages(1)
    gw.wait_empty()
    assert not second.messages()


def test_the_trace_tells_of_every_rule_up_to_the_one_that_decides(gateway):
    gw = gateway(rules({"domain": "a.test", "discard": True}, {"domain": "b.test", "hold": "wait"},
                       {"domain": "c.test", "fail": "no"}))
    answer = one(gw, "bob@b.test")
    assert [s["matched"] for s in answer["trace"]] == [False, True]
    assert "a.test" in answer["trace"][0]["text"]
    answer = one(gw, "bob@local.test")
    assert [s["matched"] for s in answer["trace"]] == [False, False, False, True]
    assert answer["trace"][-1]["what"] == "local domain"
    assert one(gw, "bob@elsewhere.test")["trace"][-1]["what"] == "default"


def test_hold_keeps_until_it_is_released(gateway, peer):
    server = peer()
    gw = gateway(rules({"domain": "remote.test", "hold": "the auditors look at it first"}))
    assert one(gw, "bob@remote.test")["decision"]["action"] == "hold"
    gw.send("ann@client.test", "bob@remote.test", message("held"))
    held = wait_for("the message to be held", lambda: gw.queued_rcpts("--held"))
    assert held["bob@remote.test"]["reason"] == "held"
    assert "the auditors look at it first" in held["bob@remote.test"]["text"]
    gw.stop()
    # Released, it is routed afresh, and the rule is another one now.
    gw.configure(rules({"domain": "remote.test", "transport": "smtp-out",
                        "next_hops": [server.hop]}))
    gw.start()
    assert list(gw.queued_rcpts("--held")) == ["bob@remote.test"]
    gw.cli("queue", "release", "bob@remote.test")
    assert server.wait_messages(1)[0].header("Subject") == "held"
    gw.wait_empty()


def test_what_is_released_goes_past_the_rule_that_holds(gateway):
    hold = {"recipient": ["ann@local.test", "bob@local.test"], "hold": "look"}
    gw = gateway(rules(hold))
    queue_id = gw.send("me@client.test", ["ann@local.test", "bob@local.test"], message("held"))
    wait_for("both to be held", lambda: len(gw.queued_rcpts("--held")) == 2)
    gw.restart()
    gw.cli("queue", "release", queue_id, "ann@local.test")
    gw.wait_mail("ann")
    assert list(gw.queued_rcpts("--held")) == ["bob@local.test"] and not gw.messages("bob")


def test_discard_accepts_and_throws_away(gateway):
    gw = gateway(rules({"recipient": "noreply@local.test", "discard": True}))
    assert one(gw, "noreply@local.test")["decision"]["action"] == "discard"
    queue_id = gw.send("ann@client.test", ["noreply@local.test", "bob@local.test"], message())
    gw.wait_mail("bob")
    gw.wait_empty()
    assert gw.events("deliver.discarded", id=queue_id, to="noreply@local.test")
    assert not gw.messages("noreply") and not gw.messages("ann")


def test_fail_is_told_by_route_and_refused_by_the_server(gateway):
    gw = gateway(rules({"domain": "remote.test", "fail": "5.7.1 not from here"}))
    decision = one(gw, "bob@remote.test", code=67)["decision"]
    assert (decision["action"], decision["status"], decision["text"]) == \
        ("fail", "5.7.1", "not from here")
    text = gw.cli("route", "bob@remote.test", code=67).stdout
    assert "=> fail 5.7.1: not from here" in text
    with gw.smtp() as client:
        client.mail("ann@client.test")
        code, said = client.rcpt("bob@remote.test")
        assert code == 550 and said.startswith(b"5.7.1") and b"not from here" in said


def test_a_rule_that_fails_by_its_sender_bounces_what_is_queued_already(gateway, peer, to):
    """The server refuses at RCPT; what came in before the rule was written is returned."""
    server = peer()
    server.close()
    gw = gateway(to(server.hop, "remote.test"))
    gw.send("ann@local.test", "bob@remote.test", message("early"))
    gw.stop()
    gw.configure(rules({"domain": "remote.test", "fail": "5.7.1 not any more"}))
    gw.start()
    (report,) = gw.wait_mail("ann")
    assert "not any more" in str(report) and "Status: 5.7.1" in str(report)
    gw.wait_empty()


def test_rewriting_chains_and_local_rewrites_arrive(gateway):
    gw = gateway(rules({"recipient": "info@local.test", "rewrite": "sales@local.test"},
                       {"recipient": "sales@local.test", "rewrite": "bob@local.test"}))
    answer = one(gw, "info@local.test")
    assert answer["decision"]["recipient"] == "bob@local.test"
    gw.send("ann@client.test", "info@local.test", message("for sales"))
    (got,) = gw.wait_mail("bob")
    assert got["Subject"] == "for sales"
    gw.wait_empty()
    (done,) = gw.events("deliver.delivered")
    assert (done["to"], done["as"]) == ("info@local.test", "bob@local.test")


def test_a_rewrite_that_never_ends_is_found_before_the_start(new_gateway):
    gw = new_gateway(rules({"recipient": "a@x.test", "rewrite": "b@x.test"},
                           {"recipient": "b@x.test", "rewrite": "a@x.test"}))
    done = gw.cli("check", code=78)
    assert "/routing/rules/0/rewrite" in done.stderr and "circles" in done.stderr


def test_mended_rules_mend_the_mail_that_waits(new_gateway, peer, to):
    server = peer()
    gw = new_gateway(to("[127.0.0.1]:9", "remote.test"))
    gw.start()
    gw.send("ann@client.test", "bob@remote.test", message("patient"))
    gw.wait_event("deliver.deferred", to="bob@remote.test")
    gw.stop()
    gw.configure(to(server.hop, "remote.test"))
    gw.start()
    assert server.wait_messages(1)[0].header("Subject") == "patient"
    gw.wait_empty()


def test_the_decision_is_written_with_the_outcome(gateway, to):
    gw = gateway(to("[127.0.0.1]:9", "remote.test"))
    queue_id = gw.send("ann@client.test", "bob@remote.test", message())
    gw.wait_event("deliver.deferred", to="bob@remote.test")
    (shown,) = gw.json("queue", "show", queue_id)
    decision = shown["recipients"][0]["decision"]
    assert "10-test.json#/routing/rules/0" in decision and "[127.0.0.1]:9" in decision
    gw.stop()  # and is known after the end, too
    (shown,) = gw.json("queue", "show", queue_id)
    assert shown["recipients"][0]["decision"] == decision


@pytest.mark.parametrize("address", ["no at sign here", "a@", "@b.test", "a@b..test",
                                     "a@-b_.test\x01"])
def test_route_says_what_is_wrong_with_an_address(gateway, address):
    gw = gateway()
    done = gw.cli("route", address, code=65)
    assert done.stderr.startswith("postern: ") and len(done.stderr.splitlines()) == 1
    assert "=>" not in done.stdout


def test_route_needs_an_address(gateway):
    gw = gateway()
    assert "no address" in gw.cli("route", code=64).stderr
    assert gw.cli("route", "a@b.test", "--nonsense", code=64).stdout == ""
