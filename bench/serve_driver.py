"""Measures `kitfox serve` for bench/serve.sh, beside a service of FastAPI and ONNX Runtime, and writes one Markdown report.

The server, the load and the peer share the machine. What the load's process takes is told, and throughput is compared
with in-process sessions on what is left of the cores.
"""

import argparse
import heapq
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLES = os.path.join(HERE, "..", "examples", "pictures")
CORES = len(os.sched_getaffinity(0))
BOUNDARY = "kitfox-bench-boundary"


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", help="an .onnx file")
    parser.add_argument("--kitfox", required=True)
    parser.add_argument("--load", required=True)
    parser.add_argument("--python", default="none", help='an interpreter with FastAPI and ONNX Runtime, or "none"')
    parser.add_argument("--pictures", default=EXAMPLES)
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output")
    o = parser.parse_args()
    o.kitfox, o.load = os.path.abspath(o.kitfox), os.path.abspath(o.load)
    return o


def kitfox(o, *args):
    r = subprocess.run([o.kitfox, *args], capture_output=True, text=True)
    if r.returncode:
        sys.exit("bench: kitfox " + " ".join(args) + ": " + r.stderr)
    return [json.loads(line) for line in r.stdout.splitlines() if line.startswith("{")]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(port, path):
    """Does a GET give status 200?"""
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as s:
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            return b" 200 " in s.recv(4096).split(b"\r\n")[0]
    except OSError:
        return False


def tree(pid):
    """A process and its descendants."""
    found = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as f:
            for child in f.read().split():
                found += tree(int(child))
    return found


def resident(pid):
    """MiB of a process and its descendants: private pages, and their part of shared ones."""
    total = 0
    for one in tree(pid):
        with open(f"/proc/{one}/smaps_rollup", encoding="ascii") as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    return total / 1024


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Service:
    """with Service(command, ready, env) as s: a server that answers at `port`; `start` is the time until it does, in ms."""

    def __init__(self, command, ready, env=None):
        self.command, self.ready, self.env = command, ready, env

    def __enter__(self):
        self.port, began = free_port(), time.monotonic()
        command = [part.replace("PORT", str(self.port)) for part in self.command]
        env = {**os.environ, **(self.env or {})}
        null = subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdout=null, stderr=null, env=env, cwd=HERE, start_new_session=True)
        while not answers(self.port, self.ready):
            if self.process.poll() is not None or time.monotonic() - began > 120:
                sys.exit("bench: does not start: " + " ".join(command))
            time.sleep(0.0005)
        self.start = 1e3 * (time.monotonic() - began)
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait()

    def resident(self):
        return resident(self.process.pid)


# ---- requests --------------------------------------------------------------------------------------------------------


def post(path, body, headers):
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, *(f"{k}: {v}" for k, v in headers.items()), "", ""]).encode() + body


def write_requests(folder, o, model):
    """Files of requests: raw u8 tensors for the int8 network, and pictures as curl -F sends them."""
    random_, kinds = random.Random(1), {"tensors": [], "pictures": []}
    for i in range(8):
        body = random_.randbytes(3 * model["height"] * model["width"])
        data = post("/v2/models/int8/infer", body, {"Inference-Header-Content-Length": 0})
        kinds["tensors"].append(put(folder, f"tensor{i}", data))
    names = [n for n in sorted(os.listdir(o.pictures)) if n.lower().endswith((".jpg", ".jpeg"))][:50]
    for name in names:
        with open(os.path.join(o.pictures, name), "rb") as f:
            jpeg = f.read()
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
        body = (head + "Content-Type: image/jpeg\r\n\r\n").encode() + jpeg + f"\r\n--{BOUNDARY}--\r\n".encode()
        data = post("/classify", body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})
        kinds["pictures"].append(put(folder, name, data))
    return kinds


def put(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, "wb") as f:
        f.write(data)
    return path


def run_load(o, folder, port, files, connections, requests, rate=0.0, seed=1):
    """What the load says of itself, and [(due, seconds, seconds of a worker)] of each request."""
    out = os.path.join(folder, "out")
    args = [o.load, str(port), str(connections), str(requests), str(rate), str(seed), out, *files]
    r = subprocess.run(args, capture_output=True, text=True)
    if r.returncode:
        sys.exit("bench: load: " + r.stdout + r.stderr)
    with open(out, encoding="ascii") as f:
        return json.loads(r.stdout), [tuple(map(float, line.split())) for line in f]


