#!/usr/bin/env python3
"""The machine code of the AMX kernel: the intended instructions, and nothing else of tiles.

Argument: the static library with the kernel. No machine at hand executes it, so this is what the compiler is held to: one configuration
and one release in the kernel, with no way out between them; sums in tiles 0 to 3, two row tiles (4, 5) by two panels (6, 7).
"""
import re
import subprocess
import sys

text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", sys.argv[1]], capture_output=True, text=True, check=True).stdout
functions, name = {}, None
for line in text.splitlines():
    head = re.match(r"[0-9a-f]+ <(\w[\w.]*)>:", line)
    if head:
        name = head.group(1)
        functions[name] = []
    elif name and re.match(r"\s+[0-9a-f]+:\t", line):
        functions[name].append(re.sub(r"\s+", " ", line.split("\t", 1)[1].strip()))
code = [i for body in functions.values() for i in body]
words = [i.split(" ")[0] for i in code]
bad = []


def check(good, what):
    print(("ok   " if good else "FAIL ") + what)
    if not good:
        bad.append(what)


check(words.count("ldtilecfg") == 1 and words.count("tilerelease") == 1, "tiles are configured in one place and released in one")
for body in functions.values():
    own = [i.split(" ")[0] for i in body]
    if "ldtilecfg" in own or "tilerelease" in own:
        between = own[own.index("ldtilecfg"):own.index("tilerelease")] if "ldtilecfg" in own and "tilerelease" in own else ["ret"]
        check(not [w for w in between if w.startswith("ret")], "nothing returns between the two")
products = {tuple(re.findall(r"%tmm(\d)", i)) for i in code if i.startswith("tdp")}
check(products == {("6", "4", "0"), ("7", "4", "1"), ("6", "5", "2"), ("7", "5", "3")}, f"products of rows and columns: {sorted(products)}")
check({w for w in words if w.startswith("tdp")} == {"tdpbusd"}, "unsigned by signed bytes only")
loaded = {re.search(r"%tmm(\d)$", i).group(1) for i in code if i.startswith("tileloadd")}
stored = {re.match(r"tilestored %tmm(\d)", i).group(1) for i in code if i.startswith("tilestored")}
check(loaded == set("01234567"), f"all tiles are loaded: {sorted(loaded)}")
check(stored == set("0123"), f"the sums are stored: {sorted(stored)}")
known = {"ldtilecfg", "tilerelease", "tileloadd", "tilestored", "tdpbusd"}
check({w for w in words if "tile" in w or w.startswith("tdp")} == known, "no other instruction of tiles")
sys.exit(bool(bad))
