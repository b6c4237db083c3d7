#!/usr/bin/env bash
# Install what is missing, build, run all tests, end with "N passed, N failed, N skipped".
# Quick tier by default; --full adds clang, -O0 and more sanitizers.
set -u
cd "$(dirname "$0")" || exit 1
. tools/packages.sh
install_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}" || exit 1
full=no
[ "${1:-}" = --full ] && full=yes
jobs=$(nproc)
passed=0 failed=0 skipped=0
[ -d ../shared ] || echo "SKIP: ../shared is not here; tests against its models, goldens and photos are left out"

# Build one configuration in its own folder and add up its test results.
tier() {
  local name=$1 dir=build/test-$1 log
  shift
  echo "== $name"
  if [ ! -f "$dir/build.ninja" ]; then
    "${ENVIRONMENT[@]}" meson setup "$dir" "$@" >"/tmp/kitfox-setup.$$" 2>&1 || { cat "/tmp/kitfox-setup.$$"; failed=$((failed + 1)); return; }
  fi
  ninja -C "$dir" -j "$jobs" >"/tmp/kitfox-build.$$" 2>&1 || { tail -40 "/tmp/kitfox-build.$$"; failed=$((failed + 1)); return; }
  meson test -C "$dir" --print-errorlogs --no-rebuild --num-processes "$jobs"
  log=$dir/meson-logs/testlog.json
  passed=$((passed + $(grep -c '"result": "OK"' "$log")))
  skipped=$((skipped + $(grep -c '"result": "SKIP"' "$log")))
  failed=$((failed + $(grep -cvE '"result": "(OK|SKIP)"' "$log")))
}

ENVIRONMENT=(env)
tier gcc
tier asan -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false
if [ $full = yes ]; then
  ENVIRONMENT=(env CC=clang)
  tier clang
  tier clang-O0 -Dbuildtype=debug
  ENVIRONMENT=(env)
  tier tsan -Dbuildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false
  for level in scalar avx2 avx512; do
    KITFOX_CPU=$level tier gcc
  done
fi
rm -f "/tmp/kitfox-setup.$$" "/tmp/kitfox-build.$$"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
