"""Runs the cases. Started by hack/generated, which has started the cluster."""
import argparse
import json
import os
import random
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/bench"))
sys.dont_write_bytecode = True
import refusals  # noqa: E402
from api import Api  # noqa: E402
from case import Failure, run  # noqa: E402
from cluster import Cluster  # noqa: E402
from contender import Contender  # noqa: E402
from facts import look, unsettled  # noqa: E402
from script import say, wait_for  # noqa: E402
from shrink import shrink  # noqa: E402
from specs import draw_case, draw_models  # noqa: E402
from world import Namespace, World, until  # noqa: E402

OUT = ROOT / "build/generated"
JOBS = 6  # cases side by side


class Log:
    """What the operator says: JSON lines."""

    def __init__(self, path):
        self.path = path

    def lines(self):
        return self.path.read_text(errors="replace").splitlines()

    def complaints(self, *namespaces):
        marks = tuple(f'"namespace":"{name}"' for name in namespaces)
        return [line for line in self.lines() if '"level":"info"' not in line and any(m in line for m in marks)]

    def broken(self):
        """Words of the sanitizers, of a crash, of rights that it lacks."""
        words = ("AddressSanitizer", "LeakSanitizer", "runtime error", "fatal:", "Assertion", '"level":"error"',
                 '"httpStatus":401', '"httpStatus":403')
        expected = ('"write was refused"', "because it is being terminated")  # by troubles, and at a case's end
        return [line for line in self.lines() if any(w in line for w in words)
                and not any(w in line for w in expected)]


class Suite:
    def __init__(self, seed, shrinking):
        self.seed, self.shrinking = seed, shrinking
        self.run_id = f"{random.SystemRandom().randrange(16**4):04x}"
        self.cluster = Cluster("generated")
        self.api = self.cluster.api()
        self.world = World(self.api)
        self.refused = self.passed = self.failed = 0

    def start(self):
        account = "instancepool-operator"
        self.cluster.account(account)
        log = OUT / "operator.log"
        log.unlink(missing_ok=True)
        self.log = Log(log)
        self.operator = Contender("operator", [os.environ["GENERATED_OPERATOR"], "--node-autoscaler=none"], account,
                                  self.cluster.kubeconfig(account, OUT / "operator.kubeconfig"), log)
        self.operator.start()
        wait_for("the operator", self.operator.ready, 60)
        self.world.add_runtime_class()
        self.drafts = Namespace(self.world, f"generated-{self.run_id}-drafts")
        self.start_bystander()

    def start_bystander(self):
        """An endpoint to which nothing may happen, whatever the others do."""
        self.bystander_type = f"bystander.{self.run_id}"
        self.bystander = Namespace(self.world, f"generated-{self.run_id}-bystander")
        self.world.add_node(self.bystander_type, 2)
        models = draw_models(random.Random(0))
        self.bystander.apply_models(models)
        self.bystander.apply_endpoint({"modelName": next(iter(models)), "instanceCount": 2,
                                       "instanceType": self.bystander_type})
        until(60, "the bystander to serve", lambda: look(self.bystander).status.get("currentInstanceCount") == 2)
        self.bystander_is = self.bystander_now()

    def bystander_now(self):
        f = look(self.bystander)
        return sorted(p["metadata"]["uid"] for p in f.pods), f.version(), unsettled(f)

    def accepts(self, spec):
        refusal = self.drafts.refusal(spec)
        if refusal is None:
            return True
        self.refused += 1
        if not any(field and field in str(refusal) for field in refusal.fields):
            raise Failure(f"refused without a field: {refusal}")
        return False

    # What is run

    def case(self, index):
        begin = time.time()
        case = draw_case(self.seed, index, self.accepts)
        failure = self.try_case(case, f"{self.run_id}-{index}")
        self.tell(f"case {index}: {case.title()}", begin, failure)
        if failure:
            print(self.story(index, case, failure), flush=True)

    def story(self, index, case, failure):
        """The smallest case that fails as well, and how to run it."""
        smallest, words = shrink(case, failure, self.shrinking, lambda spec: self.drafts.refusal(spec) is None,
                                 lambda c, n: self.try_case(c, f"{self.run_id}-{index}-{n}"))
        return f"    again: hack/generated --seed {self.seed} --case {index}\n" + smallest.shown(words)

    def try_case(self, case, run_id):
        """None, or the words of its failure."""
        try:
            run(self.world, case, run_id, self.log)
            return None
        except Failure as e:
            return str(e)

    def schema(self):
        begin, failure, words = time.time(), None, "what the schema forbids is refused by name"
        try:
            words += f" ({refusals.check(self.drafts)} faults)"
        except AssertionError as e:
            failure = str(e)
        self.tell(words, begin, failure)

    def end(self):
        begin, bad = time.time(), []
        if self.bystander_now() != self.bystander_is:
            bad.append(f"the bystander was {self.bystander_is} and is {self.bystander_now()}")
        alive = self.operator.alive()
        self.operator.stop()
        if not alive or self.operator.process.returncode != 0:
            bad.append(f"the operator ended with {self.operator.process.returncode}" + ("" if alive else " by itself"))
        bad += self.log.broken()
        self.tell("the operator and an endpoint beside them went on", begin, "\n".join(bad))
        for namespace in (self.drafts, self.bystander):
            namespace.remove()
        self.world.remove_node(self.bystander_type)

    def tell(self, what, begin, failure):
        print(f"{'FAIL' if failure else 'ok':4} {time.time() - begin:7.1f} s  {what}", flush=True)
        if failure:
            self.failed += 1
            print("    " + failure.replace("\n", "\n    "), flush=True)
        else:
            self.passed += 1


def main():
    parser = argparse.ArgumentParser(prog="hack/generated")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--case", type=int)
    parser.add_argument("--shrink", type=int, default=3)
    o = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # in order, so that nothing stays behind
    (OUT / "sum").write_text("0 passed, 1 failed\n")  # until there is a better one
    say(f"seed {o.seed}: {o.count if o.case is None else 1} cases")
    suite = Suite(o.seed, o.shrink)
    suite.start()
    try:
        suite.schema()
        with ThreadPoolExecutor(JOBS) as threads:
            for done in [threads.submit(suite.case, i) for i in (range(o.count) if o.case is None else [o.case])]:
                done.result()
    except Failure as e:
        suite.tell("valid specs", time.time(), str(e))
    finally:
        suite.end()
    print(f"seed {o.seed}; {suite.refused} drawn specs were refused by the API server, each with the field")
    (OUT / "sum").write_text(f"{suite.passed} passed, {suite.failed} failed\n")
    sys.exit(1 if suite.failed else 0)


if __name__ == "__main__":
    main()
