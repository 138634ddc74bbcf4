"""A disk that is full: nothing is lost, deliveries go on, and it recovers by itself."""
import os

import pytest

from harness.base import wait_for
from harness.load import Load, numbers_of
from harness.mail import message

MIB = 1 << 20


@pytest.fixture
def small_disk(disk):
    return disk("size=12m")


def settings(path):
    return {"spool": {"path": os.path.join(path, "spool"), "segment_size": "1M", "reserve": "256K",
                      "min_free": "2M", "cache": "1M"}}


def fill(gw):
    """Sends until it is told that there is no room; how many were taken."""
    taken = 0
    with gw.smtp() as client:
        while True:
            assert taken < 1000, "the disk never becomes full"
            replies = [client.docmd("MAIL", "FROM:<ann@client.test>")]
            if replies[-1][0] == 250:
                replies.append(client.docmd("RCPT", "TO:<far@remote.test>"))
            if replies[-1][0] == 250:
                replies.append(client.data(message(body=b"x" * 64 * 1024)))
            if replies[-1][0] != 250:
                code, text = replies[-1]
                assert code == 452 and text.startswith(b"4.3.1"), replies
                return taken
            taken += 1


def test_a_full_disk_refuses_with_452_delivers_and_recovers(gateway, peer, to, small_disk):
    server = peer()
    server.close()
    gw = gateway(settings(small_disk.path), to(server.hop))
    gw.expected_errors.add("spool.full")
    taken = fill(gw)
    assert taken > 50
    assert gw.json("status")["spool"]["full"]
    # Also by the other door.
    done = gw.cli("send", "far@remote.test", stdin=b"Subject: x\n\nx\n", code=75)
    assert "full" in done.stderr
    server.open()
    server.wait_messages(taken)
    gw.wait_empty()
    assert len(server.messages()) == taken
    wait_for("room for new messages", lambda: not gw.json("status")["spool"]["full"])
    gw.send("ann@client.test", "far@remote.test", message("after"))
    gw.wait_empty()
    assert server.messages()[-1].header("Subject") == "after"


def test_nothing_is_accepted_while_less_than_min_free_is_left(new_gateway, small_disk):
    hog = small_disk.take_all(leave=MIB)
    gw = new_gateway(settings(small_disk.path)).start()
    gw.expected_errors.add("spool.full")
    with gw.smtp() as client:
        code, text = client.mail("ann@client.test")
        assert code == 452 and text.startswith(b"4.3.1")
    os.unlink(hog)
    wait_for("room for new messages", lambda: not gw.json("status")["spool"]["full"])
    gw.send("ann@client.test", "bob@local.test", message("after"))
    assert [m["Subject"] for m in gw.wait_mail("bob")] == ["after"]


def test_outcomes_are_written_when_others_have_taken_the_last_byte(gateway, peer, to, small_disk):
    server = peer()
    server.close()
    gw = gateway(settings(small_disk.path), to(server.hop))
    gw.expected_errors |= {"spool.full", "spool.write.failed", "spool.segment.failed"}
    for i in range(40):
        gw.send("ann@client.test", f"user{i}@remote.test", message(body=b"x" * 20000))
    hog = small_disk.take_all()
    with gw.smtp() as client:
        code, text = client.docmd("MAIL", "FROM:<ann@client.test>")
        if code == 250:
            client.docmd("RCPT", "TO:<far@remote.test>")
            code, text = client.data(message(body=b"x" * 20000))
        assert code == 452 and text.startswith(b"4.3.1"), (code, text)
    server.open()
    server.wait_messages(40)
    gw.wait_empty()
    # And after a kill, none of them comes again.
    gw.kill()
    os.unlink(hog)
    gw.start()
    gw.wait_empty()
    assert len(server.messages()) == 40
    wait_for("room for new messages", lambda: not gw.json("status")["spool"]["full"])
    gw.send("ann@client.test", "last@remote.test", message("after"))
    gw.wait_empty()
    assert len(server.messages()) == 41


def test_senders_that_are_told_to_wait_lose_nothing(gateway, peer, to, small_disk):
    """Senders come again, as they are told to, while the destination comes and goes."""
    server = peer()
    server.close()
    gw = gateway(settings(small_disk.path), to(server.hop), {"log": {"level": "notice"}})
    gw.expected_errors.add("spool.full")
    load = Load(gw.port, 600, threads=4, size=32 * 1024).start()
    wait_for("the first refusal", lambda: load.refused)
    server.open()
    load.wait()
    assert all(reply.startswith("452 4.3.1") for reply in load.refused), load.refused
    gw.wait_empty()
    arrived = numbers_of(server.messages())
    assert load.acked == set(arrived) == set(range(600))
    assert set(arrived.values()) == {1}
