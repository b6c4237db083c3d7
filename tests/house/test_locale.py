#!/usr/bin/env python3
"""What the libraries read and write does not depend on the program's locale.

Called by meson with the program, a second form of it that sets the locale of its environment, and the source root. The
locale, with a comma in numbers, is made by localedef in a folder of its own; without localedef that part is skipped.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

PLAIN, COMMA, ROOT = (os.path.abspath(a) for a in sys.argv[1:4])
SOURCE = os.path.join(ROOT, "data", "everyday10.safetensors")
PICTURES = os.path.join(ROOT, "examples", "pictures")
SKIPPED = 77
failed = 0


def check(what, ok, detail=""):
    global failed
    failed += not ok
    print(("ok    " if ok else "FAIL  ") + what + ("" if ok else f": {str(detail)[:1500]}"))


# ---- no call that depends on the locale -----------------------------------------------------------------------------

OWN = {"src/base/locale.c", "src/lab/data/plain.c"}  # they set the C locale around the call
NUMBERS = {"src/codec/load.c", "src/codec/tiff.c"}  # messages with integers alone, and those of libtiff
ALWAYS = re.compile(r"\b(strtod|strtof|strtold|atof|strtod_l|setlocale|strcoll|strcasecmp|strncasecmp|toupper|tolower|"
                    r"isalpha|isalnum|isprint|ispunct|isspace|isupper|islower|wprintf|vfprintf|vsnprintf|vsprintf)\s*\(")
PRINTS = re.compile(r"\b(f?printf|sn?printf|f?scanf|sscanf)\s*\(")
REAL = re.compile(r"%[-+ #0']*[0-9*]*(?:\.[0-9*]+)?[lL]?[aefgAEFG]")
STRING = re.compile(r'"(?:\\.|[^"\\])*"')
COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|("(?:\\.|[^"\\])*")', re.S)


def bare(text):
    """Without comments; lines stay."""
    return COMMENT.sub(lambda m: m.group(1) or "\n" * m.group(0).count("\n"), text)


def statement(text, at):
    """From an opening parenthesis to the closing one; parentheses in strings do not count."""
    depth, out = 0, []
    for piece in re.finditer(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])+\'|[^"\']', text[at:]):
        out.append(piece.group(0))
        depth += {"(": 1, ")": -1}.get(piece.group(0), 0)
        if depth == 0:
            break
    return "".join(out)


def calls(text, name):
    text, found = bare(text), []
    for m in ALWAYS.finditer(text):
        if not (m.group(1) == "vsnprintf" and name in NUMBERS):
            found.append((text.count("\n", 0, m.start()) + 1, m.group(1)))
    for m in PRINTS.finditer(text):
        formats = "".join(STRING.findall(statement(text, m.end() - 1)))
        if REAL.search(formats.replace("%%", "")):
            found.append((text.count("\n", 0, m.start()) + 1, m.group(1) + " of a real number"))
    return found


def sources():
    for folder, _, names in os.walk(os.path.join(ROOT, "src")):
        for n in names:
            path = os.path.join(folder, n)
            if n.endswith((".c", ".h")) and os.path.relpath(path, ROOT) not in OWN:
                yield path


for bad in ("x = strtod(s, &end);", 'snprintf(t, 9, "%s %.2f", s, x);', 'fprintf(f,\n "<td>" "%5.1e"\n, x);', "isalpha(c)"):
    check(f"found: {bad!r}", calls(bad, "x.c"))
for good in ('snprintf(t, 9, "%zu %% f", n);', "/* strtod( */ kf__text_real(s, 0);", 'kf__lab_write(f, "%.2f", x);', 'f("%g");'):
    check(f"passed over: {good!r}", not calls(good, "x.c"), calls(good, "x.c"))
found = []
for path in sources():
    with open(path, encoding="utf-8") as f:
        name = os.path.relpath(path, ROOT)
        found += [f"{name}:{line}: {what}" for line, what in calls(f.read(), name)]
check("no call in the libraries depends on the locale", not found, "\n" + "\n".join(found))

# ---- the same files under a comma -----------------------------------------------------------------------------------

YAML = """model_parameters:
  onnx_model: '{model}'
  working_dir: '{out}'
  output_model_file_prefix: 'm'
