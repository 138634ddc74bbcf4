"""Reload: new workers take over from old ones, and nobody notices."""
import glob
import json
import os
import re
import signal
import subprocess

import pytest

from harness.base import PATIENCE, POSTERN, free_port, port_open, wait_for
from harness.load import Load, numbers_of
from harness.mail import message
from harness.plugin import ODD, build


def generation_gone(gw, pids):
    wait_for(lambda: f"the old workers to end:\n{gw.log()[-4000:]}",
             lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids))


def test_nobody_notices_reloads_while_fifty_sessions_send(gateway, peer, to):
    server = peer()
    gw = gateway(to(server.hop), {"server": {"workers": 2}, "log": {"level": "notice"}})
    load = Load(gw.port, 10 ** 6, threads=50).start()
    for reload in range(4):
        load.wait_acked(300 * (reload + 1))
        old = gw.wait_workers(2)
        if reload % 2:
            gw.process.send_signal(signal.SIGHUP)
        else:
            assert re.search(r"\b2\b", gw.cli("reload").stdout)
        gw.wait_event("gateway.reloaded", count=reload + 1)
        gw.wait_workers(2, without=old)
        generation_gone(gw, old)
    load.wait_acked(1500)
    load.stop()
    wait_for("all to arrive", lambda: load.acked <= set(numbers_of(server.messages())))
    gw.wait_settled()
    assert load.unreached == 0, "connections were refused"
    arrived = numbers_of(server.messages())
    assert set(arrived) == load.acked
    assert set(arrived.values()) == {1}
    assert gw.status()["reloads"] == 4


def test_a_broken_configuration_changes_nothing(gateway):
    gw = gateway()
    gw.expected_errors.add("gateway.reload_failed")
    before = gw.wait_workers(1)
    gw.write_config("20-more.json", {"queue": {"lifetme": "3d"}})
    done = gw.cli("reload", code=78)
    assert "20-more.json#/queue/lifetme" in done.stderr and "lifetime" in done.stderr
    gw.process.send_signal(signal.SIGHUP)
    events = gw.wait_event("gateway.reload_failed", count=2)
    assert all("20-more.json#/queue/lifetme" in e["why"] for e in events)
    os.remove(os.path.join(gw.confd, "20-more.json"))
    assert gw.workers() == before
    assert "lifetme" in gw.status()["last_reload_error"]
    gw.send("ann@client.test", "bob@local.test", message())
    gw.wait_mail("bob")
    gw.cli("reload")
    assert gw.status()["last_reload_error"] == ""


def test_status_and_reload_need_no_more_than_the_control_socket(gateway):
    gw = gateway()
    gw.expected_errors.add("gateway.reload_failed")
    gw.write_config("20-broken.json", "{")
    done = gw.cli("status", "--json")
    assert json.loads(done.stdout)["workers"]
    assert "has errors" in done.stderr and "control.sock" in done.stderr
    done = gw.cli("reload", code=78)
    assert "20-broken.json" in done.stderr  # as the gateway found it
    gw.write_config("20-broken.json", {"spool": {"pth": "x"}})
    assert "queue" in gw.cli("status").stdout
    assert "20-broken.json#/spool/pth" in gw.cli("reload", code=78).stderr
    gw.stop()
    done = gw.cli("reload", code=69)
    assert "has errors" in done.stderr and "no gateway answers" in done.stderr
    os.remove(os.path.join(gw.confd, "20-broken.json"))


def test_the_control_socket_moves(gateway):
    gw = gateway()
    gw.expected_errors.add("gateway.reload_failed")
    old, new = (os.path.join(gw.folder, name) for name in ("control.sock", "moved.sock"))
    move = {"control": {"socket": new}}
    # As long as it does not come to that, it stays where it is.
    gw.configure(move, {"queue": {"retry": ["never"]}})
    gw.process.send_signal(signal.SIGHUP)
    gw.wait_event("gateway.reload_failed")
    assert os.path.exists(old) and not os.path.exists(new)
    gw.configure(move)
    assert "SIGHUP" in gw.cli("reload", code=69).stderr
    gw.process.send_signal(signal.SIGHUP)
    gw.wait_event("gateway.reloaded")
    assert not os.path.exists(old)
    assert gw.status()["reloads"] == 1
    gw.cli("reload")
    gw.stop()
    assert not os.path.exists(new)


def test_a_control_socket_that_can_not_be_had_is_a_reason_not_to_reload(gateway, new_gateway):
    gw, other = gateway(), new_gateway().start()
    gw.expected_errors.add("gateway.reload_failed")
    gw.configure({"control": {"socket": os.path.join(other.folder, "control.sock")}})
    gw.process.send_signal(signal.SIGHUP)
    (event,) = gw.wait_event("gateway.reload_failed")
    assert "#/control/socket" in event["why"]
    gw.configure()
    assert gw.workers() and other.workers()


