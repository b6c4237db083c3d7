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


def pinned(command, cpus):
    """Run to the end; gives standard output and milliseconds until its first line and until its end."""
    with tempfile.TemporaryFile("w+", errors="replace") as err:  # a file: a full pipe would stop a talkative engine
        start = time.perf_counter()
        p = subprocess.Popen(FORK + command, stdout=subprocess.PIPE, stderr=err, stdin=subprocess.DEVNULL, text=True, start_new_session=True,
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
            if p.poll() is None:  # interrupted: the child has a session of its own and did not get the signal
                os.killpg(p.pid, signal.SIGKILL)
        if p.returncode:
            err.seek(0)
            raise Failed("status %d: %s" % (p.returncode, " ".join(err.read().split())[-200:]))
    return line + rest, first, end


class Peer:
    def __init__(self, python, module):
        self.module, self.command = module, [python, os.path.join(HERE, "worker.py")]
        self.title, self.versions = importlib.import_module("peers." + module).NAME, ""

    def ask(self, verb, *arguments, cpus=None):
        out, first, _ = pinned(self.command + [verb, self.module, *map(str, arguments)], cpus)
        answer = json.loads(out)
        if "failed" in answer:
            raise Failed(answer["failed"])
        return answer, first

    def convert(self, model, kind, folder, inputs):
        self.versions = self.versions or self.ask("versions")[0]["versions"]
        answer, _ = self.ask("convert", kind, model, folder, inputs)
        if "missing" in answer:
            raise Failed(answer["missing"])
        return answer["path"], answer["note"]

    def bench(self, path, threads, frames, tensor, cpus):
        return self.ask("bench", path, threads, frames, tensor, cpus=cpus)[0]

    def first(self, path, threads, tensor, cpus):
        return self.ask("first", path, threads, tensor, cpus=cpus)[1]

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
    title, versions = "KitFox", "this tree"

    def __init__(self, program):
        self.program = program

    def convert(self, model, kind, folder, inputs):
        out = os.path.join(folder, "kitfox_%s.kfx" % kind)
        if kind == "fp32":
            pinned([self.program, "import", model, "-o", out], None)
            return out, "kitfox import"
        try:
            pinned([self.program, "quantize", "--help"], None)
        except Failed:
            raise Failed("this build has no verb quantize")
        with open(inputs) as f:
            tensors = json.load(f)["tensors"]  # .npy files: the very inputs that the peers calibrate on
        pinned([self.program, "quantize", model, "--calib", os.path.dirname(tensors[0]), "-o", out], None)
        return out, "kitfox quantize, default settings"

    def bench(self, path, threads, frames, tensor, cpus):
        return json.loads(pinned([self.program, "bench", path, "--threads", str(threads), "--frames", str(frames), "--json"], cpus)[0])

    def first(self, path, threads, tensor, cpus):
        out = path + ".npy"  # to the end of the process: the program says nothing before
        return pinned([self.program, "run", path, tensor, "-o", out, "--threads", str(threads)], cpus)[2]

    def labels(self, path, tensors, folder):
        out, found = path + ".npy", []
        for tensor in tensors:
            pinned([self.program, "run", path, tensor, "-o", out], None)
            found.append(argmax_npy(out))
        return found
