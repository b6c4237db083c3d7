# Programs of a build on other processors, under qemu-user. Sourced by test.sh, whose counters it adds to.
# The emulator ends a program that executes what the CPU lacks. Tests do not see ../shared: its networks take too long.

# One result: what, then a command whose output is shown only when it fails; 77 is a skipped test, as for Meson.
emulated_test() {
  local what=$1 log=/tmp/kitfox-emulated.$$ status
  shift
  "$@" >"$log" 2>&1
  status=$?
  case $status in
    0) passed=$((passed + 1)); echo "ok    $what" ;;
    77) skipped=$((skipped + 1)); echo "SKIP  $what: $(tail -1 "$log")" ;;
    *) failed=$((failed + 1)); echo "FAIL  $what (exit $status)"; tail -20 "$log" ;;
  esac
  rm -f "$log"
}

# classify_emulated BUILD EMULATOR...: the example pictures have to get the class of their name.
classify_emulated() {
  local name build=$1 top=/tmp/kitfox-top.$$
  shift
  for name in airplane automobile frog ship truck; do
    "$@" "$build/programs/kitfox" classify --json "examples/pictures/$name.jpg" >"$top" || return 1
    grep -E "\"top\":\[\{\"index\":[0-9]+,\"label\":\"$name\"" "$top" || { cat "$top"; return 1; }
  done
  rm -f "$top"
}

# emulate ARCH CPU BUILD TEST...: test programs of a build, by their paths under its tests folder; `classify` stands for
# the program kitfox on the example pictures.
emulate() {
  local arch=$1 cpu=$2 build=$3 test root=/tmp/kitfox-root.$$/kitfox
  shift 3
  echo "== emulated $cpu"
  mkdir -p "$root"
  for test in data examples tests; do ln -sfn "$PWD/$test" "$root/$test"; done
  for test in "$@"; do
    case $test in
      classify) emulated_test "$cpu classify" classify_emulated "$build" "qemu-$arch" -cpu "$cpu" ;;
      *)
        emulated_test "$cpu $test" env KITFOX_EMULATED=1 KITFOX_SOURCE="$root" timeout 900 \
          "qemu-$arch" -cpu "$cpu" "$build/tests/$test" ;;
    esac
  done
  rm -rf "/tmp/kitfox-root.$$"
}

# A part of the suite that cannot run here, in one line.
skip() {
  echo "SKIP: $1"
  skipped=$((skipped + 1))
}

KERNEL_CHECKS=(kernels/check_gemm kernels/check_int kernels/check_dwconv kernels/check_eltwise kernels/check_bytes)

# The programs of the gcc tier on a CPU without AVX and on one without AVX-512.
emulated_x86() {
  local test begin=$SECONDS
  local tests=(classify e2e/test_hashes e2e/test_int8 unit/test_session unit/test_verify unit/test_image)
  command -v qemu-x86_64 >/dev/null || { skip "qemu-x86_64 is not here; no emulated CPUs"; return; }
  emulate x86_64 Nehalem build/test-gcc "${tests[@]}" "${KERNEL_CHECKS[@]}"
  emulate x86_64 Haswell build/test-gcc "${tests[@]}" kernels/check_int kernels/check_bytes
  for test in gemm dwconv eltwise; do
    skip "Haswell kernels/check_$test: the emulator faults at masked AVX2 loads with unused lanes past a page's end"
  done
  echo "== emulated took $((SECONDS - begin)) s"
}

# Cross-built for aarch64 and run: unit tests, kernel checks, hashes and int8 on a core that has all the emulator knows,
# some of it on an old one.
emulated_aarch64() {
  local begin=$SECONDS build=build/test-aarch64 test
  local tests=(classify "${KERNEL_CHECKS[@]}" e2e/test_hashes e2e/test_int8)
  [ "$(uname -m)" != aarch64 ] || { skip "this machine is aarch64; nothing is cross-built for it"; return; }
  if ! install_packages "${AARCH64_PACKAGES[@]}" 2>/dev/null || ! command -v aarch64-linux-gnu-gcc >/dev/null; then
    skip "compiler, libraries and emulator for aarch64 are not here and cannot be installed"
    return
  fi
  echo "== aarch64"
  build gcc && build aarch64 --cross-file cross/aarch64-linux-gnu.ini -Dwerror=true || return
  for test in "$build"/tests/unit/test_*; do [ -f "$test" ] && tests+=("unit/${test##*/}"); done
  emulate aarch64 max "$build" "${tests[@]}"
  verify_aarch64 "$build/programs/kitfox"
  emulate aarch64 cortex-a53 "$build" kernels/check_int e2e/test_hashes
  echo "== aarch64 took $((SECONDS - begin)) s"
}

# Golden vectors: that of the built-in model, and of a model quantized on either machine, repeated on the other byte for
# byte.
verify_aarch64() {
  local model=/tmp/kitfox-int8.$$.kfx native=build/test-gcc/programs/kitfox emulated=(qemu-aarch64 -cpu max "$1")
  local quantize=(quantize data/everyday10.safetensors --calib examples/pictures -o "$model")
  emulated_test "max verify" "${emulated[@]}" verify
  emulated_test "quantize on $(uname -m)" $native "${quantize[@]}"
  emulated_test "max verify of that" "${emulated[@]}" verify "$model"
  emulated_test "max quantize" timeout 900 "${emulated[@]}" "${quantize[@]}"
  emulated_test "verify of that on $(uname -m)" $native verify "$model"
  rm -f "$model"
}
