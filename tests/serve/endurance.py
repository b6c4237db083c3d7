"""Many requests to one server: good, bad, cut and slow ones, while models are swapped and clients are killed.

usage: endurance.py PROGRAM [--requests N] [--connections N] [--seed N] [--swap SECONDS]
Every answer is compared with the known one of its picture, which `classify` gave before the server started. One pair of
answers is mixed up here on purpose; the check has to see it. At the end the counters of /metrics must be those that
were counted here, none more and none less, and the memory that of the beginning.
"""

import argparse
import asyncio
import base64
import collections
import gzip
import json
import math
import os
import random
import resource
import select
import signal
import socket
import struct
import sys
import time

from serve_kit import Server, answer, request
from kit import EXAMPLES, ROOT, case, check, run, run_cases

SIDE, CLASSES, PICTURES = 64, 10, 500
CLOSE, APART = 2e-5, 1e-3  # probabilities: of one picture by different ways, and of two pictures
WARM = 0.2  # the part of the requests after which memory may not grow
GROWTH = 8 << 20  # bytes: a swap holds two models for a moment, by whichever thread; 1 KB a request would be more
KILLED = """
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
body = sys.stdin.buffer.read()
s.sendall(body)
while s.recv(1000) and sys.argv[2] == "on":
    s.sendall(body)
"""