def for_seconds(o, folder, port, files, connections):
    """A closed loop of about --seconds: first a short one, which also warms up, tells how many requests that is."""
    first = run_load(o, folder, port, files, connections, 200)[0]
    wanted = max(200, int(o.seconds * first["requests"] / first["seconds"]))
    return run_load(o, folder, port, files, connections, wanted)


# ---- an ideal queue --------------------------------------------------------------------------------------------------


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def ideal_queue(due, service, workers):
    """Times from arrival to answer of a queue without any cost: first come, first served by `workers`."""
    free, took = [0.0] * workers, []
    for at, need in zip(due, service):
        begin = max(at, heapq.heappop(free))
        heapq.heappush(free, begin + need)
        took.append(begin + need - at)
    return took


# ---- measurements ----------------------------------------------------------------------------------------------------


def serve_command(o, *files):
    """A queue for all connections: a request that is refused would have no time."""
    room = ["--queue", "1000", "--timeout", "600000"]
    return [o.kitfox, "serve", *files, "--port", "PORT", "--log", "none", "--threads", str(CORES), *room]


def starts(command, ready, env, times):
    found = []
    for _ in range(times):
        with Service(command, ready, env) as s:
            found.append(s.start)
    return found


def throughput(o, folder, int8, files):
    """Rounds of in-process sessions and of the server, one after the other."""
    rounds = []
    for _ in range(o.rounds):
        one = kitfox(o, "bench", int8, "--sessions", str(CORES), "--frames", "200", "--json")[-1]
        frames = max(200, int(o.seconds * one["fps"]))
        inside = kitfox(o, "bench", int8, "--sessions", str(CORES), "--frames", str(frames), "--json")[-1]["fps"]
        with Service(serve_command(o, int8), "/v2/health/ready") as s:
            load, _ = for_seconds(o, folder, s.port, files, 2 * CORES)
        left = 1 - load["cpu"] / (CORES * load["seconds"])
        rate = load["requests"] / load["seconds"]
        rounds.append({"inside": inside, "rate": rate, "left": left, "ratio": rate / (inside * left)})
    return rounds


def open_loop(o, folder, int8, files, rate):
    """Poisson arrivals at half of what the closed loop gave, against a queue that costs nothing."""
    with Service(serve_command(o, int8), "/v2/health/ready") as s:
        for_seconds(o, folder, s.port, files, CORES)  # warms up
        n = max(2000, int(o.seconds * rate / 2))
        load, took = run_load(o, folder, s.port, files, 64 * CORES, n, rate / 2, 7)
        idle, begin = cpu_seconds(s.process.pid), time.monotonic()
        time.sleep(max(2, o.seconds / 2))
        idle = (cpu_seconds(s.process.pid) - idle) / (time.monotonic() - begin)
        memory = s.resident()
    # The ideal queue has the arrivals of this run, and the work of each request as the server measured it here: what is
    # left is the cost of HTTP, of waking up, and of a wrong order.
    ideal = ideal_queue([at for at, _, _ in took], [work for _, _, work in took], CORES)
    return {
        "rate": rate / 2,
        "requests": n,
        "p50": load["p50"],
        "p99": load["p99"],
        "ideal50": percentile(ideal, 0.5),
        "ideal99": percentile(ideal, 0.99),
        "work": statistics.median(work for _, _, work in took),
        "idle": idle,
        "memory": memory,
    }


def peers(o, model):
    """Name, command, path of readiness, environment."""
    prepared = model["preprocess"]
    width = prepared["width"]
    env = {
        "MODEL": os.path.abspath(o.model),
        "SIZE": str(width),
        "RESIZE": str(int(width / prepared["crop_pct"])),
        "MEAN": " ".join(map(str, prepared["mean"])),
        "STD": " ".join(map(str, prepared["std"])),
    }
    uvicorn = [o.python, "-m", "uvicorn", "serve_fastapi:app", "--port", "PORT", "--log-level", "warning"]
    return [
        ("FastAPI + ONNX Runtime, fp32, one process (the default)", uvicorn, "/health", env),
        (
            f"the same, {CORES} processes of one thread",
            [*uvicorn, "--workers", str(CORES)],
            "/health",
            {**env, "THREADS": "1"},
        ),
    ]


def side_by_side(o, folder, services, files):
    """JPEG files to labels. Each round asks each service; fresh processes."""
    rows = {name: [] for name, *_ in services}
    for _ in range(o.rounds):
        for name, command, ready, env in services:
            with Service(command, ready, env) as s:
                load, _ = for_seconds(o, folder, s.port, files, 2 * CORES)
                one, _ = for_seconds(o, folder, s.port, files, 1)
                row = {"rate": load["requests"] / load["seconds"], "p50": one["p50"], "p99": load["p99"]}
                rows[name].append({**row, "memory": s.resident(), "start": s.start})
    return rows


