#!/usr/bin/env bash
# Builds a program as one file that needs nothing on the machine that runs it: static, for any 64-bit processor of its
# kind (x86-64, Armv8.0; the kernels of later ones are in it and chosen when it starts).
#   tools/static.sh [kitfox | kitfox-run [amd64 | arm64 [FILE]]]
# Defaults: kitfox-run, arm64, and build/PROGRAM-MACHINE. The licences of all that is in the file go into FILE.licences.
# What Debian has no fitting archive of (libspng, and for kitfox libmicrohttpd and libcurl) is built from Debian's
# source packages, with their patches. docs/RELEASES.md says what a static program lacks.
set -eu
cd "$(dirname "$0")/.."
. tools/packages.sh
. tools/foreign.sh
program=${1:-kitfox-run} arch=${2:-arm64}
case $program in kitfox | kitfox-run) ;; *) echo "$0: $program: kitfox or kitfox-run" >&2; exit 2 ;; esac
case $arch in
  amd64) machine=x86_64 ;;
  arm64) machine=aarch64 ;;
  *) echo "$0: $arch: amd64 or arm64" >&2; exit 2 ;;
esac
to=${3:-build/$program-$machine}
triplet=$machine-linux-gnu cross=()
if [ "$(uname -m)" != $machine ]; then
  cross=(--cross-file "cross/$triplet.ini")
  [ -f "${cross[1]}" ] || { echo "$0: this machine cannot build for $arch" >&2; exit 2; }
fi
libraries=(libc6 libjansson4 libjpeg62-turbo libwebp7 zlib1g) # whose licences go with the program
[ $program = kitfox-run ] || libraries+=(libprotobuf-c1 libyaml-0-2 libssl3 libc-ares2 libonnx-dev)
packages=("${BUILD_PACKAGES[@]}" dpkg-dev)
if [ ${#cross[@]} -gt 0 ]; then
  packages+=("${AARCH64_RUNTIME_PACKAGES[@]}")
  [ $program = kitfox-run ] || packages+=("${AARCH64_PACKAGES[@]}")
fi
[ $program = kitfox-run ] || packages+=("libssl-dev:$arch" "libc-ares-dev:$arch")
install_packages "${packages[@]}" || exit 1
kept=${XDG_CACHE_HOME:-$HOME/.cache}/kitfox/static
sources=$kept/source made=$kept/$triplet
mkdir -p "$sources" "$made/lib/pkgconfig" build
export PKG_CONFIG_PATH=$made/lib/pkgconfig
flags="-O2 -fPIE -ffunction-sections -fdata-sections -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"
flags+=" -ffile-prefix-map=$kept=."

# source_of PACKAGE: Debian's patched source, by apt with lists of its own; prints the folder. The system's lists stay.
source_of() {
  local apt found
  if ! compgen -G "$sources/$1-*/debian/copyright" >/dev/null; then
    own_lists "$kept" deb-src || return 1
    (cd "$sources" && "${apt[@]}" update && "${apt[@]}" source "$1") >&2 || return 1
  fi
  found=$(compgen -G "$sources/$1-*/debian" | sort -V | tail -1)
  echo "${found%/debian}"
}

# configured PACKAGE FOLDER TARGET OPTION...: builds the library in FOLDER of the source with its configure script.
configured() {
  local source build=$made/$1
  source=$(source_of "$1")
  find "$source" -exec touch -r "$source/configure" {} + # patched, but nothing is to be generated anew
  rm -rf "$build"
  mkdir -p "$build"
  (
    cd "$build"
    CFLAGS=$flags "$source/configure" --quiet --prefix="$made" --host="$triplet" --disable-shared --enable-static \
      --disable-dependency-tracking "${@:4}"
    make -s -j "$(nproc)" -C "$2" "$3"
  ) >"$build.log" 2>&1 || { tail -30 "$build.log" >&2; return 1; }
}

make_spng() {
  local source
  source=$(source_of libspng)
  "$triplet-gcc" $flags -DSPNG_STATIC -c "$source/spng/spng.c" -o "$made/spng.o"
  "$triplet-ar" rcsD "$made/lib/libspng.a" "$made/spng.o"
  printf '%s\n' 'Name: libspng' 'Description: static, for KitFox' "Version: ${source##*-}" \
    "Libs: -L$made/lib -lspng -lz -lm" "Cflags: -I$source/spng -DSPNG_STATIC" >"$made/lib/pkgconfig/libspng.pc"
}

# Without TLS: GnuTLS needs libraries of which Debian has no archive.
make_microhttpd() {
  configured libmicrohttpd src/microhttpd libmicrohttpd.la --disable-https --disable-doc --disable-examples \
    --disable-curl --disable-bauth --disable-dauth --disable-nls
  cp "$made/libmicrohttpd/src/microhttpd/.libs/libmicrohttpd.a" "$made/lib/"
  printf '%s\n' 'Name: libmicrohttpd' 'Description: static, for KitFox' "Version: $(basename "$(source_of libmicrohttpd)" |
    sed 's/.*-//')" "Libs: -L$made/lib -lmicrohttpd -pthread" "Cflags: -I$(source_of libmicrohttpd)/src/include" \
    >"$made/lib/pkgconfig/libmicrohttpd.pc"
}

# http, https and files. c-ares finds addresses: glibc would load libraries of the machine for that.
make_curl() {
  local off=(ftp ldap ldaps rtsp dict telnet tftp pop3 imap smb smtp gopher mqtt manual libcurl-option ntlm ntlm-wb
    tls-srp unix-sockets alt-svc hsts websockets)
  configured curl lib libcurl.la --enable-ares --with-openssl --without-ca-bundle --without-ca-path --without-brotli \
    --without-zstd --without-libpsl --without-libidn2 --without-nghttp2 --without-librtmp --without-libssh2 \
    --without-gssapi "${off[@]/#/--disable-}"
  cp "$made/curl/lib/.libs/libcurl.a" "$made/lib/"
  printf '%s\n' 'Name: libcurl' 'Description: static, for KitFox' "Version: $(basename "$(source_of curl)" |
    sed 's/.*-//')" "Libs: -L$made/lib -lcurl -lssl -lcrypto -lcares -lz -ldl -pthread" \
    "Cflags: -I$(source_of curl)/include -DCURL_STATICLIB" >"$made/lib/pkgconfig/libcurl.pc"
}

