"""The measurements of one contender on a cluster of its own."""
import os
import signal
import time
from dataclasses import dataclass
from math import ceil

from api import GROUP, MERGE, STRATEGIC, Arrivals, Audit, Endpoints, by_token, by_user, percentile, what, when
from contender import cpu_s, new_operator, new_peer, wakeups
from objects import GPUS, INSTANCES, PER_POOL, POOLS, endpoint, model, name_of, pools
from script import pause, say, wait_for

NAMESPACE, STOCKOUT = "bench", "bench-stockout"


@dataclass
class Sizes:
    endpoints: int
    steady_s: int
    stockouts: int
    outage_s: int


def busy_percent(seconds=3):
    """How busy the machine is with other things."""
    def read():
        with open("/proc/stat", encoding="ascii") as f:
            fields = [int(x) for x in f.readline().split()[1:9]]
        return sum(fields), fields[3] + fields[4]
    total, idle = read()
    time.sleep(seconds)
    total_end, idle_end = read()
    return 100 * (1 - (idle_end - idle) / (total_end - total))


def shown(value):
    if isinstance(value, dict):
        return " ".join(f"{k}:{v}" for k, v in sorted(value.items()))
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
    return "-" if value is None else str(value)


class Run:
    """All measurements of one contender; self.result has the numbers."""

    def __init__(self, kind, cluster, sizes, out):
        """The contender's files go to the folder `out`."""
        self.cluster, self.sizes, self.out, self.n = cluster, sizes, out, sizes.endpoints
        self.result = {}
        self.failed = False
        cluster.down()
        busy = busy_percent()
        self.note(busy_before_percent=busy)
        if busy > 10:
            say("  the machine is busy with other things: times will tell")
        cluster.up()
        for instance_type in POOLS:  # one more, so that a pool never is full while others end
            cluster.add_nodes(instance_type, ceil(self.n * PER_POOL / GPUS) + 1, GPUS)
        for instance_type in ("full.bench", "free.bench"):
            cluster.add_nodes(instance_type)
        self.api = cluster.api()
        self.contender = (new_operator if kind == "operator" else new_peer)(cluster, out)
        self.audit = Audit(cluster.audit_log(), by_user(self.contender.user))
        self.own = Audit(cluster.audit_log(), by_user("admin"))
        for namespace in (NAMESPACE, STOCKOUT):
            self.api.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        self.api.call("POST", f"{GROUP}/namespaces/{NAMESPACE}/models", model("llm"))
        # Its pods are nobody's: the bench says that there is no room for them.
        self.api.call("POST", f"{GROUP}/namespaces/{STOCKOUT}/models", model("llm", schedulerName="bench"))
        self.endpoints = Endpoints(self.api, NAMESPACE)

    def note(self, **numbers):
        self.result.update(numbers)
        say("  " + "  ".join(f"{k}={shown(v)}" for k, v in numbers.items()))

    def close(self):
        self.endpoints.stop()
        self.contender.stop()

    def wait_settled(self, instances, ready=True):
        wait_for(f"all endpoints with {instances} instances",
                 lambda: self.endpoints.count(instances, ready) == self.n, 60 + self.n,
                 state=lambda: f"{self.endpoints.count(instances, ready)} of {self.n}")
        return self.endpoints.changed_at

    def scale(self, names, count):
        self.api.many(("PATCH", f"{self.endpoints.path}/{name}", {"spec": {"instanceCount": count}}, MERGE)
                      for name in names)

    def control_plane_cpu(self):
        return sum(cpu_s(pid) for pid in self.cluster.pids("kube-apiserver", "etcd"))

    # The measurements, in the order in which they are made

    def machine(self):
        """What the machine gives to one client when nothing else happens."""
        say("the machine's own limits")
        path = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
        self.api.call("POST", path, {"metadata": {"name": "quiet"}})
        times = []
        for i in range(300):
            begin = time.perf_counter()
            self.api.call("PATCH", path + "/quiet", {"data": {"n": str(i)}}, MERGE)
            times.append((time.perf_counter() - begin) * 1000)
        path = f"/apis/apps/v1/namespaces/{STOCKOUT}/deployments"
        labels = {"app": "limit"}
        body = {"spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}
        begin = time.perf_counter()
        for i in range(200):
            self.api.call("POST", path, {"metadata": {"name": f"limit-{i}"}, **body})
        rate = 200 / (time.perf_counter() - begin)
        self.api.call("DELETE", path)
        pause(5, "the end of these")
        self.note(write_p50_ms=percentile(times, 50), write_p99_ms=percentile(times, 99), creates_per_s=rate)

    def idle(self):
        say(f"{self.contender.name}: with no endpoint")
        self.contender.start()
        wait_for("the contender", self.contender.ready, 60, every=0.02)
        pause(4, "rest")
        memory = self.contender.memory()
        self.note(idle_rss_mib=memory["VmRSS"], idle_anon_mib=memory["RssAnon"])

    def creation(self):
        say(f"{self.contender.name}: {self.n} endpoints are created")
        self.audit.skip()
        pid, reads = self.contender.pid, self.contender.count_reads()
        cpu, plane = cpu_s(pid), self.control_plane_cpu()
        begin = time.time()
        self.api.many(("POST", self.endpoints.path, endpoint(name_of(i), INSTANCES, pools())) for i in range(self.n))
        posted = time.time()
        end = self.wait_settled(INSTANCES)
        cpu_end, plane_end = cpu_s(pid), self.control_plane_cpu()
        pause(5, "what is still written")
        writes = self.audit.take()
        verbs = {}
        for entry in writes:
            verbs[what(entry)] = verbs.get(what(entry), 0) + 1
        failed = sum(1 for entry in writes if entry["responseStatus"]["code"] >= 400)
        reads = self.contender.count_reads() - reads
        memory = self.contender.memory()
        self.note(create_s=end - begin, create_posted_s=posted - begin, create_cpu_s=cpu_end - cpu,
                  create_plane_cpu_s=plane_end - plane, create_rss_mib=memory["VmRSS"],
                  create_peak_mib=memory["VmHWM"], requests=len(writes) + reads, reads=reads,
                  failed_writes=failed, writes=verbs)

    def steady(self):
        say(f"{self.contender.name}: {self.sizes.steady_s} s of steady state")
        pause(10, "rest")
        self.audit.skip()
        pid = self.contender.pid
        cpu, wake = cpu_s(pid), wakeups(pid)
        pause(self.sizes.steady_s, "the steady state")
        memory = self.contender.memory()
        self.note(steady_cpu_percent=100 * (cpu_s(pid) - cpu) / self.sizes.steady_s,
                  steady_wakeups_per_s=(wakeups(pid) - wake) / self.sizes.steady_s,
                  steady_writes=len(self.audit.take()), rss_mib=memory["VmRSS"], rss_anon_mib=memory["RssAnon"])

    def stock_out(self):
        """The bench is the scheduler of these pods. It waits until a verdict would have settled, then gives it, dated
        back: the contender has to act on that very event."""
        say(f"{self.contender.name}: {self.sizes.stockouts} stock-outs")
        path = f"{GROUP}/namespaces/{STOCKOUT}/instancepoolendpoints"
        two = [{"instanceType": "ml." + t, "priority": p + 1} for p, t in enumerate(("full.bench", "free.bench"))]
        self.api.many(("POST", path, endpoint(f"short-{i:03d}", 1, two)) for i in range(self.sizes.stockouts))
        pods = []

        def all_wait():
            pods[:] = self.api.call("GET", f"/api/v1/namespaces/{STOCKOUT}/pods")["items"]
            return len(pods) == self.sizes.stockouts
        wait_for("their pods", all_wait, 120, every=0.5, state=lambda: f"{len(pods)} of {self.sizes.stockouts}")
        pause(8, "what a verdict needs to settle")
        self.audit.skip()
        self.own.skip()
        bystander = Arrivals(self.api, f"/api/v1/namespaces/{STOCKOUT}/pods", lambda pod: pod["status"].get("conditions"))
        words = ("0/9 nodes are available: 1 Insufficient nvidia.com/gpu, 8 node(s) didn't match Pod's node "
                 "affinity/selector. preemption: 0/9 nodes are available: 9 Preemption is not helpful for scheduling.")
        for pod in pods:
            then = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 7))
            self.api.call("PATCH", f"/api/v1/namespaces/{STOCKOUT}/pods/{pod['metadata']['name']}/status", {
                "status": {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                                           "message": words, "lastTransitionTime": then}]}}, STRATEGIC)
            time.sleep(0.1)
        pause(5, "the answers")
        verdicts = {}
        for entry in self.own.take():
            if what(entry) == "patch pods/status":
                verdicts[entry["objectRef"]["name"][:9]] = entry
        bystander.stop()
        wire, whole, answer, watch = [], [], [], []
        for entry in self.audit.take():
            ref = entry["objectRef"]
            if what(entry) == "patch deployments" and "-free-bench-" in ref["name"] and ref["name"][:9] in verdicts:
                verdict = verdicts.pop(ref["name"][:9])
                asked = when(entry["requestReceivedTimestamp"])
                wire.append(1000 * (asked - when(verdict["stageTimestamp"])))
                whole.append(1000 * (asked - when(verdict["requestReceivedTimestamp"])))
                answer.append(1000 * (when(entry["stageTimestamp"]) - when(verdict["stageTimestamp"])))
                watch.append(1000 * (bystander.at[verdict["objectRef"]["name"]] - when(verdict["stageTimestamp"])))
        self.note(wire_n=len(wire), wire_p50_ms=percentile(wire, 50), wire_p99_ms=percentile(wire, 99),
                  wire_whole_p50_ms=percentile(whole, 50), wire_whole_p99_ms=percentile(whole, 99),
                  watch_p50_ms=percentile(watch, 50), watch_p99_ms=percentile(watch, 99),
                  answer_p50_ms=percentile(answer, 50), answer_p99_ms=percentile(answer, 99))
        self.api.call("DELETE", path)

        def gone():
            return not self.api.call("GET", f"/api/v1/namespaces/{STOCKOUT}/pods?limit=1")["items"]
        wait_for("the end of these", gone, 120, every=0.5)
        pause(5, "rest")

    def restart(self):
        say(f"{self.contender.name}: restart with nothing to do")
        self.contender.stop()
        self.audit.skip()
        self.contender.start()
        wait_for("all to be looked at", lambda: self.contender.ready() and self.contender.has_reconciled(self.n), 120)
        seconds, cpu = time.time() - self.contender.started, cpu_s(self.contender.pid)
        pause(5, "writes")
        self.note(restart_s=seconds, restart_cpu_s=cpu, restart_writes=len(self.audit.take()),
                  restart_peak_mib=self.contender.memory()["VmHWM"])

    def backlog(self):
        """Start-up with all endpoints but one to be changed; the last is changed once the first write was seen."""
        say(f"{self.contender.name}: a fresh change while {self.n - 1} endpoints are worked off")
        self.contender.stop()
        fresh = name_of(self.n - 1)
        self.scale([name_of(i) for i in range(self.n - 1)], INSTANCES - 1)
        self.audit.skip()
        self.own.skip()
        self.contender.start()
        seen = []

        def has_begun():
            seen.extend(self.audit.take())
            return any(what(entry) == "patch deployments" for entry in seen)
        wait_for("the first write", has_begun, 120, every=0.01)
        self.scale([fresh], INSTANCES - 1)
        end = self.wait_settled(INSTANCES - 1)
        time.sleep(1)
        seen.extend(self.audit.take())
        change = [entry for entry in self.own.take() if entry["objectRef"].get("name") == fresh][-1]
        asked = min(when(entry["requestReceivedTimestamp"]) for entry in seen
                    if what(entry) == "patch deployments" and entry["objectRef"]["name"].startswith(fresh + "-"))
        before = sum(1 for entry in seen if what(entry) == "patch deployments"
                     and when(entry["requestReceivedTimestamp"]) < asked)
        self.note(fresh_ms=1000 * (asked - when(change["stageTimestamp"])), fresh_after=before,
                  backlog_s=end - self.contender.started)

    def outage(self):
        """The contender is stopped while all endpoints change and the API server is killed, and then goes on. More is
        wanted, not less: the nodes' leases run out and their pods are not Ready, and less would wait for that. Readiness
        is not waited for either: kwok does not mend the pods of a node that was away."""
        say(f"{self.contender.name}: {self.sizes.outage_s} s without API server, {self.n} endpoints to be changed")
        self.contender.process.send_signal(signal.SIGSTOP)
        self.scale([name_of(i) for i in range(self.n)], INSTANCES)
        os.kill(self.cluster.pids("kube-apiserver")[0], signal.SIGKILL)
        self.audit.skip()
        self.contender.process.send_signal(signal.SIGCONT)
        cpu = cpu_s(self.contender.pid)
        pause(self.sizes.outage_s, "the outage")
        with open(self.out / "cluster.log", "a", encoding="utf-8") as log:
            up = self.cluster.up_again(log)
            begin = wait_for("the API server", self.api.ready, 120)
            end = self.wait_settled(INSTANCES, ready=False)
            up.wait()
        time.sleep(1)
        asked = {}
        for entry in self.audit.take():
            if what(entry) == "patch deployments" and entry["responseStatus"]["code"] < 300:
                asked.setdefault(entry["objectRef"]["name"], when(entry["requestReceivedTimestamp"]))
        last = max(asked.values()) - begin if len(asked) >= self.n else None
        self.note(outage_asked_s=last, outage_right_s=end - begin, outage_cpu_s=cpu_s(self.contender.pid) - cpu)

    def fail_over(self):
        """Replicas, of which one leads: the leader is killed, and three times the next one is asked to go."""
        say(f"{self.contender.name}: fail-over with {self.n} endpoints")
        self.contender.stop()
        replicas = [self.replica(i) for i in range(5)]
        try:
            leader = replicas[0]
            leader.start()
            wait_for("a leader", lambda: leader.ready() and leader.leads(), 60)
            seconds, relists = [], 0
            for turn, standby in enumerate(replicas[1:]):
                standby.start()
                wait_for("a standby", standby.ready, 60)
                pause(10, "rest")
                before = standby.count_relists()
                seconds.append(self.until_first_write(leader, standby, turn))
                relists += standby.count_relists() - before
                leader = standby
            self.note(failover_crash_s=seconds[0], failover_graceful_s=percentile(seconds[1:], 50),
                      failover_relists=int(relists) if leader.relists else None)
        finally:
            for r in replicas:
                r.stop()
            self.contender.start()
            wait_for("the contender", self.contender.ready, 60)
            self.contender.peak = max(self.contender.peak, *(r.peak for r in replicas))

    def replica(self, number):
        """With a token of its own, by which its writes are known."""
        name = f"{self.contender.name}.{number}"
        log = self.out / f"{name}.log"
        log.unlink(missing_ok=True)
        kubeconfig = self.cluster.kubeconfig(self.contender.account, self.out / f"{name}.kubeconfig")
        return self.contender.replica(kubeconfig, log)

    def until_first_write(self, leader, standby, turn):
        """Seconds from the leader's end until the standby changes a Deployment. The end comes right after the lease
        was renewed, which is when a crash takes longest."""
        renewals, writes = (Audit(self.cluster.audit_log(), by_token(r.kubeconfig)) for r in (leader, standby))
        wait_for("a renewal", lambda: any("leases" in what(entry) for entry in renewals.take()), 30, every=0.01)
        crash = turn == 0
        leader.note_peak()
        leader.process.send_signal(signal.SIGKILL if crash else signal.SIGTERM)
        end = time.time()
        self.scale([name_of(0)], INSTANCES - 3 - turn)
        leader.process.wait(60)
        if not crash:  # the first change may have been seen by the one that went
            self.scale([name_of(1)], INSTANCES - 3 - turn)
        seen = []

        def has_written():
            seen.extend(entry for entry in writes.take() if what(entry) == "patch deployments")
            return bool(seen)
        wait_for("the standby's first write", has_written, 60)
        pause(2, "rest")
        return when(seen[0]["requestReceivedTimestamp"]) - end

    def measure(self, with_machine):
        if with_machine:
            self.machine()
        for step in (self.idle, self.creation, self.steady, self.stock_out, self.restart, self.backlog,
                     self.fail_over, self.outage):
            try:
                step()
            except RuntimeError as error:  # what was measured before is worth keeping
                say(f"  {step.__name__}: {error}")
                self.failed = True
        self.contender.note_peak()
        self.note(peak_mib=self.contender.peak)
