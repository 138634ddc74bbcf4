"""`postern send`, and what programs expect of sendmail(8)."""
import email.utils
import os
import pwd
import re

import pytest

from harness.base import POSTERN
ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def sendmail(folder):
    path = os.path.join(folder, "sendmail")
    os.symlink(POSTERN, path)
    return path


LETTER = b"From: Ann <ann@local.test>\nTo: bob@local.test\nSubject: by hand\n\nHello.\n"


def test_send_takes_recipients_from_the_command_line(gateway):
    gw = gateway()
    gw.cli("send", "-f", "ann@local.test", "bob@local.test", "eve@local.test", stdin=LETTER)
    (got,) = gw.wait_mail("bob")
    gw.wait_mail("eve")
    assert got["Return-Path"] == "<ann@local.test>"
    assert got["From"] == "Ann <ann@local.test>"
    assert got.get_payload() == "Hello.\n"
    assert f"from userid {os.getuid()}" in " ".join(got["Received"].split())


def test_sendmail_t_reads_the_header_and_hides_bcc(gateway, sendmail):
    gw = gateway()
    gw.cli("-t", "-i", program=sendmail, stdin=(
        b"From: ann@local.test\n"
        b"To: Bob <bob@local.test>, \"Smith, Joe\" <joe@local.test>\n"
        b"Cc: team: eve@local.test, (a comment) max@local.test;\n"
        b"Bcc: secret@local.test,\n other@local.test\n"
        b"Subject: to all\n\nHello.\n"))
    for user in ("bob", "joe", "eve", "max", "secret", "other"):
        (got,) = gw.wait_mail(user)
        assert got["Bcc"] is None
        header = got.as_string().split("\n\n")[0].replace(f"Delivered-To: {user}@", "")
        assert "secret" not in header and "other" not in header
        assert got["Subject"] == "to all"


def test_sendmail_adds_what_a_message_must_have(gateway, sendmail):
    gw = gateway()
    gw.cli("-F", "Ann Droid", "-f", "ann@local.test", "bob@local.test", program=sendmail,
           stdin=b"Subject: bare\n\nHello.\n")
    (got,) = gw.wait_mail("bob")
    assert got["From"] == '"Ann Droid" <ann@local.test>'
    assert re.match(r"\w{3}, \d+ \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}$", got["Date"])
    assert re.match(r"<[^<>@ ]+@gw\.test>$", got["Message-ID"])
    assert got["Subject"] == "bare"


def test_a_full_name_stays_a_name(gateway, sendmail):
    gw = gateway()
    gw.cli("-F", 'Ann "A\\" Droid\r\nX-Evil: yes', "-f", "ann@local.test", "bob@local.test",
           program=sendmail, stdin=b"Subject: bare\n\nHello.\n")
    (got,) = gw.wait_mail("bob")
    name, address = email.utils.parseaddr(got["From"])
    assert address == "ann@local.test" and name.startswith('Ann "A\\" Droid')
    assert got["X-Evil"] is None


def test_a_mailbox_separator_before_the_header_is_dropped(gateway, sendmail):
    gw = gateway()
    gw.cli("-f", "ann@local.test", "bob@local.test", program=sendmail,
           stdin=b"From ann@local.test Sun Nov 22 12:00:00 2026\n" + LETTER)
    (got,) = gw.wait_mail("bob")
    assert got["Subject"] == "by hand" and got["From"] == "Ann <ann@local.test>"
    assert got.get_payload() == "Hello.\n"


def test_eight_bit_text_asks_no_more_of_the_next_server_than_it_must(gateway, peer, to):
    server = peer(extensions=["8BITMIME"])
    gw = gateway(to(server.hop, "remote.test"))
    gw.cli("send", "-f", "ann@local.test", "far@remote.test",
           stdin=b"Subject: x\n\nGr\xc3\xbc\xc3\x9fe\n")
    (got,) = server.wait_messages(1)
    assert "SMTPUTF8" not in got.params
    gw.wait_empty()


def test_what_is_there_is_not_added_again(gateway, sendmail):
    gw = gateway()
    gw.cli("-t", program=sendmail, stdin=b"Date: Sun, 22 Nov 2026 12:00:00 +0000\n"
           b"Message-ID: <mine@client.test>\n" + LETTER)
    (got,) = gw.wait_mail("bob")
    for name in ("From", "Date", "Message-ID", "To"):
        assert len(got.get_all(name)) == 1
    assert got["Message-ID"] == "<mine@client.test>"


