"""What smtp-in says to clients, as smtplib, swaks and a bare socket see it."""
import os
import signal
import smtplib
import socket
import ssl

import pytest

from harness.base import PATIENCE, free_port, wait_for
from harness.mail import message
from harness.peers import swaks


class Line:
    """A bare connection: what is sent is sent as it is."""

    def __init__(self, port):
        self.conn = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.file = self.conn.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.conn.close()

    def reply(self):
        lines = []
        while True:
            line = self.file.readline().decode()
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return "\n".join(lines)

    def say(self, text):
        self.conn.sendall(text if isinstance(text, bytes) else text.encode())
        return self

    def ask(self, text):
        return self.say(text + "\r\n").reply()


def test_ehlo_announces_what_is_honoured(gateway):
    gw = gateway({"server": {"message_size_max": "100K"}})
    with gw.smtp() as client:
        assert {"pipelining", "8bitmime", "size", "smtputf8", "enhancedstatuscodes"} <= \
            set(client.esmtp_features)
        assert client.esmtp_features["size"] == str(100 * 1024)
        assert "starttls" not in client.esmtp_features


def test_helo_is_enough(gateway):
    gw = gateway()
    with gw.smtp(ehlo=False) as client:
        assert client.helo()[0] == 250
        client.mail("ann@client.test")
        client.rcpt("bob@local.test")
        assert client.data(message("old style"))[0] == 250
    (got,) = gw.wait_mail("bob")
    assert "with SMTP id" in " ".join(got["Received"].split())


def test_commands_may_be_pipelined_over_several_messages(gateway):
    gw = gateway()
    with Line(gw.port) as line:
        assert line.reply().startswith("220 gw.test ")
        line.ask("EHLO client.test")
        once = ("MAIL FROM:<ann@client.test>\r\nRCPT TO:<bob@local.test>\r\n"
                "RCPT TO:<eve@local.test>\r\nDATA\r\n")
        line.say(once)
        assert [line.reply()[:3] for _ in range(4)] == ["250", "250", "250", "354"]
        # The end of one message, the whole of the next, and the farewell in one piece.
        line.say("Subject: 1\r\n\r\nx\r\n.\r\nMAIL FROM:<ann@client.test>\r\n"
                 "RCPT TO:<bob@local.test>\r\nDATA\r\n")
        assert [line.reply()[:3] for _ in range(4)] == ["250", "250", "250", "354"]
        line.say("Subject: 2\r\n\r\ny\r\n.\r\nRSET\r\nNOOP\r\nQUIT\r\n")
        assert [line.reply()[:3] for _ in range(4)] == ["250", "250", "250", "221"]
        assert line.file.read() == b""
    assert sorted(m["Subject"] for m in gw.wait_mail("bob", 2)) == ["1", "2"]


def test_size_is_refused_before_and_after_the_content(gateway):
    gw = gateway({"server": {"message_size_max": "20K"}})
    with gw.smtp() as client:
        assert client.mail("ann@client.test", ["SIZE=20481"])[0] == 552
        assert client.mail("ann@client.test", ["SIZE=100"])[0] == 250  # not true
        assert client.rcpt("bob@local.test")[0] == 250
        code, text = client.data(message(body=b"x" * 70 + b"\r\n" * 30000))
        assert (code, text[:5]) == (552, b"5.3.4")
        # The session goes on.
        assert client.mail("ann@client.test")[0] == 250
        assert client.rcpt("bob@local.test")[0] == 250
        assert client.data(message("small"))[0] == 250
    assert [m["Subject"] for m in gw.wait_mail("bob")] == ["small"]


