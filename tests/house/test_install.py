#!/usr/bin/env python3
"""The libraries as they are installed: pkg-config, shared and static, C and C++, and one runtime in a process.

Arguments: quick or all (every example in every way, every order of libraries), the build folder, a model file, meson, the C
compiler. KITFOX_SOURCE is the source root.
What is installed goes to a temporary folder, where the examples are built as a user would.
"""
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile

EVERY = sys.argv[1] == "all"
BUILD, MODEL, MESON, CC = sys.argv[2], os.path.abspath(sys.argv[3]), sys.argv[4], sys.argv[5:]
ROOT = os.path.abspath(os.environ.get("KITFOX_SOURCE", "."))
PICTURE = os.path.join(ROOT, "examples", "pictures", "ship.jpg")
NEEDS = {"classify": ["kitfoximg", "kitfox"], "batch": ["kitfoxlab"], "stream": ["kitfoxlab"],
         "quantize": ["kitfoximg", "kitfoxc"]}
ALL = ["kitfox", "kitfoxc", "kitfoximg", "kitfoxlab"]
CXX = shutil.which("c++")
failures = 0


def check(what, ok, detail=""):
    global failures
    failures += not ok
    print(("ok    " if ok else "FAIL  ") + what + ("" if ok else f": {str(detail)[:3000]}"))


def run(*words, env=None):
    p = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **(env or {})}, timeout=120)
    return p.returncode, p.stdout + p.stderr


def install(folder):
    """Into `folder`; returns the folders of libraries and headers. Old build folders name the prefix in full."""
    code, text = run(MESON, "install", "-C", BUILD, "--no-rebuild", "--quiet", env={"DESTDIR": folder})
    check("meson install", code == 0, text)
    found = {}
    for path, _, names in os.walk(folder):
        for name in names:
            found[name] = os.path.join(path, name)
    lib = os.path.dirname(found["libkitfox.a"])
    for name in [n for n in found if n.endswith(".pc")]:
        with open(found[name]) as f:
            text = f.read()
        with open(found[name], "w") as f:
            f.write(re.sub(r"^prefix=/(.*)$", rf"prefix={folder}/\1", text, flags=re.M))
    return lib, os.path.dirname(os.path.dirname(found["kitfox.h"])), found


def only_archives(lib, folder):
    """A copy of the libraries without the shared ones, so that -lkitfox means libkitfox.a."""
    other = os.path.join(os.path.dirname(lib), "static-only")
    os.makedirs(os.path.join(other, "pkgconfig"))
    for name in os.listdir(lib):
        if name.endswith(".a"):
            os.link(os.path.join(lib, name), os.path.join(other, name))
    for name in os.listdir(os.path.join(lib, "pkgconfig")):
        with open(os.path.join(lib, "pkgconfig", name)) as f:
            text = f.read()
        with open(os.path.join(other, "pkgconfig", name), "w") as f:
            f.write(re.sub(r"^libdir=.*$", f"libdir={other}", text, flags=re.M))
    return other


def flags(lib, packages, static):
    words = ["pkg-config", "--cflags", "--libs", *(["--static"] if static else []), *packages]
    code, text = run(*words, env={"PKG_CONFIG_PATH": os.path.join(lib, "pkgconfig")})
    libraries = text.split()
    ok = code == 0 and f"-l{packages[0]}" in libraries
    if static and "kitfoximg" in packages:  # the linker takes from an archive what the ones before it lack
        last = libraries[::-1]
        ok = ok and "-lkitfox" in last and last.index("-lkitfox") < last.index("-lkitfoximg")
    check(" ".join(words), ok, text)
    return libraries


def build(folder, lib, source, packages, compiler, static, extra=()):
    """The program made of `source`, or None."""
    out = os.path.join(folder, "program")
    code, text = run(*compiler, *extra, source, "-o", out, *flags(lib, packages, static), "-pthread")
    check(f"{' '.join(compiler[-2:])} {os.path.basename(source)} {' '.join(packages)}{' static' * static}", code == 0, text)
    return out if code == 0 else None


def examples(folder, lib, static):
    for compiler in [CC] + ([[CXX, "-x", "c++"]] if CXX else []):
        for name, packages in NEEDS.items():
            if not EVERY and name not in (("classify",) if static == (compiler is CC) else ("quantize",)):
                continue
            program = build(folder, lib, os.path.join(ROOT, "examples", name + ".c"), packages, compiler, static,
                            ["-Wall", "-Wextra", "-Wno-missing-field-initializers", "-Werror"])
            if program and name == "classify":
                code, text = run(program, MODEL, PICTURE, env={"LD_LIBRARY_PATH": lib})
                check("it runs", code == 0 and text.split()[2] == "ship", text)


def one_runtime(folder, lib, static, packages, extra):
    """How many files of the runtime the program has loaded, when it finds one state; else -1."""
    program = build(folder, lib, os.path.join(ROOT, "tests", "house", "one_runtime.c"), packages, CC, static, extra)
    code, text = run(program, MODEL, PICTURE, env={"LD_LIBRARY_PATH": lib}) if program else (1, "not built")
    check(f"  one state{' static' * static}", code == 0, text)
    return int(text) if code == 0 else -1


def orders(folder, lib, include):
    """Every order of the libraries on the linker's line, without pkg-config: the last word is the linker's."""
    source, object_file = os.path.join(ROOT, "tests", "house", "one_runtime.c"), os.path.join(folder, "one.o")
    code, text = run(*CC, "-DWITH_TOOLCHAIN", "-I", include, "-c", source, "-o", object_file)
    check("compile", code == 0, text)
    for names in list(itertools.permutations(ALL))[:: 1 if EVERY else 5]:
        out = os.path.join(folder, "one")
        code, text = run(*CC, object_file, "-o", out, "-L", lib, "-Wl,--no-as-needed", *["-l" + n for n in names])
        if code == 0:
            code, text = run(out, MODEL, PICTURE, env={"LD_LIBRARY_PATH": lib})
        check("one state: " + " ".join(names), code == 0 and text.strip() == "2", text)


def headers(found):
    """What is not built has no header."""
    check("compile.h with the toolchain", ("compile.h" in found) == ("libkitfoxc.a" in found))
    check("codec.h with the codecs", ("codec.h" in found) == ("libkitfoximg.a" in found))
    for name in ("lab.h", "bench.h", "batch.h", "pull.h"):
        check(f"{name} with its library", (name in found) == ("libkitfoxlab.a" in found))


def main():
    with tempfile.TemporaryDirectory() as folder:
        lib, include, found = install(folder)
        archives = only_archives(lib, folder)
        headers(found)
        for static, place in ((False, lib), (True, archives)):
            examples(folder, place, static)
            full = ["-DWITH_TOOLCHAIN"]
            count = one_runtime(folder, place, static, ["kitfoxlab"], full)
            check("  of one library", count == (0 if static else 1), count)
            one_runtime(folder, place, static, ["kitfox", "kitfoximg"], [])
            if EVERY:
                count = one_runtime(folder, place, static, ["kitfoximg", "kitfoxc", "kitfoxlab"], full)
                check("  of one library", count == (0 if static else 1), count)
                one_runtime(folder, place, static, ["kitfoximg", "kitfox"], [])
                one_runtime(folder, place, static, ALL[::-1], full)
                one_runtime(folder, place, static, ALL, full)
        orders(folder, lib, include)
    print(f"{failures} failures")
    return bool(failures)


sys.exit(main())
