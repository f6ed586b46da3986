"""What the chart renders."""

import json
import unittest

import yaml

import chart
from chart import granted, in_release, of_kind, one, rendered

ENDPOINTS = "inference.instancepool.dev"
AUTOSCALER_STATUS = ("kube-system", "", "configmaps", "cluster-autoscaler-status")


def lease_rights(name=chart.NAME):
    """To create one, and to its own."""
    return {(chart.NAMESPACE, "coordination.k8s.io", "leases", ""): {"create"},
            (chart.NAMESPACE, "coordination.k8s.io", "leases", name): {"get", "patch"}}


def operator_pod(objects):
    return one(objects, "Deployment")["spec"]["template"]["spec"]


def arguments(objects):
    return operator_pod(objects)["containers"][0]["args"]


@chart.expanded
class Objects(unittest.TestCase):
    @chart.each_values
    def test_whole(self, values):
        """Names, namespaces, labels and selectors fit together."""
        objects = rendered(values)
        names = [(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects]
        self.assertEqual(len(names), len(set(names)), "an object twice")
        for o in objects:
            self.assertEqual("namespace" not in o["metadata"], o["kind"] in chart.CLUSTER_SCOPED, o["metadata"]["name"])
            self.assertEqual(o["metadata"]["labels"]["app.kubernetes.io/instance"], chart.NAME)
        pod = one(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
        selectors = [one(objects, "Deployment")["spec"]["selector"]["matchLabels"]]
        selectors += [o["spec"]["selector"] for o in of_kind(objects, "Service")]
        selectors += [o["spec"]["selector"]["matchLabels"] for o in of_kind(objects, "PodDisruptionBudget", "PodMonitor")]
        for selector in selectors:
            self.assertLessEqual(selector.items(), pod.items())
        for o in of_kind(objects, "ServiceMonitor"):
            self.assertLessEqual(o["spec"]["selector"]["matchLabels"].items(), one(objects, "Service")["metadata"]["labels"].items())
        # The pod of `helm test` is none of the operators.
        test = [o for o in objects if o["kind"] == "Pod"]
        self.assertEqual(len(test), 1)
        for selector in selectors:
            self.assertFalse(selector.items() <= test[0]["metadata"]["labels"].items())

    @chart.each_values
    def test_bindings(self, values):
        """Each role is bound, once, to the account of the pods; no wildcards, no Secrets."""
        objects = rendered(values)
        roles = {(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"])
                 for o in of_kind(objects, "Role", "ClusterRole")}
        bound = [(o["roleRef"]["kind"], o["metadata"].get("namespace"), o["roleRef"]["name"])
                 for o in of_kind(objects, "RoleBinding", "ClusterRoleBinding")]
        self.assertEqual(sorted(map(str, roles)), sorted(map(str, bound)))
        account = {"kind": "ServiceAccount", "name": operator_pod(objects)["serviceAccountName"],
                   "namespace": chart.NAMESPACE}
        for o in of_kind(objects, "RoleBinding", "ClusterRoleBinding"):
            self.assertEqual(o["subjects"], [account])
        self.assertEqual(one(objects, "ServiceAccount")["metadata"]["name"], account["name"])
        self.assertNotIn("*", json.dumps([o["rules"] for o in of_kind(objects, "Role", "ClusterRole")]))
        for (_, _, resource, _), verbs in granted(objects, "Role", "ClusterRole").items():
            self.assertNotEqual(resource, "secrets")
            self.assertTrue({"update", "deletecollection", "escalate", "bind", "impersonate"}.isdisjoint(verbs))

    @chart.each_values
    def test_pods_are_restricted(self, values):
        objects = rendered(values)
        for pod in [operator_pod(objects), one(objects, "Pod")["spec"]]:
            security = pod["securityContext"]
            self.assertTrue(security["runAsNonRoot"])
            self.assertGreater(security["runAsUser"], 10000)
            self.assertEqual(security["seccompProfile"], {"type": "RuntimeDefault"})
            self.assertTrue({"hostNetwork", "hostPID", "hostIPC", "volumes"}.isdisjoint(pod))
            for c in pod["containers"] + pod.get("initContainers", []):
                self.assertEqual(c["securityContext"], {
                    "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}})
                self.assertIn("memory", c["resources"]["limits"])

    def test_rights_in_all_namespaces(self):
        rights = granted(rendered("default"), "ClusterRole")
        self.assertEqual(rights, {
            ("", ENDPOINTS, "instancepoolendpoints", ""): {"get", "list", "watch"},
            ("", ENDPOINTS, "models", ""): {"list", "watch"},
            ("", ENDPOINTS, "instancepoolendpoints/status", ""): {"patch"},
            ("", ENDPOINTS, "instancepoolendpoints/scale", ""): {"patch"},
            ("", "apps", "deployments", ""): {"get", "list", "watch", "create", "patch", "delete"},
            ("", "", "services", ""): {"get", "list", "watch", "create"},
            ("", "policy", "poddisruptionbudgets", ""): {"get", "list", "watch", "create"},
            ("", "", "pods", ""): {"get", "list", "watch", "patch", "create"},
            ("", "", "nodes", ""): {"list", "watch"},
            ("", "", "events", ""): {"list", "watch", "create", "patch"},
        })
        self.assertEqual(granted(rendered("default"), "Role"), {
            AUTOSCALER_STATUS: {"get"}, **lease_rights(),
        })
        self.assertIn(f"--leader-elect-resource-name={chart.NAME}", arguments(rendered("default")))
        self.assertNotIn("--watch-nodes=false", arguments(rendered("default")))

    def test_rights_without_autoscaler(self):
        objects = rendered("without-autoscaler")
        self.assertEqual(granted(objects, "ClusterRole")["", "", "events", ""], {"create", "patch"})
        self.assertNotIn(("", "", "nodes", ""), granted(objects, "ClusterRole"))
        self.assertEqual(granted(objects, "Role"), lease_rights())
        self.assertIn("--watch-nodes=false", arguments(objects))
        self.assertIn("--node-autoscaler=none", arguments(objects))

    def test_rights_in_namespaces(self):
        objects = rendered("namespaced")
        everywhere = granted(rendered("default"), "ClusterRole")
        del everywhere["", "", "nodes", ""]
        expected = {(ns, *key[1:]): verbs for ns in ("team-a", "team-b") for key, verbs in everywhere.items()}
        expected |= lease_rights()
        self.assertEqual(granted(objects, "Role"), expected)
        self.assertEqual({o["kind"] for o in objects} & chart.CLUSTER_SCOPED, {"CustomResourceDefinition"})
        self.assertIn("--namespace=team-a,team-b", arguments(objects))
        self.assertIn("--watch-nodes=false", arguments(objects))

    def test_nothing_is_cluster_scoped_in_namespaces(self):
        objects = rendered("namespaced-without-crds")
        self.assertEqual({o["kind"] for o in objects} & chart.CLUSTER_SCOPED, set())
        self.assertEqual({o["metadata"]["namespace"] for o in objects}, {"team-a", "team-b", chart.NAMESPACE})

    def test_nodes_in_namespaces(self):
        objects = rendered("namespaced-with-nodes")
        self.assertEqual(granted(objects, "ClusterRole"), {("", "", "nodes", ""): {"list", "watch"}})
        self.assertIn(AUTOSCALER_STATUS, granted(objects, "Role"))
        self.assertNotIn("--watch-nodes=false", arguments(objects))
        # Beside a release of the same name in another namespace, or ones whose namespace and name, joined, are the same.
        elsewhere = [{(o["kind"], o["metadata"]["name"]) for o in os if o["kind"].startswith("ClusterRole")
                      or o["kind"].startswith("Role") and o["metadata"]["namespace"] == "kube-system"}
                     for os in (objects, rendered("namespaced-with-nodes", namespace="other"),
                                rendered("namespaced-with-nodes", namespace="a-b", release=f"c-{chart.NAME}"),
                                rendered("namespaced-with-nodes", namespace="a", release=f"b-c-{chart.NAME}"))]
        self.assertEqual([len(names) for names in elsewhere], 4 * [4])
        self.assertEqual(len(set().union(*elsewhere)), 16)

    def test_autoscaler_status(self):
        """Is asked for where nodes are, and nowhere else."""
        for arguments_, expected in (((), True), (("--set", "watchNodes=false"), False),
                                     (("--set", "nodeAutoscaler=external"), False)):
            self.assertEqual(AUTOSCALER_STATUS in granted(rendered("default", *arguments_), "Role"), expected)

    def test_rights_are_left_to_others(self):
        objects = rendered("default", "--set", "rbac.create=false,serviceAccount.create=false,serviceAccount.name=mine")
        self.assertEqual(of_kind(objects, "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "ServiceAccount"), [])
        self.assertEqual(operator_pod(objects)["serviceAccountName"], "mine")

    def test_crds(self):
        """Those of crds/, but for labels and the policy."""
        files = [yaml.safe_load(f.read_text()) for f in sorted((chart.ROOT / "crds").glob("*.yaml"))]
        self.assertEqual(len(files), 2)
        for keep in (True, False):
            crds = of_kind(rendered("default", "--set", f"crds.keep={str(keep).lower()}"), "CustomResourceDefinition")
            for crd in crds:
                kept = crd["metadata"].pop("annotations", {}).get("helm.sh/resource-policy")
                self.assertEqual(kept, "keep" if keep else None)
                del crd["metadata"]["labels"]
            self.assertEqual(crds, files)
        self.assertEqual(of_kind(rendered("default", "--set", "crds.install=false"), "CustomResourceDefinition"), [])

    def test_image(self):
        def image(*arguments):
            return operator_pod(rendered("default", *arguments))["containers"][0]["image"]
        version = (chart.ROOT / "VERSION").read_text().strip()
        self.assertEqual(image(), f"instancepool-operator:{version}")
        self.assertEqual(image("--set", "image.tag=v9"), "instancepool-operator:v9")
        everything = operator_pod(rendered("everything"))
        self.assertEqual(everything["containers"][0]["image"],
                         "registry.example:5000/ml/instancepool-operator@sha256:" + 4 * "0123456789abcdef")
        self.assertEqual(everything["containers"][0]["imagePullPolicy"], "Always")

    def test_values_arrive(self):
        objects = rendered("everything")
        pod = operator_pod(objects)
        self.assertEqual(one(objects, "Deployment")["spec"]["replicas"], 3)
        for argument in ("--node-autoscaler=external", "--log-level=debug", "--log-format=text", "--leader-elect",
                         f"--leader-elect-resource-namespace={chart.NAMESPACE}"):
            self.assertIn(argument, arguments(objects))
        self.assertEqual(pod["imagePullSecrets"], [{"name": "registry"}])
        self.assertEqual(pod["nodeSelector"], {"kubernetes.io/os": "linux"})
        self.assertEqual(pod["tolerations"][0]["key"], "system")
        self.assertIn("nodeAffinity", pod["affinity"])
        self.assertEqual(pod["priorityClassName"], "system-cluster-critical")
        self.assertEqual(pod["terminationGracePeriodSeconds"], 10)
        self.assertEqual(pod["containers"][0]["resources"]["limits"], {"cpu": 1, "memory": "256Mi"})
        meta = one(objects, "Deployment")["spec"]["template"]["metadata"]
        self.assertEqual((meta["labels"]["example.com/team"], meta["annotations"]), ("ml", {"example.com/scrape": "true"}))
        self.assertEqual(one(objects, "ServiceAccount")["metadata"]["annotations"], {"example.com/team": "ml"})
        self.assertEqual(one(objects, "PodMonitor")["spec"]["podMetricsEndpoints"], [{"port": "metrics", "interval": "15s"}])
        self.assertEqual(one(objects, "PodMonitor")["metadata"]["labels"]["release"], "prometheus")
        self.assertTrue(one(rendered("monitors"), "Service")["spec"]["publishNotReadyAddresses"])
        monitor = one(rendered("monitors"), "ServiceMonitor")
        self.assertEqual(monitor["spec"]["endpoints"], [{"port": "metrics", "interval": "1m"}])

    def test_what_is_off_is_not_there(self):
        kinds = {o["kind"] for o in rendered("default")}
        self.assertTrue({"PodMonitor", "ServiceMonitor", "NetworkPolicy"}.isdisjoint(kinds))
        kinds = {o["kind"] for o in rendered(
            "default", "--set", "podDisruptionBudget.enabled=false,metrics.service.enabled=false")}
        self.assertTrue({"PodDisruptionBudget", "Service"}.isdisjoint(kinds))

    def test_network_policy(self):
        objects = rendered("network-policy")
        spec = one(objects, "NetworkPolicy")["spec"]
        # The operators, and the one of `helm test`.
        selector, pods = spec["podSelector"], [one(objects, "Deployment")["spec"]["template"], one(objects, "Pod")]
        self.assertEqual([e["operator"] for e in selector["matchExpressions"]], ["In"])
        for labels in (pod["metadata"]["labels"] for pod in pods):
            self.assertLessEqual(selector["matchLabels"].items(), labels.items())
            self.assertTrue(all(labels[e["key"]] in e["values"] for e in selector["matchExpressions"]))
        self.assertEqual(spec["policyTypes"], ["Ingress", "Egress"])
        api, dns = spec["egress"]
        self.assertEqual(api, {"ports": [{"port": 6443}],
                               "to": [{"ipBlock": {"cidr": c}} for c in ("10.0.0.5/32", "2001:db8::5/128")]})
        self.assertEqual({p["port"] for p in dns["ports"]}, {53})
        metrics, probes = spec["ingress"]
        self.assertEqual((metrics["ports"], probes), ([{"port": 8080}], {"ports": [{"port": 8081}]}))
        self.assertEqual(len(metrics["from"]), 1)

    def test_pod_of_helm_test(self):
        """Has the flags, the image and the account of the operators."""
        for values in ("default", "namespaced", "everything"):
            objects = rendered(values)
            test, pod = one(objects, "Pod")["spec"], operator_pod(objects)
            sidecar = test["initContainers"][0]
            self.assertEqual(sidecar["restartPolicy"], "Always")
            self.assertEqual(sidecar["image"], pod["containers"][0]["image"])
            self.assertEqual(test["serviceAccountName"], pod["serviceAccountName"])
            here, there = ([a for a in args if "metrics" not in a] for args in (sidecar["args"], arguments(objects)))
            self.assertEqual(here, there)

    def test_no_pod_of_helm_test_without_operators(self):
        """It would lead."""
        self.assertEqual(of_kind(rendered("default", "--set", "replicas=0"), "Pod"), [])

    def test_strings_stay_strings(self):
        """What looks like a number, a boolean or nothing, in values and in the names of release and namespace."""
        for release in ("123", "no", "1e3", 53 * "1"):
            arguments_ = {"release": release, "namespace": "456"}
            status, output = chart.kubeconform(text=chart.template("other-types", **arguments_)[1])
            self.assertEqual(status, 0, output)
            objects = rendered("other-types", **arguments_)
            for o in objects:
                self.assertEqual(o["metadata"]["labels"]["app.kubernetes.io/instance"], release)
            account = {"kind": "ServiceAccount", "name": "7", "namespace": "456"}
            self.assertTrue(all(o["subjects"] == [account] for o in of_kind(objects, "RoleBinding", "ClusterRoleBinding")))
            self.assertEqual({o["metadata"]["namespace"] for o in of_kind(objects, "Role")},
                             {"123", "no", "null", "0x1f", "1e3", "456", "kube-system"})
            pod = operator_pod(objects)
            self.assertEqual([pod["serviceAccountName"], pod["priorityClassName"], pod["containers"][0]["image"]],
                             ["7", "1.5", "12:30"])

    def test_other_release_names(self):
        gpu = rendered("namespaced-without-crds", release="gpu")
        self.assertIn("gpu-instancepool-operator", {o["metadata"]["name"] for o in in_release(gpu)})
        self.assertIn("--leader-elect-resource-name=gpu-instancepool-operator", arguments(gpu))
        self.assertLessEqual(lease_rights("gpu-instancepool-operator").items(), granted(gpu, "Role").items())
        long = rendered("default", release="r" * 53)
        self.assertLessEqual(max(len(o["metadata"]["name"]) for o in of_kind(long, "Service", "Pod")), 63)