def test_the_verbs_have_their_replies(gateway):
    gw = gateway()
    with Line(gw.port) as line:
        line.reply()
        assert line.ask("MAIL FROM:<a@b.test>").startswith("503 5.5.1")
        line.ask("EHLO client.test")
        assert line.ask("NOOP anything").startswith("250 ")
        assert line.ask("VRFY bob").startswith("252 ")
        assert line.ask("HELP").startswith("214")
        assert line.ask("EXPN list").startswith("502 ")
        assert line.ask("WHAT").startswith("500 ")
        assert line.ask("RCPT TO:<bob@local.test>").startswith("503 ")
        assert line.ask("DATA").startswith("503 ")
        assert line.ask("MAIL FROM:<>").startswith("250 ")
        assert line.ask("MAIL FROM:<>").startswith("503 ")
        assert line.ask("RCPT TO:<bob local test>").startswith("501 ")
        assert line.ask("RSET").startswith("250 ")
        assert line.ask("MAIL FROM:<a@b.test> FOO=BAR").startswith("555 ")
        assert line.ask("QUIT").startswith("221 ")


def test_postmaster_needs_no_domain(gateway):
    gw = gateway()
    gw.send("ann@client.test", "postmaster", message("for the master"))
    assert [m["Subject"] for m in gw.wait_mail("postmaster")] == ["for the master"]


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r"])
def test_only_crlf_dot_crlf_ends_a_message(gateway, end):
    """SMTP smuggling: what other servers may take for an end is none, and such mail is refused."""
    gw = gateway()
    with Line(gw.port) as line:
        line.reply()
        for command in ("EHLO client.test", "MAIL FROM:<ann@client.test>",
                        "RCPT TO:<bob@local.test>", "DATA"):
            assert line.ask(command)[0] in "23"
        line.say(b"Subject: one\r\n\r\nx" + end + b"MAIL FROM:<forged@local.test>\r\n"
                 b"RCPT TO:<bob@local.test>\r\nDATA\r\nSubject: forged\r\n\r\n\r\n.\r\n")
        assert line.reply().startswith("554 5.6.0")
    assert gw.json("status")["queue"]["accepted"] == 0
    assert not gw.messages("bob")


def test_strangers_may_send_to_local_domains_only(gateway, sink, to):
    gw = gateway(to(sink.hop, "remote.test"),
                 {"ingress": {"smtp-in": {"relay_from": ["192.0.2.0/24"]}}})
    with gw.smtp() as client:
        client.mail("ann@local.test")
        code, text = client.rcpt("victim@remote.test")
        assert code == 550 and text.startswith(b"5.7.1"), (code, text)
        for trick in ("victim%remote.test@elsewhere.test", "@local.test:victim@remote.test",
                      '"victim@remote.test"@elsewhere.test'):
            assert client.rcpt(trick)[0] == 550, trick
        assert client.rcpt("bob@local.test")[0] == 250
        assert client.data(message("for bob"))[0] == 250
    assert [m["Subject"] for m in gw.wait_mail("bob")] == ["for bob"]
    gw.wait_empty()
    assert sink.messages() == []


def test_a_rule_may_open_one_domain_to_anyone(gateway, peer):
    server = peer()
    gw = gateway({"ingress": {"smtp-in": {"relay_from": ["192.0.2.0/24"]}}, "routing": {"rules": [
        {"domain": "ours.test", "transport": "smtp-out", "next_hops": [server.hop],
         "accept_from": "anyone"},
        {"domain": "theirs.test", "transport": "smtp-out", "next_hops": [server.hop]}]}})
    with gw.smtp() as client:
        client.mail("ann@client.test")
        assert client.rcpt("x@theirs.test")[0] == 550
        assert client.rcpt("x@ours.test")[0] == 250
        client.data(message())
    assert [m.rcpts for m in server.wait_messages(1)] == [["x@ours.test"]]


def test_without_a_valid_recipient_data_is_refused(gateway):
    gw = gateway({"ingress": {"smtp-in": {"relay_from": ["192.0.2.0/24"]}}})
    with gw.smtp() as client:
        client.mail("ann@client.test")
        assert client.rcpt("victim@remote.test")[0] == 550
        with pytest.raises(smtplib.SMTPDataError) as error:
            client.data(message())
        assert error.value.smtp_code == 554


