#!/usr/bin/env bash
# Builds the Debian packages: ./package.sh [--arch ARCH] [--out FOLDER]
#   --arch ARCH     amd64 or arm64 (default: that of this machine); another one is cross-built
#   --out FOLDER    where the packages go (default: build/packages)
# docs/PACKAGES.md says what each package holds. Tests run in the build; DEB_BUILD_OPTIONS=nocheck leaves them out.
set -eu
cd "$(dirname "$0")"
. tools/packages.sh
usage() { echo "usage: ./package.sh [--arch amd64|arm64] [--out FOLDER]" >&2; exit 2; }
command -v dpkg >/dev/null || { echo "package.sh needs a Debian system: there is no dpkg" >&2; exit 1; }
here=$(dpkg --print-architecture) arch='' out=build/packages
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || usage
  case $1 in
    --arch) arch=$2 ;;
    --out) out=$2 ;;
    *) usage ;;
  esac
  shift 2
done
arch=${arch:-$here}
case $arch in amd64 | arm64) ;; *) echo "--arch $arch: packages are for amd64 and arm64" >&2; exit 2 ;; esac
install_packages "${BUILD_PACKAGES[@]}" "${DEBIAN_PACKAGES[@]}" || exit 1
options=(--build=binary)
if [ "$arch" != "$here" ]; then
  [ "$arch" = arm64 ] || { echo "--arch $arch: only arm64 is cross-built" >&2; exit 2; }
  install_packages "${AARCH64_PACKAGES[@]}" "${DEBIAN_ARM64_PACKAGES[@]}" || exit 1
  # The tests are for this machine's processor; packages for every architecture come with the native build.
  options=(--build=any -aarm64 -Pcross,nocheck)
  export DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS:-} nocheck" CONFIG_SITE=/etc/dpkg-cross/cross-config.arm64
fi

# A copy of the sources, so that nothing of the build is left among them. A release tarball has no .git.
version=$(dpkg-parsechangelog -S Version)
built=$(sed -n "s/^project([^:]*version: '\([^']*\)'.*/\1/p" meson.build)
[ "${version%%-*}" = "$built" ] || { echo "debian/changelog is of $version, meson.build of $built" >&2; exit 1; }
work=build/package-$arch copy=build/package-$arch/kitfox-$version
rm -rf "$work"
mkdir -p "$copy" "$out"
if [ -e .git ]; then
  git ls-files -z --cached --others --exclude-standard --deduplicate
else
  find . \( -path './build*' -o -name __pycache__ \) -prune -o -type f -print0 -o -type l -print0
fi | while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
  tar --null -T - -cf - | tar xf - -C "$copy"
# debhelper gives each build a home of its own, where a cache of compilations would be lost.
command -v ccache >/dev/null && export CCACHE_DIR=${CCACHE_DIR:-$(ccache --get-config cache_dir)}
(cd "$copy" && dpkg-buildpackage --no-sign "${options[@]}") >"$work/log" 2>&1 || {
  tail -40 "$work/log"
  echo "package.sh: the build failed; all of it is in $work/log" >&2
  exit 1
}
for file in "$work"/*.deb "$work"/*.changes "$work"/*.buildinfo; do
  mv "$file" "$out"
done
rm -rf "$copy"
for file in "$out"/*_"$version"_{"$arch",all}.deb; do
  [ ! -f "$file" ] || printf '%9d  %s\n' "$(stat -c %s "$file")" "${file#"$PWD/"}"
done
