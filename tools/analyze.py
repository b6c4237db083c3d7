#!/usr/bin/env python3
"""Static analysis of src, programs, include and examples by gcc -fanalyzer, clang-tidy and cppcheck. All is explained.

  tools/analyze.py [--tool gcc|clang-tidy|cppcheck] [--jobs N] [FILE...]

A finding that is no fault has a line in tools/analyze/TOOL.txt: path, check, a piece of the source line, "# " and the
reason. A line there that explains nothing any more is a failure, too. Other versions of a tool find other things, so
each tool is asked for in one version, and left out with one line where that is not here. Exit status: 1 when anything
is new, 77 when no tool is here.
"""
import argparse
import collections
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
FOLDERS = ("src", "programs", "include", "examples")
MODEL = os.path.join(ROOT, "tools", "analyze", "model.h")
DEFINITION = "src/base/error.c" # of what MODEL describes
LIMIT = 1800 # seconds for one file, where something hangs; what ends earlier is set by counts below
# The time of gcc's analyzer grows without measure in functions of many branches: with its defaults, 80 s for one file.
# With these numbers it gives up sooner, after the same number of states on every machine. Samples gave the same.
GCC = ["-O1", "-fanalyzer", "--param=analyzer-bb-explosion-factor=1", "--param=analyzer-max-enodes-per-program-point=4",
       "-fdiagnostics-plain-output", "-fdiagnostics-path-format=none", "-Wno-unused-value", "-c", "-o", "/dev/null"]
# Kernels are unrolled for many widths, take minutes, and allocate nothing; the kernel checks run them under sanitizers.
GCC_LEAVES = "src/kernels/"
# The same for clang's analyzer: the most states of one function.
TIDY = ["-Xclang", "-analyzer-config", "-Xclang", "max-nodes=20000", "-Wno-unknown-warning-option"]
# cppcheck reads no header of the system; onnx.pb-c.h compares these numbers.
CPPCHECK = ["--quiet", "--std=c11", "--platform=unix64", "--enable=warning,performance,portability",
            "--include=" + MODEL, "-DPROTOBUF_C_VERSION_NUMBER=1004001", "-DPROTOBUF_C_MIN_COMPILER_VERSION=1000000",
            "--template={file}:{line}:{column}: warning: {message} [{id}]"]
FINDING = re.compile(r"^(\S[^:\n]*):(\d+):(?:\d+:)? (?:fatal )?(?:warning|error): (.*?)(?: \[CWE-\d+\])* \[(\S+)\]$",
                     re.M)
BROKEN = re.compile(r"^\S[^:\n]*:\d+:(?:\d+:)? (?:fatal )?error: .*$", re.M)
EXPLAINED = re.compile(r"^(\S+)\s+(\S+)\s+(.*\S)\s+# (\S.*)$")

Unit = collections.namedtuple("Unit", "path folder compiler flags")
Finding = collections.namedtuple("Finding", "path line check message")


def configured(build, *options):
    """The compile commands of a build folder of its own, with the headers that the build makes."""
    folder = os.path.join(ROOT, "build", build)
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        said = subprocess.run(["meson", "setup", folder, "-Dbuildtype=debug", *options], cwd=ROOT, capture_output=True,
                              text=True, env=dict(os.environ, CC=shutil.which("gcc-12") or "gcc"))
        if said.returncode != 0:
            shutil.rmtree(folder, ignore_errors=True)
            print(f"SKIP: {build} cannot be configured: {(said.stdout + said.stderr).strip().splitlines()[-1]}")
            return []
    targets = subprocess.run(["ninja", "-C", folder, "-t", "targets", "all"], capture_output=True, text=True).stdout
    headers = re.findall(r"^(src/\S+\.h): CUSTOM_COMMAND", targets, re.M)
    if headers:
        subprocess.run(["ninja", "-C", folder, *headers], check=True, stdout=subprocess.DEVNULL)
    with open(os.path.join(folder, "compile_commands.json")) as f:
        return json.load(f)


def unit_of(command):
    """A file of the tree with the flags that say what it means; not how it is optimized or where the result goes."""
    path = os.path.relpath(os.path.join(command["directory"], command["file"]), ROOT)
    words = [w for w in shlex.split(command["command"]) if w != "ccache"]
    flags, skip = [], False
    for word in words[1:]:
        if skip or word in ("-MQ", "-MF", "-o"):
            skip = not skip
        elif re.match(r"-([DI]|std=|m|W|include|isystem)", word) and word not in ("-Winvalid-pch", "-MD"):
            flags.append(word)
    if path == DEFINITION:
        flags.append("-DKF_ANALYZE_DEFINITION")
    return Unit(path, command["directory"], words[0], flags)


def units():
    """Each file once. Kernels for Arm come from a cross build of the runtime where that can be configured."""
    found = {}
    commands = configured("analyze")
    if shutil.which("aarch64-linux-gnu-gcc"):
        commands = commands + configured("analyze-arm", "--cross-file", os.path.join("cross", "aarch64-linux-gnu.ini"),
                                         "-Dtoolchain=disabled", "-Dprogram=disabled", "-Dtests=false")
    else:
        print("SKIP: src/kernels/arm, without aarch64-linux-gnu-gcc")
    for command in commands:
        unit = unit_of(command)
        if unit.path.split(os.sep)[0] in FOLDERS:
            found.setdefault(unit.path, unit)
    return list(found.values())


