#!/usr/bin/env python3
"""The machine code of the kernels for Arm: the inner loop of each has the instruction that it is written for, and
integer kernels have no fused multiply-add, which would round once where the contract rounds twice.

Arguments: objdump, and the static libraries with the kernels. LOOPS has a line for each kernel: the object; the
function, or "" where a compiler may keep the loop in a function beside it; the instruction as a pattern; how many of it
one innermost loop has at least, or 0 where it may be anywhere.
"""
import re
import subprocess
import sys

NUMBER = r"v\d+\."
LOOPS = [
    ("f32_neon", "", rf"fmla {NUMBER}4s, {NUMBER}4s, {NUMBER}s\[\d\]", 96),
    ("f32_neon", "", rf"fmla {NUMBER}4s, {NUMBER}4s, {NUMBER}4s", 12),
    ("f32_neon", "scale_f32", rf"fmul {NUMBER}4s", 1),
    ("f32_neon", "eltwise_f32", rf"fadd {NUMBER}4s", 1),
    ("f32_neon", "colsum_f32", rf"fadd {NUMBER}4s", 4),
    ("f32_neon", "interleave_f32", rf"st3 {{{NUMBER}4s", 1),
    ("int_neon", "", rf"smlal2? {NUMBER}8h, {NUMBER}(8|16)b", 16),
    ("int_neon", "", rf"sadalp {NUMBER}4s, {NUMBER}8h", 16),
    ("int_neon", "", rf"smlal2? {NUMBER}4s, {NUMBER}[48]h, {NUMBER}h\[\d\]", 128),
    ("int_neon", "", rf"smlal2? {NUMBER}4s, {NUMBER}[48]h, {NUMBER}[48]h", 16),
    ("int_neon", "", rf"uaddw2? {NUMBER}8h, {NUMBER}8h, {NUMBER}(8|16)b", 2),
    ("int_neon", "", rf"umax {NUMBER}16b", 1),
    ("int_neon", "", rf"fcvtns {NUMBER}4s", 4),
    ("int_dotprod", "", rf"sdot {NUMBER}4s, {NUMBER}16b, {NUMBER}4b\[\d\]", 96),
    ("int_dotprod", "", rf"sdot {NUMBER}4s, {NUMBER}16b, {NUMBER}16b", 80),
    ("int_i8mm", "", rf"usmmla {NUMBER}4s", 32),
    ("int_i8mm", "", rf"usdot {NUMBER}4s", 80),
    ("rows_neon", "nv12", rf"addhn2? {NUMBER}", 12),
    ("rows_neon", "across", rf"mla {NUMBER}4s", 12),
    ("rows_neon", "down", rf"mla {NUMBER}4s", 8),
    ("pixels_neon", "", rf"fcvtns {NUMBER}2d", 0),
    ("pixels_neon", "interleave", rf"st3 {{{NUMBER}16b", 1),
    ("sha256_sha2", "sha256", r"sha256h q", 1),
    ("sha256_sha2", "sha256", r"sha256h2 q", 1),
    ("sha256_sha2", "sha256", r"sha256su0 v", 1),
    ("sha256_sha2", "sha256", r"sha256su1 v", 1),
]
FUSED = r"f(n?m(add|sub)|ml[as])\b"


def objects(text):
    """The functions of each object: name, and list of (address, instruction)."""
    found, object_, body = {}, None, None
    for line in text.splitlines():
        head = re.match(r"(\S+)\.o:\s+file format", line)
        start = re.match(r"[0-9a-f]+ <(.*)>:", line)
        code = re.match(r"\s*([0-9a-f]+):\t(.*)", line)
        if head:
            object_ = re.sub(r"^.*/(arm_)?|\.c$", "", head.group(1))
            found.setdefault(object_, [])
        elif start:
            body = []
            found[object_].append((start.group(1), body))
        elif code and body is not None:
            body.append((int(code.group(1), 16), re.sub(r"\s+", " ", code.group(2)).strip()))
    return found


def innermost(body):
    """Loops that contain no other: from the target of a backward branch to the branch."""
    at = {address: i for i, (address, _) in enumerate(body)}
    loops = []
    for i, (_, text) in enumerate(body):
        jump = re.match(r"(?:b(?:\.\w+)?|cbn?z \w+,|tbn?z \w+, #\d+,) ?([0-9a-f]+) <", text)
        start = at.get(int(jump.group(1), 16)) if jump else None
        if start is not None and start <= i:
            loops.append((start, i))
    for start, end in loops:
        if not any((s, e) != (start, end) and start <= s and e <= end for s, e in loops):
            yield [text for _, text in body[start:end + 1]]


objdump, *libraries = sys.argv[1:]
found = {}
for library in libraries:
    run = subprocess.run([objdump, "-d", "--no-show-raw-insn", library], capture_output=True, text=True, check=True)
    found.update(objects(run.stdout))
bad = 0
for object_, kernel, pattern, least in LOOPS:
    functions = [body for name, body in found.get(object_, []) if not kernel or name.startswith(f"kf_k_{kernel}_")]
    groups = [loop for body in functions for loop in innermost(body)]
    if least == 0:
        groups = [[text for _, text in body] for body in functions]
    most = max((sum(bool(re.match(pattern, text)) for text in group) for group in groups), default=0)
    good = most >= max(least, 1)
    bad += not good
    where = "a loop" if least else "a function"
    print(f"{'ok  ' if good else 'FAIL'} {object_} {kernel}: {pattern}: {most} in {where}, at least {max(least, 1)}")
for object_ in sorted(found):
    fused = [f"{name}: {text}" for name, body in found[object_] for _, text in body if re.match(FUSED, text)]
    if object_.startswith("int_") and fused:
        bad += 1
        print(f"FAIL {object_}: fused multiply-add in {fused[0]}")
sys.exit(bool(bad))
