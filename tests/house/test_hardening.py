#!/usr/bin/env python3
"""Hardening of a release build, read back from its binaries by readelf and nm.

Arguments: the machine (x86_64, aarch64), then ELF files: shared libraries and programs.
docs/ROBUSTNESS.md says what each property is for.
"""
import re
import subprocess
import sys

ENDBR64 = bytes.fromhex("f30f1efa")
failures = 0


def read(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def expect(path, truth, what):
    global failures
    failures += not truth
    print(f"{'ok  ' if truth else 'FAIL'}  {path.rsplit('/', 1)[-1]}: {what}")


def landing_pads(path):
    """The share of exported functions that open with an instruction which indirect calls may land on."""
    segments = re.findall(r"LOAD\s+0x(\w+)\s+0x(\w+)\s+\S+\s+0x(\w+)", read("readelf", "-lW", path))
    with open(path, "rb") as f:
        data = f.read()
    functions = re.findall(r"^(\w+) T (kf_\w+)", read("nm", "-D", "--defined-only", path), re.M)
    padded = 0
    for address, _ in functions:
        at = int(address, 16)
        for offset, start, size in segments:
            if int(start, 16) <= at < int(start, 16) + int(size, 16):
                at += int(offset, 16) - int(start, 16)
                break
        padded += data[at : at + 4] == ENDBR64
    return padded, len(functions)


def check(machine, path):
    dynamic, headers = read("readelf", "-dW", path), read("readelf", "-lW", path)
    imports = read("nm", "-D", "--undefined-only", path)
    expect(path, "GNU_RELRO" in headers, "relocated data is read-only after start (RELRO)")
    expect(path, re.search(r"BIND_NOW|FLAGS_1.*\bNOW\b", dynamic), "functions are bound at start (BIND_NOW)")
    stack = re.search(r"GNU_STACK.*", headers)
    expect(path, stack and "RWE" not in stack.group(), "the stack is not executable")
    writable = [line for line in headers.splitlines() if "LOAD" in line and "RWE" in line]
    expect(path, not writable, "nothing is both writable and executable")
    expect(path, "__stack_chk_fail" in imports, "stack protector")
    expect(path, re.search(r"__\w+_chk\b", imports.replace("__stack_chk_fail", "")), "FORTIFY_SOURCE")
    expect(path, re.search(r"Elf file type is DYN|\bDYN\b", read("readelf", "-hW", path)), "position-independent")
    if machine == "x86_64" and ".so" in path:
        padded, functions = landing_pads(path)
        expect(path, functions and padded == functions, f"landing pads: {padded} of {functions} exported functions")


for elf in sys.argv[2:]:
    check(sys.argv[1], elf)
sys.exit(failures > 0)
