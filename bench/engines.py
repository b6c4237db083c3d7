"""How each engine is converted, timed, started and asked for labels: kitfox by its program, peers by worker.py.

Both are run through `sh -c`, which forks once more: a process inherits its parent's peak RSS over exec, and sh's is 1 MiB.
"""
import importlib
import json
import os
import signal
import struct
import subprocess
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
FORK = ["sh", "-c", '"$@"; exit $?', "sh"]
PATIENCE = 900  # seconds for one conversion or turn
STEERING = ("KITFOX_CPU", "KITFOX_THREADS", "OMP_", "GOMP_", "KMP_", "MKL_", "ONEDNN_", "DNNL_", "OV_CPU_", "XNN")  # of engines; the caller's are not taken over


class Failed(Exception):
    """The engine cannot do this here; the text becomes a line of the report."""


def usable_cpus():
    """One logical processor a core, so that two threads never share one core."""
    chosen, cores = [], set()
    for cpu in sorted(os.sched_getaffinity(0)):
        try:
            with open("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list" % cpu) as f:
                core = f.read()
        except OSError:
            core = cpu
        if core not in cores:
            cores.add(core)
            chosen.append(cpu)
    return chosen


def plain_environment():
    return {name: value for name, value in os.environ.items() if not name.startswith(STEERING)}


def pinned(command, cpus, env=None):
    """Run to the end, with `env` besides the plain environment; gives standard output and milliseconds until its first line and until its end."""
    with tempfile.TemporaryFile("w+", errors="replace") as err:  # a file: a full pipe would stop a talkative engine
        start = time.perf_counter()
        p = subprocess.Popen(FORK + command, stdout=subprocess.PIPE, stderr=err, stdin=subprocess.DEVNULL, text=True, start_new_session=True,
                             env={**plain_environment(), **(env or {})},
                             preexec_fn=lambda: os.sched_setaffinity(0, cpus) if cpus else None)
        watch = threading.Timer(PATIENCE, os.killpg, (p.pid, signal.SIGKILL))
        watch.start()
        try:
            line = p.stdout.readline()
            first = (time.perf_counter() - start) * 1e3
            rest = p.communicate()[0]
            end = (time.perf_counter() - start) * 1e3
        finally:
            watch.cancel()
            if p.poll() is None:  # interrupted: the child is in another process session and did not get the signal
                os.killpg(p.pid, signal.SIGKILL)
        if p.returncode:
            err.seek(0)
            raise Failed("status %d: %s" % (p.returncode, " ".join(err.read().split())[-200:]))
    return line + rest, first, end


class Peer:
    kinds = ("fp32", "int8")

    def __init__(self, python, module):
        self.module, self.command = module, [python, os.path.join(HERE, "worker.py")]
        peer = importlib.import_module("peers." + module)
        self.title, self.versions = peer.NAME, ""
        self.restrict = {} if isinstance(peer.RESTRICT, str) else peer.RESTRICT
        self.unrestricted = peer.RESTRICT if isinstance(peer.RESTRICT, str) else ""

    def ask(self, verb, *arguments, cpus=None, isa="native"):
        out, first, _ = pinned(self.command + [verb, self.module, *map(str, arguments)], cpus, self.restrict.get(isa))
        answer = json.loads(out)
        if "failed" in answer:
            raise Failed(answer["failed"])
        return answer, first

    def convert(self, model, kind, folder, inputs):
        self.versions = self.versions or self.ask("versions")[0]["versions"]
        answer, _ = self.ask("convert", kind, inputs["model"], folder, inputs["path"])
        if "missing" in answer:
            raise Failed(answer["missing"])
        return answer["path"], answer["note"]

    def bench(self, path, threads, frames, tensor, cpus, isa):
        return self.ask("bench", path, threads, frames, tensor, cpus=cpus, isa=isa)[0]

    def first(self, path, threads, tensor, cpus, isa):
        return self.ask("first", path, threads, tensor, cpus=cpus, isa=isa)[1]

    def labels(self, path, tensors, folder):
        listing = os.path.join(folder, "judge.txt")
        with open(listing, "w") as f:
            f.write("\n".join(tensors) + "\n")
        return self.ask("labels", path, listing)[0]["labels"]


def argmax_npy(path):
    """Index of the largest float32 of a .npy file, without numpy."""
    with open(path, "rb") as f:
        raw = f.read()
    start = 10 + struct.unpack("<H", raw[8:10])[0] if raw[6] == 1 else 12 + struct.unpack("<I", raw[8:12])[0]
    values = struct.unpack("<%df" % ((len(raw) - start) // 4), raw[start:])
    return values.index(max(values))


class Kitfox:
    title, versions, kinds = "KitFox", "this tree", ("fp32", "int8")
    restrict, unrestricted = {"avx2": {"KITFOX_CPU": "avx2"}}, ""

    def __init__(self, program):
        self.program = program

    def call(self, *arguments, cpus=None, isa="native"):
        return pinned([self.program, *map(str, arguments)], cpus, self.restrict.get(isa))

    def convert(self, model, kind, folder, inputs):
        out = os.path.join(folder, "kitfox_%s.kfx" % kind)
        if kind == "fp32":
            self.call("import", model, "-o", out)
            return out, "kitfox import"
        # .npy files: the very inputs that the peers calibrate on
        self.call("quantize", model, "--calib", os.path.dirname(inputs["tensors"][0]), "-o", out)
        return out, "kitfox quantize, default settings"

    def bench(self, path, threads, frames, tensor, cpus, isa):
        return json.loads(self.call("bench", path, "--threads", threads, "--frames", frames, "--json", cpus=cpus, isa=isa)[0])

    def first(self, path, threads, tensor, cpus, isa):
        out = path + ".npy"  # to the end of the process: the program says nothing before
        return self.call("run", path, tensor, "-o", out, "--threads", threads, cpus=cpus, isa=isa)[2]

    def labels(self, path, tensors, folder):
        out, found = path + ".npy", []
        for tensor in tensors:
            self.call("run", path, tensor, "-o", out)
            found.append(argmax_npy(out))
        return found

    def steps(self, path, frames, cpus):
        """Each step alone: what the program knows of it and its smallest time."""
        return json.loads(self.call("bench", path, "--frames", frames, "--profile", "--json", cpus=cpus)[0])["steps"]

    def sessions(self, path, counts, frames, cpus):
        """Sessions of one thread side by side: one line a count."""
        listed = ",".join(map(str, counts))
        return [json.loads(line) for line in self.call("bench", path, "--sessions", listed, "--frames", frames, "--json", cpus=cpus)[0].splitlines()]


class KitfoxPixels(Kitfox):
    """The int8 network of pictures: it reads their bytes, and normalization is folded into its first layer. Timed on bytes; start and labels are
    from the f32 tensors, whose normalization it undoes."""
    title, kinds = "KitFox, u8 pixels", ("int8",)

    def convert(self, model, kind, folder, inputs):
        out = os.path.join(folder, "kitfox_pixels.kfx")
        stem = os.path.splitext(os.path.basename(model))[0]
        named = ["--preprocess", "timm:" + stem] if stem.startswith("tf_") else []  # the others of timm have the default
        self.call("quantize", model, "--calib", inputs["pictures"], "-o", out, *named)
        return out, "kitfox quantize on the pictures, default settings; takes bytes, so it is no like for like with the peers"
