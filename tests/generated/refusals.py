"""All that the CRD's schema forbids is tried once, on a spec that has every field. Every rule must be broken by something,
so a rule that comes later and that nothing here breaks is told."""
import schema
from case import check_refused
from schema import OMIT
from world import Refused

EVERYTHING = {
    "instanceCount": 1, "instancePools[].name": "a", "instancePools[].minInstanceCount": 1,
    "instancePools[].maxInstanceCount": 2, "modelName": "model", "instancePools[].modelNameOverride": "model",
    "instancePools[].instanceType": "ml.p5", "instancePools[].runtimeClassName": "nvidia",
    "instancePools[].nodeSelector": {"zone": "a"}, "instanceType": OMIT,
    "capacity.retryAfterSeconds": 10, "capacity.maxRetryAfterSeconds": 60,
}
# Rules about more than one field: what breaks them, and the field that the refusal must name.
TOGETHER = [
    (("spec",), "neither instanceType nor instancePools", lambda s: s.pop("instancePools")),
    (("spec",), "both instanceType and instancePools", lambda s: s.update(instanceType="p5")),
    (("spec", "instancePools"), "two pools of one name", lambda s: s["instancePools"].append(s["instancePools"][0])),
    (("spec", "instancePools", 0), "minimum above maximum", lambda s: s["instancePools"][0].update(minInstanceCount=3)),
    (("spec", "capacity"), "pause above the longest", lambda s: s["capacity"].update(retryAfterSeconds=61)),
    (("spec", "instancePools", 0, "nodeSelector"), "no label", lambda s: s["instancePools"][0].update(
        nodeSelector={"-no!": "a"})),
]


def check(namespace):
    """AssertionError with all that is accepted, or refused without a name. Gives how many refusals there were."""
    whole = schema.load("instancepoolendpoints")
    part = whole["properties"]["spec"]
    spec = schema.everything(part, EVERYTHING)
    if (refusal := namespace.refusal(spec)) is not None:
        raise AssertionError(f"the spec with every field is refused, does EVERYTHING miss one? {refusal}")
    bad, said = [], []
    for path, what, wrong in [*schema.faults(part, spec, ("spec",)), *together(spec)]:
        try:
            said.append(check_refused(namespace, {"spec": spec}, path, what, wrong, "&dryRun=All"))
        except AssertionError as e:
            bad.append(str(e))
    try:
        namespace.apply("InstancePoolEndpoint", "instancepoolendpoints", "no.label", spec, "&dryRun=All")
        bad.append("the name of an endpoint may be one that a Service cannot have")
    except Refused as e:
        said.append(str(e))
    bad += [f"nothing here breaks the rule {rule!r}: add to TOGETHER what does" for rule in sorted(schema.rules(whole))
            if not any(rule in " ".join(words.split()) for words in said)]
    if bad:
        raise AssertionError("\n".join(bad))
    return len(said)


def together(spec):
    for path, what, spoil in TOGETHER:
        wrong = schema.changed(spec, (), spec)
        spoil(wrong)
        for step in path[1:]:
            wrong = wrong[step]
        yield path, what, wrong
