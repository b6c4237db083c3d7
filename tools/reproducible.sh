#!/usr/bin/env bash
# Two builds of the committed sources in two folders give the same bytes: programs, libraries, archives, headers,
# models. Both come from the tarball of tools/release.sh, without network where the system allows that; nothing of the
# second comes from ccache. With --tests the quick tests of the first have to pass too: there are no git and no
# ../shared.
#   tools/reproducible.sh [--tests]
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
offline=()
unshare -rn true 2>/dev/null && offline=(unshare -rn)
tests=false
[ "${1:-}" != --tests ] || tests=true
SUITES=(house unit) # of `meson test`
tools/release.sh "$work/out" 2>/dev/null

# built NAME BUILD-FOLDER TESTS: unpacked into a folder of that name, built, installed beside it.
built() {
  mkdir -p "$work/$1"
  tar xf "$work"/out/kitfox-*.tar.gz -C "$work/$1"
  (
    cd "$work/$1"/kitfox-*
    "${offline[@]}" meson setup "$2" --prefix=/usr/local -Dtests="$3" && "${offline[@]}" ninja -C "$2" &&
      DESTDIR=$work/$1/installed meson install -C "$2" --no-rebuild --quiet
  ) >"$work/$1.log" 2>&1 || { tail -30 "$work/$1.log"; return 1; }
}

# differing A B: the names of the sections that differ, or the first byte.
differing() {
  local section found=
  if readelf -SW "$1" >/dev/null 2>&1 && [[ $1 != *.a ]]; then
    while read -r section; do
      cmp -s <(objcopy -O binary --only-section="$section" "$1" /dev/stdout 2>/dev/null) \
        <(objcopy -O binary --only-section="$section" "$2" /dev/stdout 2>/dev/null) || found+=" $section"
    done < <(readelf -SW "$1" | sed -n 's/^ *\[ *[0-9]*\] \(\.[^ ]*\).*/\1/p')
  fi
  [ -n "$found" ] && echo "sections$found" || cmp "$1" "$2" 2>&1 | head -1
}

built one build $tests
CCACHE_DISABLE=1 built a/longer/name/for-the-second somewhere/else false
one=$work/one/installed two=$work/a/longer/name/for-the-second/installed
(cd "$one" && find . -type f -o -type l | sort) >"$work/list"
diff "$work/list" <(cd "$two" && find . -type f -o -type l | sort) || { echo "they install different files"; exit 1; }
same=0 differ=0
while read -r name; do
  [ -f "$one/$name" ] || continue
  if cmp -s "$one/$name" "$two/$name"; then
    same=$((same + 1))
  else
    differ=$((differ + 1))
    echo "differs: $name: $(differing "$one/$name" "$two/$name")"
    ! command -v diffoscope >/dev/null || diffoscope --max-report-size 2000 "$one/$name" "$two/$name" | head -40 || true
  fi
done <"$work/list"
echo "$same installed files are the same, $differ differ;" \
  "$(sha256sum "$one/usr/local/bin/kitfox" | cut -c1-16) is kitfox"
[ $differ -eq 0 ] || exit 1
if [ $tests = true ]; then
  cd "$work"/one/kitfox-*
  echo "== tests of the unpacked tarball"
  "${offline[@]}" meson test -C build --no-rebuild --no-suite full --no-suite long \
    ${SUITES[@]/#/--suite=} --print-errorlogs -t 4 2>&1 | tail -15
fi