# ---- report ----------------------------------------------------------------------------------------------------------


def middle(rows, key):
    return statistics.median(row[key] for row in rows)


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        return next((line.split(":")[1].strip() for line in f if line.startswith("model name")), "unknown")


def report(o, begun, rounds, queue, start, rows):
    ratios = sorted(r["ratio"] for r in rounds)
    text = [
        f"# kitfox serve: {os.path.basename(o.model)}, {time.strftime('%Y-%m-%d')}",
        "",
        f"{cpu_name()}, {CORES} cores, which the load shares. Other load before: {begun:.2f} (a quiet machine has "
        f"less than 0.2). {o.rounds} rounds of {o.seconds:g} s; medians.",
        "",
        "| int8, u8 tensors | |",
        "|---|---|",
        f"| in-process sessions, images/s | {middle(rounds, 'inside'):.0f} |",
        f"| server, requests/s | {middle(rounds, 'rate'):.0f} |",
        f"| cores left by the load | {100 * middle(rounds, 'left'):.1f} % |",
        f"| server / sessions on what is left (goal 0.9) | {statistics.median(ratios):.3f} "
        f"({ratios[0]:.3f} to {ratios[-1]:.3f}) |",
        f"| open loop, Poisson, requests/s | {queue['rate']:.0f} ({queue['requests']} requests) |",
        f"| its median, p99, ms | {1e3 * queue['p50']:.3f}, {1e3 * queue['p99']:.3f} |",
        f"| work of a request, median, ms | {1e3 * queue['work']:.3f} |",
        f"| ideal queue with the same service times, ms | {1e3 * queue['ideal50']:.3f}, {1e3 * queue['ideal99']:.3f} |",
        f"| p99 / ideal p99 (goal 1.3) | {queue['p99'] / queue['ideal99']:.2f} |",
        f"| start to ready, ms (goal 50) | {statistics.median(start):.1f} ({min(start):.1f} to {max(start):.1f}) |",
        f"| memory after the load, MiB | {queue['memory']:.1f} |",
        f"| processor when idle | {100 * queue['idle']:.1f} % |",
        "",
        f"JPEG files to labels, by multipart/form-data (`curl -F image=@FILE`), {2 * CORES} connections:",
        "",
        "| service | pictures/s | p99 ms | alone, median ms | memory MiB | start ms |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in rows.items():
        numbers = [middle(found, key) for key in ("rate", "p99", "p50", "memory", "start")]
        rate, p99, p50, memory, begin = numbers
        text.append(f"| {name} | {rate:.0f} | {1e3 * p99:.2f} | {1e3 * p50:.2f} | {memory:.1f} | {begin:.0f} |")
    return "\n".join(text) + "\n"


def main():
    o, begun = arguments(), os.getloadavg()[0]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no server outlives the benchmark
    with tempfile.TemporaryDirectory(prefix="kitfox-bench-") as folder:
        fp32, int8 = os.path.join(folder, "float.kfx"), os.path.join(folder, "int8.kfx")
        kitfox(o, "import", o.model, "-o", fp32)
        kitfox(o, "quantize", o.model, "-c", o.pictures, "-o", int8)
        model = kitfox(o, "info", int8, "--json")[0]
        files = write_requests(folder, o, model["preprocess"])
        print("bench: starts", file=sys.stderr)
        start = starts(serve_command(o, int8), "/v2/health/ready", None, 11)
        print("bench: u8 tensors", file=sys.stderr)
        rounds = throughput(o, folder, int8, files["tensors"])
        queue = open_loop(o, folder, int8, files["tensors"], middle(rounds, "rate"))
        services = [
            ("kitfox serve, int8", serve_command(o, int8), "/v2/health/ready", None),
            ("kitfox serve, fp32", serve_command(o, fp32), "/v2/health/ready", None),
        ]
        services += peers(o, model) if o.python != "none" else []
        print("bench: pictures", file=sys.stderr)
        text = report(o, begun, rounds, queue, start, side_by_side(o, folder, services, files["pictures"]))
    print(text, end="")
    if o.python == "none":
        print("\nFastAPI and ONNX Runtime are not here.")
    if o.output:
        with open(o.output, "w", encoding="utf-8") as f:
            f.write(text)


if __name__ == "__main__":
    main()
