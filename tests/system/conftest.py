"""Fixtures of the system tests: everything is made for one test, and ended with it.

POSTERN_BUILD names the build folder (default: build/ of this tree). Run them with ./dev test, or
  /usr/bin/python3 -m pytest -p no:cacheprovider tests/system -m "not slow"
"""
import os
import shutil
import signal
import sys
import tempfile

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

pytest.register_assert_rewrite("harness.base", "harness.gateway", "harness.mail", "harness.peers")

from harness.base import POSTERN  # noqa: E402
from harness.faults import Disk, Shim  # noqa: E402
from harness.gateway import Gateway  # noqa: E402
from harness.peers import NameServer, SmtpPeer, SmtpSink, make_certificate  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long; not run with the sanitizers")
    # timeout(1) ends us like this; with an exception, what was started is ended as well.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not os.access(POSTERN, os.X_OK):
        raise pytest.UsageError(f"there is no {POSTERN}: build it first, or set POSTERN_BUILD")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """The end of the gateway's log belongs to the report of a test that failed."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for gateway in getattr(item, "gateways", ()):
            report.sections.append((f"log of the gateway in {gateway.folder}",
                                    gateway.log()[-6000:]))


@pytest.fixture
def folder():
    """Short, whatever the test is called: the control socket's path has to fit into 107 bytes."""
    path = tempfile.mkdtemp(prefix="postern-")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def at_end(folder):
    """at_end(call): to be called when the test is over, the last first, whatever else fails.
    (It wants the folder, so that the folder goes last.)"""
    calls = []
    yield calls.append
    failure = None
    while calls:
        try:
            calls.pop()()
        except Exception as error:  # pylint: disable=broad-except
            failure = failure or error
    if failure:
        raise failure


@pytest.fixture
def new_gateway(request, folder, at_end):
    """new_gateway(SECTIONS..., files={...}): a configured gateway that does not run yet."""
    request.node.gateways = []

    def make(*sections, files=None):
        number = len(request.node.gateways) + 1
        gateway = Gateway(os.path.join(folder, f"gw{number}"), *sections, files=files)
        request.node.gateways.append(gateway)
        at_end(gateway.close)
        return gateway
    return make


@pytest.fixture
def gateway(new_gateway):
    """gateway(SECTIONS...): one that runs."""
    def make(*sections, files=None):
        return new_gateway(*sections, files=files).start()
    return make


@pytest.fixture
def sink(folder, at_end):
    made = SmtpSink(os.path.join(folder, "sink"))
    at_end(made.close)
    return made


@pytest.fixture
def peer(at_end):
    """peer(SCRIPT, ...): an SMTP server that does as it is told."""
    def make(*args, **kwargs):
        made = SmtpPeer(*args, **kwargs)
        at_end(made.close)
        return made
    return make


@pytest.fixture
def names(folder, at_end):
    """names({zone: records}): a name server."""
    def make(zones):
        made = NameServer(os.path.join(folder, "nsd"), zones)
        at_end(made.close)
        return made
    return make


@pytest.fixture
def disk(folder, at_end):
    """disk("size=12m"): a small file system."""
    def make(options):
        made = Disk(os.path.join(folder, "disk"), options)
        at_end(made.close)
        return made
    return make


@pytest.fixture
def shim(folder):
    """shim(gateway, folder): that folder fails, and the wall clock is wrong, when told so; to be
    called before the gateway starts."""
    def make(gateway, below):
        made = Shim(folder, below)
        made.put_below(gateway)
        return made
    return make


@pytest.fixture
def certificate(folder):
    """certificate(name): files with a certificate and its key."""
    def make(name, authority=None):
        return make_certificate(folder, name, authority)
    return make


@pytest.fixture
def to():
    """to(hop, domain...): routing with one rule that sends these domains (or all) there."""
    def make(hop, *domains, **more):
        return {"routing": {"rules": [{"domain": list(domains) or ["*"], "transport": "smtp-out",
                                       "next_hops": [hop], **more}]}}
    return make