def run(command, unit):
    try:
        said = subprocess.run(command, cwd=unit.folder, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return f"{unit.path}:1:1: warning: not analyzed within {LIMIT} s [timeout]\n"
    return said.stdout + said.stderr


def gcc(program, unit):
    if unit.path.startswith(GCC_LEAVES):
        return None
    compiler = unit.compiler if "aarch64" in unit.compiler else program
    return run([compiler, "-include", MODEL, *unit.flags, *GCC, os.path.join(ROOT, unit.path)], unit)


def tidy(program, unit):
    target = ["--target=aarch64-linux-gnu"] if "aarch64" in unit.compiler else []
    return run([program, "--quiet", "--header-filter=.*/(src|include|programs)/.*", os.path.join(ROOT, unit.path), "--",
                *target, "-include", MODEL, *unit.flags, *TIDY], unit)


def cppcheck(program, unit):
    flags = [f for f in unit.flags if f[:2] in ("-D", "-I")]
    return run([program, *CPPCHECK, *flags, os.path.join(ROOT, unit.path)], unit)


# Name, program, what its version begins with, and how one file is read.
TOOLS = [("gcc", ("gcc-12", "gcc"), r"\b12\.\d+\.\d+", gcc),
         ("clang-tidy", ("clang-tidy-14", "clang-tidy"), r"version 14\.", tidy),
         ("cppcheck", ("cppcheck",), r"\b2\.10\b", cppcheck)]


def program_of(name, programs, version):
    for program in programs:
        if shutil.which(program):
            said = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
            if re.search(version, said):
                return program
            print(f"SKIP: {name}: another version than tools/analyze.py knows: {said.strip().splitlines()[0]}")
            return None
    print(f"SKIP: {name} is not here")
    return None


def findings_of(text, unit):
    """A line of the tree is reported once, whatever the number of files that include it."""
    for path, line, message, check in FINDING.findall(text):
        path = os.path.relpath(os.path.join(unit.folder, path), ROOT)
        yield Finding(path, int(line), check, message)
    for line in BROKEN.findall(text):
        if not FINDING.match(line):
            yield Finding(unit.path, 1, "broken", line)


def explanations(name):
    path = os.path.join(ROOT, "tools", "analyze", name + ".txt")
    with open(path) as f:
        for number, line in enumerate(f, 1):
            if line.strip() and not line.startswith("#"):
                m = EXPLAINED.match(line.rstrip("\n"))
                if not m:
                    sys.exit(f"{path}:{number}: PATH CHECK PIECE # REASON is needed")
                yield number, m.groups()


def source_line(finding):
    try:
        with open(os.path.join(ROOT, finding.path)) as f:
            return f.read().split("\n")[finding.line - 1]
    except (OSError, IndexError):
        return ""


def judge(name, findings, read, complete):
    """Prints what is new, and lines of explanation that explain nothing; returns both numbers."""
    known, used, new = list(explanations(name)), set(), 0
    for finding in sorted(findings):
        text, lines = source_line(finding), []
        for number, (path, check, piece, _) in known:
            if path == finding.path and check == finding.check and piece in text:
                lines.append(number)
        used.update(lines)
        if not lines:
            new += 1
            print(f"{finding.path}:{finding.line}: {finding.message} [{finding.check}]\n    {text.strip()}")
    stale = [(n, k) for n, k in known if complete and n not in used and (k[0] in read or not k[0].endswith(".c"))]
    for number, (path, check, piece, _) in stale:
        print(f"tools/analyze/{name}.txt:{number}: explains nothing any more: {path} {check} {piece}")
    return new, len(stale)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", action="append", choices=[t[0] for t in TOOLS])
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("file", nargs="*")
    args = parser.parse_args()
    every, bad, ran = None, 0, 0
    for name, programs, version, read in TOOLS:
        program = program_of(name, programs, version) if not args.tool or name in args.tool else None
        if not program:
            continue
        every = every or units()
        chosen = [u for u in every if not args.file or u.path in args.file]
        begin, ran = time.monotonic(), ran + 1
        with ThreadPoolExecutor(args.jobs) as pool:
            texts = list(pool.map(lambda u: read(program, u), chosen))
        findings = {f for u, text in zip(chosen, texts) if text for f in findings_of(text, u)}
        new, stale = judge(name, findings, {u.path for u in chosen}, not args.file)
        bad += new + stale
        files, took = len(texts) - texts.count(None), time.monotonic() - begin
        print(f"{name}: {files} files, {len(findings)} findings, {len(findings) - new} of them explained, {new} new, "
              f"{stale} explanations without a finding; {took:.0f} s", flush=True)
    if not ran:
        return 77
    return 1 if bad else 0


sys.exit(main())