def test_the_spool_does_not_move(gateway):
    gw = gateway()
    gw.expected_errors.add("gateway.reload_failed")
    before = gw.workers()
    elsewhere = os.path.join(gw.folder, "elsewhere")
    gw.configure({"spool": {"path": elsewhere}})
    done = gw.cli("reload", code=78)
    assert "#/spool/path" in done.stderr
    assert gw.spool in done.stderr and elsewhere in done.stderr
    assert not os.path.exists(elsewhere)
    # The same folder by another name is the same folder.
    gw.configure({"spool": {"path": os.path.join(gw.folder, "gone", "..", "spool")}})
    os.makedirs(os.path.join(gw.folder, "gone"))
    assert gw.workers() == before
    gw.cli("reload")
    gw.send("ann@client.test", "bob@local.test", message())
    gw.wait_mail("bob")


def test_the_supervisor_supervises_while_a_configuration_is_validated(new_gateway, folder):
    """A plugin that does not come back from being loaded, as long as that file is there."""
    flag = os.path.join(folder, "wait")
    slow = ODD.replace("static const struct postern_transport_ops", f"""
__attribute__((constructor)) static void slow(void)
{{
    while (!access("{flag}", F_OK))
        usleep(10000);
}}

static const struct postern_transport_ops""")
    build(os.path.join(folder, "odd"), source=slow)
    gw = new_gateway({"server": {"workers": 2}})
    gw.add_plugins(os.path.join(folder, "odd"))
    gw.expected_errors |= {"worker.died", "worker.crashed"}
    gw.start()
    before = gw.wait_workers(2)
    with open(flag, "w", encoding="ascii"):
        pass
    gw.configure({"server": {"workers": 2}, "transports": {"odd": {"plugin": "odd"}}})
    gw.process.send_signal(signal.SIGHUP)
    wait_for("the validation", lambda: gw.status().get("reloading") == "validating")
    assert "is being validated" in gw.cli("status").stdout
    # Meanwhile: somebody dies and is replaced, mail flows, a second reload has to wait.
    os.kill(before[0], signal.SIGKILL)
    now = gw.wait_workers(2, without=before[:1])
    gw.send("ann@client.test", "bob@local.test", message())
    gw.wait_mail("bob")
    second = subprocess.Popen([POSTERN, "reload", "--config", gw.confd], env=gw.env,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        gw.wait_mail("bob")
        assert second.poll() is None and gw.status()["reloading"] == "validating"
        os.remove(flag)
        assert second.wait(PATIENCE) == 0, second.stdout.read()
    finally:
        second.kill()
        second.wait()
        second.stdout.close()
    assert gw.status()["reloads"] == 2
    gw.wait_workers(2, without=now)


def test_a_stop_does_not_wait_for_a_validation(new_gateway, folder):
    slow = ODD.replace("static const struct postern_transport_ops", """
__attribute__((constructor)) static void slow(void) { pause(); }

static const struct postern_transport_ops""")
    build(os.path.join(folder, "odd"), source=slow)
    gw = new_gateway()
    gw.add_plugins(os.path.join(folder, "odd"))
    gw.start()
    gw.configure({"transports": {"odd": {"plugin": "odd"}}})
    gw.process.send_signal(signal.SIGHUP)
    wait_for("the validation", lambda: gw.status().get("reloading") == "validating")
    gw.stop()


def test_the_log_is_opened_anew(new_gateway):
    gw = new_gateway()
    gw.write_config("20-log.json", {"log": {"file": gw.log_file}})
    gw.start(stderr=os.path.join(gw.folder, "stderr"))
    os.rename(gw.log_file, gw.log_file + ".1")
    gw.cli("reload")
    # Supervisor and workers alike.
    gw.wait_event("gateway.reloaded")
    gw.wait_event("worker.ready")


def test_listeners_come_and_go(gateway):
    gw = gateway()
    first, second = gw.port, free_port()
    gw.configure({"ingress": {"smtp-in": {"listen": [f"127.0.0.1:{first}",
                                                     f"127.0.0.1:{second}"]}}})
    gw.cli("reload")
    gw.send("ann@client.test", "bob@local.test", message(), port=second)
    gw.send("ann@client.test", "bob@local.test", message(), port=first)
    old = gw.workers()
    gw.configure({"ingress": {"smtp-in": {"listen": [f"127.0.0.1:{second}"]}}})
    gw.cli("reload")
    generation_gone(gw, old)
    assert not port_open(first)
    gw.send("ann@client.test", "bob@local.test", message(), port=second)
    gw.wait_mail("bob", 3)
    gw.port = second


def test_a_port_that_is_taken_is_a_reason_not_to_reload(gateway, peer):
    other = peer()
    gw = gateway()
    gw.expected_errors.add("gateway.reload_failed")
    before = gw.workers()
    gw.configure({"ingress": {"smtp-in": {"listen": [f"127.0.0.1:{gw.port}",
                                                     f"127.0.0.1:{other.port}"]}}})
    done = gw.cli("reload", code=69)
    assert f"127.0.0.1:{other.port}" in done.stderr and "#/ingress/smtp-in/listen" in done.stderr
    assert gw.workers() == before
    gw.send("ann@client.test", "bob@local.test", message())
    gw.wait_mail("bob")


@pytest.fixture
def odd(new_gateway, folder):
    build(os.path.join(folder, "odd"), tag="the first build")
    gw = new_gateway({"transports": {"odd": {"plugin": "odd"}},
                      "routing": {"rules": [{"domain": ["odd.test"], "transport": "odd"}]}})
    gw.add_plugins(os.path.join(folder, "odd"))
    return gw.start()


def test_a_plugin_replaced_on_disk_is_in_force_after_a_reload(odd, folder):
    def reply(text):
        queue_id = odd.send("ann@client.test", "user@odd.test", message())
        (event,) = odd.wait_event("deliver.delivered", id=queue_id)
        assert event["reply"] == text
    reply("the first build")
    build(os.path.join(folder, "odd"), tag="the second build")
    reply("the first build")
    odd.cli("reload")
    reply("the second build")


def test_a_plugin_that_can_not_be_opened_is_rolled_back(odd):
    odd.expected_errors |= {"gateway.reload_failed", "worker.ended"}
    before = odd.workers()
    rule = {"routing": {"rules": [{"domain": ["odd.test"], "transport": "odd"}]}}
    odd.configure({"transports": {"odd": {"plugin": "odd", "broken": True}}}, rule)
    done = odd.cli("reload", code=69)
    assert "odd" in done.stderr
    assert odd.workers() == before
    odd.send("ann@client.test", "user@odd.test", message())
    odd.wait_empty()
    odd.configure({"transports": {"odd": {"plugin": "odd"}}}, rule)
    odd.cli("reload")
    assert odd.workers() != before


def test_a_changed_number_of_workers_leaves_nothing_behind(gateway, peer, to):
    server = peer()
    server.close()
    gw = gateway(to(server.hop), {"queue": {"retry": ["1h"], "dead_min": "1h", "dead_max": "1h"}})
    count = 0
    for workers in (4, 2, 1, 3):
        for _ in range(12):
            count += 1
            gw.send("ann@client.test", f"user{count}@remote.test", message())
        old = gw.workers()
        gw.configure(to(server.hop), {"server": {"workers": workers}},
                     {"queue": {"retry": ["1h"], "dead_min": "1h", "dead_max": "1h"}})
        gw.cli("reload")
        generation_gone(gw, old)
        wait_for(lambda: f"{count} messages in the queue: {gw.status()}\n{gw.log()}",
                 lambda: gw.status() and gw.status()["queue"]["messages"] == count)
        assert len(gw.workers()) == workers
    server.open()
    gw.cli("queue", "retry", "--all")
    wait_for("all to arrive", lambda: len(server.messages()) >= count)
    gw.wait_settled()
    assert len({m.rcpts[0] for m in server.messages()}) == count == len(server.messages())
    assert not [p for p in glob.glob(os.path.join(gw.spool, "**", "*.bad"), recursive=True)]


def test_deferred_mail_takes_the_new_route(gateway, peer, to):
    dead, alive = peer(), peer()
    dead.close()
    waits = {"queue": {"retry": ["1s"], "dead_min": "1s", "dead_max": "1s"}}
    gw = gateway(to(dead.hop), waits)
    queue_id = gw.send("ann@client.test", "user@remote.test", message())
    gw.wait_event("deliver.deferred", id=queue_id)
    gw.configure(to(alive.hop), waits)
    gw.cli("reload")
    alive.wait_messages(1)
    gw.wait_settled()


def test_what_was_changed_during_a_reload_comes_into_force(gateway):
    gw = gateway()
    ports = [free_port() for _ in range(5)]
    for port in ports:
        gw.configure({"ingress": {"smtp-in": {"listen": [f"127.0.0.1:{gw.port}",
                                                         f"127.0.0.1:{port}"]}}})
        gw.process.send_signal(signal.SIGHUP)
    wait_for("the last configuration", lambda: port_open(ports[-1]))
    wait_for("the others to be gone", lambda: not any(port_open(p) for p in ports[:-1]))


def test_a_session_goes_on_over_a_reload(gateway):
    gw = gateway()
    client = gw.smtp()
    assert client.mail("ann@client.test")[0] == 250
    gw.cli("reload")
    assert client.rcpt("bob@local.test")[0] == 250
    assert client.data(message())[0] == 250
    client.close()
    gw.wait_mail("bob")
    wait_for("the old worker to end", lambda: not gw.status()["draining"])
