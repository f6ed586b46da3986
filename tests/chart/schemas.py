"""schemas.py FOLDER GROUP...: a strict JSON schema for each kind that the API server of kubectl has, for kubeconform.

Waits until it has kinds of each GROUP: a CustomResourceDefinition is in its OpenAPI document some time after it is served.
"""

import json
import pathlib
import subprocess
import sys
import time

PREFIX = "#/components/schemas/"


def raw(path):
    return json.loads(subprocess.run(["kubectl", "get", "--raw", path], check=True, stdout=subprocess.PIPE).stdout)


def paths_of(groups):
    """The paths of the documents, by group and version, when all of these groups have some."""
    deadline = time.monotonic() + 60
    while True:
        paths = {path: about["serverRelativeURL"] for path, about in raw("/openapi/v3")["paths"].items()}
        missing = [g for g in groups if not any(path.startswith(f"apis/{g}/") for path in paths)]
        if not missing:
            return paths
        if time.monotonic() > deadline:
            sys.exit(f"schemas: the API server's OpenAPI has nothing of {', '.join(missing)}")
        time.sleep(0.5)


def strict(schema):
    """The schema with local references, and without fields that it does not know."""
    if isinstance(schema, list):
        return [strict(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": "#/definitions/" + schema["$ref"][len(PREFIX):]}
    kept = {k: strict(v) for k, v in schema.items()
            if k not in ("description", "default", "example", "properties") and not k.startswith("x-kubernetes")}
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-embedded-resource")
    if "properties" in schema:
        # Some have the name of a keyword.
        kept["properties"] = {k: strict(v) for k, v in schema["properties"].items()}
        if not open_ended and "additionalProperties" not in schema:
            kept["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        kept.pop("type", None)
        kept.pop("anyOf", None)
        kept["type"] = ["integer", "string"]
    return kept


def reachable(name, schemas):
    found, todo = {}, [name]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found[name] = strict(schemas[name])
        todo += references(found[name])
    return found


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"][len("#/definitions/"):]
        for v in value.values():
            yield from references(v)
    elif isinstance(value, list):
        for v in value:
            yield from references(v)


def write(folder, document):
    schemas = document.get("components", {}).get("schemas", {})
    for name, schema in schemas.items():
        kinds = schema.get("x-kubernetes-group-version-kind", [])
        if len(kinds) != 1:
            continue  # DeleteOptions and the like, which each group has
        group, version, kind = kinds[0]["group"], kinds[0]["version"], kinds[0]["kind"]
        definitions = reachable(name, schemas)
        whole = definitions[name] | {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "required": sorted({"apiVersion", "kind"} | set(definitions[name].get("required", []))),
            "definitions": definitions}
        path = folder / f"{group or version}_{version}_{kind.lower()}.json"
        path.write_text(json.dumps(whole, sort_keys=True), encoding="utf-8")


def main(folder, groups):
    folder = pathlib.Path(folder)
    for url in paths_of(groups).values():
        if "/apis/" in url or "/api/" in url:
            write(folder, raw(url))
    print(f"schemas: {len(list(folder.iterdir()))} kinds", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
