#!/usr/bin/env bash
# Is every C file as clang-format-14 would write it? `clang-format-14 -i FILE` mends one.
set -euo pipefail
cd "$(dirname "$0")/.."
find src include tests bench examples -name '*.[ch]' -print0 | xargs -0 clang-format-14 --dry-run -Werror
