"""What packages and clusters get: the systemd unit, the runtime of KServe, the container's recipe. Nothing of it is run here but the
program with their arguments; readiness is told to a socket as systemd's.

usage: test_dist.py PROGRAM DIST, the folder where the build puts the unit
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys

from serve_kit import Server
from kit import KITFOX, PEERS, ROOT, case, check, run, run_cases

DIST = os.path.join(ROOT, "dist")
BUILT = os.path.abspath(sys.argv[2])
HELP = run("serve", "--help")[1]
UNIT = os.path.join(BUILT, "kitfox-serve.service")
LOAD = """
import json, sys, yaml
print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))
"""


def text(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def unknown(words):
    """Options among the words that `kitfox serve` does not have."""
    return [w for w in words if w.startswith("--") and not re.search(re.escape(w) + r"\b", HELP)]


def documents(path):
    """The documents of a YAML file, by the Python of KITFOX_PEERS; None without one."""
    for python in sys.executable, PEERS:
        r = (
            subprocess.run([python, "-c", LOAD, path], capture_output=True, text=True)
            if os.path.exists(python)
            else None
        )
        if r and r.returncode == 0:
            return json.loads(r.stdout)
        if r and "No module named" not in r.stderr:
            raise AssertionError(r.stderr)
    return None


@case
def the_unit(folder):
    unit = text(UNIT)
    line = re.search(r"^ExecStart=(\S+) serve (.*)$", unit, re.M)
    check("it names the program where it is installed", os.path.isabs(line[1]) and line[1].endswith("/kitfox"), line[1])
    check("its options exist", not unknown(line[2].split()), unknown(line[2].split()))
    stop, drain = int(re.search(r"^TimeoutStopSec=(\d+)", unit, re.M)[1]), int(
        re.search(r"--drain=S.*?default (\d+)", HELP, re.S)[1]
    )
    check("systemd waits longer than requests may drain", stop > drain, (stop, drain))
    check("it says when it is ready", "Type=notify\n" in unit and "NotifyAccess=main\n" in unit)
    if not shutil.which("systemd-analyze"):
        print("systemd-analyze is not here; the unit is not verified")
        return
    path = os.path.join(folder, "kitfox-serve.service")
    with open(path, "w", encoding="utf-8") as f:
        f.write(unit.replace(line[1], KITFOX))  # what it names is not installed here
    r = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True)
    check("systemd-analyze verify", r.returncode == 0 and not r.stderr, r.stdout + r.stderr)
    r = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", path], capture_output=True, text=True
    )
    last = (r.stdout.strip().splitlines() or [r.stderr])[-1]
    check("its exposure is at most 2.0 of 10: " + last[:60], r.returncode == 0, r.stdout[-300:] + r.stderr)


@case
def systemd_is_told(folder):
    path = os.path.join(folder, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(60)
        with Server(env={"NOTIFY_SOCKET": path}) as server:
            check("ready when it listens", s.recv(100) == b"READY=1")
            server.process.send_signal(signal.SIGHUP)
            check("reloading, then ready", [s.recv(100), s.recv(100)] == [b"RELOADING=1", b"READY=1"])
            check("the end", server.end() == 0 and s.recv(100) == b"STOPPING=1")


@case
def the_runtime_of_kserve():
    found = documents(os.path.join(DIST, "kserve.yaml"))
    if found is None:
        print("PyYAML is not here; dist/kserve.yaml is not read")
        return
    runtime, service = found
    check("kinds", (runtime["kind"], service["kind"]) == ("ServingRuntime", "InferenceService"))
    box = runtime["spec"]["containers"][0]
    args, port = box["args"], box["ports"][0]["containerPort"]
    check("its options exist", not unknown(args), unknown(args))
    check("every part of the command line is a string", all(isinstance(a, str) for a in args), args)
    probes = [box[p]["httpGet"] for p in ("startupProbe", "readinessProbe", "livenessProbe")]
    ports = {
        port,
        int(args[args.index("--port") + 1]),
        int(runtime["metadata"]["annotations"]["prometheus.kserve.io/port"]),
    }
    check("one port everywhere", ports | {p["port"] for p in probes} == {port}, ports)
    model = service["spec"]["predictor"]["model"]
    formats = [f["name"] for f in runtime["spec"]["supportedModelFormats"]]
    check(
        "the service fits the runtime",
        model["runtime"] == runtime["metadata"]["name"] and model["modelFormat"]["name"] in formats,
    )
    grace, drain = service["spec"]["predictor"]["terminationGracePeriodSeconds"], int(args[args.index("--drain") + 1])
    check("the pod lives longer than requests may drain", grace > drain, (grace, drain))
    with Server() as s:
        paths = {p["path"] for p in probes} | {runtime["metadata"]["annotations"]["prometheus.kserve.io/path"]}
        check("the paths of probes and metrics answer", all(s.ask("GET", p).status == 200 for p in paths), paths)


@case
def the_container():
    recipe = re.sub(r"\\\n\s*", "", text(os.path.join(DIST, "Containerfile")))
    lines = [line.split(None, 1) for line in recipe.splitlines() if line.strip() and not line.startswith("#")]
    known = {"FROM", "RUN", "COPY", "USER", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD"}
    check("its instructions", {word for word, _ in lines} == known, {word for word, _ in lines} ^ known)
    command = re.findall(r'"([^"]*)"', dict(lines)["CMD"])
    check("its options exist", not unknown(command), unknown(command))
    check("its port", dict(lines)["EXPOSE"] == command[command.index("--port") + 1])
    check("no root", dict(lines)["USER"] == "65534:65534")
    build, last = [rest for word, rest in lines if word == "RUN" and "apt-get" in rest]
    packages = re.search(r"BUILD_PACKAGES=\(([^)]*)\)", text(os.path.join(ROOT, "tools", "packages.sh")), re.S)[
        1
    ].split()
    missing = [p for p in packages if p not in build and p != "fonts-dejavu-core"]
    check("it builds with the packages of tools/packages.sh", not missing, missing)
    if not shutil.which("dpkg-query") or not shutil.which("ldd"):
        return
    linked = subprocess.run(["ldd", KITFOX], capture_output=True, text=True).stdout
    names = set(re.findall(r"^\s*(lib(?!c\.|m\.|asan|ubsan|tsan|gcc|stdc)\S+\.so\S*) =>", linked, re.M)) | {
        "libmicrohttpd.so.12"
    }
    owners = {
        n: subprocess.run(["dpkg-query", "-S", "*/" + n], capture_output=True, text=True).stdout.split(":")[0]
        for n in names
    }
    lacking = {n: p for n, p in owners.items() if p and p not in last.split()}
    check(f"it has the libraries of the program: {len(owners)}", len(owners) >= 7 and not lacking, lacking)


if __name__ == "__main__":
    sys.exit(run_cases())
