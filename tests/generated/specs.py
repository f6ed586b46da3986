"""What a case is made of: two specs, the Models, the nodes, and what goes wrong in between. Instance types are type0, ...
here; a running case has types of its own for them."""
import copy
import json
import random as randomness
from dataclasses import dataclass

import schema
import yaml
from schema import DRAWN, OMIT

NAME = "llm"  # of the endpoint
TYPES = ("type0", "type1", "type2")
TYPE_LABEL = "instancepool.dev/generated"  # of a node, besides the usual one
RUNTIME_CLASS = "generated"  # there is one
MODELS = ("model-a", "model.b")
AMPLE = 20  # instances that a type has nodes for: more than any case asks for
TROUBLES = ("missing Model", "refused template", "refused toleration", "missing RuntimeClass", "Service taken",
            "Deployment taken")


def maybe(chance, *choices):
    return lambda random: random.choice(choices) if random.random() < chance else OMIT


def a_type(random):
    return random.choice(("", "", "ml.")) + random.choice(TYPES)


def a_toleration(random):
    t = {"key": schema.word(random)}
    if random.random() < 0.5:
        t["operator"] = "Exists"
    else:
        t["value"] = schema.word(random)
    t["effect"] = random.choice(("NoSchedule", "NoExecute", "PreferNoSchedule"))
    if t["effect"] == "NoExecute" and random.random() < 0.5:
        t["tolerationSeconds"] = random.randint(0, 3600)
    return t


# By path, what the schema cannot know: which types, Models and classes exist, counts that a small cluster can hold, and
# times that a test can wait for. All else is drawn from the schema alone.
OVERRIDES = {
    "modelName": lambda random: random.choice(MODELS),
    "instanceCount": maybe(0.9, 0, 1, 2, 3, 4, 5),
    "instanceType": lambda random: a_type(random) if random.random() < 0.15 else OMIT,
    "instancePools": maybe(0.9, DRAWN),
    "instancePools[].name": maybe(0.7, "a", "b", "c", "d"),
    "instancePools[].instanceType": a_type,
    "instancePools[].priority": lambda random: random.choice((1, 1, 2, 3, 1000)),
    "instancePools[].modelNameOverride": maybe(0.3, *MODELS),
    "instancePools[].minInstanceCount": maybe(0.15, 0, 1, 2),
    "instancePools[].maxInstanceCount": maybe(0.35, 1, 2, 3, 4, 5),
    "instancePools[].nodeSelector": maybe(0.15, *({TYPE_LABEL: t} for t in TYPES)),
    "instancePools[].tolerations[]": a_toleration,
    "instancePools[].runtimeClassName": maybe(0.15, RUNTIME_CLASS),
    "instanceProvisionTimeoutSeconds": maybe(0.5, 0, 15, 30, 1200),
    "capacity.retryAfterSeconds": maybe(0.7, 10, 60, 3600),
    "capacity.maxRetryAfterSeconds": maybe(0.4, 60, 3600, 86400),
}
# Where a pool may be short the test has to wait until it is asked again.
SCARCE = {**OVERRIDES, "capacity": lambda random: {"retryAfterSeconds": 10, "maxRetryAfterSeconds": 10,
                                                   "rebalance": random.choice(("Passive", "Active"))}}


@dataclass
class Case:
    label: str
    rooms: dict  # type -> for how many instances there are nodes
    models: tuple  # of S1 and of S2: name -> spec
    specs: tuple  # S1, S2
    trouble: str  # of TROUBLES, or none
    refused: list  # which faults of S1 are tried on the living endpoint, as fractions of all

    @property
    def ample(self):
        return all(room == AMPLE for room in self.rooms.values())

    def title(self):
        counts = [f"{len(pools(s))} pools x {s.get('instanceCount', 'unset')}" for s in self.specs]
        return f"{'ample' if self.ample else 'scarce'}, {' -> '.join(counts)}, {self.trouble or 'no trouble'}"

    def shown(self, failure):
        """For whoever has to find out why it failed."""
        parts = {"S1": self.specs[0], "S2": self.specs[1], "models of S1": self.models[0]}
        if self.models[1] != self.models[0]:
            parts["models of S2"] = self.models[1]
        parts |= {"nodes for": self.rooms, "trouble": self.trouble or "none"}
        text = "the smallest found that fails:\n" + yaml.safe_dump(parts, sort_keys=False) + failure
        return "    " + text.replace("\n", "\n    ")


