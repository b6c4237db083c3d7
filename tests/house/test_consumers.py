#!/usr/bin/env python3
"""An installed tree that is moved away, and programs that are built with it: by pkg-config, by CMake, and by Meson with
KitFox as a subproject.

Arguments: the build folder, a model file, meson, the C compiler. KITFOX_SOURCE is the source root. What cmake or git
would be needed for is left out without them, with a line that says so.
"""

import os
import shutil
import subprocess
import sys
import tempfile

BUILD, MODEL, MESON, CC = sys.argv[1], os.path.abspath(sys.argv[2]), sys.argv[3], sys.argv[4:]
ROOT = os.path.abspath(os.environ.get("KITFOX_SOURCE", "."))
PICTURE = os.path.join(ROOT, "examples", "pictures", "ship.jpg")
CLEAN = {k: v for k, v in os.environ.items() if k not in ("LD_LIBRARY_PATH", "PKG_CONFIG_PATH", "MESON_BUILD_ROOT")}
failures = 0


def check(what, ok, detail=""):
    global failures
    failures += not ok
    print(("ok    " if ok else "FAIL  ") + what + ("" if ok else f": {str(detail)[-3000:]}"), flush=True)


def run(*words, cwd=None, **env):
    p = subprocess.run(words, capture_output=True, text=True, cwd=cwd, env={**CLEAN, **env}, timeout=900)
    return p.returncode, p.stdout + p.stderr


def find(folder, name):
    return next(os.path.join(path, name) for path, folders, names in os.walk(folder) if name in names + folders)


def knows_the_ship(what, program, *more):
    code, text = run(program, *more, PICTURE)
    check(what, code == 0 and "ship" in text, text)


def by_pkg_config(tree):
    """As a Makefile would: flags of pkg-config, and a path from the program to the libraries."""
    lib = os.path.dirname(find(tree, "libkitfox.so"))
    for name, packages in (("classify", ["kitfoximg", "kitfox"]), ("batch", ["kitfoxlab"])):
        code, text = run("pkg-config", "--cflags", "--libs", *packages, PKG_CONFIG_PATH=os.path.join(lib, "pkgconfig"))
        check(
            f"pkg-config {' '.join(packages)} names the moved tree",
            code == 0 and f"-L{tree}/" in text and f"-I{tree}/" in text,
            text,
        )
        out = os.path.join(tree, "bin", "example-" + name)
        path = "-Wl,-rpath,$ORIGIN/" + os.path.relpath(lib, os.path.dirname(out))
        code, text = run(
            *CC,
            os.path.join(ROOT, "examples", name + ".c"),
            "-o",
            out,
            *text.split(),
            path,
            "-Wl,--as-needed",
            "-pthread",
        )
        check(f"{name} is linked", code == 0, text)


def moved_tree(folder):
    code, text = run(MESON, "install", "-C", BUILD, "--no-rebuild", "--quiet", DESTDIR=os.path.join(folder, "first"))
    check("meson install", code == 0, text)
    installed = os.path.dirname(
        os.path.dirname(find(os.path.join(folder, "first"), "kitfox-serve.service"))
    )  # lib/systemd
    while not os.path.isdir(os.path.join(installed, "bin")):
        installed = os.path.dirname(installed)
    tree = os.path.join(folder, "moved", "far-away")
    os.makedirs(os.path.dirname(tree))
    os.rename(installed, tree)
    program = os.path.join(tree, "bin", "kitfox")
    code, text = run(program, "verify")
    check("kitfox verify", code == 0, text)
    knows_the_ship("kitfox classify", program, "classify")
    by_pkg_config(tree)
    again = os.path.join(folder, "again")
    os.rename(tree, again)
    knows_the_ship("classify runs where the tree went next", os.path.join(again, "bin", "example-classify"), MODEL)
    knows_the_ship(
        "batch too, whose library needs others of ours", os.path.join(again, "bin", "example-batch"), MODEL, "1"
    )
    check("the licence is installed", os.path.isfile(os.path.join(again, "share", "licenses", "kitfox", "LICENSE")))
    return again


def consumer(folder, build_file):
    """A project of somebody else: the build file of tests/consumer, and examples."""
    os.makedirs(folder)
    shutil.copy(os.path.join(ROOT, "tests", "consumer", build_file), folder)
    for name in ("classify", "quantize", "batch"):
        shutil.copy(os.path.join(ROOT, "examples", name + ".c"), folder)
    return folder


