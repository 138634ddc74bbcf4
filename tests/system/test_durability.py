"""A message that was answered with 250 arrives, whatever happens to the gateway."""
import glob
import json
import os
import random

import pytest

from harness.base import wait_for
from harness.load import Load, numbers_of
from harness.mail import message


def survives(gateway, peer, to, total, kills, threads, report):
    """TOTAL messages while the destination is down, KILLS times SIGKILL meanwhile."""
    server = peer()
    server.close()
    gw = gateway(to(server.hop), {"log": {"level": "notice"}})
    load = Load(gw.port, total, threads).start()
    for kill in range(kills):
        load.wait_acked(total * (kill + 1) // (kills + 1))
        gw.kill()
        gw.start()
    load.wait()
    assert not load.refused, load.refused
    assert load.acked == set(range(total))
    gw.restart()
    # The shards of those that were killed are read beside other work.
    wait_for("all of them to be queued again",
             lambda: gw.json("status")["queue"]["messages"] >= total)
    server.open()
    wait_for(lambda: f"{total} messages, there are {len(numbers_of(server.messages()))}",
             lambda: len(numbers_of(server.messages())) >= total, patience=240)
    gw.wait_empty()
    check(load, numbers_of(server.messages()), kills * threads, report)
    return gw


def check(load, arrived, doubtful_max, report):
    duplicates = {number for number, times in arrived.items() if times > 1}
    report("messages", load.total)
    report("duplicates", len(duplicates))
    assert not load.acked - set(arrived), "answered with 250, and lost"
    # Those, and only those, whose answer was lost in a kill.
    assert duplicates <= load.uncertain
    assert len(load.uncertain) <= doubtful_max


def test_a_thousand_messages_survive_three_kills(gateway, peer, to, record_property):
    survives(gateway, peer, to, 1000, 3, 8, record_property)


@pytest.mark.slow
def test_twenty_thousand_messages_survive_ten_kills(gateway, peer, to, record_property, capsys):
    told = {}

    def report(key, value):
        told[key] = value
        record_property(key, value)

    gw = survives(gateway, peer, to, 20000, 10, 20, report)
    with capsys.disabled():
        print(f"\n20000 messages, 10 kills: all arrived, {told['duplicates']} of them twice")
    # Nothing stays behind in the spool, either.
    wait_for("the spool to shrink", lambda: gw.json("status")["spool"]["segments"] <= 2)


def test_a_kill_in_the_midst_of_delivery_repeats_only_what_was_in_flight(gateway, peer, to,
                                                                         record_property):
    concurrency, kills, total = 5, 3, 900
    server = peer()
    server.close()
    gw = gateway(to(server.hop), {"log": {"level": "notice"},
                                  "queue": {"destination_concurrency": concurrency}})
    Load(gw.port, total).start().wait()
    server.open()
    gw.cli("queue", "retry", "--all", code=None)  # it may be under way already
    for kill in range(kills):
        wait_for("some deliveries",
                 lambda: len(server.messages()) >= total * (kill + 1) // (kills + 2))
        gw.kill()
        gw.start()
    wait_for("all messages", lambda: len(numbers_of(server.messages())) == total)
    gw.wait_empty()
    duplicates = sum(times - 1 for times in numbers_of(server.messages()).values())
    record_property("duplicates", duplicates)
    assert duplicates <= kills * concurrency


def test_outcomes_survive_a_kill(gateway, peer, to):
    """Who has got a message gets it no second time, though another recipient still waits."""
    server = peer(lambda session, verb, line:
                  "450 4.2.0 later" if verb == "RCPT" and "later@" in line else None)
    gw = gateway(to(server.hop), {"queue": {"retry": ["1h"]}})
    queue_id = gw.send("ann@client.test", ["now@remote.test", "later@remote.test"], message())
    gw.wait_event("deliver.deferred", id=queue_id)
    gw.wait_event("deliver.delivered", id=queue_id)
    wait_for("the outcome to be written", lambda: offline_states(gw) == ["delivered", "waiting"])
    gw.kill()
    gw.start()
    gw.cli("queue", "retry", "--all", code=None)  # it may be under way already
    gw.wait_event("deliver.deferred", count=2, id=queue_id)
    assert [m.rcpts for m in server.messages()] == [["now@remote.test"]]


def offline_states(gw):
    """What is on disk now: asked of a copy, since the spool has its owner."""
    copy = os.path.join(gw.folder, "copy")
    gw.command(["rm", "-rf", copy])
    gw.command(["cp", "-r", gw.spool, copy])
    other = os.path.join(gw.folder, "other.d")
    os.makedirs(other, exist_ok=True)
    with open(os.path.join(other, "a.json"), "w", encoding="utf-8") as file:
        file.write('{"spool": {"path": "%s"}, "control": {"socket": "%s/no.sock"}}' %
                   (copy, gw.folder))
    listed = json.loads(gw.cli("queue", "list", "--json", "--config", other).stdout)
    return [r["state"] for m in listed for r in m["recipients"]]


def segments(gw):
    return sorted(p for p in glob.glob(os.path.join(gw.spool, "shard-00", "*"))
                  if os.path.isfile(p) and os.path.getsize(p))


def test_a_torn_tail_is_cut_and_nothing_before_it_is_lost(gateway, peer, to):
    server = peer()
    server.close()
    gw = gateway(to(server.hop))
    for i in range(20):
        gw.send("ann@client.test", f"user{i}@remote.test", message())
    gw.kill()
    newest = max(segments(gw), key=os.path.getmtime)
    with open(newest, "ab") as file:
        file.write(random.Random(1).randbytes(1000))
    gw.start()
    server.open()
    server.wait_messages(20)
    gw.wait_empty()
    assert len({m.rcpts[0] for m in server.messages()}) == 20


def test_damage_in_the_middle_costs_no_other_message(gateway, peer, to):
    server = peer()
    server.close()
    gw = gateway(to(server.hop), {"queue": {"retry": ["1h"], "dead_min": "1h", "dead_max": "1h"}})
    for i in range(20):
        gw.send("ann@client.test", f"user{i}@remote.test", message(body=f"number-{i:03d}\r\n"))
    gw.stop()
    for path in segments(gw):
        with open(path, "r+b") as file:
            data = file.read()
            at = data.find(b"number-007")
            if at >= 0:
                file.seek(at)
                file.write(b"damaged!!!")
                break
    else:
        raise AssertionError(f"no segment holds the message: {segments(gw)}")
    gw.expected_errors.add("spool.damaged")
    gw.start()
    assert gw.events("spool.damaged")
    server.open()
    gw.cli("queue", "retry", "--all", code=None)  # it may be under way already
    server.wait_messages(19)
    gw.wait_empty()
    assert {m.rcpts[0] for m in server.messages()} == \
        {f"user{i}@remote.test" for i in range(20) if i != 7}
    assert gw.json("status")["spool"]["damaged_records"] >= 1
    # The evidence is kept.
    assert any(b"damaged!!!" in open(p, "rb").read()
               for p in glob.glob(os.path.join(gw.spool, "**", "*"), recursive=True)
               if os.path.isfile(p))


def test_sigterm_finishes_what_is_under_way(gateway, peer, to):
    server = peer()
    gw = gateway(to(server.hop))
    gw.command(["smtp-source", "-m", "200", "-s", "5", "-f", "ann@client.test",
                "-t", "many@remote.test", f"127.0.0.1:{gw.port}"])
    gw.restart()
    gw.wait_empty()
    # In good order: each exactly once.
    assert len(server.messages()) == 200
