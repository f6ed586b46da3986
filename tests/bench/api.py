"""What the bench needs of an API server: requests, a watch of endpoints, the audit log."""
import base64
import http.client
import json
import os
import socket
import ssl
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

GROUP = "/apis/inference.instancepool.dev/v1alpha1"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


class Api:
    """Requests as the user of a kubeconfig (as JSON, with certificates inside); a connection per thread."""

    def __init__(self, kubeconfig):
        config = json.loads(kubeconfig)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.address = cluster["server"].removeprefix("https://")
        self.ssl = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile() as pem:
            pem.write(base64.b64decode(user["client-certificate-data"]))
            pem.write(base64.b64decode(user["client-key-data"]))
            pem.flush()
            self.ssl.load_cert_chain(pem.name)
        self.local = threading.local()

    def connect(self, timeout=60):
        return http.client.HTTPSConnection(self.address, context=self.ssl, timeout=timeout)

    def try_call(self, method, path, body=None, content_type="application/json"):
        """Gives status and body; a connection that the server has closed meanwhile is opened again, once."""
        text = None if body is None else json.dumps(body)
        for attempt in (1, 2):
            connection = getattr(self.local, "connection", None)
            if connection is None:
                connection = self.local.connection = self.connect()
            try:
                connection.request(method, path, text, {"Content-Type": content_type})
                answer = connection.getresponse()
                return answer.status, answer.read()
            except (OSError, http.client.HTTPException):
                self.local.connection = None
                connection.close()
                if attempt == 2:
                    raise

    def call(self, method, path, body=None, content_type="application/json"):
        status, text = self.try_call(method, path, body, content_type)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {text[:300].decode()}")
        return json.loads(text)

    def watch(self, path):
        """The connection and the answer of a watch, whose lines are events."""
        connection = self.connect(timeout=3600)
        connection.request("GET", path + "?watch=1&timeoutSeconds=3600")
        return connection, connection.getresponse()

    def many(self, calls, threads=4):
        """Each of calls is the arguments of call()."""
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(lambda arguments: self.call(*arguments), calls):
                pass

    def ready(self):
        try:
            return self.try_call("GET", "/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False


def is_asked(e):
    """The status says that the instances of the present spec are asked for."""
    status = e.get("status", {})
    return (status.get("observedGeneration") == e["metadata"]["generation"]
            and sum(p["desiredInstanceCount"] for p in status.get("instancePools", [])) == e["spec"]["instanceCount"])


def is_settled(e):
    """And that all of them are Ready."""
    status = e.get("status", {})
    return (is_asked(e) and status.get("phase") == "InService"
            and status.get("currentInstanceCount") == e["spec"]["instanceCount"])


class Arrivals:
    """When a watch that does nothing else first showed each object of which `test` is true: what the way from the API
    server takes."""

    def __init__(self, api, path, test):
        self.at = {}
        self.test = test
        self.connection, self.answer = api.watch(path)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while line := self.answer.readline():
                now, obj = time.time(), json.loads(line)["object"]
                if self.test(obj):
                    self.at.setdefault(obj["metadata"]["name"], now)
        except (OSError, ValueError, http.client.HTTPException):
            pass

    def stop(self):
        self.connection.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join()


class Endpoints:
    """The endpoints of a namespace, kept current by a watch that survives the server."""

    def __init__(self, api, namespace):
        self.api = api
        self.path = f"{GROUP}/namespaces/{namespace}/instancepoolendpoints"
        self.settled = {}  # name -> the instance count that is all Ready and in the status, else None
        self.asked = {}  # name -> the instance count that the status says is asked for, of the present spec
        self.changed_at = 0.0
        self.stopped = False
        threading.Thread(target=self.run, daemon=True).start()

    def take(self, e):
        count = e["spec"]["instanceCount"]
        self.note(self.settled, e["metadata"]["name"], count if is_settled(e) else None)
        self.note(self.asked, e["metadata"]["name"], count if is_asked(e) else None)

    def note(self, where, name, count):
        if where.get(name, -1) != count:
            where[name] = count
            self.changed_at = time.time()

    def watch(self):
        _connection, answer = self.api.watch(self.path)  # it lives as long as it is read
        while answer.status == 200 and not self.stopped and (line := answer.readline()):
            event = json.loads(line)
            if event["type"] in ("ADDED", "MODIFIED"):
                self.take(event["object"])
            elif event["type"] == "ERROR":
                return

    def run(self):
        while not self.stopped:
            try:
                self.watch()
            except (OSError, ValueError, http.client.HTTPException):
                pass
            time.sleep(0.1)

    def stop(self):
        self.stopped = True

    def count(self, instances, ready=True):
        return sum(1 for n in list((self.settled if ready else self.asked).values()) if n == instances)


def when(text):
    return datetime.fromisoformat(text).timestamp()


def by_user(name):
    return f'"username":"{name}"'


def by_token(kubeconfig):
    """By the token in that file, of which the log has the number."""
    claims = json.loads(kubeconfig.read_text())["users"][0]["user"]["token"].split(".")[1]
    return "JTI=" + json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["jti"]


class Audit:
    """Writes of one user, read from the API server's log as it grows: by_user() or by_token() says whose."""

    def __init__(self, path, mark):
        self.path = path
        self.mark = mark.encode()
        self.offset = 0
        self.skip()

    def skip(self):
        self.offset = os.path.getsize(self.path) if os.path.exists(self.path) else 0

    def take(self):
        """What came since the last take() or skip()."""
        with open(self.path, "rb") as f:
            f.seek(self.offset)
            data = f.read()
        data = data[:data.rfind(b"\n") + 1]
        self.offset += len(data)
        entries = (json.loads(line) for line in data.splitlines() if self.mark in line)
        return [entry for entry in entries if entry["verb"] in ("create", "update", "patch", "delete")]


def what(entry):
    """patch deployments, patch instancepoolendpoints/status, ..."""
    ref = entry["objectRef"]
    return entry["verb"] + " " + ref["resource"] + ("/" + ref["subresource"] if ref.get("subresource") else "")


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))] if values else None
