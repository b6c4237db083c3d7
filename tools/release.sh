#!/usr/bin/env bash
# Makes what a release consists of, apart from binaries: kitfox-VERSION.tar.gz with the sources, kitfox.wrap for
# projects that take them as a Meson subproject, and SHA256SUMS.
#   tools/release.sh [OUT [COMMIT]]        (default: build/release, and HEAD)
# What is committed is in it, with the commit's time as that of every file, names in order and no owner: the same commit
# gives the same bytes on every machine. docs/RELEASES.md has the steps of a release.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-build/release} commit=${2:-HEAD}
git rev-parse --git-dir >/dev/null 2>&1 && [ -e .git ] ||
  { echo "$0: this is no checkout of git; a release is made from a commit" >&2; exit 1; }
version=$(git show "$commit:meson.build" | sed -n "s/^project('kitfox'.* version: '\([0-9.]*\)'.*/\1/p")
[ -n "$version" ] || { echo "$0: $commit: meson.build says no version" >&2; exit 1; }
git diff --quiet HEAD || echo "$0: note: what is not committed is left out" >&2
name=kitfox-$version
mkdir -p "$out"
# SOURCE_DATE_EPOCH is what git takes by itself: the time of the commit.
git -c tar.umask=0022 archive --format=tar --prefix="$name/" "$commit" | gzip -n -9 >"$out/$name.tar.gz"
cat >"$out/kitfox.wrap" <<END
# KitFox as a Meson subproject. Put this file into subprojects/, and $name.tar.gz into subprojects/packagefiles/.
[wrap-file]
directory = $name
source_filename = $name.tar.gz
source_hash = $(sha256sum "$out/$name.tar.gz" | cut -d' ' -f1)

[provide]
dependency_names = kitfox, kitfoxc, kitfoximg, kitfoxlab
END
(cd "$out" && sha256sum "$name.tar.gz" kitfox.wrap >SHA256SUMS)
echo "$out/$name.tar.gz: $(stat -c %s "$out/$name.tar.gz") bytes"