def by_cmake(folder, tree):
    cmake = shutil.which("cmake")
    if not cmake:
        print("SKIP  cmake is not here")
        return
    source = consumer(os.path.join(folder, "cmake"), "CMakeLists.txt")
    wrong = run(cmake, "-S", source, "-B", source + "/no", f"-DCMAKE_PREFIX_PATH={tree}", "-DWANTED=99.0")
    check("find_package(kitfox 99.0) is refused", wrong[0] != 0 and "0.1" in wrong[1], wrong[1])
    for static in ("OFF", "ON"):
        build = f"{source}/static-{static}"
        code, text = run(
            cmake,
            "-S",
            source,
            "-B",
            build,
            f"-DCMAKE_PREFIX_PATH={tree}",
            "-DWANTED=0.1",
            f"-Dkitfox_STATIC={static}",
            f"-DCMAKE_C_COMPILER={CC[-1]}",
        )
        check(f"cmake, kitfox_STATIC={static}", code == 0, text)
        code, text = run(cmake, "--build", build)
        check("    builds", code == 0, text)
        if code == 0:
            knows_the_ship("    classify runs", f"{build}/classify", MODEL)
            knows_the_ship("    batch runs", f"{build}/batch", MODEL, "1")
            libraries = run("ldd", f"{build}/batch")[1]
            check(
                "    and has the libraries that it should",
                ("libkitfoxlab.so" in libraries) == (static == "OFF"),
                libraries,
            )


def by_meson(folder):
    """The tree itself stands for the unpacked tarball."""
    source = consumer(os.path.join(folder, "meson"), "meson.build")
    packages = os.path.join(source, "subprojects", "packagefiles")
    os.makedirs(packages)
    wrap = "[wrap-file]\ndirectory = kitfox\n[provide]\ndependency_names = kitfox, kitfoxc, kitfoximg, kitfoxlab\n"
    with open(os.path.join(source, "subprojects", "kitfox.wrap"), "w") as f:
        f.write(wrap)
    os.symlink(ROOT, os.path.join(source, "subprojects", "kitfox"))
    build = os.path.join(source, "build")
    code, text = run(MESON, "setup", build, source, "--force-fallback-for=kitfox,kitfoxc,kitfoximg,kitfoxlab")
    check("meson with the wrap", code == 0, text)
    code, text = run("ninja", "-C", build, "classify", "quantize", "batch")
    check("    builds", code == 0, text)
    if code == 0:
        knows_the_ship("    classify runs", f"{build}/classify", MODEL)
        knows_the_ship("    batch runs", f"{build}/batch", MODEL, "1")


def by_wrap(folder):
    """The wrap that a release has, and its tarball: unpacked by Meson, and refused where a byte differs."""
    if not os.path.exists(os.path.join(ROOT, ".git")):
        print("SKIP  this is no checkout, so there is no release to make")
        return
    code, text = run(os.path.join(ROOT, "tools", "release.sh"), os.path.join(folder, "out"))
    check("tools/release.sh", code == 0, text)
    source = consumer(os.path.join(folder, "wrap"), "meson.build")
    packages = os.path.join(source, "subprojects", "packagefiles")
    os.makedirs(packages)
    out = os.path.join(folder, "out")
    tarball = next(name for name in os.listdir(out) if name.endswith(".tar.gz"))
    shutil.copy(os.path.join(out, "kitfox.wrap"), os.path.join(source, "subprojects"))
    shutil.copy(os.path.join(out, tarball), packages)
    with open(os.path.join(packages, tarball), "r+b") as f:
        f.seek(4)  # a byte of the time, which gzip does not check
        f.write(b"\1")
    code, text = run(MESON, "subprojects", "download", cwd=source)
    unpacked = os.path.join(source, "subprojects", tarball[: -len(".tar.gz")], "meson.build")
    check("another tarball is refused", not os.path.exists(unpacked) and "hash" in text.lower(), text)
    shutil.copy(os.path.join(out, tarball), packages)
    code, text = run(MESON, "subprojects", "download", cwd=source)
    check("the tarball is unpacked", code == 0 and os.path.isfile(unpacked), text)


with tempfile.TemporaryDirectory() as top:
    here = moved_tree(top)
    by_cmake(top, here)
    by_wrap(top)
    by_meson(top)
print(f"{failures} failures")
sys.exit(failures > 0)
