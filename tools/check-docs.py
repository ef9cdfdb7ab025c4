#!/usr/bin/python3
"""What the documents name exists, and what is a table in the code is whole in the documents and used in the code: files,
settings, metrics, the reasons of failed answers."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))]


def rows(path, pattern):
    return re.findall(pattern, (ROOT / path).read_text(), re.M)


def main():
    problems = []
    settings = {f"{s}.{k}" for s, k in rows("src/base/settings.h", r"^\tX\((\w+), (\w+), [A-Z]+,")}
    metrics = {f"sluice_{n}" + ("_total" if kind == "counter" else "") for n, kind in rows("src/base/metrics.h", r"^\tX\((\w+), (counter|gauge),")}
    reasons = set(rows("src/content/answer.c", r'-ERR_\w+, \d+, "([a-z-]+)"'))
    sections = {s.split(".")[0] for s in settings}

    for doc in DOCS:
        text = doc.read_text()
        name = doc.relative_to(ROOT)
        for word in set(re.findall(r"`([a-z]+\.[a-z_]+)[` ,=]", text)):
            if word.split(".")[0] in sections and word not in settings and not word.endswith((".conf", ".lock")):
                problems.append(f"{name}: there is no setting {word}")
        for word in set(re.findall(r"(?<!struct )\bsluice_(?:http|content|flight|fetch|source|store|task|log|catalog)\w*", text)) - metrics:
            problems.append(f"{name}: there is no metric {word}")
        for word in set(re.findall(r"(?<![\w/.-])((?:src|docs|tests|tools|script|include|bench|examples)/[\w./-]*\w)", text)):
            if not (ROOT / word).exists():
                problems.append(f"{name}: there is no {word}")

    admin = (ROOT / "docs/admin.md").read_text()
    table = set(re.findall(r"[a-z-]+", " ".join(re.findall(r"^\| \d{3} \| ([^|]+) \|", admin, re.M))))
    problems += [f"docs/admin.md: the reason {r} is missing" for r in sorted(reasons - table)]
    problems += [f"docs/admin.md: there is no reason {r}" for r in sorted(table - reasons)]

    code = "\n".join(p.read_text() for p in ROOT.glob("src/**/*.c"))
    for s in sorted(settings):
        if not re.search(r"\b" + s.replace(".", "_") + r"\b", code):
            problems.append(f"src/base/settings.h: nothing uses {s}")
    for m in sorted(metrics):
        if not re.search(r"\bM_" + re.sub(r"^sluice_|_total$", "", m) + r"\b", code):
            problems.append(f"src/base/metrics.h: nothing counts {m}")
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