def test_the_caller_is_the_sender_when_none_is_named(gateway, sendmail):
    gw = gateway()
    gw.cli("bob@local.test", program=sendmail, stdin=b"Subject: who\n\nHello.\n")
    (got,) = gw.wait_mail("bob")
    assert got["Return-Path"] == f"<{ME}@gw.test>"
    assert f"{ME}@gw.test" in got["From"]


def test_a_user_without_domain_is_a_local_one(gateway, sendmail):
    gw = gateway()
    gw.cli("-f", "ann", "bob", program=sendmail, stdin=b"Subject: at home\n\nHello.\n")
    (got,) = gw.wait_mail("bob")
    assert got["Return-Path"] == "<ann@gw.test>"


@pytest.mark.parametrize("options,body", [([], "one\n"), (["-i"], "one\n.\ntwo\n"),
                                          (["-oi"], "one\n.\ntwo\n")])
def test_a_lone_dot_ends_the_message_unless_told_otherwise(gateway, sendmail, options, body):
    gw = gateway()
    gw.cli(*options, "-f", "ann@local.test", "bob@local.test", program=sendmail,
           stdin=b"From: ann@local.test\nSubject: dot\n\none\n.\ntwo\n")
    (got,) = gw.wait_mail("bob")
    assert got.get_payload() == body


def test_postern_send_takes_a_lone_dot_as_text(gateway):
    gw = gateway()
    gw.cli("send", "-f", "ann@local.test", "bob@local.test", stdin=b"Subject: x\n\none\n.\ntwo\n")
    (got,) = gw.wait_mail("bob")
    assert got.get_payload() == "one\n.\ntwo\n"


def test_sendmail_bs_speaks_smtp(gateway, sendmail):
    gw = gateway({"ingress": {"smtp-in": {"relay_from": ["local"]}}})
    done = gw.cli("-bs", program=sendmail, stdin=(
        b"EHLO localhost\r\nMAIL FROM:<ann@local.test>\r\nRCPT TO:<bob@local.test>\r\n"
        b"RCPT TO:<far@remote.invalid>\r\nRSET\r\n"
        b"MAIL FROM:<ann@local.test>\r\nRCPT TO:<bob@local.test>\r\nDATA\r\n"
        b"Subject: over SMTP\r\n\r\nHello.\r\n.\r\nQUIT\r\n"))
    codes = [line[:3] for line in done.stdout.splitlines() if line[3:4] != "-"]
    assert codes == ["220", "250", "250", "250", "250", "250", "250", "250", "354", "250", "221"]
    (got,) = gw.wait_mail("bob")
    assert got["Subject"] == "over SMTP"


def test_sendmail_bp_lists_the_queue(gateway, sendmail):
    gw = gateway({"routing": {"rules": [{"domain": "remote.test", "hold": "not yet"}]}})
    gw.cli("-f", "ann@local.test", "far@remote.test", program=sendmail, stdin=LETTER)
    gw.wait_event("deliver.held")
    assert "far@remote.test" in gw.cli("-bp", program=sendmail).stdout
    mailq = os.path.join(os.path.dirname(sendmail), "mailq")
    os.symlink(POSTERN, mailq)
    assert "far@remote.test" in gw.cli(program=mailq).stdout


def test_options_that_mean_nothing_here_are_ignored_as_every_sendmail_does(gateway, sendmail):
    gw = gateway()
    gw.cli("-oem", "-odb", "-v", "-bm", "-N", "never", "-B", "8BITMIME", "-f", "ann@local.test",
           "--", "bob@local.test", program=sendmail, stdin=LETTER)
    gw.wait_mail("bob")


@pytest.mark.parametrize("options", [["-f", "<ann@local.test>"], ["-f<ann@local.test>"],
                                     ["-r", "<ann@local.test>"]])
def test_a_sender_in_angle_brackets_is_the_same_sender(gateway, sendmail, options):
    gw = gateway()
    gw.cli(*options, "bob@local.test", program=sendmail, stdin=b"Subject: x\n\nHello.\n")
    (got,) = gw.wait_mail("bob")
    assert got["Return-Path"] == "<ann@local.test>" and got["From"] == "<ann@local.test>"


