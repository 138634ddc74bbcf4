"""Many messages from many sessions, with a record of which were answered with 250.

A session sends a message again, under its old number, until it has an answer, as every real client
does: a message whose answer was lost may therefore arrive twice, and may only then."""
import collections
import itertools
import re
import socket
import threading
import time

from .base import PATIENCE, wait_for


class Load:
    """{n} in rcpt: the message's number."""

    def __init__(self, port, total, threads=8, size=500, rcpt="far@remote.test",
                 sender="load@client.test"):
        self.port = port
        self.total = total
        self.body = b"x" * 70 + b"\r\n"
        self.body *= max(1, size // len(self.body))
        self.rcpt = rcpt
        self.sender = sender
        self.unreached = 0  # connections that were refused, or cut off before a greeting
        self.numbers = itertools.count()
        self.lock = threading.Lock()
        self.acked = set()
        self.uncertain = set()  # the connection was lost between the content and its answer
        self.refused = collections.Counter()  # replies that were no 250, by their text
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def wait_acked(self, count):
        wait_for(lambda: f"{count} answers, there are {len(self.acked)}; refused: {self.refused}",
                 lambda: len(self.acked) >= count, patience=4 * PATIENCE)

    def wait(self):
        self.wait_acked(self.total)
        self.stop()

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def _run(self):
        number = next(self.numbers)
        while number < self.total and not self.stopped.is_set():
            greeted = False
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as conn:
                    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    with conn.makefile("rb") as file:
                        expect(file, b"220")
                        greeted = True
                        conn.sendall(b"EHLO load.test\r\n")
                        expect(file, b"250")
                        while number < self.total and not self.stopped.is_set():
                            if self._one(conn, file, number):
                                number = next(self.numbers)
            except (OSError, EOFError):
                with self.lock:
                    self.unreached += not greeted
                time.sleep(0.02)  # it is down: until it is up

    def _one(self, conn, file, number):
        rcpt = self.rcpt.replace("{n}", str(number))
        conn.sendall(f"MAIL FROM:<{self.sender}>\r\nRCPT TO:<{rcpt}>\r\nDATA\r\n".encode())
        try:
            expect(file, b"250")
            expect(file, b"250")
            expect(file, b"354")
        except ValueError as error:
            return self._refuse(error)
        with self.lock:
            fresh = number not in self.uncertain
            self.uncertain.add(number)
        conn.sendall(b"Subject: load\r\nX-Number: %d\r\n\r\n%s.\r\n" % (number, self.body))
        try:
            expect(file, b"250")
        except ValueError as error:
            if fresh:  # told that it was not taken: then it was not
                with self.lock:
                    self.uncertain.discard(number)
            return self._refuse(error)
        with self.lock:
            self.acked.add(number)
            if fresh:
                self.uncertain.discard(number)
        return True

    def _refuse(self, error):
        """It says no for now; what stands of the dialogue is given up with the connection."""
        with self.lock:
            self.refused[str(error)] += 1
        raise EOFError


def expect(file, code):
    while True:
        line = file.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        if line[3:4] != b"-":
            break
    if not line.startswith(code):
        raise ValueError(line.decode(errors="replace").strip())


def numbers_of(messages):
    """How often each number arrived."""
    return collections.Counter(
        int(re.search(rb"^X-Number: (\d+)", m.data, re.M).group(1)) for m in messages)
