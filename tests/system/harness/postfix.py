"""A Postfix of the test's own: its configuration, queue and data are in the test's folder, and it
is started by its master(8) alone, so that nothing of a Postfix of the system is touched."""
import grp
import os
import pwd
import subprocess

from .base import end_process, free_port, port_open, wait_for

MASTER = "/usr/lib/postfix/sbin/master"
QUEUE_FOLDERS = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming",
                 "saved", "trace", "private")

MAIN = """\
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
maillog_file = {home}/log
maillog_file_prefixes = {home}
myhostname = postfix.test
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
virtual_alias_domains = virtual.test
virtual_alias_maps = inline:{{far@virtual.test=bob@local.test}}
relayhost = [127.0.0.1]:{relay}
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = may
smtp_tls_security_level = may
smtputf8_enable = yes
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
    if os.geteuid() != 0:
        return "Postfix's master must be started by root"
    if not os.access(MASTER, os.X_OK):
        return "Debian's package postfix is not installed"
    return None


class Postfix:
    def __init__(self, home, relay, certificate):
        self.home = home
        self.port = free_port()
        self._folders()
        settings = {"home": home, "relay": relay, "port": self.port,
                    "certificate": certificate[0], "key": certificate[1]}
        self._write("main.cf", MAIN.format(**settings))
        self._write("master.cf", MASTER_CF.format(**settings))
        with open(os.path.join(home, "output"), "wb") as output:
            self.process = subprocess.Popen(
                [MASTER, "-c", os.path.join(home, "config"), "-d"], stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, cwd=home,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C"})
        wait_for(lambda: f"Postfix to listen:\n{self.log()}", lambda: port_open(self.port))

    @property
    def hop(self):
        return f"[127.0.0.1]:{self.port}"

    def log(self):
        said = ""
        for name in ("output", "log"):
            path = os.path.join(self.home, name)
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    said += file.read()
        return said

    def close(self):
        end_process(self.process)

    def _folders(self):
        mail, postdrop = pwd.getpwnam("postfix"), grp.getgrnam("postdrop").gr_gid
        # Its programs run as another user, who has to get here.
        os.chmod(os.path.dirname(self.home), 0o711)
        for folder in ("", "config", "queue", "queue/pid", "data"):
            os.mkdir(os.path.join(self.home, folder), 0o755)
        os.chown(os.path.join(self.home, "data"), mail.pw_uid, mail.pw_gid)
        for folder in QUEUE_FOLDERS:
            os.mkdir(os.path.join(self.home, "queue", folder), 0o700)
            os.chown(os.path.join(self.home, "queue", folder), mail.pw_uid, -1)
        for folder, mode in (("public", 0o710), ("maildrop", 0o730)):
            path = os.path.join(self.home, "queue", folder)
            os.mkdir(path)
            os.chown(path, mail.pw_uid, postdrop)
            os.chmod(path, mode)

    def _write(self, name, text):
        with open(os.path.join(self.home, "config", name), "w", encoding="ascii") as file:
            file.write(text)
