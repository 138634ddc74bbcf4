"""Maildirs, users' folders, quotas: what is written is there for others' programs, whole, once."""
import glob
import mailbox
import os
import pwd
import re
import shutil
import subprocess

import pytest

from harness.base import wait_for
from harness.mail import message


def local(**options):
    return {"transports": {"local-mbox": {"format": "maildir", **options}}}


def subjects(path):
    """As Python's own reader of Maildirs sees it."""
    return sorted(m["Subject"] for m in mailbox.Maildir(path, create=False))


# --- what is there ---

def test_messages_are_files_that_others_can_read(gateway):
    gw = gateway(local())
    for i in range(3):
        gw.send("ann@client.test", "bob@local.test", message(f"number {i}", body="From x\r\n.\r\n"))
    gw.wait_empty()
    box = mailbox.Maildir(os.path.join(gw.mail, "bob"), create=False)
    assert sorted(m["Subject"] for m in box) == ["number 0", "number 1", "number 2"]
    for key, m in box.items():
        assert m["Return-Path"] == "<ann@client.test>"
        assert m["Delivered-To"] == "bob@local.test"
        assert m.get_payload() == "From x\n.\n"  # nothing is quoted here
        assert m.get_subdir() == "new"
        size = os.path.getsize(os.path.join(gw.mail, "bob", "new", key))
        assert key.endswith(f",S={size}")
    assert os.stat(os.path.join(gw.mail, "bob")).st_mode & 0o777 == 0o700


def test_dovecot_reads_it(gateway, folder):
    doveadm = shutil.which("doveadm")
    if not doveadm:
        pytest.skip("doveadm (package dovecot-core) is not installed")
    gw = gateway(local(folders="yes"))
    gw.send("ann@client.test", ["bob@local.test", "bob+LISTS@local.test"], message("hello"))
    gw.wait_empty()
    # Dovecot reads no mail as root: it gets a copy that is somebody's.
    reader = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    copy = shutil.copytree(os.path.join(gw.mail, "bob"), os.path.join(folder, "copy"))
    if os.getuid() == 0:
        os.chmod(folder, 0o711)
        for path in [copy, *glob.glob(copy + "/**", recursive=True, include_hidden=True)]:
            os.chown(path, reader.pw_uid, reader.pw_gid)
    conf = os.path.join(folder, "dovecot.conf")
    with open(conf, "w", encoding="utf-8") as file:
        file.write(f"mail_location = maildir:{copy}\nbase_dir = {folder}/dovecot\n"
                   f"mail_uid = {reader.pw_uid}\nmail_gid = {reader.pw_gid}\n"
                   "first_valid_gid = 0\nlog_path = /dev/stderr\n")
    for name in ("INBOX", "LISTS"):
        done = subprocess.run([doveadm, "-c", conf, "-o", f"home={copy}", "fetch",
                               "hdr.subject", "mailbox", name], capture_output=True, text=True,
                              check=False, env=dict(os.environ, USER=reader.pw_name, HOME=copy))
        assert "hello" in done.stdout, done.stderr


def test_T84_folders_of_users(gateway):
    gw = gateway(local(folders="yes"))
    for tag in ("", "+LISTS", "+lists", "+news-2026"):
        gw.send("ann@client.test", f"bob{tag}@local.test", message(f"to {tag}"))
    gw.send("carol@local.test", '"bob+A,B"@local.test', message("comma"))
    gw.wait_event("deliver.failed", status="5.1.3")
    gw.wait_empty()
    assert subjects(os.path.join(gw.mail, "bob")) == ["to ", "to +news-2026"]
    box = mailbox.Maildir(os.path.join(gw.mail, "bob"), create=False)
    assert box.list_folders() == ["LISTS"]
    assert sorted(m["Subject"] for m in box.get_folder("LISTS")) == ["to +LISTS", "to +lists"]


@pytest.mark.parametrize("folders, there, where", [
    ("no", True, "inbox"), ("existing", True, "folder"), ("existing", False, "inbox"),
    ("yes", False, "folder")])
