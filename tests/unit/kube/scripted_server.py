"""An API server for the unit tests, over HTTP/1.1 and, with TLS, HTTP/2, that does what a real one cannot be made
to do. Reads its script, one line, from stdin; each further line lets what hangs go on, and the end of stdin ends it.
Writes its port and then a line of JSON for each request to stdout.

The script is a JSON array of answers, or an object with the members
  answers  that array
  objects  {PATH OF A COLLECTION: [OBJECT...]}: these are served as scripted_store.py says. What an answer says of
           status, headers, body or lines takes the place of that; all else it does to what is answered so.
  host     where to listen; 127.0.0.1 if absent
  tls      with TLS: {"cert": FILE, "key": FILE, "client_ca": FILE if a certificate is asked for}. The files are
           read again when they have changed.
  alpn     the protocols offered with TLS; ["h2", "http/1.1"] if absent
A request takes the first answer not used up whose "on" is how its "METHOD PATH" starts, where * is anything; one
that finds none gets a 404. CONNECT makes it a proxy, without an answer. Members of an answer:
  on       see above
  who      only for requests with this bearer token
  times    how often it is given; once if absent
  status   200 if absent
  headers  object
  body     JSON; a string is sent as it is
  lines    instead of body: a stream of lines, each like a body; null: it hangs there. It stays open after the last
  end      true: the stream ends after its lines
  hang     true: the answer comes when what hangs goes on, the request being carried out before
  cut      true: it ends instead of an answer, the request being carried out before; a number: after so many bytes
           of the body
  by       how: "close" of the connection if absent, its "reset" (TCP), or the end of the "stream" alone (RST_STREAM)
  goaway   "seen": before the answer comes a GOAWAY that counts the request; "unseen": one that does not, and no
           answer, nor is the request carried out; "refused": the same for the stream alone (REFUSED_STREAM). In
           HTTP/1.1 "Connection: close", and an end of the connection for the others
"""
import asyncio
import fnmatch
import functools
import http
import http.client
import io
import json
import math
import os
import socket
import ssl
import struct
import sys
import threading
import time

from scripted_store import Store

script = json.loads(sys.stdin.readline())
if isinstance(script, list):
    script = {"answers": script}
store = Store(script.get("objects", {}))
go_on = asyncio.Event()
counts = {"connections": 0, "in_flight": 0}
NOT_FOUND = {"status": 404, "body": {"kind": "Status", "reason": "NotFound", "message": "not in the script"}}


def text(value):
    return (value if isinstance(value, str) else json.dumps(value)).encode()


