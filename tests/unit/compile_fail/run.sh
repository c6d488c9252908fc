#!/bin/sh
# Compiles each line of the lists by itself: callbacks.txt with names.h, api.txt and bodies.txt with api.h.
# A wrong one must give an error at one place, the sentence beside it. The first line that says "error:" names
# the program, not a header, and the compiler's whole answer has at most 30 lines.
#
#   sh tests/unit/compile_fail/run.sh COMPILER [FLAG...]
#
# The project's root must be among the include flags.
set -u
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export LC_ALL=C
longest=30

# prepare STANDARD NAMES COMPILER...: the names of a list are parsed once.
prepare() {
  standard=$1
  names=$2
  shift 2
  cp "$here/$names.h" "$work/$names.h"
  case $("$@" --version 2>/dev/null) in
    *clang*) use="-include-pch $work/$names.pch" && set -- "$@" -o "$work/$names.pch" ;;
    *) use="-include $work/$names.h" && set -- "$@" -o "$work/$names.h.gch" ;;
  esac
  "$@" "-std=$standard" -w -x c++-header "$work/$names.h"
}

# judge LINE FILE STATUS: says what is wrong with the answer, if anything is.
judge() {
  expected=${1##* => }
  if [ "$expected" = compiles ]; then
    [ "$3" -eq 0 ] || echo "does not compile"
    return
  fi
  # Both compilers say twice that something is unavailable, Clang in two ways.
  places=$(grep 'error:' "$2.out" | cut -d: -f1,2 | sort -u | wc -l)
  lines=$(wc -l <"$2.out")
  [ "$3" -ne 0 ] || echo "compiles"
  [ "$places" -eq 1 ] || echo "errors at $places places"
  grep 'error:' "$2.out" | grep -qF -- "$expected" || echo "expected: $expected"
  case $(grep -m 1 'error:' "$2.out") in
    "$2.cpp:2:"*) ;;
    *) echo "the first error does not name the program" ;;
  esac
  [ "$lines" -le "$longest" ] || echo "$lines lines, more than $longest"
}

# together LIST COMPILER...: the right ones of a list in one program, which is quicker.
together() {
  list=$1
  shift
  awk '/^[^#].* => compiles$/ { sub(/ => compiles$/, ""); print "void test" NR "() {\n" $0 "\n}" }' \
    "$here/$list.txt" >"$work/together.cpp"
  "$@" -fsyntax-only -w "$work/together.cpp" >/dev/null 2>&1 </dev/null || return
  grep '^[^#].* => compiles$' "$here/$list.txt" >>"$work/together.passed"
}

# check LIST HALF COMPILER...: every second line of a list; "compiles" only if those did not together.
check() {
  list=$1
  half=$2
  shift 2
  number=0
  file=$work/half$half
  while IFS= read -r line; do
    number=$((number + 1))
    case $line in '' | '#'*) continue ;; esac
    [ $((number % 2)) -eq "$half" ] || continue
    case $line in *' => compiles') [ -z "$compiled" ] || continue ;; esac
    printf 'void test() {\n%s\n}\n' "${line% => *}" >"$file.cpp"
    "$@" -fsyntax-only -w "$file.cpp" >"$file.out" 2>&1 </dev/null
    faults=$(judge "$line" "$file" $?)
    if [ -z "$faults" ]; then
      echo passed >>"$file.passed"
    else
      echo failed >>"$file.failed"
      printf '%s.txt:%s: %s\n%s\n' "$list" "$number" "${line% => *}" "$faults"
      grep 'error:' "$file.out" | head -5
    fi
  done <"$here/$list.txt"
}

count() {
  cat "$work"/*."$1" 2>/dev/null | wc -l
}

while read -r standard names lists; do
  prepare "$standard" "$names" "$@" </dev/null || exit 1
  # Two programs at a time.
  # shellcheck disable=SC2086
  for list in $lists; do
    compiled=
    together "$list" "$@" "-std=$standard" $use && compiled=yes
    check "$list" 0 "$@" "-std=$standard" $use &
    check "$list" 1 "$@" "-std=$standard" $use
    wait
  done
done <<END
c++20 names callbacks
c++20 api api bodies
c++2b api bodies
END
passed=$(count passed)
failed=$(count failed)
echo "compile_fail: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
