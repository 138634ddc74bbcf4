"""The operator's hand on the queue: list, show, retry, hold, release, remove; and status."""
import json
import os
import pwd
import shutil
import subprocess

import pytest

from harness.base import POSTERN, wait_for
from harness.mail import message


@pytest.fixture
def waiting(gateway, peer, to):
    """A gateway whose server is away, with three messages that wait for a long time."""
    server = peer()
    server.close()
    gw = gateway(to(server.hop, "one.test", "two.test"),
                 {"queue": {"retry": ["1h"], "dead_min": "1h", "dead_max": "1h"}})
    gw.server = server
    gw.ids = [gw.send("ann@client.test", ["bob@one.test"], message("first"))]
    gw.wait_event("destination.dead")
    gw.ids += [gw.send("eve@client.test", ["bob@one.test", "joe@two.test"], message("second")),
               gw.send("", ["joe@two.test"], message("third"))]

    def parked():
        states = gw.queued_rcpts().values()
        return len(gw.queue()) == 3 and all(
            r["reason"] in ("backoff", "host unreachable") for r in states)
    wait_for("three messages to wait", parked)
    return gw


def test_list_shows_age_tries_next_try_and_reason(waiting):
    listed = waiting.queue()
    assert [m["id"] for m in listed] == waiting.ids
    assert [m["sender"] for m in listed] == ["ann@client.test", "eve@client.test", ""]
    first = listed[0]["recipients"][0]
    assert first["recipient"] == "bob@one.test"
    assert first["state"] == "waiting" and first["tries"] == 1
    assert first["reason"] == "backoff"
    assert 3000 < first["next_try_in"] <= 3600
    assert first["status"] == "4.4.1"
    assert "refused" in first["text"]
    assert 0 <= listed[0]["age"] < 600 and listed[0]["size"] > 100
    assert listed[1]["recipients"][1]["reason"] == "host unreachable"
    text = waiting.cli("queue", "list").stdout
    for word in (*waiting.ids, "bob@one.test", "tries 1", "backoff", "next try in",
                 "<eve@client.test>"):
        assert word in text, word


def test_list_chooses_by_id_recipient_domain_and_sender(waiting):
    def ids(*args):
        return [m["id"] for m in waiting.queue(*args)]
    first, second, third = waiting.ids
    assert ids(second) == [second]
    assert ids("--id", third) == [third]
    assert ids("bob@one.test") == [first, second]
    assert ids("--recipient", "*@two.test") == [second, third]
    assert ids("--domain", "two.test") == [second, third]
    assert ids("--sender", "eve@client.test") == [second]
    assert ids("--sender", "<>") == [third]
    assert ids("--domain", "one.test", "--sender", "ann@*") == [first]
    assert ids("--limit", "2") == [first, second]
    assert ids("--held") == []
    assert ids("nobody@one.test") == []


def test_the_spool_of_a_gateway_that_is_down_can_be_listed(waiting):
    online = waiting.queue()
    waiting.stop()
    offline = waiting.queue()
    assert [m["id"] for m in offline] == waiting.ids
    for a, b in zip(online, offline):
        assert a["sender"] == b["sender"] and a["size"] == b["size"]
        for x, y in zip(a["recipients"], b["recipients"]):
            for key in ("recipient", "state", "tries"):
                assert x[key] == y[key], key
            if x["tries"]:
                assert (x["status"], x["text"]) == (y["status"], y["text"])
    assert [m["id"] for m in waiting.queue("--domain", "two.test")] == waiting.ids[1:]
    assert "joe@two.test" in waiting.cli("queue", "list").stdout
    assert len(waiting.json("queue", "show", waiting.ids[0])) == 1
    # Acting needs a gateway, and the message says so.
    done = waiting.cli("queue", "remove", waiting.ids[0], code=69)
    assert "is 'postern run' running" in done.stderr
    # Looking has changed nothing.
    waiting.start()
    assert [m["id"] for m in waiting.queue()] == waiting.ids


def test_a_killed_gateways_spool_can_be_listed(waiting):
    waiting.kill()
    assert [m["id"] for m in waiting.queue()] == waiting.ids
    waiting.start()
    assert [m["id"] for m in waiting.queue()] == waiting.ids


def test_show_tells_everything_of_one_message(waiting):
    (shown,) = waiting.json("queue", "show", waiting.ids[1])
    assert len(shown["recipients"]) == 2
    assert shown["ingress"] == "smtp-in" and "client.test [127.0.0.1]" in shown["client"]
    text = waiting.cli("queue", "show", waiting.ids[1]).stdout
    assert "rule 1" in text and "joe@two.test" in text
    assert "no such message" in waiting.cli("queue", "show", "AAAAAAAAAAA", code=65).stdout


def test_retry_probes_a_dead_server_at_once(waiting):
    waiting.server.open()
    waiting.cli("queue", "retry", waiting.ids[0])
    assert waiting.server.wait_messages(1)[0].header("Subject") == "first"
    waiting.cli("queue", "retry", "--all")
    waiting.server.wait_messages(3)
    waiting.wait_empty()
    assert waiting.events("queue.retry", id=waiting.ids[0], to="bob@one.test")


