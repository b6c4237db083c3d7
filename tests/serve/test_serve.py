"""kitfox serve over raw sockets: the protocol, its values, everything malformed, who may ask, the queue, deadlines, signals."""

import base64
import gzip
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import zlib

from serve_kit import Server, answer, request
from kit import EXAMPLES, KITFOX, ROOT, case, check, once, run, says, status_of_cases
from tiny_onnx import Graph, weights

MODEL, SIDE, CLASSES = "everyday10", 64, 10
INFER = f"/v2/models/{MODEL}/infer"
NUMBERS = 3 * SIDE * SIDE


@once
def server(_):
    """One that most cases share; it ends with the test."""
    s = Server("--threads", "2", "--max-body", "2M", "--log", "none").__enter__()
    return s


def picture(name="frog"):
    with open(os.path.join(EXAMPLES, name + ".jpg"), "rb") as f:
        return f.read()


def pixels(seed, n=1):
    """Numbers as a network gets them, from a small generator of our own."""
    out, x = [], seed * 2 + 1
    for _ in range(n * NUMBERS):
        x = (x * 1103515245 + 12345) % 2**31
        out.append((x % 1000 - 500) / 250)
    return out


def of_run(folder, values):
    """The same by `kitfox run`."""
    source, out = os.path.join(folder, "in.npy"), os.path.join(folder, "out.npy")
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, {SIDE}, {SIDE}), }}".ljust(117) + "\n"
    with open(source, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00v\x00" + head.encode() + struct.pack(f"<{len(values)}f", *values))
    code, _, err = run("run", MODEL, source, "-o", out)
    assert code == 0, err
    with open(out, "rb") as f:
        data = f.read()
    return struct.unpack(f"<{CLASSES}f", data[-4 * CLASSES :])


def fp32(values, n=1, **more):
    return {"name": "data", "shape": [n, 3, SIDE, SIDE], "datatype": "FP32", "data": values, **more}


def bomb(width, height):
    """A PNG of one bit a pixel, all black: some kilobytes of file."""
    piece = (
        lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    )  # noqa: E731
    return (
        b"\x89PNG\r\n\x1a\n"
        + piece(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
        + piece(b"IDAT", zlib.compress(bytes((width // 8 + 1) * height)))
        + piece(b"IEND", b"")
    )


def binary(head, *tensors):
    """Body and header of the binary extension."""
    text = json.dumps(head).encode()
    return text + b"".join(tensors), {
        "Inference_Header_Content_Length": len(text),
        "Content_Type": "application/octet-stream",
    }


@case
def paths():
    s = server()
    check(
        "line at the start",
        s.start["kind"] == "serve" and s.start["models"] == [MODEL] and s.start["url"] == f"http://127.0.0.1:{s.port}/",
        s.start,
    )
    status, v2 = s.json("GET", "/v2")
    check(
        "/v2",
        status == 200
        and v2["name"] == "kitfox"
        and {"binary_tensor_data", "classification", "statistics"} <= set(v2["extensions"]),
        v2,
    )
    check("live", s.json("GET", "/v2/health/live") == (200, {"live": True}))
    check("ready", s.json("GET", "/v2/health/ready") == (200, {"ready": True}))
    for path in (f"/v2/models/{MODEL}", f"/v2/models/{MODEL}/versions/1"):
        status, m = s.json("GET", path)
        check(
            path,
            status == 200
            and m["versions"] == ["1"]
            and m["inputs"] == [{"name": "data", "datatype": "FP32", "shape": [-1, 3, SIDE, SIDE]}]
            and m["outputs"][0]["shape"] == [-1, CLASSES],
            m,
        )
        check(path + "/ready", s.json("GET", path + "/ready") == (200, {"name": MODEL, "ready": True}))
        status, stats = s.json("GET", path + "/stats")
        check(path + "/stats", status == 200 and stats["model_stats"][0]["name"] == MODEL, stats)
    check("/v2/models/stats", s.json("GET", "/v2/models/stats")[0] == 200)
    check(
        "index",
        s.json("POST", "/v2/repository/index")
        == (200, [{"name": MODEL, "version": "1", "state": "READY", "reason": "", "loads": 1}]),
    )
    page = s.ask("GET", "/")
    check(
        "page",
        page.status == 200
        and b"<html" in page.body
        and "default-src 'none'" in page.headers["content-security-policy"],
        page.headers,
    )
    check("/docs", s.ask("GET", "/docs").status == 200)
    check("profile", s.json("GET", f"/profile/{MODEL}")[1]["steps"], "no steps")
    for method, path, status, allow in (
        ("GET", "/nothing", 404, None),
        ("GET", "/v2/models/other", 404, None),
        ("GET", f"/v2/models/{MODEL}/versions/2", 404, None),
        ("GET", "/v2/models/other/stats", 404, None),
        ("POST", "/v2/models/other/infer", 404, None),
        ("GET", "/v2/models/", 404, None),
        ("GET", f"/v2/models/{MODEL}/", 404, None),
        ("GET", "/v2/models/../etc/passwd", 404, None),
        ("GET", "/%2e%2e/etc/passwd", 404, None),
        ("GET", "/v2/models/" + "a" * 200, 404, None),
        ("GET", "/v2%00", 404, None),
        ("GET", "/v2%", 404, None),
        ("POST", "/v2", 405, "GET, HEAD"),
        ("GET", INFER, 405, "POST"),
        ("DELETE", "/", 405, "GET, HEAD"),
        ("OPTIONS", INFER, 405, "POST"),
        ("POST", f"/v2/repository/models/{MODEL}/load", 403, None),
        ("POST", f"/v2/repository/models/{MODEL}/unload", 403, None),
    ):
        a = s.ask(method, path)
        check(
            f"{method} {path[:40]}: {status}",
            a.status == status and a.headers.get("allow") == allow and "error" in a.json(),
            (a.status, a.headers, a.body),
        )
    check(
        "a URL in whole",
        s.raw(b"GET http://localhost/v2 HTTP/1.1\r\nHost: localhost\r\n\r\n").json()["name"] == "kitfox",
    )
    check("%6Dodels", s.json("GET", f"/v2/%6Dodels/{MODEL}")[0] == 200)
    check("HTTP/1.0 without a Host", s.raw(b"GET /v2 HTTP/1.0\r\n\r\n").status == 200)
    with s.connect() as c:  # HEAD gives no body, and the connection goes on
        c.sendall(request("HEAD", "/v2"))
        head = answer(c, head_only=True)
        c.sendall(request("GET", "/v2/health/live"))
        check(
            "HEAD",
            head.status == 200 and int(head.headers["content-length"]) > 0 and answer(c).json() == {"live": True},
        )
    with s.connect() as c:  # several at once
        c.sendall(request("GET", "/v2") * 3)
        check("pipelined", [answer(c).status for _ in range(3)] == [200] * 3)


@case
def values(folder):
    """The numbers of `kitfox run` and `kitfox classify`, in every form that the protocol has."""
    s, one, three = server(), pixels(1), pixels(2, 3)
    want = of_run(folder, one)
    status, a = s.infer({"id": "a-1 \u00e9", "inputs": [fp32(one)]})
    out = a["outputs"][0]
    check(
        "JSON",
        status == 200
        and a["id"] == "a-1 \u00e9"
        and a["model_name"] == MODEL
        and out["datatype"] == "FP32"
        and out["shape"] == [1, CLASSES]
        and [struct.pack("f", x) for x in out["data"]] == [struct.pack("f", x) for x in want],
        a,
    )
    nested = [[[one[(c * SIDE + y) * SIDE : (c * SIDE + y + 1) * SIDE] for y in range(SIDE)] for c in range(3)]]
    check("nested lists", s.infer({"inputs": [fp32(nested)]})[1]["outputs"] == [out])
    wants = [of_run(folder, three[i * NUMBERS : (i + 1) * NUMBERS]) for i in range(3)]
    flat = struct.pack(f"<{3 * CLASSES}f", *[x for w in wants for x in w])
    data = struct.pack(f"<{3 * NUMBERS}f", *three)
    head = {
        "parameters": {"binary_data_output": True},
        "inputs": [
            {
                "name": "data",
                "shape": [3, 3, SIDE, SIDE],
                "datatype": "FP32",
                "parameters": {"binary_data_size": len(data)},
            }
        ],
    }
    body, headers = binary(head, data)
    a = s.ask("POST", INFER, body, **headers)
    n = int(a.headers["inference-header-content-length"])
    check(
        "binary, three images",
        a.status == 200
        and json.loads(a.body[:n])["outputs"][0]["parameters"]["binary_data_size"] == len(flat)
        and a.body[n:] == flat,
        a.body[:300],
    )
    a = s.ask("POST", INFER, data, Inference_Header_Content_Length=0)
    check(
        "raw, three images",
        a.status == 200 and a.body[int(a.headers["inference-header-content-length"]) :] == flat,
        a.body[:200],
    )
    for encoding, pack in (("gzip", gzip.compress), ("deflate", zlib.compress)):
        packed = pack(json.dumps({"inputs": [fp32(one)]}).encode())
        check(encoding, s.ask("POST", INFER, packed, Content_Encoding=encoding).json()["outputs"] == [out])
    # Pictures: the scores of classify.
    code, text, err = run("classify", MODEL, os.path.join(EXAMPLES, "frog.jpg"), "--top", "10", "--json")
    top = json.loads(text)["top"]
    jpeg = picture()
    form = b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n' + jpeg + b"\r\n--b--\r\n"
    for name, a in (
        ("--data-binary", s.ask("POST", "/classify?k=10", jpeg)),
        ("-F", s.ask("POST", f"/classify/{MODEL}?k=10", form, Content_Type="multipart/form-data; boundary=b")),
    ):
        got = a.json()["pictures"][0]["top"]
        check(
            f"classify {name}",
            [(x["index"], x["label"]) for x in got] == [(x["index"], x["label"]) for x in top]
            and all(abs(x["score"] - y["score"]) < 1e-6 for x, y in zip(got, top)),
            (got, top),
        )
    seen = s.ask("POST", "/classify?view=1", jpeg).json()["pictures"][0]["view"]
    check(
        "what the network sees",
        seen.startswith("data:image/jpeg;base64,") and base64.b64decode(seen.split(",")[1])[:3] == b"\xff\xd8\xff",
        seen[:60],
    )
    encoded = {
        "name": "data",
        "shape": [2],
        "datatype": "BYTES",
        "parameters": {"content_type": "base64"},
        "data": [base64.b64encode(jpeg).decode(), base64.b64encode(picture("ship")).decode()],
    }
    status, a = s.infer({"inputs": [encoded], "outputs": [{"name": "output", "parameters": {"classification": 3}}]})
    out = a["outputs"][0]
    check(
        "BYTES in base64, classes",
        out["datatype"] == "BYTES"
        and out["shape"] == [2, 3]
        and out["data"][0].split(":")[2] == "frog"
        and out["data"][3].split(":")[2] == "ship",
        a,
    )
    elements = b"".join(struct.pack("<I", len(p)) + p for p in (jpeg, picture("ship")))
    body, headers = binary(
        {
            "inputs": [
                {"name": "data", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": len(elements)}}
            ],
            "outputs": [{"name": "output", "parameters": {"classification": 3, "binary_data": False}}],
        },
        elements,
    )
    check("BYTES in binary", s.ask("POST", INFER, body, **headers).json()["outputs"][0]["data"] == out["data"])
    a = s.ask("POST", INFER, jpeg, Inference_Header_Content_Length=0)
    scores = struct.unpack(f"<{CLASSES}f", a.body[int(a.headers["inference-header-content-length"]) :])
    check("a raw picture", max(range(CLASSES), key=lambda i: scores[i]) == top[0]["index"], scores)
    rgb = bytes(range(256)) * (NUMBERS // 256)
    u8 = s.infer({"inputs": [{"name": "data", "shape": [1, SIDE, SIDE, 3], "datatype": "UINT8", "data": list(rgb)}]})[
        1
    ]["outputs"][0]["data"]
    body, headers = binary(
        {
            "inputs": [
                {
                    "name": "data",
                    "shape": [2, SIDE, SIDE, 3],
                    "datatype": "UINT8",
                    "parameters": {"binary_data_size": 2 * len(rgb)},
                }
            ],
            "outputs": [{"name": "output", "parameters": {"binary_data": False}}],
        },
        rgb * 2,
    )
    check("UINT8 pixels", s.ask("POST", INFER, body, **headers).json()["outputs"][0]["data"] == u8 * 2)
    frame = bytes([90]) * (96 * 64) + bytes([100, 160]) * (48 * 32)
    body, headers = binary(
        {
            "inputs": [
                {
                    "name": "data",
                    "shape": [2, 96, 96],
                    "datatype": "UINT8",
                    "parameters": {
                        "binary_data_size": 2 * len(frame),
                        "content_type": "nv12",
                        "width": 96,
                        "height": 64,
                    },
                }
            ]
        },
        frame * 2,
    )
    got = s.ask("POST", INFER, body, **headers).json()["outputs"][0]
    stream = subprocess.run(
        [KITFOX, "stream", MODEL, "--size", "96x64", "--top", "1", "--json"], input=frame, capture_output=True
    )
    check(
        "NV12 frames",
        got["shape"] == [2, CLASSES] and got["data"][:CLASSES] == got["data"][CLASSES:],
        (got, stream.stderr[:300]),
    )


def bad_bodies(jpeg):
    """(what, body, headers, status, pieces of the text)"""
    good = fp32([0] * NUMBERS)
    change = lambda **c: {"inputs": [{**good, **c}]}  # noqa: E731
    without = lambda key: {"inputs": [{k: v for k, v in good.items() if k != key}]}  # noqa: E731
    rows = [
        ("no JSON", b"{", {}, 400, "not JSON .. line 1"),
        ("empty", b"", {}, 400, "empty"),
        ("a list", b"[]", {}, 400, "object"),
        ("not UTF-8", b'{"id": "\xff"}', {}, 400, "not JSON"),
        ("NUL", b'{"id": "\\u0000"}', {}, 400, "not JSON"),
        ("a key twice", b'{"id": "a", "id": "b"}', {}, 400, "not JSON"),
        ("deep", b"[" * 5000, {}, 400, "not JSON"),
        ("many values", b'{"inputs": [' + b"[]," * 600000 + b"0]}", {}, 413, "memory .. binary"),
        ("bytes after it", json.dumps(change()).encode() + b"x", {}, 400, "not JSON"),
        ("id is a number", {**change(), "id": 5}, {}, 400, "id .. string"),
        ("parameters is a list", {**change(), "parameters": []}, {}, 400, "parameters .. object"),
        ("timeout is a text", {**change(), "parameters": {"timeout": "1"}}, {}, 400, "timeout .. whole number"),
        ("timeout below 0", {**change(), "parameters": {"timeout": -1}}, {}, 400, "timeout .. 0 to"),
        ("timeout of a microsecond", {**change(), "parameters": {"timeout": 1}}, {}, 504, "time of the request"),
        ("no inputs", {}, {}, 400, "inputs"),
        ("inputs is an object", {"inputs": {}}, {}, 400, "inputs .. list"),
        ("an empty list", {"inputs": []}, {}, 400, "inputs"),
        ("17 inputs", {"inputs": [good] * 17}, {}, 400, "inputs .. 16"),
        ("two inputs", {"inputs": [good, good]}, {}, 400, "2 inputs .. has 1"),
        ("an input is a number", {"inputs": [1]}, {}, 400, "objects"),
        ("no name", without("name"), {}, 400, "name"),
        ("no datatype", without("datatype"), {}, 400, "datatype"),
        ("no shape", without("shape"), {}, 400, "data .. shape"),
        ("no data", without("data"), {}, 400, "data: 0 bytes .. shape"),
        ("another name", change(name="x"), {}, 400, "no input x .. data"),
        ("name is a number", change(name=1), {}, 400, "name .. string"),
        ("datatype FP8", change(datatype="FP8"), {}, 400, "FP8"),
        ("datatype INT32", change(datatype="INT32"), {}, 400, "FP32, UINT8 and BYTES"),
        ("shape is a number", change(shape=1), {}, 400, "shape .. list"),
        ("shape of 9", change(shape=[1] * 9), {}, 400, "shape .. 8"),
        ("shape with 0", change(shape=[0, 3, SIDE, SIDE]), {}, 400, "shape .. from 1"),
        ("shape below 0", change(shape=[-1, 3, SIDE, SIDE]), {}, 400, "shape .. from 1"),
        ("shape of a half", change(shape=[1.5]), {}, 400, "shape .. whole"),
        ("shape of a text", change(shape=["1"]), {}, 400, "shape .. whole"),
        ("shape beyond 64 bits", change(shape=[2**31 - 1] * 4), {}, 413, "shape"),
        ("another shape", change(shape=[1, SIDE, SIDE, 3]), {}, 400, "FP32 [1,64,64,3] .. [1,3,64,64]"),
        ("too few", change(data=[0] * (NUMBERS - 1)), {}, 400, f"{NUMBERS - 1} elements .. {NUMBERS}"),
        ("too many", change(data=[0] * (NUMBERS + 1)), {}, 400, f"more than .. {NUMBERS}"),
        ("data is a text", change(data="x"), {}, 400, "data .. list"),
        ("a text in data", change(data=["x"] + [0] * (NUMBERS - 1)), {}, 400, "no number"),
        ("null in data", change(data=[None] * NUMBERS), {}, 400, "no number"),
        ("1e39", change(data=[1e39] + [0] * (NUMBERS - 1)), {}, 400, "1e+39 .. FP32"),
        ("1e999", json.dumps(change()).encode().replace(b"[0,", b"[1e999,"), {}, 400, "not JSON"),
        (
            "256 as UINT8",
            {"inputs": [{"name": "data", "shape": [1, SIDE, SIDE, 3], "datatype": "UINT8", "data": [256] * NUMBERS}]},
            {},
            400,
            "0 to 255",
        ),
        ("data nested too deeply", change(data=[[[[[[[[[[[[0]]]]]]]]]]]]), {}, 400, "nested"),
        ("data and binary_data_size", change(parameters={"binary_data_size": 4}), {}, 400, "exclude"),
        (
            "binary_data_size below 0",
            {"inputs": [{**good, "parameters": {"binary_data_size": -1}}]},
            {},
            400,
            "binary_data_size",
        ),
        (
            "binary_data_size of nothing",
            {
                "inputs": [
                    {
                        "name": "data",
                        "shape": [1, 3, SIDE, SIDE],
                        "datatype": "FP32",
                        "parameters": {"binary_data_size": 49152},
                    }
                ]
            },
            {},
            400,
            "49152 .. 0 bytes are left",
        ),
        ("another output", {**change(), "outputs": [{"name": "x"}]}, {}, 400, "no output x"),
        ("an output without a name", {**change(), "outputs": [{}]}, {}, 400, "output needs"),
        ("outputs is an object", {**change(), "outputs": {}}, {}, 400, "outputs .. list"),
        ("17 outputs", {**change(), "outputs": [{"name": "output"}] * 17}, {}, 400, "outputs .. 16"),
        (
            "classification 1001",
            {**change(), "outputs": [{"name": "output", "parameters": {"classification": 1001}}]},
            {},
            400,
            "classification .. 1000",
        ),
        ("an output twice", {**change(), "outputs": [{"name": "output"}] * 2}, {}, 400, "output .. twice"),
        (
            "binary_data is a text",
            {**change(), "outputs": [{"name": "output", "parameters": {"binary_data": "yes"}}]},
            {},
            400,
            "binary_data .. true or false",
        ),
        (
            "no base64",
            {"inputs": [{"name": "data", "shape": [1], "datatype": "BYTES", "data": ["%%%"]}]},
            {},
            400,
            "element 0 .. base64",
        ),
        (
            "no text",
            {"inputs": [{"name": "data", "shape": [1], "datatype": "BYTES", "data": [1]}]},
            {},
            400,
            "element 0 .. base64",
        ),
        (
            "two of shape 1",
            {"inputs": [{"name": "data", "shape": [1], "datatype": "BYTES", "data": ["", ""]}]},
            {},
            400,
            "2 elements .. 1",
        ),
        (
            "2000 pictures",
            {"inputs": [{"name": "data", "shape": [2000], "datatype": "BYTES", "data": [""] * 2000}]},
            {},
            413,
            "2000 pictures .. 1024",
        ),
        (
            "no picture",
            {"inputs": [{"name": "data", "shape": [1], "datatype": "BYTES", "data": ["AAAA"]}]},
            {},
            415,
            "element 0",
        ),
        (
            "half a picture",
            {
                "inputs": [
                    {
                        "name": "data",
                        "shape": [1],
                        "datatype": "BYTES",
                        "data": [base64.b64encode(jpeg[:1000]).decode()],
                    }
                ]
            },
            {},
            400,
            "element 0",
        ),
        ("a binary header beyond the body", change(), {"Inference_Header_Content_Length": 99999999}, 400, "99999999"),
        ("below 0", change(), {"Inference_Header_Content_Length": -1}, 400, "-1"),
        ("of words", change(), {"Inference_Header_Content_Length": "x"}, 400, ": x"),
        ("with more behind it", change(), {"Inference_Header_Content_Length": "1 2"}, 400, "1 2"),
    ]
    for what, tensor, shape, datatype, size, status, text in (
        ("bytes that belong to none", bytes(49156), [1, 3, SIDE, SIDE], "FP32", 49152, 400, "4 bytes .. no input"),
        ("a tensor of another size", bytes(49148), [1, 3, SIDE, SIDE], "FP32", 49148, 400, "49148 bytes .. 49152"),
        (
            "an element beyond the end",
            struct.pack("<I", 2**32 - 1) + b"x",
            [1],
            "BYTES",
            5,
            400,
            "element 0 announces 4294967295 bytes, 1 follow",
        ),
        ("elements that end", b"\0\0", [1], "BYTES", 2, 400, "end before element 0"),
        ("bytes after the last", struct.pack("<I", 1) + b"xy", [1], "BYTES", 6, 400, "1 bytes follow"),
        ("an empty element", bytes(4), [1], "BYTES", 4, 400, "element 0"),
    ):
        body, headers = binary(
            {
                "inputs": [
                    {"name": "data", "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": size}}
                ]
            },
            tensor,
        )
        rows.append((what, body, headers, status, text))
    for what, p, text in (
        ("no size", {}, "width"),
        ("odd", {"width": 3, "height": 2}, "even"),
        ("another size", {"width": 4, "height": 4}, "have 24"),
        ("a size of words", {"width": "4", "height": 4}, "width"),
    ):
        body, headers = binary(
            {
                "inputs": [
                    {
                        "name": "data",
                        "shape": [6],
                        "datatype": "UINT8",
                        "parameters": {"content_type": "nv12", "binary_data_size": 6, **p},
                    }
                ]
            },
            bytes(6),
        )
        rows.append(("NV12: " + what, body, headers, 400, text))
    return rows


@case
def bad_requests():
    s = server()
    for what, body, headers, status, text in bad_bodies(picture()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        a = s.ask("POST", INFER, data, **headers)
        check(
            f"{what}: {status}",
            a is not None and a.status == status and says(a.json()["error"], text),
            a and (a.status, a.body[:400]),
        )
    form = {"Content_Type": "multipart/form-data; boundary=b"}
    for what, body, headers, path, status, text in (
        ("no body", b"", {}, "/classify", 400, "empty"),
        ("no picture", b"hello", {}, "/classify", 415, ""),
        ("64 million pixels", bomb(8000, 8000), {}, "/classify", 413, "8000 .. 50000000"),
        ("k", b"x", {}, "/classify?k=0", 400, "k=0"),
        ("k of words", b"x", {}, "/classify?k=x", 400, "k=x"),
        ("k too large", b"x", {}, "/classify?k=1001", 400, "1 to 1000"),
        ("no boundary", b"x", {"Content_Type": "multipart/form-data"}, "/classify", 400, "boundary"),
        ("another boundary", b"--c\r\n", form, "/classify", 400, "boundary"),
        ("no end", b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\nx', form, "/classify", 400, "no end"),
        ("headers without an end", b"--b\r\nContent-", form, "/classify", 400, "headers"),
        (
            "no file",
            b'--b\r\nContent-Disposition: form-data; name="k"\r\n\r\n5\r\n--b--\r\n',
            form,
            "/classify",
            400,
            "no picture",
        ),
        (
            "an empty file",
            b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n\r\n--b--\r\n',
            form,
            "/classify",
            400,
            "empty",
        ),
        (
            "65 files",
            b"".join([b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\nx\r\n'] * 65) + b"--b--",
            form,
            "/classify",
            413,
            "64 pictures",
        ),
        ("no gzip", b"hello", {"Content_Encoding": "gzip"}, "/classify", 400, "Content-Encoding"),
        ("half of it", gzip.compress(picture())[:500], {"Content_Encoding": "gzip"}, "/classify", 400, "cut"),
        (
            "a bomb",
            gzip.compress(bytes(3 << 20)),
            {"Content_Encoding": "gzip"},
            "/classify",
            413,
            "2097152 .. --max-body",
        ),
        ("brotli", b"x", {"Content_Encoding": "br"}, "/classify", 415, "gzip"),
    ):
        a = s.ask("POST", path, body, **headers)
        check(
            f"classify, {what}: {status}",
            a is not None and a.status == status and says(a.body.decode(), text),
            a and (a.status, a.body[:300]),
        )
    check("and it goes on", s.json("GET", "/v2/health/ready")[0] == 200)


@case
def bad_http():
    s = server()
    body = b"x" * 100
    post = b"POST /classify HTTP/1.1\r\nHost: localhost\r\n"
    for what, data, statuses in (
        ("two lengths", post + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde", {400}),
        ("two equal lengths", post + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", {400}),
        ("length of words", post + b"Content-Length: x\r\n\r\n", {400}),
        ("length below 0", post + b"Content-Length: -1\r\n\r\n", {400}),
        ("length beyond 64 bits", post + b"Content-Length: 99999999999999999999\r\n\r\n", {400, 413}),
        ("length with a plus", post + b"Content-Length: +3\r\n\r\nabc", {400}),
        ("a list of lengths", post + b"Content-Length: 3, 3\r\n\r\nabc", {400}),
        ("hexadecimal", post + b"Content-Length: 0x3\r\n\r\nabc", {400}),
        ("length and chunks", post + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
        ("another encoding", post + b"Transfer-Encoding: gzip\r\n\r\n", {400, 501}),
        ("two encodings", post + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
        ("a wrong chunk", post + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", {400, None}),
        ("an endless chunk", post + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", {400, 413, None}),
        ("no Host", b"GET /v2 HTTP/1.1\r\n\r\n", {400}),
        ("two Hosts", b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", {400}),
        (
            "two tokens",
            b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
            {400},
        ),
        ("another Expect", post + b"Expect: magic\r\nContent-Length: 3\r\n\r\nabc", {417}),
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400, None}),
        ("no version", b"GET /v2\r\n\r\n", {400, 505, None}),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505, None}),
        ("a long header", b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 60000 + b"\r\n\r\n", {413, 431, None}),
        ("many headers", b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 20000 + b"\r\n", {413, 431, None}),
        ("a long path", b"GET /" + b"a" * 60000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", {414, 431, None}),
        ("too large", post + b"Content-Length: 3000000\r\n\r\n" + bytes(3000000), {413}),
        (
            "too large, in chunks",
            post
            + b"Transfer-Encoding: chunked\r\n\r\n"
            + b"".join([b"40000\r\n" + bytes(0x40000) + b"\r\n"] * 9)
            + b"0\r\n\r\n",
            {413},
        ),
        ("far too large", post + b"Content-Length: 99999999999\r\n\r\n", {413}),
    ):
        a = s.raw(data, close=True)
        check(f"{what}: {statuses}", (a.status if a else None) in statuses, a and (a.status, a.body[:200]))
    check(
        "chunks",
        s.raw(
            post + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % len(picture()) + picture() + b"\r\n0\r\n\r\n"
        ).status
        == 200,
    )
    with s.connect() as c:
        c.sendall(
            request("POST", "/classify", picture())[: -len(picture())].replace(
                b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"
            )
        )
        check("100 Continue", c.recv(25).startswith(b"HTTP/1.1 100"))
        c.sendall(picture())
        check("    and the answer", answer(c).status == 200)
    check(
        "refused without a body",
        s.raw(request("POST", "/classify", b"", Expect="100-continue", Content_Length=3000000)).status == 413,
    )
    time.sleep(0.1)  # those above that were cut are counted by then
    before = s.metrics()
    for part in (request("POST", "/classify", body)[:-50], request("POST", "/classify", body)[:30], b""):
        with s.connect() as c:
            c.sendall(part)  # and gone
    end = time.monotonic() + 10
    name = f'kitfox_requests_failure_total{{model="{MODEL}",cause="gone"}}'
    while s.metrics()[name] == before[name] and time.monotonic() < end:
        time.sleep(0.02)
    check("a body that ends early is counted", s.metrics()[name] > before[name], s.metrics()[name])
    check("and it goes on", s.json("GET", "/v2/health/ready")[0] == 200)


@case
def who_may_ask(folder):
    token = os.path.join(folder, "token")
    with open(token, "w") as f:
        f.write("correct-horse-battery\n")
    with Server("--token-file", token, "--host", "cats.example", "--log", "none") as s:
        key = {"Authorization": "Bearer correct-horse-battery"}
        here = f"localhost:{s.port}"
        for what, path, headers, status in (
            ("page", "/", {}, 200),
            ("/docs", "/docs", {}, 200),
            ("live", "/v2/health/live", {}, 200),
            ("ready", "/v2/health/ready", {}, 200),
            ("/v2", "/v2", {}, 401),
            ("metrics", "/metrics", {}, 401),
            ("model", f"/v2/models/{MODEL}", {}, 401),
            ("profile", f"/profile/{MODEL}", {}, 401),
            ("no such path", "/x", {}, 401),
            ("token", "/v2", key, 200),
            ("another", "/v2", {"Authorization": "Bearer correct-horse-batterx"}, 401),
            ("shorter", "/v2", {"Authorization": "Bearer correct"}, 401),
            ("longer", "/v2", {"Authorization": "Bearer correct-horse-battery!"}, 401),
            ("twice", "/v2", {"Authorization": "Bearer " + "correct-horse-battery" * 2}, 401),
            ("empty", "/v2", {"Authorization": "Bearer "}, 401),
            ("Basic", "/v2", {"Authorization": "Basic correct-horse-battery"}, 401),
            ("in small letters", "/v2", {"Authorization": "bearer correct-horse-battery"}, 200),
            ("Host with port", "/v2", {**key, "Host": here}, 200),
            ("address", "/v2", {**key, "Host": "127.0.0.1:80"}, 200),
            ("IPv6", "/v2", {**key, "Host": "[::1]:8000"}, 200),
            ("a name that was given", "/v2", {**key, "Host": "Cats.Example:8000"}, 200),
            ("rebinding", "/v2", {**key, "Host": "evil.example"}, 403),
            ("rebinding, page", "/", {"Host": "evil.example"}, 403),
            ("localhost.evil", "/v2", {**key, "Host": "localhost.evil.example"}, 403),
            ("127.0.0.1.evil", "/v2", {**key, "Host": "127.0.0.1.evil.example"}, 403),
            ("own origin", "/v2", {**key, "Host": here, "Origin": "http://" + here}, 200),
            ("another port", "/v2", {**key, "Host": here, "Origin": "http://localhost:3000"}, 403),
            ("another site", "/v2", {**key, "Host": here, "Origin": "http://evil.example"}, 403),
            ("null", "/v2", {**key, "Host": here, "Origin": "null"}, 403),
            ("cross-site", "/v2", {**key, "Sec_Fetch_Site": "cross-site"}, 403),
            ("same-site", "/v2", {**key, "Sec_Fetch_Site": "same-site"}, 403),
            ("same-origin", "/v2", {**key, "Sec_Fetch_Site": "same-origin"}, 200),
            ("typed in", "/v2", {**key, "Sec_Fetch_Site": "none"}, 200),
            ("a link to the page", "/", {"Sec_Fetch_Site": "cross-site"}, 200),
            ("a link to metrics", "/metrics", {**key, "Sec_Fetch_Site": "cross-site"}, 403),
        ):
            a = s.ask("GET", path, **{name.replace("-", "_"): value for name, value in headers.items()})
            check(
                f"{what}: {status}",
                a.status == status and ("www-authenticate" in a.headers) == (status == 401),
                (a.status, a.body[:200]),
            )
        a = s.ask("POST", "/classify", picture(), Origin="http://evil.example", Content_Type="text/plain")
        check("a form of another site", a.status == 403)
        check("a body without a token", s.ask("POST", "/classify", picture()).status == 401)


@case
def queue_and_time():
    """One worker, room for one: more are refused at once; what waited too long is not computed."""
    with Server("--threads", "1", "--queue", "1", "--log", "none", "--max-body", "64M") as s:
        many = bytes(256 * NUMBERS)
        body, headers = binary(
            {
                "inputs": [
                    {
                        "name": "data",
                        "shape": [256, SIDE, SIDE, 3],
                        "datatype": "UINT8",
                        "parameters": {"binary_data_size": len(many)},
                    }
                ]
            },
            many,
        )
        data, got = request("POST", INFER, body, **headers), []
        threads = [threading.Thread(target=lambda: got.append(s.raw(data))) for _ in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        full = [a for a in got if a.status == 503]
        check(
            "some are computed, some refused",
            {a.status for a in got} == {200, 503} and len(full) >= 2,
            [a.status for a in got],
        )
        check(
            "Retry-After",
            all(a.headers["retry-after"] == "1" and says(a.json()["error"], "queue") for a in full),
            [a.headers for a in full],
        )
        timing = next(a for a in got if a.status == 200).headers["server-timing"]
        names = ("queue", "decode", "compute", "encode")
        parts = re.fullmatch(", ".join(name + r";dur=(\d+\.\d{3})" for name in names), timing)
        check("Server-Timing", parts and float(parts[3]) > 0, timing)
        m = s.metrics()
        check(
            "counted to the model",
            m[f'kitfox_requests_failure_total{{model="{MODEL}",cause="queue_full"}}'] == len(full)
            and m[f'kitfox_requests_success_total{{model="{MODEL}"}}'] == 6 - len(full)
            and m[f'nv_inference_count{{model="{MODEL}",version="1"}}'] == 256 * (6 - len(full)),
            m,
        )
        body, headers = binary(
            {
                "parameters": {"timeout": 3000},
                "inputs": [
                    {
                        "name": "data",
                        "shape": [256, SIDE, SIDE, 3],
                        "datatype": "UINT8",
                        "parameters": {"binary_data_size": len(many)},
                    }
                ],
            },
            many,
        )
        a = s.ask("POST", INFER, body, **headers)
        check("no Server-Timing where nothing was computed", "server-timing" not in full[0].headers, full[0].headers)
        check(
            "time is over between images",
            a.status == 504 and says(a.json()["error"], "time .. of its 256 images"),
            a.body[:200],
        )
    with Server("--threads", "1", "--timeout", "20", "--log", "none", "--max-body", "64M") as s:
        check("--timeout", s.raw(data).status == 504)


@case
def slow_clients():
    """Who sends a byte at a time, or nothing, is cut; who is quick is not."""
    with Server("--header-timeout", "1", "--body-timeout", "1", "--idle-timeout", "1", "--log", "none") as s:
        began = time.monotonic()
        clients = {"nothing": s.connect(), "headers": s.connect(), "body": s.connect(), "idle": s.connect()}
        clients["body"].sendall(request("POST", "/classify", picture())[:400])
        clients["idle"].sendall(request("GET", "/v2"))
        check("an answer before", answer(clients["idle"]).status == 200)
        ended = {}
        while len(ended) < len(clients) and time.monotonic() < began + 30:
            for name, c in clients.items():
                if name in ended:
                    continue
                try:
                    if name in ("headers", "body"):
                        c.send(b"X")
                    c.settimeout(0.02)
                    if c.recv(1000) == b"":
                        ended[name] = time.monotonic() - began
                except TimeoutError:
                    pass
                except OSError:
                    ended[name] = time.monotonic() - began
        for name, c in clients.items():
            check(f"{name}: cut", 0.9 < ended.get(name, 99) < 20, ended)
            c.close()
        check(
            "and it goes on",
            s.json("GET", "/v2/health/ready")[0] == 200 and s.metrics()["kitfox_connections"] <= 2,
            s.metrics(),
        )


@case
def signals(folder):
    model = os.path.join(folder, "m.kfx")
    shutil.copy(os.path.join(ROOT, "tests", "golden", "verified_small_v1.kfx"), model)
    everyday = os.path.join(folder, "e.kfx")
    check("import", run("import", os.path.join(ROOT, "data", "everyday10.safetensors"), "-o", everyday)[0] == 0)
    with Server(model, everyday, "--threads", "1", "--log", "json", "--max-body", "64M") as s:
        check("version", s.json("GET", "/v2/models/m")[1]["parameters"]["loads"] == 1)
        for name, source, loads, text in (
            ("the same", model, 2, "m loaded again"),
            ("a broken one", os.path.join(ROOT, "meson.build"), 2, "m stays as it was"),
            ("another", everyday, 3, "m loaded again"),
        ):
            if source != model:
                shutil.copy(source, model)
            s.process.send_signal(signal.SIGHUP)
            end = time.monotonic() + 30
            last = {"m": loads, "e": loads + (loads == 2 and name != "the same")}
            while time.monotonic() < end and (
                s.json("GET", "/v2/models/e")[1]["parameters"]["loads"] < last["e"] + (name == "another")
                or s.json("GET", "/v2/models/m")[1]["parameters"]["loads"] < loads
            ):
                time.sleep(0.02)
            check(
                f"SIGHUP, {name}",
                s.json("GET", "/v2/models/m")[1]["parameters"]["loads"] == loads,
                s.json("GET", "/v2/models/m"),
            )
        check(
            "the new one answers, at its old URL",
            s.ask("POST", "/classify/m", picture()).json()["pictures"][0]["top"][0]["label"] == "frog"
            and s.json("GET", "/v2/models/m/versions/1")[0] == 200,
        )
        many = bytes(256 * NUMBERS)
        body, headers = binary(
            {
                "inputs": [
                    {
                        "name": "data",
                        "shape": [256, SIDE, SIDE, 3],
                        "datatype": "UINT8",
                        "parameters": {"binary_data_size": len(many)},
                    }
                ]
            },
            many,
        )
        with s.connect() as c, s.connect() as kept:
            kept.sendall(request("GET", "/v2/health/ready"))
            check("ready before", answer(kept).status == 200)
            c.sendall(request("POST", "/v2/models/e/infer", body, **headers))
            while not s.metrics()["kitfox_connections"]:
                pass
            time.sleep(0.05)
            s.process.send_signal(signal.SIGTERM)
            a = answer(c)
            check("SIGTERM: what runs is answered", a is not None and a.status == 200)
        check("exit status", s.end() == 0, s.log)
    lines = [json.loads(line) for line in s.log.splitlines() if line.startswith("{")]
    check(
        "the log: a line a request",
        any(
            r["path"] == "/classify/m" and r["status"] == 200 and r["pictures"] == 1 and r["peer"] == "127.0.0.1"
            for r in lines
        ),
        s.log[:500],
    )
    with open(os.path.join(ROOT, "docs", "kitfox.schema.json")) as f:
        schema = json.load(f)["$defs"]
    check(
        "    as the schema has it",
        all(set(r) == set(schema["request"]["required"]) for r in lines)
        and set(s.start) == set(schema["serve"]["required"]),
        lines[0],
    )
    check("    and the reloads", "m loaded again" in s.log and "m stays as it was" in s.log, s.log[-600:])
    with Server("--log", "text") as s:
        s.raw(b"GET /a%0Aforged%20line HTTP/1.1\r\nHost: localhost\r\n\r\n")
        check("SIGINT", s.end(signal.SIGINT) == 0)
    check("no forged line", "/a?forged line 404" in s.log, s.log)


@case
def repository(folder):
    models = os.path.join(folder, "models")
    os.mkdir(models)
    golden = os.path.join(ROOT, "tests", "golden")
    shutil.copy(os.path.join(golden, "verified_small_v1.kfx"), os.path.join(models, "a.kfx"))
    shutil.copy(os.path.join(ROOT, "meson.build"), os.path.join(models, "broken.kfx"))
    shutil.copy(os.path.join(ROOT, "meson.build"), os.path.join(models, "ignored.txt"))
    with Server("--repository", models, "--repository-calls", "--log", "none") as s:
        index = {m["name"]: m for m in s.json("POST", "/v2/repository/index")[1]}
        check(
            "index",
            set(index) == {"a", "broken"}
            and index["a"]["state"] == "READY"
            and index["broken"]["state"] == "UNAVAILABLE"
            and index["broken"]["reason"],
            index,
        )
        check("no folder in a reason", folder not in index["broken"]["reason"], index)
        check(
            "only those that are ready",
            [m["name"] for m in s.json("POST", "/v2/repository/index", {"ready": True})[1]] == ["a"],
        )
        check("ready", s.json("GET", "/v2/health/ready")[0] == 200)
        check(
            "not loaded",
            s.json("GET", "/v2/models/broken")[0] == 503 and s.json("GET", "/v2/models/broken/ready")[0] == 503,
        )
        check(
            "unload",
            s.json("POST", "/v2/repository/models/a/unload", {"parameters": {"unload_dependents": False}})[0] == 200
            and s.json("GET", "/v2/models/a")[0] == 503,
        )
        check("none is left: not ready", s.json("GET", "/v2/health/ready")[0] == 503)
        check(
            "load",
            s.json("POST", "/v2/repository/models/a/load")[0] == 200
            and s.json("GET", "/v2/models/a")[1]["parameters"]["loads"] == 2,
        )
        shutil.copy(os.path.join(golden, "verified_int8_v1.kfx"), os.path.join(models, "late.kfx"))
        check(
            "a file that came later",
            s.json("POST", "/v2/repository/models/late/load")[0] == 200 and s.json("GET", "/v2/models/late")[0] == 200,
        )
        check("its counters", 'kitfox_requests_success_total{model="late"}' in s.metrics())
        status, a = s.json("POST", "/v2/repository/models/broken/load")
        check("a broken one", status == 400 and a["error"] and folder not in a["error"], (status, a))
        for name in ("none", "..%2Fa", "%2e%2e%2Fmodels%2Fa", "a.kfx", "ignored", "%00a"):
            check(f"load {name}: 404", s.json("POST", f"/v2/repository/models/{name}/load")[0] == 404)
        for body in (
            {"parameters": {"config": "{}"}},
            {"parameters": {"file:1/model.onnx": "AAAA"}},
            {"parameters": [1]},
            [1],
            "x",
        ):
            check(f"refused: {json.dumps(body)[:40]}", s.json("POST", "/v2/repository/models/a/load", body)[0] == 400)
    with Server("--repository", models, "--log", "none") as s:
        check(
            "calls are off",
            s.json("POST", "/v2/repository/models/a/load")[0] == 403
            and s.json("POST", "/v2/repository/models/a/unload")[0] == 403,
        )


@case
def start_errors(folder):
    """Exit status 1 for what the world has, 2 for what the command line says; one line that names it."""
    short, pem = os.path.join(folder, "short"), os.path.join(folder, "x.pem")
    for path, text in ((short, "abc\n"), (pem, "no PEM")):
        with open(path, "w") as f:
            f.write(text)
    twin = os.path.join(folder, "everyday10.kfx")
    shutil.copy(os.path.join(ROOT, "tests", "golden", "verified_small_v1.kfx"), twin)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for args, code, text in (
            (
                ["-P", str(taken.getsockname()[1])],
                1,
                f"127.0.0.1 port {taken.getsockname()[1]} .. another program .. --port",
            ),
            (["--listen", "192.0.2.1"], 1, "192.0.2.1 .. no such address"),
            (["--listen", "localhost"], 1, "--listen localhost .. address"),
            (["nothing.kfx"], 1, "nothing.kfx"),
            ([twin, "everyday10"], 1, "both models .. everyday10"),
            ([short], 1, "short"),
            (["--token-file", short], 1, "short .. 16 to"),
            (["--token-file", folder + "/none"], 1, "none"),
            (["--tls-cert", pem], 2, "--tls-key"),
            (["--tls-cert", pem, "--tls-key", pem], 1, "--tls-cert"),
            (["--tls-cert", folder + "/none", "--tls-key", pem], 1, "--tls-cert .. none"),
            (["--repository", folder + "/none"], 1, "--repository .. none"),
            (["--user", "no-such-user"], 1, "--user no-such-user"),
            (["--port", "65536"], 2, "--port"),
            (["--queue", "0"], 2, "--queue"),
            (["--log", "xml"], 2, "--log xml"),
            (["--max-body", "0"], 2, "--max-body"),
            (["--header-timeout", "0"], 2, "--header-timeout"),
        ):
            got, out, err = run("serve", "-P", "0", *args)
            check("serve " + " ".join(args)[-50:], got == code and out == "" and says(err, text), (got, err))


def two_inputs(folder):
    """A network of inputs x [1, 6] and y [1, 4], and the same in Python."""
    g = Graph([1, 6])
    g.fc(6, 4), g.add("Add", "y"), g.add("Relu"), g.fc(4, 3)
    path = os.path.join(folder, "pair.onnx")
    with open(path, "wb") as f:
        f.write(g.bytes([1, 3], more=[("y", [1, 4])]))

    def layer(x, n):
        w, b = weights(n * len(x), 3), weights(n, 4)
        return [sum(x[i] * w[k * len(x) + i] for i in range(len(x))) + b[k] for k in range(n)]

    return path, lambda x, y: layer([max(0, a + b) for a, b in zip(layer(x, 4), y)], 3)


def floats(name, width, values):
    return {"name": name, "shape": [len(values) // width, width], "datatype": "FP32", "data": values}


@case
def several_inputs(folder):
    path, compute = two_inputs(folder)
    x, y = weights(12, 7), weights(8, 9)
    wanted = compute(x[:6], y[:4]) + compute(x[6:], y[4:])
    near = lambda got: len(got) == len(wanted) and all(abs(a - b) < 1e-5 for a, b in zip(got, wanted))  # noqa: E731
    with Server(path, "--log", "none") as s:
        status, m = s.json("GET", "/v2/models/pair")
        check("both are told", [(i["name"], i["shape"][1]) for i in m["inputs"]] == [("x", 6), ("y", 4)], m)
        both = [floats("x", 6, x), floats("y", 4, y)]
        for name, inputs in (("JSON", both), ("in the other order", both[::-1])):
            status, r = s.infer({"inputs": inputs}, "pair")
            check(f"{name}: two images", status == 200 and near(r["outputs"][0]["data"]), r)
        head, data = [], []
        for t in both[::-1]:
            data.append(struct.pack(f"<{len(t['data'])}f", *t["data"]))
            head.append({**t, "parameters": {"binary_data_size": len(data[-1])}})
            del head[-1]["data"]
        out = {"name": m["outputs"][0]["name"], "parameters": {"binary_data": True}}
        body, headers = binary({"inputs": head, "outputs": [out]}, *data)
        a = s.ask("POST", "/v2/models/pair/infer", body, **headers)
        check("binary, both ways", a.status == 200 and near(struct.unpack("<6f", a.body[-24:])), a.body)
        mixed = [both[0], head[0]]
        body, headers = binary({"inputs": mixed}, data[0])
        a = s.ask("POST", "/v2/models/pair/infer", body, **headers)
        n = int(a.headers.get("inference-header-content-length", len(a.body)))
        check("one of each", a.status == 200 and near(json.loads(a.body[:n])["outputs"][0]["data"]), a.body)
        bytes_ = {"name": "x", "shape": [1], "datatype": "BYTES", "parameters": {"content_type": "base64"}}
        bytes_["data"] = [base64.b64encode(picture()).decode()]
        for name, inputs, text in (
            ("one is missing", both[:1], "1 inputs .. pair has 2"),
            ("one twice", [both[0], both[0]], "x is given twice"),
            ("another batch", [both[0], floats("y", 4, y[:4])], "y .. a batch of 1 .. has 2"),
            ("a name of none", [both[0], floats("z", 4, y)], "no input z"),
            ("the shapes changed", [floats("x", 4, y), floats("y", 6, x)], "x"),
            ("a picture", [bytes_, floats("y", 4, y[:4])], "pictures"),
        ):
            status, r = s.infer({"inputs": inputs}, "pair")
            check(f"{name}: 400", status == 400 and says(r["error"], text), r)
        check("pictures are refused", s.ask("POST", "/classify", picture()).status == 400)
        raw = s.ask("POST", "/v2/models/pair/infer", data[1], Inference_Header_Content_Length=0)
        check("raw: one tensor alone", raw.status == 400, raw.body)


@case
def blue_first(folder):
    """Networks that want BGR: clients send RGB and pictures as ever, and numbers in the network's own order."""
    onnx, bgr, small = os.path.join(ROOT, "data", "everyday10.onnx"), *(
        os.path.join(folder, n) for n in ("bgr.kfx", "bgr8.kfx")
    )
    code, _, err = run("import", onnx, "--color", "bgr", "-o", bgr)
    check("import", code == 0, err)
    code, _, err = run("quantize", onnx, "--color", "bgr", "-c", EXAMPLES, "-o", small, "--no-rounding", "--no-doctor")
    check("quantize", code == 0, err)
    rgb = [(7 * k * k + 31 * k) % 256 for k in range(NUMBERS)]
    flip = lambda p: [p[i - i % 3 + 2 - i % 3] for i in range(NUMBERS)]  # noqa: E731
    as_pixels = lambda p: {"name": "data", "shape": [1, SIDE, SIDE, 3], "datatype": "UINT8", "data": p}  # noqa: E731
    with Server(MODEL, bgr, small, "--log", "none") as s:

        def ask(model, tensor):
            status, r = s.infer({"inputs": [tensor]}, model)
            return r["outputs"][0]["data"] if status == 200 else r

        check(
            "pixels are RGB whatever the network wants", ask("bgr", as_pixels(rgb)) == ask(MODEL, as_pixels(flip(rgb)))
        )
        check("    and the order counts", ask("bgr", as_pixels(rgb)) != ask("bgr", as_pixels(flip(rgb))))
        for model in ("bgr", "bgr8"):
            file = os.path.join(folder, model + ".kfx")
            frog = os.path.join(EXAMPLES, "frog.jpg")
            line = json.loads(run("classify", file, frog, "-j")[1].splitlines()[-1])
            top = s.ask("POST", f"/classify/{model}", picture()).json()["pictures"][0]["top"]
            check(
                f"{model}: a picture as by the verb",
                [(t["index"], f"{t['score']:.5g}") for t in top]
                == [(t["index"], f"{t['score']:.5g}") for t in line["top"]],
                (top, line),
            )
            data = struct.pack("<I", len(picture())) + picture()
            sized = {"parameters": {"binary_data_size": len(data)}}
            body, headers = binary({"inputs": [{"name": "data", "shape": [1], "datatype": "BYTES", **sized}]}, data)
            coded = {"name": "data", "shape": [1], "datatype": "BYTES", "parameters": {"content_type": "base64"}}
            coded["data"] = [base64.b64encode(picture()).decode()]
            a = s.ask("POST", f"/v2/models/{model}/infer", body, **headers).json()
            check("    in JSON as in binary", ask(model, coded) == a["outputs"][0]["data"], a)
            bare = {**as_pixels(rgb), "parameters": {"binary_data_size": NUMBERS}}
            del bare["data"]
            body, headers = binary({"inputs": [bare]}, bytes(rgb))
            a = s.ask("POST", f"/v2/models/{model}/infer", body, **headers).json()
            check("    and pixels", ask(model, as_pixels(rgb)) == a["outputs"][0]["data"], a)
        planes = [flip(rgb)[i] for c in range(3) for i in range(c, NUMBERS, 3)]
        own = {"name": "data", "shape": [1, 3, SIDE, SIDE], "datatype": "UINT8", "data": planes}
        check("numbers have the network's own order", ask("bgr8", own) == ask("bgr8", as_pixels(rgb)), ask("bgr8", own))


def secrets(folder, name, issuer=()):
    """A key and its certificate, of openssl; `issuer`: that pair signs it, not itself."""
    key, certificate = os.path.join(folder, name + ".key"), os.path.join(folder, name + ".crt")
    how = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=" + name]
    signed = ["-CAkey", issuer[0], "-CA", issuer[1]] if issuer else []
    made = ["openssl", "req", "-x509", *how, *signed, "-keyout", key, "-out", certificate]
    subprocess.run(made, capture_output=True, check=True)
    return key, certificate


def shown(s):
    """The certificate that a new connection is shown, in PEM."""
    return "".join(ssl.get_server_certificate(("127.0.0.1", s.port), timeout=60).split())


def said(s, words):
    """The next line of the server's standard error that has these words."""
    return next((line for line in iter(s.process.stderr.readline, b"") if words.encode() in line), b"").decode()


@case
def secrets_are_read_again(folder):
    """SIGHUP: a new certificate and a new token count from the next request on; broken ones change nothing."""
    token, key, certificate = (os.path.join(folder, n) for n in ("token", "live.key", "live.crt"))
    if not shutil.which("openssl"):
        return print("SKIP: no openssl, which makes the certificates")

    def put(text, path):
        with open(path, "w") as f:
            f.write(text)

    one, two = secrets(folder, "one"), secrets(folder, "two")
    three = secrets(folder, "three", two)
    pem = {path: open(path).read() for pair in (one, two, three) for path in pair}
    bare = {path: "".join(text.split()) for path, text in pem.items()}
    put(pem[one[0]], key)
    put(pem[one[1]], certificate)
    put("the-first-token-0123\n", token)
    files = ["--tls-cert", certificate, "--tls-key", key, "--token-file", token]
    with Server("--log", "none", *files) as s:
        context = ssl._create_unverified_context()

        def status(given, connection=None):
            c = connection or http.client.HTTPSConnection("127.0.0.1", s.port, context=context, timeout=60)
            c.request("GET", "/v2", headers={"Authorization": "Bearer " + given})
            answer = c.getresponse()
            answer.read()
            return answer.status

        old = http.client.HTTPSConnection("127.0.0.1", s.port, context=context, timeout=60)
        check("before", shown(s) == bare[one[1]] and status("the-first-token-0123", old) == 200)
        for name, new, words in (
            ("no PEM", {certificate: "no PEM"}, "the certificate stays as it was: --tls-cert"),
            ("another's key", {certificate: pem[two[1]]}, "the certificate stays as it was: --tls-cert"),
            ("a short token", {certificate: pem[one[1]], token: "abc\n"}, "the token stays as it was: "),
        ):
            for path, text in new.items():
                put(text, path)
            s.process.send_signal(signal.SIGHUP)
            check(f"{name}: one line says so", words in said(s, words))
            check("    nothing changed", shown(s) == bare[one[1]] and status("the-first-token-0123") == 200)
        put(pem[two[0]], key)
        put(pem[two[1]], certificate)
        put("the-second-token-0123\n", token)
        s.process.send_signal(signal.SIGHUP)
        for words in ("the certificate loaded again", "the token loaded again"):
            check(words, words in said(s, words))
        check("new connections get the new certificate", shown(s) == bare[two[1]])
        check("the new token counts", status("the-second-token-0123") == 200)
        check("the old one does not", status("the-first-token-0123") == 401)
        check("a connection from before goes on", status("the-second-token-0123", old) == 200)
        put(pem[three[0]], key)
        for name, chain, words, leaf in (
            ("in the wrong order", (two, three), "the certificate stays as it was: --tls-cert", two),
            ("in order", (three, two), "the certificate loaded again", three),
        ):
            put("".join(pem[c] for _, c in chain), certificate)
            s.process.send_signal(signal.SIGHUP)
            line = said(s, "the certificate")
            check(f"a chain {name}", words in line, line)
            check("    the leaf that is shown", shown(s) == bare[leaf[1]])
        old.close()


@case
def swaps_under_load():
    """Four clients, each with numbers of its own and their answer, while the model is swapped by signals and by calls: no answer is another's."""
    with Server("--threads", "2", "--repository-calls", "--log", "none") as s:
        work, wrong, left = [], [], [4]
        for k in range(8):
            body = json.dumps({"inputs": [fp32(pixels(k))]}).encode()
            work.append((body, s.ask("POST", INFER, body).json()["outputs"]))
        check("the answers differ", len({str(out) for _, out in work}) == 8)

        def client(k):
            with s.connect() as c:
                for i in range(25):
                    body, out = work[(k + i * 3) % 8]
                    c.sendall(request("POST", INFER, body))
                    a = answer(c)
                    if a is None or a.status != 200 or a.json()["outputs"] != out:
                        wrong.append(a and (a.status, a.body[:200]))
            left[0] -= 1

        threads = [threading.Thread(target=client, args=(k,)) for k in range(4)]
        for t in threads:
            t.start()
        swaps = 0
        while left[0] > 0 and swaps < 100 or swaps < 4:
            s.process.send_signal(signal.SIGHUP)
            swaps += s.json("POST", f"/v2/repository/models/{MODEL}/load")[0] == 200
            s.metrics()
        for t in threads:
            t.join()
        check(f"100 answers, {swaps} swaps by call", not wrong, wrong[:3])
        m = s.metrics()
        check(
            "every request is counted once",
            m[f'kitfox_requests_success_total{{model="{MODEL}"}}'] == 108 + swaps
            and m[f'kitfox_pictures_total{{model="{MODEL}"}}'] == 108
            and m[f'kitfox_request_duration_seconds_count{{model="{MODEL}"}}'] == 108 + swaps,
            m,
        )
        check("the end", s.end() == 0, s.log)


@case
def idle():
    """Nothing turns while nobody asks: not one tick of the processor in half a second; threads stay as many."""
    with Server("--threads", "2", "--log", "none") as s, s.connect() as kept:
        kept.sendall(request("GET", "/v2"))
        answer(kept)
        ticks = lambda: sum(
            map(int, open(f"/proc/{s.process.pid}/stat").read().rsplit(")", 1)[1].split()[11:13])
        )  # noqa: E731
        threads = lambda: len(os.listdir(f"/proc/{s.process.pid}/task"))  # noqa: E731
        many = threads()
        before = ticks()
        time.sleep(0.5)
        check("ticks", ticks() - before <= 1, (before, ticks()))
        for _ in range(20):
            s.ask("POST", "/classify", picture())
        s.json("GET", f"/profile/{MODEL}")
        check("threads", threads() == many <= 6, (many, threads()))  # a sanitizer has one of its own


status = status_of_cases()
sys.exit(server().end() or status if server.cache_info().currsize else status)
