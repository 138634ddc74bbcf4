"""What smtp-out does with servers that are slow, choosy, broken, or gone for a while."""
import threading

import pytest

from harness.base import free_port, wait_for
from harness.mail import message
from harness.peers import CLOSE, SmtpPeer


def verbs(session):
    return [c.split(" ", 1)[0].upper() for c in session.commands]


def test_commands_are_pipelined_where_it_is_offered(gateway, peer, to):
    server = peer()
    gw = gateway(to(server.hop))
    gw.send("ann@client.test", [f"user{i}@remote.test" for i in range(5)], message())
    (got,) = server.wait_messages(1)
    assert got.session.pipelined >= 7  # MAIL, five RCPT, DATA
    gw.wait_empty()


def test_commands_wait_for_replies_where_it_is_not(gateway, peer, to):
    server = peer(extensions=["SIZE", "8BITMIME"])
    gw = gateway(to(server.hop))
    gw.send("ann@client.test", ["one@remote.test", "two@remote.test"], message())
    (got,) = server.wait_messages(1)
    assert got.session.pipelined == 1
    assert got.rcpts == ["one@remote.test", "two@remote.test"]
    gw.wait_empty()


def test_size_is_told_where_it_is_offered(gateway, peer, to):
    server = peer()
    gw = gateway(to(server.hop))
    gw.send("ann@client.test", "one@remote.test", message())
    (got,) = server.wait_messages(1)
    assert f"SIZE={len(got.data)}" in got.params
    gw.wait_empty()


def test_a_server_that_does_not_know_ehlo_is_spoken_to_with_helo(gateway, peer, to):
    server = peer(lambda session, verb, line:
                  "502 5.5.1 never heard of it" if verb == "EHLO" else None)
    gw = gateway(to(server.hop))
    gw.send("ann@client.test", "one@remote.test", message())
    (got,) = server.wait_messages(1)
    assert verbs(got.session)[:3] == ["EHLO", "HELO", "MAIL"]
    assert got.params == "MAIL FROM:<ann@client.test>"
    gw.wait_empty()


def test_greylisting_delays_and_then_lets_pass(gateway, peer, to):
    tries = []

    def grey(_, verb, line):
        if verb == "RCPT":
            tries.append(line)
            if len(tries) == 1:
                return "451 4.7.1 Greylisted, come again"
        return None

    server = peer(grey)
    gw = gateway(to(server.hop))
    queue_id = gw.send("ann@client.test", "one@remote.test", message("patience"))
    (got,) = server.wait_messages(1)
    assert got.header("Subject") == "patience"
    gw.wait_empty()
    (deferred,) = gw.events("deliver.deferred", id=queue_id)
    assert deferred["status"] == "4.7.1" and "Greylisted" in deferred["reply"]
    assert not gw.events("destination.dead")  # it answered: it is not dead


def test_one_recipient_deferred_does_not_delay_the_others(gateway, peer, to):
    state = {"full": True}
    server = peer(lambda session, verb, line:
                  "452 4.2.2 mailbox full" if verb == "RCPT" and "full" in line and state["full"]
                  else None)
    gw = gateway(to(server.hop))
    gw.send("ann@client.test", ["one@remote.test", "full@remote.test", "two@remote.test"],
            message())
    assert server.wait_messages(1)[0].rcpts == ["one@remote.test", "two@remote.test"]
    wait_for("full@remote.test to be tried again",
             lambda: gw.events("deliver.deferred", to="full@remote.test"))
    assert list(gw.queued_rcpts()) == ["full@remote.test"]
    state["full"] = False
    assert server.wait_messages(2)[1].rcpts == ["full@remote.test"]
    gw.wait_empty()
    assert len(server.messages()) == 2


def test_one_recipient_refused_comes_back_and_the_others_arrive(gateway, peer, to):
    server = peer(lambda session, verb, line:
                  "550 5.1.1 nobody here" if verb == "RCPT" and "nobody" in line else None)
    gw = gateway(to(server.hop, "remote.test"))
    gw.send("ann@local.test", ["one@remote.test", "nobody@remote.test", "two@remote.test"],
            message())
    assert server.wait_messages(1)[0].rcpts == ["one@remote.test", "two@remote.test"]
    (report,) = gw.wait_mail("ann")
    assert "nobody@remote.test" in str(report) and "550 5.1.1 nobody here" in str(report)
    gw.wait_empty()
    assert len(server.messages()) == 1


@pytest.mark.parametrize("where", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "."])
def test_a_connection_that_drops_is_tried_again(gateway, peer, to, where):
    dropped = []

    def drop_once(_, verb, __):
        if verb == where and not dropped:
            dropped.append(verb)
            return CLOSE
        return None

    server = peer(drop_once)
    gw = gateway(to(server.hop))
    gw.send("ann@client.test", "one@remote.test", message("in spite of all"))
    assert [m.header("Subject") for m in server.wait_messages(1)] == ["in spite of all"]
    gw.wait_empty()
    assert dropped and len(server.messages()) == 1
    assert gw.events("deliver.deferred", to="one@remote.test")


