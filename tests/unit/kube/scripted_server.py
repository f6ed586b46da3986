"""An HTTP server for the unit tests. Reads its script, one line, from stdin and ends with it; writes its port
and then a line of JSON for each request to stdout.

The script is a JSON array of answers. A request takes the first answer not used yet whose "on" is how its
"METHOD PATH" starts; one that finds none gets a 404. Members of an answer:
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
import sys
import threading

script = json.loads(sys.stdin.readline())
lock = threading.Lock()
forever = threading.Event()


def text(value):
    return (value if isinstance(value, str) else json.dumps(value)).encode()


def take(request):
    with lock:
        for answer in script:
            if request.startswith(answer["on"]):
                script.remove(answer)
                return answer
    return {"status": 404, "body": {"kind": "Status", "reason": "NotFound", "message": "not in the script"}}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def answer_request(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = f"{self.command} {self.path}"
        seen = {"request": request, "body": body.decode()}
        for name, header in ("type", "Content-Type"), ("authorization", "Authorization"):
            seen[name] = self.headers.get(header, "")
        with lock:
            print(json.dumps(seen), flush=True)
        answer = take(request)
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


def end_with_parent():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_parent, daemon=True).start()
server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
