"""Messages are given to real commands: how they get them, what they may do, and what becomes of it."""
import glob
import hashlib
import json
import os
import pwd
import re
import signal

import pytest

from harness.base import wait_for
from harness.mail import Report, message

ROOT = os.geteuid() == 0
ME = pwd.getpwuid(os.geteuid()).pw_name
PYTHON = "/usr/bin/python3"


@pytest.fixture
def place(folder):
    """A folder that commands write into, whoever they run as, and where scripts are made."""
    path = os.path.join(folder, "place")
    os.makedirs(path)
    os.chmod(folder, 0o755)
    os.chmod(path, 0o777)
    return Place(path)


class Place:
    def __init__(self, path):
        self.path = path

    def __truediv__(self, name):
        return os.path.join(self.path, name)

    def script(self, text, name="command", interpreter="/bin/sh"):
        path = self / name
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!{interpreter}\n{text}\n")
        os.chmod(path, 0o755)
        return path

    def read(self, name):
        with open(self / name, "rb") as file:
            return file.read().decode()

    def wait(self, name):
        wait_for(f"the command to write {name}", lambda: os.path.exists(self / name))
        return self.read(name)


def pipe(command, rule=None, **options):
    """Sections: mail for pipe.test goes to this command."""
    options.setdefault("user", ME)
    options = {key: value for key, value in {"command": command, **options}.items()
               if value is not None}
    return {"transports": {"pipe": {"plugin": "pipe", **options}},
            "routing": {"rules": [{"domain": "pipe.test", "transport": "pipe",
                                   "accept_from": "anyone", **(rule or {})}]}}


def no_retry():
    return {"queue": {"retry": ["1h"]}}


# --- how the command gets the message ---

def test_the_message_stands_on_standard_input(gateway, place):
    command = place.script(f'cat >"{place.path}/new"; mv "{place.path}/new" "{place.path}/got"')
    gw = gateway(pipe([command]))
    gw.send("ann@client.test", "bob@pipe.test", message("piped", body="one\r\nFrom two\r\n"))
    gw.wait_empty()
    text = place.read("got")
    assert text.startswith("Return-Path: <ann@client.test>\nDelivered-To: bob@pipe.test\nReceived:")
    assert text.endswith("\n\none\nFrom two\n")
    assert "\r" not in text
    (said,) = gw.events("deliver.delivered")
    assert said["part"] == "pipe"


def test_lines_may_end_in_crlf_and_the_added_fields_may_be_left_out(gateway, place):
    command = place.script(f'cat >"{place.path}/got"')
    gw = gateway(pipe([command], line_ends="crlf", return_path=False, delivered_to=False))
    gw.send("ann@client.test", "bob@pipe.test", message(body="one\r\n\r\ntwo\r\n"))
    gw.wait_empty()
    text = place.read("got")
    assert text.startswith("Received:")
    assert text.endswith("\r\n\r\none\r\n\r\ntwo\r\n")
    assert text.count("\n") == text.count("\r\n")


def test_a_message_may_come_as_a_piece_of_an_mbox(gateway, place):
    command = place.script(f'cat >>"{place.path}/box"')
    gw = gateway(pipe([command], from_line=True, quote_from=True))
    for subject in ("first", "second"):
        gw.send("ann@client.test", "bob@pipe.test", message(subject, body="From x\r\n>From y\r\n"))
        gw.wait_empty()
    text = place.read("box")
    assert re.match(r"From ann@client\.test [A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} \d{4}\n"
                    r"Return-Path: <ann@client.test>\n", text)
    assert text.count("\n>From x\n>>From y\n\n") == 2
    assert len(re.findall(r"^From ", text, re.M)) == 2


