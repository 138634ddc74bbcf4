"""Workers lock themselves in: what a plugin can write, and what it can't."""
import ctypes
import glob
import os
import resource
import signal
import struct
import sys

import pytest

from harness.base import POSTERN, wait_for
from harness.mail import message
from harness.plugin import ODD, build

LANDLOCK = 444  # landlock_create_ruleset(2), on all processors since its beginning

# What it tries is in the recipient's local part; what came of it is its reply.
WRITER = r"""
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <postern/postern.h>

struct settings { const char *inside, *outside; };

static const struct postern_option options[] = {
    POSTERN_OPT(struct settings, inside, POSTERN_OPT_PATH, .flags = POSTERN_OPT_WRITES,
                .doc = "Written to, and it says so."),
    POSTERN_OPT(struct settings, outside, POSTERN_OPT_STRING, .doc = "It says nothing."),
    { .key = NULL },
};

struct self { postern_host *host; const struct postern_services *sv; const struct settings *set; };
static struct self me;

struct attempt { postern_job *job; char path[4096]; int flags; };

static int writer_open(postern_host *host, const struct postern_services *sv, const void *settings,
                       void **ret_self)
{
    me = (struct self){host, sv, settings};
    *ret_self = &me;
    return 0;
}

static void writer_close(void *self) { (void)self; }

static int work(void *ctx)
{
    struct attempt *a = ctx;
    int fd = open(a->path, a->flags, 0600);

    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

static void done(void *ctx, int result)
{
    struct attempt *a = ctx;
    struct postern_outcome o = {.size = sizeof o, .fate = POSTERN_DELIVERED, .status = {2, 0, 0},
                                .diagnostic = result ? strerror(-result) : "done"};

    me.sv->job_settle(a->job, 0, &o);
    free(a);
}

static int deliver(void *self, postern_job *job)
{
    struct attempt *a = calloc(1, sizeof *a);
    const char *rcpt = me.sv->job_rcpt(job, 0);
    const char *folder = strstr(rcpt, "inside") ? me.set->inside : me.set->outside;

    (void)self;
    a->job = job;
    a->flags = strstr(rcpt, "read") ? O_RDONLY : O_WRONLY | O_CREAT;
    snprintf(a->path, sizeof a->path, "%s/file", folder);
    if (strstr(rcpt, "pool"))
        return me.sv->offload(me.host, work, done, a);
    done(a, work(a));
    return 0;
}

static void cancel(void *self, postern_job *job) { (void)self; (void)job; }

static const struct postern_transport_ops transport = {sizeof transport, deliver, cancel};

POSTERN_PLUGIN(writer, .name = "writer", .version = "1", .summary = "Writes where it is told to.",
               .options = options, .settings_size = sizeof(struct settings), .open = writer_open,
               .close = writer_close, .transport = &transport, .flags = FLAGS);
"""


def kernel_has_landlock():
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.syscall(ctypes.c_long(LANDLOCK), None, ctypes.c_size_t(0), ctypes.c_uint(1)) >= 2


landlock = pytest.mark.skipif(not kernel_has_landlock(), reason="this kernel has no Landlock")


def without_landlock():
    """Runs in the child before exec: a filter makes this kernel one that never heard of it."""
    code = struct.pack("=HBBI", 0x20, 0, 0, 0)                      # load the call's number
    code += struct.pack("=HBBI", 0x15, 0, 1, LANDLOCK)              # is it that one?
    code += struct.pack("=HBBI", 0x06, 0, 0, 0x00050000 | 38)       # yes: ENOSYS
    code += struct.pack("=HBBI", 0x06, 0, 0, 0x7fff0000)            # no: go on
    buffer = ctypes.create_string_buffer(code)
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program):    # no new privileges; the filter
        os._exit(99)


def sections(folder, inside="inside", **server):
    return {"transports": {"writer": {"plugin": "writer", "inside": os.path.join(folder, inside),
                                      "outside": os.path.join(folder, "outside")}},
            "routing": {"rules": [{"domain": ["writer.test"], "transport": "writer"}]},
            "server": server}


@pytest.fixture
def writer(new_gateway, folder):
    """writer(declared, key of server=...): a gateway with that plugin behind writer.test."""
    def make(declared=True, **server):
        flags = "POSTERN_PLUGIN_PATHS" if declared else "0"
        build(os.path.join(folder, "plugin"), "writer", WRITER.replace("FLAGS", flags))
        os.makedirs(os.path.join(folder, "outside"), exist_ok=True)
        gw = new_gateway(sections(folder, **server))
        gw.add_plugins(os.path.join(folder, "plugin"))
        return gw
    return make


def outcome(gw, what):
    queue_id = gw.send("ann@client.test", f"{what}@writer.test", message())
    (event,) = gw.wait_event("deliver.delivered", id=queue_id)
    return event["reply"]


def sandboxes(gw):
    return [w["sandbox"] for w in gw.status()["workers"]]


