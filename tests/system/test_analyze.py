"""postern queue analyze: damage is found, said, mended without a loss; and no false alarms."""
import glob
import os
import struct

import pytest

from harness.base import wait_for
from harness.load import Load
from harness.mail import message

LARGE = b"".join(b"line %07d of a large message\r\n" % i for i in range(60000))  # above 1 MiB


def shard_of(gw):
    return os.path.join(gw.spool, "shard-00")


def records(path):
    """(offset, type, length of header and payload) of each record."""
    with open(path, "rb") as file:
        data = file.read()
    at, found = 0, []
    while at + 32 <= len(data):
        assert data[at:at + 4] == b"PSJN"
        length = 32 + struct.unpack_from("<I", data, at + 8)[0]
        found.append((at, data[at + 4], length))
        at += length
    return found


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def findings(report, kind):
    return [f for shard in report["shards"] for f in shard["findings"] if f["kind"] == kind]


@pytest.fixture
def stopped(gateway, peer, to):
    """A gateway that is down, with five small messages and two large ones that wait."""
    server = peer()
    server.close()
    gw = gateway(to(server.hop), {"queue": {"retry": ["1h"], "dead_min": "1h", "dead_max": "1h"}})
    gw.server = server
    gw.ids = [gw.send("ann@client.test", f"user{i}@remote.test",
                      message(f"number {i}", LARGE if i > 4 else "Hello.\r\n"))
              for i in range(7)]
    gw.restart()  # what was written before is sealed now
    gw.stop()
    gw.segment = min(glob.glob(os.path.join(shard_of(gw), "*.seg")))
    gw.place = [(at, length) for at, kind, length in records(gw.segment) if kind == 1]
    assert len(gw.place) == 7
    return gw


def delivered(gw, count):
    gw.server.open()
    gw.start()
    gw.cli("queue", "retry", "--all", code=None)  # it may be under way already
    gw.server.wait_messages(count)
    return sorted(m.header("Subject") for m in gw.server.messages())


def test_a_sound_spool_is_clean_whether_the_gateway_runs_or_not(stopped):
    gw = stopped
    report = gw.json("queue", "analyze")
    assert report["faults"] == 0
    (shard,) = report["shards"]
    assert shard["shard"] == "shard-00" and shard["state"] == "free"
    assert shard["facts"]["live_messages"] == 7 and shard["facts"]["content_files"] == 2
    assert "nothing is wrong" in gw.cli("queue", "analyze", "--repair").stdout
    assert delivered(gw, 7) == [f"number {i}" for i in range(7)]
    gw.wait_empty()
    (shard,) = gw.json("queue", "analyze")["shards"]
    assert shard["state"] == "live" and not shard["findings"]
    assert shard["facts"]["segments"] >= 1


def test_damage_is_shown_mended_and_everything_intact_is_delivered(stopped):
    gw = stopped
    shard = shard_of(gw)
    content = {i: os.path.join(shard, "content", name) for i, name in
               zip((5, 6), sorted(os.listdir(os.path.join(shard, "content"))))}
    # In the content of number 1; in the header of number 2.
    at, length = gw.place[1]
    flip(gw.segment, at + length - 3)
    flip(gw.segment, gw.place[2][0] + 9)
    os.unlink(content[5])
    flip(content[6], 70000)
    orphan = os.path.join(shard, "content", "00000000000abc00")
    with open(orphan, "wb") as file:
        file.write(b"Subject: nobody's\r\n\r\n")
    os.chmod(orphan, 0o600)
    os.chmod(gw.segment, 0o644)
    before = {name: os.stat(name).st_mtime_ns for name in glob.glob(shard + "/**", recursive=True)}

    report = gw.json("queue", "analyze", code=65)
    assert report["repaired"] == 0 and report["faults"] == 6
    assert [(f["file"], f["offset"]) for f in findings(report, "damaged-record")] == \
        [("00000001.seg", gw.place[1][0]), ("00000001.seg", gw.place[2][0])]
    assert findings(report, "damaged-record")[0]["id"] == gw.ids[1]
    assert [f["id"] for f in findings(report, "content-missing")] == [gw.ids[5]]
    assert [f["id"] for f in findings(report, "content-damaged")] == [gw.ids[6]]
    assert findings(report, "orphan-content")[0]["file"] == "content/00000000000abc00"
    assert findings(report, "wrong-mode")[0]["found"] == "mode 0644"
    for finding in (f for s in report["shards"] for f in s["findings"]):
        assert finding["found"] and finding["expected"] and finding["repair"]
    text = gw.cli("queue", "analyze", code=65).stdout
    for word in ("00000001.seg at", "expected", "--repair would", gw.ids[1], "6 faults"):
        assert word in text, text
    # Looking has changed nothing.
    assert before == {name: os.stat(name).st_mtime_ns
                      for name in glob.glob(shard + "/**", recursive=True)}

    report = gw.json("queue", "analyze", "--repair", code=1)
    assert report["faults"] == report["repaired"] == 6
    lost = os.listdir(os.path.join(shard, "lost+found"))
    assert "00000000000abc00.content" in lost and not os.path.exists(orphan)
    assert f"00000001-{gw.place[1][0]}.record" in lost
    assert os.path.exists(os.path.join(shard, "00000001.damaged"))
    assert gw.json("queue", "analyze")["faults"] == 0
    assert gw.json("queue", "analyze", "--repair")["faults"] == 0

    held = gw.queue("--held")
    assert len(held) == 3  # numbers 1, 2 and 6: of 5 there is no content
    assert {r["recipient"] for m in held for r in m["recipients"]} == \
        {f"user{i}@remote.test" for i in (1, 2, 6)}
    assert all("rebuilt by queue analyze" in r["text"] for m in held for r in m["recipients"])
    assert delivered(gw, 3) == ["number 0", "number 3", "number 4"]
    assert {m["id"] for m in gw.queue()} == {m["id"] for m in held}
    # An operator who has looked at them may let them go.
    gw.cli("queue", "release", "--held")
    gw.server.wait_messages(6)
    gw.wait_empty()
    assert gw.json("queue", "analyze")["faults"] == 0


