"""Recipients whose quotes and backslashes a relay has lost: over SMTP, in the envelope, and in
`postern route`."""
import pytest

from harness.mail import message

# What was sent, and what relays make of it: docs/addresses.md.
DAMAGED = {
    '"SUMNOD::SMITH"@vms.test': [
        ("repair.unquoted", "SUMNOD::SMITH@vms.test")],
    r'"SUMNOD::XXXMTS::MRGATE::\"YYYMTS::A1::SMITH\""@vms.test': [
        ("repair.unescaped", '"SUMNOD::XXXMTS::MRGATE::"YYYMTS::A1::SMITH""@vms.test'),
        ("repair.unquoted-escaped", r'SUMNOD::XXXMTS::MRGATE::\"YYYMTS::A1::SMITH\"@vms.test'),
        ("repair.unquoted", 'SUMNOD::XXXMTS::MRGATE::"YYYMTS::A1::SMITH"@vms.test'),
        ("repair.unescaped", r'"SUMNOD::XXXMTS::MRGATE::\"YYYMTS::A1::SMITH""@vms.test')],
    r'"SUMNOD::MRGATE::\"XXX::1=FI::2=XXX::3=XYZ::JOE SMITH\""@vms.test': [
        ("repair.unescaped", '"SUMNOD::MRGATE::"XXX::1=FI::2=XXX::3=XYZ::JOE SMITH""@vms.test')],
    r'"SUMNOD::\"joe@host.dom\""@vms.test': [
        ("repair.unquoted", 'SUMNOD::"joe@host.dom"@vms.test')],
    '"systm1::smith"@vms.test': [
        ("repair.percent-node", "smith%systm1::@vms.test")],
}
CASES = [(sound, rule, damaged) for sound, many in DAMAGED.items() for rule, damaged in many]


def via(peer):
    return {"routing": {"rules": [{"domain": "vms.test", "transport": "smtp-out",
                                   "next_hops": [peer.hop]}]}}


def test_U_35_what_relays_do_to_recipients_is_understood(gateway, peer):
    server = peer()
    gw = gateway(via(server))
    for _, _, damaged in CASES:
        with gw.smtp() as client:
            assert client.docmd("MAIL FROM:<ann@client.test>")[0] == 250
            assert client.docmd(f"RCPT TO:<{damaged}>") == (250, b"2.1.5 Ok"), damaged
            assert client.data(message())[0] == 250
    gw.wait_empty()
    # On the wire again it is what it was.
    assert sorted(r for m in server.messages() for r in m.rcpts) == sorted(
        sound for sound, _, _ in CASES)
    told = gw.events("smtp.repaired")
    assert [(e["rule"], e["was"], e["to"]) for e in told] == [
        (rule, f"<{damaged}>", f"<{sound}>") for sound, rule, damaged in CASES]


def test_U_35_U_39_route_says_what_was_repaired(new_gateway):
    gw = new_gateway({"routing": {"local_domains": ["gw.test", "vms.test"]}})
    for sound, rule, damaged in CASES:
        (answer,) = gw.json("route", damaged)
        assert answer["recipient"] == answer["decision"]["recipient"] == sound
        assert answer["repaired"] == {"was": damaged, "rule": rule}
    said = gw.cli("route", "NODE::SMITH@vms.test").stdout
    assert said.startswith('"NODE::SMITH"@vms.test\n'
                           "  repaired: it was NODE::SMITH@vms.test (repair.unquoted)\n")
    # What is sound says nothing, and what is no damage stays an error.
    assert "repaired" not in gw.cli("route", '"NODE::SMITH"@vms.test').stdout
    assert "this character needs a quoted local part: found ' ' at position 3" in gw.cli(
        "route", "bo b@vms.test", code=65).stderr


@pytest.mark.parametrize("refused", [
    "A::B C@vms.test", "A::B,C::D@vms.test", "A::B@c@vms.test", "A::(B)@vms.test",
    'A::"B@vms.test', r"A::\B@vms.test", "A::B\x01@vms.test", "A::B\x7f@vms.test", "a:b@vms.test",
    "A::B@vms.test>,<c@vms.test", "A::B@vms.test> <c@vms.test", "A::<B>@vms.test", "A::B@-x.test",
    "A::B", "A::B@", "@r.test:A::B@vms.test", "A::b\u00fc@vms.test",
])
def test_nothing_else_gets_in_that_way(gateway, refused):
    gw = gateway({"routing": {"local_domains": ["gw.test", "vms.test"]}})
    with gw.smtp() as client:
        client.docmd("MAIL FROM:<ann@client.test>")
        client.sock.sendall(f"RCPT TO:<{refused}>\r\n".encode())
        assert client.getreply()[0] in (501, 553, 555), refused
        assert client.docmd("DATA")[0] == 554
    assert not gw.events("smtp.repaired")


def test_it_can_be_turned_off(gateway):
    gw = gateway({"routing": {"local_domains": ["gw.test", "vms.test"]},
                  "ingress": {"smtp-in": {"repair_addresses": False}}})
    with gw.smtp() as client:
        client.docmd("MAIL FROM:<ann@client.test>")
        assert client.docmd("RCPT TO:<NODE::SMITH@vms.test>")[0] == 501
        assert client.docmd('RCPT TO:<"NODE::SMITH"@vms.test>')[0] == 250
