#!/usr/bin/env bash
# clang-tidy over all of src/ with the checks of .clang-tidy: tools/check-tidy.sh BUILD-DIRECTORY [FILE…]
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1
shift
if [ "$#" -eq 0 ]; then
  mapfile -t files < <(find src -name '*.c' | sort)
else
  files=("$@")
fi
out=$(mktemp)
trap 'rm -f "$out"' EXIT
rc=0
printf '%s\0' "${files[@]}" | xargs -0 -P "$(nproc)" -n 4 clang-tidy-14 -p "$build" --quiet >"$out" 2>/dev/null || rc=1
grep -E '(error|warning): ' "$out" | sort -u || true
exit "$rc"
