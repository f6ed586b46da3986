"""One case, step by step:

  S2 alone, S1 alone          what each gives by itself
  S1, then what is refused    nothing changes
  S2 over S1                  ends as S2 alone
  trouble                     is named; what serves goes on
  S1 again                    ends as S1 alone
"""
import copy
import re

import schema
from facts import wait_until, wrong_after, wrong_alone
from specs import NAME, TYPES, fill, pools, with_types
from world import Namespace, Refused, until

SETTLE_S = 90  # as the clock of a busy machine goes
MOVE_S = 15  # more, for each instance that is moved to a better pool
SCARCE_S = 60  # more, for pools that are asked again after a pause
TROUBLE_S = 30  # until it is named
LOG_LINES = 60  # warnings and errors about one case: no flood
ABSENT = "absent"


class Failure(Exception):
    """A step that did not end as it should."""


def run(world, case, run_id, log):
    """Raises Failure. `run_id` is part of all names."""
    types = {t: f"{t}.{run_id}" for t in TYPES}
    r = Running(world, with_types_of(case, types), run_id)
    try:
        r.run()
        if (lines := len(log.complaints(r.alone.name, r.walk.name))) > LOG_LINES:
            raise Failure(f"the operator has logged {lines} warnings and errors about it")
    except (AssertionError, Refused) as e:
        raise Failure(f"{r.step}:\n{e}") from e
    finally:
        r.remove()


def with_types_of(case, types):
    case = copy.copy(case)
    case.specs, case.models = with_types(case.specs, types), with_types(case.models, types)
    case.rooms = {types[t]: room for t, room in case.rooms.items()}
    return case


class Running:
    def __init__(self, world, case, run_id):
        self.world, self.case, self.rooms = world, case, case.rooms
        self.alone, self.walk = Namespace(world, f"generated-{run_id}-alone"), Namespace(world, f"generated-{run_id}")
        self.step = "start"

    def run(self):
        (s1, s2), (m1, m2), trouble = self.case.specs, self.case.models, self.case.trouble
        for instance_type, room in self.rooms.items():
            if room > 0:
                self.world.add_node(instance_type, room)
        for instance_type, room in self.rooms.items():
            if room > 0:
                until(30, f"the node of {instance_type}", lambda t=instance_type: self.world.node_ready(t))
        s1 = {"instanceCount": 1, **s1}
        # A count that is not set any more stays what it was.
        second_alone = self.fresh("S2 alone", {"instanceCount": s1["instanceCount"], **s2}, m2)
        first_alone = self.fresh("S1 alone", s1, m1)

        foreign = Foreign(self.walk, self.world)
        if trouble == "Service taken":
            foreign.service()
        self.step = "S1"
        self.walk.apply_models(m1)
        self.walk.apply_endpoint(self.case.specs[0])
        if trouble == "Service taken":
            self.named("NameTaken", f"Service {NAME}")
            foreign.remove()
        f = self.ends_as(first_alone, None)
        self.refusals()

        self.step = "S2 after S1"
        if trouble == "Deployment taken" and (names := deployment_names(second_alone) - deployment_names(f)):
            foreign.deployment(min(names))
        self.change(s2, m2)
        if foreign.name:
            f = self.named("NameTaken", f"Deployment {foreign.name}")
            foreign.remove()
        f = self.ends_as(second_alone, f)

        self.step = f"S2 with trouble: {trouble}"
        f = self.trouble(f)
        self.step = "S1 again"
        self.change(s1, m1)
        self.ends_as(first_alone, f)

    def fresh(self, step, spec, models):
        self.step = step
        self.alone.apply_models(models)
        self.alone.apply_endpoint(spec)
        f = wait_until(self.alone, SETTLE_S, lambda f: wrong_alone(f, self.rooms))
        self.alone.empty()
        return f

    def change(self, spec, models):
        """The spec first: what older pools and new Models would give together is no part of the case."""
        self.walk.apply_endpoint(spec)
        self.walk.apply_models(models)

    def ends_as(self, fresh, before):
        ample = self.case.ample
        more = 0 if ample else SCARCE_S
        if fresh.spec["capacity"]["rebalance"] == "Active":
            more += MOVE_S * fresh.spec["instanceCount"]
        return wait_until(self.walk, SETTLE_S + more, lambda f: wrong_after(f, fresh, before, self.rooms, ample))

    # What the API server refuses

    def refusals(self):
        self.step = "what must be refused after S1"
        spec = self.case.specs[0]
        part = schema.load("instancepoolendpoints")["properties"]["spec"]
        all_faults = list(schema.faults(part, spec, ("spec",)))
        generation = self.walk.endpoint()["metadata"]["generation"]
        for at in self.case.refused:
            check_refused(self.walk, {"spec": spec}, *all_faults[int(at * len(all_faults))], options="")
        if self.walk.endpoint()["metadata"]["generation"] != generation:
            raise AssertionError("a spec that was refused has changed the endpoint")

    # What only the operator can see

    def trouble(self, f):
        """Gives what it is then."""
        if (act := TROUBLE.get(self.case.trouble)) is None:
            return f
        spec = copy.deepcopy(self.case.specs[1])
        pool = self.one_that_serves(spec)
        reason, words = act(self, spec, pool)
        self.walk.apply_endpoint(spec)
        self.named(reason, words)
        # The endpoint's own older instances serve on.
        serves = sum(f.mix().values())
        now = wait_until(self.walk, TROUBLE_S, lambda f: [] if sum(f.mix().values()) == f.status["currentInstanceCount"]
                         else ["status.currentInstanceCount is not what runs"])
        if sum(now.mix().values()) < serves:
            raise AssertionError(f"{sum(now.mix().values())} of {serves} instances are left")
        return now

    def one_that_serves(self, spec):
        """The pool of the spec that a new endpoint would use first; with a single type the spec itself."""
        if "instancePools" not in spec:
            return spec
        got = fill(spec, max(1, spec.get("instanceCount", 1)), self.rooms)
        first = next((name for name, n in got.items() if n > 0), next(iter(got)))
        index = [p["name"] for p in pools({"instancePools": [{**p, "priority": 1} for p in spec["instancePools"]]})]
        return spec["instancePools"][index.index(first)]

    def missing_model(self, spec, pool):
        pool["modelName" if pool is spec else "modelNameOverride"] = ABSENT
        return "ModelMissing", f"Model {ABSENT} does not exist"

    def refused_template(self, spec, pool):
        name = pool.get("modelNameOverride", spec["modelName"])
        model = copy.deepcopy(self.case.models[1][name])
        model["template"]["spec"]["containers"][0]["readinessProbe"] = {
            "exec": {"command": ["check"]}, "httpGet": {"port": 8080}}
        self.walk.apply_models({name: model})
        return "InstanceRefused", r"spec\.containers\[0\]\.readinessProbe.*may not specify more than 1 handler type"

    def refused_toleration(self, spec, pool):
        if pool is spec:
            return self.missing_model(spec, pool)
        pool["tolerations"] = [{"key": "gone", "operator": "Exists", "value": ABSENT}]
        return "InstanceRefused", rf"spec\.tolerations\[\d+\].*{ABSENT}.*must be empty when `operator` is 'Exists'"

    def missing_runtime_class(self, spec, pool):
        if pool is spec:
            return self.missing_model(spec, pool)
        pool["runtimeClassName"] = ABSENT
        return "InstanceRefused", f"RuntimeClass.*{ABSENT}.* not found"

    def named(self, reason, words):
        """A condition that is True has that reason, and says what is wrong."""
        def wrong(f):
            said = [c for c in f.status.get("conditions", []) if c["status"] == "True" and c["type"] != "Reconciling"]
            if any(c["reason"] == reason and re.search(words, c["message"]) for c in said):
                return []
            return [f"no condition has the reason {reason} and says {words!r}; True are: "
                    + "; ".join(f"{c['type']} {c['reason']} ({c['message']})" for c in said)]
        return wait_until(self.walk, TROUBLE_S, wrong)

    def remove(self):
        for namespace in (self.alone, self.walk):
            namespace.remove()
        for instance_type, room in self.rooms.items():
            self.world.remove_node(instance_type)


