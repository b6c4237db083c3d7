#!/usr/bin/env bash
# From a fresh Debian 12 to labels on pictures: install, build, classify, measure.
set -eu
cd "$(dirname "$0")"
. tools/packages.sh
install_packages "${BUILD_PACKAGES[@]}"
need_meson
if [ ! -f build/demo/build.ninja ]; then
  meson setup build/demo -Dtests=false >/dev/null
fi
ninja -C build/demo >/dev/null
kitfox=build/demo/programs/kitfox
mkdir -p build/demo/annotated
echo "The built-in model, everyday10 (MobileNetV3-Small, 10 classes, 64 x 64):"
$kitfox classify -k 3 --annotate build/demo/annotated/%s.png examples/pictures/*.jpg
echo
echo "Annotated pictures: build/demo/annotated/*.png"
$kitfox bench --threads 1,2 --frames 200
