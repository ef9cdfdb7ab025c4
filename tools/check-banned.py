#!/usr/bin/python3
"""What the sources must not contain: calls for which there is a better one here, marks of unfinished work, spaces where tabs
belong, lines longer than a screen. Prints each, and exits 1."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

CALLS = {
    "strcpy strcat stpcpy sprintf vsprintf gets strncpy strncat": "no bound, or none that is kept: use struct buf or snprintf",
    "atoi atol atoll atof": "cannot fail visibly: use slice_to_i64",
    "strtok": "keeps state and cuts its input: use slice_cut",
    "system popen": "no shell ever sees our strings: use posix_spawn or fork and exec",
    "mktemp tmpnam tempnam tmpfile": "races: use O_TMPFILE, or mkostemp in our own directory",
    "rand srand random srandom drand48": "predictable: use getrandom, or say why in a wrapper",
    "gmtime localtime ctime asctime": "keep static state: use clock_*",
    "signal": "use sigaction or signalfd",
    "alloca": "the stack is not where foreign lengths go",
    "usleep": "tests and loops wait for conditions",
    "strdupa strndupa": "the stack is not where foreign lengths go",
    "setjmp longjmp": "one way out of a function",
}
WHY = {name: why for names, why in CALLS.items() for name in names.split()}
CALL = re.compile(r"(?<![\w.>])(" + "|".join(sorted(WHY, key=len, reverse=True)) + r")\s*\(")
MARK = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
COMMENT_OR_STRING = re.compile(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)


def blank(m):
    return re.sub(r"[^\n]", " ", m.group(0))


def check_c(path, rel, bad):
    text = path.read_text("utf-8")
    code = COMMENT_OR_STRING.sub(blank, text)
    for n, (line, bare) in enumerate(zip(text.split("\n"), code.split("\n")), 1):
        for m in CALL.finditer(bare):
            if rel.startswith("tests/") and m.group(1) != "usleep":
                continue
            bad.append(f"{rel}:{n}: {m.group(1)}(): {WHY[m.group(1)]}")
        if re.match(r" {2,}\S", line) and not line.lstrip().startswith("*"):
            bad.append(f"{rel}:{n}: indented with spaces")


def main():
    bad = []
    files = [p for top in ("src", "include", "tests", "tools", "script", "docs", "bench") for p in (ROOT / top).rglob("*") if p.is_file()]
    files += [p for p in ROOT.glob("*") if p.is_file()]
    for path in sorted(files):
        rel = path.relative_to(ROOT).as_posix()
        if "/corpus/" in rel or "__pycache__" in rel or rel == "tools/check-banned.py":
            continue
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        for n, line in enumerate(text.split("\n"), 1):
            if MARK.search(line):
                bad.append(f"{rel}:{n}: {MARK.search(line).group(0)}: finish it, or leave it out")
            if line != line.rstrip() and path.suffix in (".c", ".h", ".py", ".build", ".sh"):
                bad.append(f"{rel}:{n}: white space at the end")
        if path.suffix in (".c", ".h"):
            check_c(path, rel, bad)
    print("\n".join(bad), end="\n" if bad else "")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
