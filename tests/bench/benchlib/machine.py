"""The shape of the machine: without it a number of messages a second says nothing."""
import os
import platform
import shutil
import subprocess
import tempfile
import time

from . import tools


def first_line(command):
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ran.stdout.splitlines()[0].strip() if ran.returncode == 0 and ran.stdout else ""


def field(path, name):
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            key, _, value = line.partition(":" if ":" in line else "=")
            if key.strip() == name:
                return value.strip().strip('"')
    return ""


def filesystem(path):
    """Type and options of the file system that PATH is on, and whether a disk stands behind it."""
    best = ("", "unknown")
    path = os.path.realpath(path)
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            left, _, right = line.partition(" - ")
            mount = left.split()[4]
            inside = mount == "/" or path == mount or path.startswith(mount + "/")
            if inside and len(mount) >= len(best[0]):
                best = (mount, f"{right.split()[0]} ({left.split()[5]})")
    return best[1]


def fdatasync_per_second(folder, seconds=1.0):
    """Appends of 4 KiB, each made durable before the next: what one careful writer gets."""
    block = b"x" * 4096
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        begin = time.monotonic()
        count = 0
        while time.monotonic() - begin < seconds:
            file.write(block)
            os.fdatasync(file.fileno())
            count += 1
        return count / (time.monotonic() - begin)


def durable_files_per_second(folder, seconds=1.0):
    """Files made, written, flushed and removed, one after the other: a queue of one file a
    message costs at least this."""
    block = b"x" * 4096
    path = os.path.join(folder, "durable-file")
    begin = time.monotonic()
    count = 0
    while time.monotonic() - begin < seconds:
        with open(path, "wb", buffering=0) as file:
            file.write(block)
            os.fsync(file.fileno())
        os.unlink(path)
        count += 1
    return count / (time.monotonic() - begin)


def revision():
    if not shutil.which("git"):
        return ""
    commit = first_line(["git", "-C", tools.TOP, "rev-parse", "--short", "HEAD"])
    if not commit:
        return ""
    changed = first_line(["git", "-C", tools.TOP, "--no-optional-locks", "status",
                          "--porcelain", "-uno"])
    return commit + (", with changes" if changed else "")


def shape(scratch):
    return {
        "cpu": field("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "system": field("/etc/os-release", "PRETTY_NAME"),
        "filesystem": filesystem(scratch),
        "fdatasync_per_second": round(fdatasync_per_second(scratch)),
        "durable_files_per_second": round(durable_files_per_second(scratch)),
        "date": time.strftime("%Y-%m-%d"),
    }