def test_a_rule_that_fails_refuses_at_rcpt_and_the_others_go_on(gateway):
    gw = gateway({"routing": {"rules": [
        {"recipient": "gone@local.test", "fail": "5.1.6 she has left us"},
        {"recipient": "later@local.test", "fail": "4.2.1 come back tomorrow"}]}})
    with gw.smtp() as client:
        client.mail("ann@client.test")
        code, text = client.rcpt("gone@local.test")
        assert code == 550 and text.startswith(b"5.1.6") and b"she has left us" in text
        code, text = client.rcpt("later@local.test")
        assert code == 450 and text.startswith(b"4.2.1") and b"come back tomorrow" in text
        assert client.rcpt("bob@local.test")[0] == 250
        assert client.data(message())[0] == 250
    assert len(gw.wait_mail("bob")) == 1
    gw.wait_empty()
    assert not gw.messages("gone")


def test_too_many_recipients_are_told_to_come_in_another_transaction(gateway):
    gw = gateway({"server": {"recipients_max": 5}})
    with gw.smtp() as client:
        client.mail("ann@client.test")
        codes = [client.rcpt(f"user{i}@local.test")[0] for i in range(7)]
        assert codes == [250] * 5 + [452] * 2
        assert client.data(message())[0] == 250
    gw.wait_empty()
    assert len(gw.events("deliver.delivered")) == 5


def test_too_many_connections_are_turned_away_with_421(gateway):
    # (Those who may relay are trusted in this, too.)
    gw = gateway({"ingress": {"smtp-in": {"max_connections_per_client": 2, "relay_from": []}}})
    with Line(gw.port) as one, Line(gw.port) as two, Line(gw.port) as three:
        assert one.reply().startswith("220") and two.reply().startswith("220")
        assert three.reply().startswith("421")
        assert one.ask("EHLO client.test").startswith("250")


def test_a_client_that_says_nothing_is_let_go(gateway):
    gw = gateway({"ingress": {"smtp-in": {"command_timeout": "1s"}}})
    with Line(gw.port) as line:
        line.reply()
        assert line.reply().startswith("421 4.4.2")
        assert line.file.read() == b""


def test_a_message_cut_off_in_the_middle_is_forgotten(gateway):
    gw = gateway()
    with Line(gw.port) as line:
        line.reply()
        for command in ("EHLO client.test", "MAIL FROM:<ann@client.test>",
                        "RCPT TO:<bob@local.test>", "DATA"):
            line.ask(command)
        line.say("Subject: half\r\n\r\n" + "x\r\n" * 1000)
    gw.send("ann@client.test", "bob@local.test", message("whole"))
    assert [m["Subject"] for m in gw.wait_mail("bob")] == ["whole"]
    assert gw.json("status")["queue"]["accepted"] == 1


def test_sigterm_says_good_bye_and_lets_a_message_under_way_be_finished(gateway):
    gw = gateway()
    with Line(gw.port) as idle, Line(gw.port) as busy:
        for line in (idle, busy):
            line.reply()
            line.ask("EHLO client.test")
        for command in ("MAIL FROM:<ann@client.test>", "RCPT TO:<bob@local.test>", "DATA"):
            assert busy.ask(command)[0] in "23"
        busy.say("Subject: just in time\r\n\r\n")
        gw.process.send_signal(signal.SIGTERM)
        assert idle.reply().startswith("421 4.3.2")
        assert idle.file.read() == b""
        assert not gw.log().count("gateway.stopped")
        busy.say("the end\r\n.\r\n")
        assert busy.reply().startswith("250 2.0.0")
        assert busy.reply().startswith("421 4.3.2")
    assert gw.process.wait(PATIENCE) == 0
    gw.start()  # accepted is accepted, whether it was delivered before the end or not
    wait_for("the message", lambda: gw.messages("bob"))
    gw.wait_empty()
    assert [m["Subject"] for m in gw.messages("bob")] == ["just in time"]


def test_a_unix_socket_can_be_listened_on(gateway, folder):
    path = os.path.join(folder, "smtp.sock")
    gw = gateway({"ingress": {"smtp-in": {"listen": [f"unix:{path}"]}}})
    with socket.socket(socket.AF_UNIX) as conn:
        conn.settimeout(PATIENCE)
        conn.connect(path)
        file = conn.makefile("rb")
        assert file.readline().startswith(b"220 ")
        for command in (b"HELO here", b"MAIL FROM:<ann@local.test>", b"RCPT TO:<bob@local.test>",
                        b"RSET", b"QUIT"):
            conn.sendall(command + b"\r\n")
            assert file.readline()[:1] == b"2", command
    gw.stop()
    assert not os.path.exists(path)