input_parameters:
  input_name: ""
  input_type_rt: 'rgb'
  input_type_train: 'rgb'
  input_layout_train: 'NCHW'
  norm_type: 'data_mean_and_scale'
  mean_value: 123.675 116.28 103.53
  scale_value: 0.01712475 0.017507 0.01742919
calibration_parameters:
  cal_data_dir: '{pictures}'
  preprocess_on: True
  calibration_type: 'default'
compiler_parameters:
  optimize_level: 'O3'
"""


def run(program, env, cwd, *args):
    p = subprocess.run([program, *args], capture_output=True, cwd=cwd, env=env, timeout=240)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def work(program, env, folder):
    """Files that each verb writes, and what is said; relative names alone, so that both folders are the same."""
    os.mkdir(folder)
    shutil.copy(SOURCE, os.path.join(folder, "m.safetensors"))
    with open(os.path.join(folder, "m.json"), "w") as f:
        json.dump({"architecture": "mobilenetv3_small_100", "num_classes": 10, "pretrained_cfg": {
            "input_size": [3, 64, 64], "crop_pct": 0.875, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}}, f)
    shutil.copytree(PICTURES, os.path.join(folder, "pictures"))
    with open(os.path.join(folder, "c.yaml"), "w") as f:
        f.write(YAML.format(model="./m.onnx", out="out", pictures="./pictures"))
    said = {}
    for name, args in {
            "import": ("import", "m.safetensors", "-o", "m.kfx", "--mean", "0.485,0.456,0.406", "--crop-pct", "0.9"),
            "info": ("info", "m.kfx", "--json"), "verify": ("verify", "m.kfx"),
            "export": ("export", "m.safetensors", "-o", "m.onnx"),
            "yaml": ("check", "c.yaml", "--json"), "quantize": ("quantize", "c.yaml", "--report", "q.html"),
            "compare": ("compare", "m.kfx", "out/m.kfx", "--data", "pictures", "--report", "c.html"),
            "classify": ("classify", "m.kfx", "pictures/frog.jpg", "--json"),
            "a bad number": ("import", "m.safetensors", "-o", "x.kfx", "--crop-pct", "1,5"),
            "a bad scale": ("import", "m.safetensors", "-o", "x.kfx", "--resize", "32"),
    }.items():
        code, out, err = run(program, env, folder, *args)
        said[name] = (code, re.sub(r"\"ms\":[0-9.]+", "", out) if "--json" in args else "", re.sub(r"[0-9.,]+ (ms|s)\b", "", err))
    files = {}
    for at, _, names in os.walk(folder):
        for n in names:
            with open(os.path.join(at, n), "rb") as f:
                files[os.path.relpath(os.path.join(at, n), folder)] = f.read()
    return said, files


def under_a_comma(top):
    made = subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", os.path.join(top, "de_DE.UTF-8")], capture_output=True)
    if not os.path.isdir(os.path.join(top, "de_DE.UTF-8")):
        print("skip  localedef has no de_DE:", made.stderr.decode()[:200])
        return False
    env = {k: v for k, v in os.environ.items() if not k.startswith("LC_") and k != "LANG"}
    want_said, want = work(PLAIN, env, os.path.join(top, "point"))
    env.update(LOCPATH=top, LC_ALL="de_DE.UTF-8", LANGUAGE="C", KITFOX_COMMA="1")
    said, files = work(COMMA, env, os.path.join(top, "comma"))
    for name in want_said:
        check(f"{name}: the same is said", said[name] == want_said[name], (said[name], want_said[name]))
    for name in ("import", "verify", "export", "quantize", "compare", "classify"):
        check(f"{name} works", want_said[name][0] == 0, want_said[name])
    check("the same files are written", set(files) == set(want), set(files) ^ set(want))
    for name in sorted(set(files) & set(want)):
        if files[name] != want[name]:
            a, b = files[name].decode(errors="replace").split("\n"), want[name].decode(errors="replace").split("\n")
            check(f"{name}: the same bytes", False, [(x[:300], y[:300]) for x, y in zip(a, b) if x != y][:3])
    check("pages have numbers", b"." in files.get("q.html", b"") and b"." in files.get("c.html", b""))
    return True


with tempfile.TemporaryDirectory(prefix="kitfox-locale-") as top:
    done = shutil.which("localedef") is not None and under_a_comma(top)
sys.exit(1 if failed else 0 if done else SKIPPED)
