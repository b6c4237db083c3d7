#!/usr/bin/env bash
# Builds kitfox-run as one file that needs nothing on the board: static, for 64-bit Arm of any age (Armv8.0; the kernels
# of later cores are in it and chosen when it starts).
#   tools/static.sh [FILE]         (default: build/kitfox-run-aarch64)
# Debian has no static libspng: that is built from Debian's source package. Annotated pictures (cairo) are left out.
set -eu
cd "$(dirname "$0")/.."
. tools/packages.sh
. tools/foreign.sh
to=${1:-build/kitfox-run-aarch64}
triplet=aarch64-linux-gnu cross=cross/aarch64-linux-gnu.ini
install_packages "${BUILD_PACKAGES[@]}" "${AARCH64_RUNTIME_PACKAGES[@]}" || exit 1
kept=${XDG_CACHE_HOME:-$HOME/.cache}/kitfox/static-$triplet
mkdir -p "$kept"

# Debian's source of libspng, by apt with a list of its own: the system's lists are left as they are.
if [ ! -f "$kept/libspng.a" ]; then
  [ -f "$kept/libspng.tar.gz" ] || (
    own_lists "$kept" deb-src
    cd "$kept/apt"
    "${apt[@]}" update && "${apt[@]}" --download-only source libspng
    mv libspng_*.orig.tar.* "$kept/libspng.tar.gz"
  )
  tar xf "$kept/libspng.tar.gz" -C "$kept" --strip-components=2 --wildcards '*/spng/spng.c' '*/spng/spng.h'
  $triplet-gcc -Os -ffunction-sections -fdata-sections -fstack-protector-strong -DSPNG_STATIC -c "$kept/spng.c" \
    -o "$kept/spng.o"
  $triplet-ar rcs "$kept/libspng.a" "$kept/spng.o"
  printf '%s\n' 'Name: libspng' 'Description: static, for kitfox-run' 'Version: 0.7.3' "Libs: -L$kept -lspng -lz -lm" \
    "Cflags: -I$kept -DSPNG_STATIC" >"$kept/libspng.pc"
fi

dir=build/static-$triplet
[ -f "$dir/build.ninja" ] || PKG_CONFIG_PATH=$kept meson setup "$dir" --cross-file $cross -Dtoolchain=disabled \
  -Dprogram=runtime -Dtests=false -Dprefer_static=true -Dc_link_args=-static -Db_pie=false
ninja -C "$dir" programs/kitfox-run
mkdir -p "$(dirname "$to")"
$triplet-strip -o "$to" "$dir/programs/kitfox-run"
! $triplet-readelf -ld "$to" | grep -E 'NEEDED|INTERP' || { echo "$to: it needs libraries" >&2; exit 1; }
size=$(stat -c %s "$to")
echo "$to: $size bytes, static"
[ "$size" -le 2000000 ] || { echo "$to: over 2 MB" >&2; exit 1; }
