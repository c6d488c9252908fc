# Sourced by tests/run.sh and examples/quickstart.sh: finds out what is missing
# on this machine and, as root on Debian or Ubuntu, installs it.

missing=

# need PACKAGE COMMAND...: the Debian package is missing if the command fails.
need() {
  package=$1
  shift
  "$@" >/dev/null 2>&1 || missing="$missing $package"
}

have() { command -v "$1"; }

# Says whether a C/C++ header is there, for libraries without a pkg-config file.
have_header() { printf '#include <%s>\n' "$1" | "${CXX_NAME:-g++}" -x c++ -E - ; }

have_llhttp() { pkg-config --exists libllhttp || test -f /usr/share/llhttp/llhttp.c || test -d subprojects/llhttp; }

# The distribution's Python comes first: its packages are not seen by another
# Python that happens to be earlier in PATH.
find_python() {
  for python in "${PYTHON:-}" /usr/bin/python3 python3; do
    if [ -n "$python" ] && "$python" -c 'import websockets' 2>/dev/null; then
      PYTHON=$python
      export PYTHON
      return 0
    fi
  done
  return 1
}

need_build_tools() {
  need g++ have g++
  need meson have meson
  need ninja-build have ninja
  need pkg-config have pkg-config
  need libuv1-dev pkg-config --exists 'libuv >= 1.44'
  need libssl-dev pkg-config --exists 'openssl >= 3.0'
  need zlib1g-dev pkg-config --exists zlib
  need nlohmann-json3-dev pkg-config --exists 'nlohmann_json >= 3.11'
  need node-llhttp have_llhttp
}

install_missing() {
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" -eq 0 ] && have apt-get >/dev/null; then
    echo "Installing:$missing"
    log=$(mktemp)
    # The lists may be old or, on a fresh machine, not there at all.
    # shellcheck disable=SC2086
    if { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
       } >"$log" 2>&1; then
      rm -f "$log"
      return 0
    fi
    tail -n 20 "$log" >&2
    rm -f "$log"
    echo "error: apt-get could not install:$missing" >&2
    return 1
  fi
  cat >&2 <<TEXT
error: something needed is missing here. On Debian 12 or Ubuntu, as root:
    apt-get install$missing
Elsewhere, install what these packages hold under your system's names: GCC 12 or
newer, Meson 1.0, Ninja, pkg-config, libuv 1.44, OpenSSL 3, zlib, nlohmann-json
3.11, llhttp; for the tests also doctest, Python 3 with websockets, and Node.js
with ws.
TEXT
  return 1
}
