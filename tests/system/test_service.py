"""What the system around it sees: whose the workers are, and what the service manager is told."""
import glob
import os
import pwd
import signal
import socket
import stat
import subprocess
import time

import pytest

from harness.base import POSTERN, wait_for
from harness.mail import message

USER = "nobody"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


@as_root
def test_workers_run_as_the_user_and_can_not_go_back(new_gateway, folder, peer, to):
    server = peer()
    gw = new_gateway(to(server.hop), {"server": {"user": USER, "workers": 2}})
    os.chmod(folder, 0o711)
    os.chmod(gw.folder, 0o711)
    gw.start()
    who = pwd.getpwnam(USER)
    for pid in gw.wait_workers(2):
        said = status_of(pid)
        assert said["Uid"].split() == [str(who.pw_uid)] * 4
        assert said["Gid"].split() == [str(who.pw_gid)] * 4
        assert "0" not in said["Groups"].split()
        assert said["NoNewPrivs"] == "1"
        assert int(said["CapEff"], 16) == 0 == int(said["CapPrm"], 16)
    assert status_of(gw.process.pid)["Uid"].split()[0] == "0"
    for path in [gw.spool, *glob.glob(os.path.join(gw.spool, "shard-*"))]:
        assert os.stat(path).st_uid == who.pw_uid, path
        assert not stat.S_IMODE(os.stat(path).st_mode) & 0o077, path
    gw.send("ann@client.test", "user@remote.test", message())
    server.wait_messages(1)
    # A replacement and a new generation are no different.
    os.kill(gw.workers()[0], signal.SIGTERM)
    gw.expected_errors.add("worker.ended")
    gw.cli("reload")
    for pid in gw.wait_workers(2):
        assert status_of(pid)["Uid"].split() == [str(who.pw_uid)] * 4


@as_root
def test_the_workers_user_may_ask(new_gateway, folder):
    """docs/operating.md: root and the gateway's own user."""
    gw = new_gateway({"server": {"user": USER}})
    os.chmod(folder, 0o755)
    os.chmod(gw.folder, 0o755)
    gw.start()
    for name, code in ((USER, 0), ("daemon", 77)):
        who = pwd.getpwnam(name)
        for words in (["queue", "list"], ["status"]):
            done = subprocess.run([POSTERN, *words, "--config", gw.confd], check=False,
                                  capture_output=True, text=True, env=gw.env, user=who.pw_uid,
                                  group=who.pw_gid, extra_groups=[])
            assert done.returncode == code, (name, words, done)


@as_root
def test_an_unknown_user_is_a_clear_error(new_gateway):
    gw = new_gateway({"server": {"user": "no-such-user"}})
    done = gw.cli("run", code=None)
    assert done.returncode == 77, done.stderr  # EX_NOPERM
    assert 'there is no user "no-such-user"' in done.stderr
    gw.expected_errors |= {"gateway.reload_failed", "worker.ended"}


@as_root
def test_a_shard_that_can_not_be_taken_over_is_tried_less_and_less_often(new_gateway, folder):
    gw = new_gateway({"server": {"user": USER}})
    for path in (folder, gw.folder):
        os.chmod(path, 0o711)
    gw.expected_errors.add("shard.adopt")
    gw.start()
    shard = os.path.join(gw.spool, "shard-07")
    os.makedirs(shard, mode=0o700)  # root's: no worker may look into it
    with open(os.path.join(shard, "lock"), "w", encoding="ascii"):
        pass
    (waits,) = gw.wait_event("shard.adopt_waits")
    assert waits["shard"] == "7" and waits["tries"] == "1"
    assert gw.status()["unread_shards"] == 1
    said = gw.cli("queue", "list")
    assert said.stdout == "the queue is empty\n"
    assert said.stderr == "postern queue: 1 shard is not read yet: the list is not complete\n"
    assert gw.cli("queue", "list", "--json").stderr == said.stderr
    assert "1 shard is not read yet: what is there" in gw.cli("queue", "retry", "--all",
                                                                code=65).stderr
    who = pwd.getpwnam(USER)
    for path in (shard, os.path.join(shard, "lock")):
        os.chown(path, who.pw_uid, who.pw_gid)
    gw.wait_event("shard.adopted", shard="7")
    assert gw.wait_event("shard.adopt_works")[0]["shard"] == "7"
    wait_for("the supervisor to know", lambda: gw.status()["unread_shards"] == 0)
    assert gw.cli("queue", "list").stderr == ""
    assert len(gw.events("shard.adopt")) == 2  # and not one each time somebody looked


class Manager:
    """The socket of a service manager."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.settimeout(0.05)
        self.said = []

    def heard(self, what):
        try:
            while True:
                self.said.append(self.socket.recv(4096).decode())
        except TimeoutError:
            pass
        return any(what in text.split("\n") for text in self.said)

    def wait(self, what):
        wait_for(lambda: f"{what} in {self.said}", lambda: self.heard(what))
        said, self.said = self.said, []
        return said


def test_the_service_manager_is_told(new_gateway, folder, at_end):
    manager = Manager(os.path.join(folder, "notify"))
    at_end(manager.socket.close)
    gw = new_gateway()
    gw.env.update(NOTIFY_SOCKET=os.path.join(folder, "notify"), WATCHDOG_USEC="4000000")
    gw.start()
    manager.wait("READY=1")
    before = time.monotonic()
    manager.wait("WATCHDOG=1")
    manager.wait("WATCHDOG=1")
    assert time.monotonic() - before < 4 + 5
    gw.process.send_signal(signal.SIGHUP)
    said = manager.wait("RELOADING=1")
    assert any("MONOTONIC_USEC=" in text for text in said)
    if not any("READY=1" in text for text in said):
        manager.wait("READY=1")
    # A reload that fails is over, too.
    gw.expected_errors.add("gateway.reload_failed")
    gw.write_config("20-broken.json", "{")
    gw.process.send_signal(signal.SIGHUP)
    gw.wait_event("gateway.reload_failed")
    manager.wait("READY=1")
    os.remove(os.path.join(gw.confd, "20-broken.json"))
    gw.stop()
    manager.wait("STOPPING=1")
