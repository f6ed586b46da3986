"""What an endpoint has come to, and whether two have come to the same."""
import time
from dataclasses import dataclass

from specs import cap, fill, nodes_of, pools
from world import LABEL, PAUSE_S

QUIET_S = 2.0  # nothing changes so long: it has settled
RESTING = ("Idle", "Ready", "BackOff")


@dataclass
class Facts:
    endpoint: dict
    deployments: list
    pods: list
    service: dict
    budget: dict

    @property
    def spec(self):
        return self.endpoint["spec"]

    @property
    def status(self):
        return self.endpoint.get("status", {})

    def condition(self, kind):
        return next((c for c in self.status.get("conditions", []) if c["type"] == kind), {})

    def mix(self):
        """Ready instances by pool, as they are and not as the status says."""
        got = {p["name"]: 0 for p in self.status.get("instancePools", [])}
        for pod in self.pods:
            if not any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", [])):
                continue
            pool = pod["metadata"]["labels"].get(LABEL + "pool", "none")
            got[pool] = got.get(pool, 0) + 1
        return got

    def stays(self, fresh):
        """The same, without those that another revision or pool replaces: what the new spec finds and may keep."""
        names, mix = {d["metadata"]["name"] for d in fresh.deployments}, self.mix()
        return {pool_of(d): mix.get(pool_of(d), 0) for d in self.deployments if d["metadata"]["name"] in names}

    def version(self):
        return [o["metadata"]["resourceVersion"] for o in (self.endpoint, *self.deployments)]

    def told(self):
        """What must not depend on the way that led here, whatever capacity there is."""
        s = self.status
        return {
            "status.phase": s.get("phase"), "status.selector": s.get("selector"),
            "status.desiredInstanceCount": s.get("desiredInstanceCount"),
            "status.currentInstanceCount": s.get("currentInstanceCount"),
            "failureReason is set": "failureReason" in s,
            "pools": [[p[key] for key in ("name", "instanceType", "priority", "modelName")]
                      for p in s.get("instancePools", [])],
            **{f"condition {c['type']}": f"{c['status']} {c['reason']}" for c in s.get("conditions", [])
               if c["type"] != "OnFallback"},
            "Deployments": sorted(d["metadata"]["name"] for d in self.deployments),
            **{f"Deployment {d['metadata']['name']}": without_counts(d) for d in self.deployments},
            "Service": made_by_us(self.service, "ports", "selector", "type"),
            "PodDisruptionBudget": made_by_us(self.budget, "maxUnavailable", "selector", "unhealthyPodEvictionPolicy"),
        }

    def told_by_pool(self):
        """What follows from the mix."""
        return {
            "condition OnFallback": self.condition("OnFallback").get("status"),
            "status.poolSummary": self.status.get("poolSummary"),
            **{f"pool {p['name']}": (p["desiredInstanceCount"], p["currentInstanceCount"])
               for p in self.status.get("instancePools", [])},
            **{f"replicas of {d['metadata']['name']}": d["spec"]["replicas"] for d in self.deployments},
        }

    def told_of_states(self):
        """What follows from it where no pool has ever been short."""
        return {f"state of pool {p['name']}": (p["state"], p.get("reason"), p.get("message"))
                for p in self.status.get("instancePools", [])}


def pool_of(d):
    return d["metadata"]["labels"][LABEL + "pool"]


def without_counts(d):
    spec = {key: value for key, value in d["spec"].items() if key != "replicas"}
    owner = [{k: o[k] for k in ("kind", "name", "controller")} for o in d["metadata"]["ownerReferences"]]
    return {"spec": spec, "labels": d["metadata"]["labels"], "owner": owner}


def made_by_us(o, *keys):
    if o is None:
        return None
    owners = [r["kind"] for r in o["metadata"].get("ownerReferences", [])]
    return {"owner": owners, "labels": o["metadata"].get("labels"), **{key: o["spec"].get(key) for key in keys}}


def look(namespace):
    return Facts(namespace.endpoint(), namespace.deployments(), namespace.pods(), namespace.service(),
                 namespace.budget())


