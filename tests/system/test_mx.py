"""postern mx: what the gateway's own look-up says of a domain."""
from harness.mail import message


def at(ns, **dns):
    return {"dns": {"servers": [ns.address], "timeout": "2s", "tries": 3, **dns}}


def rows(text):
    return [line.split() for line in text.splitlines() if line.startswith(" ")]


def test_U_39_U_90_C_16_what_is_shown_is_what_is_done(gateway, names, peer):
    server = peer()
    ns = names({"example.test": "@ MX 20 second\n@ MX 10 first\nfirst A 127.0.0.2\n"
                                "second A 127.0.0.1"})
    own = [{"domain": "example.test", "host": "own.example.test", "preference": 15}]
    hosts = [{"name": "own.example.test", "address": "127.0.0.3"}]
    gw = gateway(at(ns, local_mx=own, hosts=hosts), {"transports": {"smtp-out": {
        "port": server.port}}})
    assert gw.cli("mx", "example.test").stdout == (
        "example.test\n"
        "     10  first.example.test   dns mx      127.0.0.2\n"
        "     15  own.example.test     local mx    127.0.0.3\n"
        "     20  second.example.test  dns mx      127.0.0.1\n")
    # Nobody listens at the first two: it is the last that gets it.
    gw.send("ann@client.test", "bob@example.test", message())
    server.wait_messages(1)
    gw.wait_empty()
    (done,) = gw.events("deliver.delivered")
    assert "second.example.test" in done["remote"]


def test_U_37_C_08_each_of_the_four_sources_is_named(new_gateway, names):
    ns = names({"example.test": "@ MX 10 mx\nmx A 127.0.0.1\nplain A 127.0.0.4",
                "both.test": "@ MX 10 mx.example.test."})
    gw = new_gateway(at(ns, local_mx=[{"domain": "both.test", "host": "vax.example.test",
                                       "preference": 5}],
                        hosts=[{"name": "vax.example.test", "address": "127.0.0.5"}]))
    said = gw.json("mx", "both.test", "plain.example.test", "vax.example.test", "[127.0.0.6]")
    assert [(d["domain"], d["takes_mail"]) for d in said] == [
        ("both.test", True), ("plain.example.test", True), ("vax.example.test", True),
        ("[127.0.0.6]", True)]
    assert [[(x["preference"], x["name"], x["source"], x["addresses"]) for x in d["exchangers"]]
            for d in said] == [
        [(5, "vax.example.test", "local mx", ["127.0.0.5"]),
         (10, "mx.example.test", "dns mx", ["127.0.0.1"])],
        [(0, "plain.example.test", "dns host", ["127.0.0.4"])],
        [(0, "vax.example.test", "local host", ["127.0.0.5"])],
        [(0, "127.0.0.6", "literal", ["127.0.0.6"])]]


def test_U_36_U_48_C_17_equal_exchangers_change_places_and_worse_ones_do_not(new_gateway, names):
    records = [f"@ MX 10 mx{i}\nmx{i} A 127.0.0.{i + 1}" for i in range(4)]
    ns = names({"example.test": "\n".join(records) + "\n@ MX 20 last\nlast A 127.0.0.9"})
    gw = new_gateway(at(ns))
    seen = set()
    for said in gw.json("mx", *["example.test"] * 200):
        listed = [x["name"].split(".")[0] for x in said["exchangers"]]
        assert sorted(listed[:4]) == ["mx0", "mx1", "mx2", "mx3"] and listed[4:] == ["last"]
        seen.add(listed[0])
    # That one of four is never first among 200: 4 * 0.75 ** 200, never.
    assert seen == {"mx0", "mx1", "mx2", "mx3"}


def test_where_there_is_no_way_it_says_so_and_why(new_gateway, names):
    ns = names({"example.test": "@ MX 10 nothing\n@ MX 20 mx\nmx A 127.0.0.1",
                "null.test": "@ MX 0 .\n@ A 127.0.0.1"})
    gw = new_gateway(at(ns))
    assert "takes no mail" in gw.cli("mx", "null.test", code=68).stdout
    assert "does not exist" in gw.cli("mx", "nowhere.example.test", code=68).stderr
    assert "a b: is no domain" in gw.cli("mx", "a b", code=65).stderr
    assert rows(gw.cli("mx", "example.test").stdout)[0] == [
        "10", "nothing.example.test", "dns", "mx", "no", "address:", "does", "not", "exist,", "or",
        "has", "none"]
    (said,) = gw.json("mx", "null.test", code=68)
    assert said == {"domain": "null.test", "takes_mail": False, "exchangers": []}
    # Of several the first problem counts, and all are answered.
    both = gw.cli("mx", "nowhere.example.test", "a b", "example.test", code=68)
    assert "example.test\n" in both.stdout and "a b" in both.stderr


def test_a_name_server_that_is_silent_is_told_from_a_domain_that_is_not_there(new_gateway, names):
    ns = names({"example.test": "@ A 127.0.0.1"})
    gw = new_gateway(at(ns))
    ns.close()
    assert "no name server gave an answer" in gw.cli("mx", "example.test", code=75).stderr
    (said,) = gw.json("mx", "example.test", code=75)
    assert said["error"].startswith("can't be found out now")


def test_wrong_use_is_told_what_is_right(new_gateway):
    gw = new_gateway()
    assert "no domain; expected DOMAIN..." in gw.cli("mx", code=64).stderr
    assert "unknown option --all" in gw.cli("mx", "--all", code=64).stderr
