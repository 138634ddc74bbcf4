"""Workers and supervisors are killed at random, under load, in front of a server that drops, defers
and refuses at random. Then the books are opened.

./dev torture [SECONDS] runs the long form; POSTERN_TORTURE is its length in seconds."""
import collections
import os
import random
import re
import signal
import time

import pytest

from harness.base import wait_for
from harness.load import Load, numbers_of
from harness.mail import Report
from harness.peers import CLOSE

SHORT = 10
LONG = float(os.environ.get("POSTERN_TORTURE", "0"))
WORKERS, SESSIONS, CONCURRENCY = 3, 8, 10
EXPECTED = {"worker.died", "worker.crashed", "worker.ended", "gateway.reload_failed"}


def moods(seed):
    """A server's: one in ten is dropped, deferred or refused."""
    dice = random.Random(seed)

    def script(_, verb, __):
        roll = dice.random()
        if verb in ("CONNECT", "MAIL", "RCPT", "DATA", ".") and roll < 0.02:
            return CLOSE
        if verb in ("MAIL", "RCPT", ".") and roll < 0.04:
            return "451 4.3.0 not now"
        if verb in ("RCPT", ".") and roll < 0.06:
            return "550 5.7.1 never"
        return None
    return script


class Killer:
    """Every 200 to 900 ms one worker, or, one time in five, the supervisor."""

    def __init__(self, gw, seed):
        self.gw = gw
        self.random = random.Random(seed)
        self.kills = collections.Counter()

    def workers(self):
        path = f"/proc/{self.gw.process.pid}/task/{self.gw.process.pid}/children"
        with open(path, encoding="ascii") as file:
            return [int(pid) for pid in file.read().split()]

    def run(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(self.random.uniform(0.2, 0.9))
            if self.random.random() < 0.2:
                os.kill(self.gw.process.pid, signal.SIGKILL)
                self.gw.process.wait()
                self.gw.start()
                self.kills["supervisor"] += 1
                continue
            pids = self.workers()
            if pids:
                try:
                    os.kill(self.random.choice(pids), signal.SIGKILL)
                except ProcessLookupError:
                    continue
                self.kills["worker"] += 1


def is_torn(raw):
    """Does the end of it lack? A whole notification that is malformed is none of these."""
    found = re.search(rb'boundary="?([^"\s;]+)', bytes(raw))
    return not found or b"--" + found.group(1) + b"--" not in bytes(raw)


def bounced(gw):
    """Number to how often its failure was reported to its sender."""
    told = collections.Counter()
    for raw in gw.messages("load"):
        if is_torn(raw):
            continue  # by a kill in the midst of its delivery: the whole one stands behind it
        for group in Report(raw).recipients:
            told[int(re.search(r"far(\d+)@", group["Final-Recipient"]).group(1))] += 1
    return told


def books(gw, load, server, killer):
    delivered, told = numbers_of(server.messages()), bounced(gw)
    left = {int(re.search(r"far(\d+)@", r).group(1))
            for r in gw.queued_rcpts() if r.startswith("far")}
    ended = collections.Counter(delivered)
    ended.update(told)
    lost = load.acked - set(ended) - left
    twice = {n: times - 1 for n, times in ended.items() if times > 1}
    return {"kills": dict(killer.kills), "accepted": len(load.acked),
            "in doubt": len(load.uncertain), "delivered": len(delivered), "bounced": len(told),
            "left in the queue": len(left), "lost": len(lost),
            "never sent": len(set(ended) - load.acked - load.uncertain),
            "sent twice by the client": sum(n for k, n in twice.items() if k in load.uncertain),
            "delivered twice by a kill": sum(n for k, n in twice.items()
                                             if k not in load.uncertain)}


def torture(new_gateway, peer, to, seconds, seed, report):
    server = peer(moods(seed))
    gw = new_gateway(to(server.hop), {
        "server": {"workers": WORKERS, "grace": "3s"}, "log": {"level": "notice"},
        "spool": {"segment_size": "256K"},
        "queue": {"destination_concurrency": CONCURRENCY, "lifetime": "1d"}})
    gw.expected_errors |= EXPECTED
    gw.start()
    load = Load(gw.port, 10 ** 9, SESSIONS, rcpt="far{n}@remote.test",
                sender="load@local.test").start()
    killer = Killer(gw, seed)
    killer.run(seconds)
    load.stop()

    def settled():
        gw.wait_settled()
        found = books(gw, load, server, killer)
        return not found["lost"]
    try:
        wait_for("the books to balance", settled)
    finally:
        found = books(gw, load, server, killer)
        report(found)
    kills = sum(killer.kills.values())
    assert killer.kills["worker"] and kills >= seconds / 2
    assert found["accepted"] > 10 * seconds and found["bounced"]
    assert not found["lost"] and not found["never sent"] and not found["left in the queue"]
    # A message is in doubt when a kill met it between its content and its answer ...
    assert found["in doubt"] <= kills * SESSIONS
    # ... and comes twice when one met it between a server's answer and the note of it. A killed
    # supervisor's workers are not killed: they finish.
    assert found["delivered twice by a kill"] <= killer.kills["worker"] * CONCURRENCY


def test_ten_seconds_of_kills_lose_nothing(new_gateway, peer, to, record_property):
    torture(new_gateway, peer, to, SHORT, 3, lambda found: record_property("books", str(found)))


@pytest.mark.slow
@pytest.mark.skipif(not LONG, reason="run by ./dev torture")
def test_the_long_form(new_gateway, peer, to, capsys):
    seed = random.SystemRandom().randrange(10 ** 6)

    def report(found):
        with capsys.disabled():
            print(f"\nThe books after {LONG:.0f} s (seed {seed}):")
            for key, value in found.items():
                print(f"  {key:28} {value}")
    torture(new_gateway, peer, to, LONG, seed, report)
