"""What may be set, and the words for what may not."""

import json
import tempfile
import unittest

import yaml

import chart

# --set or --set-json arguments, and what must be in the message: the field, the value or what would be right.
REFUSED = [
    ("replica=3", ["additional properties 'replica' not allowed"]),
    ("image.repo=x", ["at '/image'", "additional properties 'repo' not allowed"]),
    ("metrics.podMonitor.scrapeTimeout=3s", ["at '/metrics/podMonitor'", "'scrapeTimeout' not allowed"]),
    ("resources.request.cpu=1", ["at '/resources'", "'request' not allowed"]),
    ("replicas=two", ["at '/replicas'", "got string, want integer"]),
    ("replicas=-1", ["at '/replicas'", "got -1, want 0"]),
    ("nodeAutoscaler=karpenter", ["at '/nodeAutoscaler'", "must be one of 'auto', 'none', 'external'"]),
    ("logLevel=verbose", ["at '/logLevel'", "must be one of 'debug', 'info', 'warn', 'error'"]),
    ("logFormat=xml", ["at '/logFormat'", "must be one of 'json', 'text'"]),
    ("image.pullPolicy=always", ["at '/image/pullPolicy'", "must be one of 'Always', 'IfNotPresent', 'Never'"]),
    ("image.digest=sha256:12", ["at '/image/digest'", "'sha256:12' does not match pattern"]),
    ("image.tag=a b", ["at '/image/tag'", "'a b' does not match pattern"]),
    ("watchNamespaces=team-a", ["at '/watchNamespaces'", "got string, want array"]),
    ("watchNamespaces={Team_A}", ["at '/watchNamespaces/0'", "'Team_A' does not match pattern"]),
    ("watchNamespaces={a,b,a}", ["at '/watchNamespaces'", "items at 0 and 2 are equal"]),
    (f"watchNamespaces={{{','.join(f'team-{i}' for i in range(65))}}}", ["at '/watchNamespaces'", "got 65, want 64"]),
    ("watchNodes=perhaps", ["at '/watchNodes'", "got string, want null or boolean"]),
    ("crds.keep=please", ["at '/crds/keep'", "got string, want boolean"]),
    ("resources.limits.memory=128MB", ["at '/resources/limits/memory'", "'128MB' does not match pattern"]),
    ("serviceAccount.name=My_Account", ["at '/serviceAccount/name'", "'My_Account' does not match pattern"]),
    ("podLabels.app\\.kubernetes\\.io/name=x", ["at '/podLabels/app.kubernetes.io~1name'", "false schema"]),
    ("metrics.serviceMonitor.labels.helm\\.sh/chart=x", ["at '/metrics/serviceMonitor/labels/helm.sh~1chart'", "false schema"]),
    ("podLabels.x=1", ["at '/podLabels/x'", "got number, want string"]),
    ("tolerations[0].effect=Never", ["at '/tolerations/0/effect'", "must be one of"]),
    ("terminationGracePeriodSeconds=0", ["at '/terminationGracePeriodSeconds'", "got 0, want 1"]),
    ("metrics.podMonitor.interval=often", ["at '/metrics/podMonitor/interval'", "'often' does not match pattern"]),
    ("networkPolicy.enabled=true", ["at '/networkPolicy/apiServer/cidrs'", "got 0, want 1"]),
    ("networkPolicy.enabled=true,networkPolicy.apiServer.cidrs={10.0.0.1}",
     ["at '/networkPolicy/apiServer/cidrs/0'", "'10.0.0.1' does not match pattern"]),
    ("networkPolicy.apiServer.ports={70000}", ["at '/networkPolicy/apiServer/ports/0'", "got 70,000, want 65,535"]),
    ("metrics.podMonitor.enabled=true,metrics.serviceMonitor.enabled=true",
     ["metrics.podMonitor.enabled and metrics.serviceMonitor.enabled: both are true"]),
    ("metrics.serviceMonitor.enabled=true,metrics.service.enabled=false",
     ["metrics.serviceMonitor.enabled: true needs metrics.service.enabled: true"]),
]


def keys(value, path=()):
    """The paths of all values that are no objects, or may have any key."""
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from keys(below, (*path, key))
    else:
        yield ".".join(path)


def schema_keys(schema, definitions, path=()):
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    if "properties" in schema and (len(path) < 1 or path[0] not in ("tolerations", "affinity")):
        for key, below in schema["properties"].items():
            yield from schema_keys(below, definitions, (*path, key))
    else:
        yield ".".join(path)


class Values(unittest.TestCase):
    def test_refused(self):
        for setting, words in REFUSED:
            with self.subTest(setting):
                status, output = chart.template("", "--set", setting)
                self.assertNotEqual(status, 0, f"accepted: {setting}")
                for word in words:
                    self.assertIn(word, output)

    def test_schema_and_values_have_the_same_keys(self):
        schema = json.loads((chart.CHART / "values.schema.json").read_text())
        values = yaml.safe_load((chart.CHART / "values.yaml").read_text())
        of_schema = set(schema_keys(schema, schema["$defs"])) - {"global"}
        # Their keys are Kubernetes' own.
        of_values = {".".join(k.split(".")[:2]) if k.startswith("resources.") else k for k in keys(values)}
        self.assertEqual(of_schema, of_values)

    def test_everything_is_another_value(self):
        """values/everything.yaml has no default, so test_values_arrive means something."""
        defaults = yaml.safe_load((chart.CHART / "values.yaml").read_text())
        everything = yaml.safe_load((chart.VALUES / "everything.yaml").read_text())
        for key, value in everything.items():
            self.assertNotEqual(value, defaults[key], key)

    def test_version(self):
        about = yaml.safe_load((chart.CHART / "Chart.yaml").read_text())
        version = (chart.ROOT / "VERSION").read_text().strip()
        self.assertEqual((about["version"], about["appVersion"]), (version, version))

    def test_part_of_another_chart(self):
        """Helm gives `global` to it, and the schema lets it."""
        with tempfile.TemporaryDirectory() as parent:
            with open(f"{parent}/Chart.yaml", "w", encoding="utf-8") as f:
                f.write("apiVersion: v2\nname: parent\nversion: 1.0.0\n")
            chart.os.mkdir(f"{parent}/charts")
            chart.os.symlink(chart.CHART, f"{parent}/charts/{chart.NAME}")
            objects = chart.rendered("", "--set", "global.region=x,instancepool-operator.replicas=4", chart=parent)
            self.assertEqual(chart.one(objects, "Deployment")["spec"]["replicas"], 4)

    def test_old_kubernetes_is_refused(self):
        status, output = chart.template("", "--kube-version", "v1.28.0")
        self.assertNotEqual(status, 0)
        self.assertIn(">=1.29", output)

    def test_notes(self):
        for values, words in (("default", ["all namespaces", "helm test instancepool-operator", "CustomResourceDefinitions with all"]),
                              ("namespaced-without-crds", ["team-a, team-b", "without watchNodes only Karpenter is looked for", "whoever installs them"]),
                              ("everything", ["ALL endpoints and Models of the cluster go"])):
            # `helm template` does not show them.
            status, output = chart.run("HELM", "install", chart.NAME, chart.CHART, "--namespace", chart.NAMESPACE,
                                       "--dry-run=client", "--values", chart.VALUES / f"{values}.yaml")
            self.assertEqual(status, 0, output)
            notes = output.partition("NOTES:")[2]
            for word in words:
                self.assertIn(word, " ".join(notes.split()))
