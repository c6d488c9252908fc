#!/bin/sh
# House rules that a compiler does not check: sh tests/lint.sh ROOT HEADER...
# The headers are those that get installed, as paths from the root.
set -u
cd "$1" || exit 1
shift
found=$(mktemp) || exit 1
trap 'rm -f "$found"' EXIT

# check RULE: every line of standard input breaks it.
check() { sed "s|^|$1: |" >>"$found"; }
code() { find "$@" -type f \( -name '*.h' -o -name '*.cpp' \) 2>/dev/null; }

include='^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]([^>"]*/)?'
code core | xargs -r grep -nE "${include}(connection|protocols)/" | check 'core must not include connection or protocols'
code core | grep -v '^core/process/' | xargs -r grep -nE "${include}process/" | check 'core must not include its own process'
code connection | xargs -r grep -nE "${include}protocols/" | check 'connection must not include protocols'

# Spelt apart so that the rule does not find itself.
code core connection protocols examples tests | xargs -r grep -nE "TO""DO|FIX""ME" | check 'unfinished'

code core connection protocols | xargs -r wc -l | awk '$2 != "total" && $1 > 450 { print $2 " has " $1 }' |
  check 'more than 450 lines'
code core connection protocols tests | grep '\.h$' | xargs -r grep -L '^#pragma once' | check 'no #pragma once'

code tests | grep -E '_(test|fuzz)\.cpp$' | while IFS= read -r file; do
  name=$(basename "$file" | sed 's/_fuzz\.cpp$//')
  grep -q "$name" tests/meson.build || echo "$file"
done | check 'not listed in tests/meson.build'

for header in "$@"; do
  grep -nHE "${include}(uv|llhttp|json)\.(h|hpp)|${include}openssl/" "$header"
done | check 'a public header shows a library'

# Another version would lay out differently.
format=$(command -v clang-format-14 || command -v clang-format || echo false)
if "$format" --version 2>/dev/null | grep -q 'version 14\.'; then
  code core connection protocols examples tests | xargs -r "$format" --dry-run 2>&1 | grep -E ': (warning|error):' |
    check 'not laid out by clang-format'
else
  echo "note: clang-format 14 is not here, so the layout was not checked"
fi

cat "$found"
[ ! -s "$found" ]
