# Debian packages that demo.sh and test.sh need, and how to install the missing ones. Sourced, not run.
BUILD_PACKAGES=(gcc libc6-dev meson ninja-build pkg-config libprotobuf-c-dev protobuf-c-compiler libonnx-dev
  libjansson-dev libyaml-dev libjpeg62-turbo-dev libspng-dev libwebp-dev libcairo2-dev libcurl4-openssl-dev
  libmicrohttpd-dev libgnutls28-dev zlib1g-dev fonts-dejavu-core)
TEST_PACKAGES=(libcmocka-dev python3 python3-venv python3-dev)
# Loaded at run time, for TIFF, AVIF and HEIC: tests of these are skipped without. Debian 13 has libavif16.
PICTURE_PACKAGES=(libtiff6 libavif15 libheif1)
FULL_PACKAGES=(clang qemu-user abigail-tools) # of test.sh --full, which leaves out what it cannot have
READER_PACKAGES=(groff man-db mandoc zsh fish) # of manual pages and completion: skipped without
ANALYZE_PACKAGES=(clang-tidy-14 cppcheck) # of tools/analyze.py, in the versions of Debian 12
JAVA_PACKAGES=(openjdk-17-jre-headless) # for Spark; Debian 13 has 21
# To build for 64-bit Arm and run that here. onnx.proto is that of the native libonnx-dev, beside which the arm64 one does
# not configure.
AARCH64_RUNTIME_PACKAGES=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)
AARCH64_RUNTIME_PACKAGES+=({libc6-dev,pkg-config,libjansson-dev,libjpeg62-turbo-dev,libspng-dev,libwebp-dev,libcmocka-dev,zlib1g-dev}:arm64)
AARCH64_PACKAGES=("${AARCH64_RUNTIME_PACKAGES[@]}")
AARCH64_PACKAGES+=({libprotobuf-c-dev,libyaml-dev,libcairo2-dev,libcurl4-openssl-dev}:arm64)

# What ./package.sh needs more, and what it needs to build for arm64.
DEBIAN_PACKAGES=(debhelper dpkg-dev dh-python libcmocka-dev libpython3-dev python3 python3-cffi)
DEBIAN_ARM64_PACKAGES=(crossbuild-essential-arm64 libpython3-dev:arm64)

# Ubuntu's name.
grep -qs '^ID=ubuntu' /etc/os-release && BUILD_PACKAGES=("${BUILD_PACKAGES[@]/libjpeg62-turbo-dev/libjpeg-dev}" python3-venv)

# Meson 1, from PyPI where the system's is older (Ubuntu 22.04).
need_meson() {
  local folder=${XDG_CACHE_HOME:-$HOME/.cache}/kitfox/meson
  case $(meson --version 2>/dev/null) in [1-9]*) return 0 ;; esac
  if [ ! -x "$folder/bin/meson" ]; then
    python3 -m venv "$folder" && "$folder/bin/pip" install -q 'meson>=1.0' || { echo "Meson 1.0 or later is needed" >&2; return 1; }
  fi
  PATH=$folder/bin:$PATH
}

# Nothing is fetched when everything is there, so the scripts work offline.
install_packages() {
  local missing=() sudo= foreign=
  command -v dpkg-query >/dev/null || return 0
  for p in "$@"; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  [ "$(id -u)" -eq 0 ] || sudo=sudo
  echo "installing: ${missing[*]}"
  if [[ "${missing[*]}" = *:arm64* ]] && ! dpkg --print-foreign-architectures | grep -qx arm64; then
    $sudo dpkg --add-architecture arm64 && foreign=arm64
  fi
  $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null && return 0
  [ -n "$foreign" ] && $sudo dpkg --remove-architecture arm64 # as it was, so that it can be tried again
  echo "cannot install ${missing[*]}; check the network and the package sources" >&2
  return 1
}
