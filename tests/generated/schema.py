"""Values that a CRD's schema allows, and values that it does not, by a walk over the schema."""
import copy
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
OMIT, DRAWN = object(), object()  # what an override gives for a field that stays away, or is drawn from the schema
OPTIONAL = 0.35  # how often a field that need not be there is
UNKNOWN = "generated"  # a field that no schema has


def load(plural):
    """The schema of a kind, from crds/."""
    path = ROOT / f"crds/inference.instancepool.dev_{plural}.yaml"
    crd = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def rules(schema):
    """The messages of all its CEL rules."""
    found = {" ".join(r["message"].split()) for r in schema.get("x-kubernetes-validations", [])}
    for part in [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]:
        if isinstance(part, dict):
            found |= rules(part)
    return found


# What is allowed


def draw(schema, random, overrides, path=""):
    """A value. `overrides` says by path ("instancePools[].name") what the schema cannot: a function of `random`."""
    if path in overrides and (value := overrides[path](random)) is not DRAWN:
        return value
    if "enum" in schema:
        return random.choice(schema["enum"])
    return DRAW[schema["type"]](schema, random, overrides, path)


def draw_object(schema, random, overrides, path):
    if "properties" not in schema:
        return {word(random): draw(schema["additionalProperties"], random, overrides, path + "{}")
                for _ in range(random.randint(schema.get("minProperties", 0), 2))}
    value = {}
    for name, part in schema["properties"].items():
        below = f"{path}.{name}" if path else name
        if below in overrides or name in schema.get("required", []) or random.random() < OPTIONAL:
            value[name] = draw(part, random, overrides, below)
    return {name: part for name, part in value.items() if part is not OMIT}


def draw_array(schema, random, overrides, path):
    least = schema.get("minItems", 0)
    length = random.randint(least, min(least + 3, schema.get("maxItems", least + 3)))
    return [draw(schema["items"], random, overrides, path + "[]") for _ in range(length)]


def draw_integer(schema, random, _overrides, _path):
    low, high = schema.get("minimum", 0), schema.get("maximum", 2**31 - 1)
    return random.choice([low, high, random.randint(low, high)])


def draw_string(schema, random, _overrides, _path):
    if schema.get("format") == "date-time":
        return f"2026-{random.randint(1, 12):02}-{random.randint(1, 28):02}T{random.randint(0, 23):02}:00:00Z"
    return word(random)[:schema.get("maxLength")]


def word(random):
    return random.choice("abcxyz") + str(random.randint(0, 99))


DRAW = {"object": draw_object, "array": draw_array, "integer": draw_integer, "string": draw_string,
        "boolean": lambda _schema, random, _overrides, _path: random.random() < 0.5}


def everything(schema, overrides, path=""):
    """A value in which nothing is left out."""
    if path in overrides:
        return overrides[path]
    if "enum" in schema:
        return schema["enum"][0]
    if "properties" in schema:
        parts = {name: everything(part, overrides, f"{path}.{name}" if path else name)
                 for name, part in schema["properties"].items()}
        return {name: part for name, part in parts.items() if part is not OMIT}
    if schema["type"] == "object":
        return {"key": everything(schema["additionalProperties"], overrides, path + "{}")}
    if schema["type"] == "array":
        return [everything(schema["items"], overrides, path + "[]")]
    return {"integer": schema.get("minimum", 0), "boolean": True,
            "string": "2026-01-01T00:00:00Z" if schema.get("format") == "date-time" else "a"}[schema["type"]]


# What is not


def faults(schema, value, path=()):
    """(path, what is wrong, the wrong value) for each way to break one word of the schema where `value` is; a path is a
    tuple of names and indices."""
    def fault(what, wrong):
        return path, what, wrong

    kind = schema.get("type")
    yield fault("type", 7 if kind == "string" else "text")
    if "x-kubernetes-validations" in schema and kind == "string":
        yield fault("rule", "-no!")
    if "enum" in schema:
        yield fault("enum", "Nonsense")
    if kind == "string" and "maxLength" in schema:
        yield fault("maxLength", "a" * (schema["maxLength"] + 1))
    if schema.get("format") == "date-time":
        yield fault("format", "yesterday")
    if "minimum" in schema:
        yield fault("minimum", schema["minimum"] - 1)
    if "maximum" in schema:
        yield fault("maximum", schema["maximum"] + 1)
    if kind == "array":
        yield from faults_array(schema, value, path)
    if kind == "object":
        yield from faults_object(schema, value, path)


def faults_array(schema, value, path):
    if schema.get("minItems", 0) > 0:
        yield path, "minItems", []
    if value and "maxItems" in schema:
        yield path, "maxItems", [value[0]] * (schema["maxItems"] + 1)
    if value:
        yield from faults(schema["items"], value[0], (*path, 0))


def faults_object(schema, value, path):
    for name in schema.get("required", []):
        yield (*path, name), "required", OMIT
    if "additionalProperties" in schema:
        if schema.get("minProperties", 0) > 0:
            yield path, "minProperties", {}
        if "maxProperties" in schema:
            yield path, "maxProperties", {f"k{i}": "" for i in range(schema["maxProperties"] + 1)}
        for key in list(value)[:1]:
            yield from faults(schema["additionalProperties"], value[key], (*path, key))
        return
    if not schema.get("x-kubernetes-preserve-unknown-fields"):
        yield (*path, UNKNOWN), "unknown field", "text"
    for name, part in value.items():
        yield from faults(schema["properties"][name], part, (*path, name))


def changed(value, path, new):
    """A copy with the part at `path` replaced, or taken away (OMIT)."""
    if not path:
        return copy.deepcopy(new)
    value = copy.deepcopy(value)
    at = value
    for step in path[:-1]:
        at = at[step]
    if new is OMIT:
        del at[path[-1]]
    else:
        at[path[-1]] = copy.deepcopy(new)
    return value


def shown(path):
    """As the API server writes it: spec.instancePools[0].priority."""
    return "".join(f"[{step}]" if isinstance(step, int) else "." + step for step in path).lstrip(".")