def test_T43_whether_folders_are_delivered_to(gateway, folders, there, where):
    gw = gateway(local(folders=folders))
    if there:
        mailbox.Maildir(os.path.join(gw.mail, "bob")).add_folder("LISTS")
    gw.send("ann@client.test", "bob+LISTS@local.test", message("x"))
    gw.wait_empty()
    inbox = subjects(os.path.join(gw.mail, "bob"))
    assert inbox == (["x"] if where == "inbox" else [])
    if where == "folder":
        assert subjects(os.path.join(gw.mail, "bob", ".LISTS")) == ["x"]


def test_folders_of_an_mbox_stand_beside_it(gateway):
    gw = gateway(local(format="mbox", folders="yes"))
    gw.send("ann@client.test", "bob+LISTS@local.test", message("x"))
    gw.wait_empty()
    assert [m["Subject"] for m in gw.messages("bob+LISTS")] == ["x"]
    assert not gw.messages("bob")


@pytest.mark.parametrize("kind", ["maildir", "mbox"])
def test_a_pattern_says_where(gateway, folder, kind):
    root = os.path.join(folder, "post")
    os.makedirs(root)
    gw = gateway(local(format=kind, mailbox=root + "/{domain}/{user}/{folder}", folders="yes"))
    gw.send("ann@client.test", ["bob@local.test", "Bob+A@LOCAL.test", "bob@gw.test"], message("x"))
    gw.wait_empty()
    for place in ("local.test/bob/INBOX", "local.test/bob/A", "gw.test/bob/INBOX"):
        path = os.path.join(root, place)
        found = mailbox.Maildir(path, create=False) if kind == "maildir" else \
            mailbox.mbox(path, create=False)
        assert [m["Subject"] for m in found] == ["x"], place


def test_what_root_makes_is_the_users(gateway, folder):
    """The worker is root here: it acts as the user, who so owns all of it."""
    if os.geteuid() != 0:
        pytest.skip("only root may become somebody else")
    os.chmod(folder, 0o755)
    user = pwd.getpwnam("daemon")
    root = os.path.join(folder, "post")
    os.makedirs(root)
    gw = gateway(local(mailbox=root + "/{user}", users="passwd", folders="yes"))
    gw.send("ann@client.test", ["daemon@local.test", "daemon+A@local.test"], message("x"))
    gw.wait_empty()
    found = glob.glob(root + "/daemon/**", recursive=True, include_hidden=True)
    assert len(found) >= 9
    for path in found:
        assert os.lstat(path).st_uid == user.pw_uid, path
    assert subjects(root + "/daemon") == subjects(root + "/daemon/.A") == ["x"]
    # Somebody else's folder behind a link of the user's stays what it is, even for root.
    other = os.path.join(folder, "other")
    os.makedirs(other + "/new")
    shutil.rmtree(root + "/daemon/.A")
    os.symlink(other, root + "/daemon/.A")
    gw.send("ann@client.test", "daemon+A@local.test", message("y"))
    gw.wait_event("deliver.deferred", to="daemon+A@local.test")
    assert os.listdir(other + "/new") == []


# --- quotas ---

@pytest.mark.parametrize("kind", ["maildir", "mbox"])
@pytest.mark.parametrize("full, event, status", [
    ("defer", "deliver.deferred", "4.2.2"), ("refuse", "deliver.failed", "5.2.2")])
def test_T79_a_full_mailbox(gateway, kind, full, event, status):
    gw = gateway(local(format=kind, max_messages=2, full=full), {"queue": {"retry": ["1h"]}})
    for i in range(2):
        gw.send("ann@client.test", "bob@local.test", message(f"{i}"))
    gw.wait_empty()
    gw.send("", "bob@local.test", message("too many"))
    gw.wait_event(event, to="bob@local.test", status=status)
    gw.send("ann@client.test", "carol@local.test", message("others are not concerned"))
    gw.wait_event("deliver.delivered", to="carol@local.test")


