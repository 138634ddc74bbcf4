"""Messages to send, and reports to take apart."""
import email
import email.policy
import itertools

_serial = itertools.count(1)


def message(subject="a test", body="Hello.\r\n", sender="ann@client.test", to="bob@local.test",
            headers=()):
    """A small message with CRLF line ends, as bytes."""
    lines = [f"From: <{sender}>", f"To: <{to}>", f"Subject: {subject}",
             f"Message-ID: <{next(_serial)}.test@client.test>",
             "Date: Sun, 22 Nov 2026 12:00:00 +0000", *headers]
    if isinstance(body, str):
        body = body.encode()
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Report:
    """A delivery status notification (RFC 3464), taken apart and checked for its form."""

    def __init__(self, raw):
        self.message = email.message_from_bytes(bytes(raw), policy=email.policy.default)
        top = self.message
        assert top.get_content_type() == "multipart/report", top.get_content_type()
        assert top.get_param("report-type") == "delivery-status"
        assert top["MIME-Version"] == "1.0"
        assert top["Auto-Submitted"].startswith("auto-replied")  # RFC 3834
        assert not top.defects, top.defects
        parts = list(top.iter_parts())
        assert len(parts) == 3, [p.get_content_type() for p in parts]
        assert parts[0].get_content_type() == "text/plain"
        assert parts[1].get_content_type() == "message/delivery-status"
        assert parts[2].get_content_type() in ("message/rfc822", "text/rfc822-headers")
        self.text = parts[0].get_content()
        groups = list(parts[1].iter_parts())
        assert len(groups) >= 2
        self.per_message, self.recipients = groups[0], groups[1:]
        assert self.per_message["Reporting-MTA"].startswith("dns; ")
        for group in self.recipients:
            assert group["Final-Recipient"].startswith("rfc822; ")
            assert group["Action"] in ("failed", "delayed")
            assert group["Status"].count(".") == 2
        self.returned = parts[2]

    def recipient(self, address):
        for group in self.recipients:
            if group["Final-Recipient"].split("; ")[1] == address:
                return group
        raise AssertionError(f"{address} is not in the report: {self.message}")

    def original(self):
        """The message, or its header, that comes back."""
        if self.returned.get_content_type() == "message/rfc822":
            return self.returned.get_content()
        return email.message_from_string(self.returned.get_content())
