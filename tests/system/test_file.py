"""Messages are appended to files: which ones, whole, and never elsewhere."""
import mailbox
import os
import signal
import subprocess
import time

import pytest

from harness.base import wait_for
from harness.mail import message


@pytest.fixture
def root(folder):
    path = os.path.join(folder, "root")
    os.makedirs(path)
    return path


def files(root, rule=None, name="file", **options):
    """Sections: mail for file.test goes to files below this root."""
    return {"transports": {name: {"plugin": "file", "roots": [root], **options}},
            "routing": {"rules": [{"domain": "file.test", "transport": name,
                                   "accept_from": "anyone", **(rule or {})}]}}


def no_retry():
    return {"queue": {"retry": ["1h"]}}


def messages(path):
    box = mailbox.mbox(path, create=False)
    try:
        return list(box)
    finally:
        box.close()


def test_messages_are_appended_as_an_mbox(gateway, root):
    gw = gateway(files(root, path="all"))
    for i in range(3):
        gw.send("ann@client.test", "bob@file.test", message(f"number {i}", body="From x\r\n"))
    gw.wait_empty()
    got = messages(os.path.join(root, "all"))
    assert sorted(m["Subject"] for m in got) == ["number 0", "number 1", "number 2"]
    for m in got:
        assert m["Return-Path"] == "<ann@client.test>"
        assert m["Delivered-To"] == "bob@file.test"
        assert m.get_payload() == ">From x\n"
    assert os.stat(os.path.join(root, "all")).st_mode & 0o777 == 0o600
    assert os.listdir(root) == ["all"]


def test_a_file_a_month_for_each_domain(gateway, root):
    gw = gateway(files(root, path="{domain}/{date:%Y-%m}/{user}.{extension}", make_folders=True))
    before = time.strftime("%Y-%m")
    gw.send("ann@client.test", "Bob+Lists@FILE.test", message())
    gw.wait_empty()
    months = {before, time.strftime("%Y-%m")}  # it may be midnight
    assert any(os.path.exists(os.path.join(root, "file.test", month, "bob.lists"))
               for month in months)


def test_the_file_follows_the_date(new_gateway, root):
    """The date is that of the gateway's own time zone: 26 hours lie between these two."""
    gw = new_gateway(files(root, path="{date:%Y-%m-%d-%H}"))
    for zone in ("AAA+12", "BBB-14"):
        gw.env["TZ"] = zone
        gw.start()
        gw.send("ann@client.test", "bob@file.test", message())
        gw.wait_empty()
        gw.stop()
    names = sorted(os.listdir(root))
    assert len(names) == 2
    first, second = (time.mktime(time.strptime(name, "%Y-%m-%d-%H")) for name in names)
    assert 25 * 3600 <= second - first <= 27 * 3600


def test_the_file_of_an_alias_has_the_month_for_its_type(gateway, root):
    """T-90: no file type given: .yyyy-mm."""
    gw = gateway(files(root, rule={"params": ["file=sales"]}, allow_alias_files=True))
    months = {time.strftime("%Y-%m")}
    gw.send("ann@client.test", "bob@file.test", message())
    gw.wait_empty()
    months.add(time.strftime("%Y-%m"))
    (name,) = os.listdir(root)
    assert name in {f"sales.{month}" for month in months}


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out", "link/out", "/etc/passwd"])
def test_the_file_of_an_alias_stays_below_the_roots(gateway, folder, root, name):
    os.symlink(folder, os.path.join(root, "link"))
    gw = gateway(files(root, rule={"params": [f"file={name}"]}, allow_alias_files=True,
                       alias_type="", make_folders=True), no_retry())
    gw.send("ann@client.test", "bob@file.test", message())
    gw.wait_event("deliver.deferred", to="bob@file.test", status="4.3.5")
    assert os.listdir(root) == ["link"]
    assert not os.path.exists(os.path.join(folder, "out")) and not os.path.exists("/etc/out")


def test_a_link_that_is_put_in_the_way_leads_nowhere(gateway, folder, root):
    """Somebody who may write below the root swaps folder and link all the time."""
    target = os.path.join(folder, "target")
    os.makedirs(target)
    os.makedirs(os.path.join(root, "real"))
    os.symlink(target, os.path.join(root, "evil"))
    swapper = subprocess.Popen(
        ["/usr/bin/python3", "-c", "import ctypes, sys\nlibc = ctypes.CDLL(None)\n"
         "while True: libc.renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2)",
         os.path.join(root, "real"), os.path.join(root, "evil")])
    try:
        gw = gateway(files(root, path="real/all", dot_lock="no"))
        for i in range(30):
            gw.send("ann@client.test", "bob@file.test", message(f"number {i}"))
        gw.wait_empty()
    finally:
        swapper.kill()
        swapper.wait()
    assert os.listdir(target) == []
    (box,) = [p for p in (os.path.join(root, n) for n in ("real", "evil"))
              if os.path.isdir(p) and not os.path.islink(p)]
    assert len(messages(os.path.join(box, "all"))) == 30


