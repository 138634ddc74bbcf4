#!/usr/bin/python3
"""Is what measures right? Tests of bench-sink, bench-source and the report, without any server.

Run by hand, and after each change of a tool: tests/bench/test_tools.py
"""
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from benchlib import measure, process, report, tools  # noqa: E402


def message(serial, body, name="t"):
    return (f"From: a@example.org\r\nMessage-ID: <{serial:08d}.{name}@bench-source.example.org>"
            f"\r\n\r\n{body}").encode()


class ToolsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.source, cls.sink_path = tools.build("/nonexistent", cls.folder.name)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def setUp(self):
        self.sink = tools.Sink(self.sink_path)
        self.addCleanup(self.sink.close)

    def talk(self, stream, cuts):
        """Sends STREAM cut at CUTS, each piece in a segment of its own; the replies."""
        with socket.create_connection(("127.0.0.1", self.sink.port)) as conn:
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            conn.settimeout(10)
            for begin, end in zip([0] + cuts, cuts + [len(stream)]):
                conn.sendall(stream[begin:end])
            said = b""
            while chunk := conn.recv(65536):
                said += chunk
        return said.decode().splitlines()

    DIALOGUE = (b"EHLO x\r\nMAIL FROM:<a@b> SIZE=9\r\nRCPT TO:<c@d>\r\nDATA\r\n" +
                message(0, "one\r\n..\r\n.. \r\n.\r.\r\n\r\n") + b".\r\nMAIL FROM:<>\r\n"
                b"RCPT TO:<c@d>\r\nDATA\r\n.\r\nRSET\r\nNOOP\r\nVRFY c\r\nmail from:<a@b>\r\n"
                b"rcpt to:<c@d>\r\ndata\r\n" + message(1, "\r\n\r\n.x\r\n\n.\n\r\n") +
                b".\r\nQUIT\r\n")
    CODES = ["220", "250-", "250-", "250-", "250-", "250 ", "250 ", "250 ", "354", "250 ",
             "250 ", "250 ", "354", "250 ", "250 ", "250 ", "500", "250 ", "250 ", "354",
             "250 ", "221"]

    def check_dialogue(self, cuts):
        self.sink.begin("t", 3)
        said = self.talk(self.DIALOGUE, cuts)
        self.assertEqual([line[:len(code)] for line, code in zip(said, self.CODES)], self.CODES,
                         f"cut at {cuts}")
        self.assertEqual(len(said), len(self.CODES))
        now = self.sink.report()
        self.assertEqual((now["messages"], now["missing"], now["duplicates"], now["foreign"]),
                         (3, 1, 0, 1), f"cut at {cuts}")
        self.assertEqual((now["smallest"], now["bytes"]),
                         (0, len(message(0, "one\r\n..\r\n.. \r\n.\r.\r\n\r\n")) +
                          len(message(1, "\r\n\r\n.x\r\n\n.\n\r\n"))))

    def test_a_dialogue_in_one_piece_is_understood(self):
        self.check_dialogue([])

    def test_a_dialogue_cut_anywhere_is_understood_the_same(self):
        for cut in range(1, len(self.DIALOGUE)):
            self.check_dialogue([cut])

    def test_a_dialogue_in_many_random_pieces_is_understood_the_same(self):
        for seed in range(200):
            rng = random.Random(seed)
            count = rng.randrange(1, len(self.DIALOGUE))
            self.check_dialogue(sorted(rng.sample(range(1, len(self.DIALOGUE)), count)))

    def test_twice_the_same_message_is_a_duplicate_and_does_not_complete_a_round(self):
        self.sink.begin("t", 2)
        one = b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n" + message(1, "x\r\n") + b".\r\n"
        self.talk(one + one + b"QUIT\r\n", [])
        now = self.sink.report()
        self.assertEqual((now["messages"], now["missing"], now["duplicates"]), (2, 1, 1))

    def test_an_endless_command_line_ends_the_connection_only(self):
        with socket.create_connection(("127.0.0.1", self.sink.port)) as conn:
            try:
                conn.sendall(b"x" * 300000)
                while conn.recv(65536):
                    pass
            except ConnectionError:
                pass
        self.assertTrue(tools.smtp_ready(self.sink.port))

    def transfer(self, cell, messages):
        bench = measure.Bench(self.source, self.sink_path, 1.0, patience=5)
        return bench.round(self.sink, self.sink.port, cell, messages)

    def test_source_to_sink_loses_nothing_in_any_mode(self):
        for cell in (measure.Cell(1024, 1), measure.Cell(1024, 50, pipelining=True),
                     measure.Cell(10240, 20, per_connection=1), measure.Cell(5 << 20, 7),
                     measure.Cell(600, 9, per_connection=3, pipelining=True)):
            result = self.transfer(cell, 101)
            self.assertEqual(result["foreign"], 0)
            now = self.sink.report()
            self.assertEqual((now["messages"], now["smallest"], now["largest"]),
                             (101, cell.size, cell.size))

    def test_a_refusal_is_told_and_fails_the_round(self):
        def refuse(listener):
            conn, _ = listener.accept()
            with conn:
                conn.sendall(b"220 x\r\n")
                conn.recv(512)
                conn.sendall(b"250-x\r\n250 PIPELINING\r\n")
                conn.recv(512)
                conn.sendall(b"452 4.3.1 full\r\n")
                conn.recv(512)

        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=refuse, args=(listener,))
            thread.start()
            sent = tools.source(self.source, listener.getsockname()[1], measure.Cell(1024, 1),
                                "t", 5, 10)
            thread.join()
        self.assertEqual((sent["accepted"], sent["failed_sessions"]), (0, 1))
        self.assertIn("at MAIL: 452 4.3.1 full", sent["complaints"])

    def test_the_tools_refuse_to_leave_loopback(self):
        for command in ([self.source, "--to", "192.0.2.1:25"],
                        [self.sink_path, "--listen", "0.0.0.0:2525"]):
            ran = subprocess.run(command, capture_output=True, check=False)
            self.assertEqual(ran.returncode, 64)


