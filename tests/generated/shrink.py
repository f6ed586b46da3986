"""The smallest case that fails: parts are taken away as long as it still does."""
import copy
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice

from specs import AMPLE

TOGETHER = 6  # parts, each tried alone and side by side


def shrink(case, failure, rounds, accepts, fails):
    """Gives the case and its words. In each round some parts are taken away, each alone, and then together all those
    without which it still fails. fails(case, number) gives the words of a case that fails."""
    numbers, tried = count(), set()
    for _ in range(rounds):
        batch = list(islice(untried(case, tried, accepts), TOGETHER))
        with ThreadPoolExecutor(TOGETHER) as threads:
            words = list(threads.map(fails, [take(case) for take in batch], numbers))
        needless = [(take, w) for take, w in zip(batch, words, strict=True) if w]
        if not needless:
            continue
        together = case
        for take, _ in needless:
            together = take(together)
        if len(needless) > 1 and (w := all(map(accepts, together.specs)) and fails(together, next(numbers))):
            case, failure = together, w
        else:
            case, failure = needless[0][0](case), needless[0][1]
    return case, failure


def untried(case, tried, accepts):
    for name, take in parts(case):
        smaller = take(case)
        if name not in tried and smaller != case and all(map(accepts, smaller.specs)):
            tried.add(name)
            yield take


def parts(case):
    """(name, what takes it away from a case), the biggest first."""
    yield "trouble", lambda c: but(c, trouble="")
    yield "models", lambda c: but(c, models=(c.models[0], c.models[0]))
    yield "shortage", lambda c: but(c, rooms=dict.fromkeys(c.rooms, AMPLE))
    for which in (0, 1):
        for pool in case.specs[which].get("instancePools", []):
            yield (which, ident(pool)), lambda c, w=which, p=ident(pool): in_spec(c, w, lambda s: drop_pool(s, p))
    for which in (0, 1):
        for key in case.specs[which]:
            if key not in ("modelName", "instancePools", "instanceType"):
                yield (which, key), lambda c, w=which, k=key: in_spec(c, w, lambda s: s.pop(k, None))
        for pool in case.specs[which].get("instancePools", []):
            for key in pool:
                if key not in ("name", "instanceType", "priority"):
                    yield (which, ident(pool), key), lambda c, w=which, p=ident(pool), k=key: in_spec(
                        c, w, lambda s: [pool.pop(k, None) for pool in s.get("instancePools", []) if ident(pool) == p])


def ident(pool):
    return pool.get("name"), pool["instanceType"]


def but(case, **changed):
    new = copy.copy(case)
    for name, value in changed.items():
        setattr(new, name, value)
    return new


def in_spec(case, which, change):
    specs = copy.deepcopy(case.specs)
    change(specs[which])
    return but(case, specs=specs)


def drop_pool(spec, pool):
    rest = [p for p in spec["instancePools"] if ident(p) != pool]
    if rest:
        spec["instancePools"] = rest
