"""Lists of the alias files, sent to their members by the plugin list (aliases.list_transport)."""
import os

from harness.base import wait_for
from harness.mail import Report, message
from harness.peers import swaks


def as_lists(new_gateway, hop, *sections, aliases="", lists=(), **options):
    """A gateway with an alias file, folders of .DIS files, and an instance of list for both; mail
    for m.test goes to that hop."""
    gw = new_gateway()
    folder = gw.folder
    path = os.path.join(folder, "smtp_aliases")
    write(path, aliases)
    dis = [os.path.join(folder, name) for name in lists]
    for name in dis:
        os.makedirs(name)
    gw.configure({"aliases": {"files": [{"path": path, "syntax": "tcpware"}], "roots": [folder],
                              "lists": dis, "list_transport": "list"},
                  "transports": {"list": {"plugin": "list", "roots": [folder], "policy": "open",
                                          **options}},
                  "queue": {"retry": ["1h"]},
                  "routing": {"rules": [{"domain": "m.test", "transport": "smtp-out",
                                         "next_hops": [hop]}]}}, *sections)
    return gw


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def refuse_gone(_session, verb, line):
    return "550 5.1.1 no such user" if verb == "RCPT" and "gone@" in line else None


STAFF = "staff:: boss, staff.lis;\n"
MEMBERS = "! members\nann@m.test\nbob@m.test\n"


def test_T_91_a_list_of_an_alias_file_goes_through_the_plugin(new_gateway, sink):
    gw = as_lists(new_gateway, sink.hop, aliases=STAFF, subject_prefix="[Staff]")
    write(os.path.join(gw.folder, "staff.lis"), MEMBERS)
    gw.start()
    code, said = swaks(gw.port, "--from", "eve@client.test", "--to", "staff@local.test", "--header",
                 "Subject: news")
    assert code == 0, said
    gw.wait_empty()
    (got,) = sink.messages()
    assert got.sender == "boss@gw.test"
    assert sorted(got.rcpts) == ["ann@m.test", "bob@m.test"]
    assert b"Subject: [Staff] news" in got.data
    assert b"List-Id: <staff.local.test>" in got.data


def test_T_91_the_owners_addresses_need_no_rule(new_gateway, sink):
    gw = as_lists(new_gateway, sink.hop, aliases=STAFF + "boss: chief;\n")
    write(os.path.join(gw.folder, "staff.lis"), MEMBERS)
    gw.start()
    for name in ("owner-staff", "staff-owner", "Staff-Request"):
        gw.send("eve@client.test", f"{name}@local.test", message(name))
    mails = gw.wait_mail("chief", 3)
    assert sorted(m["Subject"] for m in mails) == ["Staff-Request", "owner-staff", "staff-owner"]
    assert not sink.messages()
    gw.wait_empty()


def test_T_91_bounces_to_the_owner_reach_him(new_gateway, peer):
    server = peer(refuse_gone)
    gw = as_lists(new_gateway, server.hop, aliases=STAFF)
    write(os.path.join(gw.folder, "staff.lis"), "ann@m.test\ngone@m.test\n")
    gw.start()
    gw.send("eve@client.test", "staff@local.test", message())
    (raw,) = gw.wait_mail("boss")
    assert [r["Final-Recipient"] for r in Report(raw).recipients] == ["rfc822; gone@m.test"]
    gw.wait_empty()
    assert not gw.messages("eve")


def counted(gw, name):
    """Members of that list that bounced, with their counts."""
    (shown,) = gw.json("list", name)
    return {b["member"]: b["count"] for b in shown["bounces"]}


def test_U_69_bounces_to_owner_list_are_counted(new_gateway, peer):
    server = peer(refuse_gone)
    gw = as_lists(new_gateway, server.hop, aliases=STAFF, return_path="list", state="@")
    state = os.path.join(gw.folder, "state")
    replace(gw, '"@"', f'"{state}"')
    write(os.path.join(gw.folder, "staff.lis"), "ann@m.test\ngone@m.test\n")
    gw.start()
    gw.send("eve@client.test", "staff@local.test", message())
    gw.wait_event("list.bounce", member="gone@m.test")
    gw.wait_empty()
    assert [m.sender for m in server.received] == ["owner-staff@local.test"]
    assert counted(gw, "staff") == {"gone@m.test": 1}
    assert not gw.messages("boss")
    # What comes from a person goes to the owner.
    gw.send("eve@client.test", "owner-staff@local.test", message("hello"))
    assert gw.wait_mail("boss")[0]["Subject"] == "hello"
    gw.wait_empty()


