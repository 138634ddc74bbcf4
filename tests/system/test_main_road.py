"""A message comes in over SMTP and leaves by the transport that the routing names."""
import hashlib
import mailbox
import os
import re
import subprocess

import pytest

from harness.base import wait_for
from harness.mail import message
from harness.peers import swaks


def test_a_message_from_swaks_lands_in_the_mbox_of_a_local_user(gateway):
    gw = gateway()
    code, said = swaks(gw.port, "--from", "ann@client.test", "--to", "bob@local.test",
                       "--header", "Subject: hello",
                       "--body", "first line\nFrom here on\n>From old")
    assert code == 0, said
    queue_id = re.search(r"queued as (\S+)", said).group(1)
    (got,) = gw.wait_mail("bob")
    assert got.get_from().startswith("ann@client.test ")
    assert got["Return-Path"] == "<ann@client.test>"
    assert got["Subject"] == "hello"
    received = " ".join(got["Received"].split())
    assert f"id {queue_id}" in received
    assert "from swaks.test ([127.0.0.1])" in received
    assert "by gw.test with ESMTP" in received
    assert "for <bob@local.test>" in received
    lines = got.get_payload().splitlines()
    assert lines[0] == "first line"
    # Quoted so that no reader takes them for the start of a message (mboxrd).
    assert lines[1] == ">From here on"
    assert lines[2] == ">>From old"
    gw.wait_empty()


def test_every_user_has_a_mailbox_of_his_own(gateway):
    gw = gateway()
    gw.send("ann@client.test", ["bob@local.test", "eve@local.test"], message("to two"))
    gw.send("ann@client.test", "bob@gw.test", message("to bob alone"))
    assert sorted(m["Subject"] for m in gw.wait_mail("bob", 2)) == ["to bob alone", "to two"]
    assert [m["Subject"] for m in gw.wait_mail("eve")] == ["to two"]


def test_a_message_for_a_remote_domain_is_relayed_by_a_rule_to_a_real_server(gateway, sink, to):
    gw = gateway(to(sink.hop, "remote.test"))
    code, said = swaks(gw.port, "--from", "ann@client.test", "--to", "someone@remote.test",
                       "--header", "Subject: relayed")
    assert code == 0, said
    gw.wait_empty()
    (got,) = sink.messages()
    assert (got.sender, got.rcpts) == ("ann@client.test", ["someone@remote.test"])
    assert got.header("Subject") == "relayed"
    assert b"by gw.test with ESMTP id" in got.data
    # Return-Path is written by the one who delivers, not by a relay (RFC 5321 4.4).
    assert got.header("Return-Path") is None


def test_recipients_with_one_next_hop_travel_in_one_transaction(gateway, peer, to):
    server = peer()
    gw = gateway(to(server.hop, "one.test", "two.test"))
    rcpts = [f"user{i}@{domain}.test" for i in range(20) for domain in ("one", "two")]
    gw.send("ann@client.test", rcpts, message())
    (got,) = server.wait_messages(1)
    assert sorted(got.rcpts) == sorted(rcpts)
    gw.wait_empty()
    assert len(server.messages()) == 1


def test_U_41_recipients_with_different_next_hops_travel_apart(gateway, peer):
    here, there = peer(), peer()
    gw = gateway({"routing": {"rules": [
        {"domain": "here.test", "transport": "smtp-out", "next_hops": [here.hop]},
        {"domain": "there.test", "transport": "smtp-out", "next_hops": [there.hop]}]}})
    gw.send("ann@client.test", ["a@here.test", "b@there.test", "c@here.test", "d@local.test"],
            message("to all of you"))
    gw.wait_empty()
    assert [m.rcpts for m in here.messages()] == [["a@here.test", "c@here.test"]]
    assert [m.rcpts for m in there.messages()] == [["b@there.test"]]
    assert [m["Subject"] for m in gw.wait_mail("d")] == ["to all of you"]


def test_more_recipients_than_a_server_must_take_go_in_several_transactions(gateway, peer, to):
    """RFC 5321 4.5.3.1.8: a hundred, every server takes."""
    server = peer(lambda session, verb, line:
                  "452 4.5.3 too many" if verb == "RCPT" and len(session.rcpts) >= 100 else None)
    gw = gateway(to(server.hop))
    rcpts = [f"user{i}@remote.test" for i in range(250)]
    gw.send("ann@client.test", rcpts, message())
    gw.wait_empty()
    assert sorted(len(m.rcpts) for m in server.messages()) == [50, 100, 100]
    assert sorted(r for m in server.messages() for r in m.rcpts) == sorted(rcpts)
    assert not gw.events("deliver.deferred")