def test_a_bare_cr_is_a_line_end_in_a_body_and_a_blank_in_a_header(gateway, peer, to):
    server = peer()
    gw = gateway(to(server.hop, "remote.test"))
    gw.cli("send", "-f", "ann@local.test", "far@remote.test",
           stdin=b"Subject: x\rX-Evil: yes\n\n10%\r20%\r\n\r.\rMAIL FROM:<a@b>\n")
    (got,) = server.wait_messages(1)
    header, body = got.data.split(b"\r\n\r\n", 1)
    assert b"\r\nSubject: x X-Evil: yes" in header
    assert body == b"10%\r\n20%\r\n\r\n.\r\nMAIL FROM:<a@b>\r\n"
    gw.wait_empty()


def test_a_nul_is_refused_and_the_line_is_named(gateway, sendmail):
    gw = gateway()
    done = gw.cli("bob@local.test", program=sendmail, stdin=LETTER + b"a\0b\n", code=65)
    assert "line 6 of the message has a NUL" in done.stderr
    assert gw.json("status")["queue"]["accepted"] == 0


def test_exit_codes_tell_callers_what_to_do(new_gateway, sendmail):
    gw = new_gateway({"server": {"message_size_max": "20K"}})
    # Nobody is there: keep it and come again.
    done = gw.cli("bob@local.test", program=sendmail, stdin=LETTER, code=75)
    assert "is 'postern run' running" in done.stderr
    assert gw.cli("send", "bob@local.test", stdin=LETTER, code=75).stdout == ""
    gw.start()
    assert "no recipients" in gw.cli(program=sendmail, stdin=LETTER, code=64).stderr
    bare = b"Subject: x\n\n"
    assert "no recipients" in gw.cli("-t", program=sendmail, stdin=bare, code=64).stderr
    assert gw.cli("not an address@@", program=sendmail, stdin=LETTER, code=65).stderr
    big = LETTER + b"x" * 70 * 1024
    assert "larger" in gw.cli("bob@local.test", program=sendmail, stdin=big, code=65).stderr
    assert gw.cli("-bz", program=sendmail, code=64).stderr
    # Nothing of all that was taken.
    assert gw.json("status")["queue"]["accepted"] == 0


def test_a_large_message_and_many_recipients_go_through_the_socket(gateway):
    gw = gateway()
    rcpts = [f"user{i}@local.test" for i in range(100)]
    body = b"".join(b"%08d %s\n" % (i, b"x" * 60) for i in range(30000))
    gw.cli("send", "-f", "ann@local.test", *rcpts, stdin=b"Subject: big\n\n" + body)
    gw.wait_empty()
    for user in ("user0", "user99"):
        (got,) = gw.wait_mail(user)
        assert got.get_payload().encode() == body


def test_send_json_tells_the_queue_id(gateway):
    gw = gateway({"routing": {"rules": [{"domain": "remote.test", "hold": "not yet"}]}})
    done = gw.cli("send", "--json", "-f", "ann@local.test", "far@remote.test", stdin=LETTER)
    queue_id = re.search(r'"id": ?"(\w+)"', done.stdout).group(1)
    gw.wait_event("deliver.held", id=queue_id)
    assert [m["id"] for m in gw.queue()] == [queue_id]
    # The log's story of it has a beginning.
    (accept,) = gw.events("submit.accept", id=queue_id)
    assert accept["from"] == "<ann@local.test>" and accept["client"] == f"uid {os.getuid()}"


def test_messages_made_here_are_no_different_from_others(gateway, peer, to):
    """Submitted on the socket, relayed by SMTP: CRLF line ends, dots and 8-bit text intact."""
    server = peer()
    gw = gateway(to(server.hop, "remote.test"))
    gw.cli("send", "-f", "ann@local.test", "far@remote.test",
           stdin=b"Subject: x\n\n.dot\n..\nGr\xc3\xbc\xc3\x9fe\n")
    (got,) = server.wait_messages(1)
    assert got.data.split(b"\r\n\r\n", 1)[1] == b".dot\r\n..\r\nGr\xc3\xbc\xc3\x9fe\r\n"
    assert got.sender == "ann@local.test"
    gw.wait_empty()