def test_a_truncated_segment_loses_only_what_was_cut_off(stopped):
    gw = stopped
    at, length = gw.place[3]
    os.truncate(gw.segment, at + length // 2)
    report = gw.json("queue", "analyze", code=65)
    assert findings(report, "damaged-record")[0]["offset"] == at
    assert len(findings(report, "orphan-content")) == 2
    gw.cli("queue", "analyze", "--repair", code=1)
    assert gw.json("queue", "analyze")["faults"] == 0
    assert delivered(gw, 3) == ["number 0", "number 1", "number 2"]
    assert len(os.listdir(os.path.join(shard_of(gw), "lost+found"))) == 3
    gw.expected_errors.add("spool.damaged")


def test_a_running_gateway_mends_what_it_found_damaged_at_its_start(stopped):
    gw = stopped
    gw.expected_errors |= {"spool.damaged"}
    at, length = gw.place[1]
    flip(gw.segment, at + length - 3)
    gw.start()
    assert len(gw.queue()) == 6
    report = gw.json("queue", "analyze", code=65)
    assert findings(report, "damaged-record")[0]["id"] == gw.ids[1]
    report = gw.json("queue", "analyze", "--repair", code=1)
    assert "on hold" in findings(report, "damaged-record")[0]["repair"]
    (held,) = gw.queue("--held")
    assert held["recipients"][0]["recipient"] == "user1@remote.test"
    wait_for("the damaged segment to be set aside",
             lambda: glob.glob(shard_of(gw) + "/00000001.damaged"))
    assert gw.json("queue", "analyze")["faults"] == 0
    gw.server.open()
    gw.cli("queue", "retry", "--all", code=None)  # it may be under way already
    gw.server.wait_messages(6)
    gw.cli("queue", "release", "--held")
    gw.server.wait_messages(7)
    gw.wait_empty()


def test_a_message_that_gets_damaged_while_it_waits_is_held(stopped):
    gw = stopped
    gw.expected_errors |= {"spool.compact.failed"}
    gw.start()
    at, length = gw.place[1]
    flip(gw.segment, at + length - 3)
    report = gw.json("queue", "analyze", "--repair", code=1)
    assert findings(report, "damaged-record")[0]["id"] == gw.ids[1]
    (held,) = gw.queue("--held")
    assert held["id"] == gw.ids[1] and "damaged" in held["recipients"][0]["text"]


def test_nothing_is_wrong_under_load(gateway, peer, to):
    server = peer()
    gw = gateway(to(server.hop, "remote.test"),
                 {"server": {"workers": 2}, "spool": {"segment_size": "64K", "inline_max": "2K"}})
    small = Load(gw.port, 3000, threads=4, size=700).start()
    large = Load(gw.port, 1000, threads=4, size=9000).start()
    rounds = 0
    while len(small.acked) + len(large.acked) < 4000:
        report = gw.json("queue", "analyze")
        assert report["faults"] == 0, report
        assert {s["shard"] for s in report["shards"]} >= {"shard-00", "shard-01"}
        assert all(s["state"] == "live" for s in report["shards"])
        rounds += 1
    small.wait()
    large.wait()
    assert rounds >= 2
    gw.wait_settled()
    wait_for("the spool to forget them", lambda: sum(
        s["facts"]["live_messages"] for s in gw.json("queue", "analyze", "--repair")["shards"]) == 0)


def test_a_shard_that_another_process_has_is_not_touched(new_gateway):
    one = new_gateway().start()
    two = new_gateway({"spool": {"path": one.spool}})
    for words in (["queue", "analyze"], ["queue", "analyze", "--repair"]):
        report = two.json(*words, code=75)
        assert [s["state"] for s in report["shards"]] == ["held"]
        assert "not touched" in report["shards"][0]["why"]


def test_analyze_says_what_it_does_not_take(new_gateway):
    gw = new_gateway()
    assert "no spool yet" in gw.cli("queue", "analyze").stdout
    assert "takes --repair" in gw.cli("queue", "analyze", "--all", code=64).stderr
    assert "is for analyze" in gw.cli("queue", "list", "--repair", code=64).stderr
