"""Zones, gateways, forwarders and the four-source look-up, with real mail and a real name server.

The gateway knocks on one port, that of the peers; addresses 127.0.0.1, .2, ... tell them apart, and
nobody listens on those that a test does not give to a peer.
"""
import os

import pytest

from harness.mail import message


def at(ns, port, **more):
    return {"dns": {"servers": [ns.address], "timeout": "2s", "tries": 3, **more},
            "transports": {"smtp-out": {"port": port}}}


def routing(**keys):
    return {"routing": keys}


def remote_of(gw, rcpt):
    """Who took the mail for rcpt, as the log says."""
    (done,) = gw.events("deliver.delivered", to=rcpt)
    return done["remote"]


def hops(gw, address, *args):
    (answer,) = gw.json("route", address, *args)
    return answer["decision"]["next_hops"]


ZONES = {
    "dec.test": "@ MX 10 inner\nrelay MX 10 gate\ngate A 127.0.0.1\ninner A 127.0.0.1",
    "far.test": "@ MX 10 mx\nmx A 127.0.0.1",
    "host.test": "@ MX 10 nowhere\n@ A 127.0.0.1",
}


def test_U_42_U_43_C_13_C_14_outside_the_zone_goes_to_the_gateway(gateway, names, peer):
    server = peer()
    gw = gateway(at(names(ZONES), server.port),
                 routing(zones=[{"zone": "dec.test", "gateway": "relay.dec.test"}]))
    gw.send("ann@client.test", ["in@dec.test", "out@far.test", "ann@local.test"], message())
    gw.wait_empty()
    # U-43, C-14: the gateway is an MX name, no host.
    assert "gate.dec.test" in remote_of(gw, "out@far.test")
    assert "inner.dec.test" in remote_of(gw, "in@dec.test")
    # U-41: a message can be both local and remote.
    assert len(gw.messages("ann")) == 1


def test_U_44_a_gateway_that_cannot_be_reached_makes_mail_wait(gateway, names, peer):
    server = peer()
    zones = dict(ZONES, **{"dec.test": "relay A 127.0.0.9"})
    gw = gateway(at(names(zones), server.port),
                 routing(zones=[{"zone": "dec.test", "gateway": "relay.dec.test"}]))
    gw.send("ann@client.test", "out@far.test", message())
    gw.wait_event("deliver.deferred", to="out@far.test")
    assert not server.messages()


def test_U_46_mx_when_the_gateway_cannot_be_reached(gateway, names, peer):
    server = peer()
    zones = dict(ZONES, **{"dec.test": "relay A 127.0.0.9"})
    gw = gateway(at(names(zones), server.port),
                 routing(zones=[{"zone": "dec.test", "gateway": "relay.dec.test",
                                 "mx_if_unreachable": True}]))
    assert hops(gw, "out@far.test") == ["relay.dec.test", "*"]
    gw.send("ann@client.test", ["one@far.test", "two@host.test"], message())
    server.wait_messages(1)
    gw.wait_event("deliver.delivered", to="one@far.test")
    assert "mx.far.test" in remote_of(gw, "one@far.test")


def test_U_47_without_mx_a_host_is_enough_and_an_unknown_one_bounces(gateway, names, peer):
    server = peer()
    gw = gateway(at(names(ZONES), server.port),
                 routing(zones=[{"zone": "test", "gateway": "relay.dec.test", "no_mx": True}]))
    gw.send("ann@local.test", ["a@host.test", "b@nothere.far.test"], message())
    gw.wait_empty()
    assert "host.test" in remote_of(gw, "a@host.test")
    (report,) = gw.wait_mail("ann")
    assert "b@nothere.far.test" in str(report) and "5.4.4" in str(report)


def test_C_15_a_gateway_by_address_needs_no_name(gateway, names, peer):
    server = peer()
    gw = gateway(at(names(ZONES), server.port),
                 routing(zones=[{"zone": "dec.test", "gateway": "127.0.0.1"}]))
    gw.send("ann@client.test", "out@nowhere.invalid", message())
    gw.wait_empty()
    assert remote_of(gw, "out@nowhere.invalid").startswith("[127.0.0.1]")


def test_U_49_one_session_for_one_gateway_and_many_domains(gateway, names, peer):
    server = peer()
    gw = gateway(at(names(ZONES), server.port),
                 routing(zones=[{"zone": "dec.test", "gateway": "relay.dec.test"}]))
    rcpts = [f"user{i}@domain{i}.invalid" for i in range(40)]
    gw.send("ann@client.test", rcpts, message())
    gw.wait_empty()
    (one,) = server.messages()
    assert sorted(one.rcpts) == sorted(rcpts)


