"""Mail as VMS MAIL shows it, and what tells users of it."""
import os

import pytest

from harness.base import wait_for
from harness.mail import message


def local(**options):
    return {"transports": {"local-mbox": options}}


def vms(**options):
    return local(style="vms", **options)


def test_U09_U10_U11_C07_four_lines_and_the_message_behind(gateway):
    gw = gateway(vms())
    gw.send("ann@client.test", "bob@local.test",
            message("hello", headers=["Reply-To: Sales <sales@client.test>", "Cc: eve@client.test"]))
    gw.wait_empty()
    (m,) = gw.messages("bob")
    assert [(k, v) for k, v in m.items()] == [
        ("From", 'SMTP%"sales@client.test"'), ("To", "<bob@local.test>"),
        ("CC", "eve@client.test"), ("Subj", "hello")]
    head, _, body = m.get_payload().partition("\n\n")
    assert head.startswith("Return-Path: <ann@client.test>\nDelivered-To: bob@local.test\n")
    assert "Reply-To: Sales <sales@client.test>" in head
    assert body == "Hello.\n"


def test_U09_headers_at_the_bottom(gateway):
    gw = gateway(vms(headers="bottom", header_control="major"))
    gw.send("ann@client.test", "bob@local.test", message("hello", headers=["X-Odd: 1"]))
    gw.wait_empty()
    (m,) = gw.messages("bob")
    body, _, headers = m.get_payload().partition("================== RFC 822 Headers")
    assert body == "Hello.\n\n"
    assert "Subject: hello\n" in headers and "X-Odd" not in headers and "Received" not in headers


def test_T77_T14_no_headers(gateway):
    gw = gateway(vms(header_control="none"))
    gw.send("ann@client.test", "bob@local.test", message("hello"))
    gw.wait_empty()
    (m,) = gw.messages("bob")
    assert m.get_payload() == "Hello.\n"


def test_U30_U31_nested_quotes_become_cent_signs(gateway):
    gw = gateway(vms())
    gw.send("ann@client.test", "bob@local.test",
            message(sender='"NODE::ANN"@client.test'))
    gw.wait_empty()
    with open(gw.mbox("bob"), encoding="utf-8") as file:
        assert 'From:\tSMTP%"\xa2NODE::ANN\xa2@client.test"\n' in file.read()


def test_U76_local_senders_wear_no_jacket(gateway):
    gw = gateway(vms())
    gw.send("carol@local.test", "bob@local.test", message(sender="carol@local.test"))
    gw.wait_empty()
    (m,) = gw.messages("bob")
    assert m["From"] == "carol"


def test_vms_style_in_a_maildir(gateway):
    gw = gateway(vms(format="maildir"))
    gw.send("ann@client.test", "bob@local.test", message("hello", body="From x\r\n"))
    gw.wait_empty()
    new = os.path.join(gw.mail, "bob", "new")
    (name,) = os.listdir(new)
    with open(os.path.join(new, name), encoding="utf-8") as file:
        text = file.read()
    assert text.startswith('From:\tSMTP%"ann@client.test"\nTo:\t')
    assert text.endswith("\n\nFrom x\n")


def test_a_large_message_is_whole(gateway):
    """Larger than what is looked at in one piece, head and body."""
    gw = gateway(vms())
    body = "".join(f"line {i}\r\n" for i in range(30000))
    headers = [f"X-Filler-{i}: {'x' * 60}" for i in range(2000)]
    gw.send("ann@client.test", "bob@local.test", message("big", body=body, headers=headers))
    gw.wait_empty()
    (m,) = gw.messages("bob")
    assert m["Subj"] == "big"
    assert "X-Filler-1999: " in m.get_payload()
    assert m.get_payload().endswith(body.replace("\r\n", "\n"))


@pytest.mark.parametrize("options, words", [
    ({"headers": "bottom"}, 'changes nothing without "style": "vms"'),
    ({"style": "vms", "reply_control": ["to"]}, 'reply_control: found "to"'),
    ({"mailbox": "/srv/mail"}, "say {user} in it"),
    ({"mailbox": "~/Maildir", "users": "any"}, '"~/" wants "users": "passwd"'),
    ({"notify": ["notify {user}"]}, "expected a program's absolute path"),
    ({"notify": ["/bin/true", "{usr}"]}, "may have {user}"),
])
def test_settings_that_make_no_sense_are_refused(new_gateway, options, words):
    gw = new_gateway(local(**options))
    assert words in gw.cli("check", code=78).stderr


# --- T-23, T-69, T-129: users are told of new mail ---

# As root the command runs as the mailbox's user, who must be one of the system then.
ROOT = os.geteuid() == 0
USER = "daemon" if ROOT else "bob"
USERS = "passwd" if ROOT else "any"


