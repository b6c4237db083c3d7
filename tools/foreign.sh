# Debian's libraries for a processor that the build machine's package lists lack: fetched with lists of their own and
# unpacked into the user's cache, so that nothing of the system changes. Sourced by test.sh, after tools/packages.sh.
FOREIGN_LIBRARIES=(libc6 libjansson{-dev,4} libcmocka{-dev,0} libjpeg62-turbo{-dev,} libspng{-dev,0} libwebp{-dev,7})
FOREIGN_LIBRARIES+=(zlib1g{-dev,})

# debian_source KIND: the line of sources.list, of KIND (deb, deb-src), for the mirror and the release of this machine.
debian_source() {
  local codename mirror
  codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
  mirror=$(apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' |
    sed -n "s|^\([^ ]*\) $codename main\$|\1|p" | head -1)
  [ -n "$mirror" ] || { echo "apt has no lists of $codename main; run apt-get update" >&2; return 1; }
  echo "$1 $mirror $codename main"
}

# own_lists FOLDER KIND: package lists of KIND in FOLDER/apt; leaves in `apt` the command that uses them.
own_lists() {
  local source d=$1/apt
  source=$(debian_source "$2") || return 1
  mkdir -p "$d"/{lists,cache/archives}/partial && : >"$d/status" || return 1
  echo "$source" >"$d/sources.list"
  apt=(apt-get -qq -o "Dir::Etc::SourceList=$d/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::lists=$d/lists"
    -o "Dir::State::status=$d/status" -o "Dir::Cache=$d/cache")
}

# foreign_root ARCH TRIPLET: unpacks FOREIGN_LIBRARIES once, prints the folder. root.ini there completes the cross file.
foreign_root() {
  local root=${XDG_CACHE_HOME:-$HOME/.cache}/kitfox/root-$1 apt deb
  if [ ! -f "$root/root.ini" ]; then
    own_lists "$root" deb || return 1
    apt+=(-o "APT::Architecture=$1" -o "APT::Architectures=$1")
    (
      cd "$root/apt" && "${apt[@]}" update && "${apt[@]}" download "${FOREIGN_LIBRARIES[@]}"
    ) >&2 || return 1
    for deb in "$root"/apt/*.deb; do dpkg-deb -x "$deb" "$root" || return 1; done
    rm -rf "$root/apt"
    printf '%s\n' '[properties]' "sys_root = '$root'" "pkg_config_libdir = '$root/usr/lib/$2/pkgconfig'" \
      '[built-in options]' "c_args = ['-isystem', '$root/usr/include/$2']" \
      "c_link_args = ['-Wl,-rpath-link,$root/lib/$2']" >"$root/root.ini"
  fi
  echo "$root"
}

# jansson_for_musl: Debian's jansson is built for glibc. Builds its source for musl once, prints the folder.
jansson_for_musl() {
  local kept=${XDG_CACHE_HOME:-$HOME/.cache}/kitfox/musl apt f
  if [ ! -f "$kept/jansson.pc" ]; then
    mkdir -p "$kept/jansson" && own_lists "$kept" deb-src || return 1
    (
      cd "$kept/apt" && "${apt[@]}" update && "${apt[@]}" --download-only source jansson &&
        tar xf jansson_*.orig.tar.* -C "$kept/jansson" --strip-components=1
    ) >&2 || return 1
    # What its configure script finds: the integers and the locale's decimal point of C99.
    printf '#define %s\n' 'HAVE_STDINT_H 1' 'HAVE_UNISTD_H 1' 'HAVE_SYS_TIME_H 1' 'HAVE_LOCALE_H 1' \
      'HAVE_LOCALECONV 1' 'INITIAL_HASHTABLE_ORDER 3' >"$kept/jansson/jansson_private_config.h"
    sed 's/@json_inline@/inline/; s/@json_have_[a-z_]*@/1/' "$kept/jansson/src/jansson_config.h.in" \
      >"$kept/jansson/jansson_config.h"
    for f in "$kept"/jansson/src/*.c; do
      musl-gcc -O2 -fPIC -DHAVE_CONFIG_H -I"$kept/jansson" -c "$f" -o "${f%.c}.o" >&2 || return 1
    done
    ar rcs "$kept/libjansson.a" "$kept"/jansson/src/*.o
    printf '%s\n' 'Name: jansson' 'Description: for musl' 'Version: 2.14' "Libs: -L$kept -ljansson" \
      "Cflags: -I$kept/jansson -I$kept/jansson/src" >"$kept/jansson.pc"
    rm -rf "$kept/apt"
  fi
  echo "$kept"
}