def test_two_instances_append_to_the_same_file(gateway, root):
    one, two = files(root, path="all", name="one"), files(root, path="all", name="two")
    sections = {"transports": {**one["transports"], **two["transports"]},
                "routing": {"rules": [
                    {"domain": "one.test", "transport": "one", "accept_from": "anyone"},
                    {"domain": "two.test", "transport": "two", "accept_from": "anyone"}]},
                "server": {"workers": 2}}
    gw = gateway(sections)
    for i in range(40):
        gw.send("ann@client.test", ["a@one.test", "b@two.test"],
                message(f"number {i}", body=f"body {i}\r\n" * 500))
    gw.wait_settled()
    got = messages(os.path.join(root, "all"))
    assert len(got) == 80
    for m in got:
        number = m["Subject"].split()[1]
        assert m.get_payload() == f"body {number}\n" * 500
    assert os.listdir(root) == ["all"]


def test_another_programs_lock_is_waited_for(gateway, root):
    lock = os.path.join(root, "all.lock")
    with open(lock, "w", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")
    gw = gateway(files(root, path="all"))
    gw.send("ann@client.test", "bob@file.test", message())
    assert not gw.events("deliver.delivered")
    os.unlink(lock)
    gw.wait_empty()
    assert len(messages(os.path.join(root, "all"))) == 1


@pytest.fixture
def small(folder, at_end):
    """A file system that is soon full."""
    if os.geteuid():
        pytest.skip("mounting a small file system needs root")
    path = os.path.join(folder, "small")
    os.makedirs(path)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", path], check=False,
                          stderr=subprocess.PIPE)
    if done.returncode:
        pytest.skip(f"this machine lets nobody mount: {done.stderr.decode().strip()}")
    at_end(lambda: subprocess.run(["umount", "-l", path], check=True))
    return path


def test_a_full_disk_defers_with_words_and_leaves_no_piece(gateway, small):
    gw = gateway(files(small, path="all"))
    gw.send("ann@client.test", "bob@file.test", message("first"))
    gw.wait_empty()
    before = os.stat(os.path.join(small, "all")).st_size
    gw.send("ann@client.test", "bob@file.test",
            message("second", body=b"0123456789\r\n" * 40000))
    (said,) = gw.wait_event("deliver.deferred", to="bob@file.test")[:1]
    assert said["status"] == "4.3.1" and "No space left" in said["reply"]
    gw.stop()
    assert os.stat(os.path.join(small, "all")).st_size == before
    assert [m["Subject"] for m in messages(os.path.join(small, "all"))] == ["first"]
    subprocess.run(["mount", "-o", "remount,size=4m", small], check=True)
    gw.start()
    gw.wait_empty()
    assert [m["Subject"] for m in messages(os.path.join(small, "all"))] == ["first", "second"]


def test_killed_workers_lose_nothing_and_leave_no_piece(gateway, root):
    gw = gateway(files(root, path="all"), {"server": {"workers": 1}})
    body = b"0123456789\r\n" * 20000
    sent = 0
    for _ in range(4):
        for _ in range(5):
            gw.send("ann@client.test", "bob@file.test", message(f"number {sent}", body=body))
            sent += 1
        (worker,) = gw.workers() or [None]
        if worker:
            os.kill(worker, signal.SIGKILL)
            gw.wait_workers(1, without=[worker])
    gw.expected_errors |= {e["event"] for e in gw.events() if e["level"] == "error"}
    for entry in gw.queue():  # a message that was there twice when a worker died is held
        gw.cli("queue", "release", entry["id"], code=None)
    gw.wait_empty()
    got = messages(os.path.join(root, "all"))
    assert {m["Subject"] for m in got} == {f"number {i}" for i in range(sent)}
    for m in got:
        assert m.get_payload() == body.decode().replace("\r\n", "\n")
    wait_for("the lock to be gone", lambda: os.listdir(root) == ["all"])


def test_a_worker_that_is_locked_in_can_write_below_the_roots(gateway, root):
    gw = gateway(files(root, path="{domain}/all", make_folders=True))
    if gw.events("sandbox.off"):
        pytest.skip(f"not locked in: {gw.events('sandbox.off')[0]['why']}")
    gw.send("ann@client.test", ["bob@file.test", "eve@file.test"], message())
    gw.wait_empty()
    assert len(messages(os.path.join(root, "file.test", "all"))) == 2
    assert os.listdir(os.path.join(root, "file.test")) == ["all"]


@pytest.mark.parametrize("options, words", [
    ({"path": "../x"}, ['".."']), ({}, ["path is missing"]), ({"path": "{what}"}, ["{what}", "{user}"]),
    ({"path": "x", "mode": "0666"}, ["mode", "0666"]),
    ({"path": "x", "line_ends": "crlf"}, ["line_ends", "raw"]),
])
def test_what_makes_no_sense_is_refused_with_words(new_gateway, root, options, words):
    said = new_gateway(files(root, **options)).cli("check", code=78).stderr
    assert "#/transports/file" in said
    for word in words:
        assert word in said


def test_the_plugin_explains_its_options(new_gateway):
    said = new_gateway().cli("plugin", "info", "file").stdout
    for option in ("roots", "allow_alias_files", "alias_type", "make_folders"):
        assert option in said
