"""Servers that refuse, defer and drop at random, and a gateway that is killed: each recipient of
each message ends in exactly one of two ways, delivered or reported."""
import collections
import random
import re
import threading

import pytest

from harness.base import wait_for
from harness.load import Load, numbers_of
from harness.mail import Report, message
from harness.peers import CLOSE

SERVERS = 3


class Dice:
    """A script for SmtpPeer that throws dice, the same way each time the test runs alone."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.thrown = collections.Counter()

    def __call__(self, _, verb, line):
        with self.lock:
            dice = self.random.random()
            what = self.choose(verb, dice)
            self.thrown[f"{verb} {str(what)[:3]}"] += what is not None
        return what

    @staticmethod
    def choose(verb, dice):
        if verb in ("CONNECT", "MAIL", "RCPT", "DATA", ".") and dice < 0.03:
            return CLOSE
        if verb == "CONNECT" and dice < 0.05:
            return "421 4.3.2 not now"
        if verb in ("MAIL", "RCPT", "DATA", ".") and dice < 0.08:
            return "451 4.3.0 not now"
        if verb in ("RCPT", ".") and dice < 0.12:
            return "550 5.7.1 never"
        return None


def send_all(gw, total):
    """Each to two recipients on every server; what was sent: number to recipients."""
    sent = {}
    for number in range(total):
        rcpts = [f"{who}{number}@server{n}.test" for n in range(SERVERS) for who in ("a", "b")]
        gw.send("ann@local.test", rcpts, message(headers=[f"X-Number: {number}"]))
        sent[number] = rcpts
    return sent


def reported(gw):
    """Recipient to how often it was told to the sender that delivery failed."""
    told = collections.Counter()
    for raw in gw.messages("ann"):
        for group in Report(raw).recipients:
            assert group["Status"] == "5.7.1", group["Status"]
            told[group["Final-Recipient"].split("; ")[1]] += 1
    return told


@pytest.mark.parametrize("kills,total", [(0, 150), (3, 150)])
def test_every_recipient_is_delivered_or_reported(gateway, peer, kills, total):
    dice = [Dice(seed) for seed in range(SERVERS)]
    servers = [peer(script) for script in dice]
    gw = gateway({"routing": {"rules": [
        {"domain": f"server{n}.test", "transport": "smtp-out", "next_hops": [server.hop]}
        for n, server in enumerate(servers)]}}, {"log": {"level": "notice"}})
    sent = send_all(gw, total)
    for kill in range(kills):
        wait_for("some deliveries", lambda: sum(len(s.messages()) for s in servers) >=
                 total * (kill + 1) // (kills + 1))
        gw.kill()
        gw.start()
    gw.wait_empty()
    delivered = collections.Counter(r for s in servers for m in s.messages() for r in m.rcpts)
    told = reported(gw)
    everybody = [r for rcpts in sent.values() for r in rcpts]
    assert set(delivered) | set(told) == set(everybody)
    for what in ("RCPT 550", "RCPT 451", ". 550", ". 451", "MAIL 451"):
        assert sum(d.thrown[what] for d in dice), f"the dice never showed {what}"
    if not kills:
        assert set(delivered.values()) == {1} == set(told.values())
        assert not set(delivered) & set(told)
    else:
        # At most what was in flight at a kill, once more.
        again = sum(delivered.values()) + sum(told.values()) - len(everybody)
        assert again <= kills * SERVERS * 20 * 2, again


@pytest.mark.slow
def test_kills_while_segments_come_and_go_lose_nothing(gateway, peer, record_property):
    """Small segments, so that there is always one begun, compacted or deleted when a kill comes."""
    dice = Dice(7)
    server = peer(lambda session, verb, line:
                  None if str(reply := dice(session, verb, line)).startswith("550") else reply)
    gw = gateway({"spool": {"segment_size": "64K"}, "log": {"level": "notice"},
                  "queue": {"destination_concurrency": 10},
                  "routing": {"rules": [{"domain": "*", "transport": "smtp-out",
                                         "next_hops": [server.hop]}]}})
    total, kills, threads = 5000, 20, 8
    load = Load(gw.port, total, threads, size=1500).start()
    for kill in range(kills):
        load.wait_acked(total * (kill + 1) // (kills + 1))
        gw.kill()
        gw.start()
    load.wait()
    gw.wait_empty()
    assert not load.refused, load.refused
    arrived = numbers_of(server.messages())
    assert not load.acked - set(arrived), "answered with 250, and lost"
    again = sum(arrived.values()) - total
    record_property("duplicates", again)
    # In flight at a kill on the way in, or on the way out.
    assert again <= kills * (threads + 10), again
    wait_for("the spool to shrink", lambda: gw.json("status")["spool"]["segments"] <= 2)


def test_a_few_that_wait_keep_no_old_segments_alive(gateway, peer):
    server = peer()
    gw = gateway({"spool": {"segment_size": "64K"}, "log": {"level": "notice"},
                  "routing": {"rules": [{"domain": "held.test", "hold": "until the end"},
                                        {"domain": "*", "transport": "smtp-out",
                                         "next_hops": [server.hop]}]}})
    load = Load(gw.port, 1500, size=2000).start()
    held = []
    for count in range(1, 11):
        load.wait_acked(count * 140)
        held.append(gw.send("ann@client.test", f"user{count}@held.test",
                            message(body=f"held {count}\r\n")))
    load.wait()
    wait_for("the others to leave", lambda: gw.json("status")["queue"]["messages"] == 10)
    assert len(numbers_of(server.messages())) == 1500

    def spool():
        return gw.json("status")["spool"]
    # 3 MB went through; ten small messages are left.
    wait_for(lambda: f"old segments to be cleared away: {spool()}",
             lambda: spool()["segments"] <= 4)
    assert [m["id"] for m in gw.queue("--held")] == sorted(held)
    # What was moved is as good as before.
    gw.restart()
    gw.cli("queue", "list")
    gw.configure({"routing": {"local_domains": ["held.test"]}})
    gw.restart()
    gw.cli("queue", "release", "--held")
    for count in range(1, 11):
        (got,) = gw.wait_mail(f"user{count}")
        assert re.search(f"held {count}\n", got.get_payload())
    gw.wait_empty()
