"""Queue groups (T-27): destinations with a concurrency and a schedule of their own."""
import threading
import time

from harness.base import free_port, wait_for
from harness.mail import message


def groups(*list_of_groups, **more):
    return {"routing": {"queue_groups": list(list_of_groups), **more}}


def rules(hops):
    return {"rules": [{"domain": domain, "transport": "smtp-out", "next_hops": [hop]}
                      for domain, hop in hops.items()]}


class Gate:
    """Servers whose deliveries meet here: how many are inside at the same time?"""

    def __init__(self):
        self.lock = threading.Lock()
        self.inside = self.most = 0

    def script(self, session, verb, line):  # pylint: disable=unused-argument
        if verb == "MAIL":
            with self.lock:
                self.inside += 1
                self.most = max(self.most, self.inside)
            time.sleep(0.05)
            with self.lock:
                self.inside -= 1


def test_T_27_a_group_has_a_concurrency_of_its_own(gateway, peer):
    narrow, wide = Gate(), Gate()
    hops = {f"{name}{i}.test": peer(gate.script).hop
            for name, gate in (("narrow", narrow), ("wide", wide)) for i in range(4)}
    gw = gateway(groups({"name": "narrow", "domain": "narrow?.test", "concurrency": 1},
                        **rules(hops)))
    for domain in hops:
        for _ in range(3):
            gw.send("ann@client.test", f"bob@{domain}", message())
    gw.wait_empty()
    assert narrow.most == 1
    assert wide.most > 1
    assert len(gw.events("deliver.delivered")) == 24


def test_T_27_a_group_has_a_retry_list_of_its_own(gateway):
    hop = f"[127.0.0.1]:{free_port()}"
    gw = gateway(groups({"name": "slow", "domain": "slow.test", "retry": ["7h"]},
                        **rules({"slow.test": hop, "other.test": hop})),
                 {"queue": {"retry": ["1h"], "dead_min": "1s", "dead_max": "1s"}})
    gw.send("ann@client.test", ["bob@slow.test", "bob@other.test"], message())

    def waits():
        found = {r["recipient"]: r for m in gw.queue() for r in m["recipients"]}
        return {name: r["next_try_in"] for name, r in found.items() if r["tries"]}
    wait_for(lambda: f"both to be tried: {gw.queue()}", lambda: len(waits()) == 2)
    assert 6.5 * 3600 < waits()["bob@slow.test"] <= 7 * 3600
    assert waits()["bob@other.test"] <= 3600


def test_T_27_a_group_has_hours_of_its_own(gateway, peer):
    server = peer()
    now = time.localtime()
    minute = now.tm_hour * 60 + now.tm_min
    begin, end = (minute + 120) % 1440, (minute + 180) % 1440
    hours = f"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"
    gw = gateway(groups({"name": "later", "domain": "later.test", "hours": hours},
                        {"name": "always", "domain": "now.test",
                         "hours": [hours, "00:00-12:00", "12:00-00:00"]},
                        **rules({"later.test": server.hop, "now.test": server.hop})))
    gw.send("ann@client.test", ["bob@later.test", "bob@now.test"], message())
    server.wait_messages(1)
    assert server.messages()[0].rcpts == ["bob@now.test"]

    def waiting():
        return gw.queued_rcpts().get("bob@later.test", {})
    wait_for(lambda: f"the reason: {waiting()}", lambda: waiting().get("reason") == "group hours")
    assert 110 * 60 < waiting()["next_try_in"] <= 121 * 60
    assert waiting()["tries"] == 0
    text = gw.cli("route", "bob@later.test").stdout
    assert "queue group later" in text
