# The Python with Playwright that drives Debian's chromium in the test of the server's page. Sourced by test.sh.

# Sets BROWSER: KITFOX_BROWSER if that has Playwright, else one made for the tests outside the tree, else "none".
find_browser() {
  local cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/kitfox candidate
  for candidate in "${KITFOX_BROWSER:-}" "$cache/browser/bin/python"; do
    if [ -x "$candidate" ] && "$candidate" -c 'import playwright' 2>/dev/null; then
      BROWSER=$candidate
      return
    fi
  done
  BROWSER=none
  if ! command -v chromium >/dev/null; then
    echo "SKIP: chromium is not here; the test of the server's page is left out"
    return
  fi
  echo "installing: playwright into $cache/browser"
  rm -rf "$cache/browser"
  python3 -m venv "$cache/browser" >/dev/null 2>&1 &&
    timeout 300 "$cache/browser/bin/python" -m pip install -q --disable-pip-version-check --retries 1 playwright \
      >/dev/null 2>&1 &&
    BROWSER=$cache/browser/bin/python && return
  rm -rf "$cache/browser"
  echo "SKIP: Playwright could not be installed; the test of the server's page is left out"
}
