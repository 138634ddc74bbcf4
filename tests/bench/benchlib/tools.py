"""The generator and the sink: building them, running them."""
import fcntl
import json
import os
import select
import shutil
import socket
import subprocess
import time

from . import process

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOP = os.path.dirname(os.path.dirname(HERE))
NAMES = ("bench-source", "bench-sink")


class BenchError(Exception):
    """Something that the reader of the message can mend."""


def make(build_dir, names):
    """Paths of tools made by the tree's Makefile; None: it could not make them."""
    makefile = os.path.join(build_dir, "Makefile")
    targets = [f"tests/bench/{name}" for name in names]
    if os.path.exists(makefile) and shutil.which("make"):
        # The lock that ./dev takes: two makes in one build folder step on each other.
        with open(os.path.join(build_dir, ".lock"), "a", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            made = subprocess.run(["make", "-C", build_dir, *targets], capture_output=True,
                                  check=False)
        if made.returncode == 0:
            return [os.path.join(build_dir, target) for target in targets]
    return None


def build(build_dir, scratch):
    """Paths of both tools: made by the tree's Makefile, or by the compiler alone without one."""
    paths = make(build_dir, NAMES)
    if paths:
        return paths
    paths = []
    for name in NAMES:
        paths.append(os.path.join(scratch, name))
        compiled = subprocess.run(
            [os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-o", paths[-1],
             os.path.join(HERE, f"{name}.c")], capture_output=True, text=True, check=False)
        if compiled.returncode != 0:
            raise BenchError(f"could not compile {name}.c:\n{compiled.stderr}")
    return paths


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def smtp_ready(port):
    """Does something on PORT greet us as an SMTP server?"""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as conn:
            greeting = conn.recv(512)
            conn.sendall(b"QUIT\r\n")
            conn.recv(512)
            return greeting.startswith(b"220")
    except OSError:
        return False


class Sink:
    """bench-sink, told round by round what to expect."""

    def __init__(self, path, port=None):
        self.port = port or free_port()
        self.process = subprocess.Popen(
            [path, "--listen", f"127.0.0.1:{self.port}", "--check", "--control"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=process.dies_with_us)
        self.pending = b""
        deadline = time.monotonic() + 5
        while not smtp_ready(self.port):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise BenchError("bench-sink did not start")
            time.sleep(0.02)

    def say(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def line(self, timeout):
        """The next line it prints, or None."""
        fd = self.process.stdout.fileno()
        deadline = time.monotonic() + timeout
        while b"\n" not in self.pending:
            if not select.select([fd], [], [], max(0, deadline - time.monotonic()))[0]:
                return None
            chunk = os.read(fd, 65536)
            if not chunk:
                raise BenchError("bench-sink ended")
            self.pending += chunk
        line, _, self.pending = self.pending.partition(b"\n")
        return json.loads(line)

    def answer(self, command, **expected):
        """What it says to COMMAND; a round's completion may have got in between."""
        self.say(command)
        while True:
            line = self.line(5)
            if line is None:
                raise BenchError(f"bench-sink does not answer to \"{command}\"")
            if expected.items() <= line.items():
                return line

    def begin(self, name, count):
        self.answer(f"round {name} {count}", event="ready", round=name)

    def report(self):
        return self.answer("report", event="report")

    def complete(self, timeout):
        """(report, True) as soon as every message came; after TIMEOUT seconds without progress
        (report, False)."""
        seen = -1
        while True:
            done = self.line(timeout)
            if done:
                return done, True
            now = self.report()
            if now["missing"] == 0:
                return now, True
            if now["messages"] == seen:
                return now, False
            seen = now["messages"]

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def source(path, port, cell, name, messages, timeout):
    """Runs bench-source to its end. Its report, with what it complained about as "complaints"."""
    command = [path, "--to", f"127.0.0.1:{port}", "--sessions", str(cell.sessions),
               "--messages", str(messages), "--size", str(cell.size), "--round", name,
               "--per-connection", str(cell.per_connection), "--timeout", str(int(timeout))]
    if cell.pipelining:
        command.append("--pipelining")
    ran = subprocess.run(command, capture_output=True, text=True, check=False,
                         preexec_fn=process.dies_with_us)
    if not ran.stdout:
        raise BenchError(f"bench-source: {ran.stderr.strip() or ran.returncode}")
    report = json.loads(ran.stdout)
    report["complaints"] = ran.stderr.strip()
    return report