def test_hold_release_and_remove_by_id_recipient_and_domain(waiting):
    first, second, third = waiting.ids
    gw = waiting
    assert gw.json("queue", "hold", "--domain", "two.test", "--why", "two.test is moving") == \
        {"touched": 2}
    held = gw.queue("--held")
    assert [m["id"] for m in held] == [second, third]
    assert gw.queued_rcpts("--id", third)["joe@two.test"]["text"] == "two.test is moving"
    # One recipient of the second message is on hold, the other is not.
    assert [r["state"] for r in held[0]["recipients"]] == ["waiting", "held"]
    gw.server.open()
    gw.cli("queue", "retry", "--all")
    gw.server.wait_messages(2)
    gw.restart()
    assert [m["id"] for m in gw.queue()] == [second, third]
    assert gw.json("queue", "remove", "--id", third, "--why", "never asked for") == {"touched": 1}
    assert [m["id"] for m in gw.queue()] == [second]
    assert gw.json("queue", "release", "joe@two.test") == {"touched": 1}
    gw.server.wait_messages(3)
    gw.wait_empty()
    assert [m.header("Subject") for m in gw.server.messages()][2:] == ["second"]
    (removed,) = gw.events("queue.remove", id=third)
    assert removed["to"] == "joe@two.test" and removed["why"] == "never asked for"
    gw.restart()
    assert gw.queue() == []


def test_an_action_that_touches_nothing_says_so(waiting):
    assert waiting.cli("queue", "remove", "nobody@one.test", code=65).stdout == \
        "remove: 0 recipients\n"
    assert "which messages" in waiting.cli("queue", "remove", code=64).stderr
    for limit in ("many", "-1", "0", "10x", ""):
        assert "--limit" in waiting.cli("queue", "list", "--limit", limit, code=64).stderr
    assert "unknown action" in waiting.cli("queue", "destroy", "--all", code=64).stderr
    assert len(waiting.queue()) == 3


def test_status_counts(waiting):
    queue = waiting.json("status")["queue"]
    assert queue["messages"] == 3 and queue["accepted"] == 3
    assert queue["delivered"] == 0 and queue["deferred"] >= 1
    assert sum(queue["waiting"].values()) == 4
    (dest,) = queue["destinations"]
    assert dest["destination"] == waiting.server.hop and "refused" in dest["dead"]
    text = waiting.cli("status").stdout
    assert "3 messages" in text and "dead" in text
    waiting.server.open()
    waiting.cli("queue", "retry", "--all")
    waiting.wait_empty()
    queue = waiting.json("status")["queue"]
    assert queue["delivered"] == 4 and sum(queue["waiting"].values()) == 0
    wait_for("the spool to forget them",
             lambda: waiting.json("status")["spool"]["live_messages"] == 0)


def test_status_of_nobody(new_gateway):
    gw = new_gateway()
    assert "is 'postern run' running" in gw.cli("status", code=69).stderr


def test_an_empty_queue_says_so(gateway):
    gw = gateway()
    assert gw.cli("queue", "list").stdout == "the queue is empty\n"
    assert gw.queue() == []
    gw.stop()
    assert gw.cli("queue", "list").stdout == "the queue is empty\n"
    assert gw.queue() == []


def test_a_long_queue_is_listed_whole(gateway, peer, to):
    server = peer()
    server.close()
    gw = gateway(to(server.hop, "remote.test"))
    gw.command(["smtp-source", "-m", "1200", "-s", "10", "-f", "ann@client.test",
                "-t", "many@remote.test", f"127.0.0.1:{gw.port}"])
    ids = [m["id"] for m in gw.queue()]
    assert len(ids) == len(set(ids)) == 1200
    assert len(gw.queue("--limit", "700")) == 700


def test_two_gateways_cannot_own_one_spool(new_gateway):
    one = new_gateway().start()
    two = new_gateway({"spool": {"path": one.spool}})
    done = two.cli("run", code=75)
    assert "spool" in done.stderr
    one.send("ann@client.test", "bob@local.test", message())
    one.wait_mail("bob")


def test_json_of_every_listing_is_json(waiting):
    for words in (["queue", "list"], ["status"], ["plugin", "list"], ["plugin", "info", "smtp-out"],
                  ["route", "a@b.test"], ["check"]):
        json.loads(waiting.cli(*words, "--json").stdout)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can ask as somebody else")
def test_other_users_may_send_and_nothing_else(waiting, folder):
    gw = waiting
    for path in (folder, gw.folder):
        os.chmod(path, 0o711)
    # The build may stand where other users can't go (/root).
    program = shutil.copy(POSTERN, os.path.join(folder, "postern"))

    def as_nobody(*words, stdin=b""):
        done = subprocess.run([program, *words], input=stdin, user="nobody", group="nogroup",
                              extra_groups=[], env=dict(gw.env, POSTERN_CONFIG=gw.confd),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        return done.returncode, (done.stdout + done.stderr).decode()

    for words in (["queue", "list"], ["queue", "show", gw.ids[0]], ["queue", "remove", "--all"],
                  ["queue", "hold", "--all"], ["status"]):
        code, said = as_nobody(*words)
        assert code == 77, (words, code, said)
        assert "bob@one.test" not in said
    assert len(gw.queue()) == 3 and not gw.queue("--held")
    code, said = as_nobody("send", "-f", "ann@local.test", "joe@local.test",
                           stdin=b"Subject: from a user\n\nx\n")
    assert code == 0, said
    (got,) = gw.wait_mail("joe")
    assert f"from userid {pwd.getpwnam('nobody').pw_uid}" in " ".join(got["Received"].split())
    # And what lies on the disk is for the gateway alone.
    assert os.stat(gw.spool).st_mode & 0o077 == 0
