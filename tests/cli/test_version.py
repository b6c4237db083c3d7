#!/usr/bin/env python3
"""--version, --verbose and --json of both programs. Arguments: kitfox, kitfox-run."""

import json
import re
import subprocess
import sys

from kit import KITFOX, ROOT, case, check, run, run_cases

PROGRAMS = {"kitfox": KITFOX, "kitfox-run": sys.argv[2]}


def call(program, *args, **env):
    p = subprocess.run([PROGRAMS[program], "--version", *args], capture_output=True, text=True, env=env or None)
    return p.returncode, p.stdout, p.stderr


@case
def texts():
    for program in PROGRAMS:
        code, out, err = call(program)
        check(f"{program}: one line", code == 0 and re.fullmatch(rf"{program} \d+\.\d+\.\d+\n", out) and not err, out)
        code, text, _ = call(program, "--verbose")
        check("    which is the first of --verbose", code == 0 and text.startswith(out), text)
        about = json.loads(call(program, "--json")[1])
        rows = {line[2:16].strip(): line[18:].strip() for line in text.splitlines()[1:]}
        check(
            "    and its JSON says the same",
            all(about[key] == rows[key] for key in ("machine", "compiler", "libc"))
            and all(rows[lib["name"]].startswith(lib["version"] or "not here") for lib in about["libraries"]),
            text,
        )
        levels = [name for name in rows["levels here"].replace(" (in use)", "").split() if name != "none"]
        check(
            "    levels",
            levels == [cpu["name"] for cpu in about["cpus"] if cpu["usable"]]
            and rows["levels here"].count("(in use)") == 1,
            rows,
        )
        code, out, err = call(program, "--bogus")
        check("    another word is refused", code == 2 and "--bogus" in err and not out, err)


@case
def levels():
    code, out, _ = run("info", "--cpus", "--json")
    check(
        "the levels are those of info --cpus",
        json.loads(out)["cpus"] == json.loads(call("kitfox", "--json")[1])["cpus"],
    )
    lowered = json.loads(call("kitfox", "--json", KITFOX_CPU="scalar")[1])
    check("the one in use follows KITFOX_CPU", [c["name"] for c in lowered["cpus"] if c["now"]] == ["scalar"], lowered)


@case
def files():
    """What is loaded to ask for its version is what the other parts load."""
    with open(f"{ROOT}/programs/kitfox/version.c") as f, open(f"{ROOT}/programs/kitfox/libraries.c") as g:
        asked = set(re.findall(r'"(lib[\w-]+\.so\.\d+)"', f.read() + g.read()))
    loaded = set()
    for path in (
        "programs/common/annotate.c",
        "programs/serve/mhd.c",
        "programs/serve/tls.c",
        "src/codec/avif.c",
        "src/codec/heif.c",
        "src/codec/tiff.c",
        "src/lab/pull/curl.c",
    ):
        with open(f"{ROOT}/{path}") as f:
            loaded |= set(re.findall(r'"(lib[\w-]+\.so\.\d+)"', f.read()))
    check("names of files", asked == loaded and len(asked) >= 8, asked ^ loaded)


@case
def versions():
    """Those of the linked ones are what pkg-config says of the machine."""
    names = {
        "jansson": "jansson",
        "libspng": "spng",
        "libwebp": "libwebp",
        "protobuf-c": "libprotobuf-c",
        "libyaml": "yaml-0.1",
    }
    libraries = {lib["name"]: lib for lib in json.loads(call("kitfox", "--json")[1])["libraries"]}
    check(
        "every linked library has a version",
        all(lib["version"] for lib in libraries.values() if lib["linked"]),
        libraries,
    )
    for name, package in names.items():
        for candidate in (package, "libspng"):
            p = subprocess.run(["pkg-config", "--modversion", candidate], capture_output=True, text=True)
            if p.returncode == 0:
                check(f"    {name}", libraries[name]["version"] == p.stdout.strip(), (libraries[name], p.stdout))
                break


if __name__ == "__main__":
    sys.exit(run_cases())
