#!/bin/sh
# Installs what the tests need, builds and runs them all, and closes with the
# line `N passed, N failed`.
#
#   sh tests/run.sh          g++ with warnings as errors; unit, integration and fuzz seeds again under
#                            ASan and UBSan
#   sh tests/run.sh --full   also the rest under the sanitizers, clang++, ThreadSanitizer, longer
#                            fuzzing, the soak tests, the benchmarks' limits (instructions, system
#                            calls, memory), the chat in Chromium
#
# JOBS=N limits parallel work, CXX_NAME=... picks another GCC. Needs no network
# once everything is installed.
set -u

cd "$(dirname "$0")/.." || exit 1
root=$(pwd)
# shellcheck source=tests/support/packages.sh
. tests/support/packages.sh

full=false
case "${1:-}" in
  '') ;;
  --full) full=true ;;
  *) sed -n '2,13s/^# \{0,1\}//p' tests/run.sh; exit 2 ;;
esac
ccache=$(have ccache >/dev/null && echo 'ccache ')
jobs=${JOBS:-$(getconf _NPROCESSORS_ONLN)}
passed=0
failed=0

# -- what is needed -----------------------------------------------------------
need_build_tools
need doctest-dev have_header doctest/doctest.h
need clang-format have clang-format
need curl have curl
need openssl have openssl
need python3 have python3
need python3-websockets find_python
need nodejs have node
need tinyproxy-bin have tinyproxy
need microsocks have microsocks
need haproxy test -x /usr/sbin/haproxy
need strace have strace
need valgrind have valgrind
have npm >/dev/null || need node-ws test -f /usr/share/nodejs/ws/package.json
if $full; then
  need chromium have chromium
  need clang have clang++
  need libclang-rt-14-dev sh -c 'echo "int main(){}" | clang++ -fsanitize=address,fuzzer-no-link -x c++ - -o /dev/null'
  need libboost-dev have_header boost/version.hpp
  need libwebsocketpp-dev have_header websocketpp/version.hpp
  need libwebsockets-dev pkg-config --exists libwebsockets
fi
if ! install_missing; then
  echo "0 passed, 1 failed"
  exit 1
fi
find_python
if [ ! -f /usr/share/nodejs/ws/package.json ] && [ ! -f build/node/node_modules/ws/package.json ]; then
  echo "Fetching the Node package ws into build/node"
  mkdir -p build/node && npm install --silent --no-audit --no-fund --no-save --prefix build/node ws@8 || exit 1
fi

# -- steps ----------------------------------------------------------------------
# build NAME COMPILER SETUP-OPTION...: configures and builds build/NAME, or of it only what $targets names.
targets=
build() {
  name=$1
  compiler=$ccache$2
  shift 2
  echo "== $name: build"
  mkdir -p "build/$name"
  again=
  [ -f "build/$name/build.ninja" ] && again=--reconfigure
  # shellcheck disable=SC2086
  if { CXX=$compiler CC=$(echo "$compiler" | sed 's/clang++/clang/; s/g++/gcc/') \
         meson setup $again "build/$name" "$root" -Dwerror=true -Dtests=enabled -Dexamples=enabled "$@" &&
       ninja -C "build/$name" -j "$jobs" -k 0 $targets; } >"build/$name.log" 2>&1; then
    return 0
  fi
  grep -vE '^\[[0-9]+/[0-9]+\] (Compiling|Linking|Generating)' "build/$name.log" | tail -n 150
  echo "error: $name did not build (all of the output: build/$name.log)"
  failed=$((failed + 1))
  return 1
}

# run NAME TEST-OPTION...: runs tests of build/NAME and adds up what they report.
run() {
  name=$1
  shift
  echo "== $name: test"
  rm -f "build/$name/meson-logs/testlog.json"
  meson test -C "build/$name" --no-rebuild --print-errorlogs --num-processes "$jobs" "$@" 2>&1 |
    grep -vE '^(ninja: |$)|^(Expected Fail|Unexpected Pass|Skipped|Timeout): +0|^Full log'
  counts=$("$PYTHON" tests/support/summary.py "build/$name/meson-logs/testlog.json" 2>/dev/null) || {
    echo "error: no test of $name was run"
    counts='0 1'
  }
  passed=$((passed + ${counts% *}))
  failed=$((failed + ${counts#* }))
}

# Line numbers are all that a report shows; more would cost a third of the time to compile.
sanitizers='-fno-sanitize-recover=all -fno-omit-frame-pointer -g1'
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"
export TSAN_OPTIONS="${TSAN_OPTIONS:-suppressions=$root/tests/support/tsan.supp}"

# -- every run --------------------------------------------------------------------
# Debug information would cost a third of the time to compile.
if build gcc "${CXX_NAME:-g++}" -Dbuildtype=release -Doptimization=2; then
  run gcc --no-suite soak --no-suite browser
  if $full; then run gcc --suite browser; fi
fi
# The shared library is built here, so that one gets linked and tested too.
asan_suites='--suite unit --suite integration --suite fuzz'
fuzzers=
for fuzzer in tests/fuzz/*_fuzz.cpp; do
  fuzzers="$fuzzers tests/fuzz_$(basename "$fuzzer" _fuzz.cpp)"
done
targets="tests/unit_tests tests/integration_tests $fuzzers"
if $full; then
  targets=
  asan_suites='--no-suite soak --no-suite browser --no-suite install --no-suite lint --no-suite compile'
fi
if build asan "${CXX_NAME:-g++}" -Dbuildtype=debug -Doptimization=1 -Ddefault_library=shared \
    -Db_sanitize=address,undefined "-Dcpp_args=$sanitizers" "-Dc_args=$sanitizers"; then
  # shellcheck disable=SC2086
  run asan $asan_suites --timeout-multiplier 3
fi
targets=

# -- only with --full -------------------------------------------------------------
if $full; then
  if build clang clang++ -Dbuildtype=release; then
    run clang --no-suite browser --no-suite lint --timeout-multiplier 2
  fi
  if build bench "${CXX_NAME:-g++}" -Dbuildtype=release -Dbench=true; then
    run bench --suite bench
  fi
  targets='tests/unit_tests tests/integration_tests'
  if build tsan "${CXX_NAME:-g++}" -Dbuildtype=debug -Doptimization=1 -Db_sanitize=thread; then
    run tsan --suite unit --suite integration '--test-args=--test-case=*thread*,*post*' --timeout-multiplier 5
  fi
  targets=$fuzzers
  if build fuzz clang++ -Dbuildtype=debugoptimized -Dfuzz=true -Db_lundef=false \
      -Db_sanitize=address,undefined "-Dcpp_args=$sanitizers" "-Dc_args=$sanitizers"; then
    run fuzz --suite fuzz
  fi
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
