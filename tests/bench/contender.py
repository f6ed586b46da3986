"""One of the two programs: start, stop, what it uses, what it says of itself."""
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mib(pid):
    with open(f"/proc/{pid}/status") as f:
        kib = dict(re.findall(r"^(VmRSS|VmHWM|RssAnon):\s+(\d+) kB", f.read(), re.M))
    return {name: int(value) / 1024 for name, value in kib.items()}


def wakeups(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/status") as f:
                total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", f.read(), re.M)[1])
        except OSError:
            pass
    return total


class Contender:
    """`reads`, `reconciled` and `busy` are series of its metrics: regular expressions."""

    def __init__(self, name, command, user, log, reads, reconciled, busy):
        self.name, self.command, self.user, self.log = name, command, user, log
        self.reads, self.reconciled, self.busy = reads, reconciled, busy
        self.process = None
        self.peak = 0.0

    def start(self):
        self.metrics_port, self.health_port = free_port(), free_port()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command + [f"--metrics-bind-address=127.0.0.1:{self.metrics_port}",
                                f"--health-probe-bind-address=127.0.0.1:{self.health_port}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.started = time.time()

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        if not self.alive():
            return
        self.note_peak()
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def memory(self):
        self.note_peak()
        return memory_mib(self.pid)

    def note_peak(self):
        self.peak = max(self.peak, memory_mib(self.pid)["VmHWM"])

    def get(self, port, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return answer.read().decode()
        except (OSError, urllib.error.URLError):
            if not self.alive():
                raise RuntimeError(f"{self.name} has ended, see {self.log}") from None
            return None

    def ready(self):
        return self.get(self.health_port, "/readyz") is not None

    def metric(self, selectors):
        """The sum of the series that match one of the regular expressions; None while it does not answer."""
        text = self.get(self.metrics_port, "/metrics")
        if text is None:
            return None
        pattern = re.compile(r"^(?:" + "|".join(selectors) + r") ([0-9.e+-]+)$", re.M)
        return sum(float(value) for value in pattern.findall(text))

    def count_reads(self):
        return self.metric(self.reads) or 0

    def has_reconciled(self, endpoints):
        done, busy = self.metric(self.reconciled), self.metric(self.busy)
        return done is not None and done >= endpoints and busy == 0