[ -f "$made/lib/pkgconfig/libspng.pc" ] || make_spng
own=(libspng)
if [ $program = kitfox ]; then
  own+=(libmicrohttpd curl)
  [ -f "$made/lib/pkgconfig/libmicrohttpd.pc" ] || make_microhttpd
  [ -f "$made/lib/pkgconfig/libcurl.pc" ] || make_curl
fi

# Static and yet loaded at an address of the kernel's choice.
dir=build/static-$program-$triplet
options=(-Dtests=false -Dprefer_static=true -Dc_args=-fPIE "-Dc_link_args=-static-pie -Wl,--gc-sections" -Db_pie=false)
[ $program = kitfox ] || options+=(-Dtoolchain=disabled -Dprogram=runtime)
[ -f "$dir/build.ninja" ] || meson setup "$dir" ${cross[@]+"${cross[@]}"} "${options[@]}"
ninja -C "$dir" "programs/$program"
mkdir -p "$(dirname "$to")" "$to.licences"
"$triplet-strip" -o "$to" "$dir/programs/$program"
! "$triplet-readelf" -ld "$to" | grep -E 'NEEDED|INTERP' || { echo "$to: it needs libraries" >&2; exit 1; }
cp LICENSE "$to.licences/kitfox.txt"
for name in "${libraries[@]}"; do cp "/usr/share/doc/$name/copyright" "$to.licences/$name.txt"; done
for name in "${own[@]}"; do cp "$(source_of "$name")/debian/copyright" "$to.licences/$name.txt"; done
size=$(stat -c %s "$to")
echo "$to: $size bytes, static; licences in $to.licences"
most=2000000
[ $program = kitfox-run ] || most=20000000
[ "$size" -le $most ] || { echo "$to: over $most bytes" >&2; exit 1; }