def test_T_25_gateways_know_domains_that_dns_does_not(gateway, names, peer):
    server = peer()
    gw = gateway(at(names(ZONES), server.port),
                 routing(gateways=[
                     {"domain": ".bitnet", "next_hops": "127.0.0.9"},
                     {"domain": [".uucp.bitnet", "virtual"], "next_hops": "gate.dec.test"}]))
    assert hops(gw, "u@a.bitnet") == ["127.0.0.9"]
    gw.send("ann@client.test", ["u@a.uucp.bitnet", "v@virtual"], message())
    gw.wait_empty()
    (one,) = server.messages()
    assert sorted(one.rcpts) == ["u@a.uucp.bitnet", "v@virtual"]


def test_T_11_T_48_T_99_the_hub_gets_what_cannot_be_resolved(gateway, names, peer):
    server = peer()
    gw = gateway(at(names(ZONES), server.port),
                 routing(forwarders={"unresolvable": "gate.dec.test"}))
    gw.send("ann@client.test", ["u@nothere.far.test", "v@far.test"], message())
    gw.wait_empty()
    assert "gate.dec.test" in remote_of(gw, "u@nothere.far.test")
    assert "mx.far.test" in remote_of(gw, "v@far.test")


def test_T_38_the_hub_comes_after_exchangers_that_are_not_there(gateway, names, peer):
    server = peer()
    zones = dict(ZONES, **{"far.test": "@ MX 10 mx\nmx A 127.0.0.9"})
    gw = gateway(at(names(zones), server.port),
                 routing(forwarders={"append_to_mx": "gate.dec.test"}))
    gw.send("ann@client.test", "v@far.test", message())
    gw.wait_empty()
    assert "gate.dec.test" in remote_of(gw, "v@far.test")


def test_T_11_T_38_each_hub_gets_what_it_is_for(gateway, names, peer):
    server = peer()
    zones = dict(ZONES, **{"far.test": "@ MX 10 mx\nmx A 127.0.0.9\nshut MX 0 ."})
    gw = gateway(at(names(zones), server.port),
                 routing(forwarders={"append_to_mx": "gate.dec.test",
                                     "unresolvable": "inner.dec.test"}))
    gw.send("ann@client.test", ["u@nothere.far.test", "v@far.test", "w@shut.far.test"], message())
    gw.wait_event("deliver.failed", to="w@shut.far.test", status="5.1.10")
    gw.wait_event("deliver.delivered", count=2, part="smtp-out")
    assert "inner.dec.test" in remote_of(gw, "u@nothere.far.test")
    assert "gate.dec.test" in remote_of(gw, "v@far.test")


def test_T_38_what_does_not_exist_is_returned(gateway, names, peer):
    server = peer()
    gw = gateway(at(names(ZONES), server.port),
                 routing(forwarders={"append_to_mx": "gate.dec.test"}))
    gw.send("ann@local.test", "u@nothere.far.test", message())
    gw.wait_event("deliver.failed", to="u@nothere.far.test", status="5.1.2")
    assert not server.messages()


def test_T_38_the_hub_comes_after_as_many_dead_exchangers_as_are_tried(gateway, names, peer):
    server = peer()
    dead = "\n".join(f"@ MX {i} d{i}\nd{i} A 127.0.9.{i}" for i in range(1, 13))
    gw = gateway(at(names(dict(ZONES, **{"far.test": dead})), server.port),
                 routing(forwarders={"append_to_mx": "gate.dec.test"}))
    gw.send("ann@client.test", "v@far.test", message())
    gw.wait_empty()
    assert "gate.dec.test" in remote_of(gw, "v@far.test")


def test_T_12_T_13_T_49_T_99_the_hub_gets_all_but_for_exceptions(gateway, names, peer):
    server = peer()
    gw = gateway(at(names(ZONES), server.port),
                 routing(forwarders={"remote": "gate.dec.test", "local": "gate.dec.test",
                                     "except": [".far.test", "far.test"],
                                     "except_users": "smith@"}))
    gw.send("ann@client.test", ["jones@local.test", "smith@local.test", "u@dec.test",
                                "v@far.test"], message())
    gw.wait_empty()
    assert "gate.dec.test" in remote_of(gw, "jones@local.test")
    assert "gate.dec.test" in remote_of(gw, "u@dec.test")
    assert "mx.far.test" in remote_of(gw, "v@far.test")
    assert len(gw.messages("smith")) == 1


def test_U_37_C_10_own_exchangers_and_hosts_are_part_of_every_look_up(gateway, names, peer):
    server = peer()
    gw = gateway(at(names(ZONES), server.port,
                    local_mx=[{"domain": "crow.invalid", "host": "merlin.invalid",
                               "preference": 100},
                              {"domain": "far.test", "host": "merlin.invalid", "preference": 5}],
                    hosts=[{"name": ["merlin.invalid", "vax"], "address": "127.0.0.1"}]))
    gw.send("ann@client.test", ["a@crow.invalid", "b@far.test", "c@vax"], message())
    gw.wait_empty()
    assert "merlin.invalid" in remote_of(gw, "a@crow.invalid")
    assert "merlin.invalid" in remote_of(gw, "b@far.test")
    assert "vax" in remote_of(gw, "c@vax")