class AccountingTest(unittest.TestCase):
    BURN = "import time\nwhile time.process_time() < {}: pass\n"

    def test_cpu_time_of_children_that_ended_is_counted_once(self):
        child = f"import sys; exec('''{self.BURN.format(0.3)}''')"
        parent = (f"import subprocess, sys, time\nsubprocess.run([sys.executable, '-c', "
                  f"{child!r}])\nprint('x', flush=True)\ntime.sleep(60)\n")
        server = process.start([sys.executable, "-c", parent], stdout=subprocess.PIPE)
        server.stdout.readline()
        cpu = process.Tree(server.pid).cpu()
        self.assertTrue(process.stop(server))
        server.stdout.close()
        self.assertGreater(cpu, 0.29)
        self.assertLess(cpu, 0.5)

    def test_stop_ends_what_ignores_sigterm_and_its_children(self):
        code = ("import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                "os.fork()\nprint('x', flush=True)\ntime.sleep(60)\n")
        server = process.start([sys.executable, "-c", code], stdout=subprocess.PIPE)
        server.stdout.readline()
        server.stdout.readline()
        members = process.Tree(server.pid).members()
        self.assertEqual(len(members), 2)
        self.assertFalse(process.stop(server, patience=0.3))
        server.stdout.close()
        self.assertTrue(all(process.alive_since(pid) is None for pid in members))


class ReportTest(unittest.TestCase):
    def test_the_docs_keep_what_stands_around_the_tables(self):
        with tempfile.NamedTemporaryFile("w+", encoding="utf-8") as page:
            page.write(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
            page.flush()
            report.write_docs(page.name, "new\n")
            with open(page.name, encoding="utf-8") as written:
                text = written.read()
        self.assertEqual(text, f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n")

    def test_three_digits_are_enough(self):
        self.assertEqual([report.short(n) for n in (12345.6, 123.4, 12.34, 1.234, 0.0123)],
                         ["12 346", "123", "12.3", "1.23", "0.0123"])


if __name__ == "__main__":
    unittest.main()
