#!/usr/bin/env python3
"""A static kitfox where nothing else is: an empty root folder that holds the program, pictures and models alone.

Arguments: the program, then the emulator with its options, if its processor is another one; then the root folder stays
that of the machine, since the emulator is not static. Without root's rights it stays, too. test.sh --full calls this.
"""

import hashlib
import http.server
import json
import os
import shutil
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

PROGRAM, EMULATOR = os.path.abspath(sys.argv[1]), sys.argv[2:]
ROOT = os.path.abspath(os.environ.get("KITFOX_SOURCE") or os.path.join(os.path.dirname(__file__), "..", ".."))
PICTURES = os.path.join(ROOT, "examples", "pictures")
LABELS = ("airplane", "automobile", "frog", "ship", "truck")
HEAD = json.dumps({"w": {"dtype": "F32", "shape": [1000], "data_offsets": [0, 4000]}}).encode()
WEIGHTS = struct.pack("<Q", len(HEAD)) + HEAD + bytes(4000)
failures = 0


def check(what, ok, detail=""):
    global failures
    failures += not ok
    print(("ok    " if ok else "FAIL  ") + what + ("" if ok else f": {str(detail)[-2000:]}"), flush=True)


class Machine:
    """Where the program runs. `at` gives the path of a file as the program sees it."""

    def __init__(self, folder):
        self.folder = folder
        self.bare = not EMULATOR and os.getuid() == 0
        shutil.copy(PROGRAM, os.path.join(folder, "kitfox"))
        os.makedirs(os.path.join(folder, "tmp"))
        for label in LABELS:
            os.makedirs(os.path.join(folder, "data", label))
            shutil.copy(os.path.join(PICTURES, label + ".jpg"), os.path.join(folder, "data", label))
        shutil.copy(os.path.join(ROOT, "data", "everyday10.safetensors"), folder)
        shutil.copy(os.path.join(ROOT, "data", "everyday10.json"), folder)
        print(
            f"      {os.path.basename(PROGRAM)}: {os.path.getsize(PROGRAM)} bytes, "
            + ("in an empty root" if self.bare else "beside the files of this machine")
        )

    def at(self, name):
        return "/" + name if self.bare else os.path.join(self.folder, name)

    def start(self, *args, **env):
        def enter():
            if self.bare:
                os.chroot(self.folder)
            os.chdir("/")

        return subprocess.Popen(
            [*EMULATOR, self.at("kitfox"), *args],
            preexec_fn=enter,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *args, **env):
        p = self.start(*args, **env)
        out, err = p.communicate(timeout=900)
        return p.returncode, out, err


def verbs(m):
    code, out, err = m.run("verify")
    check("verify", code == 0, out + err)
    code, out, err = m.run("classify", "--json", *(m.at(f"data/{x}/{x}.jpg") for x in LABELS))
    rows = [json.loads(line) for line in out.splitlines()]
    check("classify", code == 0 and [r["top"][0]["label"] for r in rows] == list(LABELS), out + err)
    code, out, err = m.run("import", m.at("everyday10.safetensors"), "-o", m.at("tmp/float.kfx"))
    check("import", code == 0, out + err)
    code, out, err = m.run(
        "quantize", m.at("everyday10.safetensors"), "--calib", m.at("data"), "-o", m.at("tmp/int8.kfx")
    )
    check("quantize", code == 0, out + err)
    code, out, err = m.run("verify", m.at("tmp/int8.kfx"))
    check("verify of that", code == 0, out + err)
    code, out, err = m.run("eval", m.at("tmp/int8.kfx"), "--data", m.at("data"), "--json")
    check("eval", code == 0 and json.loads(out)["top1"] == 100, out + err)
    code, out, err = m.run("export", m.at("tmp/float.kfx"), "-o", m.at("tmp/float.onnx"))
    check("export", code == 0, out + err)
    code, out, err = m.run("check", m.at("tmp/float.onnx"))
    check("check", code == 0, out + err)
    about = json.loads(m.run("--version", "--json")[1])
    check(
        "--version says that it is static",
        about["static"] and not any(lib["version"] for lib in about["libraries"] if not lib["linked"]),
        about,
    )


