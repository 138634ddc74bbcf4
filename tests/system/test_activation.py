"""Sockets that a service manager has bound before the gateway is started (sd_listen_fds(3))."""
import os
import shutil
import socket
import sys
import threading

import pytest

from harness.base import PATIENCE, free_port, port_open, wait_for
from harness.mail import message

# Puts descriptors where the protocol wants them, and becomes the gateway.
# argv: descriptors and names, "5=smtp-in 7=...", then the program. PID: whom they are for.
LAUNCHER = """
import os, sys
at = sys.argv.index("--")
given = [word.split("=", 1) for word in sys.argv[1:at]]
kept = [os.dup(int(fd)) for fd, _ in given]
for fd, _ in given:
    os.close(int(fd))
high = [os.dup2(fd, 100 + i) for i, fd in enumerate(kept)]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i, inheritable=True)
    os.close(fd)
os.environ["LISTEN_PID"] = os.environ.pop("FOR_PID", str(os.getpid()))
os.environ["LISTEN_FDS"] = str(len(given))
os.environ["LISTEN_FDNAMES"] = ":".join(name for _, name in given)
os.execv(sys.argv[at + 1], sys.argv[at + 1:])
"""


@pytest.fixture
def bound(at_end):
    """bound(port): a socket that listens."""
    def make(port=None, host="127.0.0.1"):
        made = socket.create_server((host, port or free_port()))
        at_end(made.close)
        return made
    return make


def port_of(sock):
    return sock.getsockname()[1]


def start(gw, **sockets):
    """NAME=SOCKET, or NAME=[SOCKET, ...]; the test keeps none of them open."""
    pairs = [(name.replace("_", "-"), sock) for name, given in sockets.items()
             for sock in (given if isinstance(given, list) else [given])]
    words = [f"{sock.fileno()}={name}" for name, sock in pairs]
    gw.start(launcher=[sys.executable, "-c", LAUNCHER, *words, "--"],
             pass_fds=[sock.fileno() for _, sock in pairs])
    for _, sock in pairs:
        sock.close()


def listen(*endpoints, **more):
    return {"ingress": {"smtp-in": {"listen": list(endpoints)}, **more}}


def deliver(gw, user, port=None):
    gw.send("ann@client.test", f"{user}@local.test", message(), port=port)
    gw.wait_mail(user)


def test_a_socket_with_the_address_of_a_listener_is_taken(new_gateway, bound):
    gw = new_gateway({"server": {"workers": 2}})
    sock = bound(gw.port)
    # Who knocks while nothing runs is answered later, not refused: that is what it is for.
    early = socket.create_connection(("127.0.0.1", gw.port), timeout=PATIENCE)
    start(gw, unknown=sock)
    with early, early.makefile("rb") as file:
        assert file.readline().startswith(b"220 ")
    (event,) = gw.wait_event("listener.passed")
    assert event["endpoint"] == event["address"] == f"127.0.0.1:{gw.port}"
    deliver(gw, "bob")
    # It is there for replacements and reloads, too; and the environment is for nobody else.
    gw.cli("reload")
    deliver(gw, "carl")
    for pid in [gw.process.pid, *gw.workers()]:
        names = [word.split(b"=")[0] for word in environment(pid)]
        assert pid == gw.process.pid or b"LISTEN_FDS" not in names
    assert not gw.events("listener.unmatched")


def environment(pid):
    with open(f"/proc/{pid}/environ", "rb") as file:
        return file.read().split(b"\0")


def test_a_socket_with_the_name_of_an_instance_is_taken(new_gateway, bound):
    """The listener is configured to be elsewhere, and there is only one it can be meant for."""
    gw = new_gateway()
    sock, configured = bound(), gw.port
    gw.port = port_of(sock)
    start(gw, smtp_in=sock)
    deliver(gw, "bob")
    assert not port_open(configured)


def test_an_address_counts_for_more_than_a_name(new_gateway, bound):
    gw = new_gateway()
    first, second = bound(), bound()
    gw.configure(listen(f"127.0.0.1:{gw.port}", f"127.0.0.1:{port_of(second)}"))
    configured, gw.port = gw.port, port_of(first)
    ports = port_of(first), port_of(second)
    start(gw, smtp_in=[first, second])
    for i, port in enumerate(ports):
        deliver(gw, f"user{i}", port)
    assert not port_open(configured)


def test_what_matches_nothing_is_closed_and_named(new_gateway, bound):
    gw = new_gateway()
    sock = bound()
    stray = port_of(sock)
    start(gw, pop3=sock)
    (event,) = gw.wait_event("listener.unmatched")
    assert event["level"] == "warning"
    assert (event["name"], event["address"]) == ("pop3", f"127.0.0.1:{stray}")
    assert not port_open(stray)
    deliver(gw, "bob")  # and what was not passed was bound as ever


def test_two_sockets_of_one_name_are_not_guessed_at(new_gateway, bound):
    gw = new_gateway()
    start(gw, smtp_in=[bound(), bound()])
    assert len(gw.wait_event("listener.unmatched", count=2)) == 2
    deliver(gw, "bob")


def test_what_does_not_listen_is_refused_in_words(new_gateway, at_end):
    gw = new_gateway()
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    at_end(datagrams.close)
    datagrams.bind(("127.0.0.1", 0))
    start(gw, smtp_in=datagrams)
    (event,) = gw.wait_event("listener.passed")
    assert event["level"] == "warning" and "Accept=no" in event["text"]
    deliver(gw, "bob")


def test_sockets_for_another_process_are_not_ours(new_gateway, bound):
    gw = new_gateway()
    gw.env["FOR_PID"] = "1"
    sock = bound()
    start(gw, smtp_in=sock)
    assert not gw.events("listener.passed") and not gw.events("listener.unmatched")
    deliver(gw, "bob")


def test_a_listener_that_a_reload_drops_can_come_back(new_gateway, bound):
    """The manager would still hold its address: nobody could bind it again."""
    gw = new_gateway()
    sock = bound()
    passed = port_of(sock)
    both = listen(f"127.0.0.1:{gw.port}", f"127.0.0.1:{passed}")
    manager = sock.dup()
    gw.configure(both)
    start(gw, unknown=sock)
    deliver(gw, "bob", passed)
    gw.configure(listen(f"127.0.0.1:{gw.port}"))
    gw.cli("reload")
    deliver(gw, "carl")
    gw.configure(both)
    gw.cli("reload")
    manager.close()
    deliver(gw, "dora", passed)


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"),
                    reason="there is no systemd-socket-activate")
def test_systemd_s_own_launcher(new_gateway):
    gw = new_gateway()
    gw.env["POSTERN_CONFIG"] = gw.confd
    # It passes the descriptors and waits for the first to knock; then it is the gateway itself.
    words = ["systemd-socket-activate", "--listen", f"127.0.0.1:{gw.port}", "--fdname", "smtp-in"]
    for name in gw.env:
        if name not in ("PATH", "LISTEN_FDS", "LISTEN_PID"):
            words += ["--setenv", name]
    knock = threading.Thread(target=wait_for, args=("a port", lambda: port_open(gw.port)))
    knock.start()
    gw.start(launcher=words)
    knock.join()
    gw.wait_event("listener.passed")
    deliver(gw, "bob")
