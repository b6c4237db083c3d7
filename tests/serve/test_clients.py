"""kitfox serve and clients that others wrote: tritonclient[http] (sync, async, asyncio; binary and JSON; classification; batches; several outputs;
packed bodies; errors) and curl. Values are those of `kitfox run` and `kitfox classify`.

tritonclient is looked for in this Python, then in KITFOX_TRITON (default: kitfox/triton in the cache, made by
`python3 -m venv DIR && DIR/bin/pip install "tritonclient[http]" numpy`). Without it the test is skipped.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

from serve_kit import Server
from kit import CACHE, EXAMPLES, ROOT, case, check, run, run_cases, says

TRITON = os.environ.get("KITFOX_TRITON") or os.path.join(CACHE, "kitfox", "triton", "bin", "python")
try:
    import numpy as np
    import tritonclient.http as http
    import tritonclient.http.aio as aio
    from tritonclient.utils import InferenceServerException
except ImportError:
    if os.environ.get("KITFOX_AGAIN") or not os.path.exists(TRITON):
        print("SKIP: tritonclient[http] is missing, here and in the interpreter of KITFOX_TRITON")
        sys.exit(77)
    sys.exit(subprocess.run([TRITON, *sys.argv], env={**os.environ, "KITFOX_AGAIN": "1"}).returncode)

INT8 = os.path.join(ROOT, "tests", "golden", "verified_int8_v1.kfx")
TWO = "verified_int8_v1"
FROG = os.path.join(EXAMPLES, "frog.jpg")
RANDOM = np.random.default_rng(5)


def of_run(model, x):
    """Every output of `kitfox run`, in the order of the model."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(folder + "/x.npy", x)
        code, out, err = run("run", model, folder + "/x.npy", "-o", folder + "/y_%d.npy", "--json")
        assert code == 0, err
        return [np.load(o["output"]) for o in json.loads(out)["outputs"]]


def of_classify(*pictures):
    code, out, err = run("classify", "everyday10", *pictures, "--top", "10", "--json")
    assert code == 0, err
    return [json.loads(line)["top"] for line in out.splitlines()]


def tensor(name, x, binary=True, datatype="FP32"):
    t = http.InferInput(name, x.shape, datatype)
    t.set_data_from_numpy(x, binary_data=binary)
    return t


@case
def facts():
    with (
        Server(INT8, "everyday10", "--log", "none", "--repository-calls") as s,
        http.InferenceServerClient(f"127.0.0.1:{s.port}") as c,
    ):
        check(
            "live, ready",
            c.is_server_live()
            and c.is_server_ready()
            and c.is_model_ready("everyday10")
            and c.is_model_ready("everyday10", "1"),
        )
        check("no such model", not c.is_model_ready("other") and not c.is_model_ready("everyday10", "2"))
        check("server", c.get_server_metadata()["name"] == "kitfox")
        m = c.get_model_metadata("everyday10")
        check("model", m["inputs"][0]["shape"] == [-1, 3, 64, 64] and m["outputs"][0]["datatype"] == "FP32", m)
        check("index", {r["name"] for r in c.get_model_repository_index()} == {"everyday10", TWO})
        c.unload_model("everyday10")
        check("unloaded", not c.is_model_ready("everyday10") and c.is_server_ready())
        c.load_model("everyday10")
        check("loaded", c.is_model_ready("everyday10"))
        for what, call in (
            ("files", lambda: c.load_model("everyday10", config="{}", files={"file:1/model.onnx": b"x"})),
            ("a name that nobody gave", lambda: c.load_model("../everyday10")),
        ):
            try:
                call()
                check(f"{what}: refused", False)
            except InferenceServerException as e:
                check(f"{what}: refused", e.status() in ("400", "404"), e)
        c.infer("everyday10", [tensor("data", np.zeros((2, 3, 64, 64), np.float32))])
        stats = c.get_inference_statistics("everyday10")["model_stats"][0]
        check("statistics", stats["inference_count"] == 2 and stats["inference_stats"]["success"]["count"] >= 1, stats)
        check("all statistics", len(c.get_inference_statistics()["model_stats"]) == 2)


