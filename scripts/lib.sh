# Sourced by the scripts beside it: where things are, how to say things, how a system
# package is installed. Nothing is written outside the project but system packages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD
DEPS=$ROOT/.deps
JOBS=${JOBS:-$(nproc)}
export PATH=$PATH:$DEPS/bin # take_program
PRESETS="debug release asan tsan coverage"

say() { printf '==> %s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# The packages of a group in scripts/packages.txt, one a line.
packages_of() { awk -v group="$1" '$1 == group { print $2 }' scripts/packages.txt; }

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Installs those packages that are not there. Quick, and without the network, when all are.
apt_install() {
  command -v dpkg-query >/dev/null ||
    die "this is not Debian; scripts/packages.txt lists what to install by hand: $*"
  local missing=() package
  for package in "$@"; do
    is_installed "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
    die "these packages are missing, and there is no sudo to install them with: ${missing[*]}"
  say "installing ${missing[*]}"
  local log install=(env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y
    --no-install-recommends -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "${missing[@]}")
  mkdir -p "$DEPS"
  log=$DEPS/apt.log
  # The package lists may be absent or old: fetch them only if it does not work without.
  if ! as_root "${install[@]}" >"$log" 2>&1; then
    if ! { as_root apt-get update -qq && as_root "${install[@]}"; } >"$log" 2>&1; then
      cat "$log" >&2
      die "apt-get could not install ${missing[*]}"
    fi
  fi
}

install_group() {
  local packages
  mapfile -t packages < <(packages_of "$1")
  apt_install "${packages[@]}"
}

# take_program PACKAGE PATH: one program out of a package that is not to be installed, since
# it would start a service; into .deps/bin. Quick, and without the network, when it is there.
take_program() {
  local package=$1 program=$2 name=${2##*/} work
  command -v "$name" >/dev/null && return 0
  command -v dpkg-deb >/dev/null || die "this is not Debian; install $name by hand ($package)"
  say "taking $name out of the package $package"
  mkdir -p "$DEPS/bin"
  work=$(mktemp -d "$DEPS/take.XXXXXX")
  # The package lists may be absent or old, as above; apt checks what it downloads by them.
  if ! (cd "$work" && apt-get download -qq "$package") >"$DEPS/apt.log" 2>&1; then
    if ! { as_root apt-get update -qq && (cd "$work" && apt-get download -qq "$package"); } \
      >"$DEPS/apt.log" 2>&1; then
      cat "$DEPS/apt.log" >&2
      rm -rf "$work"
      die "apt-get could not download $package"
    fi
  fi
  dpkg-deb -x "$work/$package"_*.deb "$work/out"
  mv "$work/out/$program" "$DEPS/bin/$name"
  rm -rf "$work"
}

# The Python of the tests; scripts/install-test-deps makes it.
PYTHON=$DEPS/venv/bin/python

# Sanitizers stop at the first finding and say where.
sanitizer_environment() {
  export ASAN_OPTIONS=detect_leaks=1:halt_on_error=1:detect_stack_use_after_return=1
  export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
  export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=$ROOT/cmake/tsan.supp
  export LSAN_OPTIONS=print_suppressions=0:suppressions=$ROOT/cmake/lsan.supp
  export ASAN_SYMBOLIZER_PATH=/usr/bin/llvm-symbolizer-14
  export TSAN_SYMBOLIZER_PATH=$ASAN_SYMBOLIZER_PATH
}