@landlock
def test_a_plugin_writes_where_it_says_and_nowhere_else(writer, folder):
    gw = writer().start()
    assert all(abi >= 2 for abi in sandboxes(gw))
    assert "sandboxed (Landlock" in gw.cli("status").stdout
    for how in ("", "-pool"):
        assert outcome(gw, "inside" + how) == "done"
        assert outcome(gw, "inside-read" + how) == "done"
        assert outcome(gw, "outside" + how) == "Permission denied"
    assert os.path.exists(os.path.join(folder, "inside", "file"))  # the folder was made for it
    assert not os.listdir(os.path.join(folder, "outside"))
    with open(os.path.join(folder, "outside", "file"), "w", encoding="ascii") as file:
        file.write("private")
    assert outcome(gw, "outside-read") == "Permission denied"


@landlock
def test_mailboxes_and_spool_are_written_as_ever(writer):
    gw = writer(sandbox="on").start()
    gw.send("ann@client.test", "bob@local.test", message())
    gw.send("ann@client.test", "bob@local.test", message(body="x" * 70 + "\r\n" * 2000000))
    gw.wait_mail("bob", 2)
    gw.wait_empty()
    gw.restart()
    assert all(sandboxes(gw))


def test_without_the_sandbox_it_can_write_anywhere(writer):
    gw = writer(sandbox="off").start()
    assert not any(sandboxes(gw))
    assert "not sandboxed" in gw.cli("status").stdout
    assert outcome(gw, "outside") == "done"
    assert "off" in gw.wait_event("sandbox.off")[0]["why"]


def test_auto_is_off_where_a_plugin_does_not_say_where_it_writes(writer):
    gw = writer(declared=False).start()
    assert not any(sandboxes(gw))
    assert outcome(gw, "outside") == "done"
    if kernel_has_landlock():
        assert '"writer"' in gw.wait_event("sandbox.off")[0]["why"]


@landlock
def test_on_does_not_ask_the_plugins(writer):
    gw = writer(declared=False, sandbox="on").start()
    assert all(sandboxes(gw))
    assert outcome(gw, "outside") == "Permission denied"


def test_a_kernel_without_it_is_no_failure(writer):
    gw = writer().start(preexec_fn=without_landlock)
    assert not any(sandboxes(gw))
    assert "Landlock" in gw.wait_event("sandbox.off")[0]["why"]
    assert outcome(gw, "outside") == "done"


def test_a_kernel_without_it_is_one_where_it_was_demanded(writer):
    gw = writer(sandbox="on")
    code = "import os, sys\nfrom test_sandbox import without_landlock\n" \
           "without_landlock()\nos.execv(sys.argv[1], sys.argv[1:])"
    gw.env["PYTHONPATH"] = os.path.dirname(os.path.abspath(__file__))
    done = gw.command([sys.executable, "-c", code, POSTERN, "run"], code=69)
    assert 'server.sandbox is "on"' in done.stderr and "Landlock" in done.stderr
    gw.expected_errors |= {"gateway.reload_failed", "worker.ended"}


@landlock
def test_new_workers_are_locked_in_by_their_own_configuration(writer, folder):
    gw = writer(workers=2).start()
    gw.expected_errors |= {"worker.died", "worker.crashed"}
    pid = gw.wait_workers(2)[0]
    os.kill(pid, signal.SIGKILL)
    gw.wait_workers(2, without=[pid])
    assert all(sandboxes(gw))
    gw.configure(sections(folder, inside="elsewhere", workers=2))
    gw.cli("reload")
    wait_for("the old workers to end", lambda: not gw.status()["draining"])
    assert all(sandboxes(gw))
    assert outcome(gw, "inside") == "done"
    assert os.path.exists(os.path.join(folder, "elsewhere", "file"))
    gw.configure(sections(folder, sandbox="off"))
    gw.cli("reload")
    assert not any(sandboxes(gw))


def core_pattern():
    with open("/proc/sys/kernel/core_pattern", encoding="ascii", errors="replace") as file:
        return file.read().strip()


@landlock
@pytest.mark.skipif("/" in core_pattern() or "|" in core_pattern(),
                    reason="core files go elsewhere on this machine")
def test_a_crash_leaves_its_core_where_it_would_without(new_gateway, folder):
    build(os.path.join(folder, "odd"), source=ODD)
    gw = new_gateway({"transports": {"odd": {"plugin": "odd"}}, "server": {"sandbox": "on"},
                      "routing": {"rules": [{"domain": ["odd.test"], "transport": "odd"}]}})
    gw.add_plugins(os.path.join(folder, "odd"))
    gw.expected_errors |= {"worker.died", "worker.crashed", "message.suspected",
                           "message.quarantined", "message.held"}
    gw.env["ASAN_OPTIONS"] = gw.env.get("ASAN_OPTIONS", "") + \
        ":handle_segv=0:detect_leaks=0:disable_coredump=0"
    cores = os.path.join(folder, "cores")
    os.makedirs(cores)
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    if most == 0:
        pytest.skip("core files are forbidden here")
    gw.start(cwd=cores,
             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (most, most)))
    assert all(sandboxes(gw))
    with gw.smtp() as client:
        client.mail("ann@client.test")
        client.rcpt("crash@odd.test")
        try:
            client.data(message())
        except OSError:
            pass
    gw.wait_event("message.suspected")
    wait_for("a core file", lambda: glob.glob(os.path.join(cores, "core*")))
    gw.wait_event("message.held")
    gw.wait_workers(1)
