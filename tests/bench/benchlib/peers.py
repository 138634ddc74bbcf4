"""The servers that are compared. Each is started anew for every run, with an empty spool, in a
folder of its own below the scratch folder, and ended by the id of the process that was started."""
import glob
import grp
import json
import os
import pwd
import shutil
import time

from . import machine, process, tools
from .tools import BenchError

READY_SECONDS = 20
LOG_LINES_SHOWN = 15


class Peer:
    """One server. A subclass writes its configuration and knows its command line."""

    name = "?"

    def __init__(self, scratch):
        self.home = os.path.join(scratch, self.name)
        self.port = None
        self.process = None

    def available(self):
        """None, or why it cannot be measured here."""
        raise NotImplementedError

    def version(self):
        raise NotImplementedError

    def settings(self):
        """Lines that tell how it was tuned."""
        raise NotImplementedError

    def prepare(self, sink_port):
        raise NotImplementedError

    def command(self):
        """(argv, environment)"""
        raise NotImplementedError

    def log_file(self):
        return os.path.join(self.home, "log")

    def start(self, sink_port):
        shutil.rmtree(self.home, ignore_errors=True)
        os.mkdir(self.home, 0o755)
        self.port = tools.free_port()
        self.prepare(sink_port)
        argv, env = self.command()
        with open(os.path.join(self.home, "output"), "wb") as output:
            self.process = process.start(argv, env=env, cwd=self.home, stdout=output,
                                         stderr=output)
        deadline = time.monotonic() + READY_SECONDS
        while not tools.smtp_ready(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                why = ("it ended at once" if self.process.poll() is not None else
                       f"it does not greet after {READY_SECONDS} s")
                self.stop()
                raise BenchError(f"{self.name} did not start: {why}\n{self.last_words()}")
            time.sleep(0.02)

    def last_words(self):
        said = []
        for path in (os.path.join(self.home, "output"), self.log_file()):
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    said += file.read().splitlines()[-LOG_LINES_SHOWN:]
        return "\n".join(said) or "(it said nothing)"

    def tree(self):
        return process.Tree(self.process.pid)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        """True when it ended by itself when asked to."""
        ended = process.stop(self.process) if self.process else True
        self.process = None
        return ended


class Postfix(Peer):
    """Debian's Postfix, tuned as an operator would tune a relay. It has its own configuration,
    queue and data folder and is started by its master(8) alone, not by postfix(1): nothing that
    belongs to a Postfix of the system is written to, and none that runs is disturbed."""

    name = "postfix"
    MASTER = "/usr/lib/postfix/sbin/master"
    QUEUE_FOLDERS = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold",
                     "incoming", "saved", "trace")

    # fsync is on, as Postfix always has it. {...} is filled in by prepare().
    MAIN = """\
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
maillog_file = {home}/log
maillog_file_prefixes = {home}
myhostname = postfix.example.org
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
relayhost = [127.0.0.1]:{sink}
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtp_host_lookup = native
default_process_limit = 250
default_destination_concurrency_limit = {concurrency}
initial_destination_concurrency = {concurrency}
smtp_connection_cache_on_demand = yes
smtp_connection_cache_destinations = [127.0.0.1]:{sink}
smtpd_client_connection_count_limit = 0
in_flow_delay = {flow}
message_size_limit = 104857600
mailbox_size_limit = 0
"""
    MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""

    def __init__(self, scratch, concurrency=20, flow="0"):
        super().__init__(scratch)
        self.filled = {"home": self.home, "sink": "SINK", "concurrency": concurrency, "flow": flow}

    def available(self):
        if not os.access(self.MASTER, os.X_OK):
            return "Debian's package postfix is not installed"
        if os.geteuid() != 0:
            return "Postfix's master must be started by root"
        return None

    def version(self):
        package = machine.first_line(["dpkg-query", "-W", "-f", "${Version}", "postfix"])
        return f"Postfix {package}".strip()

    def settings(self):
        shown = {**self.filled, "home": "SCRATCH", "sink": "SINK"}
        return self.MAIN.format(**shown).splitlines()

    def prepare(self, sink_port):
        mail, postdrop = pwd.getpwnam("postfix"), grp.getgrnam("postdrop").gr_gid
        queue = os.path.join(self.home, "queue")
        for folder in ("config", "queue", "queue/pid", "data"):
            os.mkdir(os.path.join(self.home, folder), 0o755)
        os.chown(os.path.join(self.home, "data"), mail.pw_uid, mail.pw_gid)
        for folder in self.QUEUE_FOLDERS + ("private",):
            os.mkdir(os.path.join(queue, folder), 0o700)
            os.chown(os.path.join(queue, folder), mail.pw_uid, -1)
        for folder, mode in (("public", 0o710), ("maildrop", 0o730)):
            os.mkdir(os.path.join(queue, folder))
            os.chown(os.path.join(queue, folder), mail.pw_uid, postdrop)
            os.chmod(os.path.join(queue, folder), mode)
        self.filled["sink"] = sink_port
        self.write("main.cf", self.MAIN.format(**self.filled))
        self.write("master.cf", self.MASTER_CF.format(port=self.port))

    def write(self, name, text):
        with open(os.path.join(self.home, "config", name), "w", encoding="ascii") as file:
            file.write(text)

    def command(self):
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C"}
        return [self.MASTER, "-c", os.path.join(self.home, "config"), "-d"], env


class Postern(Peer):
    name = "postern"
    CONCURRENCY = 20

    def __init__(self, scratch, build_dir, concurrency=CONCURRENCY):
        super().__init__(scratch)
        self.build_dir, self.concurrency = build_dir, concurrency
        self.binary = os.path.join(build_dir, "postern")

    def available(self):
        if not os.access(self.binary, os.X_OK):
            return "build/postern is not built"
        for plugin in ("smtp-in", "smtp-out"):
            if not glob.glob(os.path.join(self.build_dir, "plugins", plugin, "*.la")):
                return f"the plugin {plugin} is not built"
        return None

    def version(self):
        said = machine.first_line([self.binary, "--version"])
        revision = machine.revision()
        return (said or "Postern") + (f" ({revision})" if revision else "")

    def configuration(self, home, port, sink_port):
        config = {
            "server": {"hostname": "bench.example.org", "workers": 1},
            "spool": {"path": f"{home}/spool"},
            "control": {"socket": f"{home}/control.sock"},
            "log": {"level": "info", "file": f"{home}/log"},
            "queue": {"destination_concurrency": self.concurrency},
            "ingress": {"smtp-in": {"plugin": "smtp-in", "listen": [f"127.0.0.1:{port}"],
                                    "max_connections": 500}},
            "transports": {"smtp-out": {"plugin": "smtp-out"}},
            "routing": {"rules": [{"domain": "*", "transport": "smtp-out",
                                   "next_hops": [f"[127.0.0.1]:{sink_port}"]}]},
        }
        return json.dumps(config, indent=2)

    def settings(self):
        return self.configuration("SCRATCH", "PORT", "SINK").splitlines()

    def prepare(self, sink_port):
        os.mkdir(os.path.join(self.home, "config"))
        os.mkdir(os.path.join(self.home, "spool"))
        with open(os.path.join(self.home, "config", "bench.json"), "w", encoding="ascii") as file:
            file.write(self.configuration(self.home, self.port, sink_port))

    def command(self):
        plugins = sorted(glob.glob(os.path.join(self.build_dir, "plugins", "*", "")))
        env = {**os.environ, "POSTERN_PLUGIN_PATH": ":".join(p.rstrip("/") for p in plugins)}
        return [self.binary, "run", "--config", os.path.join(self.home, "config")], env
