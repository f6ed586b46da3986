"""The cluster as the cases see it: namespaces, nodes, what is applied, what is there."""
import json
import time
from urllib.parse import quote

from api import GROUP
from specs import NAME, RUNTIME_CLASS, TYPE_LABEL

APPLY = "application/apply-patch+yaml"
LABEL = "inference.instancepool.dev/"
SELECTOR = "labelSelector=" + quote(f"{LABEL}endpoint={NAME}")
PAUSE_S = 0.5  # between looks


class Refused(Exception):
    """The API server's words, and the fields that it names."""

    def __init__(self, status):
        super().__init__(status.get("message", ""))
        self.code = status.get("code")
        self.fields = [c.get("field", "") for c in status.get("details", {}).get("causes", [])]


class World:
    def __init__(self, api):
        self.api = api

    def call(self, method, path, body=None, content_type="application/json"):
        status, text = self.api.try_call(method, path, body, content_type)
        answer = json.loads(text)
        if status >= 300:
            raise Refused(answer)
        return answer

    def find(self, path):
        """The object, or None."""
        try:
            return self.call("GET", path)
        except Refused as e:
            if e.code != 404:
                raise
            return None

    def delete(self, path):
        try:
            self.call("DELETE", path)
        except Refused as e:
            if e.code != 404:
                raise

    def make(self, path, body):
        try:
            self.call("POST", path, body)
        except Refused as e:
            if e.code != 409:
                raise

    # Nodes: each type has one, with as many GPUs as instances find room.

    def add_node(self, instance_type, room):
        room = {"cpu": "192", "memory": "2Ti", "pods": "110", "nvidia.com/gpu": str(room)}
        self.call("POST", "/api/v1/nodes", {
            "metadata": {"name": "node-" + instance_type, "annotations": {"kwok.x-k8s.io/node": "fake"},
                         "labels": {"type": "kwok", "node.kubernetes.io/instance-type": instance_type,
                                    TYPE_LABEL: instance_type}},
            "spec": {"taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]},
            "status": {"capacity": room, "allocatable": room}})

    def node_ready(self, instance_type):
        node = self.call("GET", "/api/v1/nodes/node-" + instance_type)
        taints = [t["key"] for t in node["spec"].get("taints", [])]
        return "node.kubernetes.io/not-ready" not in taints and any(
            c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", []))

    def remove_node(self, instance_type):
        self.delete("/api/v1/nodes/node-" + instance_type)

    def add_runtime_class(self):
        self.make("/apis/node.k8s.io/v1/runtimeclasses", {"metadata": {"name": RUNTIME_CLASS}, "handler": "generated"})


class Namespace:
    """One endpoint and its Models."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.own, self.core = f"{GROUP}/namespaces/{name}/", f"/api/v1/namespaces/{name}/"
        self.apps, self.policy = f"/apis/apps/v1/namespaces/{name}/", f"/apis/policy/v1/namespaces/{name}/"
        self.endpoint_path = f"{self.own}instancepoolendpoints/{NAME}"
        world.make("/api/v1/namespaces", {"metadata": {"name": name}})
        until(30, "the ServiceAccount of a new namespace", lambda: world.find(self.core + "serviceaccounts/default"))

    def apply(self, kind, plural, name, spec, options=""):
        """As `kubectl apply --server-side` does: what an earlier one said and this one does not goes away."""
        return self.world.call("PATCH", f"{self.own}{plural}/{name}?fieldManager=user&force=true&fieldValidation=Strict"
                               + options, {"apiVersion": "inference.instancepool.dev/v1alpha1", "kind": kind,
                                           "metadata": {"name": name}, "spec": spec}, APPLY)

    def apply_endpoint(self, spec, options=""):
        return self.apply("InstancePoolEndpoint", "instancepoolendpoints", NAME, spec, options)

    def apply_models(self, models):
        for name, spec in models.items():
            self.apply("Model", "models", name, spec)

    def refusal(self, spec):
        """What the API server says to it; None if it would take it. Nothing is changed."""
        try:
            self.apply_endpoint(spec, "&dryRun=All")
            return None
        except Refused as e:
            return e

    def endpoint(self):
        return self.world.call("GET", self.endpoint_path)

    def deployments(self):
        return self.world.call("GET", f"{self.apps}deployments?{SELECTOR}")["items"]

    def pods(self):
        return [p for p in self.world.call("GET", f"{self.core}pods")["items"]
                if "deletionTimestamp" not in p["metadata"]]

    def service(self):
        return self.world.find(f"{self.core}services/{NAME}")

    def budget(self):
        return self.world.find(f"{self.policy}poddisruptionbudgets/{NAME}")

    def empty(self):
        """The endpoint is deleted, and what it owned follows."""
        self.world.delete(self.endpoint_path)
        until(90, f"what the endpoint in {self.name} owned to go", lambda: not (
            self.deployments() or self.world.call("GET", f"{self.core}pods")["items"] or self.service()))

    def remove(self):
        self.world.delete(f"/api/v1/namespaces/{self.name}")


def until(seconds, what, test):
    deadline = time.time() + seconds
    while not test():
        if time.time() > deadline:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(PAUSE_S)