@pytest.mark.parametrize("address", ["[127.0.0.1]", "[IPv6:::1]"])
def test_U_40_mail_to_our_own_address_is_local(gateway, address):
    gw = gateway(routing(own_addresses=["127.0.0.1", "::1"]))
    gw.send("ann@client.test", f"bob@{address}", message())
    gw.wait_empty()
    assert len(gw.messages("bob")) == 1


def test_U_50_exchangers_that_are_behind_a_firewall_are_passed_by(gateway, names, peer):
    server = peer()
    zones = {"fan.test": "@ MX 10 inside\n@ MX 20 outside\ninside A 127.0.0.9\noutside A 127.0.0.1"}
    gw = gateway(at(names(zones), server.port))
    gw.send("ann@client.test", "u@fan.test", message())
    gw.wait_empty()
    assert "outside.fan.test" in remote_of(gw, "u@fan.test")


def test_T_16_T_99_users_whom_nobody_knows_go_to_another_host(gateway, folder, names, peer):
    server = peer()
    users = os.path.join(folder, "passwd")
    with open(users, "w", encoding="utf-8") as file:
        file.write("ann:x:1:1:Ann Bee:/:\n")
    os.chmod(folder, 0o755)  # for workers that are somebody else
    gw = gateway(at(names(ZONES), server.port),
                 {"directories": {"people": {"plugin": "passwd", "file": users}}},
                 routing(users=["people"], unknown_user="*@far.test"))
    gw.send("joe@client.test", ["ann@local.test", "eve@local.test"], message())
    gw.wait_empty()
    assert len(gw.messages("ann")) == 1
    assert [m.rcpts for m in server.messages()] == [["eve@far.test"]]


@pytest.mark.parametrize("here", [
    {"forwarders": {"local": "gate.dec.test"}},
    {"forwarders": {"local": "gate.dec.test"}, "roads": "all"},
    {"users": ["people"], "unknown_user": "*@far.test"},
    {"users": ["people"], "unknown_user": "*@far.test", "roads": "all"},
], ids=["hub", "hub and roads", "unknown", "unknown and roads"])
def test_strangers_find_no_road_through_the_hub(gateway, folder, names, peer, here):
    """The hub believes us: what it might read on in would be relayed, there or here."""
    server = peer()
    users = os.path.join(folder, "passwd")
    with open(users, "w", encoding="utf-8") as file:
        file.write("ann:x:1:1:Ann Bee:/:\n")
    os.chmod(folder, 0o755)
    gw = gateway(at(names(ZONES), server.port),
                 {"directories": {"people": {"plugin": "passwd", "file": users}},
                  "ingress": {"smtp-in": {"relay_from": ["192.0.2.0/24"]}}}, routing(**here))

    def reply(rcpt):
        with gw.smtp() as client:
            client.mail("joe@client.test")
            code, text = client.rcpt(rcpt)
            return code, text.decode()[:5]
    for local in ("x%evil.test", '"x%evil.test"', "evil.test!x", '"evil.test!x"', '"x@evil.test"'):
        assert reply(f"{local}@local.test") == (550, "5.7.1"), local
        (told,) = gw.json("route", f"{local}@local.test")
        assert told["decision"]["accept_from"] == "trusted", local
    assert reply("eve@local.test")[0] == 250
    gw.send("joe@client.test", "eve@local.test", message())
    gw.wait_empty()
    assert [m.rcpts[0].split("@")[0] for m in server.messages()] == ["eve"]


MR = ("mr.example.test", "a1.example.test", "am.example.test")


@pytest.mark.parametrize("source, known", [
    ("local mx", {"local_mx": [{"domain": list(MR), "host": "miguel.example.test"}],
                  "hosts": [{"name": "miguel.example.test", "address": "127.0.0.1"}]}),
    ("local host", {"hosts": [{"name": name, "address": "127.0.0.1"} for name in MR]}),
])
def test_T_123_the_domains_of_message_router_are_found_without_DNS(gateway, names, peer, source,
                                                                   known):
    """The gateway's own domain, A1's and AM's: by MX, or by entries in the table of hosts."""
    server = peer()
    # The name server is asked, and knows nothing of them.
    gw = gateway(at(names({"example.test": "@ A 127.0.0.9"}), server.port, **known))
    rcpts = [f"{name}@{domain}" for name, domain in zip(("bob", "bjarne", "natasha"), MR)]
    gw.send("ann@client.test", rcpts, message())
    gw.wait_empty()
    assert sorted(r for m in server.messages() for r in m.rcpts) == sorted(rcpts)
    for domain, rcpt in zip(MR, rcpts):
        (said,) = gw.json("mx", domain)
        exchanger = "miguel.example.test" if source == "local mx" else domain
        assert [(x["name"], x["source"], x["addresses"]) for x in said["exchangers"]] == [
            (exchanger, source, ["127.0.0.1"])]
        assert exchanger in remote_of(gw, rcpt)