def replace(gw, before, after):
    path = os.path.join(gw.confd, "10-test.json")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    gw.write_config("10-test.json", text.replace(before, after))


def verp(new_gateway, server, aliases):
    gw = as_lists(new_gateway, server.hop, aliases=aliases, verp=True, state="@")
    replace(gw, '"@"', f'"{os.path.join(gw.folder, "state")}"')
    write(os.path.join(gw.folder, "staff.lis"), "ann@m.test\nbob@m.test\n")
    gw.start()
    gw.send("eve@client.test", "staff@local.test", message())
    gw.wait_empty()
    assert sorted(m.sender for m in server.received) == ["owner-staff+ann=m.test@local.test",
                                                         "owner-staff+bob=m.test@local.test"]
    # A bounce from somewhere else, in whatever form it is written.
    gw.send("", "owner-staff+ann=m.test@local.test", message("failure"))
    gw.wait_event("list.bounce", member="ann@m.test")
    wait_for("the bounce to be counted", lambda: counted(gw, "staff") == {"ann@m.test": 1})
    # An answer by hand to that address is for the owner.
    gw.send("ann@m.test", "owner-staff+ann=m.test@local.test", message("I moved"))
    assert gw.wait_mail("boss")[0]["Subject"] == "I moved"
    gw.wait_empty()


def test_U_69_verp_bounces_find_back_to_the_list(new_gateway, peer):
    verp(new_gateway, peer(), STAFF)


def test_U_69_verp_bounces_find_back_past_an_alias_for_the_owner(new_gateway, peer):
    verp(new_gateway, peer(), "staff:: owner-staff, staff.lis;\nowner-staff: boss;\n")


def test_U_68_a_dis_file_goes_through_the_plugin(new_gateway, sink):
    gw = as_lists(new_gateway, sink.hop, lists=["node"], owner="postmaster@{domain}")
    write(os.path.join(gw.folder, "node", "SALES.DIS"), "! SALES.DIS\nann@m.test\nbob@m.test\n")
    gw.start()
    gw.send("eve@client.test", "Sales@local.test", message("offers"))
    gw.wait_empty()
    (got,) = sink.messages()
    assert got.sender == "postmaster@local.test"
    assert sorted(got.rcpts) == ["ann@m.test", "bob@m.test"]
    assert b"List-Id: <sales.local.test>" in got.data
    gw.send("eve@client.test", "sales-request@local.test", message("subscribe"))
    assert gw.wait_mail("postmaster")[0]["Subject"] == "subscribe"


def test_U_69_an_alias_makes_somebody_the_owner_of_a_dis_file(new_gateway, sink):
    gw = as_lists(new_gateway, sink.hop, aliases="owner-sales: carol;\n", lists=["node"])
    write(os.path.join(gw.folder, "node", "SALES.DIS"), "ann@m.test\n")
    gw.start()
    gw.send("eve@client.test", "sales@local.test", message("offers"))
    gw.wait_empty()
    assert [m.sender for m in sink.messages()] == ["owner-sales@gw.test"]
    gw.send("", "owner-sales@gw.test", message("failure"))
    gw.send("eve@client.test", "sales-request@local.test", message("subscribe"))
    assert sorted(m["Subject"] for m in gw.wait_mail("carol", 2)) == ["failure", "subscribe"]


def test_the_route_says_that_the_list_gets_it(new_gateway):
    gw = as_lists(new_gateway, "[192.0.2.1]", aliases=STAFF)
    write(os.path.join(gw.folder, "staff.lis"), MEMBERS)
    for name in ("staff", "owner-staff", "staff-request", "owner-staff+ann=m.test"):
        (answer,) = gw.json("route", f"{name}@local.test")
        (leaf,) = answer["alias"]["leaves"]
        assert leaf["decision"]["transport"] == "list", name
        assert leaf["recipient"] == f"{name}@local.test"
