"""What scripted_server.py knows of an API server: objects by path with versions, merge patches with conditions,
deletes, lists (in one page) and watches, which begin with the objects (sendInitialEvents) or after a version."""
import asyncio
import json
import re
from urllib.parse import parse_qs

PATH = re.compile(r"(.*/namespaces/([^/]+)/[^/]+)(?:/([^/]+))?")


def failure(code, reason):
    return code, {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": "no"}


def merge(target, patch):
    """RFC 7386."""
    merged = dict(target)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = merge(merged.get(key) or {}, value)
        else:
            merged[key] = value
    return merged


class Store:
    def __init__(self, objects):
        self.objects = {}  # by collection and name
        self.changes = []  # (collection, event); the version is the place, counted from 1
        self.news = asyncio.Event()
        for collection, initial in objects.items():
            for value in initial:
                self.put("ADDED", collection, value["metadata"]["name"], value)

    def put(self, kind, collection, name, value):
        version = str(len(self.changes) + 1)
        namespace = PATH.fullmatch(collection)[2]
        meta = {"uid": f"uid-{version}"} | value["metadata"] | {"namespace": namespace, "resourceVersion": version}
        value = value | {"metadata": meta}
        self.objects[collection, name] = value
        if kind == "DELETED":
            del self.objects[collection, name]
        self.changes.append((collection, {"type": kind, "object": value}))
        self.news.set()
        self.news = asyncio.Event()
        return value

    def carry_out(self, method, path, body):
        """Status and object; or, of a watch, the lines as they come."""
        path, _, query = path.partition("?")
        query = parse_qs(query)
        match = PATH.fullmatch(path)
        if not match:
            return failure(404, "NotFound")
        collection, _, name = match.groups()
        value = json.loads(body) if body else {}
        if method == "GET" and not name:
            return self.list_or_watch(collection, query)
        if method == "POST":
            name = value["metadata"]["name"]
            if (collection, name) in self.objects:
                return failure(409, "AlreadyExists")
            return 201, self.put("ADDED", collection, name, value)
        known = self.objects.get((collection, name))
        if known is None:
            return failure(404, "NotFound")
        if method == "PATCH":
            return self.patch(collection, name, known, value)
        if method == "DELETE":
            return 200, self.put("DELETED", collection, name, known)
        return 200, known

    def patch(self, collection, name, known, patch):
        condition = patch.get("metadata", {}).get("resourceVersion")
        if condition not in (None, known["metadata"]["resourceVersion"]):
            return failure(409, "Conflict")
        merged = merge(known, patch)
        return 200, known if merged == known else self.put("MODIFIED", collection, name, merged)

    def list_or_watch(self, collection, query):
        items = [value for (where, _), value in self.objects.items() if where == collection]
        meta = {"resourceVersion": str(len(self.changes))}
        if "watch" not in query:
            return 200, {"metadata": meta, "items": items}
        lines, since = [], len(self.changes)
        if "sendInitialEvents" in query:
            lines = [{"type": "ADDED", "object": value} for value in items]
            meta["annotations"] = {"k8s.io/initial-events-end": "true"}
            lines.append({"type": "BOOKMARK", "object": {"metadata": meta}})
        else:
            since = int(query["resourceVersion"][0])
        return 200, self.watch(collection, lines, since)

    async def watch(self, collection, lines, since):
        while True:
            lines += [event for where, event in self.changes[since:] if where == collection]
            since, news = len(self.changes), self.news
            for line in lines:
                yield json.dumps(line, separators=(",", ":")).encode() + b"\n"
            lines = []
            await news.wait()