def test_connections_are_kept_for_the_next_message(gateway, peer, to):
    server = peer()
    gw = gateway(to(server.hop), {"queue": {"destination_concurrency": 1}})
    for i in range(10):
        gw.send("ann@client.test", f"user{i}@remote.test", message())
    server.wait_messages(10)
    gw.wait_empty()
    assert len(server.sessions) == 1
    assert server.sessions[0].messages == 10


def test_a_kept_connection_that_the_server_has_closed_costs_no_message(gateway, peer, to):
    server = peer()
    gw = gateway(to(server.hop))
    gw.send("ann@client.test", "one@remote.test", message())
    gw.wait_empty()
    server.close()
    server.open()
    gw.send("ann@client.test", "two@remote.test", message())
    gw.wait_empty()
    assert [m.rcpts for m in server.messages()] == [["one@remote.test"], ["two@remote.test"]]
    # The dead connection was nobody's fault: no try is lost to it.
    assert not gw.events("deliver.deferred")


def test_five_mebibytes_arrive_as_they_were_sent(gateway, peer, to):
    server = peer()
    gw = gateway(to(server.hop, "remote.test"))
    body = b"".join(hashlib.sha256(b"%d" % i).hexdigest().encode() + b"\r\n"
                    for i in range(5 * 1024 * 1024 // 66))
    gw.send("ann@client.test", ["big@remote.test", "big@local.test"], message(body=body))
    gw.wait_empty()
    (got,) = server.messages()
    assert hashlib.sha256(got.data.split(b"\r\n\r\n", 1)[1]).digest() == \
        hashlib.sha256(body).digest()
    (kept,) = gw.wait_mail("big")
    assert kept.get_payload().encode() == body.replace(b"\r\n", b"\n")


def test_a_large_message_survives_a_restart_and_leaves_no_file_behind(gateway, peer, to):
    server = peer()
    server.close()
    gw = gateway(to(server.hop, "remote.test"))
    body = b"x" * 76 + b"\r\n"
    body *= 3 * 1024 * 1024 // len(body)
    gw.send("ann@client.test", "big@remote.test", message(body=body))
    gw.restart()
    server.open()
    (got,) = server.wait_messages(1)
    assert got.data.endswith(body)
    gw.wait_empty()

    def spool_bytes():
        done = gw.command(["find", gw.spool, "-type", "f", "-size", "+1024k"]).stdout
        return done.split()
    wait_for(lambda: f"the content file to go: {spool_bytes()}", lambda: not spool_bytes())


def test_dots_long_lines_and_eight_bits_arrive_as_they_were_sent(gateway, peer, to):
    server = peer()
    gw = gateway(to(server.hop, "remote.test"))
    lines = [b".", b"..", b"...x", b"", b".x", b"x" * 998, b"y" * 5000, "Grüße, 世界".encode(),
             bytes(range(0x80, 0x100)), b"  trailing  ", b"", b"", b"."]
    body = b"\r\n".join(lines) + b"\r\n"
    # smtplib puts the dots of transparency in.
    gw.send("ann@client.test", "odd@remote.test", message(body=body), options=["BODY=8BITMIME"])
    (got,) = server.wait_messages(1)
    assert got.data.split(b"\r\n\r\n", 1)[1] == body
    assert "BODY=8BITMIME" in got.params
    gw.wait_empty()


@pytest.mark.parametrize("content", [
    b"", b"\r\n", b"Subject: header only\r\n", b"\r\nno header\r\n", b"no header at all\r\n",
    b"Subject: no last line end\r\n\r\nx", b"From me to you\r\n\r\nodd\r\n"])
def test_messages_of_odd_shapes_arrive(gateway, peer, to, content):
    server = peer()
    gw = gateway(to(server.hop, "remote.test"))
    gw.send("ann@client.test", ["far@remote.test", "bob@local.test", "bob@local.test"], content)
    gw.send("ann@client.test", "bob@local.test", message("behind it"))
    gw.wait_empty()
    (got,) = server.messages()
    assert got.data.startswith(b"Received: from client.test ")
    if content and not content.endswith(b"\r\n"):
        content += b"\r\n"
    assert got.data.endswith(content)
    # Whatever it was, the mailbox is still one that can be read.
    assert gw.wait_mail("bob", 2)[-1]["Subject"] == "behind it"


def test_a_mailbox_that_somebody_else_has_locked_is_waited_for(gateway):
    gw = gateway({"transports": {"local-mbox": {"lock_timeout": "1s"}}})
    gw.send("ann@client.test", "bob@local.test", message("first"))
    gw.wait_mail("bob")
    box = mailbox.mbox(gw.mbox("bob"))
    box.lock()  # as mail readers do: fcntl and bob.lock
    try:
        gw.send("ann@client.test", "bob@local.test", message("second"))
        # Others need not wait for bob.
        gw.send("ann@client.test", "eve@local.test", message("third"))
        gw.wait_mail("eve")
        (deferred, *_) = gw.wait_event("deliver.deferred", to="bob@local.test")
        assert "lock" in deferred["reply"]
        assert len(gw.messages("bob")) == 1
    finally:
        box.close()
    assert [m["Subject"] for m in gw.wait_mail("bob", 2)] == ["first", "second"]
    gw.wait_empty()
    assert not os.path.exists(gw.mbox("bob") + ".lock")


def test_a_lock_that_a_dead_program_left_is_removed(gateway):
    gw = gateway({"transports": {"local-mbox": {"lock_stale": "2s"}}})
    lock = gw.mbox("bob") + ".lock"
    with open(lock, "w", encoding="ascii") as file:
        file.write("99999999\n")
    os.utime(lock, (1, 1))
    gw.send("ann@client.test", "bob@local.test", message())
    gw.wait_mail("bob")
    assert not os.path.exists(lock)


@pytest.mark.parametrize("host,broken", [(os.uname().nodename, True), ("elsewhere.test", False)])
def test_a_lock_that_our_own_crash_left_holds_nobody_up(gateway, host, broken):
    dead = subprocess.Popen(["true"])
    dead.wait()
    gw = gateway({"transports": {"local-mbox": {"lock_timeout": "1s"}}})
    lock = gw.mbox("bob") + ".lock"
    with open(lock, "w", encoding="ascii") as file:
        file.write(f"{dead.pid}\npostern {host} {os.readlink('/proc/self/ns/pid')}\n")
    gw.send("ann@client.test", "bob@local.test", message())
    if broken:
        gw.wait_mail("bob")
        gw.wait_empty()
        assert not gw.events("deliver.deferred")
    else:  # a process of another machine may well live
        gw.wait_event("deliver.deferred", to="bob@local.test")
    assert os.path.exists(lock) != broken


def test_a_mailbox_is_never_written_through_a_link(gateway):
    gw = gateway()
    target = os.path.join(gw.folder, "precious")
    with open(target, "w", encoding="ascii") as file:
        file.write("precious\n")
    os.symlink(target, gw.mbox("bob"))
    gw.send("ann@client.test", "bob@local.test", message())
    gw.wait_event("deliver.deferred", to="bob@local.test")
    with open(target, encoding="ascii") as file:
        assert file.read() == "precious\n"
    for name in ("..%2fprecious", "../precious", ".hidden", "bob.lock"):
        gw.send("ann@local.test", f'"{name}"@local.test', message())
    gw.wait_event("bounce.sent", count=3)
    with open(target, encoding="ascii") as file:
        assert file.read() == "precious\n"
    assert set(os.listdir(gw.mail)) <= {"bob", "ann", "..%2fprecious"}


def test_smtp_source_sends_many_messages_over_many_sessions(gateway, sink, to):
    gw = gateway(to(sink.hop, "remote.test"))
    gw.command(["smtp-source", "-m", "300", "-s", "10", "-l", "2000", "-f", "ann@client.test",
                "-t", "many@remote.test", f"127.0.0.1:{gw.port}"])
    gw.wait_empty()
    assert len(sink.messages()) == 300
    assert gw.json("status")["queue"]["delivered"] == 300


def test_a_second_gateway_takes_what_the_first_one_relays(gateway, to):
    last = gateway()
    first = gateway(to(f"[127.0.0.1]:{last.port}", "local.test"),
                    {"routing": {"local_domains": ["first.test"]}})
    first.send("ann@client.test", "bob@local.test", message("through two"))
    (got,) = last.wait_mail("bob")
    assert got["Subject"] == "through two"
    assert len(got.get_all("Received")) == 2
    first.wait_empty()
