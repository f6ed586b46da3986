"""chart-values.py VALUES.YAML: the table of its values in Markdown. The comment above a value is its line there."""

import json
import sys

import yaml


def comments(text):
    """The comment above each key, by the key's path."""
    found, path, comment = {}, [], []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            comment.append(stripped.lstrip("# "))
        elif stripped and not stripped.startswith("-"):
            depth = (len(line) - len(line.lstrip())) // 2
            path = path[:depth] + [stripped.partition(":")[0]]
            if comment:
                found[".".join(path)] = " ".join(comment)
            comment = []
        else:
            comment = []
    return found


def leaves(value, path=()):
    if isinstance(value, dict) and value:
        for key in value:
            yield from leaves(value[key], (*path, key))
    else:
        yield ".".join(path)


def lookup(values, path):
    for key in path.split("."):
        values = values[key]
    return values


def main(file):
    with open(file, encoding="utf-8") as f:
        text = f.read()
    values, said = yaml.safe_load(text), comments(text)
    silent = [leaf for leaf in leaves(values)
              if not any(leaf == path or leaf.startswith(path + ".") for path in said)]
    if silent:
        sys.exit(f"{file}: no comment above {', '.join(silent)}")
    print("| value | default | |")
    print("|---|---|---|")
    for path, comment in said.items():
        print(f"| `{path}` | `{json.dumps(lookup(values, path))}` | {comment.replace('|', chr(92) + '|')} |")


if __name__ == "__main__":
    main(sys.argv[1])
