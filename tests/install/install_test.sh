#!/bin/sh
# Installs what was built to a temporary folder and uses it as a stranger would,
# with nothing but `pkg-config --cflags --libs workerman`:
#   sh install_test.sh SOURCE-ROOT BUILD COMPILER...
set -u
source=$1
build=$2
shift 2

dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
fail() {
  echo "FAILED: $1"
  [ -f "$dir/log" ] && { grep -m 5 -i error "$dir/log"; tail -n 20 "$dir/log"; }
  exit 1
}

meson install -C "$build" --no-rebuild --destdir "$dir/root" >"$dir/log" 2>&1 || fail 'meson install'
description=$(find "$dir/root" -name workerman.pc)
[ -f "$description" ] || fail 'no workerman.pc was installed'
# It stands where it was not meant to.
prefix=$(sed -n 's/^prefix=//p' "$description")
sed -i "s|^prefix=.*|prefix=$dir/root$prefix|" "$description"

export PKG_CONFIG_PATH="${description%/*}"
LD_LIBRARY_PATH="${PKG_CONFIG_PATH%/*}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export LD_LIBRARY_PATH
flags=$(pkg-config --cflags --libs workerman) || fail 'pkg-config does not know workerman'
echo "pkg-config --cflags --libs workerman: $flags"

warnings='-Wall -Wextra -Wno-unused-parameter -Werror'
# shellcheck disable=SC2086
"$@" -std=c++20 $warnings "$source/tests/install/consumer.cpp" -o "$dir/consumer" $flags >"$dir/log" 2>&1 ||
  fail 'the program does not compile and link'
"$dir/consumer" >"$dir/log" 2>&1 || fail "the program does not run (status $?)"
cat "$dir/log"

# The README's first program is meant to be copied.
sed -n '/^```cpp$/,/^```$/p' "$source/README.md" | sed '1d; /^```$/,$d' >"$dir/readme.cpp"
# shellcheck disable=SC2086
"$@" -std=c++20 $warnings "$dir/readme.cpp" -o "$dir/readme" $flags >"$dir/log" 2>&1 ||
  fail "the README's program does not compile and link"

# Each header compiles alone, and all but the umbrella keep the libraries out of
# sight: -H lists what gets included, a line for each.
libraries='^\.+ .*(/(uv|llhttp)\.h|/openssl/.*|/nlohmann/json\.hpp)$'
count=0
flags=$(pkg-config --cflags workerman)
cd "$dir/root$prefix/include" || fail 'no headers were installed'
for header in $(find workerman -name '*.h' | sort); do
  echo "#include <$header>" >"$dir/alone.cpp"
  # shellcheck disable=SC2086
  "$@" -std=c++20 $warnings $flags -fsyntax-only -H "$dir/alone.cpp" >"$dir/log" 2>&1 ||
    fail "<$header> does not compile alone"
  if [ "$header" != workerman/workerman.h ] && grep -E "$libraries" "$dir/log" >"$dir/shown"; then
    cat "$dir/shown"
    : >"$dir/log"
    fail "<$header> shows a library"
  fi
  count=$((count + 1))
done
if [ ! -f workerman/workerman.h ] || [ "$count" -lt 2 ]; then fail 'the headers are not where they belong'; fi
echo "$count headers compile alone"

shared=$(find "$dir/root" -type f -name 'libworkerman.so*' | head -n 1)
if [ -n "$shared" ] && nm -D --defined-only "$shared" | grep llhttp >"$dir/log"; then
  fail 'the library exports llhttp'
fi
echo "installed and used as a ${shared:+shared }library"