class Connection:
    """A connection, whatever its protocol."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.seen = {"connection": str(writer.get_extra_info("peername")[1])}
        tls = writer.get_extra_info("ssl_object")
        if tls:
            self.seen.update(sni=tls.name or "", protocol=tls.selected_alpn_protocol())
            for part in (tls.getpeercert() or {}).get("subject", ()):
                self.seen.update(client=part[0][1])

    def cut(self, by):
        if by == "reset":
            linger = struct.pack("ii", 1, 0)
            self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.writer.transport.abort()
        else:
            self.writer.close()


class Exchange:
    """A request and the way back, which is up to the protocol."""

    def __init__(self, connection, method, path, headers, body):
        self.connection, self.method, self.path = connection, method, path
        self.headers, self.body = headers, body

    def take(self):
        request, authorization = f"{self.method} {self.path}", self.headers.get("authorization", "")
        for answer in script["answers"]:
            who = answer.get("who")
            if fnmatch.fnmatchcase(request, answer["on"] + "*") and who in (None, authorization[len("Bearer "):]):
                answer["times"] = answer.get("times", 1) - 1
                if answer["times"] == 0:
                    script["answers"].remove(answer)
                return answer
        return {} if "objects" in script else NOT_FOUND

    def say(self, answer):
        seen = {"request": f"{self.method} {self.path}", "body": self.body.decode(), **self.connection.seen}
        seen.update((name, str(count)) for name, count in counts.items())
        seen.update(ms=str(int(time.monotonic() * 1000)), goaway=answer.get("goaway", ""))
        for name, header in ("type", "content-type"), ("authorization", "authorization"), ("host", "host"):
            seen[name] = self.headers.get(header, "")
        print(json.dumps(seen), flush=True)

    async def lines(self, answer):
        for line in answer["lines"]:
            if line is None:
                await go_on.wait()
            else:
                yield text(line) + b"\n"
        if not answer.get("end"):
            await asyncio.get_running_loop().create_future()

    def carry_out(self, answer):
        """The answer's status, its content (None: a stream) and, of a stream, what comes when."""
        status = answer.get("status", 200)
        if "lines" in answer:
            return status, None, self.lines(answer)
        if "objects" in script and not answer.keys() & {"status", "headers", "body"}:
            status, value = store.carry_out(self.method, self.path, self.body)
            if not isinstance(value, dict):
                return status, None, value
            return status, text(value), None
        return status, text(answer.get("body", {})), None

    async def answer(self):
        counts["in_flight"] += 1
        try:
            await self.give(self.take())
        finally:
            counts["in_flight"] -= 1

    async def give(self, answer):
        self.say(answer)
        if answer.get("goaway"):
            self.go_away(answer["goaway"])
            if answer["goaway"] != "seen":
                return
        status, content, pieces = self.carry_out(answer)
        if answer.get("hang"):
            await go_on.wait()
        cut, by = answer.get("cut"), answer.get("by", "close")
        if cut is True:
            self.cut(by)
            return
        headers = {} if content is None else {"content-length": str(len(content))}
        self.send_head(status, headers | answer.get("headers", {}))
        left = math.inf if cut is None else cut
        async for piece in pieces or one(content):
            await self.send(piece[: min(left, len(piece))])
            left -= len(piece)
            if left <= 0:
                self.cut(by)
                return
        await self.end()


async def one(content):
    yield content