TROUBLE = {"missing Model": Running.missing_model, "refused template": Running.refused_template,
           "refused toleration": Running.refused_toleration, "missing RuntimeClass": Running.missing_runtime_class}


class Foreign:
    """An object of somebody else, with a name that the operator wants."""

    def __init__(self, namespace, world):
        self.namespace, self.world, self.path, self.name = namespace, world, None, None

    def service(self):
        self.path = f"{self.namespace.core}services"
        self.world.call("POST", self.path, {"metadata": {"name": NAME}, "spec": {"ports": [{"port": 80}]}})
        self.path += "/" + NAME

    def deployment(self, name):
        labels = {"app": "foreign"}
        self.path, self.name = f"{self.namespace.apps}deployments", name
        self.world.call("POST", self.path, {"metadata": {"name": name}, "spec": {
            "replicas": 0, "selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "foreign:1"}]}}}})
        self.path += "/" + name

    def remove(self):
        self.world.delete(self.path)


def deployment_names(f):
    return {d["metadata"]["name"] for d in f.deployments}


def check_refused(namespace, whole, path, what, wrong, options):
    """AssertionError unless the API server refuses the part at `path`, and names it. Gives its words."""
    spec = schema.changed(whole, path, wrong)["spec"]
    field = schema.shown(path)
    try:
        namespace.apply_endpoint(spec, options)
    except Refused as e:
        if field not in str(e) and field not in e.fields:
            raise AssertionError(f"{field} ({what}) is refused, but not named: {e}") from e
        return str(e)
    raise AssertionError(f"{field} ({what}) is not refused: {wrong if wrong is not schema.OMIT else 'missing'}")
