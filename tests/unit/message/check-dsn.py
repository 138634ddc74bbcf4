#!/usr/bin/python3
"""Reads a DSN on standard input as another mail program would, and checks what test-dsn.c put in it.

usage: check-dsn.py TYPE-OF-THE-THIRD-PART
"""
import email
import email.policy
import sys

message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.SMTP)


def check(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: found {found!r}, expected {expected!r}")


check("defects", message.defects, [])
check("type", message.get_content_type(), "multipart/report")
check("report-type", message.get_param("report-type"), "delivery-status")
check("auto-submitted", message["Auto-Submitted"], "auto-replied")
check("from", message["From"].addresses[0].addr_spec, "MAILER-DAEMON@gw.example.com")
check("to", message["To"].addresses[0].addr_spec, "ann@example.com")
check("subject", message["Subject"], "Undelivered mail returned to sender")
check("date", message["Date"].datetime.isoformat(), "2026-11-23T14:15:41+00:00")

text, status, original = message.iter_parts()
check("text", text.get_content_type(), "text/plain")
body = text.get_content()
for words in ("There is no mailbox with this address.", "mx.example.org [192.0.2.1]:25 said:",
              "postmaster@gw.example.com"):
    check(words, words in " ".join(body.split()), True)

check("status", status.get_content_type(), "message/delivery-status")
whole, rcpt = status.get_payload()
check("whole", {k.lower(): v for k, v in whole.items()}, {
    "reporting-mta": "dns; gw.example.com",
    "x-postern-queue-id": "0abcdefghjkmn",
    "x-postern-sender": "rfc822; ann@example.com",
    "arrival-date": "Sun, 22 Nov 2026 14:15:41 +0000",
})
check("recipient", {k.lower(): v for k, v in rcpt.items()}, {
    "final-recipient": "rfc822; bob@example.org",
    "action": "failed",
    "status": "5.1.1",
    "remote-mta": "dns; mx.example.org",
    "diagnostic-code": "smtp; 550 5.1.1 <bob@example.org>: Recipient address rejected: User "
                       "unknown in the local recipient table of this server",
    "last-attempt-date": "Mon, 23 Nov 2026 14:15:36 +0000",
})

check("original", original.get_content_type(), sys.argv[1])
if sys.argv[1] == "message/rfc822":
    inner = original.get_payload(0)
    check("its subject", inner["Subject"], "the report")
    check("its body", inner.get_content().strip(), "Here it is.")
else:
    check("its subject", "Subject: the report" in original.get_payload(), True)
    check("its body", "Here it is." in original.get_payload(), False)
