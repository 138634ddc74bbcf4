"""What a worker leaves behind is shared by the others: after a crash, a reload, another start, or
with another number of workers. Nobody waits for it meanwhile."""
import glob
import json
import os
import signal
import smtplib
import subprocess
import threading
import time

import pytest

from harness.base import BUILD, wait_for
from harness.load import Load, numbers_of
from harness.mail import message

DEATH = {"worker.died", "worker.crashed"}
LONG = 3000  # messages: more than a worker takes as its own at a start, and three parts of it
PATIENT = {"queue": {"retry": ["1h"], "dead_min": "1h", "dead_max": "1h"}}


def fill(gw, shard, count, size=1024):
    """A shard with that many waiting messages, made by the spool's own code."""
    tool = os.path.join(BUILD, "tests", "bench", "bench-fill")
    if not os.path.exists(tool):
        subprocess.run(["make", "-C", BUILD, "tests/bench/bench-fill"], check=True,
                       stdout=subprocess.DEVNULL)
    os.makedirs(gw.spool, exist_ok=True)
    subprocess.run([tool, os.path.join(gw.spool, shard), str(count), str(size)], check=True)


def counts(gw):
    """Messages of each worker, by pid."""
    return {w["pid"]: w["messages"] for w in gw.status().get("workers", [])
            if w["state"] == "ready"}


def wait_shared(gw, workers, total, least):
    """Until the workers have all of it together, and each at least so many; how many each has."""
    def shared():
        have = counts(gw)
        return have if (len(have) == workers and sum(have.values()) == total and
                        min(have.values()) >= least) else None
    return wait_for(lambda: f"{total} messages on {workers} workers, there is {counts(gw)}\n"
                    f"{gw.log()[-5000:]}", shared, patience=180)


def shards(gw):
    return {os.path.basename(path) for path in glob.glob(os.path.join(gw.spool, "shard-*"))}


def load_of(gw, count, threads=20):
    """That many messages for remote.test, taken by whichever workers."""
    load = Load(gw.port, count, threads=threads, rcpt="far{n}@remote.test").start()
    load.wait()
    return load


def check_arrived(server, load):
    """Each that was answered with 250, once; what was in doubt may have come twice."""
    arrived = numbers_of(server.messages())
    assert load.acked <= set(arrived)
    twice = {n for n, times in arrived.items() if times > 1} - load.uncertain
    assert not twice, f"{len(twice)} of {len(arrived)} came twice: {sorted(twice)[:5]}"