def test_T79_a_quota_may_be_ignored(gateway):
    gw = gateway(local(max_messages=1, max_size="1K", quota="ignore"))
    for i in range(3):
        gw.send("ann@client.test", "bob@local.test", message(f"{i}", body="x" * 900 + "\r\n"))
    gw.wait_empty()
    assert subjects(os.path.join(gw.mail, "bob")) == ["0", "1", "2"]


def test_a_full_disk_defers_until_there_is_room(disk, new_gateway):
    """A mount may not be allowed where the tests run: the fixture skips then."""
    small = disk("size=2m")
    gw = new_gateway({"transports": {"local-mbox": {"format": "maildir", "path": small.path}}})
    gw.start()
    gw.send("ann@client.test", "bob@local.test", message("first"))
    gw.wait_empty()
    hog = small.take_all()
    gw.send("ann@client.test", "bob@local.test", message("second", body="y" * 20000 + "\r\n"))
    gw.wait_event("deliver.deferred", to="bob@local.test", status="4.3.1")
    assert os.listdir(os.path.join(small.path, "bob", "tmp")) == []
    assert subjects(os.path.join(small.path, "bob")) == ["first"]
    os.remove(hog)
    gw.wait_empty()
    assert subjects(os.path.join(small.path, "bob")) == ["first", "second"]


# --- many at once, and kills ---

def test_two_workers_deliver_into_one_maildir(gateway):
    gw = gateway(local(), {"server": {"workers": 2}})
    gw.wait_workers(2)
    path = os.path.join(gw.mail, "bob")
    sent, writers = 0, set()
    while len(writers) < 2:  # who gets a connection is the kernel's choice
        assert sent < 3000, "one worker does it all"
        for _ in range(60):
            gw.send("ann@client.test", "bob@local.test", message(f"number {sent:04}"))
            sent += 1
        gw.wait_settled()
        writers = {re.search(r"P(\d+)Q", name).group(1) for name in os.listdir(path + "/new")}
    assert subjects(path) == [f"number {i:04}" for i in range(sent)]
    assert os.listdir(os.path.join(path, "tmp")) == []


def test_a_kill_leaves_only_litter_in_tmp(new_gateway):
    """Kills in the middle of deliveries: every file under new is whole, none is missing; what was
    under way when it struck may be there twice."""
    gw = new_gateway(local())
    body = "".join(f"line {i}\r\n" for i in range(20000))
    sent = 0
    for _ in range(4):
        gw.start()
        for _ in range(8):
            gw.send("ann@client.test", "bob@local.test", message(f"number {sent:02}", body=body))
            sent += 1
        tmp = os.path.join(gw.mail, "bob", "tmp")
        for _ in range(200):  # the sooner the better, but any moment will do
            if os.path.isdir(tmp) and os.listdir(tmp):
                break
        gw.kill()
    gw.start()
    path = os.path.join(gw.mail, "bob")
    # A killed worker's shard is adopted a little later.
    wait_for(lambda: f"all messages:\n{subjects(path)}\n{gw.log()}",
             lambda: set(subjects(path)) == {f"number {i:02}" for i in range(sent)})
    for m in mailbox.Maildir(path, create=False):
        assert m.get_payload() == body.replace("\r\n", "\n"), "a message in part"


def test_who_stands_in_the_way_is_named(gateway):
    gw = gateway(local(), {"queue": {"retry": ["1h"]}})
    with open(os.path.join(gw.mail, "bob"), "w", encoding="utf-8") as file:
        file.write("an mbox from before\n")
    gw.send("ann@client.test", "bob@local.test", message())
    (event,) = gw.wait_event("deliver.deferred", to="bob@local.test", status="4.3.5")
    assert os.path.join(gw.mail, "bob") in " ".join(event.values())
    with open(os.path.join(gw.mail, "bob"), encoding="utf-8") as file:
        assert file.read() == "an mbox from before\n"
