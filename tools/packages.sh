# Debian packages that demo.sh and test.sh need, and how to install the missing ones. Sourced, not run.
BUILD_PACKAGES=(gcc libc6-dev meson ninja-build pkg-config libprotobuf-c-dev protobuf-c-compiler libonnx-dev libjansson-dev libfyaml-dev
  libjpeg62-turbo-dev libspng-dev libwebp-dev libcairo2-dev libcurl4-openssl-dev fonts-dejavu-core)
TEST_PACKAGES=(libcmocka-dev python3 python3-venv)
FULL_PACKAGES=(clang qemu-user) # of test.sh --full, which leaves out what it cannot have

# Nothing is fetched when everything is there, so the scripts work offline.
install_packages() {
  local missing=() sudo=
  command -v dpkg-query >/dev/null || return 0
  for p in "$@"; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  [ "$(id -u)" -eq 0 ] || sudo=sudo
  echo "installing: ${missing[*]}"
  $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null && return 0
  echo "cannot install ${missing[*]}; check the network and the package sources" >&2
  return 1
}