@case
def tensors():
    x = RANDOM.standard_normal((3, 3, 64, 64)).astype(np.float32)
    want = np.concatenate([of_run("everyday10", x[i : i + 1])[0] for i in range(3)])
    with (
        Server("everyday10", "--log", "none") as s,
        http.InferenceServerClient(f"127.0.0.1:{s.port}", concurrency=4) as c,
    ):
        for into in (True, False):
            for out in (True, False):
                r = c.infer(
                    "everyday10",
                    [tensor("data", x, into)],
                    outputs=[http.InferRequestedOutput("output", binary_data=out)],
                    request_id="r 7",
                )
                check(
                    f"binary in {into}, out {out}",
                    np.array_equal(r.as_numpy("output"), want) and r.get_response()["id"] == "r 7",
                    r.get_response(),
                )
        check("no outputs named", np.array_equal(c.infer("everyday10", [tensor("data", x)]).as_numpy("output"), want))
        for how in ("gzip", "deflate"):
            r = c.infer(
                "everyday10", [tensor("data", x)], request_compression_algorithm=how, response_compression_algorithm=how
            )
            check(how, np.array_equal(r.as_numpy("output"), want))
        calls = [
            c.async_infer("everyday10", [tensor("data", x[i % 3 : i % 3 + 1])], request_id=str(i)) for i in range(12)
        ]
        got = [call.get_result() for call in calls]
        check(
            "async_infer",
            all(
                np.array_equal(r.as_numpy("output"), want[i % 3 : i % 3 + 1]) and r.get_response()["id"] == str(i)
                for i, r in enumerate(got)
            ),
        )
        r = c.infer(
            "everyday10",
            [tensor("data", x)],
            outputs=[http.InferRequestedOutput("output", binary_data=False, class_count=3)],
        )
        top = r.as_numpy("output")
        firsts = [int(str(t).split(":")[1]) for t in top[:, 0]]
        check("classification", top.shape == (3, 3) and firsts == list(want.argmax(1)), top)
        r = c.infer("everyday10", [tensor("data", x)], outputs=[http.InferRequestedOutput("output", class_count=3)])
        check("classification in binary", [int(t.decode().split(":")[1]) for t in r.as_numpy("output")[:, 0]] == firsts)
        u8 = RANDOM.integers(0, 256, (2, 64, 64, 3), np.uint8)
        a, b = (
            c.infer("everyday10", [tensor("data", u8, binary, "UINT8")]).as_numpy("output") for binary in (True, False)
        )
        check("UINT8 pixels", np.array_equal(a, b) and a.shape == (2, 10))
        for what, t in (
            ("another shape", tensor("data", x[:, :1])),
            ("another name", tensor("x", x)),
            ("another type", tensor("data", x.astype(np.int32), datatype="INT32")),
        ):
            try:
                c.infer("everyday10", [t])
                check(f"{what}: refused", False)
            except InferenceServerException as e:
                check(f"{what}: refused", e.status() == "400" and e.message(), e)
        try:
            c.infer("everyday10", [tensor("data", x)], timeout=1)
            check("timeout", False)
        except InferenceServerException as e:
            check("timeout", "504" in str(e.status()) and says(e.message(), "time"), e)


@case
def several_outputs():
    x = RANDOM.standard_normal((4, 8, 11, 9)).astype(np.float32)  # the model has a batch of two
    halves = [of_run(INT8, x[i : i + 2]) for i in (0, 2)]
    with Server(INT8, "--log", "none") as s, http.InferenceServerClient(f"127.0.0.1:{s.port}") as c:
        r = c.infer(TWO, [tensor("x", x)])
        for k, name in enumerate(("classes_out", "residual_out")):
            want = np.concatenate([h[k] for h in halves])
            check(name, np.array_equal(r.as_numpy(name), want), (r.as_numpy(name).shape, want.shape))
        r = c.infer(
            TWO,
            [tensor("x", x)],
            outputs=[
                http.InferRequestedOutput("residual_out", binary_data=False),
                http.InferRequestedOutput("classes_out", class_count=2),
            ],
        )
        check(
            "one binary, one not",
            np.array_equal(r.as_numpy("residual_out"), np.concatenate([h[1] for h in halves]))
            and r.as_numpy("classes_out").shape[0] == 4,
            r.get_response(),
        )
        try:
            c.infer(TWO, [tensor("x", x[:3])])
            check("three of batches of two: refused", False)
        except InferenceServerException as e:
            check("three of batches of two: refused", says(e.message(), "3,8,11,9 .. 2,8,11,9"), e)