def test_starttls_encrypts_and_is_told_in_received(gateway, certificate):
    cert, key = certificate("gw.test")
    gw = gateway({"ingress": {"smtp-in": {"tls_certificate": cert, "tls_key": key}}})
    trust = ssl.create_default_context(cafile=cert)
    trust.check_hostname = False
    with gw.smtp() as client:
        assert client.starttls(context=trust)[0] == 220
        client.ehlo()
        assert "starttls" not in client.esmtp_features
        client.mail("ann@client.test")
        client.rcpt("bob@local.test")
        assert client.data(message("secret"))[0] == 250
    (got,) = gw.wait_mail("bob")
    received = " ".join(got["Received"].split())
    assert "with ESMTPS" in received and "TLSv1.3" in received
    code, said = swaks(gw.port, "--tls", "--from", "ann@client.test", "--to", "eve@local.test")
    assert code == 0 and "TLS started" in said, said
    gw.wait_mail("eve")


def test_where_tls_is_required_nothing_goes_in_the_clear(gateway, certificate):
    cert, key = certificate("gw.test")
    gw = gateway({"ingress": {"smtp-in": {"tls_certificate": cert, "tls_key": key,
                                          "tls_required": True}}})
    with gw.smtp() as client:
        assert client.mail("ann@client.test")[0] == 530
    with Line(gw.port) as line:
        line.reply()
        line.ask("EHLO client.test")
        # Commands sent along with STARTTLS, in the clear, may be somebody else's (CVE-2011-0411).
        line.say("STARTTLS\r\nEHLO forged.test\r\nMAIL FROM:<forged@local.test>\r\n")
        assert line.reply().startswith("554 ")
        assert line.file.read() == b""


def test_internationalised_addresses_need_smtputf8(gateway, peer, to):
    server = peer()
    gw = gateway(to(server.hop, "remote.test"))
    with gw.smtp() as client:
        client.command_encoding = "utf-8"
        assert client.docmd("MAIL", "FROM:<jörg@client.test>")[0] in (501, 550, 553)
        assert client.docmd("MAIL", "FROM:<jörg@client.test> SMTPUTF8")[0] == 250
        assert client.docmd("RCPT", "TO:<пётр@remote.test>")[0] == 250
        assert client.data(message(body="Привет\r\n"))[0] == 250
    (got,) = server.wait_messages(1)
    assert (got.sender, got.rcpts) == ("jörg@client.test", ["пётр@remote.test"])
    assert "SMTPUTF8" in got.params
    gw.wait_empty()


def test_ipv6_is_listened_on_and_named_as_such(gateway):
    port = free_port()
    try:
        socket.create_server(("::1", port), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"this machine has no ::1: {error}")
    gw = gateway({"ingress": {"smtp-in": {"listen": [f"[::1]:{port}"]}}})
    with smtplib.SMTP("::1", port, local_hostname="client.test", timeout=PATIENCE) as client:
        client.sendmail("ann@client.test", "far@local.test", message())
    (got,) = gw.wait_mail("far")
    assert "from client.test ([IPv6:::1])" in " ".join(got["Received"].split())


def test_two_listeners_of_two_instances_have_rules_of_their_own(gateway, peer):
    inside = free_port()
    server = peer()
    gw = gateway({"ingress": {"inside": {"plugin": "smtp-in",
                                         "listen": [f"127.0.0.1:{inside}"]}},
                  "routing": {"rules": [
                      {"recipient": "*", "ingress": "inside", "transport": "smtp-out",
                       "next_hops": [server.hop]}]}})
    gw.send("ann@client.test", "bob@local.test", message("from outside"))
    gw.send("ann@client.test", "bob@local.test", message("from inside"), port=inside)
    assert [m["Subject"] for m in gw.wait_mail("bob")] == ["from outside"]
    gw.wait_empty()
    assert [m.header("Subject") for m in server.messages()] == ["from inside"]
