"""A folder in which a Postfix of one's own can run: its configuration, queue and data are in it, and
it is started by its master(8) alone, so that nothing of a Postfix of the system is touched. For the
tests, and for the benchmark."""
import grp
import os
import pwd

MASTER = "/usr/lib/postfix/sbin/master"
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C"}
QUEUE_FOLDERS = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming",
                 "saved", "trace", "private")

# What every main.cf begins with: a relay on loopback that knows no users and asks no name server.
MAIN = """\
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
maillog_file = {home}/log
maillog_file_prefixes = {home}
myhostname = {hostname}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
relayhost = [127.0.0.1]:{relay}
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtp_host_lookup = native
"""

MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


def why_not():
    """None, or why it cannot be used here."""
    if not os.access(MASTER, os.X_OK):
        return "Debian's package postfix is not installed"
    if os.geteuid() != 0:
        return "Postfix's master must be started by root"
    return None


def make(home, main, port):
    """Fills the folder: MAIN is the whole main.cf; it listens on that port."""
    mail, postdrop = pwd.getpwnam("postfix"), grp.getgrnam("postdrop").gr_gid
    for folder in ("config", "queue", "queue/pid", "data"):
        os.mkdir(os.path.join(home, folder), 0o755)
    os.chown(os.path.join(home, "data"), mail.pw_uid, mail.pw_gid)
    for folder in QUEUE_FOLDERS:
        os.mkdir(os.path.join(home, "queue", folder), 0o700)
        os.chown(os.path.join(home, "queue", folder), mail.pw_uid, -1)
    for folder, mode in (("public", 0o710), ("maildrop", 0o730)):
        path = os.path.join(home, "queue", folder)
        os.mkdir(path)
        os.chown(path, mail.pw_uid, postdrop)
        os.chmod(path, mode)
    for name, text in (("main.cf", main), ("master.cf", MASTER_CF.format(port=port))):
        with open(os.path.join(home, "config", name), "w", encoding="ascii") as file:
            file.write(text)


def command(home):
    """What starts it, in the foreground, with ENVIRONMENT."""
    return [MASTER, "-c", os.path.join(home, "config"), "-d"]
