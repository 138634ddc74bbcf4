"""Workers and supervisors are killed at random, under load, in front of a server that drops, defers
and refuses at random. Then the books are opened.

./dev torture [SECONDS] runs the long form; POSTERN_TORTURE is its length in seconds."""
import collections
import errno
import os
import random
import re
import signal
import time

import pytest

from harness.base import PATIENCE, wait_for
from harness.faults import Shim
from harness.load import Load, numbers_of
from harness.mail import Report
from harness.peers import CLOSE

SHORT = 10
LONG = float(os.environ.get("POSTERN_TORTURE", "0"))
WORKERS, SESSIONS, CONCURRENCY = 3, 8, 10
EXPECTED = {"worker.died", "worker.crashed", "worker.ended", "gateway.reload_failed"}
# What is added when the disk fails, too.
OF_DISKS = {"spool.segment.failed", "spool.write.failed", "spool.refused", "spool.full",
            "spool.compact.failed", "spool.segment.kept", "spool.outcomes.lost", "bounce.write",
            "shard.adopt", "spool.replay.waits", "adopt.failed", "mbox.damaged"}


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
            self.act()

    def act(self):
        if self.random.random() < 0.2:
            self.kill_supervisor()
        else:
            self.kill_worker()

    def kill_supervisor(self):
        os.kill(self.gw.process.pid, signal.SIGKILL)
        self.gw.process.wait()
        self.gw.start()
        self.kills["supervisor"] += 1

    def kill_worker(self):
        pids = self.workers()
        if pids:
            try:
                os.kill(self.random.choice(pids), signal.SIGKILL)
            except ProcessLookupError:
                return
            self.kills["worker"] += 1


class Mischief(Killer):
    """Kills, and in between a disk that fails for a moment, or a clock that jumps. While the disk
    fails, a worker may be killed; the gateway is started on a disk that works."""

    ERRORS = (errno.EIO, errno.EIO, errno.ENOSPC, errno.EROFS)
    CLOCKS = (0, 0, 3600, -3600, 400 * 86400, -400 * 86400)

    def __init__(self, gw, seed, faults):
        super().__init__(gw, seed)
        self.faults = faults

    def act(self):
        what = self.random.choice(("kill", "disk", "disk", "clock"))
        if what == "kill":
            super().act()
        elif what == "clock":
            self.faults.set(clock=self.random.choice(self.CLOCKS))
            self.kills["clock"] += 1
        else:
            self.break_disk()

    def break_disk(self):
        error = self.random.choice(self.ERRORS)
        calls = self.random.sample(Shim.CALLS, self.random.randint(1, len(Shim.CALLS)))
        self.faults.set(**{call: error for call in calls})
        self.kills["disk"] += 1
        time.sleep(self.random.uniform(0.05, 1.5))
        if self.random.random() < 0.3:
            self.kill_worker()
            time.sleep(self.random.uniform(0.05, 0.5))
        self.faults.heal()

    def run(self, seconds):
        super().run(seconds)
        self.faults.set(clock=0)


def bounced(gw):
    """Number to how often its failure was reported to its sender. Each report in the mailbox is
    whole: a kill in the midst of its delivery leaves no piece of it. (There may be tens of
    thousands: one in a hundred is taken apart properly.)"""
    told = collections.Counter()
    with open(gw.mbox("load"), "rb") as file:
        reports = re.split(rb"(?m)^From MAILER-DAEMON .*\n", file.read())
    assert not reports[0]
    for number, raw in enumerate(reports[1:]):
        boundary = re.search(rb'boundary="?([^"\s;]+)', raw)
        assert boundary and raw.endswith(b"--" + boundary.group(1) + b"--\n\n"), raw
        if number % 100 == 0:
            Report(raw)
        told.update(int(n) for n in re.findall(rb"(?m)^Final-Recipient: rfc822; far(\d+)@", raw))
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
            "pieces taken out of the mailbox": len(gw.events("mbox.torn", level="notice")),
            "never sent": len(set(ended) - load.acked - load.uncertain),
            "sent twice by the client": sum(n for k, n in twice.items() if k in load.uncertain),
            "delivered twice by a kill": sum(n for k, n in twice.items()
                                             if k not in load.uncertain)}


def torture(new_gateway, peer, to, seconds, seed, report, shim=None):
    """shim: also by disks that fail and clocks that jump."""
    server = peer(moods(seed))
    gw = new_gateway(to(server.hop), {
        "server": {"workers": WORKERS, "grace": "3s"}, "log": {"level": "notice"},
        "spool": {"segment_size": "256K"},
        "queue": {"destination_concurrency": CONCURRENCY, "lifetime": "1d"}})
    gw.expected_errors |= EXPECTED | (OF_DISKS if shim else set())
    faults = shim(gw, gw.spool) if shim else None
    gw.start()
    load = Load(gw.port, 10 ** 9, SESSIONS, rcpt="far{n}@remote.test",
                sender="load@local.test").start()
    killer = Mischief(gw, seed, faults) if shim else Killer(gw, seed)
    killer.run(seconds)
    load.wait_acked(len(load.acked) + 2 * SESSIONS)
    load.stop()

    def settled():
        time.sleep(0.3)
        gw.cli("queue", "retry", "--all", code=None)  # reports that wait a minute for the disk
        said = gw.status()
        return said and not said["draining"] and said["queue"]["messages"] == 0
    try:
        wait_for(lambda: f"an empty queue: {gw.status()}", settled, 4 * PATIENCE)
        # A shard may be on its way from one worker to another, and in nobody's count.
        wait_for("the books to balance",
                 lambda: settled() and not books(gw, load, server, killer)["lost"])
    finally:
        found = books(gw, load, server, killer)
        report(found)
    kills = killer.kills["worker"] + killer.kills["supervisor"]
    assert killer.kills["worker"] and sum(killer.kills.values()) >= seconds / 2
    assert found["accepted"] > 10 * seconds and found["bounced"]
    assert not found["lost"] and not found["never sent"] and not found["left in the queue"]
    assert not gw.events("mbox.torn", level="warning")
    if shim:
        return  # outcomes that could not be written before a kill are repeated, however many
    # A message is in doubt when a kill met it between its content and its answer ...
    assert found["in doubt"] <= kills * SESSIONS
    # ... and comes twice when one met it between a server's answer and the note of it. A killed
    # supervisor's workers are not killed: they finish.
    assert found["delivered twice by a kill"] <= killer.kills["worker"] * CONCURRENCY


def test_ten_seconds_of_kills_lose_nothing(new_gateway, peer, to, record_property):
    torture(new_gateway, peer, to, SHORT, 3, lambda found: record_property("books", str(found)))


def test_ten_seconds_of_faults_lose_nothing(new_gateway, peer, to, shim, record_property):
    torture(new_gateway, peer, to, SHORT, 5, lambda found: record_property("books", str(found)),
            shim)


@pytest.mark.slow
@pytest.mark.skipif(not LONG, reason="run by ./dev torture")
@pytest.mark.parametrize("faults", [False, True], ids=["kills", "faults"])
def test_the_long_form(new_gateway, peer, to, shim, capsys, faults):
    seed = random.SystemRandom().randrange(10 ** 6)

    def report(found):
        with capsys.disabled():
            what = "kills and faults" if faults else "kills"
            print(f"\nThe books after {LONG:.0f} s of {what} (seed {seed}):")
            for key, value in found.items():
                print(f"  {key:34} {value}")
    torture(new_gateway, peer, to, LONG, seed, report, shim if faults else None)