@pytest.mark.parametrize("where,reply,status", [
    ("CONNECT", "421 4.3.2 closed for lunch", "4.3.2"),
    ("MAIL", "451 4.3.0 not now", "4.3.0"),
    ("RCPT", "450 busy", "4.2.0"),
    ("DATA", "451 4.3.5 not now", "4.3.5"),
    (".", "452 4.3.1 no room", "4.3.1")])
def test_a_temporary_reply_defers_with_the_servers_words(gateway, peer, to, where, reply, status):
    state = {"refuse": True}
    server = peer(lambda session, verb, line:
                  reply if verb == where and state["refuse"] else None)
    gw = gateway(to(server.hop))
    gw.send("ann@client.test", "one@remote.test", message())
    (deferred, *_) = gw.wait_event("deliver.deferred", to="one@remote.test")
    assert deferred["status"] == status and reply in deferred["reply"]
    assert reply in gw.cli("queue", "list").stdout
    state["refuse"] = False
    server.wait_messages(1)
    gw.wait_empty()


@pytest.mark.parametrize("where,reply,status", [
    ("MAIL", "550 5.7.1 we do not like you", "5.7.1"),
    ("RCPT", "550 unknown user", "5.1.1"),
    (".", "554 5.6.0 what a message", "5.6.0")])
def test_a_permanent_reply_returns_the_message_with_the_servers_words(gateway, peer, to, where,
                                                                      reply, status):
    server = peer(lambda session, verb, line: reply if verb == where else None)
    gw = gateway(to(server.hop, "remote.test"))
    gw.send("ann@local.test", "one@remote.test", message())
    (report,) = gw.wait_mail("ann")
    assert f"Status: {status}" in str(report) and reply in str(report)
    gw.wait_empty()
    assert not server.messages()


def test_a_server_that_does_not_answer_in_time_is_tried_again(gateway, peer, to, at_end):
    release = threading.Event()
    at_end(release.set)
    slow = []

    def stall_once(_, verb, __):
        if verb == "MAIL" and not slow:
            slow.append(verb)
            release.wait(60)
        return None

    server = peer(stall_once)
    gw = gateway(to(server.hop), {"transports": {"smtp-out": {"timeouts": {"mail": "1s"}}}})
    gw.send("ann@client.test", "one@remote.test", message())
    server.wait_messages(1)
    (deferred, *_) = gw.wait_event("deliver.deferred", to="one@remote.test")
    assert deferred["status"].startswith("4.4."), deferred
    gw.wait_empty()


@pytest.mark.parametrize("reply", [
    "250-" + "x" * 200000 + "\r\n250 done", "\r\n".join(["250-more"] * 20000) + "\r\n250 done",
    "what do you want", "", "99 bottles", "250"],
    ids=["a long line", "many lines", "words", "nothing", "an odd code", "a bare code"])
def test_nonsense_from_a_server_costs_a_try_and_no_more(gateway, peer, to, reply):
    state = {"talk": True}
    server = peer(lambda session, verb, line: reply if verb == "RCPT" and state["talk"] else None)
    gw = gateway(to(server.hop))
    gw.send("ann@client.test", "one@remote.test", message())
    if reply == "250":  # short, but clear (RFC 5321 4.2: the text may be missing)
        server.wait_messages(1)
        gw.wait_empty()
        return
    (deferred, *_) = gw.wait_event("deliver.deferred", to="one@remote.test")
    assert len(deferred["reply"]) < 2000
    state["talk"] = False
    server.wait_messages(1)
    gw.wait_empty()


def test_the_second_next_hop_takes_over_when_the_first_is_down(gateway, peer):
    server = peer()
    gw = gateway({"routing": {"rules": [
        {"domain": "remote.test", "transport": "smtp-out",
         "next_hops": [f"[127.0.0.1]:{free_port()}", server.hop]}]}})
    gw.send("ann@client.test", "one@remote.test", message())
    server.wait_messages(1)
    gw.wait_empty()
    assert not gw.events("deliver.deferred")


def test_what_waits_for_a_dead_server_goes_when_it_comes_back(gateway, peer, to):
    server = peer()
    server.close()
    gw = gateway(to(server.hop))
    for i in range(50):
        gw.send("ann@client.test", f"user{i}@remote.test", message())
    gw.wait_event("destination.dead")
    waiting = gw.queued_rcpts()
    assert len(waiting) == 50
    assert {r["reason"] for r in waiting.values()} <= {"host unreachable", "backoff", "in flight",
                                                       "destination limit", "new"}
    server.open()
    server.wait_messages(50)
    gw.wait_event("destination.alive")
    gw.wait_empty()
    assert len({m.rcpts[0] for m in server.messages()}) == 50 == len(server.messages())


