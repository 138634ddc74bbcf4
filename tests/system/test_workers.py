"""Workers that die, and plugins that kill, block or burden them: everybody else's mail goes on."""
import glob
import json
import os
import re
import signal
import smtplib
import time

import pytest

from harness.base import port_open, wait_for
from harness.load import Load, numbers_of
from harness.mail import message
from harness.plugin import ODD, build

CRASH = {"worker.died", "worker.crashed", "message.suspected", "message.quarantined", "message.held",
         "job.deadline"}
SOON = 5  # seconds: what is meant is one, what a busy machine may need is more


@pytest.fixture
def odd(new_gateway, folder):
    """odd(SECTIONS...): a gateway with the plugin that misbehaves behind odd.test."""
    def make(*sections, start=True):
        build(os.path.join(folder, "odd"))
        gw = new_gateway({"transports": {"odd": {"plugin": "odd"}},
                          "routing": {"rules": [{"domain": ["odd.test"], "transport": "odd"}]}},
                         *sections)
        gw.add_plugins(os.path.join(folder, "odd"))
        # A crash is to be one, not a report of a sanitizer.
        gw.env["ASAN_OPTIONS"] = gw.env.get("ASAN_OPTIONS", "") + ":handle_segv=0:detect_leaks=0"
        gw.expected_errors |= CRASH
        return gw.start() if start else gw
    return make


def test_a_killed_worker_is_replaced_and_its_queue_delivered(gateway, peer, to):
    server = peer()
    server.close()
    gw = gateway(to(server.hop), {"server": {"workers": 2}})
    gw.expected_errors |= {"worker.died", "worker.crashed"}
    for i in range(30):
        gw.send("ann@client.test", f"user{i}@remote.test", message())
    for pid in gw.wait_workers(2):
        before = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        gw.wait_workers(2, without=[pid])
        assert time.monotonic() - before < SOON
    server.open()
    server.wait_messages(30)
    gw.wait_settled()
    assert len({m.rcpts[0] for m in server.messages()}) == 30 == len(server.messages())
    assert gw.status()["crashes"] == 2
    # The messages are nobody's fault: none is suspected.
    assert not gw.events("message.suspected")


def test_nobody_is_refused_while_a_worker_is_replaced(gateway, peer, to):
    server = peer()
    gw = gateway(to(server.hop), {"server": {"workers": 2}, "log": {"level": "notice"}})
    gw.expected_errors |= {"worker.died", "worker.crashed"}
    load = Load(gw.port, 10 ** 6).start()
    for kill in range(4):
        load.wait_acked(100 * (kill + 1))
        os.kill(gw.wait_workers(2)[kill % 2], signal.SIGKILL)
    load.wait_acked(600)
    load.stop()
    wait_for("all to arrive", lambda: load.acked <= set(numbers_of(server.messages())))
    gw.wait_settled()
    assert not load.refused
    assert load.acked <= set(numbers_of(server.messages()))


def test_without_a_supervisor_workers_end_and_a_new_one_adopts(gateway, peer, to):
    server = peer()
    server.close()
    gw = gateway(to(server.hop), {"server": {"workers": 3}})
    for i in range(30):
        gw.send("ann@client.test", f"user{i}@remote.test", message())
    pids = gw.wait_workers(3)
    os.kill(gw.process.pid, signal.SIGKILL)
    gw.process.wait()
    wait_for("the workers to end", lambda: not any(os.path.exists(f"/proc/{p}") for p in pids))
    assert not port_open(gw.port)
    gw.configure(to(server.hop), {"server": {"workers": 1}})
    gw.start()
    server.open()
    server.wait_messages(30)
    gw.wait_settled()
    assert len({m.rcpts[0] for m in server.messages()}) == 30 == len(server.messages())


def test_a_new_gateway_starts_beside_the_workers_of_a_killed_one(gateway, peer, to):
    """They finish what they hold; what they leave is adopted though nobody heard them go."""
    hold = []
    server = peer(lambda session, verb, line:
                  wait_for("the test", lambda: bool(hold)) and None if verb == "." else None)
    gw = gateway(to(server.hop), {"queue": {"destination_concurrency": 2}})
    for i in range(10):
        gw.send("ann@client.test", f"user{i}@remote.test", message())
    wait_for("deliveries under way", lambda: len(server.sessions) >= 2)
    os.kill(gw.process.pid, signal.SIGKILL)
    gw.process.wait()
    gw.start()
    gw.send("ann@client.test", "new@remote.test", message())
    hold.append(True)
    wait_for(lambda: f"11 messages\n{gw.log()}", lambda: len(server.messages()) >= 11)
    gw.wait_settled()
    assert len({m.rcpts[0] for m in server.messages()}) == 11 == len(server.messages())


def send_bad(gw, rcpt):
    """The worker may die before its answer leaves it. The queue id."""
    try:
        gw.send("ann@client.test", rcpt, message())
    except smtplib.SMTPServerDisconnected:
        pass
    return gw.wait_event("message.suspected")[0]["id"]


