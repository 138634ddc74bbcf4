"""Mailing lists: one message in, one for each member out; bounces come back and are counted."""
import os
import re
import signal
import threading
import time

import pytest

from harness.base import wait_for
from harness.mail import message
from harness.peers import CLOSE, SmtpSink

LIST = "staff@l.test"


@pytest.fixture
def members(folder):
    """members(ADDRESS...): the file of the list's members."""
    path = os.path.join(folder, "staff.list")

    def write(*addresses):
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(f"{address}\n" for address in addresses))
        return path
    return write


def lists(path, hop, *rules, params=(), retry="1h", **options):
    """Sections: mail for l.test goes to the list, for m.test to that hop."""
    return {"transports": {"list": {"plugin": "list", "members": path, **options}},
            "queue": {"retry": [retry]},
            "routing": {"rules": [
                *rules,
                {"domain": "l.test", "transport": "list", "accept_from": "anyone",
                 "params": list(params)},
                {"domain": "m.test", "transport": "smtp-out", "next_hops": [hop]}]}}


def many(count):
    return [f"member{i}@m.test" for i in range(count)]


def test_T_91_members_get_a_post_from_the_owner(gateway, sink, members):
    path = members("ann@m.test", "# a comment", "Bob <bob@m.test>")
    gw = gateway(lists(path, sink.hop, owner="boss@m.test", policy="open",
                       subject_prefix="[Staff]"))
    gw.send("eve@client.test", LIST, message("news", headers=["Reply-To: <eve@client.test>"]))
    gw.wait_empty()
    (got,) = sink.messages()
    assert got.sender == "boss@m.test"
    assert sorted(got.rcpts) == ["ann@m.test", "bob@m.test"]
    assert b"Subject: [Staff] news" in got.data
    assert b"List-Id: <staff.l.test>" in got.data
    assert b"Precedence: list" in got.data
    assert b"Reply-To: <eve@client.test>" in got.data


def test_T_91_the_route_names_list_owner_and_members(gateway, folder, sink, members):
    """As the alias "everybody:: chief, file;" would."""
    path = members("ann@m.test")
    sections = lists("/nonexistent", sink.hop, policy="open", roots=[folder],
                     params=["list=crew@l.test", "owner=chief@m.test", f"members={path}"])
    gw = gateway(sections)
    gw.send("eve@client.test", "everybody@l.test", message())
    gw.wait_empty()
    (got,) = sink.messages()
    assert got.sender == "chief@m.test" and got.rcpts == ["ann@m.test"]
    assert b"List-Id: <crew.l.test>" in got.data
    gw.send("eve@client.test", "crew-request@l.test", message("subscribe"))
    gw.wait_empty()
    assert ["chief@m.test"] in [m.rcpts for m in sink.messages()]


def test_U_68_a_folder_of_dis_files(gateway, folder, sink):
    path = os.path.join(folder, "lists")
    os.makedirs(path)
    with open(os.path.join(path, "SALES.DIS"), "w", encoding="ascii") as file:
        file.write("! SALES.DIS\nann@m.test\nSMTP%\"bob@m.test\"\nthis is none@\n")
    gw = gateway(lists(path, sink.hop, policy="open"))
    gw.send("eve@client.test", "sales@l.test", message())
    gw.wait_empty()
    (got,) = sink.messages()
    assert got.sender == "owner-sales@l.test"  # U-69: nobody else is known
    assert sorted(got.rcpts) == ["ann@m.test", "bob@m.test"]
    gw.wait_event("list.line", line="4")
    gw.send("eve@client.test", "nobody@l.test", message())
    gw.wait_event("deliver.failed", to="nobody@l.test", status="5.1.1")


def test_only_members_may_post_unless_it_is_said_otherwise(gateway, sink, members):
    gw = gateway(lists(members("ann@m.test"), sink.hop))
    gw.send("eve@client.test", LIST, message(sender="eve@client.test"))
    gw.wait_event("deliver.failed", to=LIST, status="5.7.1")
    gw.send("ann@m.test", LIST, message(sender="ann@m.test"))
    wait_for("the post", sink.messages)


def test_a_moderated_post_is_held_until_it_is_released(gateway, sink, members):
    gw = gateway(lists(members("ann@m.test"), sink.hop, policy="moderated"))
    gw.send("eve@client.test", LIST, message("please"))
    gw.wait_event("deliver.held", to=LIST, status="4.7.0")
    assert not sink.messages()
    gw.restart()  # an operator's word lasts longer than a process
    gw.cli("queue", "release", "--all")
    gw.wait_empty()
    (got,) = sink.messages()
    assert b"Subject: please" in got.data


