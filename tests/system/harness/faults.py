"""Faults that really happen: small disks, disks that fail, clocks that are wrong, limits."""
import errno
import mmap
import os
import resource
import struct
import subprocess

import pytest

from .base import BUILD, TOP


class Disk:
    """A file system of a test's own; options as mount(8) takes them for a tmpfs."""

    def __init__(self, path, options):
        if os.getuid() != 0:
            pytest.skip("mounting a small file system needs root")
        os.mkdir(path)
        self.path = path
        self.mounted = False
        done = self._mount("-t", "tmpfs", "-o", options, "tmpfs")
        if done.returncode:
            pytest.skip(f"this machine lets nobody mount: {done.stderr.decode().strip()}")
        self.mounted = True

    def _mount(self, *words):
        return subprocess.run(["mount", *words, self.path], check=False, stderr=subprocess.PIPE)

    def remount(self, options):
        """"ro" is refused as long as something on it is open to be written."""
        done = self._mount("-o", f"remount,{options}")
        assert done.returncode == 0, done.stderr.decode()

    def close(self):
        if self.mounted:
            subprocess.run(["umount", "-l", self.path], check=True)

    def room(self):
        stat = os.statvfs(self.path)
        return stat.f_bavail * stat.f_frsize

    def take_all(self, leave=0):
        """Another program's file, so large that no more than LEAVE bytes are free."""
        hog = os.path.join(self.path, "hog")
        fd = os.open(hog, os.O_WRONLY | os.O_CREAT)
        try:
            while self.room() > leave:
                os.write(fd, b"\0" * 4096)
        except OSError as error:
            assert error.errno == errno.ENOSPC, error
        finally:
            os.close(fd)
        return hog

    def take_all_names(self):
        """Empty files until there can be none more: those."""
        made = []
        while True:
            path = os.path.join(self.path, f"name{len(made)}")
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            except OSError as error:
                assert error.errno == errno.ENOSPC, error
                return made
            made.append(path)


class Shim:
    """tests/shim/faults.c below a gateway: shim.set(sync=errno.EIO), shim.set(clock=3600)."""

    CALLS = ("write", "sync", "open", "rename", "unlink", "cut")
    LAYOUT = struct.Struct("=8iq")  # struct control

    def __init__(self, folder, below):
        self.library = os.path.join(folder, "faults.so")
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-w", "-D_GNU_SOURCE",
                        "-o", self.library, os.path.join(TOP, "tests", "shim", "faults.c"), "-ldl"],
                       check=True)
        self.file = os.path.join(folder, "faults.control")
        with open(self.file, "wb") as file:
            file.write(bytes(self.LAYOUT.size))
        with open(self.file, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), self.LAYOUT.size)
        self.below = below

    def put_below(self, gateway):
        if "asan" in os.path.basename(BUILD):
            # The sanitizer wants to be the first, and does as well as the second.
            gateway.env["ASAN_OPTIONS"] = (gateway.env.get("ASAN_OPTIONS", "") +
                                           ":verify_asan_link_order=0").lstrip(":")
        gateway.env.update(LD_PRELOAD=self.library, FAULTS_CONTROL=self.file,
                           FAULTS_FOLDER=self.below)

    def met(self):
        """How many calls have failed so far."""
        return self.LAYOUT.unpack_from(self.memory)[len(self.CALLS)]

    def set(self, clock=None, **errors):
        """Seconds that the wall clock is ahead; the errno of calls, or 0."""
        if clock is not None:
            struct.pack_into("=q", self.memory, self.LAYOUT.size - 8, clock)
        for call, error in errors.items():
            struct.pack_into("=i", self.memory, 4 * self.CALLS.index(call), error)

    def set_all(self, error):
        self.set(**{call: error for call in self.CALLS})

    def heal(self):
        self.set_all(0)


def limit(pids, kind, count):
    """The soft limit of those processes, from now on; what it was."""
    before = None
    for pid in pids:
        before = resource.prlimit(pid, kind)
        resource.prlimit(pid, kind, (count, before[1]))
    return before[0]


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def address_space(pid):
    """Bytes that it has mapped."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