def test_the_queue_of_a_killed_worker_is_shared(gateway, peer, to):
    server = peer()
    server.close()
    gw = gateway(to(server.hop), PATIENT, {"server": {"workers": 4}, "log": {"level": "notice"}})
    gw.expected_errors |= DEATH
    load = load_of(gw, 4 * LONG)
    total = 4 * LONG
    before = wait_for("all to be counted", lambda: (sum(counts(gw).values()) == total and
                                                    counts(gw)))
    victim = max(before, key=before.get)
    assert before[victim] >= LONG // 2, before
    os.kill(victim, signal.SIGKILL)
    gw.wait_workers(4, without=[victim])
    parts = wait_for(lambda: f"parts\n{gw.log()}", lambda: gw.events("shard.part"))
    # Four parts, each for who had least then: nobody has all of it, nor much more than his share.
    after = wait_shared(gw, 4, total, 1)
    part = before.pop(victim) // 4 + 1
    assert len(parts) == 3
    assert max(after.values()) <= max(total // 4 + 2 * part, *before.values()), (before, after)
    (newcomer,) = set(after) - set(before)
    # Unless the others had so much that it still had the least with three of them.
    assert after[newcomer] < 4 * part - 4 or min(before.values()) >= 3 * (part - 1), (before, after)
    server.open()
    gw.cli("queue", "retry", "--all", code=None)  # it may be under way already
    wait_for("all to arrive", lambda: load.acked <= set(numbers_of(server.messages())),
             patience=180)
    gw.wait_settled()
    check_arrived(server, load)
    # The parts were folders for as long as something was in them.
    wait_for(lambda: f"four shards, there are {shards(gw)}", lambda: len(shards(gw)) == 4)


def test_kill_after_kill_nothing_is_lost_and_nothing_doubled(gateway, peer, to):
    """Also those are killed who are just taking over."""
    server = peer()
    server.close()
    gw = gateway(to(server.hop), PATIENT, {"server": {"workers": 3}, "log": {"level": "notice"}})
    gw.expected_errors |= DEATH
    load = load_of(gw, 3 * LONG)
    for kill in range(9):
        pids = gw.wait_workers(3)
        os.kill(pids[kill % 3], signal.SIGKILL)
        if kill % 3 == 2:
            time.sleep(0.1 * kill)  # somewhere in the midst of it
    gw.wait_workers(3)
    wait_shared(gw, 3, 3 * LONG, 0)
    server.open()
    gw.cli("queue", "retry", "--all", code=None)  # it may be under way already
    wait_for("all to arrive", lambda: load.acked <= set(numbers_of(server.messages())),
             patience=180)
    gw.wait_settled()
    check_arrived(server, load)


def test_a_change_of_the_number_of_workers_loses_nothing(gateway, peer, to):
    server = peer()
    server.close()

    def settings(workers):
        return (to(server.hop), {"queue": {"retry": ["1s"], "dead_min": "1s", "dead_max": "1s"}},
                {"server": {"workers": workers}, "log": {"level": "notice"}})
    gw = gateway(*settings(8))
    load = Load(gw.port, 10 ** 6, threads=10, rcpt="far{n}@remote.test").start()
    load.wait_acked(LONG)
    for workers in (2, 8, 1, 3):
        old = gw.workers()
        gw.configure(*settings(workers))
        gw.cli("reload")
        gw.wait_workers(workers, without=old)
        load.wait_acked(len(load.acked) + 300)
    server.open()
    load.wait_acked(len(load.acked) + 300)
    load.stop()
    assert not load.unreached
    wait_for("all to arrive", lambda: load.acked <= set(numbers_of(server.messages())),
             patience=180)
    gw.wait_settled(patience=120)
    check_arrived(server, load)


def test_a_start_with_fewer_workers_takes_all(new_gateway, peer, to):
    server = peer()
    gw = new_gateway(to(server.hop), {"server": {"workers": 2}, "log": {"level": "notice"},
                                      "queue": {"destination_concurrency": 20}})
    for shard, count in (("shard-00", 1500), ("shard-03", 10), ("shard-07", 1500)):
        fill(gw, shard, count)
    gw.start()
    wait_for(lambda: f"3010 messages, there are {len(server.messages())}\n{gw.log()[-3000:]}",
             lambda: len(server.messages()) >= 3010, patience=180)
    gw.wait_settled()
    ids = [m.header("Message-ID") for m in server.messages()]
    assert len(ids) == 3010 and len(set(ids)) == 1500  # each shard has its own round of them


def test_status_says_when_a_shard_is_not_read_yet(gateway, peer, to):
    server = peer()
    server.close()
    gw = gateway(to(server.hop), PATIENT, {"server": {"workers": 2}})
    wait_for("the first look for shards", lambda: not gw.status()["looking_for_shards"])
    assert gw.status()["unread_shards"] == 0
    assert "not read yet" not in gw.cli("queue", "list").stderr
    first = gw.status()["workers"][0]["pid"]  # of workers with equally little to do he gets it
    os.kill(first, signal.SIGSTOP)
    try:
        fill(gw, "shard-07", 10)
        wait_for("the shard to be given to a worker",
                 lambda: json.loads(gw.cli("status", "--json", code=75).stdout)["unread_shards"])
        assert "1 shard is not read yet: there is more than this" in gw.cli("status",
                                                                            code=75).stdout
    finally:
        os.kill(first, signal.SIGCONT)
    wait_for("the shard to be read", lambda: len(gw.queue()) == 10)
    wait_for("the supervisor to know", lambda: gw.status()["unread_shards"] == 0)
    assert "not read yet" not in gw.cli("queue", "list").stderr + gw.cli("status").stdout
    gw.cli("queue", "remove", "--all")
    gw.wait_empty()


def greeting(port):
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
        return client.noop()[0]


class Watch:
    """Asks everybody for a greeting, again and again; the longest that one took."""

    def __init__(self, port):
        self.port, self.longest, self.asked, self.failed = port, 0.0, 0, []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.over.is_set():
            began = time.monotonic()
            try:
                assert greeting(self.port) == 250
            except (OSError, AssertionError, smtplib.SMTPException) as error:
                self.failed.append(error)
            self.longest = max(self.longest, time.monotonic() - began)
            self.asked += 1

    def end(self):
        self.over.set()
        self.thread.join(120)
        assert not self.thread.is_alive()
        return self


@pytest.mark.parametrize("workers", [1, 2])
def test_nobody_waits_while_a_long_shard_is_adopted(new_gateway, peer, to, workers):
    count = 200000
    server = peer()
    server.close()
    gw = new_gateway(to(server.hop), PATIENT,
                     {"server": {"workers": workers, "watchdog": "20s"},
                      "log": {"level": "notice"}})
    fill(gw, "shard-00", count)
    began = time.monotonic()
    gw.start()
    assert greeting(gw.port) == 250
    greeted = time.monotonic() - began
    watch = Watch(gw.port)
    shared = wait_shared(gw, workers, count, count // workers // 2)
    watch.end()
    print(f"{workers} workers: greeting after {greeted:.2f} s, all adopted after "
          f"{time.monotonic() - began:.2f} s, {watch.asked} greetings meanwhile, the slowest "
          f"{watch.longest:.3f} s; {shared}")
    assert not watch.failed and watch.asked >= 3
    # The greeting did not wait for the queue: it was there before the first of it was adopted.
    ready = gw.events("gateway.ready")[0]
    assert float(ready["start"].rstrip("s")) < 30
    assert not gw.events("worker.stuck")
    assert len(gw.queue("--limit", "100")) == 100
    gw.cli("queue", "remove", "--all")
    assert gw.queue() == []


def test_a_stop_in_the_midst_of_an_adoption_loses_nothing(new_gateway, peer, to):
    server = peer()
    server.close()
    gw = new_gateway(to(server.hop), PATIENT, {"server": {"workers": 2},
                                               "log": {"level": "notice"}})
    fill(gw, "shard-00", 50000)
    for _ in range(4):
        gw.start()
        wait_for("a beginning", lambda: sum(counts(gw).values()) > 0)
        gw.stop()
    gw.start()
    wait_shared(gw, 2, 50000, 1)
    gw.stop()
    # And the same is there for who looks while nobody is at home.
    assert len(gw.queue()) == 50000