def test_five_mebibytes_arrive_whole_on_standard_input(gateway, place):
    command = place.script(f'tail -c 5000000 | sha256sum >"{place.path}/got"')
    gw = gateway(pipe([command], tmp=place.path))
    body = b"".join(b"%065d\r\n" % i for i in range(5 * 1024 * 1024 // 67))
    gw.send("ann@client.test", "bob@pipe.test", message(body=body))
    gw.wait_empty()
    assert place.read("got").split()[0] == \
        hashlib.sha256(body.replace(b"\r\n", b"\n")[-5000000:]).hexdigest()
    assert sorted(os.listdir(place.path)) == ["command", "got"]


def test_a_file_with_a_name_is_given_and_taken_away_again(gateway, place):
    command = place.script(f'stat -c "%a %U" "$2" >"{place.path}/mode"; cp "$2" "{place.path}/got"; '
                           f'readlink /proc/self/fd/0 >"{place.path}/stdin"; echo "$FILE" "$2" '
                           f'>"{place.path}/names"')
    tmp = place / "tmp"
    os.mkdir(tmp)
    gw = gateway(pipe([command, "-f", "{file}"], message="file", tmp=tmp))
    gw.send("ann@client.test", "bob@pipe.test", message("in a file"))
    gw.wait_empty()
    assert "Subject: in a file\n" in place.read("got")
    assert place.read("mode") == f"600 {ME}\n"
    assert place.read("stdin") == "/dev/null\n"
    one, two = place.read("names").split()
    assert one == two and one.startswith(tmp + "/")
    wait_for("the file to be deleted", lambda: not os.listdir(tmp))


def test_p1_is_the_file_and_p2_all_the_rest(gateway, place):
    """T-89: the procedure deletes the file, and we do not mind."""
    command = place.script(f'for a; do echo "<$a>"; done | sed "s:$1:P1:" >"{place.path}/got"; rm "$1"')
    gw = gateway(pipe([command, "some", "words for", "{user}"], message="p1", tmp=place.path))
    gw.send("ann@client.test", "bob@pipe.test", message())
    gw.wait_empty()
    assert place.read("got") == "<P1>\n<some words for bob>\n"
    assert not glob.glob(place / "postern-pipe-*")
    assert not gw.events("deliver.deferred")


def test_a_command_that_does_not_read_is_no_error(gateway):
    gw = gateway(pipe(["/bin/true"]))
    body = b"x" * 70 + b"\r\n"
    gw.send("ann@client.test", "bob@pipe.test", message(body=body * 60000))
    gw.wait_empty()
    assert len(gw.events("deliver.delivered", part="pipe")) == 1


# --- arguments and environment ---

def test_addresses_are_arguments_and_no_shell_sees_them(gateway, place):
    command = place.script(f'for a; do printf "<%s>\\n" "$a"; done >"{place.path}/got"')
    gw = gateway(pipe([command, "{recipient}", "{user}/{extension}@{domain}", "{sender}", "{{id}",
                       "$(touch /tmp/x)"]))
    gw.send("ann@client.test", "\"b;touch $HOME`id`+x y\"@pipe.test", message())
    gw.wait_empty()
    assert place.read("got").splitlines() == [
        "<\"b;touch $HOME`id`+x y\"@pipe.test>", "<b;touch $HOME`id`/x y@pipe.test>",
        "<ann@client.test>", "<{id}>", "<$(touch /tmp/x)>"]


def test_the_environment_is_what_the_page_says_and_nothing_else(new_gateway, place):
    command = place.script(f'import json, os\njson.dump(dict(os.environ), open("{place.path}/got", "w"))',
                           interpreter=f"{PYTHON} -I")
    gw = new_gateway(pipe([command], environment=["EXTRA=a b", "SHELL=/bin/other"]))
    gw.env["SECRET"] = "of the worker"
    gw.start()
    queue_id = gw.send("ann@client.test", "Bob+Lists@pipe.test", message())
    gw.wait_empty()
    env = json.loads(place.read("got"))
    env.pop("LC_CTYPE", None)  # Python's own doing (PEP 538)
    size = env.pop("SIZE")
    assert size.isdigit() and int(size) > 100
    client = {k: env.pop(k) for k in ("CLIENT_HELO", "CLIENT_ADDRESS") if k in env}
    assert client.get("CLIENT_ADDRESS") == "127.0.0.1"
    me = pwd.getpwuid(os.geteuid())
    assert env == {
        "PATH": "/usr/local/bin:/usr/bin:/bin", "SHELL": "/bin/other", "EXTRA": "a b",
        "HOME": me.pw_dir, "USER": me.pw_name, "LOGNAME": me.pw_name,
        "SENDER": "ann@client.test", "QUEUE_ID": queue_id,
        "RECIPIENT": "Bob+Lists@pipe.test", "ORIGINAL_RECIPIENT": "Bob+Lists@pipe.test",
        "LOCAL": "Bob+Lists", "EXTENSION": "Lists", "DOMAIN": "pipe.test"}


def test_the_original_recipient_and_a_null_sender(gateway, place):
    command = place.script(f'echo "$ORIGINAL_RECIPIENT $RECIPIENT $SENDER $1" >"{place.path}/got"')
    sections = pipe([command, "{original_recipient}"])
    sections["routing"]["rules"].insert(0, {"domain": "old.test", "rewrite": "list@pipe.test"})
    gw = gateway(sections)
    gw.send("", "bob@old.test", message())
    gw.wait_empty()
    assert place.read("got") == "bob@old.test list@pipe.test MAILER-DAEMON bob@old.test\n"


def test_the_process_has_nothing_of_the_worker(gateway, place):
    command = place.script(
        "import json, os, signal, resource\n"
        "status = dict(l.split(':', 1) for l in open('/proc/self/status'))\n"
        "said = {'fds': sorted(int(f) for f in os.listdir('/proc/self/fd')),\n"
        "        'ignored': int(status['SigIgn'], 16), 'blocked': int(status['SigBlk'], 16),\n"
        "        'pgid': os.getpgrp() == os.getpid(), 'sid': os.getsid(0) == os.getpid(),\n"
        "        'cwd': os.getcwd(), 'core': resource.getrlimit(resource.RLIMIT_CORE),\n"
        "        'umask': os.umask(0)}\n"
        f"json.dump(said, open('{place.path}/got', 'w'))", interpreter=f"{PYTHON} -I")
    gw = gateway(pipe([command], cwd=place.path, umask="027"))
    gw.send("ann@client.test", "bob@pipe.test", message())
    gw.wait_empty()
    said = json.loads(place.read("got"))
    assert said["fds"] in ([0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 4])  # the listing has one itself
    # Python ignores SIGPIPE and SIGXFSZ itself; nothing else may be ignored.
    assert said["ignored"] & ~(1 << (signal.SIGPIPE - 1)) & ~(1 << (signal.SIGXFSZ - 1)) == 0
    assert said["blocked"] == 0
    assert said["pgid"] and said["sid"]
    assert (said["cwd"], said["core"], said["umask"]) == (place.path, [0, 0], 0o027)


def test_a_leading_dash_makes_no_option(gateway, place):
    command = place.script(f'echo "$@" >>"{place.path}/got"')
    gw = gateway(pipe([command, "{recipient}"]))
    gw.send("ann@client.test", "-oX@pipe.test", message())
    gw.wait_event("deliver.failed", to="-oX@pipe.test", status="5.1.3")
    assert not os.path.exists(place / "got")


def test_one_command_for_all_recipients_of_a_job(gateway, place):
    command = place.script(f'echo "$# $* [$RECIPIENT]" >>"{place.path}/got"')
    gw = gateway(pipe([command, "--", "{recipient}", "{sender}"], per="message"))
    gw.send("ann@client.test", ["a@pipe.test", "b@pipe.test", "c@pipe.test"], message())
    gw.wait_empty()
    assert place.read("got") == "5 -- a@pipe.test b@pipe.test c@pipe.test ann@client.test []\n"
    assert len(gw.events("deliver.delivered", part="pipe")) == 3


def test_one_address_that_no_command_gets_is_returned_alone(gateway, place):
    command = place.script(f'echo "$*" >>"{place.path}/got"')
    gw = gateway(pipe([command, "{recipient}"], per="message"))
    gw.send("ann@client.test", ["a@pipe.test", "-c@pipe.test", "b@pipe.test"], message())
    gw.wait_event("deliver.failed", to="-c@pipe.test", status="5.1.3")
    gw.wait_event("deliver.delivered", count=2, part="pipe")
    assert sorted(place.read("got").split()) == ["a@pipe.test", "b@pipe.test"]


def test_a_folder_that_is_missing_is_named(gateway, place):
    gw = gateway(pipe(["/bin/true"], cwd=f"{place.path}/nowhere"))
    gw.send("ann@client.test", "bob@pipe.test", message())
    (said,) = gw.wait_event("deliver.deferred", to="bob@pipe.test")
    assert f"cannot change to the folder {place.path}/nowhere: No such file" in said["reply"], said


def test_one_command_for_each_recipient(gateway, place):
    command = place.script(f'echo "$*" >>"{place.path}/got"; test "$1" != b')
    gw = gateway(pipe([command, "{user}"]), no_retry())
    gw.send("ann@client.test", ["a@pipe.test", "b@pipe.test", "c@pipe.test"], message())
    gw.wait_event("deliver.failed", to="b@pipe.test")
    gw.wait_event("deliver.delivered", count=2, part="pipe")
    assert sorted(place.read("got").split()) == ["a", "b", "c"]


# --- the shell ---

def test_a_shell_has_addresses_in_variables_only(gateway, place):
    gw = gateway(pipe([f'printf "%s|" "$RECIPIENT" "$@" >"{place.path}/got" && cat >/dev/null'],
                      shell=True))
    gw.send("ann@client.test", "\"x$(id)'; exit 1\"@pipe.test", message())
    gw.wait_empty()
    assert place.read("got") == "\"x$(id)'; exit 1\"@pipe.test|" * 2


@pytest.mark.parametrize("options, words", [
    ({"command": ["true"]}, ['"true"', "full path"]),
    ({}, ["command is missing"]),
    ({"command": ["/bin/true", "{what}"]}, ["{what}", "{recipient}"]),
    ({"command": ["/bin/true", "{file}"]}, ["{file}", '"message": "file"']),
    ({"command": ["/bin/true"], "message": "file"}, ["no argument says {file}"]),
    ({"command": ["echo {recipient}"], "shell": True}, ["{recipient}", "$RECIPIENT"]),
    ({"command": ["echo", "x"], "shell": True}, ["2 items"]),
    ({"command": ["/bin/true"], "umask": "9"}, ["umask", '"9"']),
    ({"command": ["/bin/true"], "environment": ["1X=y"]}, ["NAME=value"]),
    ({"command": ["/bin/true"], "exit_codes": ["75=failed 4.1.1"]}, ["exit_codes", "75=failed 4.1.1"]),
    ({"command": ["/bin/true"], "user": "nobody-at-all"}, ["no user", "nobody-at-all"]),
    ({"command": ["/bin/true"], "line_ends": "crlf", "from_line": True}, ["line_ends", "lf"]),
    ({"command": ["/bin/true"], "alias_folder": "/x"}, ["allow_alias_commands"]),
])
def test_what_makes_no_sense_is_refused_with_words(new_gateway, options, words):
    gw = new_gateway(pipe(**{"command": None, **options}))
    said = gw.cli("check", code=78).stderr
    assert "#/transports/pipe" in said
    for word in words:
        assert word in said


# --- who it runs as ---

needs_root = pytest.mark.skipif(not ROOT, reason="only root can become somebody else")


@needs_root
def test_a_command_runs_as_the_user_that_was_said(gateway, place):
    command = place.script(f'id -u >"{place.path}/uid"; id -G >"{place.path}/groups"; '
                           f'grep -E "^(Uid|Gid|NoNewPrivs)" /proc/self/status >"{place.path}/status";'
                           f'echo "$USER $HOME" >"{place.path}/env"; cat >"{place.path}/got"; '
                           f'cat /dev/stdin >/dev/null')
    gw = gateway(pipe([command], user="nobody"))
    gw.send("ann@client.test", "bob@pipe.test", message("as nobody"))
    gw.wait_empty()
    nobody = pwd.getpwnam("nobody")
    assert place.read("uid") == f"{nobody.pw_uid}\n"
    assert place.read("groups").split() == [str(g) for g in
                                            os.getgrouplist("nobody", nobody.pw_gid)]
    uids = place.read("status").splitlines()[0].split()[1:]
    assert set(uids) == {str(nobody.pw_uid)}
    assert place.read("env") == f"nobody {nobody.pw_dir}\n"
    assert "Subject: as nobody\n" in place.read("got")


@needs_root
def test_a_command_of_another_user_may_read_and_delete_its_file(gateway, place):
    command = place.script(f'cat "$1" >"{place.path}/got" && rm "$1"')
    gw = gateway(pipe([command, "{file}"], user="nobody", message="file", tmp=place.path))
    gw.send("ann@client.test", "bob@pipe.test", message("as nobody"))
    gw.wait_empty()
    assert "Subject: as nobody\n" in place.read("got")
    assert not glob.glob(place / "postern-pipe-*")


@needs_root
def test_nobody_runs_as_root_by_default(new_gateway):
    said = new_gateway(pipe(["/bin/true"], user=None)).cli("check", code=78).stderr
    assert "run as root" in said and '"user"' in said


@needs_root
def test_a_worker_without_privileges_cannot_become_somebody_else(new_gateway):
    gw = new_gateway(pipe(["/bin/true"], user="daemon"), {"server": {"user": "nobody"}})
    said = gw.cli("check", code=78).stderr
    assert '"daemon"' in said and "only root" in said
    gw.configure(pipe(["/bin/true"], user="nobody"), {"server": {"user": "nobody"}})
    gw.cli("check")
    gw.configure(pipe(["/bin/true"], user=None), {"server": {"user": "nobody"}})
    gw.cli("check")


# --- how it ends ---

EXITS = {  # exit code: fate and status
    64: "deferred 4.3.5", 65: "failed 5.6.0", 66: "failed 5.3.0", 67: "failed 5.1.1",
    68: "failed 5.1.2", 69: "failed 5.3.0", 70: "failed 5.3.0", 71: "deferred 4.3.0",
    72: "deferred 4.3.5", 73: "failed 5.2.0", 74: "deferred 4.3.0", 75: "deferred 4.3.0",
    76: "failed 5.5.0", 77: "failed 5.7.1", 78: "deferred 4.3.5", 1: "failed 5.3.0",
    127: "deferred 4.3.5", 255: "failed 5.3.0"}


def test_exit_codes_are_fates(gateway, place):
    command = place.script('echo "said by $1"; exit $1')
    gw = gateway(pipe([command, "{user}"]), no_retry())
    gw.send("ann@client.test", [f"{code}@pipe.test" for code in [0, *EXITS]], message())
    gw.wait_event("deliver.delivered", part="pipe", to="0@pipe.test")
    for code, expected in EXITS.items():
        fate, status = expected.split()
        (said,) = gw.wait_event(f"deliver.{fate}", to=f"{code}@pipe.test")
        assert said["status"] == status, code
        assert f"said by {code}" in said["reply"] and f"ended with {code}" in said["reply"]


def test_exit_codes_may_mean_something_else(gateway, place):
    command = place.script('exit $1')
    gw = gateway(pipe([command, "{user}"],
                      exit_codes=["99=delivered", "1-9=deferred 4.2.2", "EX_NOUSER=deferred",
                                  "75=failed 5.2.1"]), no_retry())
    gw.send("ann@client.test", [f"{c}@pipe.test" for c in (99, 1, 9, 10, 67, 75)], message())
    gw.wait_event("deliver.delivered", to="99@pipe.test", part="pipe")
    for code, fate, status in ((1, "deferred", "4.2.2"), (9, "deferred", "4.2.2"),
                               (10, "failed", "5.3.0"), (67, "deferred", "4.3.0"),
                               (75, "failed", "5.2.1")):
        gw.wait_event(f"deliver.{fate}", to=f"{code}@pipe.test", status=status)


def test_what_the_command_says_comes_back_to_the_sender(gateway, place):
    command = place.script('echo "5.2.2 the mailbox is full"; echo "second line" >&2; exit 69')
    gw = gateway(pipe([command]))
    gw.send("ann@local.test", "bob@pipe.test", message())
    (got,) = gw.wait_mail("ann")
    group = Report(got).recipient("bob@pipe.test")
    assert group["Status"] == "5.2.2"
    said = " ".join(group["Diagnostic-Code"].split())
    assert "5.2.2 the mailbox is full / second line" in said


def test_a_signal_defers(gateway, place):
    command = place.script('kill -SEGV $$')
    gw = gateway(pipe([command]), no_retry())
    gw.send("ann@client.test", "bob@pipe.test", message())
    (said,) = gw.wait_event("deliver.deferred", to="bob@pipe.test", status="4.3.0")
    assert "signal 11 (SIGSEGV)" in said["reply"]


def test_a_signal_defers_also_when_only_a_shell_has_seen_it(gateway, place):
    command = place.script("sh -c 'kill -KILL $$'")
    gw = gateway(pipe([command]), no_retry())
    gw.send("ann@client.test", "bob@pipe.test", message())
    (said,) = gw.wait_event("deliver.deferred", to="bob@pipe.test", status="4.3.0")
    assert "ended with 137 (128 and the signal of what it ran: SIGKILL)" in said["reply"]


@pytest.mark.parametrize("command, status, words", [
    (["/no/such/program"], "4.3.5", "No such file"), (["/etc/passwd"], "4.3.5", "Permission denied")])
def test_a_program_that_cannot_run_defers(gateway, command, status, words):
    gw = gateway(pipe(command), no_retry())
    gw.send("ann@client.test", "bob@pipe.test", message())
    (said,) = gw.wait_event("deliver.deferred", to="bob@pipe.test", status=status)
    assert words in said["reply"] and f"cannot execute {command[0]}" in said["reply"]


def test_a_message_that_comes_back_is_stopped(gateway, place):
    command = place.script(f'echo ran >>"{place.path}/got"')
    gw = gateway(pipe([command]))
    gw.send("ann@client.test", "bob@pipe.test", message(headers=["Delivered-To: Bob@pipe.test"]))
    gw.wait_event("deliver.failed", to="bob@pipe.test", status="5.4.6")
    assert not os.path.exists(place / "got")


# --- commands that misbehave ---

def test_a_command_that_hangs_is_ended_with_all_its_group(gateway, place):
    command = place.script(f'trap "" TERM; sleep 1000 & echo $! >"{place.path}/sleeper"; '
                           f'echo $$ >"{place.path}/pid"; echo "working on it"; while :; do sleep 1000; done')
    gw = gateway(pipe([command], timeout="300ms", kill_grace="200ms"), no_retry())
    gw.send("ann@client.test", "bob@pipe.test", message())
    (said,) = gw.wait_event("deliver.deferred", to="bob@pipe.test", status="4.3.0")
    assert "was ended after" in said["reply"] and "working on it" in said["reply"]
    for name in ("pid", "sleeper"):
        pid = int(place.read(name))
        wait_for(f"{name} to be gone", lambda pid=pid: gone(pid))


def gone(pid):
    """No process, or a zombie whose parent has not looked yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_a_command_may_end_in_good_order_at_its_time_limit(gateway, place):
    command = place.script(f'trap "echo told >{place.path}/got; exit 0" TERM; '
                           'while :; do sleep 0.05; done')
    gw = gateway(pipe([command], timeout="300ms", kill_grace="50s"), no_retry())
    gw.send("ann@client.test", "bob@pipe.test", message())
    gw.wait_event("deliver.deferred", to="bob@pipe.test")
    assert place.read("got") == "told\n"


def test_gigabytes_of_output_are_counted_and_dropped(gateway, place):
    command = place.script('echo first words; (head -c 1000000000 /dev/zero >&2) & '
                           'head -c 1000000000 /dev/zero; wait; exit 69')
    gw = gateway(pipe([command]))
    gw.send("ann@client.test", "flood@pipe.test", message())
    gw.wait_event("deliver.failed", to="flood@pipe.test", patience=240)
    (said,) = gw.events("deliver.failed", to="flood@pipe.test")
    assert "first words" in said["reply"]
    more = int(re.search(r"and (\d+) bytes more", said["reply"]).group(1))
    assert 1999990000 < more <= 2000000012
    (pid,) = gw.workers()
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", file.read()).group(1))
    assert peak < 500 * 1024


def test_mail_goes_on_while_a_command_floods(gateway, place):
    command = place.script('if [ "$1" = slow ]; then exec cat /dev/zero; fi')
    gw = gateway(pipe([command, "{user}"], timeout="20s", kill_grace="0s"), no_retry(),
                 {"server": {"grace": "0s"}})
    gw.send("ann@client.test", "slow@pipe.test", message())
    for i in range(20):
        gw.send("ann@client.test", f"quick{i}@pipe.test", message())
    gw.wait_event("deliver.delivered", count=20, part="pipe")
    assert not gw.events("deliver.deferred", to="slow@pipe.test")


def test_a_daemon_that_keeps_the_output_open_holds_nobody_up(gateway, place):
    command = place.script(f'(echo $BASHPID >"{place.path}/pid"; exec sleep 1000) & '
                           f'while [ ! -s "{place.path}/pid" ]; do sleep 0.01; done; echo started',
                           interpreter="/bin/bash")
    gw = gateway(pipe([command]))
    gw.send("ann@client.test", "bob@pipe.test", message())
    gw.wait_empty()
    pid = int(place.read("pid"))
    assert not gone(pid)
    os.kill(pid, signal.SIGKILL)


def test_only_so_many_run_at_a_time(gateway, place):
    command = place.script(
        f'mkdir "{place.path}/slot-$$"; ls -d "{place.path}"/slot-* | wc -l >>"{place.path}/got"; '
        f'sleep 0.05; rmdir "{place.path}/slot-$$"')
    gw = gateway(pipe([command], concurrency=2))
    gw.send("ann@client.test", [f"u{i}@pipe.test" for i in range(12)], message())
    gw.wait_empty()
    counts = [int(n) for n in place.read("got").split()]
    assert len(counts) == 12 and max(counts) <= 2


LIMITS = [
    ("memory_limit", "300M", "x = bytearray(600 << 20)", "MemoryError"),
    ("file_limit", "64K", "open('big', 'wb').write(bytes(100000))", "File too large"),
    ("cpu_limit", "1s", "while True: pass", "more processor time than cpu_limit"),
]


@pytest.mark.parametrize("option, value, code, words", LIMITS)
def test_limits_are_enforced(gateway, place, option, value, code, words):
    command = place.script(f"try:\n    {code}\nexcept Exception as e:\n    exit(repr(e))",
                           interpreter=f"{PYTHON} -I")
    gw = gateway(pipe([command], **{option: value}, cwd=place.path,
                      exit_codes=["signal=failed 5.3.0"]))
    gw.send("ann@client.test", "bob@pipe.test", message())
    (said,) = gw.wait_event("deliver.failed", to="bob@pipe.test")
    assert words in said["reply"], said


@needs_root
def test_the_number_of_processes_is_limited(gateway, place):
    """Root has no such limit, so it takes another user."""
    command = place.script('import os, sys, time\n'
                           'for i in range(60):\n'
                           '    try:\n'
                           '        if not os.fork(): time.sleep(30); os._exit(0)\n'
                           '    except OSError as e: print(e); os.killpg(0, 9)\n',
                           interpreter=f"{PYTHON} -I")
    gw = gateway(pipe([command], user="nobody", process_limit=40,
                      exit_codes=["signal=failed 5.3.0", "0=failed 5.7.1"]))
    gw.send("ann@client.test", "bob@pipe.test", message())
    (said,) = gw.wait_event("deliver.failed", to="bob@pipe.test")
    assert said["status"] == "5.3.0" and "signal 9" in said["reply"]


# --- commands of aliases ---

def alias(text, command=None, **options):
    return pipe(command, rule={"params": [f"command={text}"]}, **options)


def test_a_command_of_an_alias_needs_to_be_allowed(gateway, place):
    command = place.script(f'echo "$@" >"{place.path}/got"')
    gw = gateway(alias(command, command=["/bin/true"]), no_retry())
    gw.send("ann@client.test", "bob@pipe.test", message())
    (said,) = gw.wait_event("deliver.deferred", to="bob@pipe.test", status="4.3.5")
    assert "allow_alias_commands" in said["reply"]
    assert not os.path.exists(place / "got")


def test_a_command_of_an_alias_is_taken_apart_without_a_shell(gateway, place):
    command = place.script(f'for a; do printf "<%s>" "$a"; done >"{place.path}/got"')
    gw = gateway(alias(f"{command} one 'two  words' \"a\\\"b\" $HOME ; ls {{user}}",
                       allow_alias_commands=True))
    gw.send("ann@client.test", "bob@pipe.test", message())
    gw.wait_empty()
    assert place.read("got") == "<one><two  words><a\"b><$HOME><;><ls><bob>"


def test_a_command_of_an_alias_in_the_manner_of_tcpware(gateway, place):
    command = place.script(f'echo "$# <$2>" >"{place.path}/got"; grep -c Subject "$1" >>"{place.path}/got"')
    gw = gateway(alias(f"{command}  p2 'and  p3'", allow_alias_commands=True, message="p1"))
    gw.send("ann@client.test", "bob@pipe.test", message())
    gw.wait_empty()
    assert place.read("got") == "2 <p2 'and  p3'>\n1\n"


@pytest.mark.parametrize("text, fine", [("good x", True), ("../good", False), ("/bin/true", False),
                                        ("'", False)])
def test_commands_of_aliases_can_be_kept_in_one_folder(gateway, place, text, fine):
    place.script(f'echo "$1" >"{place.path}/got"', name="good")
    gw = gateway(alias(text, allow_alias_commands=True, alias_folder=place.path), no_retry())
    gw.send("ann@client.test", "bob@pipe.test", message())
    if fine:
        gw.wait_empty()
        assert place.read("got") == "x\n"
    else:
        gw.wait_event("deliver.deferred", to="bob@pipe.test", status="4.3.5")


# --- when things break ---

def test_a_killed_worker_loses_nothing_and_leaves_no_command_behind(gateway, place):
    command = place.script(f'echo $$ >"{place.path}/new"; mv "{place.path}/new" "{place.path}/pid-$$"; '
                           f'[ -e "{place.path}/go" ] && exit 0; while :; do sleep 0.1; done')
    tmp = place / "tmp"
    os.mkdir(tmp)
    gw = gateway(pipe([command, "{file}"], message="file", tmp=tmp))
    gw.send("ann@client.test", "bob@pipe.test", message())
    wait_for("the command to run", lambda: glob.glob(place / "pid-*"))
    (first,) = glob.glob(place / "pid-*")
    (worker,) = gw.workers()
    assert len(os.listdir(tmp)) == 1
    os.kill(worker, signal.SIGKILL)
    pid = int(first.rsplit("-", 1)[1])
    wait_for("the command of the dead worker to be gone", lambda: gone(pid))
    with open(place / "go", "w", encoding="ascii"):
        pass
    gw.wait_workers(1, without=[worker])
    gw.expected_errors |= {e["event"] for e in gw.events() if e["level"] == "error"}
    gw.wait_empty()
    assert gw.wait_event("deliver.delivered", part="pipe")


def test_what_was_delivered_beside_one_that_hangs_is_not_repeated(gateway, place):
    command = place.script(f'echo "$RECIPIENT" >>"{place.path}/ran"; [ "$RECIPIENT" != slow@pipe.test ] || '
                           f'[ -e "{place.path}/go" ] || while :; do sleep 0.1; done')
    gw = gateway(pipe([command]), {"server": {"workers": 1}})
    gw.send("ann@client.test", ["slow@pipe.test", "a@pipe.test", "b@pipe.test"], message())
    gw.wait_event("deliver.delivered", count=2)
    (worker,) = gw.workers()
    gw.send("ann@client.test", "c@pipe.test", message())  # durable, and so is what was before it
    with open(place / "go", "w", encoding="ascii"):
        pass
    os.kill(worker, signal.SIGKILL)
    gw.wait_workers(1, without=[worker])
    gw.expected_errors |= {e["event"] for e in gw.events() if e["level"] == "error"}
    gw.wait_empty()
    ran = place.read("ran").split()
    assert [ran.count(f"{user}@pipe.test") for user in ("a", "b", "slow")] == [1, 1, 2]


def test_what_a_killed_worker_left_is_swept_up(gateway, place):
    tmp = place / "tmp"
    os.mkdir(tmp)
    old = os.path.join(tmp, "postern-pipe-0123456789abcdef.eml")
    fresh = os.path.join(tmp, "postern-pipe-0123456789abcdee.eml")
    other = os.path.join(tmp, "postern-pipe-mine.eml")
    for name in (old, fresh, other):
        with open(name, "w", encoding="ascii") as file:
            file.write("left")
    for name in (old, other):
        os.utime(name, (1, 1))
    gw = gateway(pipe(["/bin/true", "{file}"], message="file", tmp=tmp))
    wait_for("the sweep", lambda: not os.path.exists(old))
    assert os.path.exists(fresh) and os.path.exists(other)
    gw.send("ann@client.test", "bob@pipe.test", message())
    gw.wait_empty()


def test_a_stop_ends_commands_and_keeps_their_mail(gateway, place):
    command = place.script(f'echo $$ >"{place.path}/new"; mv "{place.path}/new" "{place.path}/pid"; sleep 1000')
    gw = gateway(pipe([command]), {"server": {"grace": "100ms"}})
    gw.send("ann@client.test", "bob@pipe.test", message())
    pid = int(place.wait("pid"))
    gw.stop()
    wait_for("the command to be gone", lambda: gone(pid))
    place.script("exit 0")
    gw.start()
    gw.wait_empty()
    assert gw.wait_event("deliver.delivered", part="pipe")


def test_a_command_may_be_locked_in_with_its_worker(new_gateway, folder, place):
    """server.sandbox "on": it writes where it was said, and nowhere else."""
    other = os.path.join(folder, "other")
    os.makedirs(other)
    gw = new_gateway(pipe(["/bin/sh", "-c", 'cat "$2" >"$0/got"; echo x >"$1/got"', place.path, other,
                           "{file}"], message="file", tmp=place.path, writes=[place.path]),
                     {"server": {"sandbox": "on"}}, no_retry())
    try:
        gw.start()
    except AssertionError:
        if "Landlock" in gw.log():
            pytest.skip("this kernel cannot lock processes in")
        raise
    gw.send("ann@client.test", "bob@pipe.test", message("locked in"))
    (said,) = gw.wait_event("deliver.failed", to="bob@pipe.test")
    assert "Permission denied" in said["reply"]
    assert "Subject: locked in\n" in place.read("got")
    assert os.listdir(other) == []
    assert not glob.glob(place / "postern-pipe-*")


def test_the_plugin_explains_its_options(new_gateway):
    said = new_gateway().cli("plugin", "info", "pipe").stdout
    for option in ("command", "allow_alias_commands", "exit_codes", "memory_limit"):
        assert option in said
