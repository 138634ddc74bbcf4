"""Where mail goes when no rule says it: MX, A and AAAA, from a real name server."""
from harness.base import wait_for
from harness.mail import message


def at(ns, port, **queue):
    """Looks names up there, and knocks on that port: no test can listen on 25."""
    return {"dns": {"servers": [ns.address], "timeout": "2s", "tries": 3},
            "transports": {"smtp-out": {"port": port}}, "queue": queue}


def test_the_exchanger_of_the_domain_gets_the_message(gateway, names, peer):
    server = peer()
    ns = names({"example.test": "@ MX 10 mx\nmx A 127.0.0.1"})
    gw = gateway(at(ns, server.port))
    gw.send("ann@client.test", "bob@example.test", message())
    assert server.wait_messages(1)[0].rcpts == ["bob@example.test"]
    gw.wait_empty()
    (done,) = gw.events("deliver.delivered")
    assert "mx.example.test" in done["remote"]


def test_U_36_C_17_the_better_exchanger_is_tried_first_and_the_other_takes_over(gateway, names, peer):
    server = peer()
    # Nobody listens on 127.0.0.2; the server is bound to 127.0.0.1.
    ns = names({"example.test": "@ MX 20 second\n@ MX 10 first\nfirst A 127.0.0.2\n"
                                "second A 127.0.0.1"})
    gw = gateway(at(ns, server.port))
    gw.send("ann@client.test", "bob@example.test", message())
    server.wait_messages(1)
    gw.wait_empty()
    (done,) = gw.events("deliver.delivered")
    assert "second.example.test" in done["remote"]


def test_a_domain_without_mx_is_reached_at_its_address(gateway, names, peer):
    server = peer()
    ns = names({"example.test": "@ A 127.0.0.1", "six.test": "@ AAAA ::1\n@ A 127.0.0.1"})
    gw = gateway(at(ns, server.port))
    gw.send("ann@client.test", "bob@example.test", message())
    # The peer does not listen on ::1: the IPv4 address is tried, too.
    gw.send("ann@client.test", "bob@six.test", message())
    server.wait_messages(2)
    gw.wait_empty()


def test_a_domain_that_does_not_exist_comes_back_at_once(gateway, names):
    ns = names({"example.test": "@ A 127.0.0.1"})
    gw = gateway(at(ns, 9))
    gw.send("ann@local.test", "bob@nowhere.example.test", message())
    (report,) = gw.wait_mail("ann")
    assert "Status: 5.1.2" in str(report)
    gw.wait_empty()


def test_a_null_mx_means_that_no_mail_is_taken(gateway, names):
    ns = names({"example.test": "@ MX 0 .\n@ A 127.0.0.1"})
    gw = gateway(at(ns, 9))
    gw.send("ann@local.test", "bob@example.test", message())
    (report,) = gw.wait_mail("ann")
    assert "Status: 5.1.10" in str(report)
    gw.wait_empty()


def test_a_name_server_that_is_silent_delays_and_says_so(gateway, folder, names, peer):
    server = peer()
    ns = names({"example.test": "@ MX 10 mx\nmx A 127.0.0.1"})
    gw = gateway(at(ns, server.port))
    ns.close()
    gw.send("ann@client.test", "bob@example.test", message())
    gw.wait_event("deliver.deferred", to="bob@example.test", status="4.4.3")
    waits = wait_for("the recipient to wait for DNS",
                     lambda: gw.queued_rcpts().get("bob@example.test"))
    assert waits["status"] == "4.4.3"
    assert not server.messages()


def test_mail_for_a_domain_whose_exchanger_we_are_does_not_circle(gateway, names):
    ns = names({"example.test": "@ MX 10 gw.test.", "gw.test": "@ A 127.0.0.1"})
    gw = gateway({"routing": {"local_domains": ["local.test"]}}, at(ns, 9))
    gw.send("ann@local.test", "bob@example.test", message())
    (report,) = gw.wait_mail("ann")
    assert "Status: 5.4.6" in str(report)
    gw.wait_empty()


def test_an_answer_too_long_for_udp_is_fetched_over_tcp(gateway, names, peer):
    server = peer()
    records = [f"@ MX {i + 10} a-rather-long-name-for-an-exchanger-{i:03d}" for i in range(100)]
    records += ["@ MX 5 good", "good A 127.0.0.1"]
    ns = names({"example.test": "\n".join(records)})
    gw = gateway(at(ns, server.port))
    gw.send("ann@client.test", "bob@example.test", message())
    server.wait_messages(1)
    gw.wait_empty()
    (done,) = gw.events("deliver.delivered")
    assert "good.example.test" in done["remote"]


def test_exchangers_that_are_aliases_or_do_not_exist_are_survived(gateway, names, peer):
    server = peer()
    ns = names({"example.test": "@ MX 1 nothing\n@ MX 5 alias\nalias CNAME real\nreal A 127.0.0.1"})
    gw = gateway(at(ns, server.port))
    gw.send("ann@client.test", "bob@example.test", message())
    server.wait_messages(1)
    gw.wait_empty()


def test_recipients_of_domains_with_one_exchanger_all_arrive(gateway, names, peer):
    server = peer()
    ns = names({"one.test": "@ MX 10 mx.two.test.", "two.test": "@ MX 10 mx\nmx A 127.0.0.1"})
    gw = gateway(at(ns, server.port))
    gw.send("ann@client.test", ["a@one.test", "b@two.test"], message())
    gw.wait_empty()
    assert sorted(r for m in server.messages() for r in m.rcpts) == ["a@one.test", "b@two.test"]
