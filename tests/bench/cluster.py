"""A cluster of hack/cluster, and the accounts that the programs have in it."""
import os
import subprocess
from pathlib import Path

from api import Api
from script import say

ROOT = Path(__file__).resolve().parent.parent.parent


def shell(script, **environment):
    return subprocess.run(["bash", "-euo", "pipefail", "-c", script], check=True, text=True, cwd=ROOT,
                          stdout=subprocess.PIPE, env={**os.environ, **environment}).stdout


class Cluster:
    def __init__(self, name):
        self.command = [str(ROOT / "hack/cluster"), "--name", name]

    def run(self, *arguments):
        return subprocess.run([*self.command, *arguments], check=True, text=True, stdout=subprocess.PIPE).stdout

    def up(self):
        # The controllers' limit: the same for all, and high enough not to be what is measured.
        os.environ.setdefault("INSTANCEPOOL_CLUSTER_QPS", "1000")
        self.run("up")

    def up_again(self, log):
        """What died of it, without waiting."""
        return subprocess.Popen([*self.command, "up"], stdout=log, stderr=log)

    def down(self):
        self.run("down")

    def add_nodes(self, instance_type, count=1, instances=8):
        """Each takes that many instances of one GPU."""
        say(f"adding {count} nodes of {instance_type}")
        self.run("node", "add", instance_type, "--count", str(count), "--gpus", str(instances),
                 "--pods", str(instances))

    def api(self):
        return Api(self.run("kubectl", "config", "view", "--raw", "--minify", "-o", "json"))

    def audit_log(self):
        return self.run("audit-log").strip()

    def pids(self, *components):
        return [int(line.split()[-1]) for line in self.run("status").splitlines()
                if line.split()[0] in components]

    def account(self, name):
        """Makes a ServiceAccount with the rights of deploy/; one that is not known there may do everything."""
        self.shell("""
            install_objects
            if [[ $NAME != instancepool-operator ]]; then
                kubectl create serviceaccount "$NAME" -n instancepool-system >&2
                kubectl create clusterrolebinding "$NAME" --clusterrole cluster-admin \\
                    --serviceaccount "instancepool-system:$NAME" >&2
            fi
        """, name)

    def kubeconfig(self, name, path):
        """Writes one for that ServiceAccount, with a new token for four hours."""
        path.write_text(self.shell('account_kubeconfig instancepool-system "$NAME"', name))
        path.chmod(0o600)
        return path

    def shell(self, script, name):
        return shell("""
            source hack/lib/common.sh; source hack/lib/tools.sh; source hack/lib/install.sh
            PATH=$(tools_dir kubernetes):$PATH
        """ + script, KUBECONFIG=self.run("kubeconfig").strip(), NAME=name)