def unsettled(f):
    """Why it is not at rest; None if it is."""
    if f.status.get("observedGeneration") != f.endpoint["metadata"]["generation"]:
        return "status.observedGeneration is old"
    for p in f.status["instancePools"]:
        if p["state"] not in RESTING:
            return f"pool {p['name']} is {p['state']} ({p.get('reason')}: {p.get('message')})"
    if f.status["phase"] not in ("InService", "Failed"):
        return f"status.phase is {f.status['phase']}"
    if f.condition("Reconciling")["status"] == "True" and f.condition("InsufficientCapacity")["status"] == "False":
        return "the condition Reconciling is True"
    for d in f.deployments:
        have = [d["status"].get(key, 0) for key in ("replicas", "readyReplicas", "updatedReplicas")]
        if have != [d["spec"]["replicas"]] * 3 or d["status"].get("observedGeneration") != d["metadata"]["generation"]:
            return f"Deployment {d['metadata']['name']} has not all replicas Ready"
    if len(f.pods) != sum(d["spec"]["replicas"] for d in f.deployments):
        return "pods are there that no Deployment asks for"
    return None


def wait_until(namespace, seconds, wrong):
    """Until wrong(facts) finds nothing and nothing has changed for a while; else AssertionError with what it found."""
    deadline, last, since = time.time() + seconds, None, 0.0
    while True:
        f = look(namespace)
        found, now = wrong(f), time.time()
        if found or f.version() != last:
            last, since = f.version(), now
        if not found and now - since >= QUIET_S:
            return f
        if now > deadline:
            raise AssertionError("\n".join(found) if found else "it never rests")
        time.sleep(PAUSE_S)


def differences(what, here, there):
    """Of two dicts (or lists, or values), in words."""
    if isinstance(here, dict) and isinstance(there, dict):
        return [line for key in sorted({*here, *there}, key=str)
                for line in differences(f"{what}.{key}" if what else str(key), here.get(key), there.get(key))]
    return [] if here == there else [f"{what}: is {here}, should be {there}"]


# The rules


def wrong_alone(f, rooms):
    """What is wrong with a new endpoint by itself, against the spec and the room that there is."""
    wanted = f.spec["instanceCount"]
    found, expected = f.mix(), fill(f.spec, wanted, rooms)
    bad = wrong_always(f, rooms)
    if all(room >= wanted for room in rooms.values()):
        bad += differences("instances of pool", found, expected)
    return bad


def wrong_always(f, rooms, kept=None):
    """What is wrong with any endpoint that has settled. A lowered maximum takes nothing of what it `kept`."""
    if why := unsettled(f):
        return [why]
    wanted, found = f.spec["instanceCount"], f.mix()
    caps = {p["name"]: max(cap(p), (kept or {}).get(p["name"], 0)) for p in pools(f.spec)}
    bad = differences("instances in all", sum(found.values()), sum(fill(f.spec, wanted, rooms, caps).values()))
    bad += differences("InsufficientCapacity", f.condition("InsufficientCapacity")["status"],
                       str(sum(found.values()) < wanted))
    by_name = {pool_of(d): d for d in f.deployments}
    bad += differences("pools with a Deployment", sorted(by_name), sorted(p["name"] for p in pools(f.spec)))
    bad += differences("Deployments", len(f.deployments), len(by_name))
    bad += differences("pools in the status", [(p["name"], p["instanceType"], p["priority"]) for p in
                                               f.status["instancePools"]],
                       [(p["name"], p["instanceType"], p["priority"]) for p in pools(f.spec)])
    for p in pools(f.spec):
        if found.get(p["name"], 0) > caps[p["name"]]:
            bad.append(f"pool {p['name']} has {found[p['name']]}, more than maxInstanceCount {p['maxInstanceCount']}")
        if p["name"] in by_name:
            bad += wrong_template(p, f.spec, by_name[p["name"]])
    return bad + has_room(f, rooms)


def wrong_template(pool, spec, deployment):
    """What the pool says of its pods."""
    pod, name = deployment["spec"]["template"]["spec"], f"pool {pool['name']}: "
    bad = differences(name + "nodeSelector", pod.get("nodeSelector"), pool.get("nodeSelector", {
        "node.kubernetes.io/instance-type": pool["instanceType"]}))
    bad += differences(name + "runtimeClassName", pod.get("runtimeClassName"), pool.get("runtimeClassName"))
    bad += [f"{name}the pods lack the toleration {t}" for t in pool.get("tolerations", [])
            if not any(t.items() <= {"operator": "Equal", **have}.items() for have in pod["tolerations"])]
    return bad


def has_room(f, rooms):
    """While some are missing no pool whose breaker is closed may have room."""
    found = f.mix()
    if sum(found.values()) >= f.spec["instanceCount"]:
        return []
    left = room_left(f, rooms)
    state = {p["name"]: p["state"] for p in f.status["instancePools"]}
    return [f"instances are missing, and pool {p['name']} ({state[p['name']]}) has room for {left[nodes_of(p)]}"
            for p in pools(f.spec) if state[p["name"]] != "BackOff" and left[nodes_of(p)] > 0
            and found[p["name"]] < cap(p)]