def left_out(m):
    """What a static program lacks says so."""
    frog = m.at("data/frog/frog.jpg")
    for what, args in (
        ("--annotate", ("classify", "--annotate", m.at("tmp/%s.png"), frog)),
        ("TIFF", ("classify", m.at("tmp/a.tiff"))),
        ("--tls-cert", ("serve", "--port", "0", "--tls-cert", frog, "--tls-key", frog)),
    ):
        with open(os.path.join(m.folder, "tmp", "a.tiff"), "wb") as f:
            f.write(b"II*\0\x08\0\0\0\0\0" + bytes(64))
        code, out, err = m.run(*args)
        check(f"left out, and said so: {what}", code != 0 and "static" in err, (code, out, err))


def server(m):
    p = m.start("serve", "--port", "0", "--json", m.at("tmp/int8.kfx"))
    try:
        said = json.loads(p.stdout.readline() or "null")
        check("serve starts", said and said["port"] > 0, said)
        with open(os.path.join(PICTURES, "ship.jpg"), "rb") as f:
            request = urllib.request.Request(
                f"http://127.0.0.1:{said['port']}/classify", f.read(), {"Content-Type": "image/jpeg"}
            )
        answer = urllib.request.urlopen(request, timeout=300).read().decode()
        check("    and classifies a picture", '"ship"' in answer, answer)
        health = urllib.request.urlopen(f"http://127.0.0.1:{said['port']}/v2/health/ready", timeout=300)
        check("    and is ready", health.status == 200)
    except Exception as e:
        check("serve", False, (e, p.stderr.read() if p.poll() is not None else ""))
    p.terminate()
    out, err = p.communicate(timeout=300)
    check("    and ends", p.returncode == 0, (p.returncode, err))


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        weights = self.path.endswith("/model.safetensors")
        body = WEIGHTS if weights else json.dumps({"architecture": "mobilenetv3_small_050"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def listening(certificate=None):
    """A server on this machine; with a certificate over TLS. Returns its port."""
    s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        s.socket = context.wrap_socket(s.socket, server_side=True)
    threading.Thread(target=s.serve_forever, daemon=True).start()
    return s.server_address[1]


def pulled(m, what, url, **env):
    folder = what.replace(" ", "-")
    code, out, err = m.run(
        "pull",
        "mobilenetv3_small_050",
        "-o",
        m.at("tmp/" + folder) + "/",
        "--mirror",
        url,
        "--retries",
        "1",
        "--sha256",
        hashlib.sha256(WEIGHTS).hexdigest(),
        **env,
    )
    path = os.path.join(m.folder, "tmp", folder, "model.safetensors")
    there = os.path.exists(path) and open(path, "rb").read() == WEIGHTS
    return there and code == 0, (code, out, err)


def downloads(m):
    check("pull over http", *pulled(m, "over http", f"http://127.0.0.1:{listening()}"))
    check("pull by a name", *pulled(m, "by name", f"http://localhost:{listening()}"))
    both = os.path.join(m.folder, "both.pem")
    made = (
        subprocess.run(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-subj",
                "/CN=localhost",
                "-addext",
                "subjectAltName=DNS:localhost",
                "-keyout",
                both,
                "-out",
                both + ".crt",
                "-days",
                "2",
            ],
            capture_output=True,
        )
        if shutil.which("openssl")
        else None
    )
    if not made or made.returncode:
        print("SKIP  no openssl makes a certificate, so there is no https")
        return
    with open(both, "a") as f:
        f.write(open(both + ".crt").read())
    url = f"https://localhost:{listening(both)}"
    ok, detail = pulled(m, "untrusted", url)
    check("https with an unknown certificate is refused", not ok and "SSL_CERT_FILE" in detail[2], detail)
    check(
        "https with the one that SSL_CERT_FILE names", *pulled(m, "over https", url, SSL_CERT_FILE=m.at("both.pem.crt"))
    )


with tempfile.TemporaryDirectory() as top:
    os.chmod(top, 0o755)
    here = Machine(top)
    begin = time.monotonic()
    for part in (verbs, left_out, server, downloads):
        part(here)
    print(f"{failures} failures in {time.monotonic() - begin:.0f} s")
sys.exit(failures > 0)
