# The Python whose ONNX Runtime, onnx, numpy, Pillow and PyYAML judge the tests from outside. Sourced by test.sh.

# Sets TRUTH: KITFOX_PEERS if that has the modules, else the benchmark's, else one made for the tests outside the tree, else "none".
find_truth() {
  local cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/kitfox candidate
  for candidate in "${KITFOX_PEERS:-}" "$cache/peers/bin/python" "$cache/truth/bin/python"; do
    if [ -x "$candidate" ] && "$candidate" -c 'import numpy, onnx, onnxruntime, PIL, yaml' 2>/dev/null; then
      TRUTH=$candidate
      # The Python package's tests need it; an older environment of ours lacks it.
      if [ "${TRUTH#"$cache"/}" != "$TRUTH" ] && ! "$TRUTH" -c 'import cffi' 2>/dev/null; then
        timeout 100 "$TRUTH" -m pip install -q --disable-pip-version-check --retries 1 cffi >/dev/null 2>&1
      fi
      return
    fi
  done
  TRUTH=$cache/truth/bin/python
  echo "installing: numpy onnx onnxruntime pillow pyyaml into $cache/truth"
  rm -rf "$cache/truth"
  python3 -m venv "$cache/truth" >/dev/null 2>&1 && timeout 300 "$TRUTH" -m pip install -q --disable-pip-version-check --retries 1 -r tests/requirements.txt >/dev/null 2>&1 && return
  rm -rf "$cache/truth"
  TRUTH=none
  echo "SKIP: no Python with ONNX Runtime, and none could be installed; tests against it are left out"
}

# Sets KITFOX_LAB, a Python for the notebook, Spark and Ray (tests/python/lab.py); made once, outside the tree. Without it
# their tests are skipped.
find_lab() {
  local lab=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/kitfox/lab
  export KITFOX_LAB=${KITFOX_LAB:-$lab/bin/python}
  "$KITFOX_LAB" -c 'import cffi, ipykernel, matplotlib, nbclient, pandas, pyarrow, pyspark, ray' 2>/dev/null && { find_spdx; return; }
  echo "installing: a notebook kernel, matplotlib, pyspark, ray into $lab"
  rm -rf "$lab"
  KITFOX_LAB=$lab/bin/python
  python3 -m venv "$lab" >/dev/null 2>&1 && timeout 1200 "$KITFOX_LAB" -m pip install -q --disable-pip-version-check --retries 1 -r tests/requirements-lab.txt >/dev/null 2>&1 && return
  rm -rf "$lab"
  echo "SKIP: no notebook kernel, Spark and Ray could be installed; their tests are left out"
}

# Exports KITFOX_TORCH, a Python with torch, timm and torchvision: the one that it names, else the first of our own
# environments that has them. None is made, since torch is gigabytes.
find_torch() {
  local cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/kitfox candidate
  for candidate in "${KITFOX_TORCH:-}" "$cache"/*/bin/python; do
    [ -x "$candidate" ] && "$candidate" -c 'import numpy, timm, torch, torchvision' 2>/dev/null || continue
    # The Python package's test needs it, too.
    if [ "${candidate#"$cache"/}" != "$candidate" ] && ! "$candidate" -c 'import cffi' 2>/dev/null; then
      timeout 100 "$candidate" -m pip install -q --disable-pip-version-check --retries 1 cffi >/dev/null 2>&1
    fi
    export KITFOX_TORCH=$candidate
    return
  done
  echo "SKIP: no Python has torch, timm and torchvision (KITFOX_TORCH may name one); tests against PyTorch are left out"
}

# The judge of the test `sbom`; an older environment of ours lacks it.
find_spdx() {
  [ -x "$(dirname "$KITFOX_LAB")/pyspdxtools" ] ||
    timeout 200 "$KITFOX_LAB" -m pip install -q --disable-pip-version-check --retries 1 spdx-tools >/dev/null 2>&1 || true
}
