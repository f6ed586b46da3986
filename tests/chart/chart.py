"""The chart, rendered, and the tools that look at it."""

import functools
import os
import pathlib
import subprocess

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/instancepool-operator"
VALUES = ROOT / "tests/chart/values"
NAME, NAMESPACE = "instancepool-operator", "instancepool-system"
CLUSTER_SCOPED = {"Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "PriorityClass"}


def run(program, *arguments, text=None):
    """Exit status and what it printed; of what it printed to stderr only when it failed."""
    done = subprocess.run([os.environ[program], *map(str, arguments)], input=text, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, encoding="utf-8", cwd=ROOT)
    return done.returncode, done.stdout + (done.stderr if done.returncode else "")


@functools.cache
def template(values, *arguments, chart=CHART, release=NAME, namespace=NAMESPACE):
    """What `helm template` makes of a file of values/ (its name) and more arguments: (exit status, output)."""
    file = ("--values", VALUES / f"{values}.yaml") if values else ()
    return run("HELM", "template", release, chart, "--namespace", namespace,
               "--kube-version", os.environ["KUBE_VERSION"], *file, *arguments)


def rendered(values, *arguments, **more):
    """Its objects."""
    status, output = template(values, *arguments, **more)
    if status:
        raise AssertionError(output)
    return [o for o in yaml.safe_load_all(output) if o]


def of_kind(objects, *kinds):
    return [o for o in objects if o["kind"] in kinds]


def one(objects, kind):
    found = of_kind(objects, kind)
    assert len(found) == 1, f"{len(found)} objects of kind {kind}"
    return found[0]


def in_release(objects):
    """Without the hooks."""
    return [o for o in objects if "helm.sh/hook" not in o["metadata"].get("annotations", {})]


def granted(objects, *kinds):
    """{(namespace, group, resource, name): verbs} of these Roles or ClusterRoles."""
    rights = {}
    for role in of_kind(objects, *kinds):
        for rule in role["rules"]:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    for name in rule.get("resourceNames", [""]):
                        key = (role["metadata"].get("namespace", ""), group, resource, name)
                        rights.setdefault(key, set()).update(rule["verbs"])
    return rights


def kubeconform(*files, text=None):
    location = os.path.join(os.environ["SCHEMAS"], "{{.Group}}_{{.ResourceAPIVersion}}_{{.ResourceKind}}.json")
    return run("KUBECONFORM", "-strict", "-schema-location", location, *(files or ("-",)), text=text)


def kube_score(*files, text=None):
    version = ".".join(os.environ["KUBE_VERSION"].split(".")[:2])
    # No limit of CPU: values.yaml says why.
    return run("KUBE_SCORE", "score", "--kubernetes-version", version, "--output-format", "ci", "--ignore-container-cpu-limit",
               *(files or ("-",)), text=text)


def checkov(*files):
    arguments = [word for file in files for word in ("--file", file)]
    return run("CHECKOV", "--config-file", CHART / ".checkov.yaml", *arguments)


def each_values(test):
    """Decorates a method test(self, values): one for each file of values/. Needs @expanded at its class."""
    test.each_values = True
    return test


def expanded(cls):
    for name, test in list(vars(cls).items()):
        if getattr(test, "each_values", False):
            delattr(cls, name)
            for file in sorted(VALUES.glob("*.yaml")):
                def bound(self, test=test, values=file.stem):
                    test(self, values)
                setattr(cls, f"{name}[{file.stem}]", bound)
    return cls
