#!/usr/bin/env bash
# clang-tidy over all of src/ with the checks of .clang-tidy, and clang's analyzer over what reads foreign bytes:
# tools/check-tidy.sh BUILD-DIRECTORY [FILE…]. With files: both over these.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1
shift
# The analyzer takes a second or two for a file.
foreign='src/base/(clock|digest|settings|slice|url|uuid)|src/http/(parse|range|request_body)|src/fetch/(file_url|head|origin)|
src/formats/[a-z]*/[a-z_]*|src/sync/[a-z_]*|src/content/(mime|pathset)|src/api/(body|expr|fields|filters|labels|ref)|
src/catalog/query|src/cmd/options'
# Not the checks for functions of C11 that no libc has.
analyzer='-*,clang-analyzer-core.*,clang-analyzer-deadcode.*,clang-analyzer-unix.*,clang-analyzer-security.*,
-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling,-clang-analyzer-security.insecureAPI.strcpy'

if [ "$#" -eq 0 ]; then
  mapfile -t files < <(find src -name '*.c' | sort)
  mapfile -t parsers < <(printf '%s\n' "${files[@]}" | grep -Ex "(${foreign//$'\n'/})\\.c")
else
  files=("$@")
  parsers=("$@")
fi
out=$(mktemp)
trap 'rm -f "$out"' EXIT
rc=0
tidy() { xargs -0 -P "$(nproc)" -n 4 clang-tidy-14 -p "$build" --quiet "$@" >>"$out" 2>/dev/null || rc=1; }
tidy < <(printf '%s\0' "${files[@]}")
tidy --checks="${analyzer//$'\n'/}" < <(printf '%s\0' "${parsers[@]}")
grep -E '(error|warning): ' "$out" | sort -u || true
exit "$rc"