def check_held(gw, queue_id, why):
    gw.wait_event("message.held", id=queue_id)
    held = wait_for("the held message", lambda: gw.status() and gw.queue("--held"))
    assert [m["id"] for m in held] == [queue_id]
    assert re.search(why, str(held)), held


def check_notice(gw, queue_id):
    (notice,) = gw.wait_mail("postmaster")
    assert queue_id in notice.get_payload() and "odd" in notice.get_payload()


@pytest.mark.parametrize("how", ["crash", "thread"])
def test_a_message_that_crashes_a_plugin_twice_is_held(odd, how):
    gw = odd()
    before = time.monotonic()
    bad = send_bad(gw, f"{how}@odd.test")
    good = [gw_send_again(gw, f"user{i}@local.test") for i in range(5)]
    for i in range(5):
        gw.wait_mail(f"user{i}")
    # Two crashes are what it takes, whoever asked first.
    check_held(gw, bad, r"(?s)handled by odd .*signal 11.*Segmentation fault.*20\d\d-\d\d-\d\d")
    assert time.monotonic() - before < 2 * SOON + 5
    check_notice(gw, bad)
    assert gw.status()["crashes"] == 2
    assert len(set(good)) == 5
    # It stays held over a restart, and so does what it was held for.
    gw.restart()
    assert [m["id"] for m in gw.queue("--held")] == [bad]
    assert gw.status()["crashes"] == 0


def gw_send_again(gw, rcpt):
    """As a client does while the one worker there is comes back: until it is taken."""
    def send():
        try:
            return gw.send("ann@client.test", rcpt, message())
        except (OSError, smtplib.SMTPException):
            return None
    return wait_for(f"{rcpt} to be taken", send)


@pytest.mark.parametrize("how", ["crash", "loop"])
def test_what_was_logged_right_before_the_end_is_in_the_log(odd, how):
    """Info lines are gathered for a while: who dies in between still writes them."""
    gw = odd({"server": {"watchdog": "1s"}})
    gw.expected_errors |= {"worker.stuck"}
    bad = send_bad(gw, f"{how}@odd.test")
    assert gw.events("smtp.accept", id=bad)
    assert gw.events("odd.takes", rcpt=f"{how}@odd.test")
    gw.wait_event("message.held", id=bad)
    # Each line is there once, and whole.
    assert len(gw.events("odd.takes")) == 2 == len(gw.events("worker.died"))


def test_a_released_message_has_two_tries_again(odd, folder):
    gw = odd()
    bad = send_bad(gw, "crash@odd.test")
    gw.wait_event("message.held", id=bad)
    # The plugin is mended.
    build(os.path.join(folder, "odd"), source=ODD.replace('"crash"', '"other"'))
    gw.cli("reload")
    wait_for("the shard to be adopted", lambda: [m["id"] for m in gw.queue("--held")] == [bad])
    gw.cli("queue", "release", "--held")
    gw.wait_event("deliver.delivered", id=bad)
    gw.wait_empty()


def test_others_of_the_same_plugin_are_delivered(odd):
    gw = odd({"queue": {"destination_concurrency": 5}})
    bad = send_bad(gw, "crash@odd.test")
    good = [gw_send_again(gw, f"fine{i}@odd.test") for i in range(20)]
    gw.wait_event("message.held", id=bad)
    for queue_id in good:
        gw.wait_event("deliver.delivered", id=queue_id)
    assert [m["id"] for m in gw.queue("--held")] == [bad]


def test_many_suspects_at_once_do_not_keep_the_worker_from_starting(odd):
    """A crash in a pool thread while a hundred are in flight: each of them may have been it."""
    gw = odd({"queue": {"destination_concurrency": 200, "concurrency": 400},
              "server": {"grace": "100ms"}})
    stuck = [gw.send("ann@client.test", f"never{i}@odd.test", message()) for i in range(120)]
    wait_for("all in flight", lambda: gw.status()["queue"]["in_flight"] >= 120)
    send_bad(gw, "thread@odd.test")
    gw.wait_event("message.suspected", count=100)
    gw.wait_workers(1)
    done = gw_send_again(gw, "fine@odd.test")
    gw.wait_event("deliver.delivered", id=done)
    assert len(gw.queue()) >= len(stuck)
    gw.cli("queue", "remove", "--all")


def test_a_plugin_that_blocks_the_loop_is_named_with_a_stack(odd, folder):
    gw = odd({"server": {"watchdog": "1s"}}, start=False)
    gw.write_config("20-log.json", {"log": {"file": gw.log_file}})
    gw.start(stderr=os.path.join(folder, "stderr"))  # the stack goes where the log goes
    gw.expected_errors |= {"worker.stuck"}
    bad = send_bad(gw, "loop@odd.test")
    gw.wait_event("worker.stuck", **{"in": "odd"})
    wait_for("a stack in the log", lambda: "odd_stands_still" in gw.log())
    check_held(gw, bad, "handled by odd .*signal 6")
    gw_send_again(gw, "user@local.test")
    gw.wait_mail("user")