def room_left(f, rooms):
    """By type, whatever revision or pool has the rest."""
    left = dict(rooms)
    for pod in f.pods:
        if node := pod["spec"].get("nodeName"):
            left[node.removeprefix("node-")] -= 1
    return left


def wrong_after(f, fresh, before, rooms, ample):
    """What is wrong with an endpoint that was `before` (None: new), where a new one gives `fresh`."""
    if f.status.get("observedGeneration") != f.endpoint["metadata"]["generation"]:
        return ["status.observedGeneration is old"]
    if update_waits(f, fresh):
        return wrong_waiting(f, fresh, rooms)
    kept = before.stays(fresh) if before else {}
    bad = wrong_always(f, rooms, kept)
    if bad:
        return bad
    if any(kept.get(p["name"], 0) > cap(p) for p in pools(f.spec)):
        return wrong_objects(f, fresh)
    bad = differences("", f.told(), fresh.told())
    bad += wrong_mix(f, fresh, kept) if ample else passed_over(f, kept, rooms)
    if f.mix() == fresh.mix():
        bad += differences("", f.told_by_pool(), fresh.told_by_pool())
        if ample:
            bad += differences("", f.told_of_states(), fresh.told_of_states())
    return bad


def update_waits(f, fresh):
    """There is room for fewer than the pools may have: older instances serve on for the rest."""
    names = {d["metadata"]["name"] for d in fresh.deployments}
    older = sum(d["spec"]["replicas"] for d in f.deployments if d["metadata"]["name"] not in names)
    return older > 0 and sum(fresh.mix().values()) < min(fresh.spec["instanceCount"], sum(map(cap, pools(fresh.spec))))


def wrong_waiting(f, fresh, rooms):
    """What must be true even then."""
    ready, wanted = f.status["currentInstanceCount"], f.spec["instanceCount"]
    bad = differences("status.phase", f.status["phase"], "Updating")
    if not sum(fresh.mix().values()) <= ready <= wanted:
        bad.append(f"{ready} of {wanted} serve, a new endpoint has {sum(fresh.mix().values())}")
    return bad + wrong_objects(f, fresh) + has_room(f, rooms)


def wrong_objects(f, fresh):
    """What is so whatever the counts are."""
    told, new = f.told(), fresh.told()
    return [line for key in new if key in ("pools", "Service", "PodDisruptionBudget") or key.startswith("Deployment ")
            for line in differences(key, told.get(key), new[key])]


def wrong_mix(f, fresh, kept):
    """Nothing that serves is moved, unless rebalance is Active. So what is kept stays, and what is missing comes, or what is
    too many goes, in the order of the pools: each pool ends between what it kept and what a new endpoint has. Where no
    pool kept more than that, it ends there exactly."""
    found, new = f.mix(), fresh.mix()
    keeps = {p["name"]: kept.get(p["name"], 0) for p in pools(f.spec)}
    if moves(f.spec) or all(keeps[name] <= new[name] for name in keeps):
        return differences("instances of pool", found, new)
    return [f"pool {name} has {found[name]}, which is neither what it kept ({keeps[name]}) nor what a new endpoint has "
            f"({new[name]}), nor between" for name in keeps
            if not min(keeps[name], new[name]) <= found[name] <= max(keeps[name], new[name])]


def passed_over(f, keeps, rooms):
    """Where room is scarce, which pool was found short depends on the way. But none may have got more than it had, or have
    it still where instances are moved, while a better one whose breaker is closed has room."""
    found, bad, better = f.mix(), [], []
    states = {p["name"]: p["state"] for p in f.status["instancePools"]}
    left = room_left(f, rooms)
    for p in pools(f.spec):
        name = p["name"]
        kept = 0 if moves(f.spec) else max(keeps.get(name, 0), p.get("minInstanceCount", 0))
        bad += [f"pool {name} has {found[name]}, though the better pool {b['name']} has room" for b in better
                if b["priority"] < p["priority"] and found[name] > kept]
        if left[nodes_of(p)] > 0 and states[name] != "BackOff" and found[name] < cap(p):
            better.append(p)
    return bad


def moves(spec):
    """Whether instances are moved to better pools, soon enough for a test to see."""
    return (spec["capacity"].get("rebalance") == "Active" and spec["capacity"]["retryAfterSeconds"] <= 10
            and not any(p.get("minInstanceCount") for p in pools(spec)))