@pytest.fixture
def script(folder):
    """script(text): a program, and the file that it may write to."""
    def make(text):
        os.chmod(folder, 0o755)
        os.mkdir(os.path.join(folder, "out"))
        os.chmod(os.path.join(folder, "out"), 0o777)
        out = os.path.join(folder, "out", "told")
        path = os.path.join(folder, "tell")
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + text.replace("OUT", out) + "\n")
        os.chmod(path, 0o755)
        return path, out
    return make


def lines(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


UNLOCKED = {"server": {"sandbox": "off"}}  # the program writes a file of its own


@pytest.mark.parametrize("kind", ["mbox", "maildir"])
def test_T23_T69_T129_a_command_is_told_of_new_mail(gateway, script, kind):
    path, out = script('printf "%s|" "$@" >>OUT; echo >>OUT')
    gw = gateway(local(format=kind, folders="yes", users=USERS,
                       notify=[path, "{user}", "{sender}", "{folder}", "{mailbox}", "$(id); x"]),
                 UNLOCKED)
    gw.send("ann@client.test", f"{USER}+LISTS@local.test", message())
    gw.wait_empty()
    (said,) = wait_for("the command", lambda: lines(out))
    words = said.split("|")
    assert words[:3] == [USER, "ann@client.test", "LISTS"]
    assert words[3] in (f"{gw.mail}/{USER}+LISTS", f"{gw.mail}/{USER}/.LISTS")
    assert words[4] == "$(id); x"  # no shell has seen it


def test_a_sender_can_not_slip_in_an_option(gateway, script):
    path, out = script("echo told >>OUT")
    gw = gateway(local(users=USERS, notify=[path, "{sender}"]), UNLOCKED)
    gw.send("-rf@client.test", f"{USER}@local.test", message())
    gw.wait_event("notify.skipped", to=f"{USER}@local.test")
    assert len(gw.messages(USER)) == 1 and lines(out) == []
    # Nor a word of his own into the log.
    forged = f'"{USER}+x why=forged"@local.test'
    gw.send("-rf@client.test", forged, message())
    (event,) = gw.wait_event("notify.skipped", to=forged)
    assert "forged" not in event["why"]


def test_a_command_that_hangs_holds_no_mail_up(gateway, script):
    path, out = script("echo $$ >>OUT; exec sleep 1000")
    gw = gateway(local(users=USERS, notify=[path], notify_timeout="1s"), UNLOCKED)
    for _ in range(12):
        gw.send("ann@client.test", f"{USER}@local.test", message())
    gw.wait_empty()
    gw.wait_event("notify.failed")
    gw.wait_event("notify.skipped")  # there are no more than eight at a time
    assert len(gw.messages(USER)) == 12
    wait_for("all of them to be ended",
             lambda: not any(os.path.exists(f"/proc/{pid}") for pid in lines(out)))


def test_commands_end_with_the_gateway(gateway, script):
    path, out = script("echo $$ >>OUT; exec sleep 1000")
    gw = gateway(local(users=USERS, notify=[path], notify_timeout="1h"), UNLOCKED)
    gw.send("ann@client.test", f"{USER}@local.test", message())
    wait_for("the command", lambda: lines(out))
    gw.stop()
    assert not any(os.path.exists(f"/proc/{pid}") for pid in lines(out))


def test_a_command_that_fails_is_logged_and_the_mail_is_there(gateway, script):
    path, _ = script("exit 3")
    gw = gateway(local(users=USERS, notify=[path]), UNLOCKED)
    gw.send("ann@client.test", f"{USER}@local.test", message())
    gw.wait_event("notify.failed")
    assert len(gw.messages(USER)) == 1


def test_a_command_that_is_not_there_is_logged(gateway):
    gw = gateway(local(users=USERS, notify=["/usr/bin/there-is-no-such-program"]))
    gw.send("ann@client.test", f"{USER}@local.test", message())
    (event,) = gw.wait_event("notify.failed")
    assert "No such file" in " ".join(event.values())
    assert len(gw.messages(USER)) == 1


def test_the_command_is_locked_in_with_the_worker(gateway, folder):
    """With the sandbox it can't write where the worker can't, whoever it runs as."""
    place = os.path.join(folder, "open")
    os.chmod(folder, 0o755)
    os.mkdir(place)
    os.chmod(place, 0o777)
    command = ["/bin/sh", "-c", f"echo told >{place}/told"]
    gw = gateway(local(users=USERS, notify=command))
    gw.send("ann@client.test", f"{USER}@local.test", message())
    gw.wait_empty()
    if not gw.events("sandbox.on"):
        pytest.skip("this kernel has no Landlock")
    (event,) = gw.wait_event("notify.failed")
    assert "it ended with code" in " ".join(event.values())
    assert os.listdir(place) == []
    gw.stop()
    gw.configure(local(users=USERS, notify=command), UNLOCKED)
    gw.start()
    gw.send("ann@client.test", f"{USER}@local.test", message())
    wait_for("the same without the sandbox", lambda: os.listdir(place))