def test_a_list_that_is_its_own_member_by_a_detour_ends(gateway, sink, members):
    """elsewhere@l2.test leads back to the list: the second time it is refused, once."""
    path = members("elsewhere@l2.test", "ann@m.test")
    back = {"domain": "l2.test", "rewrite": LIST, "accept_from": "anyone"}
    gw = gateway(lists(path, sink.hop, back, policy="open", owner="boss@m.test"))
    gw.send("eve@client.test", LIST, message())
    gw.wait_event("deliver.failed", status="5.4.6")
    gw.wait_empty()
    rcpts = sorted(r for m in sink.messages() for r in m.rcpts)
    assert rcpts == ["ann@m.test", "boss@m.test"]  # the post, and one report


def test_lists_that_are_members_of_each_other_post_once_on_each_way(gateway, folder, sink):
    """Each takes out the List-Id of the one before: the fields that stay must end the circle."""
    members = os.path.join(folder, "lists")
    os.mkdir(members)
    for name in "abc":
        with open(os.path.join(members, f"{name}.list"), "w", encoding="utf-8") as file:
            file.write("".join(f"{other}@l.test\n" for other in "abc" if other != name))
            file.write(f"{name}@m.test\n")
    gw = gateway(lists(members, sink.hop, policy="open", automatic="accept", owner="boss@m.test"))
    gw.send("eve@client.test", "a@l.test", message())

    def is_over():  # every way through the lists: a, ab, ac, abc, acb
        return len(gw.events("list.post")) >= 5 and gw.status()["queue"]["messages"] == 0
    wait_for("the last list to have refused it", is_over)
    assert len(gw.events("list.post")) == 5
    posts = [m for m in sink.messages() if m.rcpts != ["boss@m.test"]]  # who is told of the rest
    assert sorted(r for m in posts for r in m.rcpts) == ["a@m.test"] + 2 * ["b@m.test"] + \
        2 * ["c@m.test"]


def test_a_missing_file_of_members_defers(gateway, folder, sink, members):
    path = os.path.join(folder, "staff.list")
    gw = gateway(lists(path, sink.hop, policy="open"))
    gw.send("eve@client.test", LIST, message())
    gw.wait_event("deliver.deferred", to=LIST, status="4.3.5")
    members("ann@m.test")
    gw.cli("queue", "retry", "--all", code=None)  # it may be under way already
    gw.wait_empty()
    assert sink.messages()[0].rcpts == ["ann@m.test"]


def test_an_archive_is_one_more_recipient(gateway, folder, sink, members):
    root = os.path.join(folder, "archive")
    os.makedirs(root)
    sections = lists(members("ann@m.test"), sink.hop,
                     {"domain": "archive.test", "transport": "file"},
                     policy="open", archive="{name}@archive.test")
    sections["transports"]["file"] = {"plugin": "file", "roots": [root],
                                      "path": "{user}.{date:%Y-%m}"}
    gw = gateway(sections)
    months = {time.strftime("%Y-%m")}
    gw.send("eve@client.test", LIST, message())
    gw.wait_empty()
    months.add(time.strftime("%Y-%m"))
    (name,) = os.listdir(root)
    assert name in {f"staff.{month}" for month in months}


def test_U_69_bounces_find_back_to_the_member(gateway, folder, peer, members):
    """VERP: each member has his own message; who is refused gets a rest."""
    def refuse(_session, verb, line):
        return "550 5.1.1 no such user" if verb == "RCPT" and "gone@" in line else None

    smtp = peer(refuse)
    state = os.path.join(folder, "state")
    path = members("ann@m.test", "gone@m.test", "carol@m.test")
    gw = gateway(lists(path, smtp.hop, policy="open", verp=True, state=state, bounce_limit=2))
    for count in (1, 2):
        gw.send("eve@client.test", LIST, message())
        gw.wait_event("list.bounce", count=count, member="gone@m.test")
    gw.wait_empty()
    senders = sorted(m.sender for m in smtp.received)
    assert senders == 2 * ["owner-staff+ann=m.test@l.test"] + 2 * ["owner-staff+carol=m.test@l.test"]
    gw.send("eve@client.test", LIST, message())
    gw.wait_event("list.post", members="2", disabled="1")
    gw.wait_empty()
    # Somebody else's bounce comes from outside, to the address with the member in it.
    gw.send("", "owner-staff+ann=m.test@l.test", message("failure"))
    gw.wait_event("list.bounce", member="ann@m.test")

    def shown():
        (staff,) = gw.json("list", "staff")
        return staff if staff["posts"] == 3 else None
    staff = wait_for("the state to be written", shown)
    assert staff["list"] == LIST and staff["members"] == 3 and staff["transport"] == "list"
    assert staff["last_members"] == 2
    bounces = {b["member"]: b for b in staff["bounces"]}
    assert bounces["gone@m.test"]["count"] == 2 and bounces["gone@m.test"]["disabled"]
    assert bounces["gone@m.test"]["status"] == "5.1.1"
    assert "no such user" in bounces["gone@m.test"]["reason"]
    assert bounces["ann@m.test"]["count"] == 1 and not bounces["ann@m.test"]["disabled"]
    text = gw.cli("list", "staff").stdout
    assert "gone@m.test" in text and "gets no mail" in text
    assert "there is no list" in gw.cli("list", "nobody", code=67).stderr


