# Programs of a build on other processors, under qemu-user. Sourced by test.sh, whose counters it adds to.
# The emulator ends a program that executes what the CPU lacks. Most tests do not see ../shared: its networks take too long.

# emulated_result WHAT STATUS LOG: count and print one result; the output only of what fails. 77 is a skipped test, as for
# Meson.
emulated_result() {
  case $2 in
    0) passed=$((passed + 1)); echo "ok    $1" ;;
    77) skipped=$((skipped + 1)); echo "SKIP  $1: $(tail -1 "$3")" ;;
    *) failed=$((failed + 1)); FAILED+=("emulated:${1// /-}"); echo "FAIL  $1 (exit $2)"; tail -20 "$3" ;;
  esac
}

# emulated_test WHAT COMMAND...
emulated_test() {
  local what=$1 log=/tmp/kitfox-emulated.$$ status
  shift
  "$@" >"$log" 2>&1
  status=$?
  emulated_result "$what" $status "$log"
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

# One entry of `emulate`: a test program by its path under the tests folder of the build, with arguments; `classify`
# stands for the program kitfox on the example pictures. Only e2e/test_runtime sees ../shared.
emulated_program() {
  local arch=$1 cpu=$2 build=$3 root=$4 shared=
  shift 4
  case $1 in
    classify) classify_emulated "$build" "qemu-$arch" -cpu "$cpu"; return ;;
    e2e/test_runtime) shared=$PWD/../shared ;;
  esac
  KITFOX_EMULATED=1 KITFOX_SOURCE=$root KITFOX_SHARED=${shared:-$root/../shared} timeout 900 \
    "qemu-$arch" -cpu "$cpu" "$build/tests/$1" "${@:2}"
}

