"""Requests that look as if someone meant them, made from docs/api.json: operations, parameters and bodies by their schemas, about objects that are
there, with now and then something that is not. The same seed asks the same; only identifiers differ, which the server makes.

    asking = Asking(described, seed)
    ask = asking.next()                       # an Ask
    asking.learn(status, body)                # of its answer: what there is now
"""
import json
import random
import re
import urllib.parse
import uuid

ROOT = "/pulp/api/v3/"
NOWHERE = "http://127.0.0.1:9/"  # nobody listens there: a sync that gets this far fails at once
WORDS = ["a", "b", "name", "file", "file.file", "on_demand", "immediate", "null", "true", "0", "", " ", "ü", "日本", "a'b", 'a"b', "a%b_c", "a\\b", "a/b", "../a", "a,b", "a=b",
         "!a", "a~b", "*", ".*", "^a.b$", "[", "(a+)+$", "sha256", "completed", "1970-01-01", "x" * 300]
TIMES = ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123456Z", "2026-01-02", "2026-01-02T03:04", "2026-01-02T03:04:05+02:00", "0001-01-01T00:00:00Z",
         "9999-12-31T23:59:59.999999Z", "2026-02-30", "yesterday"]
NUMBERS = [0, 1, 2, 5, 10, 100, -1, 2**31 - 1, 2**31, 2**63 - 1, 2**63, -2**63]
# How often each is asked, beside each other. What makes tasks costs a process each.
WEIGHTS = {"get": 60, "head": 2, "post": 10, "patch": 6, "put": 4, "delete": 1.5}
TASK_SHARE = 0.5
KINDS = {"remote": "remotes/", "repository": "repositories/", "publication": "publications/", "content_guard": "contentguards/", "artifact": "artifacts/"}


class Ask:
    def __init__(self, method, path, query, body, content_type, sent, op):
        self.method, self.path, self.query, self.body, self.content_type, self.sent, self.op = method, path, query, body, content_type, sent, op

    @property
    def target(self):
        return urllib.parse.quote(self.path) + ("?" + urllib.parse.urlencode(self.query) if self.query else "")

    def __str__(self):
        return f"{self.method} {self.target} {self.content_type or ''} {self.body!r}"