def test_one_dead_destination_does_not_hold_up_others(gateway, peer, at_end):
    """The dead one is of the nasty kind: it takes connections, and then it says nothing."""
    release = threading.Event()
    at_end(release.set)

    def mute(_, verb, __):
        if verb == "CONNECT":
            release.wait(120)
            return CLOSE
        return None

    dead, alive = peer(mute), peer()
    # The dead one alone could use up all deliveries that are allowed at a time.
    gw = gateway({"queue": {"concurrency": 40}, "routing": {"rules": [
        {"domain": "dead.test", "transport": "smtp-out", "next_hops": [dead.hop]},
        {"domain": "alive.test", "transport": "smtp-out", "next_hops": [alive.hop]}]}})
    for _ in range(6):
        gw.send("ann@client.test", [f"user{n}@dead.test" for n in range(50)], message())
    gw.command(["smtp-source", "-m", "300", "-s", "5", "-f", "ann@client.test",
                "-t", "many@dead.test", f"127.0.0.1:{gw.port}"])
    for i in range(20):
        gw.send("ann@client.test", f"user{i}@alive.test", message())
    alive.wait_messages(20)
    # All of the others still wait for the first sign of life.
    assert gw.json("status")["queue"]["messages"] == 306
    assert not gw.events("deliver.deferred")
    gw.kill()  # SIGTERM would give the mute server ten seconds more


def test_internationalised_addresses_do_not_go_where_they_are_not_understood(gateway, peer, to):
    server = peer(extensions=["8BITMIME", "PIPELINING"])
    gw = gateway(to(server.hop, "remote.test"))
    with gw.smtp() as client:
        client.command_encoding = "utf-8"
        client.docmd("MAIL", "FROM:<ann@local.test> SMTPUTF8")
        client.docmd("RCPT", "TO:<пётр@remote.test>")
        client.docmd("RCPT", "TO:<plain@remote.test>")
        client.data(message("plain"))
    assert server.wait_messages(1)[0].rcpts == ["plain@remote.test"]
    (raw,) = gw.wait_mail("ann")
    assert "Status: 5.6.7" in raw.as_string()
    gw.wait_empty()


def test_starttls_is_used_where_it_is_offered(gateway, peer, to, certificate):
    server = peer(certificate=certificate("peer.test"))
    gw = gateway(to(server.hop))
    gw.send("ann@client.test", "one@remote.test", message())
    (got,) = server.wait_messages(1)
    assert got.session.tls
    assert verbs(got.session)[:4] == ["EHLO", "STARTTLS", "EHLO", "MAIL"]
    gw.wait_empty()


def test_without_starttls_a_message_that_requires_it_waits(gateway, peer, to):
    server = peer()
    gw = gateway(to(server.hop), {"transports": {"smtp-out": {"tls": "require"}}})
    gw.send("ann@client.test", "one@remote.test", message())
    (deferred, *_) = gw.wait_event("deliver.deferred", to="one@remote.test")
    assert "TLS" in deferred["reply"].upper()
    assert not server.messages()


def test_a_verified_name_must_be_the_right_one(gateway, peer, certificate):
    authority = certificate("authority.test")
    right = peer(certificate=certificate("localhost", authority))
    wrong = peer(certificate=certificate("other.test", authority))
    gw = gateway({"transports": {"smtp-out": {"tls": "require", "tls_verify": True,
                                              "ca_file": authority[0]}},
                  "routing": {"rules": [
                      {"domain": "right.test", "transport": "smtp-out",
                       "next_hops": [f"[localhost]:{right.port}"]},
                      {"domain": "wrong.test", "transport": "smtp-out",
                       "next_hops": [f"[localhost]:{wrong.port}"]}]}})
    gw.send("ann@client.test", ["one@right.test", "two@wrong.test"], message())
    assert right.wait_messages(1)[0].session.tls
    (deferred, *_) = gw.wait_event("deliver.deferred", to="two@wrong.test")
    assert "certificate" in deferred["reply"].lower(), deferred
    assert not wrong.messages()


def test_when_opportunistic_tls_breaks_the_message_goes_in_the_clear(gateway, to, at_end):
    """Only where the operator asked for no more than opportunistic TLS (RFC 7435)."""
    server = SmtpPeer(lambda session, verb, line:
                      "454 4.7.0 TLS is broken today" if verb == "STARTTLS" else None,
                      extensions=[*SmtpPeer.EXTENSIONS, "STARTTLS"])
    at_end(server.close)
    gw = gateway(to(server.hop))
    gw.send("ann@client.test", "one@remote.test", message())
    (got,) = server.wait_messages(1)
    assert not got.session.tls
    gw.wait_empty()
