# Builds the Debian packages, and tries them in clean roots: installed natively, and for arm64 unpacked and emulated.
# Sourced by test.sh --full, whose counters it adds to, after tools/packages.sh, tools/foreign.sh and tools/emulate.sh.
# The roots, before anything of KitFox is in them, are kept in the user's cache.
CLEAN_PACKAGES=(lintian mmdebstrap)
ARM64_ROOT=libcurl4,libjansson4,libjpeg62-turbo,libmicrohttpd12,libprotobuf-c1,libspng0,libwebp7,libyaml-0-2,python3
ARM64_ROOT+=,python3-cffi-backend,python3-numpy,zlib1g

# clean_root ARCH FOLDER: a new root of that architecture, made once.
clean_root() {
  local kept=${XDG_CACHE_HOME:-$HOME/.cache}/kitfox/clean-$1.tar codename source options=(--variant=apt)
  [ "$1" = "$(dpkg --print-architecture)" ] || options=(--variant=extract --include="$ARM64_ROOT")
  if [ ! -f "$kept" ]; then
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    source=$(debian_source deb) || return 1
    mkdir -p "${kept%/*}"
    mmdebstrap -q --architectures="$1" --format=tar "${options[@]}" "$codename" "$kept.part" "$source" >&2 || {
      rm -f "$kept.part"
      return 1
    }
    mv "$kept.part" "$kept"
  fi
  mkdir -p "$2" && tar xf "$kept" -C "$2" --exclude='./dev/*'
}

# in_root ROOT COMMAND...: with /proc and /dev, which are gone when the command ends.
in_root() {
  local root=$1
  shift
  unshare --mount --pid --fork --propagation private sh -c 'root=$1; shift
    mount -t proc proc "$root/proc" && mount --bind /dev "$root/dev" && exec chroot "$root" "$@"' sh "$root" \
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

# files_of ROOT: everything but what apt and dpkg keep for themselves, and caches of other packages.
files_of() {
  (cd "$1" && find . -xdev \( -path './proc/*' -o -path './dev/*' -o -path './packages*' -o -path './tmp/*' \
    -o -path './var/cache/*' -o -path './var/lib/apt/*' -o -path './var/lib/dpkg/*' -o -path './var/log/*' \
    -o -path './root/.cache*' \) -prune -o -print | sort)
}

# newer FOLDER: the same packages, as of a later version.
newer() {
  local deb open=$1/open
  for deb in "$1"/*.deb; do
    rm -rf "$open"
    dpkg-deb -R "$deb" "$open" || return 1
    sed -i "s/^Version: .*/&+later/; s/(= \([0-9][^)]*\))/(= \1+later)/g" "$open/DEBIAN/control"
    mkdir -p "$1/newer" && dpkg-deb --root-owner-group -b "$open" "$1/newer" >/dev/null || return 1
  done
  rm -rf "$open"
}

# apt_in ROOT ARGUMENT...: apt-get there. What it says is shown when it fails.
apt_in() {
  local root=$1
  shift
  in_root "$root" apt-get -qq -y "$@" >"$root/packages/log" 2>&1 || { tail -20 "$root/packages/log"; return 1; }
}

# debs_in ROOT FOLDER: as apt wants them there.
debs_in() { (cd "$1" && printf '/%s\n' "$2"/*.deb); }

# left_in ROOT: there is no file but those that were there before, and none of ours.
left_in() {
  local left
  files_of "$1" >"$1/packages/after"
  left=$(comm -13 "$1/packages/before" "$1/packages/after"; grep -i kitfox "$1/packages/after")
  [ -z "$left" ] || { echo "left after the removal:"; head -20 <<<"$left"; return 1; }
}

# installed_packages ROOT OUT: install, use, upgrade, use, remove; nothing may be left.
installed_packages() {
  local root=$1 native version tools=(gcc libc6-dev pkg-config curl) names count deb
  version=$(dpkg-parsechangelog -S Version) || return 1
  native=$(dpkg --print-architecture)
  mkdir -p "$root/packages"
  cp "$2"/*_{"$native",all}.deb data/everyday10.{safetensors,json} tests/packages/inside.sh "$root/packages" || return 1
  rm -f "$root"/packages/*-dbgsym_*
  newer "$root/packages" || return 1
  names=$(for deb in "$root"/packages/*.deb; do dpkg-deb -f "$deb" Package; done)
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  apt_in "$root" update || return 1
  apt_in "$root" install --no-install-recommends "${tools[@]}" || return 1
  # Other packages stay from here on: not all of them remove what they made.
  apt_in "$root" install $(debs_in "$root" packages) && apt_in "$root" purge $names || return 1
  files_of "$root" >"$root/packages/before"
  apt_in "$root" install $(debs_in "$root" packages) || return 1
  in_root "$root" sh /packages/inside.sh "$version" || return 1
  apt_in "$root" install $(debs_in "$root" packages/newer) || return 1
  count=$(in_root "$root" dpkg-query -W -f '${Version}\n' $names | grep -c '+later$')
  [ "$count" -eq "$(wc -w <<<"$names")" ] || { echo "only $count packages were upgraded"; return 1; }
  in_root "$root" sh /packages/inside.sh "$version" || return 1
  apt_in "$root" purge $names || return 1
  left_in "$root"
}

# unpacked_packages ROOT OUT: what is for arm64, in a root whose programs the emulator runs.
unpacked_packages() {
  local deb
  for deb in "$2"/*_{arm64,all}.deb; do
    [[ $deb = *-dbgsym_* ]] || dpkg-deb -x "$deb" "$1" || return 1
  done
  sh tests/packages/emulated.sh "$1"
}

# linted OUT: no error and no warning.
linted() { lintian --allow-root --profile debian --fail-on error,warning --tag-display-limit 0 "$1"/*.changes; }

# The tests of the packages, as test.sh counts them.
packages() {
  local begin=$SECONDS work native
  echo "== packages"
  if [ "$(id -u)" -ne 0 ] || [ ! -f /etc/debian_version ] || ! install_packages "${CLEAN_PACKAGES[@]}" 2>/dev/null; then
    skip "the packages are built and installed by root on Debian, with lintian and mmdebstrap"
    return
  fi
  native=$(dpkg --print-architecture) work=$(mktemp -d)
  emulated_test "packages: build for $native" ./package.sh --out "$work/$native"
  emulated_test "packages: lintian, $native" linted "$work/$native"
  if clean_root "$native" "$work/root" 2>/dev/null; then
    emulated_test "packages: install, use, upgrade, remove" installed_packages "$work/root" "$work/$native"
  else
    skip "no clean root could be made"
  fi
  if [ "$native" != arm64 ]; then
    emulated_test "packages: build for arm64" ./package.sh --arch arm64 --out "$work/arm64"
    emulated_test "packages: lintian, arm64" linted "$work/arm64"
    cp "$work/$native"/*_all.deb "$work/arm64"
    if clean_root arm64 "$work/root-arm64" 2>/dev/null; then
      emulated_test "packages: use on arm64" unpacked_packages "$work/root-arm64" "$work/arm64"
    else
      skip "no clean root of arm64 could be made"
    fi
  fi
  rm -rf "$work"
  echo "== packages took $((SECONDS - begin)) s"
}
