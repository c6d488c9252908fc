#!/bin/sh
# Uses the library as a subproject of somebody else's Meson project, as a shared
# library: sh subproject_test.sh SOURCE-ROOT COMPILER...
set -u
source=$1
shift

dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
mkdir -p "$dir/app/subprojects"
ln -s "$source" "$dir/app/subprojects/workerman"
cp "$source/tests/install/consumer.cpp" "$dir/app/"
cat >"$dir/app/meson.build" <<'TEXT'
project('app', 'cpp', default_options: ['cpp_std=c++20', 'warning_level=2', 'werror=true'])
add_project_arguments('-Wno-unused-parameter', language: 'cpp')
executable('consumer', 'consumer.cpp', dependencies: dependency('workerman', fallback: 'workerman'))
TEXT

fail() {
  echo "FAILED: $1"
  { grep -m 5 -i error "$dir/log"; tail -n 20 "$dir/log"; }
  exit 1
}
CXX="$*" meson setup "$dir/build" "$dir/app" --buildtype=plain -Dworkerman:default_library=shared \
  --force-fallback-for=workerman >"$dir/log" 2>&1 || fail 'meson setup'
ninja -C "$dir/build" >"$dir/log" 2>&1 || fail 'build'
[ ! -e "$dir/build/subprojects/workerman/tests/unit_tests" ] || fail 'a subproject must not build its tests'
"$dir/build/consumer" >"$dir/log" 2>&1 || fail "the program does not run (status $?)"
cat "$dir/log"
library=$(find "$dir/build" -type f -name 'libworkerman.so*' ! -path '*.p/*' | head -n 1)
nm -D --defined-only "$library" >"$dir/symbols" 2>"$dir/log" || fail 'no shared library was made'
grep -q Workerman "$dir/symbols" || fail 'the shared library exports nothing'
if grep llhttp "$dir/symbols" >"$dir/log"; then
  fail 'the shared library exports llhttp'
fi
echo 'used as a subproject and as a shared library'
