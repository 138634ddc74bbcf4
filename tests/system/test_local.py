"""What is local though nobody listed it, and hosts that are short of a domain; with a real name
server."""
import os

from harness.base import wait_for
from harness.mail import message

OWN = "192.0.2.77"  # nobody's, but ours by the configuration


def settings(ns, port, **routing):
    return ({"dns": {"servers": [ns.address], "timeout": "2s", "tries": 3},
             "transports": {"smtp-out": {"port": port}}},
            {"routing": routing})


def refusal(gw, rcpt):
    with gw.smtp() as client:
        client.docmd("MAIL FROM:<ann@client.test>")
        code, text = client.docmd(f"RCPT TO:<{rcpt}>")
    return code, text.decode()


def decided(answer):
    """The transport, and which row gave it, and why."""
    last = answer["trace"][-1]
    assert last["matched"] and last["index"] == answer["decision"]["rule"]["index"]
    return answer["decision"]["transport"], last["what"], last["text"]


def test_U_40_a_domain_whose_address_is_ours_is_local(gateway, names, peer):
    server = peer()
    ns = names({"own.test": f"@ A {OWN}\nalso A 198.51.100.9\nalso A {OWN}\nloop A 127.0.0.1",
                "far.test": "@ A 198.51.100.9\n@ MX 10 mx.own.test.",
                "mx.own.test": "@ A 127.0.0.1"})
    gw = gateway(*settings(ns, server.port, local_by_address=True, own_addresses=[OWN]),
                 {"dns": {"hosts": [{"name": "vax.test", "address": OWN}]},
                  "ingress": {"smtp-in": {"relay_from": []}}})
    # A stranger may send there, and only there.
    for host in ("own.test", "also.own.test", "loop.own.test", "VAX.test"):
        gw.send("ann@client.test", f"bob@{host}", message())
    gw.wait_mail("bob", 4)
    gw.wait_empty()
    assert not server.messages()
    code, text = refusal(gw, "eve@far.test")
    assert (code, text[:5]) == (550, "5.7.1")
    code, text = refusal(gw, "eve@nowhere.own.test")
    assert (code, text[:5]) == (550, "5.7.1")
    # `postern route` asks, too, and names the address.
    (answer,) = gw.json("route", "bob@also.own.test")
    assert decided(answer) == ("local-mbox", "own host", f"also.own.test has {OWN}, an address of "
                               "this host: own_addresses")
    far = gw.cli("route", "eve@far.test").stdout
    assert "no: far.test has 198.51.100.9: not ours" in far
    assert "=> transport smtp-out" in far
    assert "own host (10-test.json#/routing/local_by_address): a domain with an address of this " \
        "host -> local-mbox" in gw.cli("route", "--table").stdout


def test_what_cannot_be_looked_up_is_neither_ours_nor_theirs(gateway, folder, names, peer):
    server = peer()
    ns = names({"own.test": f"@ A {OWN}"})
    aliases = os.path.join(folder, "aliases")
    with open(aliases, "w", encoding="ascii") as file:
        file.write("team: bob@own.test\n")
    gw = gateway(*settings(ns, server.port, local_by_address=True, own_addresses=[OWN]),
                 {"aliases": {"files": [{"path": aliases, "syntax": "sendmail"}]},
                  "dns": {"timeout": "300ms", "tries": 1}})
    ns.stop()
    code, text = refusal(gw, "bob@own.test")
    assert (code, text) == (451, "4.4.3 <bob@own.test>: the addresses of own.test can't be looked "
                            "up: no name server gave an answer")
    assert "no name server gave an answer" in gw.cli("route", "bob@own.test", code=75).stdout
    # Where an alias leads is found out by the queue. It waits, and says for what.
    queue_id = gw.send("ann@client.test", "team@local.test", message())
    event = gw.wait_event("deliver.deferred", id=queue_id)[0]
    assert event["status"] == "4.4.3"
    assert event["why"].startswith("the addresses of own.test can't be looked up")
    waits = wait_for("the recipient to wait",
                     lambda: gw.queued_rcpts().get("team@local.test"))
    assert waits["status"] == "4.4.3"
    ns.start()
    gw.wait_mail("bob")
    gw.wait_empty()
    assert not server.messages()


def test_commands_behind_a_recipient_that_is_looked_up_wait(gateway, names, peer):
    ns = names({"own.test": f"@ A {OWN}", "far.test": "@ A 198.51.100.9"})
    gw = gateway(*settings(ns, peer().port, local_by_address=True, own_addresses=[OWN]),
                 {"ingress": {"smtp-in": {"relay_from": []}}})
    with gw.smtp() as client:
        client.send("MAIL FROM:<me@client.test>\r\nRCPT TO:<eve@far.test>\r\n"
                    "RCPT TO:<bob@own.test>\r\nDATA\r\n")
        replies = [client.getreply()[0] for _ in range(4)]
        assert replies == [250, 550, 250, 354]
        client.send("Subject: x\r\n\r\nx\r\n.\r\n")
        assert client.getreply()[0] == 250
    gw.wait_mail("bob")


def test_T_28_a_host_without_a_dot_is_completed(gateway, names, peer):
    server = peer()
    ns = names({"corp.test": "vax A 127.0.0.1\nhub A 127.0.0.1"})
    gw = gateway(*settings(ns, server.port, default_domain="corp.test",
                           local_domains=["gw.test", "local.test", "here.corp.test"],
                           gateways=[{"domain": "bitnet", "next_hops": "hub.corp.test"}]))
    gw.send("ann@client.test", ["bob@vax", "eve@bitnet", "carol@here", "dave@vax.corp.test"],
            message())
    gw.wait_empty()
    assert sorted(r for m in server.messages() for r in m.rcpts) == [
        "bob@vax.corp.test", "dave@vax.corp.test", "eve@bitnet"]
    assert len(gw.wait_mail("carol")) == 1
    (answer,) = gw.json("route", "bob@vax")
    assert answer["decision"]["recipient"] == "bob@vax.corp.test"
    assert "vax is a host without a dot; rewritten to bob@vax.corp.test" in [
        step["text"] for step in answer["trace"]]
    (answer,) = gw.json("route", "postmaster")
    assert answer["decision"]["recipient"] == "postmaster@gw.test"


def test_a_default_domain_that_is_none_is_told(new_gateway):
    gw = new_gateway({"routing": {"default_domain": ".corp.test"}})
    assert ("10-test.json#/routing/default_domain: found \".corp.test\", expected a domain like "
            "\"example.com\"") in gw.cli("check", code=78).stderr
