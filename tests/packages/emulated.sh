#!/bin/sh
# emulated.sh ROOT: the packages for arm64, unpacked into ROOT, run by qemu-aarch64. What needs apt or a server's tools
# is tested natively by inside.sh.
set -eu
root=$1 work=$(mktemp -d)
pictures=$root/usr/share/doc/kitfox/examples/pictures
emulated() { timeout 600 qemu-aarch64 -L "$root" "$@"; }
kitfox() { emulated "$root/usr/bin/kitfox" "$@"; }
step() { echo "   -- $*"; }

step "version and classify"
kitfox --version
for name in airplane automobile frog ship truck; do
  kitfox classify --json "$pictures/$name.jpg" >"$work/top"
  grep -q "\"top\":\[{\"index\":[0-9]*,\"label\":\"$name\"" "$work/top" || { cat "$work/top"; exit 1; }
  mkdir -p "$work/labelled/$name"
  cp "$pictures/$name.jpg" "$work/labelled/$name"
done
step "quantize, verify, eval, bench"
kitfox verify
kitfox quantize data/everyday10.safetensors --calib "$pictures" -o "$work/int8.kfx"
kitfox verify "$work/int8.kfx"
kitfox eval "$work/int8.kfx" --data "$work/labelled" | tee "$work/scores"
grep -q '^5 pictures  top-1 ' "$work/scores"
kitfox bench -n 3 "$work/int8.kfx"
step "C against libkitfox-dev"
libs=$root/usr/lib/aarch64-linux-gnu
aarch64-linux-gnu-gcc "-I$root/usr/include" examples/classify.c "-L$libs" "-Wl,-rpath-link,$libs" -lkitfoximg -lkitfox \
  -o "$work/classify"
emulated "$work/classify" "$work/int8.kfx" "$pictures/ship.jpg" | tee "$work/answer"
grep -q ship "$work/answer"
step Python
# Links that the installation of libblas3 and liblapack3 would make.
export "QEMU_SET_ENV=LD_LIBRARY_PATH=$libs/blas:$libs/lapack"
emulated -E "PYTHONHOME=$root/usr" -E "PYTHONPATH=$root/usr/lib/python3/dist-packages" -E OPENBLAS_CORETYPE= \
  "$root/usr/bin/python3" -c "import kitfox
print('  ', kitfox.__version__, kitfox.load().classify('$pictures/truck.jpg').label)
assert kitfox.load().classify('$pictures/truck.jpg').label == 'truck'
assert kitfox.__file__.startswith('$root/usr/lib/python3'), kitfox.__file__"
rm -rf "$work"