def draw_case(seed, index, accepts):
    """`accepts(spec)` asks the API server; what it refuses is drawn again."""
    random = randomness.Random(f"{seed}/{index}")
    rooms, overrides = dict.fromkeys(TYPES, AMPLE), OVERRIDES
    if random.random() < 0.35:
        rooms, overrides = {t: random.randint(0, 3) for t in TYPES}, SCARCE
    first = draw_models(random)
    second = first if random.random() < 0.6 else draw_models(random)
    s1, s2 = draw_spec(random, overrides, accepts), draw_spec(random, overrides, accepts)
    if random.random() < 0.6:
        s2 = edited(s1, s2, random, accepts)
    return Case(f"{seed}/{index}", rooms, (first, second), (s1, s2), TROUBLES[index % len(TROUBLES)],
                [random.random() for _ in range(3)])


def draw_spec(random, overrides, accepts):
    part = schema.load("instancepoolendpoints")["properties"]["spec"]
    return accepted(lambda: one_way(schema.draw(part, random, overrides), random), accepts)


def one_way(spec, random):
    """Mostly what most people write: few specs with both a type and pools."""
    if "instanceType" in spec and random.random() < 0.9:
        spec.pop("instancePools", None)
    return spec


def edited(spec, other, random, accepts):
    """The spec with a few parts of another."""
    def edit():
        new = copy.deepcopy(spec)
        for _ in range(random.randint(1, 3)):
            edit_once(new, copy.deepcopy(other), random)
        return new

    return accepted(edit, accepts)


def edit_once(spec, other, random):
    both = spec.get("instancePools"), other.get("instancePools")
    if all(both) and random.random() < 0.6:
        pool, new = random.choice(both[0]), random.choice(both[1])
        key = random.choice(sorted({*pool, *new}))
        take(pool, new, key)
        if random.random() < 0.3:
            random.shuffle(both[0])
    else:
        key = random.choice(sorted({*spec, *other}))
        if key in ("instanceType", "instancePools"):
            take(spec, other, "instanceType")
            take(spec, other, "instancePools")
        else:
            take(spec, other, key)


def take(value, other, key):
    if key in other:
        value[key] = copy.deepcopy(other[key])
    else:
        value.pop(key, None)


def accepted(make, accepts):
    for _ in range(300):
        value = make()
        if accepts(value):
            return value
    raise RuntimeError("the API server refuses all that is drawn from the schema: does specs.OVERRIDES miss a field?")


def draw_models(random):
    part = schema.load("models")["properties"]["spec"]["properties"]["server"]
    overrides = {"port": lambda r: r.choice((OMIT, 1, 9000, 65535)), "healthPath": maybe(0.3, "/health"),
                 "metricsPath": maybe(0.3, "/m")}
    return {name: model_spec(schema.draw(part, random, overrides), f"example/llm:{random.randint(1, 3)}",
                             schema.word(random)) for name in MODELS}


def model_spec(server, image, setting):
    """Its instances need one GPU, and end at once."""
    return {"server": server, "template": {"spec": {"containers": [{
        "name": "server", "image": image, "env": [{"name": "SETTING", "value": setting}],
        "resources": {"limits": {"nvidia.com/gpu": 1}}}]}}}


# What a spec means


def pools(spec):
    """The pools, by priority; those of equal priority in the order of the list. With their names."""
    listed = spec.get("instancePools") or [{"instanceType": spec["instanceType"], "priority": 1}]
    named = [{**p, "instanceType": bare(p["instanceType"]),
              "name": p.get("name") or bare(p["instanceType"]).lower().replace(".", "-")} for p in listed]
    return sorted(named, key=lambda p: p["priority"])


def bare(instance_type):
    return instance_type.removeprefix("ml.")


def nodes_of(pool):
    """The type whose nodes it gets."""
    return pool.get("nodeSelector", {}).get(TYPE_LABEL, pool["instanceType"])


def cap(pool):
    return pool.get("maxInstanceCount", 10_000)


def fill(spec, count, rooms, caps=None):
    """What each pool of a new endpoint gets: first as far as the minimums say, then as far as the maximums allow (or `caps`,
    by name)."""
    left, got = dict(rooms), {p["name"]: 0 for p in pools(spec)}
    for limit in (lambda p: p.get("minInstanceCount", 0), lambda p: (caps or {}).get(p["name"], cap(p))):
        for p in pools(spec):
            n = max(0, min(limit(p) - got[p["name"]], count - sum(got.values()), left[nodes_of(p)]))
            got[p["name"]] += n
            left[nodes_of(p)] -= n
    return got


def with_types(value, types):
    """type0, ... replaced by a running case's own types."""
    text = json.dumps(value)
    for symbol, name in types.items():
        text = text.replace(symbol, name)
    return json.loads(text)
