"""Faults that really happen, one after the other: disks, clocks, name servers, limits. What a
gateway answers meanwhile, that nothing is lost, and that it recovers by itself.

docs/faults.md is the table of these for operators: each row names its test."""
import errno
import os
import resource
import time

import pytest

from harness.base import BUILD, wait_for
from harness.faults import Shim, address_space, descriptors, limit
from harness.load import Load, numbers_of
from harness.mail import message

YEAR = 365 * 86400
SMALL = {"segment_size": "1M", "reserve": "256K", "min_free": "1M", "cache": "1M"}


def answer(gw, body=b"x\r\n", rcpt="far@remote.test"):
    """What a client hears that sends one message: the first refusal, or the end's reply."""
    with gw.smtp() as client:
        reply = client.docmd("MAIL", "FROM:<ann@client.test>")
        if reply[0] == 250:
            reply = client.docmd("RCPT", f"TO:<{rcpt}>")
        if reply[0] == 250:
            reply = client.data(message(body=body))
        return reply


def spool_status(gw):
    return gw.json("status")["spool"]


def all_arrived(gw, server, load):
    """The books: what was answered with 250 came once, what was refused came when it was sent
    again, and nothing else."""
    gw.wait_empty()
    arrived = numbers_of(server.messages())
    assert load.acked == set(arrived)
    assert set(arrived.values()) == {1}


# --- the spool's disk ---