def cpu_seconds(gw):
    """User and system time of the worker."""
    (worker,) = gw.workers()
    with open(f"/proc/{worker}/stat", encoding="latin1") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return [int(field) / os.sysconf("SC_CLK_TCK") for field in fields[11:13]]


def resident(gw):
    """The largest worker, at its largest, in KiB."""
    most = 0
    for pid in os.listdir("/proc"):
        if not pid.isdigit():
            continue
        try:
            with open(f"/proc/{pid}/stat", encoding="latin1") as file:
                parent = int(file.read().rsplit(")", 1)[1].split()[1])
            if parent != gw.process.pid:
                continue
            with open(f"/proc/{pid}/status", encoding="latin1") as file:
                most = max(most, int(re.search(r"VmHWM:\s+(\d+)", file.read()).group(1)))
        except OSError:
            continue
    return most


def long_list(gateway, folder, members, count, **options):
    sink = SmtpSink(os.path.join(folder, f"sink{count}"))
    try:
        path = members(*many(count))
        gw = gateway({"log": {"level": "notice"}, "server": {"workers": 1}},
                     lists(path, sink.hop, policy="open", **options))
        before, user_before = resident(gw), cpu_seconds(gw)
        start = time.monotonic()
        gw.send("eve@client.test", LIST, message())
        gw.wait_empty(patience=600)
        took = time.monotonic() - start
        used = resident(gw) - before
        user, system = (now - then for now, then in zip(cpu_seconds(gw), user_before))
        print(f"{count} members: {took:.2f} s, CPU {user:.2f} + {system:.2f} s, {used} KiB")
        rcpts = [r for m in sink.messages() for r in m.rcpts]
        assert sorted(rcpts) == sorted(many(count))
        gw.stop()
        return took, used
    finally:
        sink.close()


def test_a_list_of_two_thousand(gateway, folder, members):
    long_list(gateway, folder, members, 2000)


@pytest.mark.slow
@pytest.mark.parametrize("verp", [False, True])
def test_a_list_of_a_hundred_thousand_costs_ten_times_one_of_ten_thousand(gateway, folder, members,
                                                                          verp):
    options = {"verp": True, "state": os.path.join(folder, "state")} if verp else {}
    long_list(gateway, folder, members, 10000, **options)
    _, used = long_list(gateway, folder, members, 100000, **options)
    assert used * 1024 / 100000 < 500  # bytes a member


def test_a_crash_amid_a_long_list_loses_nobody(gateway, peer, members):
    """Who was being served may be served twice."""
    count = 3000
    dead, served = threading.Event(), []

    def script(_session, verb, _line):
        if verb == "." and not dead.is_set():
            served.append(verb)
            if len(served) > 5:
                dead.wait(60)
                return CLOSE
        return None

    smtp = peer(script)
    gw = gateway({"server": {"workers": 1}}, lists(members(*many(count)), smtp.hop, policy="open"))
    gw.expected_errors |= {"worker.died", "worker.crashed"}
    gw.send("eve@client.test", LIST, message())
    wait_for("some to be served", lambda: len(served) > 5)
    (worker,) = gw.workers()
    os.kill(worker, signal.SIGKILL)
    dead.set()
    gw.wait_workers(1, without=[worker])
    gw.wait_empty()
    rcpts = [r for m in smtp.received for r in m.rcpts]
    assert set(rcpts) == set(many(count))
    # At most what was under way: destination_concurrency jobs of 100.
    assert len(rcpts) <= count + 20 * 100