class Exchange1(Exchange):
    """HTTP/1.1."""

    last = False  # of its connection

    def send_head(self, status, headers):
        self.chunked = "content-length" not in headers
        if self.chunked:
            headers["transfer-encoding"] = "chunked"
        if self.last:
            headers["connection"] = "close"
        lines = [f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.connection.writer.write("\r\n".join([*lines, "", ""]).encode())

    async def send(self, data):
        if data:
            self.connection.writer.write(b"%x\r\n%s\r\n" % (len(data), data) if self.chunked else data)
            await self.connection.writer.drain()

    async def end(self):
        if self.chunked:
            self.connection.writer.write(b"0\r\n\r\n")
        if self.last:
            self.connection.cut("close")

    def cut(self, by):
        self.connection.cut(by)

    def go_away(self, how):
        self.last = True
        if how != "seen":
            self.connection.cut("close")


class Exchange2(Exchange):
    """A stream of HTTP/2."""

    stream = None

    def send_head(self, status, headers):
        pairs = [(name.lower(), value) for name, value in headers.items()]
        self.connection.h2.send_headers(self.stream, [(":status", str(status)), *pairs])
        self.connection.flush()

    async def send(self, data):
        h2 = self.connection.h2
        while data:
            room = min(h2.local_flow_control_window(self.stream), h2.max_outbound_frame_size)
            h2.send_data(self.stream, data[:room])
            self.connection.flush()
            data = data[room:]
            if not room:
                await self.connection.window.wait()

    async def end(self):
        self.connection.h2.end_stream(self.stream)
        self.connection.flush()

    def cut(self, by):
        if by != "stream":
            self.connection.cut(by)
            return
        self.connection.h2.reset_stream(self.stream, ErrorCodes.INTERNAL_ERROR)
        self.connection.flush()

    def go_away(self, how):
        if how == "refused":
            self.connection.h2.reset_stream(self.stream, ErrorCodes.REFUSED_STREAM)
            self.connection.flush()
            return
        # By hand: the library would send nothing after it.
        last = self.stream if how == "seen" else max(self.stream - 2, 0)
        self.connection.writer.write(GoAwayFrame(0, last_stream_id=last).serialize())


class Connection1(Connection):
    async def serve(self):
        while True:
            head = await self.reader.readuntil(b"\r\n\r\n")
            line, _, rest = head.partition(b"\r\n")
            method, path, _ = line.decode().split(" ")
            headers = http.client.parse_headers(io.BytesIO(rest))
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
            exchange = Exchange1(self, method, path, headers, body)
            if method == "CONNECT":
                exchange.say({})
                await self.pass_on(path)
                return
            await exchange.answer()
            if self.writer.is_closing():
                return

    async def pass_on(self, address):
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        self.writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(pipe(self.reader, writer), pipe(reader, self.writer))


async def pipe(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


class Connection2(Connection):
    def __init__(self, reader, writer):
        super().__init__(reader, writer)
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.window = asyncio.Event()
        self.requests, self.tasks = {}, {}

    def flush(self):
        self.writer.write(self.h2.data_to_send())

    async def serve(self):
        self.h2.initiate_connection()
        self.flush()
        try:
            while data := await self.reader.read(65536):
                for event in self.h2.receive_data(data):
                    self.handle(event)
                self.flush()
        finally:
            for task in self.tasks.values():
                task.cancel()

    def handle(self, event):
        if isinstance(event, RequestReceived):
            headers = dict(event.headers)
            headers["host"] = headers[":authority"]
            exchange = Exchange2(self, headers[":method"], headers[":path"], headers, b"")
            exchange.stream = event.stream_id
            self.requests[event.stream_id] = exchange
        elif isinstance(event, DataReceived):
            self.requests[event.stream_id].body += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamEnded):
            exchange = self.requests.pop(event.stream_id)
            self.tasks[event.stream_id] = asyncio.create_task(exchange.answer())
        elif isinstance(event, StreamReset) and event.stream_id in self.tasks:
            self.tasks.pop(event.stream_id).cancel()
        elif isinstance(event, WindowUpdated):
            self.window.set()
            self.window.clear()


async def serve(reader, writer):
    counts["connections"] += 1
    tls = writer.get_extra_info("ssl_object")
    kind = Connection2 if tls and tls.selected_alpn_protocol() == "h2" else Connection1
    try:
        await kind(reader, writer).serve()
    except (OSError, asyncio.IncompleteReadError):
        pass  # the client is gone
    finally:
        counts["connections"] -= 1
        writer.close()


@functools.lru_cache(maxsize=1)
def tls_context(_):
    files = script["tls"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["cert"], files["key"])
    context.set_alpn_protocols(script.get("alpn", ["h2", "http/1.1"]))
    if "client_ca" in files:
        context.load_verify_locations(files["client_ca"])
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def present_tls_context():
    return tls_context(tuple(os.stat(file).st_mtime_ns for file in script["tls"].values()))


def on_hello(tls, name, _):
    tls.name = name
    tls.context = present_tls_context()


def read_stdin(loop):
    for _ in sys.stdin:
        loop.call_soon_threadsafe(go_on.set)
    os._exit(0)


async def main():
    context = None
    if "tls" in script:
        context = present_tls_context()
        context.sni_callback = on_hello
    server = await asyncio.start_server(serve, script.get("host", "127.0.0.1"), 0, ssl=context, backlog=512)
    threading.Thread(target=read_stdin, args=(asyncio.get_running_loop(),), daemon=True).start()
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if "tls" in script:
    from h2.config import H2Configuration
    from h2.connection import H2Connection
    from h2.errors import ErrorCodes
    from h2.events import DataReceived, RequestReceived, StreamEnded, StreamReset, WindowUpdated
    from hyperframe.frame import GoAwayFrame
asyncio.run(main())