class Asking:
    def __init__(self, described, seed):
        self.random = random.Random(seed)
        self.described = described
        self.tame = True    # this time nothing is odd on purpose
        self.hrefs = []     # of what there is, the newest last
        self.by_path = {}   # collection → [href]
        self.names = ["n0"]
        self.operations, self.weights = [], []
        for path, item in sorted(described.operations.items()):
            for method, op in sorted(item.items()):
                self.add(method, path, op)
                if method == "get":
                    self.add("head", path, op)

    def add(self, method, path, op):
        weight = WEIGHTS[method] * (1 if method not in ("get", "head") or "{" in path else 2)
        self.operations.append((method.upper(), path, op))
        self.weights.append(weight * (TASK_SHARE if 202 in op.answers else 1))

    # ---- values

    def href(self, name=""):
        r = self.random.random()
        fit = [h for h in self.hrefs if KINDS[name] in h and "/versions/" not in h] if name in KINDS and self.tame else ()
        if fit:
            return self.random.choice(fit)
        if self.hrefs and r < 0.8:
            return self.random.choice(self.hrefs)
        return self.random.choice([ROOT + "remotes/file/file/" + self.uuid() + "/", "prn:file.fileremote:" + self.uuid(), "/", "", "x", ROOT])

    def uuid(self):
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def word(self):
        r = self.random.random()
        if self.tame:
            return f"n{self.random.randrange(10000)}"
        return self.random.choice(self.names) if r < 0.3 else f"n{self.random.randrange(10000)}" if r < 0.6 else self.random.choice(WORDS)

    def value(self, schema, name="", depth=3):
        """One that fits the schema, mostly."""
        rnd = self.random
        if "$ref" in schema:
            schema = self.described.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        r = rnd.random()
        if r < 0.06 and not self.tame:
            return rnd.choice([None, True, -1, 1.5, "", "x", [], {}, [[]], {"a": {"b": []}}, "x" * 5000])
        if schema.get("nullable") and r < 0.2:
            return None
        if "enum" in schema:
            return rnd.choice(schema["enum"])
        kind = schema.get("type")
        if kind == "boolean":
            return rnd.random() < 0.5
        if kind == "integer":
            return rnd.choice(NUMBERS) if r < 0.3 and not self.tame else rnd.randrange(schema.get("minimum", 0), schema.get("minimum", 0) + 20)
        if kind == "number":
            return rnd.choice([0, 0.5, 1, 10.25, 1e9, -1.5, 1e308])
        if kind == "array":
            return [self.value(schema["items"], name, depth - 1) for _ in range(rnd.choice([0, 1, 1, 2, 3]))]
        if kind == "object":
            inside = schema.get("properties")
            if inside:
                return self.members(schema, depth - 1)
            others = schema.get("additionalProperties") or {}
            return {self.word(): self.value(others if isinstance(others, dict) else {}, "", depth - 1) for _ in range(rnd.choice([0, 1, 2]))} if depth > 0 else {}
        if kind == "string":
            return self.text(schema, name)
        return rnd.choice([None, 1, "x", ["*"], {"a": 1}, []])

    def text(self, schema, name):
        rnd = self.random
        form = schema.get("format")
        if form == "date-time":
            return rnd.choice(TIMES[:5] if self.tame else TIMES)
        if form == "uri":
            return self.href(name)
        if name == "url" or name.endswith("_url"):
            return NOWHERE + "PULP_MANIFEST" if self.tame else rnd.choice([NOWHERE, NOWHERE + "PULP_MANIFEST", NOWHERE + "a b", "file:///nowhere", "ftp://a/", "x"])
        if name == "sha256":
            return rnd.choice(["0" * 64, "%064x" % rnd.getrandbits(256), "0" * 63, "g" * 64])
        if "href" in name or name in ("remote", "repository", "repository_version", "publication", "content_guard", "base_version"):
            return self.href(name)
        return self.word()

    def members(self, schema, depth=3):
        required = set(schema.get("required", ()))
        out = {}
        for n, s in schema.get("properties", {}).items():
            if self.random.random() < (0.97 if n in required else 0.25):
                out[n] = self.value(s, n, depth)
        if not self.tame and self.random.random() < 0.05:
            out[self.word()] = 1
        return out

    # ---- requests

    def path(self, path):
        """The placeholders filled; mostly with what there is."""
        here = self.by_path.get(self.collection(path))
        return self.filled(path, self.random.choice(here) if here and self.random.random() < 0.85 else "")

    @staticmethod
    def collection(path):
        return path.split("{", 1)[0]

    def filled(self, path, href):
        first = href[len(self.collection(path)):].split("/", 1)[0]

        def one(m):
            if m.group(1) == "number":
                return str(self.random.choice([0, 0, 1, 2, 3, 99, 2**31, 2**63, -1]))
            return first or self.random.choice([self.uuid(), self.uuid(), "1", "x", "ü"])
        return re.sub(r"\{(\w+)\}", one, path)

    def query(self, op):
        out = []
        for p in self.random.choices([p for p in op.described["parameters"] if p["in"] == "query"] or [None], k=self.random.choice([0, 1, 1, 2, 3])):
            if p is None:
                continue
            schema = p["schema"]
            if p["name"] == "q":
                value = self.expression(op)
            elif p["name"] in ("limit", "offset"):
                value = self.random.choice([0, 1, 10, 100, 1000, -1, 2**63, "x"])
            elif schema.get("type") == "array":
                value = ",".join(self.flat(self.value(schema["items"], p["name"])) for _ in range(self.random.choice([0, 1, 2, 3])))
            else:
                value = self.flat(self.value(schema, p["name"]))
            out.append((p["name"], value))
        return out

    @staticmethod
    def flat(value):
        return value if isinstance(value, str) else json.dumps(value)

    def expression(self, op, depth=3):
        rnd = self.random
        r = rnd.random()
        if depth == 0 or r < 0.5:
            name = rnd.choice(sorted(op.query)) if rnd.random() < 0.9 else self.word()
            value = self.word()
            return f'{name}{rnd.choice(["=", "=", "=", "!=", " "])}' + (json.dumps(value, ensure_ascii=False) if rnd.random() < 0.7 else value)
        if r < 0.6:
            return "NOT " + self.expression(op, depth - 1)
        if r < 0.7:
            return "(" + self.expression(op, depth - 1) + rnd.choice([")", ")", ")", ""])
        return self.expression(op, depth - 1) + rnd.choice([" AND ", " OR "]) + self.expression(op, depth - 1)

    def next(self):
        (method, path, op), = self.random.choices(self.operations, self.weights)
        self.tame = self.random.random() < 0.6
        asked = self.path(path)
        query = self.query(op) if method in ("GET", "HEAD") else []
        if op.schema is None or method in ("GET", "HEAD"):
            return Ask(method, asked, query, None, None, None, op)
        members = self.members(op.schema)
        if "application/json" not in op.media:
            return self.form(method, asked, members, op)
        if self.random.random() < 0.1:
            pairs = {n: self.flat(v) for n, v in members.items()}
            return Ask(method, asked, query, urllib.parse.urlencode(pairs).encode(), "application/x-www-form-urlencoded", pairs, op)
        return Ask(method, asked, query, json.dumps(members).encode(), "application/json", members, op)

    def form(self, method, path, members, op):
        boundary = "b0unda7y"
        parts = []
        for n, v in members.items():
            schema = op.schema["properties"].get(n, {})
            is_file = schema.get("format") == "binary"
            body = self.random.randbytes(self.random.choice([0, 1, 10, 3000])) if is_file else self.flat(v).encode()
            parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{n}"'.encode() + (b'; filename="f"\r\nContent-Type: application/octet-stream' if is_file else b"") +
                         b"\r\n\r\n" + body + b"\r\n")
        return Ask(method, path, [], b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}", members, op)

    # ---- answers

    def learn(self, status, body):
        if not 200 <= status < 300 or not body:
            return
        got = json.loads(body)
        for o in got.get("results", [got])[:20] if isinstance(got, dict) else ():
            if not isinstance(o, dict):
                continue
            for href in (o.get("pulp_href"), o.get("task"), o.get("latest_version_href")):
                if isinstance(href, str) and href.startswith(ROOT):
                    self.know(href)
            if isinstance(o.get("name"), str) and len(o["name"]) < 100 and o["name"] not in self.names:
                self.names = self.names[-200:] + [o["name"]]

    def know(self, href):
        found = self.described.find(href)
        if found is None:
            return
        at = self.by_path.setdefault(self.collection(next(iter(found.values())).path), [])
        if href not in at:
            at.append(href)
            self.hrefs.append(href)
            del at[:-50], self.hrefs[:-500]
