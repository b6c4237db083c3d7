#!/usr/bin/env python3
"""tools/sbom.py on a build: what it says is so, and it is SPDX 2.3 by the judgement of pyspdxtools, where that is here.

Arguments: the build folder, kitfox. KITFOX_SOURCE is the source root; KITFOX_LAB may name a Python with spdx-tools.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

BUILD, KITFOX = sys.argv[1], os.path.abspath(sys.argv[2])
ROOT = os.path.abspath(os.environ.get("KITFOX_SOURCE", "."))
TOOL = os.path.join(ROOT, "tools", "sbom.py")
failures = 0


def check(what, ok, detail=""):
    global failures
    failures += not ok
    print(("ok    " if ok else "FAIL  ") + what + ("" if ok else f": {str(detail)[:2000]}"))


def run(*words, **env):
    p = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **env})
    return p.returncode, p.stdout, p.stderr


def names(document):
    return {p["SPDXID"]: p["name"] for p in document["packages"]}


def contents(document):
    ids = [x["SPDXID"] for x in document["packages"] + document["files"]] + ["SPDXRef-DOCUMENT"]
    check("identifiers differ", len(set(ids)) == len(ids), ids)
    ends = {r[key] for r in document["relationships"] for key in ("spdxElementId", "relatedSpdxElement")}
    check("and relations name them", ends <= set(ids), ends - set(ids))
    libraries = [p for p in document["packages"] if p["name"] != "kitfox"]
    check(
        "every library has a version and a licence",
        all(p["versionInfo"] and p["licenseDeclared"] != "NOASSERTION" for p in libraries),
        libraries,
    )
    if os.path.exists("/etc/debian_version"):
        at = {p["name"]: [r["referenceLocator"] for r in p.get("externalRefs", [])] for p in libraries}
        debian = {name for name, urls in at.items() if any(url.startswith("pkg:deb/debian/") for url in urls)}
        check("and the package that it comes from", {"glibc", "zlib", "jansson"} <= debian, at)
    said = {lib["name"] for lib in json.loads(run(KITFOX, "--version", "--json")[1])["libraries"] if lib["version"]}
    check("those of --version are there", said <= {p["name"] for p in libraries}, said)
    program = next(f for f in document["files"] if f["fileName"] == "./kitfox")
    with open(KITFOX, "rb") as f:
        want = hashlib.sha256(f.read()).hexdigest()
    check("the hash of kitfox", want in [c["checksumValue"] for c in program["checksums"]])
    links = {
        names(document)[r["relatedSpdxElement"]]
        for r in document["relationships"]
        if r["spdxElementId"] == program["SPDXID"] and r["relationshipType"] == "DYNAMIC_LINK"
    }
    needed = re.findall(r"NEEDED.*\[lib(\w+)", run("readelf", "-dW", KITFOX)[1])
    check(
        "kitfox links what it needs",
        {"jansson", "libyaml", "libwebp"} <= links and len(links) == len(set(needed) - {"m"}),
        (links, needed),
    )


def judged(path):
    lab = os.path.join(os.path.dirname(os.environ.get("KITFOX_LAB", "")), "pyspdxtools")
    judge = lab if os.path.exists(lab) else shutil.which("pyspdxtools")
    if not judge:
        print("SKIP  no pyspdxtools judges it")
        return
    code, out, err = run(judge, "-i", path)
    check("valid for pyspdxtools", code == 0, out + err)
    with open(path) as f:
        broken = f.read().replace('"Apache-2.0"', '"No such licence!"')
    with open(path + ".json", "w") as f:
        f.write(broken)
    check("    which refuses another", run(judge, "-i", path + ".json")[0] != 0)


with tempfile.TemporaryDirectory() as folder:
    first, second = os.path.join(folder, "one.spdx.json"), os.path.join(folder, "two.spdx.json")
    code, out, err = run(sys.executable, TOOL, BUILD, "-o", first, SOURCE_DATE_EPOCH="1700000000")
    check("tools/sbom.py", code == 0, err)
    code, out, err = run(sys.executable, TOOL, BUILD, "-o", second, SOURCE_DATE_EPOCH="1700000000")
    with open(first) as f, open(second) as g:
        text = f.read()
        check("the same twice", text == g.read())
    check(
        "its time is that of SOURCE_DATE_EPOCH",
        json.loads(text)["creationInfo"]["created"] == "2023-11-14T22:13:20Z",
        text[:400],
    )
    contents(json.loads(text))
    judged(first)
    code, out, err = run(sys.executable, TOOL, folder)
    check("a folder without a build is refused", code != 0 and "no program" in err, err)
sys.exit(failures > 0)
