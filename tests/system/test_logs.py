"""One event a line; one grep by queue id tells the story of a message."""
import json
import os

from harness.base import wait_for
from harness.mail import message


def test_one_grep_by_queue_id_tells_the_story(gateway, peer, to):
    tries = []

    def grey(_, verb, line):
        if verb == "RCPT":
            tries.append(line)
            return "451 4.7.1 come again" if len(tries) == 1 else None
        return None

    server = peer(grey)
    gw = gateway(to(server.hop, "remote.test"))
    queue_id = gw.send("ann@client.test", "bob@remote.test", message())
    server.wait_messages(1)
    gw.wait_empty()
    lines = [line for line in gw.log().splitlines() if queue_id in line]
    assert [line.split()[3] for line in lines] == \
        ["smtp.accept", "deliver.deferred", "deliver.delivered"]
    accept, deferred, delivered = gw.events(id=queue_id)
    assert accept["from"] == "<ann@client.test>" and accept["client"] == "127.0.0.1"
    assert accept["part"] == "smtp-in"
    assert deferred["part"] == "smtp-out" and deferred["status"] == "4.7.1"
    assert delivered["to"] == "bob@remote.test" and "127.0.0.1" in delivered["remote"]
    assert delivered["status"].startswith("2.") and delivered["delay"].endswith("s")
    # What the gateway calls it, the other side can find in its own logs, too.
    assert "2.0.0 Taken" in delivered["reply"]


def test_a_bounce_names_the_message_it_is_about(gateway, peer, to):
    server = peer(lambda session, verb, line: "550 5.1.1 no" if verb == "RCPT" else None)
    gw = gateway(to(server.hop, "remote.test"))
    queue_id = gw.send("ann@local.test", "bob@remote.test", message())
    gw.wait_mail("ann")
    (bounce,) = gw.events("bounce.sent", about=queue_id)
    assert bounce["to"] == "ann@local.test"
    assert gw.events("deliver.delivered", id=bounce["id"], to="ann@local.test")


def test_a_refused_recipient_is_logged_with_the_client(gateway):
    gw = gateway({"ingress": {"smtp-in": {"relay_from": ["192.0.2.0/24"]}}})
    with gw.smtp() as client:
        client.mail("ann@client.test")
        client.rcpt("victim@remote.test")
    (reject,) = gw.wait_event("smtp.reject")
    assert reject["client"] == "127.0.0.1" and "victim@remote.test" in reject["to"]


def test_peers_cannot_forge_log_lines(gateway, peer, to):
    server = peer(lambda session, verb, line:
                  '550 5.1.1 no" \x1b[31m id=FORGED event=x' if verb == "RCPT" else None)
    gw = gateway(to(server.hop, "remote.test"))
    gw.send('"x id=FORGED y"@local.test', "bob@remote.test", message())
    gw.wait_event("bounce.sent")
    gw.wait_empty()
    assert "\x1b" not in gw.log()
    assert not gw.events(id="FORGED")
    for line in gw.log().splitlines():
        assert line.split(" ")[0].endswith("Z"), line


def test_json_has_the_same_events_with_the_same_names(new_gateway, peer, to):
    server = peer()
    gw = new_gateway()
    text_log, gw.log_file = gw.log_file, os.path.join(gw.folder, "events.json")
    gw.configure(to(server.hop, "remote.test"), {"log": {"format": "json", "file": gw.log_file}})
    gw.start(stderr=text_log)

    def events():
        return [json.loads(line) for line in gw.log().splitlines()]

    queue_id = gw.send('"odd \\" one"@client.test', ["bob@remote.test", "eve@local.test"],
                       message())
    server.wait_messages(1)
    gw.wait_empty()
    wait_for("the log", lambda: sum(e.get("id") == queue_id for e in events()) >= 3)
    story = [e for e in events() if e.get("id") == queue_id]
    assert [e["event"] for e in story] == ["smtp.accept", "deliver.delivered", "deliver.delivered"]
    assert {e["to"] for e in story[1:]} == {"bob@remote.test", "eve@local.test"}
    for event in events():
        assert set(event) >= {"time", "level", "part", "event"}
        assert event["time"].endswith("Z") and event["level"] in ("notice", "info", "warning")
    assert '"odd \\" one"@client.test' in story[0]["from"]
    gw.stop()
    assert events()[-1]["event"] == "gateway.stopped"
    with open(text_log, encoding="utf-8") as file:
        assert file.read() == ""


def test_the_level_decides_what_is_written(gateway):
    gw = gateway({"log": {"level": "notice"}})
    gw.send("ann@client.test", "bob@local.test", message())
    gw.wait_empty()
    assert not gw.events("smtp.accept") and gw.events("gateway.ready")


def test_debug_tells_of_connections(gateway):
    gw = gateway({"log": {"level": "debug"}})
    gw.send("ann@client.test", "bob@local.test", message())
    gw.wait_empty()
    assert gw.wait_event("smtp.connect") and gw.wait_event("smtp.disconnect")


def test_a_log_that_cannot_be_opened_is_an_error_at_start(new_gateway):
    gw = new_gateway({"log": {"file": "/nonexistent/folder/log"}})
    done = gw.cli("run", code=73)
    assert "/nonexistent/folder/log" in done.stderr
