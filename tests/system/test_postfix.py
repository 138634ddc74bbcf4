"""Side by side with a real Postfix, in both directions."""
import os

import pytest

from harness.mail import Report, message
from harness.postfix import Postfix, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@pytest.fixture
def pair(folder, at_end, new_gateway, certificate):
    """A gateway that sends virtual.test to a Postfix, which sends everything else back."""
    own = certificate("gw.test")
    gw = new_gateway()
    postfix = Postfix(os.path.join(folder, "postfix"), gw.port, certificate("postfix.test"))
    at_end(postfix.close)
    gw.configure({"ingress": {"smtp-in": {"tls_certificate": own[0], "tls_key": own[1]}},
                  "routing": {"rules": [{"domain": "virtual.test", "transport": "smtp-out",
                                         "next_hops": [postfix.hop]}]}})
    gw.start()
    return gw, postfix


def test_a_message_goes_to_postfix_and_comes_back_from_it(pair):
    gw, postfix = pair
    body = "Grüße\r\n.\r\n..dots\r\n" + "x" * 900 + "\r\n"
    gw.send("ann@client.test", "far@virtual.test", message("there and back", body=body),
            options=["BODY=8BITMIME"])
    (got,) = gw.wait_mail("bob")
    assert got["Subject"] == "there and back"
    assert got.get_payload(decode=True) == body.replace("\r\n", "\n").encode()
    hops = [" ".join(r.split()) for r in got.get_all("Received")]
    assert len(hops) == 3, postfix.log()
    # Encrypted both ways, since both offer it.
    assert "from postfix.test" in hops[0] and "with ESMTPS" in hops[0]
    assert "by postfix.test (Postfix) with ESMTPS" in hops[1]
    gw.wait_empty()


def test_what_postfix_refuses_comes_back_in_its_words(pair):
    gw, _ = pair
    gw.send("ann@local.test", ["far@virtual.test", "nobody@virtual.test"], message())
    (raw,) = gw.wait_mail("ann")
    failed = Report(raw).recipient("nobody@virtual.test")
    assert failed["Status"] == "5.1.1"
    assert "User unknown in virtual alias table" in " ".join(failed["Diagnostic-Code"].split())
    assert len(gw.wait_mail("bob")) == 1
    gw.wait_empty()


def test_many_messages_go_through_both(pair):
    gw, _ = pair
    gw.command(["smtp-source", "-m", "100", "-s", "5", "-l", "5000", "-f", "ann@client.test",
                "-t", "far@virtual.test", f"127.0.0.1:{gw.port}"])
    gw.wait_mail("bob", 100)
    gw.wait_empty()
    assert len(gw.messages("bob")) == 100


def test_internationalised_mail_goes_through_both(pair):
    gw, _ = pair
    with gw.smtp() as client:
        client.command_encoding = "utf-8"
        client.docmd("MAIL", "FROM:<jörg@client.test> SMTPUTF8")
        client.rcpt("far@virtual.test")
        code, said = client.data("Subject: Grüße\r\n\r\nПривет\r\n".encode())
        assert code == 250, said
    (got,) = gw.wait_mail("bob")
    assert "with UTF8SMTPS" in " ".join(got.get_all("Received")[0].split())
    assert "jörg@client.test".encode() in got.as_bytes()
    gw.wait_empty()