def test_what_a_worker_is_doing_now_is_seen_although_it_stands_still(odd):
    gw = odd({"server": {"workers": 2}})
    held = gw.send("ann@client.test", "never@odd.test", message())
    gw.wait_event("odd.takes", rcpt="never@odd.test")
    (holding,) = [h for w in gw.status()["workers"] for h in w["holding"]]
    assert (holding["id"], holding["plugin"]) == (held, "odd") and holding["seconds"] >= 0
    assert all(w["doing"] is None or w["doing"]["plugin"] for w in gw.status()["workers"])
    assert f"odd holds {held} for " in gw.cli("status").stdout
    client = gw.smtp()
    client.mail("ann@client.test")
    client.rcpt("loop@odd.test")
    client.docmd("DATA")
    client.send(message() + b"\r\n.\r\n")  # whether the answer still comes is of no matter

    def seen():
        done = gw.cli("status", "--json", code=None)
        # The supervisor may have been asked a moment before it began.
        return done if done.returncode == 75 and '"doing": {' in done.stdout else None
    done = wait_for("a worker that does not answer", seen)
    client.close()
    assert "does not answer" in done.stderr
    (doing,) = [w["doing"] for w in json.loads(done.stdout)["workers"] if w["doing"]]
    (looping,) = [h["id"] for w in json.loads(done.stdout)["workers"] for h in w["holding"]
                  if h["id"] != held]
    assert (doing["plugin"], doing["id"]) == ("odd", looping)
    assert f"in odd with {looping} for " in gw.cli("status", code=75).stdout
    gw.kill()  # it would stand still for the whole watchdog's time


def test_mail_for_others_goes_on_whatever_a_plugin_does(odd, peer):
    """One message kills its worker, one stands still, some leak; a steady stream passes by."""
    server = peer()
    gw = odd({"server": {"workers": 2, "watchdog": "1s", "memory_max": "400M"},
              "routing": {"rules": [
                  {"domain": ["odd.test"], "transport": "odd"},
                  {"domain": ["*"], "transport": "smtp-out", "next_hops": [server.hop]}]}})
    gw.expected_errors |= {"worker.stuck"}
    load = Load(gw.port, 10 ** 6, threads=4).start()
    load.wait_acked(100)
    for how in ("crash", "loop"):
        bad = gw_send_again_lost(gw, f"{how}@odd.test")
        acked = len(load.acked)
        load.wait_acked(acked + 200)
        gw.wait_event("message.held", id=bad)
        load.wait_acked(len(load.acked) + 100)
    while not gw.events("worker.memory"):
        gw_send_again(gw, "leak@odd.test")
    gw.wait_event("gateway.reloaded")
    load.wait_acked(len(load.acked) + 200)
    load.stop()
    gw.wait_workers(2)
    wait_for("all to arrive", lambda: load.acked <= set(numbers_of(server.messages())))
    # Nobody heard more than what every worker says that is replaced in good order.
    assert all(text.startswith("421 ") for text in load.refused), load.refused
    # The shards of the last who left may be on their way to others.
    wait_for("the two to be there, on hold", lambda: len(gw.queue("--held")) == 2)


def gw_send_again_lost(gw, rcpt):
    """Sends what kills its worker, perhaps before the answer is out: the id it is suspected by."""
    known = {e["id"] for e in gw.events("message.suspected")}
    try:
        gw.send("ann@client.test", rcpt, message())
    except (OSError, smtplib.SMTPException):
        pass
    return wait_for("the message to be suspected",
                    lambda: {e["id"] for e in gw.events("message.suspected")} - known).pop()


def test_a_delivery_that_never_ends_meets_its_deadline(odd):
    gw = odd({"server": {"delivery_deadline": "300ms"}, "queue": {"retry": ["1h"]}})
    queue_id = gw.send("ann@client.test", "never@odd.test", message())
    (event, *_) = gw.wait_event("job.deadline", id=queue_id)
    assert "odd" in str(event)
    gw.send("ann@client.test", "user@local.test", message())
    gw.wait_mail("user")
    assert gw.queued_rcpts()["never@odd.test"]["state"] == "waiting"


def test_a_worker_that_grows_is_replaced_gracefully(odd):
    gw = odd({"server": {"memory_max": "300M"}})
    (old,) = gw.wait_workers(1)
    # What is on disk now is not what was asked for: it must not come into force by itself.
    gw.write_config("20-broken.json", "{")
    for i in range(5):
        gw.send("ann@client.test", f"leak{i}@odd.test", message())
    gw.wait_event("worker.memory")
    gw.wait_event("worker.ready", count=2)
    os.remove(os.path.join(gw.confd, "20-broken.json"))
    gw.wait_workers(1, without=[old])
    assert not gw.events("gateway.reload_failed")
    gw.wait_empty()
    assert gw.status()["crashes"] == 0


def test_shards_are_folders_and_none_is_left_locked(gateway):
    gw = gateway({"server": {"workers": 2}})
    gw.wait_workers(2)
    gw.stop()
    assert len(glob.glob(os.path.join(gw.spool, "shard-*"))) >= 2
    gw.start()
    gw.wait_workers(2)
