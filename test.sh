#!/usr/bin/env bash
# Install what is missing, build, run all tests, end with "N passed, N failed, N skipped".
# Quick tier by default; --full adds clang, -O0, ThreadSanitizer, fuzzing, emulated CPUs and aarch64 (docs/TESTS.md);
# --arch aarch64 is the last of these alone.
set -u
cd "$(dirname "$0")" || exit 1
. tools/packages.sh
. tools/truth.sh
. tools/browser.sh
. tools/foreign.sh
. tools/emulate.sh
. tools/packages_test.sh
full=no arch=
case "$*" in
  "") ;;
  --full) full=yes ;;
  "--arch aarch64") arch=aarch64 ;;
  *) echo "usage: ./test.sh [--full | --arch aarch64]" >&2; exit 2 ;;
esac
install_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}" && need_meson || exit 1
install_packages "${PICTURE_PACKAGES[@]}" || true # their tests are skipped without
[ $full = yes ] && { install_packages "${FULL_PACKAGES[@]}" || echo "going on with the tiers that need none of them"; }
[ $full = no ] || install_packages "${READER_PACKAGES[@]}" || true
jobs=$(nproc)
passed=0 failed=0 skipped=0
[ -n "$arch" ] || find_truth
[ $full = no ] || { find_browser; export KITFOX_BROWSER=$BROWSER; }
[ -d ../shared ] || [ -n "$arch" ] || echo "SKIP: ../shared is not here; tests against its models, goldens and photos are left out"

ENVIRONMENT=(env) # of setup: the compiler
TESTS=()          # names of the tests to run; none: all
TARGETS=()        # what to build; none: all
LEAVE=()          # suites to leave out, as options
SLOWER=4          # factor on time limits: a busy machine fails no test
FAILED=()         # what failed, as tier:test

# Build one configuration in its own folder; a build that fails counts as a failed test.
build() {
  local dir=build/test-$1 log=/tmp/kitfox-build.$$
  shift
  if [ ! -f "$dir/build.ninja" ]; then
    "${ENVIRONMENT[@]}" meson setup "$dir" "$@" >"$log" 2>&1 || { cat "$log"; failed=$((failed + 1)); return 1; }
  fi
  ninja -C "$dir" -j "$jobs" ${TARGETS[@]+"${TARGETS[@]}"} >"$log" 2>&1 || { tail -40 "$log"; failed=$((failed + 1)); return 1; }
}

# Build one configuration and add up its test results.
tier() {
  local name=$1 dir=build/test-$1 log begin=$SECONDS
  echo "== $name"
  build "$@" || return
  meson test -C "$dir" --print-errorlogs --no-rebuild --num-processes "$jobs" -t "$SLOWER" ${LEAVE[@]+"${LEAVE[@]}"} ${TESTS[@]+"${TESTS[@]}"}
  log=$dir/meson-logs/testlog.json
  passed=$((passed + $(grep -c '"result": "OK"' "$log")))
  skipped=$((skipped + $(grep -c '"result": "SKIP"' "$log")))
  failed=$((failed + $(grep -cvE '"result": "(OK|SKIP)"' "$log")))
  FAILED+=($(grep -vE '"result": "(OK|SKIP)"' "$log" | sed -n "s|^{\"name\": \"[^\"]* / \([^\"]*\)\".*|$name:\1|p"))
  echo "== $name took $((SECONDS - begin)) s"
}

# The instruction sets that this machine can run, but for the one that it runs anyway.
lower_levels() { build/test-gcc/programs/kitfox info --cpus | awk '$2 == "usable" && $3 != "now" { print $1 }'; }

# A command that is one test, by its name; status 77 is a skipped one, as for Meson.
counted() {
  local status=0
  echo "== $1"
  "${@:2}" || status=$?
  case $status in
    0) passed=$((passed + 1)) ;;
    77) skipped=$((skipped + 1)) ;;
    *) failed=$((failed + 1)) FAILED+=("$1") ;;
  esac
}

# A command whose results go into a folder that nobody keeps: that is its last argument.
into_folder() {
  local out status=0
  out=$(mktemp -d) && "$@" "$out" || status=$?
  rm -rf "$out"
  return $status
}

# Fuzzing for some minutes.
campaign() {
  tests/fuzz/campaign.sh --build build/test-asan --programs 20000 --networks 20000 --seconds 20 --jobs "$jobs"
}

# The static program in an empty folder: static_program ARCH [EMULATOR...].
static_program() {
  local program=build/static/kitfox-$1
  tools/static.sh kitfox "$1" "$program" >/tmp/kitfox-build.$$ 2>&1 || { tail -5 /tmp/kitfox-build.$$; return 1; }
  python3 tests/house/check_static.py "$program" "${@:2}"
}

# What a release has beside packages: static programs of both processors, and the sources as a tarball, which is built
# twice for the same bytes.
releases() {
  counted static-amd64 static_program amd64
  counted static-arm64 static_program arm64 qemu-aarch64 -cpu cortex-a53 -L /nonexistent
  [ -e .git ] || { skip "this is no checkout, so no release is made of it"; return; }
  counted reproducible tools/reproducible.sh --tests
}

# The last line and the exit status.
finish() {
  rm -f "/tmp/kitfox-build.$$"
  [ ${#FAILED[@]} -eq 0 ] || echo "failed: ${FAILED[*]}"
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ]
  exit
}

if [ "$arch" = aarch64 ]; then
  emulated_aarch64
  finish
fi
# Outside engines judge once: what sanitizers see does not depend on them.
export KITFOX_PEERS=$TRUTH KITFOX_MAKER=$TRUTH
[ $full = yes ] || LEAVE=(--no-suite full) # minutes
if [ $full = yes ]; then
  command -v java >/dev/null || install_packages "${JAVA_PACKAGES[@]}" || echo "SKIP: no Java, so no Spark"
  find_lab
  find_torch
fi
tier gcc -Dtest_python="${TRUTH#none}"
export KITFOX_PEERS=none
unset KITFOX_TORCH
LEAVE=(--no-suite full) # once is enough
[ $full = yes ] || LEAVE+=(--no-suite long) # minutes under sanitizers
# -O1 and -g1 halve the time of the build; reports still name functions and lines.
tier asan -Dbuildtype=debugoptimized -Doptimization=1 -Dc_args=-g1 -Db_sanitize=address,undefined -Db_lundef=false
if [ $full = yes ]; then
  export KITFOX_PEERS=$TRUTH
  INTEGER=(hashes hashes-numpy int8 int format session verify ref)
  # What runs networks on the level that the machine chose; other tests take every level by themselves, or none.
  NETWORKS=(exec session pool batch verify image nv12 preprocess lab-evaluate lab-compare goldens runtime int8 hashes)
  NETWORKS+=(cases examples kitfox-run eval-verb verify-verb stream bench-verb onnx-peers)
  TESTS=("${NETWORKS[@]}")
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
  TESTS=(os pool session batch verify hashes int8 runtime eval-verb serve serve-core) SLOWER=10
  tier tsan -Dbuildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false
  counted campaign campaign
  install_packages "${ANALYZE_PACKAGES[@]}" || true # it goes on with the tools that are here
  counted analyze tools/analyze.py
  KITFOX_PROGRAM=build/test-gcc/programs/kitfox counted wheels into_folder python/build_wheels.sh
  counted site into_folder tools/site.sh
  packages
  releases
  emulated_x86
  emulated_aarch64 all
  emulated_others
else
  emulated_kernels
fi
finish
