"""An HTTP server for the unit tests. Reads its script, one line, from stdin and ends with it; writes its port
and then a line of JSON for each request to stdout.

The script is a JSON array of answers, or an object with the members
  answers  that array
  host     where to listen; 127.0.0.1 if absent
  tls      with TLS: {"cert": FILE, "key": FILE, "client_ca": FILE if a certificate is asked for}. The files are
           read again for each connection.
A request takes the first answer not used yet whose "on" is how its "METHOD PATH" starts; one that finds none gets
a 404. CONNECT makes it a proxy, without an answer. Members of an answer:
  on       see above
  status   200 if absent
  headers  object
  body     JSON; a string is sent as it is
  lines    instead of body: a stream of lines, each like a body; it stays open until the server is killed
  end      true: the stream ends after its lines
  cut      true: the connection is closed instead of an answer
  hang     true: no answer comes
"""
import http.server
import json
import os
import select
import socket
import ssl
import sys
import threading

script = json.loads(sys.stdin.readline())
if isinstance(script, list):
    script = {"answers": script}
answers = script["answers"]
lock = threading.Lock()
forever = threading.Event()


def text(value):
    return (value if isinstance(value, str) else json.dumps(value)).encode()


def take(request):
    with lock:
        for answer in answers:
            if request.startswith(answer["on"]):
                answers.remove(answer)
                return answer
    return {"status": 404, "body": {"kind": "Status", "reason": "NotFound", "message": "not in the script"}}


def pass_on(one, other):
    while True:
        for ready in select.select([one, other], [], [])[0]:
            data = ready.recv(65536)
            if not data:
                return
            (other if ready is one else one).sendall(data)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        self.secured = {}
        if "tls" in script:
            self.request = self.secure(self.request, script["tls"])
        super().setup()

    def secure(self, connection, files):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files["cert"], files["key"])
        if "client_ca" in files:
            context.load_verify_locations(files["client_ca"])
            context.verify_mode = ssl.CERT_OPTIONAL
        context.sni_callback = lambda _socket, name, _context: self.secured.update(sni=name or "")
        connection = context.wrap_socket(connection, server_side=True)
        for part in (connection.getpeercert() or {}).get("subject", ()):
            self.secured.update(client=part[0][1])
        return connection

    def log_message(self, *args):
        pass

    def say(self, body=""):
        seen = {"request": f"{self.command} {self.path}", "body": body, "connection": str(self.client_address[1])}
        for name, header in ("type", "Content-Type"), ("authorization", "Authorization"), ("host", "Host"):
            seen[name] = self.headers.get(header, "")
        with lock:
            print(json.dumps(seen | self.secured), flush=True)

    def do_CONNECT(self):
        self.say()
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port))) as server:
            self.send_response(200)
            self.end_headers()
            self.close_connection = True
            pass_on(self.connection, server)

    def answer_request(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.say(body.decode())
        answer = take(f"{self.command} {self.path}")
        if answer.get("hang"):
            forever.wait()
        if answer.get("cut"):
            self.close_connection = True
            return
        self.send_response(answer.get("status", 200))
        for name, value in answer.get("headers", {}).items():
            self.send_header(name, value)
        if "lines" not in answer:
            content = text(answer.get("body", {}))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            return
        self.send_header("Connection", "close")
        self.end_headers()
        for line in answer["lines"]:
            self.wfile.write(text(line) + b"\n")
        if not answer.get("end"):
            forever.wait()
        self.close_connection = True

    do_GET = do_POST = do_PATCH = do_DELETE = answer_request


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    address_family = socket.AF_INET6 if ":" in script.get("host", "") else socket.AF_INET

    def handle_error(self, request, client_address):
        pass  # a client that does not like our certificate


def end_with_parent():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_parent, daemon=True).start()
server = Server((script.get("host", "127.0.0.1"), 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
