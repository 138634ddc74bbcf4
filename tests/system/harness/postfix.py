"""A Postfix of the test's own; see postfix_home.py."""
import os
import subprocess

from . import postfix_home
from .base import end_process, free_port, port_open, wait_for
from .postfix_home import why_not  # noqa: F401

MAIN = postfix_home.MAIN + """\
virtual_alias_domains = virtual.test
virtual_alias_maps = inline:{{far@virtual.test=bob@local.test}}
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = may
smtp_tls_security_level = may
smtputf8_enable = yes
"""


class Postfix:
    def __init__(self, home, relay, certificate):
        self.home = home
        self.port = free_port()
        os.mkdir(home, 0o755)
        # Its programs run as another user, who has to get here.
        os.chmod(os.path.dirname(home), 0o711)
        postfix_home.make(home, MAIN.format(home=home, hostname="postfix.test", relay=relay,
                                            certificate=certificate[0], key=certificate[1]),
                          self.port)
        with open(os.path.join(home, "output"), "wb") as output:
            self.process = subprocess.Popen(
                postfix_home.command(home), stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, cwd=home, env=postfix_home.ENVIRONMENT)
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
