#!/usr/bin/env bash
# Install what is missing, build, run all tests, end with "N passed, N failed, N skipped".
# Quick tier by default; --full adds clang, -O0, ThreadSanitizer and emulated CPUs (docs/TESTS.md).
set -u
cd "$(dirname "$0")" || exit 1
. tools/packages.sh
. tools/truth.sh
full=no
[ "${1:-}" = --full ] && full=yes
install_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}" || exit 1
[ $full = yes ] && { install_packages "${FULL_PACKAGES[@]}" || echo "going on with the tiers that need none of them"; }
jobs=$(nproc)
passed=0 failed=0 skipped=0
find_truth
[ -d ../shared ] || echo "SKIP: ../shared is not here; tests against its models, goldens and photos are left out"

ENVIRONMENT=(env) # of setup: the compiler
TESTS=()          # names of the tests to run; none: all
LEAVE=()          # suites to leave out, as options
SLOWER=1          # factor on time limits

# Build one configuration in its own folder and add up its test results.
tier() {
  local name=$1 dir=build/test-$1 log begin=$SECONDS
  shift
  echo "== $name"
  if [ ! -f "$dir/build.ninja" ]; then
    "${ENVIRONMENT[@]}" meson setup "$dir" "$@" >"/tmp/kitfox-setup.$$" 2>&1 || { cat "/tmp/kitfox-setup.$$"; failed=$((failed + 1)); return; }
  fi
  ninja -C "$dir" -j "$jobs" >"/tmp/kitfox-build.$$" 2>&1 || { tail -40 "/tmp/kitfox-build.$$"; failed=$((failed + 1)); return; }
  meson test -C "$dir" --print-errorlogs --no-rebuild --num-processes "$jobs" -t "$SLOWER" ${LEAVE[@]+"${LEAVE[@]}"} ${TESTS[@]+"${TESTS[@]}"}
  log=$dir/meson-logs/testlog.json
  passed=$((passed + $(grep -c '"result": "OK"' "$log")))
  skipped=$((skipped + $(grep -c '"result": "SKIP"' "$log")))
  failed=$((failed + $(grep -cvE '"result": "(OK|SKIP)"' "$log")))
  echo "== $name took $((SECONDS - begin)) s"
}

# The instruction sets that this machine can run, but for the one that it runs anyway.
lower_levels() { build/test-gcc/programs/kitfox info --cpus | awk '$2 == "usable" && $3 != "now" { print $1 }'; }

# One result of the emulated tier: what, then a command whose output is shown only when it fails.
emulated_test() {
  local what=$1 log=/tmp/kitfox-emulated.$$
  shift
  if "$@" >"$log" 2>&1; then passed=$((passed + 1)); echo "ok    $what"
  else echo "FAIL  $what (exit $?)"; tail -20 "$log"; failed=$((failed + 1)); fi
  rm -f "$log"
}

# The example pictures have to get the class of their name; an instruction that the CPU lacks ends the program.
classify_emulated() {
  local name
  for name in airplane automobile frog ship truck; do
    qemu-x86_64 -cpu "$1" build/test-gcc/programs/kitfox classify --json "examples/pictures/$name.jpg" >"/tmp/kitfox-top.$$" || return 1
    grep -E "\"top\":\[\{\"index\":[0-9]+,\"label\":\"$name\"" "/tmp/kitfox-top.$$" || { cat "/tmp/kitfox-top.$$"; return 1; }
  done
  rm -f "/tmp/kitfox-top.$$"
}

# The programs of the gcc tier on a CPU without AVX and on one without AVX-512. A source root without ../shared: its networks take hours here.
emulated() {
  local cpu test root=/tmp/kitfox-root.$$/kitfox begin=$SECONDS
  command -v qemu-x86_64 >/dev/null || { echo "SKIP: qemu-x86_64 is not here; no emulated CPUs"; skipped=$((skipped + 1)); return; }
  mkdir -p "$root"
  for test in data examples tests; do ln -sfn "$PWD/$test" "$root/$test"; done
  for cpu in Nehalem Haswell; do
    echo "== emulated $cpu"
    emulated_test "$cpu classify" classify_emulated "$cpu"
    for test in e2e/test_hashes e2e/test_int8 unit/test_session unit/test_verify unit/test_image kernels/check_gemm kernels/check_int kernels/check_dwconv kernels/check_eltwise; do
      if [ $cpu = Haswell ] && [[ $test = */check_gemm || $test = */check_dwconv || $test = */check_eltwise ]]; then
        echo "SKIP  $cpu $test: the emulator faults at masked AVX2 loads whose unused lanes lie past the end of a page"
        skipped=$((skipped + 1))
        continue
      fi
      emulated_test "$cpu $test" env KITFOX_SOURCE="$root" timeout 900 qemu-x86_64 -cpu $cpu "build/test-gcc/tests/$test"
    done
  done
  rm -rf "/tmp/kitfox-root.$$"
  echo "== emulated took $((SECONDS - begin)) s"
}

# Outside engines judge once: what sanitizers see does not depend on them.
export KITFOX_PEERS=$TRUTH
tier gcc
export KITFOX_PEERS=none
[ $full = yes ] || LEAVE=(--no-suite long) # minutes under sanitizers
tier asan -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false
if [ $full = yes ]; then
  export KITFOX_PEERS=$TRUTH
  INTEGER=(hashes hashes-numpy int8 int format session verify ref)
  for level in $(lower_levels); do
    KITFOX_CPU=$level tier gcc
  done
  TESTS=("${INTEGER[@]}")
  tier gcc-O0 -Dbuildtype=debug
  if command -v clang >/dev/null; then
    ENVIRONMENT=(env CC=clang)
    tier clang-O0 -Dbuildtype=debug
    TESTS=()
    tier clang -Dwerror=true
    ENVIRONMENT=(env)
  else
    echo "SKIP: clang is not here"
    skipped=$((skipped + 1))
  fi
  export KITFOX_PEERS=none
  TESTS=(os session verify hashes int8 runtime eval-verb) SLOWER=10
  tier tsan -Dbuildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false
  emulated
fi
rm -f "/tmp/kitfox-setup.$$" "/tmp/kitfox-build.$$"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
