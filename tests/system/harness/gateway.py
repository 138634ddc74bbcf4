"""A gateway of a test's own: its folders, its configuration, its life, its log."""
import glob
import json
import mailbox
import os
import re
import shlex
import signal
import smtplib
import subprocess

from .base import (BUILD, PATIENCE, POSTERN, assert_no_sanitizer_report, free_port, merged,
                   port_open, wait_for)

HOSTNAME = "gw.test"


def group_alive(group):
    """Is there a process of this group that is more than a zombie?"""
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                state, _, pgrp = file.read().rsplit(")", 1)[1].split()[:3]
        except OSError:
            continue
        if int(pgrp) == group and state != "Z":
            return True
    return False


def plugin_path():
    return ":".join(sorted(glob.glob(os.path.join(BUILD, "plugins", "*", ""))))


class Gateway:
    """expected_errors: events of level error that this test provokes; any other one is a failure
    when the gateway is closed."""

    def __init__(self, folder, *sections, files=None):
        self.folder = str(folder)
        self.port = free_port()
        self.confd = os.path.join(self.folder, "conf.d")
        self.spool = os.path.join(self.folder, "spool")
        self.mail = os.path.join(self.folder, "mail")
        self.log_file = os.path.join(self.folder, "log")
        self.log_start = 0  # where the log of this life begins
        self.process = None
        self.expected_errors = set()
        self.env = dict(os.environ, POSTERN_PLUGIN_PATH=plugin_path())
        for name in ("POSTERN_CONFIG", "POSTERN_STATE"):
            self.env.pop(name, None)
        self.log_level = "info"
        os.makedirs(self.mail)
        os.makedirs(self.confd)
        self.configure(*sections)
        for name, content in (files or {}).items():
            self.write_config(name, content)

    # --- configuration ---

    def base(self):
        """Fast where the shipped configuration is patient, and deaf to the outside world."""
        return {
            "server": {"hostname": HOSTNAME, "workers": 1},
            "spool": {"path": self.spool},
            "control": {"socket": os.path.join(self.folder, "control.sock")},
            "ingress": {"smtp-in": {"listen": [f"127.0.0.1:{self.port}"]}},
            "transports": {
                "local-mbox": {"path": self.mail, "users": "any"},
                "smtp-out": {},
            },
            "routing": {"local_domains": [HOSTNAME, "local.test"]},
            "queue": {"retry": ["200ms"], "jitter": 0, "dead_min": "200ms", "dead_max": "400ms"},
            "dns": {"servers": ["127.0.0.1:9"], "timeout": "500ms", "tries": 1},
        }

    def configure(self, *sections):
        settings = merged(self.base(), *sections)
        log = settings.get("log", {})
        self.log_level = log.get("level", "info") if log.get("format") != "json" else "json"
        self.write_config("10-test.json", settings)

    def write_config(self, name, content):
        """An object is written as JSON, a text as it is."""
        path = os.path.join(self.confd, name)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content, indent=2))
        os.rename(path + ".new", path)  # a reload may be reading

    # --- life ---

    def start(self, stderr=None, launcher=(), **popen):
        """stderr: where it goes when it is not the log (which is a file of the gateway's then).
        launcher: words of a program that starts it, by exec."""
        assert not self.running()
        self.log_start = len(self.log())
        with open(stderr or self.log_file, "ab") as log:
            # A process group of its own, so that a kill meets all that it has started.
            self.process = subprocess.Popen([*launcher, POSTERN, "run", "--config", self.confd],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.env, start_new_session=True, **popen)
        wait_for(lambda: f"the gateway to be ready:\n{self.log()}",
                 lambda: self.process.poll() is not None or self.is_ready())
        assert self.process.poll() is None, f"the gateway ended at once:\n{self.log()}"
        return self

    def is_ready(self):
        return "gateway.ready" in self.log()[self.log_start:]

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """As the kernel does when memory is short: without a word."""
        group = self.process.pid
        os.killpg(group, signal.SIGKILL)
        self.process.wait()
        wait_for("the killed gateway to be gone", lambda: not group_alive(group))

    # --- its processes ---

    def status(self):
        """What status says, or nothing while some worker is on its way back."""
        done = self.cli("status", "--json", code=None)
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def workers(self):
        """Pids of those that are ready."""
        return [w["pid"] for w in self.status().get("workers", []) if w["state"] == "ready"]

    def wait_workers(self, count, without=()):
        """Until so many are ready, and none of WITHOUT among them; their pids."""
        def enough():
            pids = self.workers()
            return pids if len(pids) == count and not set(pids) & set(without) else None
        return wait_for(lambda: f"{count} workers:\n{self.log()}", enough)

    def wait_settled(self, patience=PATIENCE):
        """No generation drains any more; nothing is queued anywhere."""
        def settled():
            said = self.status()
            return said and not said["draining"] and self.is_empty(said)
        wait_for(lambda: f"everything to be settled: {self.status()}\n{self.log()[-6000:]}", settled,
                 patience)

    def add_plugins(self, folder):
        self.env["POSTERN_PLUGIN_PATH"] += ":" + str(folder)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"SIGTERM did not end the gateway:\n{self.log()}") from None
        assert code == 0, f"the gateway ended with {code}:\n{self.log()}"
        assert not port_open(self.port)

    def restart(self):
        self.stop()
        return self.start()

    def close(self):
        """The end of every test: it stops in good order and has nothing to complain of."""
        try:
            if self.running():
                self.stop()
            assert_no_sanitizer_report(self.log(), "the gateway")
            unexpected = [line for line in self.log().splitlines()
                          if re.match(r"\S+Z (error|crit|alert|emerg) ", line) and
                          line.split()[3] not in self.expected_errors]
            assert not unexpected, unexpected
        finally:
            if self.running():
                self.kill()

    # --- its log ---

    def log(self):
        if not os.path.exists(self.log_file):
            return ""
        with open(self.log_file, encoding="utf-8", errors="replace") as file:
            return file.read()

    def events(self, name=None, **pairs):
        """Lines of the text log as dictionaries, those that have this event and these pairs."""
        found = []
        for line in self.log().splitlines():
            if name and f" {name} " not in line + " ":
                continue
            words = line.split(" ", 4)
            if len(words) < 4 or not words[0].endswith("Z") or (name and words[3] != name):
                continue
            event = dict(p.split("=", 1) for p in split_pairs(words[4] if len(words) > 4 else ""))
            event.update(level=words[1], part=words[2], event=words[3])
            if all(event.get(key) == value for key, value in pairs.items()):
                found.append(event)
        return found

    def wait_event(self, name, count=1, patience=PATIENCE, **pairs):
        def enough():
            found = self.events(name, **pairs)
            return found if len(found) >= count else None
        return wait_for(lambda: f"{count} times {name} {pairs}:\n{self.log()}", enough, patience)

    # --- the operator's side ---

    def cli(self, *args, code=0, stdin=b"", program=POSTERN):
        """`postern ARGS --config ...`: the completed process, whose exit code must be CODE."""
        return self.command([program, *args], code, stdin)

    def command(self, words, code=0, stdin=b""):
        done = subprocess.run(words, input=stdin, env=dict(self.env, POSTERN_CONFIG=self.confd),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE,
                              check=False)
        done.stdout = done.stdout.decode(errors="replace")
        done.stderr = done.stderr.decode(errors="replace")
        assert_no_sanitizer_report(done.stderr, words)
        if code is not None:
            assert done.returncode == code, (
                f"{shlex.join(words)} ended with {done.returncode}, expected {code}\n"
                f"{done.stdout}{done.stderr}\n{self.log()}")
        return done

    def json(self, *args, code=0):
        return json.loads(self.cli(*args, "--json", code=code).stdout)

    def queue(self, *args):
        return self.json("queue", "list", *args)

    def queued_rcpts(self, *args):
        """Recipient to what the queue knows of it, those that still wait."""
        return {r["recipient"]: r for m in self.queue(*args) for r in m["recipients"]
                if r["state"] in ("waiting", "held", "failed")}

    @staticmethod
    def is_empty(said):
        """Is nothing queued, by this answer of status, and nothing left that nobody has read?"""
        return (said["queue"]["messages"] == 0 and not said["unread_shards"] and
                not said["looking_for_shards"])

    def wait_empty(self, patience=PATIENCE):
        """Everything has left the queue, and the log, which lags behind a little, says so."""
        wait_for(lambda: f"an empty queue: {self.cli('queue', 'list').stdout}\n{self.log()}",
                 lambda: self.is_empty(self.json("status")), patience)
        if self.log_level == "info":
            delivered = self.json("status")["queue"]["delivered"]
            wait_for("the log to tell of every delivery", lambda: self.log().count(
                " deliver.delivered ", self.log_start) >= delivered)

    # --- the client's side ---

    def smtp(self, port=None, ehlo=True):
        client = smtplib.SMTP("127.0.0.1", port or self.port, local_hostname="client.test",
                              timeout=PATIENCE)
        if ehlo:
            client.ehlo()
        return client

    def send(self, sender, rcpts, message, port=None, options=()):
        """Over SMTP, everything accepted. The queue id that the gateway gave."""
        rcpts = [rcpts] if isinstance(rcpts, str) else rcpts
        with self.smtp(port) as client:
            assert client.mail(sender, options)[0] == 250
            for rcpt in rcpts:
                code, text = client.rcpt(rcpt)
                assert code == 250, (rcpt, code, text)
            return queue_id(client.data(message))

    # --- mailboxes ---

    def mbox(self, user):
        return os.path.join(self.mail, user)

    def messages(self, user):
        """What the mailbox holds, as Python's own reader of mboxes sees it."""
        path = self.mbox(user)
        if not os.path.exists(path):
            return []
        box = mailbox.mbox(path, create=False)
        try:
            return list(box)
        finally:
            box.close()

    def wait_mail(self, user, count=1):
        """Delivered, says the log (so nothing is half written); the messages."""
        def enough():
            found = self.messages(user)
            return found if len(found) >= count else None
        wait_for(lambda: f"{count} messages for {user}:\n{self.log()}", enough)
        self.wait_delivered(user, count)
        return self.messages(user)

    def wait_delivered(self, user, count):
        def enough():
            done = [e for e in self.events("deliver.delivered")
                    if e["part"] == "local-mbox" and
                    e.get("as", e["to"]).strip('"').split("@")[0] == user]
            return len(done) >= count
        wait_for(lambda: f"{count} deliveries to {user} in the log:\n{self.log()}", enough)


def split_pairs(text):
    """key=value key="quoted \\" value" ... as a list of key=value."""
    pairs = []
    for match in re.finditer(r'([^\s=]+)=("(?:[^"\\]|\\.)*"|\S*)', text):
        value = match.group(2)
        if value.startswith('"'):
            value = re.sub(r"\\x([0-9a-f]{2})|\\(.)",
                           lambda m: chr(int(m.group(1), 16)) if m.group(1) else m.group(2),
                           value[1:-1])
        pairs.append(f"{match.group(1)}={value}")
    return pairs


def queue_id(reply):
    code, text = reply
    match = re.search(rb"queued as (\S+)", text)
    assert code == 250 and match, reply
    return match.group(1).decode()
