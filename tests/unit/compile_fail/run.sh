#!/bin/sh
# Compiles each line of callbacks.txt (with names.h) and of api.txt (with api.h)
# by itself: a wrong one must give exactly one error, the sentence beside it.
#
#   sh tests/unit/compile_fail/run.sh COMPILER [FLAG...]
#
# The project's root must be among the include flags.
set -u
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# The names of a list are parsed once.
prepare() {
  cp "$here/$names.h" "$work/$names.h"
  case $("$@" --version 2>/dev/null) in
    *clang*) use="-include-pch $work/$names.pch" && "$@" -std=c++20 -w -x c++-header "$work/$names.h" -o "$work/$names.pch" ;;
    *) use="-include $work/$names.h" && "$@" -std=c++20 -w -x c++-header "$work/$names.h" -o "$work/$names.h.gch" ;;
  esac
}

passed=0
failed=0
for list in callbacks api; do
  names=$list
  [ "$list" = callbacks ] && names=names
  prepare "$@" || exit 1
  number=0
  while IFS= read -r line; do
    number=$((number + 1))
    case $line in '' | '#'*) continue ;; esac
    statement=${line% => *}
    expected=${line##* => }
    printf 'void test() {\n%s\n}\n' "$statement" >"$work/test.cpp"
    # shellcheck disable=SC2086
    LC_ALL=C "$@" -std=c++20 $use -fsyntax-only -w "$work/test.cpp" >"$work/out" 2>&1 </dev/null
    status=$?
    # Both compilers say twice that something is unavailable, Clang in two ways.
    errors=$(grep 'error:' "$work/out" | cut -d: -f1,2 | sort -u | wc -l)
    if [ "$expected" = compiles ]; then
      [ "$status" -eq 0 ]
    else
      [ "$status" -ne 0 ] && [ "$errors" -eq 1 ] && grep 'error:' "$work/out" | grep -qF "$expected"
    fi
    if [ $? -eq 0 ]; then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
      echo "$list.txt:$number: $statement"
      echo "  expected: $expected"
      echo "  got $errors errors:"
      grep 'error:' "$work/out" | head -5
    fi
  done <"$here/$list.txt"
done
echo "compile_fail: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
