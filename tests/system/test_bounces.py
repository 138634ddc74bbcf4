"""What can't be delivered is reported; what can't be reported is not lost."""
from harness.base import free_port, wait_for
from harness.mail import Report, message


def users():
    """Only those who have a mailbox file are known."""
    return {"transports": {"local-mbox": {"users": "existing"}}}


def make_mailboxes(gw, *names):
    for name in names:
        with open(gw.mbox(name), "wb"):
            pass


def test_an_unknown_user_is_reported_to_the_sender(new_gateway):
    gw = new_gateway(users())
    make_mailboxes(gw, "ann", "bob")
    gw.start()
    queue_id = gw.send("ann@local.test", ["nobody@local.test", "bob@local.test"],
                       message("please read", body="The body.\r\n",
                               headers=["X-Long: " + "a " * 30 + "\r\n\tfolded"]))
    (raw,) = gw.wait_mail("ann")
    gw.wait_mail("bob")
    gw.wait_empty()
    assert raw["Return-Path"] == "<>"
    report = Report(raw)
    assert report.message["From"].endswith("<MAILER-DAEMON@gw.test>")
    assert report.message["To"] == "ann@local.test"
    assert report.message["Date"] and report.message["Message-ID"]
    assert report.per_message["Reporting-MTA"] == "dns; gw.test"
    assert report.per_message["Arrival-Date"]
    assert queue_id in str(report.per_message)
    assert len(report.recipients) == 1
    failed = report.recipient("nobody@local.test")
    assert (failed["Action"], failed["Status"]) == ("failed", "5.1.1")
    assert failed["Diagnostic-Code"]
    assert "nobody@local.test" in report.text and queue_id in report.text
    original = report.original()
    assert original["Subject"] == "please read"
    assert "folded" in original["X-Long"]
    # The whole header section, our own trace included.
    assert "by gw.test with ESMTP" in " ".join(original["Received"].split())
    assert "The body." in original.get_content()


def test_a_large_body_is_not_sent_back(gateway, peer, to):
    server = peer(lambda session, verb, line: "550 5.1.1 no" if verb == "RCPT" else None)
    gw = gateway(to(server.hop, "remote.test"), {"queue": {"bounce_body_max": "1K"}})
    gw.send("ann@local.test", "nobody@remote.test",
            message("large", body=b"0123456789abcdef\r\n" * 100000))
    (raw,) = gw.wait_mail("ann")
    report = Report(raw)
    assert report.returned.get_content_type() == "text/rfc822-headers"
    assert report.original()["Subject"] == "large"
    assert len(bytes(raw)) < 20000
    gw.wait_empty()


def test_the_report_carries_each_servers_own_words(gateway, peer, to):
    server = peer(lambda session, verb, line:
                  ("550 5.7.1 <one> is shy" if "one@" in line else
                   "553-5.1.3 an address like that\r\n553 5.1.3 has never been seen")
                  if verb == "RCPT" else None)
    gw = gateway(to(server.hop, "remote.test"))
    gw.send("ann@local.test", ["one@remote.test", "two@remote.test"], message())
    report = Report(gw.wait_mail("ann")[0])
    one, two = report.recipient("one@remote.test"), report.recipient("two@remote.test")
    assert one["Status"] == "5.7.1" and two["Status"] == "5.1.3"
    assert one["Diagnostic-Code"].startswith("smtp; ")
    assert "550 5.7.1 <one> is shy" in one["Diagnostic-Code"]
    said = " ".join(two["Diagnostic-Code"].split())
    assert "an address like that" in said and "has never been seen" in said
    gw.wait_empty()
    assert len(gw.messages("ann")) == 1


def test_eight_bit_headers_come_back_in_a_report_that_says_so(gateway, peer, to):
    server = peer(lambda session, verb, line: "550 5.1.1 no" if verb == "RCPT" else None)
    gw = gateway(to(server.hop, "remote.test"))
    gw.send("ann@local.test", "nobody@remote.test",
            message("plain", headers=["X-Raw: Grüße"], body="Grüße\r\n"),
            options=["BODY=8BITMIME"])
    (raw,) = gw.wait_mail("ann")
    report = Report(raw)
    assert report.message["Content-Transfer-Encoding"] == "8bit"
    assert "Grüße".encode() in raw.as_bytes()
    gw.wait_empty()


def test_C_21_what_cannot_be_returned_goes_to_the_postmaster(new_gateway, peer, to):
    server = peer(lambda session, verb, line: "550 5.1.1 no" if verb == "RCPT" else None)
    gw = new_gateway(users(), to(server.hop, "remote.test"))
    make_mailboxes(gw, "postmaster")
    gw.start()
    # The sender does not exist: the report for him fails, and is reported in turn.
    queue_id = gw.send("ghost@local.test", "nobody@remote.test", message("from a ghost"))
    (raw,) = gw.wait_mail("postmaster")
    gw.wait_empty()
    report = Report(raw)
    assert "ostmaster" in report.message["Subject"]
    assert report.recipient("ghost@local.test")["Status"] == "5.1.1"
    # What failed there is the first report, and the first message is inside of it.
    inner = Report(report.original())
    assert queue_id in str(inner.per_message)
    assert inner.original()["Subject"] == "from a ghost"


