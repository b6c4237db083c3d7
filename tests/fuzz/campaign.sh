#!/usr/bin/env bash
# Fuzzing that anyone can repeat: changed model files and networks under AddressSanitizer, UndefinedBehaviorSanitizer
# and redzones, then every libFuzzer target where clang is. Ends with a table; exit status 1 when anything was found.
set -u
cd "$(dirname "$0")/../.." || exit 1
usage() {
  cat >&2 <<'END'
usage: tests/fuzz/campaign.sh [OPTIONS]
  --programs N  changed model files, default 200000
  --networks N  changed ONNX networks, default 100000
  --seconds T   for each libFuzzer target, default 60; 0 leaves them out
  --jobs J      processes, default: the number of cores
  --seed S      of the changes, default 1: the same seed gives the same inputs
  --build DIR   a build with sanitizers to use, default build/campaign, made when missing
  --out DIR     for findings and logs, default build/campaign-out
END
  exit 2
}
programs=200000 networks=100000 seconds=60 jobs=$(nproc) seed=1 build=build/campaign out=build/campaign-out
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || usage
  case $1 in
    --programs) programs=$2 ;;
    --networks) networks=$2 ;;
    --seconds) seconds=$2 ;;
    --jobs) jobs=$2 ;;
    --seed) seed=$2 ;;
    --build) build=$2 ;;
    --out) out=$2 ;;
    *) usage ;;
  esac
  shift 2
done
mkdir -p "$out" || exit 1
export LSAN_OPTIONS=print_suppressions=0:suppressions=$PWD/tests/lsan.supp
bad=0
table=$out/table.txt
printf '%-20s %12s %-44s %10s %8s\n' target executions accepted coverage findings >"$table"
row() { printf '%-20s %12s %-44s %10s %8s\n' "$@" >>"$table"; }

# What each target starts from.
corpus() {
  case $1 in
    program|kfx|raise) ls tests/fuzz/corpus/program/*.kfx tests/golden/*.kfx ;;
    image) ls tests/data/pictures/*.* ;;
    *) ls tests/fuzz/corpus/"$1"/* ;;
  esac
}

configure() { # DIR OPTIONS...
  local dir=$1
  shift
  [ -f "$dir/build.ninja" ] || meson setup "$dir" "$@" >"$out/setup.log" 2>&1 || { cat "$out/setup.log"; exit 1; }
}

# Changed inputs in worker processes (drive.h): TARGET COUNT.
changed() {
  local target=$1 log=$out/$1.log files line
  mapfile -t files < <(corpus "$target")
  mkdir -p "$out/$target"
  "$build/tests/fuzz/replay_$target" -s "$seed" -n $(($2 / ${#files[@]} + 1)) -j "$jobs" -o "$out/$target" \
    "${files[@]}" >"$log" 2>&1 || bad=$((bad + 1))
  grep '^finding' "$log"
  line=$(tail -n 1 "$log") # "N inputs, N parsed, ..., N findings"
  row "replay_$target" "${line%% *}" "$(echo "$line" | sed 's/^[0-9]* inputs, //; s/, [0-9]* findings$//')" \
    - "$(echo "$line" | sed -n 's/.* \([0-9]*\) findings$/\1/p')"
}

# One libFuzzer target for a while: TARGET.
fuzzed() {
  local target=$1 log=$out/fuzz_$1.log work=$out/corpus-$1 found=0 counts
  mkdir -p "$work" "$out/fuzz_$target"
  corpus "$target" | while read -r f; do cp -n "$f" "$work/"; done
  "build/campaign-fuzz/tests/fuzz/fuzz_$target" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=3000 \
    -max_len=65536 -print_final_stats=1 -artifact_prefix="$out/fuzz_$target/" "$work" >"$log" 2>&1 || found=1
  [ $found = 0 ] || { bad=$((bad + 1)); tail -n 30 "$log"; }
  counts=$(sed -n 's/^counts: //p' "$log")
  row "fuzz_$target" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" "${counts:--}" \
    "$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -d' ' -f2)" "$found"
}

make() { # DIR TARGETS...
  ninja -C "$1" -j "$jobs" "${@:2}" >"$out/build.log" 2>&1 || { tail -n 40 "$out/build.log"; exit 1; }
}

sanitizers=(-Db_sanitize=address,undefined -Db_lundef=false)
configure "$build" -Dbuildtype=debugoptimized "${sanitizers[@]}"
make "$build" tests/fuzz/replay_program tests/fuzz/replay_onnx
changed program "$programs"
changed onnx "$networks"
if [ "$seconds" -gt 0 ] && command -v clang >/dev/null; then
  mapfile -t targets < <(cd tests/fuzz && ls fuzz_*.c | sed 's/^fuzz_//; s/\.c$//')
  # -O1: at -O3 clang takes far longer, and the targets spend their time in checks.
  CC=clang configure build/campaign-fuzz -Dfuzz=true -Dbuildtype=debug -Doptimization=1 "${sanitizers[@]}"
  make build/campaign-fuzz "${targets[@]/#/tests/fuzz/fuzz_}"
  for target in "${targets[@]}"; do fuzzed "$target"; done
elif [ "$seconds" -gt 0 ]; then
  echo "SKIP: clang is not here; libFuzzer targets are left out"
fi
cat "$table"
[ "$bad" -eq 0 ]
