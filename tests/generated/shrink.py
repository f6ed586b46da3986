"""The smallest case that fails: parts are taken away as long as it still does."""
import copy
from concurrent.futures import ThreadPoolExecutor

from specs import AMPLE


def shrink(case, failure, rounds, jobs, accepts, fails):
    """Gives the case and its words. In each round up to `jobs` smaller ones run side by side; fails(case, number) gives the
    words of one that fails."""
    number = 0
    for _ in range(rounds):
        smaller = [c for c in candidates(case) if all(accepts(spec) for spec in c.specs)]
        found = None
        for begin in range(0, len(smaller), jobs):
            batch = smaller[begin:begin + jobs]
            with ThreadPoolExecutor(jobs) as threads:
                words = list(threads.map(fails, batch, range(number, number + len(batch))))
            number += len(batch)
            if found := next(((c, w) for c, w in zip(batch, words, strict=True) if w), None):
                break
        if found is None:
            break
        case, failure = found
    return case, failure


def candidates(case):
    """The biggest steps first."""
    if case.trouble:
        yield but(case, trouble="")
    if case.models[0] != case.models[1]:
        yield but(case, models=(case.models[0], case.models[0]))
    if not case.ample:
        yield but(case, rooms=dict.fromkeys(case.rooms, AMPLE))
    for which in (0, 1):
        for spec in without_one_part(case.specs[which]):
            yield but(case, specs=tuple(spec if i == which else s for i, s in enumerate(case.specs)))


def but(case, **parts):
    new = copy.copy(case)
    for name, value in parts.items():
        setattr(new, name, value)
    return new


def without_one_part(spec):
    for i in range(len(spec.get("instancePools", []))):
        if len(spec["instancePools"]) > 1:
            yield {**spec, "instancePools": spec["instancePools"][:i] + spec["instancePools"][i + 1:]}
    for key in spec:
        if key not in ("modelName", "instancePools", "instanceType"):
            yield {k: v for k, v in spec.items() if k != key}
    for i, pool in enumerate(spec.get("instancePools", [])):
        for key in pool:
            if key not in ("instanceType", "priority"):
                less = [{k: v for k, v in p.items() if j != i or k != key}
                        for j, p in enumerate(spec["instancePools"])]
                yield {**spec, "instancePools": less}
