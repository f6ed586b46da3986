"""Endpoints to which things happen at random, and whether all is well with them."""
from api import GROUP, MERGE, is_settled
from objects import INSTANCES, PER_POOL, endpoint, model, name_of, pools

NAMESPACE = "soak"
PER_MODEL = 5  # endpoints; a changed Model is rolled out to that many


class Fleet:
    def __init__(self, api, size, random):
        """`random` decides, so that the same seed gives the same events."""
        self.api, self.random = api, random
        self.path = f"{GROUP}/namespaces/{NAMESPACE}/instancepoolendpoints"
        self.models_path = f"{GROUP}/namespaces/{NAMESPACE}/models"
        self.counts = {name_of(i): self.any_count() for i in range(size)}
        self.model_of = {name: f"llm-{i // PER_MODEL}" for i, name in enumerate(self.counts)}
        self.settings = {name: "0" for name in self.model_of.values()}  # of a Model: the environment variable SETTING_0

    def any_count(self):
        return self.random.randint(0, INSTANCES)

    def create(self):
        self.api.call("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        self.api.many(("POST", self.models_path, model(name, {"SETTING_0": value}))
                      for name, value in self.settings.items())
        self.api.many(("POST", self.path, self.object(name)) for name in self.counts)

    def object(self, name):
        return endpoint(name, self.counts[name], pools(), self.model_of[name])

    # What happens

    def event(self):
        """One of them."""
        kinds = {self.scale: 12, self.scale_to_zero: 2, self.make_anew: 3, self.change_model: 1,
                 self.change_priorities: 2}
        kind = self.random.choices(list(kinds), list(kinds.values()))[0]
        kind(self.random.choice(list(self.counts)))

    def scale(self, name):
        self.scale_to(name, self.any_count())

    def scale_to_zero(self, name):
        self.scale_to(name, 0)

    def scale_to(self, name, count):
        self.counts[name] = count
        self.patch(f"{self.path}/{name}", {"spec": {"instanceCount": count}})

    def make_anew(self, name):
        """Its objects of the same names are still being collected then."""
        self.counts[name] = self.any_count()
        self.api.call("DELETE", f"{self.path}/{name}")
        self.api.call("POST", self.path, self.object(name))

    def change_model(self, name):
        name = self.model_of[name]
        self.settings[name] = str(int(self.settings[name]) + 1)
        new = model(name, {"SETTING_0": self.settings[name]})
        self.patch(f"{self.models_path}/{name}", {"spec": {"template": new["spec"]["template"]}})

    def change_priorities(self, name):
        self.patch(f"{self.path}/{name}",
                   {"spec": {"instancePools": pools(self.random.sample((1, 2, 3), 3))}})

    def patch(self, path, body):
        self.api.call("PATCH", path, body, MERGE)

    # Whether all is well

    def instances(self):
        return sum(self.counts.values())

    def unsettled(self):
        """Name of the endpoint -> what is not as it should be. Looks at the Deployments, too."""
        bad, owners = {}, {}
        for e in self.api.call("GET", self.path)["items"]:
            name = e["metadata"]["name"]
            owners[e["metadata"]["uid"]] = name
            if e["spec"]["instanceCount"] != self.counts[name] or not is_settled(e):
                bad[name] = "status: " + next((c.get("message", "") for c in e.get("status", {}).get("conditions", [])
                                               if c["type"] == "Ready"), "none")
        running = dict.fromkeys(self.counts, 0)
        for d in self.api.call("GET", f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments")["items"]:
            owner = owners.get(d["metadata"]["ownerReferences"][0]["uid"])
            if owner is None:
                bad[d["metadata"]["name"]] = "a Deployment whose endpoint is gone"
                continue
            running[owner] += d["status"].get("readyReplicas", 0)
            if why := self.wrong(d, self.settings[self.model_of[owner]]):
                bad[owner] = f"{d['metadata']['name']}: {why}"
        for name, count in running.items():
            if count != self.counts[name]:
                bad.setdefault(name, f"{count} of {self.counts[name]} instances run")
        return bad

    def wrong(self, deployment, setting):
        spec, status = deployment["spec"], deployment["status"]
        replicas = spec["replicas"]
        if status.get("observedGeneration") != deployment["metadata"]["generation"]:
            return "not seen by its controller"
        if replicas > PER_POOL:
            return f"{replicas} replicas where {PER_POOL} are allowed"
        if any(status.get(key, 0) != replicas for key in ("replicas", "readyReplicas", "updatedReplicas")):
            return f"not all of {replicas} are Ready and up to date"
        env = spec["template"]["spec"]["containers"][0]["env"]
        if replicas > 0 and {"name": "SETTING_0", "value": setting} not in env:
            return "has an old Model"
        return None