def test_what_cannot_even_reach_the_postmaster_is_held(new_gateway, peer, to):
    server = peer(lambda session, verb, line: "550 5.1.1 no" if verb == "RCPT" else None)
    gw = new_gateway(users(), to(server.hop, "remote.test"))
    gw.expected_errors.add("bounce.held")
    gw.start()
    gw.send("ghost@local.test", "nobody@remote.test", message("from a ghost"))
    gw.wait_event("bounce.held")
    held = wait_for("the notice to be held", lambda: gw.queued_rcpts("--held"))
    assert list(held) == ["postmaster"]
    assert held["postmaster"]["reason"] == "held"
    # It stays there, over a restart too, until an operator has made him a mailbox.
    gw.restart()
    assert list(gw.queued_rcpts("--held")) == ["postmaster"]
    make_mailboxes(gw, "postmaster")
    gw.cli("queue", "release", "--held")
    (raw,) = gw.wait_mail("postmaster")
    assert "from a ghost" in raw.as_string()
    gw.wait_empty()


def test_a_report_for_a_null_sender_is_never_made_for_him(new_gateway):
    gw = new_gateway(users())
    make_mailboxes(gw, "postmaster")
    gw.start()
    gw.send("", "nobody@local.test", message("a report of somebody's"))
    (raw,) = gw.wait_mail("postmaster")
    assert Report(raw).recipient("nobody@local.test")["Status"] == "5.1.1"
    gw.wait_empty()
    assert len(gw.messages("postmaster")) == 1


def test_a_message_expires_and_the_report_tells_of_the_last_try(gateway, to):
    port = free_port()
    gw = gateway(to(f"[127.0.0.1]:{port}", "remote.test"), {"queue": {"lifetime": "2s"}})
    gw.send("ann@local.test", "bob@remote.test", message("in vain"))
    (raw,) = gw.wait_mail("ann")
    report = Report(raw)
    failed = report.recipient("bob@remote.test")
    assert failed["Status"] == "4.4.7"
    assert "onnection refused" in " ".join(failed["Diagnostic-Code"].split())
    assert report.original()["Subject"] == "in vain"
    gw.wait_empty()
    assert gw.json("status")["queue"]["expired"] == 1


def test_a_message_that_goes_in_circles_comes_back(new_gateway):
    gw = new_gateway({"server": {"hop_count_max": 5}})
    gw.configure({"server": {"hop_count_max": 5},
                  "routing": {"rules": [{"domain": "loop.test", "transport": "smtp-out",
                                         "next_hops": [f"[127.0.0.1]:{gw.port}"]}]}})
    gw.start()
    gw.send("ann@local.test", "bob@loop.test", message("round and round"))
    (raw,) = gw.wait_mail("ann")
    report = Report(raw)
    assert report.recipient("bob@loop.test")["Status"] == "5.4.6"
    # As many hops as were allowed, and not one more.
    assert len(report.original().get_all("Received")) == 5
    gw.wait_empty()
    assert len(gw.messages("ann")) == 1


def test_a_message_with_too_many_received_fields_is_refused(gateway):
    gw = gateway({"server": {"hop_count_max": 5}})
    hops = [f"Received: from a by b id {i}; Sun, 22 Nov 2026 12:00:00 +0000" for i in range(6)]
    with gw.smtp() as client:
        client.mail("ann@client.test")
        client.rcpt("bob@local.test")
        code, text = client.data(message(headers=hops))
        assert code == 554 and text.startswith(b"5.4.6"), (code, text)
    assert gw.json("status")["queue"]["messages"] == 0


def test_a_notice_that_a_hub_hands_back_ends_on_hold(new_gateway):
    """Nothing gets through such a hub, not even what tells the postmaster so."""
    gw = new_gateway()
    gw.configure({"server": {"hop_count_max": 4},
                  "routing": {"forwarders": {"local": f"[127.0.0.1]:{gw.port}"}}})
    gw.expected_errors.add("bounce.held")
    gw.start()
    gw.send("ann@local.test", "joe@local.test", message("round"))
    (held,) = gw.wait_event("bounce.held")
    assert "notice to the postmaster" in held["why"]
    wait_for("only the notice to be there",
             lambda: [r["reason"] for r in gw.queued_rcpts().values()] == ["held"])
    assert len(gw.events("bounce.held")) == 1


def test_the_postmaster_is_here_whatever_our_names_are(gateway):
    gw = gateway({"server": {"hostname": "gate.other.test"},
                  "routing": {"local_domains": ["local.test"]}})
    gw.send("ann@far.test", "postmaster", message("one"))
    (first,) = gw.wait_mail("postmaster")
    assert first["Subject"] == "one"
    gw.cli("send", "postmaster", stdin=b"Subject: three\n\nx\n")
    assert len(gw.wait_mail("postmaster", 2)) == 2
