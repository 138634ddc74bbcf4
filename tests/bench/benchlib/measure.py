"""One run of one cell: a peer started anew, warmed up, loaded, watched and ended."""
import dataclasses
import os
import statistics
import time

from . import process, tools
from .tools import BenchError

LEAST_SECONDS = 1.5     # a shorter run says little; it is repeated with more messages
STALLED_SECONDS = 30.0  # nothing new at the sink for so long: the run has failed
SETTLE_SECONDS = 0.3    # for the work that follows the last message: removing it from the spool
MOST_MESSAGES = 200000
MOST_BYTES = 4 << 30
MOST_CONNECTIONS = 20000  # below the ephemeral ports: each waits a second before it is used again
ATTEMPTS = 4


@dataclasses.dataclass(frozen=True)
class Cell:
    size: int
    sessions: int
    per_connection: int = 0
    pipelining: bool = False

    def most(self):
        most = min(MOST_MESSAGES, MOST_BYTES // self.size)
        return min(most, MOST_CONNECTIONS * self.per_connection) if self.per_connection else most

    def label(self):
        size = self.size
        for unit in ("B", "KiB", "MiB"):
            if size < 1024 or size % 1024 or unit == "MiB":
                return f"{size} {unit}, {self.sessions} session{'s' * (self.sessions != 1)}"
            size //= 1024
        return ""


class Load:
    """Who used the processors: the server, the tools, or somebody who spoils the measurement."""

    def __init__(self, tree):
        self.tree, self.then = tree, self.now(tree)

    @staticmethod
    def now(tree):
        return (time.monotonic(), tree.cpu(), sum(os.times()[:2]), *process.machine_cpu())

    def since(self, messages, tools_per_1000):
        passed = [now - then for now, then in zip(self.now(self.tree), self.then)]
        seconds, server, driver, processes, interrupts, stolen = passed
        others = processes - server - driver - tools_per_1000 * messages / 1000 + stolen
        return {
            "cpu_per_1000": server * 1000 / messages,
            "machine_cpu_per_1000": (processes + interrupts) * 1000 / messages,
            "others": max(0.0, others / seconds / os.cpu_count()),
        }


class Bench:
    """The tools, and what is remembered between runs: how fast each peer was in each cell."""

    def __init__(self, source, sink, seconds, patience=STALLED_SECONDS):
        self.source_path, self.sink_path = source, sink
        self.seconds, self.patience = seconds, patience
        self.rates = {}
        self.rounds = 0

    def round(self, sink, port, cell, messages):
        """Sends and awaits MESSAGES messages; what generator and sink say, put together."""
        self.rounds += 1
        name = f"r{self.rounds:05d}"
        sink.begin(name, messages)
        before = sink.report()
        sent = tools.source(self.source_path, port, cell, name, messages, 300)
        got, complete = sink.complete(self.patience)
        if not complete or sent["accepted"] != messages:
            raise BenchError(f"{sent['accepted']} of {messages} messages were accepted, "
                             f"{messages - got['missing']} arrived"
                             + (f"\n{sent['complaints']}" if sent["complaints"] else ""))
        if got["smallest"] < cell.size:
            raise BenchError(f"a message of {cell.size} bytes arrived with {got['smallest']}")
        seconds = got["last"] - sent["first_connect"]
        return {
            "messages": messages,
            "seconds": seconds,
            "rate": messages / seconds,
            "accept_rate": messages / (sent["last_accept"] - sent["first_connect"]),
            "latency_ms": sent["latency_ms"],
            "tools_cpu_per_1000": (sent["cpu"] + got["cpu"] - before["cpu"]) * 1000 / messages,
            "out_connections": got["connections"],
            "foreign": got["foreign"],
        }

    def count(self, key, cell):
        """Messages for a run of the wanted length; at least two a session."""
        wanted = int(self.rates.get(key, 0) * self.seconds)
        return max(2 * cell.sessions, 20, min(wanted, cell.most()))

    def long_enough(self, key, cell, run):
        """Calls RUN with a number of messages that takes long enough; its last result."""
        for _ in range(ATTEMPTS):
            result = run(self.count(key, cell))
            self.rates[key] = result["rate"]
            if result["seconds"] >= LEAST_SECONDS or result["messages"] >= cell.most():
                break
        return result

    def warm_up(self, key, sink, port, cell):
        """Every session and every delivery process once, so that none is first made when it
        counts; and a first notion of the rate."""
        warm = self.round(sink, port, cell, max(2 * cell.sessions, 20))
        self.rates.setdefault(key, warm["rate"])
        time.sleep(SETTLE_SECONDS)

    def watched(self, peer, sink, cell, messages):
        tree = peer.tree()
        peaks = process.Peaks(tree)
        load = Load(tree)
        peaks.start()
        try:
            result = self.round(sink, peer.port, cell, messages)
            time.sleep(SETTLE_SECONDS)
            result.update(load.since(messages, result["tools_cpu_per_1000"]))
        finally:
            peaks.stop()
        # Asked again: what was sent twice may arrive twice only now.
        late = sink.report()
        result.update(duplicates=late["duplicates"], foreign=late["foreign"])
        result.update(rss=peaks.rss, pss=peaks.pss, processes=peaks.processes)
        return result

    def run(self, peer, cell):
        """A measured run. BenchError when it failed, with the peer's last words."""
        sink = tools.Sink(self.sink_path)
        key = (peer.name, cell)
        try:
            peer.start(sink.port)
            try:
                self.warm_up(key, sink, peer.port, cell)
                result = self.long_enough(key, cell,
                                          lambda n: self.watched(peer, sink, cell, n))
            except BenchError as error:
                state = "" if peer.alive() else f"{peer.name} has died; "
                raise BenchError(f"{state}{error}\n{peer.last_words()}") from error
            finally:
                clean = peer.stop()
            result["ended_by_itself"] = clean
            return result
        finally:
            sink.close()

    def ceiling(self, cell):
        """The generator straight into the sink: nothing between them can be faster."""
        sink = tools.Sink(self.sink_path)
        key = ("ceiling", cell)
        try:
            self.warm_up(key, sink, sink.port, cell)
            return self.long_enough(key, cell,
                                    lambda n: self.round(sink, sink.port, cell, n))
        finally:
            sink.close()


def median(runs, name):
    values = [run[name] for run in runs]
    return statistics.median(values) if values else None


def spread(runs, name):
    values = [run[name] for run in runs]
    return (min(values), max(values)) if values else None
