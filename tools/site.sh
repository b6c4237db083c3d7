#!/usr/bin/env bash
# Builds the documentation site from docs/, the manual, the headers and the Python package, and checks its links.
#   tools/site.sh [OUT]            (default: build/site; begin with OUT/index.html, no server is needed)
# KITFOX_SITE names a Python with mkdocs-material; else one is made outside the tree. Status 77 where that fails.
set -eu
cd "$(dirname "$0")/.."
place=${XDG_CACHE_HOME:-$HOME/.cache}/kitfox/site
python=${KITFOX_SITE:-$place/bin/python}
if ! "$python" -c 'import material' 2>/dev/null; then
  echo "installing: mkdocs-material into $place"
  python=$place/bin/python
  rm -rf "$place"
  python3 -m venv "$place" >/dev/null 2>&1 &&
    timeout 300 "$python" -m pip install -q --disable-pip-version-check --retries 1 'mkdocs-material>=9.5,<10' \
      >/dev/null 2>&1 || {
    rm -rf "$place"
    echo "SKIP: mkdocs-material could not be installed; there is no site"
    exit 77
  }
fi
exec "$python" tools/site/make_site.py "${1:-build/site}"
