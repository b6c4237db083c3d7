#!/usr/bin/env bash
# The benchmark of the server: bench/serve.sh MODEL.onnx [--pictures DIR] [--seconds N] [--rounds N] [--output FILE];
# see bench/README.md.
# Prepares the peer outside the tree and a release build of kitfox, then runs serve_driver.py.
# KITFOX_FASTAPI: an interpreter that has the peer already, or none; KITFOX, KITFOX_LOAD: programs built already.
set -u
here=$(cd "$(dirname "$0")" && pwd)
venv=${XDG_CACHE_HOME:-$HOME/.cache}/kitfox/fastapi
python=${KITFOX_FASTAPI:-$venv/bin/python}
if [ -z "${KITFOX_FASTAPI:-}" ] && ! "$python" -c 'import fastapi, uvicorn, onnxruntime, multipart, PIL' 2>/dev/null; then
  python3 -m venv "$venv" && "$python" -m pip install -q fastapi uvicorn onnxruntime python-multipart pillow numpy >&2 ||
    { echo "bench: FastAPI did not install; the report will say so" >&2; python=none; }
fi
build=$here/../build/bench
if [ -z "${KITFOX:-}" ] || [ -z "${KITFOX_LOAD:-}" ]; then
  [ -f "$build/build.ninja" ] || meson setup "$build" "$here/.." --buildtype release >&2 || exit 1
  ninja -C "$build" programs/kitfox tests/bench/serve_load >&2 || exit 1
fi
export PYTHONDONTWRITEBYTECODE=1
exec python3 "$here/serve_driver.py" --python "$python" --kitfox "${KITFOX:-$build/programs/kitfox}" \
  --load "${KITFOX_LOAD:-$build/tests/bench/serve_load}" "$@"