def options():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("program")
    parser.add_argument("--requests", type=int, default=6000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--swap", type=float, default=30, help="seconds between two swaps")
    parser.add_argument("--sanitized", action="store_true", help="memory is not judged")
    return parser.parse_known_args()[0]


OPTIONS = options()


# ---- pictures and their answers --------------------------------------------------------------------------------------


def draw(random_):
    """A PPM picture of some rectangles, as large as the network's input: nothing is resized."""
    pixels = bytearray(bytes(random_.randrange(256) for _ in range(3)) * SIDE * SIDE)
    for _ in range(random_.randrange(3, 9)):
        x, y, w, h = (random_.randrange(SIDE) for _ in range(4))
        color = bytes(random_.randrange(256) for _ in range(3))
        for row in range(y, min(SIDE, y + h)):
            pixels[3 * (row * SIDE + x) : 3 * (row * SIDE + min(SIDE, x + w))] = color * (min(SIDE, x + w) - x)
    return b"P6 %d %d 255\n" % (SIDE, SIDE) + bytes(pixels)


def planes(picture):
    """The same pixels as a tensor 3 x 64 x 64."""
    pixels = picture[-3 * SIDE * SIDE :]
    return pixels[0::3] + pixels[1::3] + pixels[2::3]


def known_answers(model, files):
    """Probabilities by class of each file."""
    status, out, err = run("classify", model, "--json", "-k", str(CLASSES), *files)
    assert status == 0, err
    rows = [json.loads(line) for line in out.splitlines()]
    return [by_class(row["top"]) for row in rows if row["kind"] == "picture"]


def by_class(top):
    scores = [None] * CLASSES
    for t in top:
        scores[t["index"]] = t["score"]
    return scores


def softmax(logits):
    most = max(logits)
    e = [math.exp(v - most) for v in logits]
    return [v / sum(e) for v in e]


def same(a, b, within=CLOSE):
    return len(a) == len(b) and all(abs(x - y) <= within for x, y in zip(a, b))


def distinct(pictures, answers):
    """Those whose answers by each model can be told from all others."""
    kept = []
    for i in range(len(pictures)):
        if all(not same(of[i], of[k], APART) for of in answers for k in kept):
            kept.append(i)
    return kept


class Known:
    """Pictures, and what float and int8 say to them."""

    def __init__(self, folder):
        random_ = random.Random(OPTIONS.seed)
        self.models = {"float": os.path.join(folder, "float.kfx"), "int8": os.path.join(folder, "int8.kfx")}
        source = os.path.join(ROOT, "data", "everyday10.safetensors")
        status, _, err = run("import", source, "-o", self.models["float"])
        assert status == 0, err
        status, _, err = run("quantize", source, "-c", EXAMPLES, "-o", self.models["int8"])
        assert status == 0, err
        pictures, files = [draw(random_) for _ in range(PICTURES)], []
        for i, picture in enumerate(pictures):
            files.append(os.path.join(folder, f"{i:04}.ppm"))
            with open(files[-1], "wb") as f:
                f.write(picture)
        answers = [known_answers(path, files) for path in self.models.values()]
        kept = distinct(pictures, answers)
        self.pictures = [pictures[i] for i in kept]
        self.answers = {name: [of[i] for i in kept] for name, of in zip(self.models, answers)}


# ---- requests --------------------------------------------------------------------------------------------------------

# A request: its bytes, the model whose counters it moves, how it is counted ("success" or the cause of a failure), and
# what is done with the answer.
Ask = collections.namedtuple("Ask", "data model counted status read pictures way")


def good(model, data, read, pictures, way="whole"):
    return Ask(data, model, "success", 200, read, pictures, way)


def bad(model, data, counted, status, way="whole"):
    return Ask(data, model, counted, status, None, (), way)


def read_classify(a):
    return [by_class(p["top"]) for p in json.loads(a.body)["pictures"]]


def read_infer(a):
    """All of the answer's tensor; binary where its header says so."""
    if "inference-header-content-length" not in a.headers:
        values = json.loads(a.body)["outputs"][0]["data"]
    else:
        n = int(a.headers["inference-header-content-length"])
        values = struct.unpack(f"<{(len(a.body) - n) // 4}f", a.body[n:])
    return [softmax(values[i : i + CLASSES]) for i in range(0, len(values), CLASSES)]


def infer(model, inputs, tail=b"", **more):
    head = json.dumps({"inputs": inputs, **more}).encode()
    return request(
        "POST",
        f"/v2/models/{model}/infer",
        head + tail,
        Inference_Header_Content_Length=str(len(head)) if tail else None,
    )


class Mix:
    """Draws requests."""

    def __init__(self, known, random_):
        self.known, self.random, self.turn = known, random_, 0

    def next_pictures(self, n):
        """The next ones in turn: no two requests at a time have the same."""
        first = self.turn
        self.turn = (self.turn + n) % len(self.known.pictures)
        return tuple((first + i) % len(self.known.pictures) for i in range(n))

    def ask(self):
        draw_ = self.random.random()
        if draw_ < 0.80:
            return self.good()
        if draw_ < 0.92:
            return self.bad()
        if draw_ < 0.97:
            return self.cut()
        return self.good()._replace(way="slow")

    def good(self):
        model = self.random.choice(["float", "int8", "swapped"])
        kind = self.random.randrange(6)
        n = 1 + (kind == 3)
        chosen = self.next_pictures(n)
        files = [self.known.pictures[i] for i in chosen]
        if kind == 0:
            return good(model, request("POST", f"/classify/{model}?k=10", files[0]), read_classify, chosen)
        if kind == 1:
            packed = gzip.compress(files[0], 1)
            data = request("POST", f"/classify/{model}?k=10", packed, Content_Encoding="gzip")
            return good(model, data, read_classify, chosen)
        if kind == 2:  # a raw tensor of the int8 network
            tensor = planes(files[0])
            shape = {"name": "data", "shape": [1, 3, SIDE, SIDE], "datatype": "UINT8"}
            shape["parameters"] = {"binary_data_size": len(tensor)}
            return good("int8", infer("int8", [shape], tensor, id=str(chosen[0])), read_infer, chosen)
        if kind == 3:  # a batch of two pictures as they are in their files
            tail = b"".join(struct.pack("<I", len(f)) + f for f in files)
            pair = {"name": "data", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": len(tail)}}
            data = infer(model, [pair], tail, parameters={"binary_data_output": True})
            return good(model, data, read_infer, chosen)
        if kind == 4:
            data = request("POST", "/v2/models/int8/infer", planes(files[0]), Inference_Header_Content_Length="0")
            return good("int8", data, read_infer, chosen)
        text = base64.b64encode(files[0]).decode()
        one = {"name": "data", "shape": [1], "datatype": "BYTES", "parameters": {"content_type": "base64"}}
        return good(model, infer(model, [{**one, "data": [text]}]), read_infer, chosen)

    def bad(self):
        tensor = {"name": "data", "shape": [1, 3, SIDE, SIDE], "datatype": "UINT8"}
        picture = self.known.pictures[0]
        infer_ = "/v2/models/float/infer"
        return self.random.choice(
            [
                bad("", request("POST", "/v2/models/nobody/infer", b"{}"), "not_found", 404),
                bad("", request("GET", "/nothing"), "not_found", 404),
                bad("float", request("POST", infer_, b'{"inputs": [}'), "bad_request", 400),
                bad("float", request("POST", infer_, b""), "bad_request", 400),
                bad("int8", infer("int8", [{**tensor, "shape": [1, 3, 9, 9], "data": [0] * 243}]), "bad_request", 400),
                bad("int8", infer("int8", [{**tensor, "datatype": "UINT9", "data": [0]}]), "bad_request", 400),
                bad("", request("GET", infer_), "bad_request", 405),
                bad("float", request("POST", "/classify/float", picture[:900]), "picture", 400),
                bad("float", request("POST", "/classify/float?k=0", picture), "bad_request", 400),
                bad("float", request("POST", "/classify/float", picture, Origin="http://evil.test"), "refused", 403),
                bad("float", request("POST", "/classify/float", picture, Host="evil.test"), "refused", 403),
                bad("float", request("POST", infer_, Content_Length=str(1 << 40)), "too_large", 413, "last"),
            ]
        )

    def cut(self):
        """The client goes before its request is complete."""
        data = request("POST", "/classify/float", self.known.pictures[0])
        if self.random.random() < 0.3:
            return Ask(data[: self.random.randrange(20, 40)], "", None, 0, None, (), "cut")  # no request at all
        return Ask(data[: self.random.randrange(400, len(data) - 1)], "float", "gone", 0, None, (), "cut")


# ---- clients ---------------------------------------------------------------------------------------------------------


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


async def read_reply(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1").split("\r\n")
    headers = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in head[1:] if line}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Reply(int(head[0].split(" ")[1]), headers, body)


class Run:
    """What was asked, what came back, and what the counters have to say."""

    def __init__(self, server, known):
        self.server, self.known = server, known
        self.random = random.Random(OPTIONS.seed)
        self.mix = Mix(known, self.random)
        self.left, self.done, self.counts, self.images = (
            OPTIONS.requests,
            0,
            collections.Counter(),
            collections.Counter(),
        )
        self.wrong, self.seen_wrong, self.ways = [], [], collections.Counter()
        self.swapped = {"float"}  # whose answers the model "swapped" may give now
        self.held, self.injected, self.failed = None, 0, False
        self.memory, self.swaps, self.killed = [], 0, 0

    def is_over(self):
        return self.done >= OPTIONS.requests or self.failed

    def fits(self, ask, scores, allowed):
        """Do the scores belong to the pictures of the request?"""
        return len(scores) == len(ask.pictures) and any(
            all(same(got, self.known.answers[form][i]) for i, got in zip(ask.pictures, scores)) for form in allowed
        )

    def judge(self, ask, reply, allowed):
        """Counts a request; what is wrong is kept."""
        self.counts[ask.model, ask.counted] += 1
        if reply.status != ask.status:
            self.wrong.append((ask.way, ask.data[:80], reply.status, reply.body[:200]))
        elif ask.read:
            self.images[ask.model] += len(ask.pictures)
            self.compare(ask, ask.read(reply), allowed)

    def compare(self, ask, scores, allowed):
        """Once the answers of two requests are mixed up before they are looked at: the check must see both."""
        late = self.done > OPTIONS.requests // 2 and len(ask.pictures) == 1 and ask.model != "swapped"
        if late and not self.held:
            self.held = (ask, scores, allowed)
            return
        if late and not self.injected:
            other, theirs, may = self.held
            self.injected = 1
            self.seen_wrong = [not self.fits(other, scores, may), not self.fits(ask, theirs, allowed)]
            scores = scores if self.fits(ask, scores, allowed) else None
            if scores is None or not self.fits(other, theirs, may):
                self.wrong.append("one of the pair that is mixed up was wrong by itself")
            return
        if not self.fits(ask, scores, allowed):
            wanted = [self.known.answers[form][ask.pictures[0]][:3] for form in allowed]
            self.wrong.append((ask.model, ask.way, ask.pictures, scores[0][:3], wanted))

    async def connection(self):
        try:
            await self.talk()
        except Exception:
            self.failed = True  # the others shall not wait for what it does not do
            raise

    async def talk(self):
        reader = writer = None
        while self.left > 0 and not self.failed:
            self.left -= 1
            ask = self.mix.ask()
            self.ways[ask.way if ask.counted in ("success", None) or ask.way == "cut" else "bad"] += 1
            if not writer or ask.way == "cut" or self.random.random() < 0.02:
                if writer:
                    writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
            allowed = set(self.swapped) if ask.model == "swapped" else {ask.model}
            await self.send(writer, ask)
            if ask.way == "cut":
                writer.close()
                writer = None
                if ask.counted:
                    self.counts[ask.model, ask.counted] += 1
            else:
                reply = await asyncio.wait_for(read_reply(reader), 120)
                if ask.model == "swapped":
                    allowed |= self.swapped  # a swap may have begun meanwhile
                self.judge(ask, reply, allowed)
                if reply.headers.get("connection") == "close" or ask.way == "last":
                    writer.close()
                    writer = None
            self.done += 1
        if writer:
            writer.close()

    async def send(self, writer, ask):
        if ask.way != "slow":
            writer.write(ask.data)
            return await writer.drain()
        places = sorted(self.random.randrange(1, len(ask.data)) for _ in range(4))
        for a, b in zip([0, *places], [*places, len(ask.data)]):
            writer.write(ask.data[a:b])
            await writer.drain()
            await asyncio.sleep(0.02)

    async def call(self, method, path, body=b""):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(request(method, path, body))
        reply = await asyncio.wait_for(read_reply(reader), 120)
        writer.close()
        return reply

    async def loads(self):
        index = json.loads((await self.call("POST", "/v2/repository/index")).body)
        return next(m["loads"] for m in index if m["name"] == "swapped")

    # -- what else happens --

    async def goes_on(self, seconds):
        """Waits; False where the requests end before."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.is_over():
            await asyncio.sleep(0.05)
        return not self.is_over()

    async def swap(self, path):
        """float, int8, a broken file, and so on; by a call, or by SIGHUP."""
        form = "float"
        while await self.goes_on(OPTIONS.swap):
            self.swaps += 1
            if self.swaps % 3 == 0:
                put_file(path, b"no model")
                reply = await self.call("POST", "/v2/repository/models/swapped/load")
                self.counts["swapped", "internal"] += 1
                if reply.status != 400:
                    self.wrong.append(("a broken file was loaded", reply.status, reply.body))
                continue
            form = "int8" if form == "float" else "float"
            self.swapped = {"float", "int8"}
            with open(self.known.models[form], "rb") as f:
                put_file(path, f.read())
            before = await self.loads()
            if self.swaps % 3 == 1:
                reply = await self.call("POST", "/v2/repository/models/swapped/load")
                self.counts["swapped", "success"] += 1
                if reply.status != 200:
                    self.wrong.append(("a swap failed", reply.status, reply.body))
            else:
                self.server.process.send_signal(signal.SIGHUP)
            while await self.loads() == before:
                await asyncio.sleep(0.02)
            self.swapped = {form}

    async def kill(self):
        """Clients of a model of their own, whose end nobody can know: theirs are counted apart."""
        data = request("POST", "/classify/victim", self.known.pictures[0])
        while not self.is_over():
            whole, pipe = self.killed % 2, asyncio.subprocess.PIPE
            args = [sys.executable, "-c", KILLED, str(self.server.port), "on" if whole else "once"]
            p = await asyncio.create_subprocess_exec(*args, stdin=pipe, stderr=asyncio.subprocess.DEVNULL)
            p.stdin.write(data if whole else data[: len(data) * 2 // 3])
            p.stdin.close()
            await asyncio.sleep(0.1 + self.random.random())
            p.kill()
            await p.wait()
            self.killed += 1

    async def watch(self):
        while not self.is_over():
            values = metrics((await self.call("GET", "/metrics")).body)
            self.memory.append((self.done / OPTIONS.requests, values["process_resident_memory_bytes"]))
            await asyncio.sleep(0.5)

    async def all(self, path):
        tasks = [self.connection() for _ in range(OPTIONS.connections)] + [self.swap(path), self.kill(), self.watch()]
        self.wrong += [repr(e) for e in await asyncio.gather(*tasks, return_exceptions=True) if e]


def put_file(path, data):
    with open(path + ".new", "wb") as f:
        f.write(data)
    os.rename(path + ".new", path)


def metrics(body):
    rows = body.decode().splitlines()
    return {row.rsplit(" ", 1)[0]: float(row.rsplit(" ", 1)[1]) for row in rows if not row.startswith("#")}


# ---- the end ---------------------------------------------------------------------------------------------------------


def counted(values):
    """{(model, "success" or cause): n} as /metrics has them."""
    found = collections.Counter()
    for name, value in values.items():
        if name.startswith("kitfox_requests_success_total{"):
            found[name.split('"')[1], "success"] = int(value)
        elif name.startswith("kitfox_requests_failure_total{"):
            found[name.split('"')[1], name.split('"')[3]] = int(value)
    return +found


def check_counters(r, values):
    theirs, ours = counted(values), +r.counts
    ours.pop(("", None), None)
    victims = {key: n for key, n in theirs.items() if key[0] == "victim"}
    rest = {key: n for key, n in theirs.items() if key[0] != "victim"}
    different = {key: (ours[key], theirs[key]) for key in {*ours, *rest} if ours[key] != theirs[key]}
    check(f"{sum(ours.values())} requests: counters here and there are the same", not different, different)
    check(
        "killed clients were counted as answered or gone", {key[1] for key in victims} <= {"success", "gone"}, victims
    )
    for model in "float", "int8", "swapped":
        n = values[f'kitfox_request_duration_seconds_count{{model="{model}"}}']
        check(f"{model}: its histogram has as many as its counter", n == theirs[model, "success"], n)
        alias = values[f'nv_inference_request_success{{model="{model}",version="1"}}']
        check(f"{model}: so has the counter under its other name", alias == theirs[model, "success"], alias)
        images = values[f'kitfox_pictures_total{{model="{model}"}}']
        check(f"{model}: images", images == r.images[model], (images, r.images[model]))


def check_memory(r):
    early = [m for part, m in r.memory if WARM <= part < 2 * WARM] or [m for _, m in r.memory]
    late = [m for part, m in r.memory if part > 1 - WARM] or early
    print("MiB:", " ".join(f"{m / 2**20:.1f}" for _, m in r.memory[:: len(r.memory) // 40 + 1]))
    text = f"{min(early) / 2**20:.1f} to {max(early) / 2**20:.1f} MiB early, {max(late) / 2**20:.1f} late"
    if OPTIONS.sanitized:
        print("memory:", text)
    else:
        check("memory is flat: " + text, max(late) <= max(early) + GROWTH)


@case
def a_mix_of_requests(folder):
    known = Known(folder)
    path = os.path.join(folder, "swapped.kfx")
    for name in "swapped", "victim":
        with open(known.models["float"], "rb") as f:
            put_file(os.path.join(folder, name + ".kfx"), f.read())
    models = [*known.models.values(), path, os.path.join(folder, "victim.kfx")]
    with Server(*models, "--log", "none", "--repository-calls") as s:
        r, began = Run(s, known), time.monotonic()
        asyncio.run(r.all(path))
        deadline = time.monotonic() + 60
        while s.metrics()["kitfox_connections"] > 1 and time.monotonic() < deadline:
            time.sleep(0.1)
        values = s.metrics()
        check("every connection has ended", values["kitfox_connections"] == 1, values["kitfox_connections"])
        seconds = time.monotonic() - began
        print(
            f"{r.done} requests in {seconds:.0f} s: {dict(r.ways)}; {len(known.pictures)} pictures, {r.swaps} swaps, "
            f"{r.killed} clients killed"
        )
        print("counted:", {f"{model or '-'} {what}": n for (model, what), n in sorted(counted(values).items())})
        check("no wrong answer", not r.wrong, r.wrong[:3])
        check("the pair that was mixed up on purpose was seen", r.seen_wrong == [True, True], r.seen_wrong)
        check_counters(r, values)
        check_memory(r)
        check("it ends as it should", s.end() == 0, s.log[-500:])


@case
def a_full_table_of_files(folder):
    """Clients wait while the server has no descriptor left; it neither ends nor spins, and goes on once it has some."""
    with open(os.path.join(EXAMPLES, "frog.jpg"), "rb") as f:
        frog = request("POST", "/classify", f.read())
    with Server("--repository-calls", limits=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80))) as s:
        open_ = [s.connect() for _ in range(120)]
        for c in open_:
            c.sendall(frog)
        served = [c for c in open_ if select.select([c], [], [], 2 if c is open_[0] else 0.01)[0]]
        check("some are served, the others wait", 8 <= len(served) < len(open_), len(served))
        pid = s.process.pid
        files = len(os.listdir(f"/proc/{pid}/fd"))
        check("a file for each of them, and room for models", files < 80, files)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (files, 80))
        before = cpu_seconds(pid)
        time.sleep(1)
        used = cpu_seconds(pid) - before
        check("it does not spin meanwhile", used < 0.5, used)
        served[0].sendall(request("POST", "/v2/repository/models/everyday10/load"))
        answer(served[0])
        check("a model that cannot be opened leaves the old one", answer(served[0]).status in (200, 400))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (80, 80))
        for c in served:
            c.close()
        late = [c for c in open_ if c not in served]
        answers = [answer(c) for c in late[: len(served)]]
        check("those that waited get their answers", all(a and a.status == 200 for a in answers), answers)
        for c in late:
            c.close()
        check("and it serves new ones", s.raw(frog).status == 200)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@case
def a_client_that_never_reads():
    """It is cut after --body-timeout, and keeps nothing of the others."""
    with Server("--body-timeout", "2", "--log", "none") as s, s.connect() as c:
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.setblocking(False)
        sent, until = 0, time.monotonic() + 60
        ask = request("GET", "/metrics")
        while time.monotonic() < until:
            try:
                c.send(ask)
                sent += 1
            except BlockingIOError:
                time.sleep(0.05)
            except ConnectionError:
                break
        check(f"it is cut after {sent} requests", time.monotonic() < until)
        check("others are served", s.ask("GET", "/v2/health/live").status == 200)
        check("its connection is gone", s.metrics()["kitfox_connections"] == 1)


if __name__ == "__main__":
    sys.exit(run_cases())
