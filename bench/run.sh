#!/usr/bin/env bash
# The peer benchmark: bench/run.sh MODEL.onnx [more] [--photos DIR] [--rounds N] [--threads 1,2] [--isa native,avx2]; see bench/README.md.
# Prepares the peers outside the tree and a release build of kitfox, then runs driver.py.
# KITFOX_PEERS, KITFOX_LITERT: interpreters that have the peers, and onnx2tf, already; KITFOX: a program built already.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kitfox
venv=$cache/peers converter=$cache/litert
python=${KITFOX_PEERS:-$venv/bin/python}
export KITFOX_LITERT=${KITFOX_LITERT:-$converter/bin/python}

# One pip call a package: a peer that does not install must not take the others with it.
prepare_peers() {
  python3 -m venv "$venv" || { echo "bench: $venv: python3 -m venv failed; install python3-venv" >&2; exit 1; }
  "$python" -m pip install -q numpy onnx pillow >&2 || { echo "bench: numpy, onnx and pillow are needed and did not install" >&2; exit 1; }
  local package
  for package in onnxruntime openvino nncf ncnn MNN ai-edge-litert ai-edge-quantizer; do
    "$python" -m pip install -q "$package" >&2 || echo "bench: $package did not install; the report will say so" >&2
  done
  # Only pnnx's own binary is used; its dependency torch is 1 GB that nothing here needs.
  "$python" -m pip install -q --no-deps pnnx >&2 || echo "bench: pnnx did not install; ncnn will be left out" >&2
  touch "$venv/complete-2"
}

# onnx2tf pins old versions of the other peers. From 2.6 on it writes .tflite files without TensorFlow; it asks for Python 3.12, runs on 3.11.
prepare_converter() {
  python3 -m venv "$converter" && "$converter/bin/python" -m pip install -q --ignore-requires-python onnx2tf==2.6.9 >&2 ||
    { echo "bench: onnx2tf did not install; LiteRT will be left out" >&2; rm -f "$converter/bin/python"; return; }
  touch "$converter/complete"
}

if [ -z "${KITFOX_PEERS:-}" ]; then # else nothing is installed
  [ -f "$venv/complete-2" ] || prepare_peers
  [ "$KITFOX_LITERT" != "$converter/bin/python" ] || [ -f "$converter/complete" ] || prepare_converter
fi
"$python" -c 'import numpy, onnx, PIL' || { echo "bench: $python: numpy, onnx and pillow are needed" >&2; exit 1; }
program=${KITFOX:-}
if [ -z "$program" ]; then
  build=$here/../build/bench
  [ -f "$build/build.ninja" ] || meson setup "$build" "$here/.." --buildtype release >&2 || exit 1
  ninja -C "$build" programs/kitfox tests/kernels/machine_limit >&2 || exit 1
  meson compile -C "$build" kitfox:shared_library >&2 # for its size
  program=$build/programs/kitfox
fi
export PYTHONDONTWRITEBYTECODE=1 NNCF_CI=1
exec python3 "$here/driver.py" --python "$python" --kitfox "$program" "$@"
