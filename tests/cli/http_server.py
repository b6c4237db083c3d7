"""A local HTTP server that misbehaves on request, for test_pull.py.

Each path has a list of answers; every request takes the next one and the last stays. An answer is a function of the handler.
`seen` holds (path, Range, If-Range) of each request; `during` is called in the middle of answers that stop half-way.
"""
import http.server
import threading
import time

OLD = "Mon, 01 Jan 2024 00:00:00 GMT"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        s = self.server
        self.wanted, condition = self.headers.get("Range"), self.headers.get("If-Range")
        s.seen.append((self.path, self.wanted, condition))
        answers = s.answers.get(self.path) or [status(404)]
        try:
            (answers.pop(0) if len(answers) > 1 else answers[0])(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, *args):
        pass

    def start(self, code, length=None, **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length is None:
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()


def good(body, ranges=True, obeys_if_range=True, **headers):
    """What a right server does: 206 for a range whose If-Range names what it has, else 200."""
    def answer(h):
        mine = headers.get("ETag") or headers.get("Last_Modified")
        at = int(h.wanted[6:].rstrip("-")) if h.wanted and ranges else 0
        if at and (not obeys_if_range or h.headers.get("If-Range") == mine):
            if at >= len(body):
                h.start(416, 0, Content_Range=f"bytes */{len(body)}")
                return
            h.start(206, len(body) - at, Content_Range=f"bytes {at}-{len(body) - 1}/{len(body)}", **headers)
            h.wfile.write(body[at:])
            return
        h.start(200, len(body), **headers)
        h.wfile.write(body)
    return answer


def broken(body, n, length="right", code=200, stall=0, **headers):
    """The first n bytes of the body; then the connection ends, after `stall` seconds of silence. length: right, None or a number."""
    def answer(h):
        h.start(code, len(body) if length == "right" else length, **headers)
        h.wfile.write(body[:n])
        h.wfile.flush()
        time.sleep(0.1)
        h.server.during()
        time.sleep(stall)
        h.close_connection = True
    return answer


def dripping(body, pause, **headers):
    """All of it, a byte at a time: a server that never stalls and never ends."""
    def answer(h):
        h.start(200, len(body), **headers)
        for i in range(len(body)):
            h.wfile.write(body[i:i + 1])
            h.wfile.flush()
            time.sleep(pause)
    return answer


def chunked(body, n, **headers):
    """Chunked, without the last chunk."""
    def answer(h):
        h.send_response(200)
        for name, value in headers.items():
            h.send_header(name.replace("_", "-"), value)
        h.send_header("Transfer-Encoding", "chunked")
        h.end_headers()
        h.wfile.write(b"%x\r\n%s\r\n" % (n, body[:n]))
        h.close_connection = True
    return answer


def partial(body):
    """A range for any condition, without a validator."""
    return good(body, obeys_if_range=False)


def wrong_range(body, start, **headers):
    """206, but for another place than was asked for."""
    def answer(h):
        h.start(206, len(body) - start, Content_Range=f"bytes {start}-{len(body) - 1}/{len(body)}", **headers)
        h.wfile.write(body[start:])
    return answer


def status(code, body=b"<html>an error page</html>", **headers):
    def answer(h):
        h.start(code, len(body), **headers)
        h.wfile.write(body)
    return answer


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.seen, self.during = {}, [], lambda: None
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass
