"""What helm, kubeconform, kube-score and checkov say."""

import pathlib
import tempfile
import unittest

import yaml

import chart

BAD_POD = """
apiVersion: v1
kind: Pod
metadata: {name: x}
spec:
  containers:
  - name: x
    image: x:latest
    %s
"""


@chart.expanded
class Tools(unittest.TestCase):
    def passes(self, done):
        status, output = done
        self.assertEqual(status, 0, output)

    def scores_well(self, done):
        _, output = done
        self.assertEqual([line for line in output.splitlines() if not line.startswith(("[OK]", "[SKIPPED]"))], [])
        self.assertIn("[OK]", output)

    @chart.each_values
    def test_helm_lint(self, values):
        self.passes(chart.run("HELM", "lint", "--strict", chart.CHART, "--values", chart.VALUES / f"{values}.yaml",
                              "--kube-version", chart.os.environ["KUBE_VERSION"]))

    @chart.each_values
    def test_kubeconform(self, values):
        self.passes(chart.kubeconform(text=chart.template(values)[1]))

    @chart.each_values
    def test_kube_score(self, values):
        self.scores_well(chart.kube_score(text=chart.template(values)[1]))

    def test_plain_manifests(self):
        files = [f for folder in ("deploy", "deploy/examples", "crds") for f in (chart.ROOT / folder).glob("*.yaml")]
        self.assertGreaterEqual(len(files), 7)
        self.passes(chart.kubeconform(*files))
        self.scores_well(chart.kube_score(*(chart.ROOT / "deploy").glob("*.yaml")))

    def test_checkov(self):
        with tempfile.TemporaryDirectory() as folder:
            files = [pathlib.Path(folder) / file.name for file in chart.VALUES.glob("*.yaml")]
            for file in files:
                objects = chart.rendered(file.stem)
                file.write_text(yaml.safe_dump_all(o for o in objects if o["kind"] != "CustomResourceDefinition"))
            self.passes(chart.checkov(*files, *(chart.ROOT / "deploy").glob("*.yaml")))
            files[0].write_text(BAD_POD % "securityContext: {privileged: true}")
            status, output = chart.checkov(files[0])
            self.assertNotEqual(status, 0)
            self.assertIn("CKV_K8S_16", output)

    def test_package(self):
        """A packed chart has all that the folder has: crds/ is reached by a link."""
        with tempfile.TemporaryDirectory() as folder:
            self.passes(chart.run("HELM", "package", chart.CHART, "--destination", folder))
            packed = next(pathlib.Path(folder).glob("*.tgz"))
            self.assertEqual(chart.rendered("everything", chart=packed), chart.rendered("everything"))

    def test_the_checks_can_fail(self):
        for text, words in ((BAD_POD % "nonsense: 1", "additional properties 'nonsense' not allowed"),
                            (BAD_POD % "ports: [{containerPort: http}]", "containerPort"),
                            ("apiVersion: v1\nkind: Nonsense\nmetadata: {name: x}", "could not find schema")):
            status, output = chart.kubeconform(text=text)
            self.assertNotEqual(status, 0)
            self.assertIn(words, output)
        example = (chart.ROOT / "deploy/examples/llm.yaml").read_text()
        status, output = chart.kubeconform(text=example.replace("instanceCount:", "instanceCounts:"))
        self.assertNotEqual(status, 0)
        self.assertIn("instanceCounts", output)
        status, output = chart.kube_score(text=BAD_POD % "")
        self.assertNotEqual(status, 0)
        self.assertIn("[CRITICAL]", output)
