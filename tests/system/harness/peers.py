"""The other programs: Debian's smtp-sink, a name server, and an SMTP server that misbehaves."""
import os
import re
import socket
import ssl
import subprocess
import threading

from .base import end_process, free_port, port_open, wait_for


class Received:
    """One message as a peer got it."""

    def __init__(self, sender, rcpts, data, session=None, params=""):
        self.sender = sender
        self.rcpts = rcpts
        self.data = data
        self.session = session
        self.params = params

    def header(self, name):
        head = self.data.split(b"\r\n\r\n", 1)[0].split(b"\n\n", 1)[0]
        match = re.search(rb"(?im)^" + name.encode() + rb":[ \t]*(.*?)\r?$", head)
        return match.group(1).decode(errors="replace") if match else None

    def body(self):
        return self.data.replace(b"\r\n", b"\n").split(b"\n\n", 1)[1]


class SmtpSink:
    """smtp-sink of Debian's postfix package: a real, if simple, SMTP server. It writes each
    message to a file, envelope first."""

    def __init__(self, folder, *options):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.port = free_port()
        self.options = options
        self.process = None
        self.start()

    def start(self):
        # As root it insists on being told whom to become.
        user = ["-u", "root"] if os.getuid() == 0 else []
        self.process = subprocess.Popen(
            ["smtp-sink", *user, *self.options, "-d", os.path.join(self.folder, "message."),
             f"127.0.0.1:{self.port}", "100"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("smtp-sink to listen", lambda: port_open(self.port))
        return self

    def close(self):
        end_process(self.process)

    @property
    def hop(self):
        return f"[127.0.0.1]:{self.port}"

    def messages(self):
        """All so far. One that is being written may be among them: ask when the queue is empty."""
        found = []
        for name in sorted(os.listdir(self.folder)):
            with open(os.path.join(self.folder, name), "rb") as file:
                raw = file.read()
            envelope, data = {"X-Mail-Args": [], "X-Rcpt-Args": []}, b""
            lines = raw.split(b"\n")
            # Its own lines, then its own Received field, then the message.
            at = 0
            while at < len(lines) and lines[at].startswith(b"X-"):
                key, value = lines[at].decode().split(": ", 1)
                envelope.setdefault(key, []).append(value)
                at += 1
            if at < len(lines) and lines[at].startswith(b"Received: from"):
                at += 1
                while at < len(lines) and lines[at][:1] in (b" ", b"\t"):
                    at += 1
            data = b"\n".join(lines[at:])
            mail = envelope["X-Mail-Args"][0] if envelope["X-Mail-Args"] else ""
            found.append(Received(path_of(mail), [path_of(r) for r in envelope["X-Rcpt-Args"]],
                                  data, params=mail))
        return found


def path_of(args):
    """<ann@example.org> SIZE=100: the address."""
    match = re.search(r"<([^>]*)>", args)
    return match.group(1) if match else args


CLOSE = object()  # what a script returns to drop the connection


class Session:
    def __init__(self, number):
        self.number = number
        self.commands = []
        self.tls = False
        self.pipelined = 0  # the most commands that came in one piece
        self.sender = None
        self.mail_params = ""
        self.rcpts = []
        self.messages = 0


class SmtpPeer:
    """An SMTP server that does as it is told: script(session, verb, line) may return a reply,
    CLOSE, or None for the usual one. Verbs are those of SMTP, CONNECT for the greeting, and "." for
    the end of data. It keeps what it gets."""

    EXTENSIONS = ("PIPELINING", "SIZE 104857600", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8")

    def __init__(self, script=None, extensions=EXTENSIONS, certificate=None, port=None):
        self.script = script
        self.extensions = list(extensions)
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*certificate)
            self.extensions.append("STARTTLS")
        self.port = port or free_port()
        self.received = []
        self.sessions = []
        self.lock = threading.Lock()
        self.connections = set()
        self.listener = None
        self.open()

    @property
    def hop(self):
        return f"[127.0.0.1]:{self.port}"

    def open(self):
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=256)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def close(self):
        """Away, and whoever is connected is cut off."""
        listener, self.listener = self.listener, None
        if listener:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self.lock:
            connections = list(self.connections)
        for conn in connections:
            try:
                conn.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def messages(self):
        with self.lock:
            return list(self.received)

    def wait_messages(self, count):
        wait_for(lambda: f"{count} messages at the peer, it has {len(self.messages())}",
                 lambda: len(self.messages()) >= count)
        return self.messages()

    def _accept(self, listener):
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                session = Session(len(self.sessions) + 1)
                self.sessions.append(session)
                self.connections.add(conn)
            threading.Thread(target=self._serve, args=(conn, session), daemon=True).start()

    def _serve(self, conn, session):
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        dialogue = Dialogue(self, conn, session)
        try:
            dialogue.run()
        except (OSError, ValueError):
            pass
        finally:
            with self.lock:
                self.connections.discard(dialogue.conn)
            dialogue.conn.close()  # another one than at first, once there was STARTTLS


class Dialogue:
    """One connection of an SmtpPeer."""

    def __init__(self, peer, conn, session):
        self.peer, self.conn, self.session = peer, conn, session
        self.buffer = b""

    def read_line(self):
        while b"\n" not in self.buffer:
            chunk = self.conn.recv(65536)
            if not chunk:
                return None
            self.buffer += chunk
            self.session.pipelined = max(self.session.pipelined, self.buffer.count(b"\r\n"))
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r")

    def read_content(self):
        """Up to the lone dot, with the dots of transparency taken off."""
        self.buffer = b"\r\n" + self.buffer
        at = 0
        while (end := self.buffer.find(b"\r\n.\r\n", max(0, at - 5))) < 0:
            at = len(self.buffer)
            chunk = self.conn.recv(1 << 20)
            if not chunk:
                return None
            self.buffer += chunk
        content, self.buffer = self.buffer[2:end + 2], self.buffer[end + 5:]
        if content.startswith(b"."):
            content = content[1:]
        return content.replace(b"\r\n.", b"\r\n")

    def say(self, reply):
        self.conn.sendall(reply.encode() + b"\r\n")

    def ask(self, verb, line, usual):
        """The script's reply or the usual one; CLOSE ends it. What the code says."""
        reply = self.peer.script(self.session, verb, line) if self.peer.script else None
        if reply is CLOSE:
            raise OSError("the script says so")
        reply = usual if reply is None else reply
        if verb != "STARTTLS" or not reply.startswith("220"):
            self.say(reply)
        return reply[:1] in "23"

    def run(self):
        if not self.ask("CONNECT", "", "220 peer.test ESMTP"):
            return
        while (raw := self.read_line()) is not None:
            line = raw.decode("utf-8", errors="replace")
            verb = line.split(" ", 1)[0].upper()
            self.session.commands.append(line)
            if verb == "QUIT":
                self.ask(verb, line, "221 2.0.0 Bye")
                return
            handler = getattr(self, "on_" + verb.lower(), None)
            if handler:
                handler(verb, line)
            else:
                self.ask(verb, line, "250 2.0.0 Ok")

    def on_ehlo(self, verb, line):
        offered = [e for e in self.peer.extensions if e != "STARTTLS" or not self.session.tls]
        lines = ["peer.test", *offered]
        usual = "\r\n".join(f"250{' ' if i == len(lines) - 1 else '-'}{text}"
                            for i, text in enumerate(lines))
        self.ask(verb, line, usual)

    def on_starttls(self, verb, line):
        if not self.ask(verb, line, "220 2.0.0 Go"):
            return
        self.say("220 2.0.0 Go")
        bare = self.conn
        with self.peer.lock:
            self.peer.connections.discard(bare)
        self.conn = self.peer.tls.wrap_socket(bare, server_side=True)
        with self.peer.lock:
            self.peer.connections.add(self.conn)
        self.session.tls = True
        self.buffer = b""

    def on_mail(self, verb, line):
        if self.ask(verb, line, "250 2.1.0 Ok"):
            self.session.sender = path_of(line)
            self.session.mail_params = line
            self.session.rcpts = []

    def on_rcpt(self, verb, line):
        if self.session.sender is None:
            self.say("503 5.5.1 Say MAIL first")
        elif self.ask(verb, line, "250 2.1.5 Ok"):
            self.session.rcpts.append(path_of(line))

    def on_rset(self, verb, line):
        self.session.sender, self.session.rcpts = None, []
        self.ask(verb, line, "250 2.0.0 Ok")

    def on_data(self, verb, line):
        if not self.session.rcpts:
            self.say("554 5.5.1 No valid recipients")
            return
        if not self.ask(verb, line, "354 Go on"):
            return
        content = self.read_content()
        if content is None:
            raise OSError("gone in the middle of a message")
        s = self.session
        got = Received(s.sender, s.rcpts, content, s, s.mail_params)
        s.sender, s.rcpts = None, []
        reply = self.peer.script(s, ".", content) if self.peer.script else None
        if reply is CLOSE:
            raise OSError("the script says so")
        # Kept before it is said: whoever heard the reply finds the message here.
        if reply is None or reply[:1] == "2":
            with self.peer.lock:
                s.messages += 1
                self.peer.received.append(got)
        self.say(reply or "250 2.0.0 Taken")


class NameServer:
    """nsd with zones of the test's own: {"example.test": "@ MX 10 mx\\nmx A 127.0.0.1\\n"}."""

    def __init__(self, folder, zones):
        self.folder = str(folder)
        os.makedirs(self.folder)
        self.port = free_port()
        conf = os.path.join(self.folder, "nsd.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write(self.configuration(zones))
        for name, records in zones.items():
            with open(os.path.join(self.folder, name + ".zone"), "w", encoding="utf-8") as file:
                file.write(f"$ORIGIN {name}.\n$TTL 60\n"
                           f"@ SOA ns.{name}. root.{name}. 1 3600 600 86400 1\n"
                           f"@ NS ns.{name}.\nns A 127.0.0.1\n{records}\n")
        self.log = open(os.path.join(self.folder, "log"), "wb")
        self.conf = conf
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(["nsd", "-d", "-c", self.conf], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        wait_for(lambda: "nsd to listen: " + self.said(), self.answers)

    def configuration(self, zones):
        lines = ["server:", f"  ip-address: 127.0.0.1@{self.port}", '  username: ""',
                 '  chroot: ""', f'  zonesdir: "{self.folder}"', '  database: ""',
                 f'  pidfile: "{self.folder}/nsd.pid"', f'  xfrdfile: "{self.folder}/xfrd"',
                 f'  xfrdir: "{self.folder}"', f'  zonelistfile: "{self.folder}/zones"',
                 "  server-count: 1", "remote-control:", "  control-enable: no"]
        for name in zones:
            lines += ["zone:", f"  name: {name}", f"  zonefile: {name}.zone"]
        return "\n".join(lines) + "\n"

    def said(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as file:
            return file.read()

    def answers(self):
        assert self.process.poll() is None, self.said()
        return port_open(self.port)  # it takes TCP as soon as it takes UDP

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def stop(self):
        end_process(self.process)

    def close(self):
        self.stop()
        self.log.close()


def swaks(port, *args):
    """Sends one message with swaks; its transcript."""
    done = subprocess.run(["swaks", "--server", f"127.0.0.1:{port}", "--helo", "swaks.test", *args],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def make_certificate(folder, name, authority=None):
    """A key and a certificate for NAME, self-signed or signed by AUTHORITY (another such pair)."""
    key, cert = (os.path.join(str(folder), f"{name}.{end}") for end in ("key", "pem"))
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", f"/CN={name}",
             "-addext", f"subjectAltName=DNS:{name}",
             "-keyout", key, "-out", cert]
    if authority:
        words += ["-CA", authority[0], "-CAkey", authority[1],
                  "-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return cert, key
