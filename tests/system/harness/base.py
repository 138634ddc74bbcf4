"""Where things are, ports, bounded waits, processes that are ended by their pid."""
import os
import random
import signal
import socket
import subprocess
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD = os.environ.get("POSTERN_BUILD", os.path.join(TOP, "build"))
POSTERN = os.path.join(BUILD, "postern")

# How long anything may take before a test gives up on it: far more than it ever needs, so that a
# slow machine is no failure.
PATIENCE = float(os.environ.get("POSTERN_TEST_PATIENCE", "60"))

# Administrators' programs are not in everybody's PATH.
os.environ["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"

SANITIZER_WORDS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:",
                   "SUMMARY: UndefinedBehaviorSanitizer")


def free_port():
    """A port of loopback that nobody listens on. Outside the range from which the kernel takes
    ports for outgoing connections, so that none of those gets hold of it before we do."""
    while True:
        port = random.SystemRandom().randrange(10000, 30000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def port_open(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


def wait_for(what, probe, patience=PATIENCE):
    """Asks PROBE until it says something true, and returns that. WHAT: words, or a function that
    says them when the patience is at its end."""
    end = time.monotonic() + patience
    while True:
        said = probe()
        if said:
            return said
        if time.monotonic() > end:
            words = what() if callable(what) else what
            raise AssertionError(f"waited {patience:.0f} s in vain for {words}")
        time.sleep(0.02)


def assert_no_sanitizer_report(text, who):
    assert not any(word in text for word in SANITIZER_WORDS), f"{who}:\n{text}"


def end_process(process, patience=PATIENCE):
    """Ends it by its pid, with force if it must be; its exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


def merged(base, *more):
    """Dictionaries put over each other, the last on top; None takes a key away."""
    out = dict(base)
    for over in more:
        for key, value in over.items():
            if value is None:
                out.pop(key, None)
            elif isinstance(value, dict) and isinstance(out.get(key), dict):
                out[key] = merged(out[key], value)
            else:
                out[key] = value
    return out
