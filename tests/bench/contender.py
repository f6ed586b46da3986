"""One of the two programs: start, stop, what it uses, what it says of itself."""
import copy
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from cluster import ROOT, shell

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


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Contender:
    def __init__(self, name, command, account, kubeconfig, log):
        self.name, self.command, self.account, self.kubeconfig, self.log = name, command, account, kubeconfig, log
        self.user = "system:serviceaccount:instancepool-system:" + account
        # Series of its metrics: regular expressions.
        self.requests, self.reads, self.reconciled, self.busy, self.leader, self.relists = [], [], [], [], [], []
        self.process = None
        self.peak = 0.0

    def replica(self, kubeconfig, log):
        """One more of them, not started, that shares a Lease with others of this kind."""
        r = copy.copy(self)
        r.command = [*self.command, "--leader-elect", "--leader-elect-resource-namespace=instancepool-system"]
        r.kubeconfig, r.log, r.process, r.peak = kubeconfig, log, None, 0.0
        return r

    def start(self):
        self.metrics_port, self.health_port = free_port(), free_port()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command + [f"--kubeconfig={self.kubeconfig}",
                                f"--metrics-bind-address=127.0.0.1:{self.metrics_port}",
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
        if self.alive():
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

    def count_relists(self):
        return self.metric(self.relists) or 0

    def leads(self):
        return self.metric(self.leader) == 1

    def has_reconciled(self, endpoints):
        done, busy = self.metric(self.reconciled), self.metric(self.busy)
        return done is not None and done >= endpoints and busy == 0


def new_operator(cluster, out):
    """Its files go to the folder `out`. A copy of the program: a build meanwhile must not change what is restarted."""
    program = shutil.copy2(ROOT / "build/release-gcc/bin/instancepool-operator", out)
    c = new_contender(cluster, out, "operator", [str(program), "--node-autoscaler=none"], "instancepool-operator")
    c.requests = [r"instancepool_api_requests_total\{.*\}"]
    c.reads = [r'instancepool_api_requests_total\{verb="(?:get|list|watch)".*\}']
    c.reconciled, c.busy = [r"instancepool_reconciles_total\{.*\}"], [r"instancepool_queue_depth"]
    c.leader, c.relists = [r"instancepool_leader"], [r"instancepool_relists_total\{.*\}"]
    return c


def new_peer(cluster, out):
    c = new_contender(cluster, out, "peer", [build_peer()], "instancepool-bench-peer")
    c.reads = [r'rest_client_requests_total\{.*method="GET".*\}']
    c.reconciled = [r"controller_runtime_reconcile_total\{.*\}"]
    c.busy = [r"controller_runtime_active_workers\{.*\}", r"workqueue_depth\{.*\}"]
    c.leader = [r"leader_election_master_status\{.*\}"]
    return c


def new_contender(cluster, out, name, command, account):
    cluster.account(account)
    log = out / f"{name}.log"
    log.unlink(missing_ok=True)
    return Contender(name, command, account, cluster.kubeconfig(account, out / f"{name}.kubeconfig"), log)


def build_peer():
    return shell("""
        source hack/lib/common.sh
        sources=$(cat tests/bench/peer/* | sha256sum)
        program=$CACHE_DIR/tools/bench-peer-${sources:0:16}
        if [[ ! -x $program ]]; then
            say "building the Go peer"
            mkdir -p "$CACHE_DIR/tools"
            (cd tests/bench/peer && env -u GOFLAGS CGO_ENABLED=0 GOWORK=off nice -n 5 \\
                go build -trimpath -buildvcs=false -mod=readonly -ldflags "-s -w" -o "$program.new" .)
            mv "$program.new" "$program"
        fi
        printf '%s' "$program"
    """)
