"""A server's processes: which they are, what CPU time and memory they took, and their end.

CPU time is summed from /proc over the tree below the process that we started: for each live
process the time of its threads in nanoseconds (schedstat), and what its reaped children left it
(cutime, cstime). A child that ends moves from the one sum to the other, so nothing is lost and
nothing counted twice. A cgroup would do the same, but containers seldom let one be made.
"""
import ctypes
import os
import signal
import subprocess
import threading
import time

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
libc = ctypes.CDLL(None, use_errno=True)


def read(path):
    """A file of /proc, or "" where the process has just gone."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def stat_fields(pid):
    """The fields of /proc/PID/stat from the third on (the second may hold blanks)."""
    return read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def threads(pid):
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def cpu_of(pid):
    fields = stat_fields(pid)
    if not fields:
        return 0.0
    own, reaped = (sum(map(int, fields[i:i + 2])) / TICK for i in (11, 13))
    precise = 0
    for tid in threads(pid):
        precise += int((read(f"/proc/{pid}/task/{tid}/schedstat").split() or ["0"])[0])
    # Threads that ended are in `own` only; ticks lag behind by up to 10 ms each otherwise.
    return max(precise / 1e9, own) + reaped


def machine_cpu():
    """Seconds the machine's processors worked since it started: (for processes, for interrupts,
    which include the loopback's share of the network code, stolen by a hypervisor)."""
    user, nice, system, _, _, irq, softirq, steal = map(int, read("/proc/stat").split()[1:9])
    return (user + nice + system) / TICK, (irq + softirq) / TICK, steal / TICK


class Tree:
    """The process PID and everything below it."""

    def __init__(self, pid):
        self.pid = pid

    def members(self):
        found, todo = [], [self.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            for tid in threads(pid):
                todo += map(int, read(f"/proc/{pid}/task/{tid}/children").split())
        return found

    def cpu(self):
        return sum(cpu_of(pid) for pid in self.members())

    def rss(self):
        return sum(int((read(f"/proc/{pid}/statm").split() or [0, 0])[1]) for pid in
                   self.members()) * PAGE

    def pss(self):
        """RSS with each shared page divided by the number of processes that share it."""
        total = 0
        for pid in self.members():
            for line in read(f"/proc/{pid}/smaps_rollup").splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        return total


class Peaks(threading.Thread):
    """Watches a tree's memory. Seldom, for a look at 200 processes costs them some of the CPU:
    with Postfix at 100 sessions it is below one per cent of one core."""

    INTERVAL = 0.5

    def __init__(self, tree):
        super().__init__(daemon=True)
        self.tree, self.rss, self.pss, self.processes = tree, 0, 0, 0
        self.done = threading.Event()

    def look(self):
        self.rss = max(self.rss, self.tree.rss())
        self.pss = max(self.pss, self.tree.pss())
        self.processes = max(self.processes, len(self.tree.members()))

    def run(self):
        while not self.done.wait(self.INTERVAL):
            self.look()

    def stop(self):
        self.done.set()
        self.join()
        self.look()


def dies_with_us():
    """For preexec_fn: even a driver that is killed leaves nothing running."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def start(command, **options):
    """A server in a process group of its own: Postfix's master signals its whole group. What it
    leaves behind becomes our child and not init's: stop() waits for it."""
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    return subprocess.Popen(command, start_new_session=True, preexec_fn=dies_with_us,
                            stdin=subprocess.DEVNULL, **options)


def alive_since(pid):
    """The process's start time: tells it from a later one with the same number. None: gone."""
    fields = stat_fields(pid)
    return fields[19] if fields and fields[0] != "Z" else None


def reap(pid):
    """Takes in the orphan PID, if it has ended and was left to us."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass


def stop(process, patience=20.0):
    """SIGTERM, and SIGKILL for those of the tree that are still there when patience ends.
    Returns True when it ended by itself in time."""
    members = {pid: alive_since(pid) for pid in Tree(process.pid).members()}
    if process.poll() is None:
        process.terminate()
    deadline = time.monotonic() + patience
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        pass

    def left():
        for pid in members.keys() - {process.pid}:
            reap(pid)
        return [p for p, since in members.items() if since and alive_since(p) == since]

    while left() and time.monotonic() < deadline:
        time.sleep(0.05)
    rest = left()
    for pid in rest:
        os.kill(pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + patience
    while left() and time.monotonic() < deadline:
        time.sleep(0.01)
    return not rest
