"""slapd with a small directory of the test's own."""
import os
import subprocess

from .base import end_process, free_port, port_open, wait_for

BASE = "dc=test"
SCHEMAS = "/etc/ldap/schema"


class LdapServer:
    """People are {"uid": ["attribute: value", ...]}; mailRoutingAddress is simply "mail" here."""

    def __init__(self, folder, people, password="geheim", certificate=None):
        self.folder = str(folder)
        self.port = free_port()
        self.password = password
        self.process = None
        os.makedirs(os.path.join(self.folder, "data"))
        self.conf = os.path.join(self.folder, "slapd.conf")
        with open(self.conf, "w", encoding="utf-8") as file:
            file.write(self.configuration(certificate))
        self.fill(people)

    def configuration(self, certificate):
        lines = [f"include {SCHEMAS}/{name}.schema"
                 for name in ("core", "cosine", "nis", "inetorgperson")]
        lines += ["modulepath /usr/lib/ldap", "moduleload back_mdb",
                  f"pidfile {self.folder}/slapd.pid"]
        if certificate:
            lines += [f"TLSCertificateFile {certificate}.pem",
                      f"TLSCertificateKeyFile {certificate}.key"]
        lines += ["database mdb", "maxsize 16777216", f'suffix "{BASE}"',
                  f'rootdn "cn=gateway,{BASE}"', f"rootpw {self.password}",
                  f"directory {self.folder}/data", "index uid eq",
                  "access to * by dn.exact=\"cn=gateway," + BASE + "\" read by * none"]
        return "\n".join(lines) + "\n"

    def fill(self, people):
        ldif = f"dn: {BASE}\nobjectClass: domain\ndc: test\n\n"
        for uid, attributes in people.items():
            ldif += (f"dn: uid={uid},{BASE}\nobjectClass: inetOrgPerson\nuid: {uid}\n"
                     f"cn: {uid}\nsn: {uid}\n" + "".join(f"{a}\n" for a in attributes) + "\n")
        done = subprocess.run(["slapadd", "-q", "-f", self.conf], input=ldif.encode(),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, done.stdout.decode()

    def start(self):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            # -d: it stays in the foreground, a child of ours.
            self.process = subprocess.Popen(
                ["slapd", "-d", "0", "-f", self.conf, "-h", f"ldap://127.0.0.1:{self.port}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for("slapd to listen", lambda: self.process.poll() is not None or
                 port_open(self.port))
        assert self.process.poll() is None, "slapd has ended"
        return self

    def stop(self):
        if self.process:
            end_process(self.process)
        self.process = None

    def options(self, **more):
        """Settings of plugins/ldap."""
        return {"plugin": "ldap", "uris": [f"ldap://127.0.0.1:{self.port}"], "base": BASE,
                "bind_dn": f"cn=gateway,{BASE}", "bind_password": self.password, **more}
