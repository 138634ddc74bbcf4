"""The servers that are compared. Each is started anew for every run, with an empty spool, in a
folder of its own below the scratch folder, and ended by the id of the process that was started."""
import glob
import json
import os
import shutil
import sys
import time

from . import machine, process, tools
from .tools import BenchError

sys.path.append(os.path.join(tools.TOP, "tests", "system"))
from harness import postfix_home  # noqa: E402

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

    # fsync is on, as Postfix always has it. {...} is filled in by prepare().
    MAIN = postfix_home.MAIN + """\
default_process_limit = 250
default_destination_concurrency_limit = {concurrency}
initial_destination_concurrency = {concurrency}
smtp_connection_cache_on_demand = yes
smtp_connection_cache_destinations = [127.0.0.1]:{relay}
smtpd_client_connection_count_limit = 0
in_flow_delay = {flow}
message_size_limit = 104857600
mailbox_size_limit = 0
"""

    def __init__(self, scratch, concurrency=20, flow="0"):
        super().__init__(scratch)
        self.filled = {"home": self.home, "hostname": "postfix.example.org", "relay": "SINK",
                       "concurrency": concurrency, "flow": flow}

    def available(self):
        return postfix_home.why_not()

    def version(self):
        package = machine.first_line(["dpkg-query", "-W", "-f", "${Version}", "postfix"])
        return f"Postfix {package}".strip()

    def settings(self):
        shown = {**self.filled, "home": "SCRATCH", "relay": "SINK"}
        return self.MAIN.format(**shown).splitlines()

    def prepare(self, sink_port):
        self.filled["relay"] = sink_port
        postfix_home.make(self.home, self.MAIN.format(**self.filled), self.port)

    def command(self):
        return postfix_home.command(self.home), postfix_home.ENVIRONMENT


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