@case
def pictures():
    files = [os.path.join(EXAMPLES, n) for n in sorted(os.listdir(EXAMPLES)) if n.endswith(".jpg")][:4]
    want = of_classify(*files)
    data = np.array([open(f, "rb").read() for f in files], object)
    with Server("everyday10", "--log", "none") as s, http.InferenceServerClient(f"127.0.0.1:{s.port}") as c:
        scores = c.infer("everyday10", [tensor("data", data, True, "BYTES")]).as_numpy("output")
        check("pictures", [int(i) for i in scores.argmax(1)] == [w[0]["index"] for w in want])
        top = c.infer(
            "everyday10",
            [tensor("data", data, True, "BYTES")],
            outputs=[http.InferRequestedOutput("output", class_count=1)],
        ).as_numpy("output")
        check("their labels", [t.decode().split(":")[2] for t in top[:, 0]] == [w[0]["label"] for w in want], top)


@case
def in_asyncio():
    import asyncio

    x = RANDOM.standard_normal((6, 3, 64, 64)).astype(np.float32)
    want = [of_run("everyday10", x[i : i + 1])[0] for i in range(6)]

    async def all_of_them(port):
        async with aio.InferenceServerClient(f"127.0.0.1:{port}") as c:
            check("live", await c.is_server_live())
            return await asyncio.gather(
                *[c.infer("everyday10", [tensor("data", x[i % 6 : i % 6 + 1])], request_id=str(i)) for i in range(24)]
            )

    with Server("everyday10", "--log", "none") as s:
        got = asyncio.run(all_of_them(s.port))
    check(
        "24 at once",
        all(
            np.array_equal(r.as_numpy("output"), want[i % 6]) and r.get_response()["id"] == str(i)
            for i, r in enumerate(got)
        ),
    )


@case
def by_curl(folder):
    if not shutil.which("curl"):
        print("SKIP: curl is not here")
        return
    label = of_classify(FROG)[0][0]["label"]
    key = os.path.join(folder, "key.pem")
    openssl = shutil.which("openssl")
    tls = []
    if openssl:
        subprocess.run(
            [
                openssl,
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-keyout",
                key,
                "-out",
                key + ".crt",
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
            ],
            capture_output=True,
            check=True,
        )
        subprocess.run([openssl, "genrsa", "-out", key + ".other", "2048"], capture_output=True, check=True)
        code, _, err = run("serve", "-P", "0", "--tls-cert", key + ".crt", "--tls-key", key + ".other")
        check(
            "a key that is another's",
            code == 1 and says(err, "--tls-cert and --tls-key .. not the certificate's"),
            (code, err),
        )
        tls = ["--tls-cert", key + ".crt", "--tls-key", key]
    for args in ([], tls, ["--listen", "::1"]):
        if args is tls and not tls:
            continue
        with Server("everyday10", "--log", "none", *args) as s:
            at = s.start["url"]
            curl = lambda *a, **k: json.loads(
                subprocess.run(["curl", "-sk", *a], capture_output=True, check=True, **k).stdout
            )  # noqa: E731
            check(
                f"{at[:12]}: -F",
                curl("-F", f"image=@{FROG}", at + "classify")["pictures"][0]["top"][0]["label"] == label,
            )
            check(
                "    --data-binary",
                curl("--data-binary", f"@{FROG}", at + "classify/everyday10?k=1")["pictures"][0]["top"][0]["label"]
                == label,
            )
            check(
                "    -T, in chunks",
                curl("-X", "POST", "-H", "Transfer-Encoding: chunked", "-T", FROG, at + "classify")["pictures"][0][
                    "top"
                ][0]["label"]
                == label,
            )
            check("    several", len(curl("-F", f"a=@{FROG}", "-F", f"b=@{FROG}", at + "classify")["pictures"]) == 2)
            check("    --http2, which falls back", curl("--http2", at + "v2")["name"] == "kitfox")
            big = subprocess.run(
                ["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", "--data-binary", "@-", at + "classify"],
                input=bytes(70 << 20),
                capture_output=True,
            )
            check("    70 MB", big.stdout == b"413", big)


sys.exit(run_cases())