BROKEN = {
    "a write fails": {"write": errno.EIO},
    "a sync fails": {"sync": errno.EIO},
    "no file can be made": {"open": errno.EIO},
    "everything fails": dict.fromkeys(Shim.CALLS, errno.EIO),
    "it has become read-only": dict.fromkeys(Shim.CALLS, errno.EROFS),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_spool_that_fails_refuses_with_451_and_recovers(new_gateway, peer, to, shim, how):
    server = peer()
    gw = new_gateway(to(server.hop), {"spool": {"segment_size": "64K"},
                                      "log": {"level": "notice"}})
    faults = shim(gw, gw.spool)
    gw.expected_errors |= {"spool.segment.failed", "spool.write.failed", "spool.refused",
                           "spool.compact.failed", "spool.segment.kept"}
    gw.start()
    load = Load(gw.port, 10 ** 9, threads=4, size=2000).start()
    load.wait_acked(50)
    faults.set(**BROKEN[how])
    wait_for("somebody to be refused", lambda: load.refused)
    wait_for(lambda: f"the gateway to know it: {spool_status(gw)}",
             lambda: spool_status(gw)["failed"])
    done = gw.cli("send", "far@remote.test", stdin=b"Subject: x\n\nx\n", code=75)
    assert "can't take it now" in done.stderr, done.stderr
    faults.heal()
    wait_for("the disk to be used again", lambda: not spool_status(gw)["failed"])
    assert gw.events("spool.write.failed") and gw.wait_event("spool.write.recovered")
    load.wait_acked(len(load.acked) + 50)
    load.stop()
    assert all(reply.startswith("451 4.3.0") for reply in load.refused), load.refused
    all_arrived(gw, server, load)


@pytest.mark.parametrize("how", ["a sync fails", "it has become read-only"])
def test_a_kill_while_the_spool_fails_loses_nothing(new_gateway, peer, to, shim, how):
    server = peer(lambda _, verb, __: "451 4.3.0 later" if verb == "RCPT" else None)
    gw = new_gateway(to(server.hop), {"spool": {"segment_size": "64K"},
                                      "log": {"level": "notice"}})
    faults = shim(gw, gw.spool)
    gw.expected_errors |= {"spool.segment.failed", "spool.write.failed", "spool.refused",
                           "spool.compact.failed", "spool.segment.kept"}
    gw.start()
    load = Load(gw.port, 10 ** 9, threads=4, size=2000).start()
    load.wait_acked(50)
    faults.set(**BROKEN[how])
    wait_for("somebody to be refused", lambda: load.refused)
    gw.kill()
    faults.heal()
    gw.start()
    load.wait_acked(len(load.acked) + 20)
    load.stop()
    server.script = None
    gw.cli("queue", "retry", "--all", code=None)
    gw.wait_empty()
    arrived = numbers_of(server.messages())
    assert not load.acked - set(arrived)
    assert {n for n, times in arrived.items() if times > 1} <= load.uncertain


def test_a_spool_without_inodes_refuses_with_452_and_recovers(gateway, peer, to, disk):
    server = peer()
    server.close()
    small = disk("size=24m,nr_inodes=60")
    gw = gateway({"spool": {"path": os.path.join(small.path, "spool"), **SMALL}}, to(server.hop),
                 {"log": {"level": "notice"}})
    gw.expected_errors |= {"spool.full", "spool.write.failed"}
    assert answer(gw)[0] == 250
    names = small.take_all_names()
    # Content of its own file wants a name ...
    code, text = answer(gw, body=b"x" * 70 + b"\r\n" + b"y" * (2 << 20))
    assert code == 452 and text.startswith(b"4.3.1"), (code, text)
    # ... and so does the next segment.
    load = Load(gw.port, 10 ** 9, threads=4, size=32 * 1024).start()
    wait_for("somebody to be refused", lambda: load.refused)
    for path in names:
        os.unlink(path)
    load.wait_acked(len(load.acked) + 20)
    load.stop()
    assert all(reply.startswith("452 4.3.1") for reply in load.refused), load.refused
    server.open()
    gw.wait_empty()
    arrived = numbers_of([m for m in server.messages() if m.header("X-Number")])
    assert load.acked == set(arrived) and set(arrived.values()) == {1}


# --- the mailboxes' disk ---

def deferred_then_delivered(gw, status, words, mend):
    """One message for bob, which is put off for that reason, and arrives when it is mended."""
    queue_id = gw.send("ann@client.test", "bob@local.test", message("one of a kind"))
    event = gw.wait_event("deliver.deferred", id=queue_id)[0]
    assert event["status"] == status and words in event["reply"], event
    waits = gw.queued_rcpts()["bob@local.test"]
    assert waits["state"] == "waiting" and words in waits["text"], waits
    mend()
    (got,) = gw.wait_mail("bob")
    assert got["Subject"] == "one of a kind"
    gw.wait_empty()
    with open(gw.mbox("bob"), "rb") as file:
        assert file.read().count(b"one of a kind") == 1


def mailboxes_on(disk_made):
    return {"transports": {"local-mbox": {"path": disk_made.path, "users": "any"}}}


def on_disk(new_gateway, made):
    gw = new_gateway(mailboxes_on(made))
    gw.mail = made.path
    return gw.start()


def test_mailboxes_on_a_full_disk_defer(new_gateway, disk):
    made = disk("size=1m")
    hog = made.take_all()
    gw = on_disk(new_gateway, made)
    deferred_then_delivered(gw, "4.3.1", "No space left", lambda: os.unlink(hog))


def test_mailboxes_without_inodes_defer(new_gateway, disk):
    made = disk("size=1m,nr_inodes=20")
    names = made.take_all_names()
    gw = on_disk(new_gateway, made)
    deferred_then_delivered(gw, "4.3.1", "No space left",
                            lambda: [os.unlink(name) for name in names])


def test_mailboxes_on_a_disk_that_was_remounted_read_only_defer(new_gateway, disk):
    made = disk("size=1m")
    gw = on_disk(new_gateway, made)
    gw.send("ann@client.test", "carol@local.test", message())
    gw.wait_mail("carol")
    made.remount("ro")
    deferred_then_delivered(gw, "4.3.0", "Read-only", lambda: made.remount("rw"))


@pytest.mark.parametrize("fault", ["write", "sync"])
def test_a_mailbox_that_cannot_be_written_defers_and_is_as_it_was(new_gateway, shim, fault):
    gw = new_gateway()
    faults = shim(gw, gw.mail)
    gw.start()
    gw.send("ann@client.test", "bob@local.test", message("before"))
    gw.wait_mail("bob")
    with open(gw.mbox("bob"), "rb") as file:
        before = file.read()
    faults.set(**{fault: errno.EIO})
    gw.send("ann@client.test", "bob@local.test", message("after"))
    event = gw.wait_event("deliver.deferred")[0]
    assert event["status"] == "4.3.0" and "Input/output" in event["reply"], event
    with open(gw.mbox("bob"), "rb") as file:
        assert file.read() == before
    assert faults.met()
    faults.heal()
    assert [m["Subject"] for m in gw.wait_mail("bob", 2)] == ["before", "after"]


# --- the clock ---

def one_that_waits(gw):
    """A message that was tried and put off."""
    queue_id = gw.send("ann@local.test", "far@remote.test", message("patience"))
    gw.wait_event("deliver.deferred", id=queue_id)
    return queue_id


class Refusing:
    """A server's script: not now, until it is told otherwise."""

    def __init__(self):
        self.refuses = True

    def __call__(self, _, verb, __):
        return "451 4.3.0 not now" if self.refuses and verb == "RCPT" else None


def nobody_was_told(gw):
    assert not gw.events("bounce.sent") and not gw.events("deliver.failed")
    assert gw.json("status")["queue"]["expired"] == 0


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
def test_a_clock_that_jumps_neither_returns_mail_nor_delays_it(new_gateway, peer, to, shim, jump):
    mood = Refusing()
    server = peer(mood)
    gw = new_gateway(to(server.hop, "remote.test"))
    faults = shim(gw, gw.spool)
    gw.start()
    queue_id = one_that_waits(gw)
    for clock in (jump, 0):
        faults.set(clock=clock)
        seen = len(gw.events("deliver.deferred", id=queue_id))
        gw.wait_event("deliver.deferred", count=seen + 3, id=queue_id)
    nobody_was_told(gw)
    faults.set(clock=jump)
    mood.refuses = False
    server.wait_messages(1)
    gw.wait_empty()


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
@pytest.mark.parametrize("how", ["reload", "restart", "kill"])
def test_a_start_while_the_clock_is_wrong_returns_no_mail(new_gateway, peer, to, shim, jump, how):
    mood = Refusing()
    server = peer(mood)
    gw = new_gateway(to(server.hop, "remote.test"))
    faults = shim(gw, gw.spool)
    gw.start()
    queue_id = one_that_waits(gw)
    for clock in (jump, 0):
        faults.set(clock=clock)
        if how == "reload":
            gw.cli("reload")
        elif how == "restart":
            gw.restart()
        else:
            gw.kill()
            gw.start()
        seen = len(gw.events("deliver.deferred", id=queue_id))
        gw.wait_event("deliver.deferred", count=seen + 2, id=queue_id)
        nobody_was_told(gw)
    mood.refuses = False
    server.wait_messages(1)
    gw.wait_empty()


def test_mail_that_came_before_the_clock_was_set_is_not_old_afterwards(new_gateway, peer, to, shim):
    """A machine without a clock of its own begins in 1970."""
    mood = Refusing()
    server = peer(mood)
    gw = new_gateway(to(server.hop, "remote.test"))
    faults = shim(gw, gw.spool)
    faults.set(clock=-int(time.time()) + 60)
    gw.start()
    queue_id = one_that_waits(gw)
    faults.set(clock=0)
    gw.restart()
    seen = len(gw.events("deliver.deferred", id=queue_id))
    gw.wait_event("deliver.deferred", count=seen + 2, id=queue_id)
    nobody_was_told(gw)
    mood.refuses = False
    server.wait_messages(1)
    gw.wait_empty()


# --- name servers ---

def test_a_name_server_that_died_defers_and_is_found_again(new_gateway, peer, names):
    server = peer()
    ns = names({"remote.test": "@ MX 10 mx\nmx A 127.0.0.1\n"})
    gw = new_gateway({"dns": {"servers": [ns.address], "timeout": "300ms", "tries": 1},
                      "transports": {"smtp-out": {"port": server.port}}})
    gw.start()
    ns.stop()
    queue_id = gw.send("ann@client.test", "far@remote.test", message())
    event = gw.wait_event("deliver.deferred", id=queue_id)[0]
    assert event["status"] == "4.4.3", event
    wait_for("the queue to say why it waits",
             lambda: gw.queued_rcpts().get("far@remote.test", {}).get("reason") == "dns")
    assert not server.messages()
    ns.start()
    server.wait_messages(1)
    gw.wait_empty()
    assert not gw.events("deliver.failed")


# --- limits ---

def test_a_worker_without_descriptors_takes_nobody_else_and_goes_on(gateway, peer, to):
    server = peer()
    gw = gateway(to(server.hop, "remote.test"))
    (worker,) = gw.workers()
    with gw.smtp() as client:
        client.mail("ann@client.test")
        client.rcpt("far@remote.test")
        before = limit([worker], resource.RLIMIT_NOFILE, descriptors(worker))
        # Who is there already is served; but nobody can be reached, and nobody else taken.
        assert client.data(message("inside"))[0] == 250
        event = gw.wait_event("deliver.deferred")[0]
        assert "too many open files" in event["reply"], event
        load = Load(gw.port, 40, threads=20).start()
        gw.wait_event("listener.pause")
        limit([worker], resource.RLIMIT_NOFILE, before)
        load.wait()
    assert not load.refused and not load.unreached
    gw.wait_empty()
    arrived = numbers_of([m for m in server.messages() if m.header("X-Number")])
    assert set(arrived) == set(range(40)) and set(arrived.values()) == {1}
    assert [m for m in server.messages() if m.header("Subject") == "inside"]


def is_dense(pid):
    """Has it all descriptors up to its highest?"""
    numbers = [int(name) for name in os.listdir(f"/proc/{pid}/fd")]
    return max(numbers) + 1 == len(numbers)


def test_an_operator_whose_worker_has_no_descriptors_is_told_so(gateway, peer, to):
    server = peer()
    gw = gateway(to(server.hop, "remote.test"))
    (worker,) = gw.workers()
    clients = []
    while not is_dense(worker):  # a gap would be one descriptor more than it shall have
        clients.append(gw.smtp())
    before = limit([worker], resource.RLIMIT_NOFILE, descriptors(worker))

    def has_none():  # what it had open for a moment when they were counted may be closed by now
        limit([worker], resource.RLIMIT_NOFILE, descriptors(worker))
        return gw.cli("status", code=None).returncode == 75
    wait_for("the worker to have no descriptors left", has_none)
    for _ in range(3):  # what it took to say so is there again
        for verb in (("queue", "list"), ("status",)):
            assert "the worker has no descriptors left; try again" in gw.cli(*verb, code=75).stderr
        assert "no descriptors left" in gw.cli("send", "-f", "ann@client.test", "far@remote.test",
                                               code=75, stdin=b"Subject: later\n\n").stderr
    limit([worker], resource.RLIMIT_NOFILE, before)
    for client in clients:
        client.quit()
    gw.cli("send", "-f", "ann@client.test", "far@remote.test", stdin=b"Subject: now\n\n")
    server.wait_messages(1)
    gw.wait_empty()
    assert [m.header("Subject") for m in server.messages()] == ["now"]


@pytest.mark.skipif("asan" in os.path.basename(BUILD), reason="the sanitizer ends it for itself")
@pytest.mark.parametrize("spare", [2, 8, 32])
def test_a_worker_without_memory_refuses_or_is_replaced_and_nothing_is_lost(gateway, peer, to,
                                                                            spare):
    """What it can still get, in MiB, goes to content (refused) or to bookkeeping (it ends)."""
    server = peer()
    gw = gateway(to(server.hop, "remote.test"), {"log": {"level": "notice"}})
    gw.expected_errors |= {"worker.ended", "spool.refused"}
    (worker,) = gw.workers()
    limit([worker], resource.RLIMIT_AS, address_space(worker) + (spare << 20))
    load = Load(gw.port, 200, threads=30, size=900 * 1024).start()
    load.wait()
    gw.wait_settled()
    assert load.refused or gw.events("worker.ended", code="71"), "there was memory enough"
    assert all(reply.startswith("451 4.3.0") for reply in load.refused), load.refused
    arrived = numbers_of(server.messages())
    assert load.acked == set(arrived)
    # It says nothing of the messages that were under way.
    assert not gw.events("message.suspected") and not gw.queue("--held")