# emulate ARCH CPU BUILD TEST...: as many at once as there are processors.
emulate() {
  local arch=$1 cpu=$2 build=$3 test log logs=/tmp/kitfox-logs.$$ root=/tmp/kitfox-root.$$/kitfox
  shift 3
  echo "== emulated $cpu"
  mkdir -p "$root" "$logs"
  for test in data examples tests; do ln -sfn "$PWD/$test" "$root/$test"; done
  for test in "$@"; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
    log=$logs/${test//[\/ ]/-}
    # The words of an entry are a program and its arguments.
    { emulated_program "$arch" "$cpu" "$build" "$root" $test >"$log" 2>&1; echo $? >"$log.status"; } &
  done
  wait
  for test in "$@"; do
    log=$logs/${test//[\/ ]/-}
    emulated_result "$cpu $test" "$(cat "$log.status")" "$log"
  done
  rm -rf "$logs" "/tmp/kitfox-root.$$"
}

# Compilers that a cross file names are cached as the native one is.
cached_compilers() { [ -d /usr/lib/ccache ] && [[ $PATH != /usr/lib/ccache:* ]] && PATH=/usr/lib/ccache:$PATH; }

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

# Cross-built for aarch64 and run on an old core, on one with dot products and on one that has all the emulator knows.
# With `all`, the rest of the programs in C too, on the last of them.
emulated_aarch64() {
  local begin=$SECONDS build=build/test-aarch64 core test rest=()
  local tests=(kernels/check_int kernels/check_gemm kernels/check_dwconv kernels/check_eltwise kernels/check_bytes)
  tests+=(kernels/check_proof kernels/check_hashes e2e/test_int8 unit/test_session unit/test_format unit/test_cpu)
  tests+=(unit/test_os classify)
  tests+=("e2e/test_runtime everyday10 mobilenetv3_small_050")
  [ "$(uname -m)" != aarch64 ] || { skip "this machine is aarch64; nothing is cross-built for it"; return; }
  if ! install_packages "${AARCH64_PACKAGES[@]}" 2>/dev/null || ! command -v aarch64-linux-gnu-gcc >/dev/null; then
    skip "compiler, libraries and emulator for aarch64 are not here and cannot be installed"
    return
  fi
  echo "== aarch64"
  cached_compilers
  build gcc && build aarch64 --cross-file cross/aarch64-linux-gnu.ini -Dwerror=true || return
  for core in cortex-a53 neoverse-n1 max; do emulate aarch64 $core "$build" "${tests[@]}"; done
  emulated_test "cortex-a53 with the capabilities of another core" lying_capabilities "$build/programs/kitfox"
  emulated_test "count of instructions" counted_aarch64
  emulated_test "kernels and their scalar twins" env PYTHONDONTWRITEBYTECODE=1 python3 tests/kernels/test_counts.py \
    "$build/tests/kernels/count_kernels"
  verify_aarch64 "$build/programs/kitfox"
  import_aarch64 "$build/programs/kitfox"
  if [ "${1:-}" = all ]; then
    for test in "$build"/tests/{unit,e2e}/test_*; do
      test=${test#"$build/tests/"}
      [ -f "$build/tests/$test" ] && [[ " ${tests[*]} e2e/test_goldens e2e/test_runtime " != *" $test "* ]] && rest+=("$test")
    done
    emulate aarch64 max "$build" "${rest[@]}"
  fi
  echo "== aarch64 took $((SECONDS - begin)) s"
}

# The kernels alone, with a build of the runtime: what of the above fits into the quick tier.
emulated_kernels() {
  local begin=$SECONDS dir=build/test-aarch64-runtime checks=(int gemm hashes) # the others are in --arch aarch64
  [ "$(uname -m)" != aarch64 ] || return
  if ! install_packages "${AARCH64_RUNTIME_PACKAGES[@]}" 2>/dev/null || ! command -v aarch64-linux-gnu-gcc >/dev/null; then
    skip "compiler, libraries and emulator for aarch64 are not here and cannot be installed"
    return
  fi
  echo "== kernels of aarch64"
  cached_compilers
  TARGETS=("${checks[@]/#/tests/kernels/check_}")
  build aarch64-runtime --cross-file cross/aarch64-linux-gnu.ini -Dtoolchain=disabled -Dprogram=runtime || { TARGETS=(); return; }
  TARGETS=()
  KITFOX_QUICK=1 emulate aarch64 max "$dir" "${checks[@]/#/kernels/check_}"
  echo "== kernels of aarch64 took $((SECONDS - begin)) s"
}

# The auxiliary vector promises everything, as that of an emulator's host may; the identification registers know better.
lying_capabilities() {
  local liar=/tmp/kitfox-liar.$$.so status
  aarch64-linux-gnu-gcc -shared -fPIC -o "$liar" tests/house/lying_capabilities.c || return 1
  qemu-aarch64 -cpu cortex-a53 -E LD_PRELOAD="$liar" "$1" info --cpus | tee /dev/stderr | grep -q '^neon .* now$'
  status=$?
  rm -f "$liar"
  return $status
}

# tools/count_plugin.c counts a program whose instructions are known.
counted_aarch64() {
  local program=/tmp/kitfox-counted.$$ status
  aarch64-linux-gnu-gcc -nostdlib -static -o "$program" tests/house/counted.S || return 1
  python3 tools/count_instructions.py --cpu max --json "known=$program {n}" | tee /dev/stderr |
    grep -q '"all": 27.0, "loads": 9.0, "stores": 7.0, "dot": 4.0, "mmla": 1.0, "mlal": 2.0, "fmla": 2.0'
  status=$?
  rm -f "$program"
  return $status
}

# Golden vectors: that of the built-in model, and of a model quantized on either machine, repeated on the other byte for
# byte.
verify_aarch64() {
  local model=/tmp/kitfox-int8.$$.kfx native=build/test-gcc/programs/kitfox emulated=(qemu-aarch64 -cpu max "$1")
  local quantize=(quantize data/everyday10.safetensors --calib examples/pictures -o)
  emulated_test "max verify" "${emulated[@]}" verify
  emulated_test "quantize on $(uname -m)" $native "${quantize[@]}" "$model"
  emulated_test "max verify of that" "${emulated[@]}" verify "$model"
  emulated_test "max quantize" timeout 900 "${emulated[@]}" "${quantize[@]}" "$model.arm"
  emulated_test "verify of that on $(uname -m)" $native verify "$model.arm"
  cmp -s "$model" "$model.arm" && echo "      both machines quantize to the same file" || echo "      their files differ, which is allowed"
  rm -f "$model" "$model.arm"
}

# Both machines import each network of ../shared to the same bytes.
import_aarch64() {
  local model made=/tmp/kitfox-import.$$.kfx
  for model in ../shared/models/*.onnx ../shared/models/*.safetensors ../shared/models/keras/*.onnx; do
    [ -f "$model" ] || continue
    emulated_test "same bytes of ${model##*/}" same_import "$1" "$model" "$made"
  done
  rm -f "$made" "$made.arm"
}

same_import() {
  local options=()
  [[ $2 = *ppocr* ]] && options=(--input-shape 1x3x48x192)
  if ! build/test-gcc/programs/kitfox import "$2" -o "$3" "${options[@]}"; then
    echo "this machine does not import it either"
    return 77
  fi
  qemu-aarch64 -cpu max "$1" import "$2" -o "$3.arm" "${options[@]}" && cmp "$3" "$3.arm"
}

# What has no kernels of its own builds the runtime and runs it on scalar code, from the libraries of foreign_root.
emulated_others() {
  local begin=$SECONDS
  local tests=(kernels/check_{int,bytes,gemm,dwconv,eltwise} unit/test_{base,container,session,preprocess,steps})
  echo "== other processors"
  cached_compilers
  foreign_runtime armhf arm-linux-gnueabihf arm "${tests[@]}" kernels/check_hashes &&
    emulated_test "armhf verify" "${foreign[@]}" verify tests/golden/verified_int8_v1.kfx &&
    emulated_test "armhf refuses a file beyond 32 bits" refuses_large "${foreign[@]}"
  # Numbers in model files are little-endian.
  foreign_runtime s390x s390x-linux-gnu s390x "${tests[@]/*session/unit/test_cpu}" &&
    emulated_test "s390x says that it cannot run models" says_big_endian "${foreign[@]}"
  built_with_musl
  echo "== other processors took $((SECONDS - begin)) s"
}

# foreign_runtime ARCH TRIPLET EMULATED TEST...: leaves in `foreign` how its kitfox-run is started.
foreign_runtime() {
  local arch=$1 triplet=$2 emulated=$3 root
  shift 3
  if ! install_packages qemu-user "gcc-$triplet" "libc6-dev-$arch-cross" 2>/dev/null ||
    ! root=$(foreign_root "$arch" "$triplet"); then
    skip "$arch: its compiler or libraries are not here and cannot be had"
    return 1
  fi
  build "$arch" --cross-file "cross/$triplet.ini" --cross-file "$root/root.ini" -Dtoolchain=disabled \
    -Dprogram=runtime || return 1
  foreign=("qemu-$emulated" -L "$root" "build/test-$arch/programs/kitfox-run")
  QEMU_LD_PREFIX=$root KITFOX_QUICK=1 emulate "$emulated" max "build/test-$arch" "$@"
}

# Five GiB, of which the disk holds nothing.
refuses_large() {
  local text model=/tmp/kitfox-large.$$.kfx
  truncate -s 5G "$model" || return 1
  text=$("$@" verify "$model" 2>&1) && { rm -f "$model"; return 1; }
  rm -f "$model"
  echo "$text"
  [[ $text = *" 5368709120 bytes; at most "* ]]
}

says_big_endian() {
  local text
  text=$("$@" verify tests/golden/verified_int8_v1.kfx 2>&1) && return 1
  echo "$text"
  [[ $text = *big-endian* ]]
}

# libkitfox with another C library: kernel checks, and golden vectors of a committed model and of one quantized now.
built_with_musl() {
  local jansson dir=build/test-musl check level model=/tmp/kitfox-musl.$$.kfx
  if ! install_packages musl-tools 2>/dev/null || ! jansson=$(jansson_for_musl); then
    skip "musl is not here and cannot be had"
    return
  fi
  TARGETS=(src/libkitfox.a tests/kernels/check_{int,bytes,gemm,dwconv,eltwise})
  PKG_CONFIG_LIBDIR=$jansson CC=musl-gcc build musl -Dtoolchain=disabled -Dprogram=disabled || { TARGETS=(); return; }
  TARGETS=()
  emulated_test "quantize for musl" build/test-gcc/programs/kitfox quantize data/everyday10.safetensors \
    --calib examples/pictures -o "$model"
  musl-gcc -std=c11 -Iinclude -o "$dir/verify_golden" tests/house/verify_golden.c "$dir/src/libkitfox.a" \
    -L"$jansson" -ljansson -lm -lpthread || {
    failed=$((failed + 1)) FAILED+=(musl:verify_golden)
    return
  }
  for check in int bytes gemm dwconv eltwise; do emulated_test "musl $check" "$dir/tests/kernels/check_$check"; done
  for level in $(build/test-gcc/programs/kitfox info --cpus | awk '$2 == "usable" { print $1 }'); do
    emulated_test "musl $level" env KITFOX_CPU="$level" "$dir/verify_golden" tests/golden/verified_int8_v1.kfx "$model"
  done
  rm -f "$model"
}
