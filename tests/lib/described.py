"""Does what goes over the wire agree with what the server says of itself in docs/api.json?

    d = Described(document)              # of ?pk_path=1; everything is compiled once
    d.check(method, path, query, sent, status, content_type, body)   # raises Mismatch

Held against the document: paths, methods, names of query parameters, bodies that were accepted, statuses, and answers (`body`; None: not looked at): types, formats, enumerations, and
that an object has all of the members that are described and no others. Schemas are OpenAPI 3.0's (nullable, readOnly, writeOnly) as far as the document uses
them; a word that is not understood here is a Mismatch of its own, so that nothing goes unchecked.
"""
import json
import re
import urllib.parse

ROOT = "/pulp/api/v3/"
# What is no operation: the root, which lists paths, and the document with its page.
UNDESCRIBED = {ROOT, ROOT + "docs/", ROOT + "docs/api.json", ROOT + "docs/api.yaml"}
SELECTING = {"fields", "exclude_fields", "minimal"}  # query parameters that leave members out
FRAMING = {400, 408, 413, 414, 417, 431, 501, 503, 505}  # the HTTP server's own, in text, before the API saw the request
ROWS_MAX = 500  # of a long list, at its two ends, are looked at

WORDS = {"type", "format", "enum", "properties", "required", "items", "additionalProperties", "nullable", "default", "description", "readOnly",
         "writeOnly", "minimum", "maxLength", "minLength", "$ref"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")
# Of requests, which may say less of a time, and name objects by PRN.
LOOSE_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")
URI = re.compile(r"(/|https?://|prn:)\S*")
TYPES = {"string": str, "boolean": bool, "object": dict, "array": list}


class Mismatch(AssertionError):
    pass


def brief(value):
    text = json.dumps(value)
    return text if len(text) < 200 else text[:200] + "…"


class Compiler:
    """Makes functions of schemas: check(value, where) raises Mismatch. `answer`: all described members have to be there."""

    def __init__(self, document, answer, whole=True):
        self.document, self.answer, self.whole = document, answer, whole
        self.named = {}

    def compile(self, schema):
        if set(schema) - WORDS:
            raise Mismatch(f"the schema {brief(schema)} says {set(schema) - WORDS}, which nobody checks")
        if "$ref" in schema:
            return self.reference(schema["$ref"])
        checks = []
        kind = schema.get("type")
        if kind is not None:
            checks.append(self.of_type(kind))
        if kind == "string":
            checks += self.of_string(schema)
        elif kind == "object":
            checks.append(self.of_object(schema))
        elif kind == "array":
            checks.append(self.of_array(schema))
        if "minimum" in schema:
            checks.append(self.at_least(schema["minimum"]))
        if "enum" in schema:
            checks.append(self.one_of(schema["enum"]))
        nullable = schema.get("nullable", False) or kind is None

        def check(value, where):
            if value is None and nullable:
                return
            for c in checks:
                c(value, where)
        return check

    def reference(self, ref):
        if ref not in self.named:
            self.named[ref] = None  # a schema may contain itself

            def late(value, where):
                self.named[ref](value, where)
            name = ref.removeprefix("#/components/schemas/")
            self.named[ref] = self.compile(self.document["components"]["schemas"][name])
            return late
        return lambda value, where: self.named[ref](value, where)

    @staticmethod
    def of_type(kind):
        def check(value, where):
            ok = isinstance(value, TYPES[kind]) if kind in TYPES else \
                isinstance(value, int if kind == "integer" else (int, float)) and not isinstance(value, bool)
            if not ok:
                raise Mismatch(f"{where} is {brief(value)}, not of type {kind}")
        return check

    def of_string(self, schema):
        out = []
        lowest, most = schema.get("minLength"), schema.get("maxLength")
        form = schema.get("format")
        pattern = {"date-time": TIME if self.answer else LOOSE_TIME, "uri": URI}.get(form)
        if form not in (None, "date-time", "uri", "binary"):
            raise Mismatch(f"the format {form} is unknown here")

        def check(value, where):
            if (lowest is not None and len(value) < lowest) or (most is not None and len(value) > most):
                raise Mismatch(f"{where} has {len(value)} characters: {brief(value)}")
            if value == "" and form == "uri" and schema.get("nullable") and not self.answer:
                return  # what is sent for a reference may be empty, which is null (Pulp takes it so)
            if pattern is not None and not pattern.fullmatch(value):
                raise Mismatch(f"{where} is no {form}: {brief(value)}")
        return [check]

    def of_object(self, schema):
        members = {n: self.compile(s) for n, s in schema.get("properties", {}).items()}
        others = schema.get("additionalProperties", not members)
        if isinstance(others, dict):
            others = self.compile(others)
        required = set(schema.get("required", ()))
        if self.answer and members:
            required = {n for n, s in schema["properties"].items() if not s.get("writeOnly")} if self.whole else set()
        unknown = {n for n, s in schema.get("properties", {}).items() if s.get("writeOnly" if self.answer else "readOnly")}

        def check(value, where):
            for n in required - value.keys():
                raise Mismatch(f"{where} has no {n}: {brief(value)}")
            for n, v in value.items():
                c = members.get(n, others)
                if c is False or n in unknown:
                    raise Mismatch(f"{where} has {n}, which is not described: {brief(v)}")
                if c is not True:
                    c(v, f"{where}.{n}")
        return check

    def of_array(self, schema):
        one = self.compile(schema["items"])

        def check(value, where):
            rows = range(len(value))
            if len(value) > ROWS_MAX:
                rows = [*range(ROWS_MAX // 2), *range(len(value) - ROWS_MAX // 2, len(value))]
            for i in rows:
                one(value[i], f"{where}[{i}]")
        return check

    @staticmethod
    def at_least(minimum):
        def check(value, where):
            if value < minimum:
                raise Mismatch(f"{where} is {value}, less than {minimum}")
        return check

    @staticmethod
    def one_of(values):
        values = set(values)

        def check(value, where):
            if value not in values:
                raise Mismatch(f"{where} is {brief(value)}, none of {sorted(values)}")
        return check


class Operation:
    def __init__(self, document, method, path, described, compilers):
        self.method, self.path, self.id = method, path, described["operationId"]
        self.described = described
        self.query = {p["name"] for p in described["parameters"] if p["in"] == "query"}
        whole, part, sent = compilers
        self.answers = {}
        for status, answer in described["responses"].items():
            schema = answer["content"]["application/json"]["schema"] if "content" in answer else None
            self.answers[int(status)] = schema and (whole.compile(schema), part.compile(schema))
        body = described.get("requestBody")
        self.media = body["content"] if body else {}
        self.body_required = bool(body and body.get("required"))
        self.sent = self.schema = None
        self.ignored = set()
        if body:
            schema = next(iter(self.media.values()))["schema"]
            self.sent = sent.compile(schema)
            name = schema["$ref"].removeprefix("#/components/schemas/")
            self.schema = document["components"]["schemas"][name]
            # What clients read they may send back: what is read only is let through.
            shown = document["components"]["schemas"].get(name.removeprefix("Patched") + "Response", {})
            self.ignored = {n for n, s in shown.get("properties", {}).items() if s.get("readOnly")} - self.schema["properties"].keys()


class Described:
    def __init__(self, document):
        self.document = document
        compilers = Compiler(document, True), Compiler(document, True, False), Compiler(document, False)
        self.operations = {}  # path → {method: Operation}
        self.paths = {}       # number of segments → [(segments, path)], those with fewest placeholders first
        for path, item in document["paths"].items():
            self.operations[path] = {m: Operation(document, m, path, o, compilers) for m, o in item.items()}
            parts = path.split("/")
            self.paths.setdefault(len(parts), []).append((parts, path))
        for same in self.paths.values():
            same.sort(key=lambda p: p[1].count("{"))

    def find(self, path):
        """{method: Operation} of a path as it is asked for; None: nothing is described there."""
        parts = path.split("/")
        for want, name in self.paths.get(len(parts), ()):
            if all(w == p or (p and w.startswith("{")) for w, p in zip(want, parts)):
                return self.operations[name]
        return None

    def check(self, method, path, query, sent, status, content_type, body):
        """`query`: names. `sent`: a function that gives the JSON that was sent, a Form, or None."""
        where = f"{method} {path} → {status}"
        found = self.find(path)
        op = found and found.get("get" if method == "HEAD" else method.lower())
        if status >= 400 or 300 <= status < 400:
            self.check_error(where, found, op, status, content_type, body)
            return
        if op is None:
            if path not in UNDESCRIBED:
                raise Mismatch(f"{where}: the document does not describe it")
            return
        where = f"{op.id} ({where})"
        if query - op.query:
            raise Mismatch(f"{where}: took the parameters {sorted(query - op.query)}, which are not described")
        if op.media or method not in ("GET", "HEAD", "DELETE"):
            self.check_sent(where, op, sent())
        if status not in op.answers:
            raise Mismatch(f"{where}: only {sorted(op.answers)} are described")
        answer = op.answers[status]
        if method == "HEAD" or body is None:
            return
        if answer is None:
            if body:
                raise Mismatch(f"{where}: a body, which is not described: {body[:200]!r}")
            return
        if content_type != "application/json":
            raise Mismatch(f"{where}: the content type is {content_type}")
        answer[bool(query & SELECTING)](json.loads(body), f"{where}: answer")

    @staticmethod
    def check_sent(where, op, sent):
        if sent is BY_HAND:
            return
        if isinstance(sent, dict):
            sent = type(sent)((n, v) for n, v in sent.items() if n not in op.ignored)
        if isinstance(sent, Form):
            unknown = sent.keys() - op.schema["properties"].keys() if op.schema else sent.keys()
            missing = set(op.schema.get("required", ())) - sent.keys() if op.schema else ()
            if unknown or missing:
                raise Mismatch(f"{where}: took a form with {sorted(unknown)}, which are not described, or without {sorted(missing)}")
        elif sent is not None and op.sent is not None:
            op.sent(sent, f"{where}: body")
        elif sent:  # {} says nothing
            raise Mismatch(f"{where}: took a body, which is not described: {brief(sent)}")
        elif op.body_required and sent is None and op.schema.get("required"):
            raise Mismatch(f"{where}: took no body, which is described as required")

    @staticmethod
    def check_error(where, found, op, status, content_type, body):
        if op is not None and status == 405:
            raise Mismatch(f"{where}: described, and refused")
        if op is not None and body and op.answers.get(status):
            op.answers[status][0](json.loads(body), f"{where}: answer")
            return
        if status < 400 or not body:
            return
        if status in FRAMING and content_type.startswith("text/plain"):
            return
        if found is not None and op is None and status not in (401, 403, 404, 405, 503):
            raise Mismatch(f"{where}: not described, and not refused with 405")
        if content_type == "text/html; charset=utf-8" and status == 404 and found is None:
            return
        if not content_type.startswith("application/json"):
            raise Mismatch(f"{where}: an error of type {content_type}: {body[:200]!r}")
        check_problem(json.loads(body), where)


def check_problem(problem, where, nested=False):
    """{"detail": text}, or what is wrong by field: lists of texts, nested as the fields are; or the list alone."""
    if isinstance(problem, dict):
        if isinstance(problem.get("detail"), str):
            return
        for n, v in problem.items():
            if not isinstance(v, (list, dict)) and not (nested and isinstance(v, str)):
                raise Mismatch(f"{where}: the error's {n} is {brief(v)}")
            if not isinstance(v, str):
                check_problem(v, where, True)
    elif isinstance(problem, list):
        for v in problem:
            if not isinstance(v, str):
                check_problem(v, where, True)
    else:
        raise Mismatch(f"{where}: an error of {brief(problem)}")


class Form(dict):
    """Names and values of a form."""


BY_HAND = object()  # a body that is not looked into


def sent_by(kw):
    """What a call of requests.request sends, of its keywords: JSON, a Form, None when there is nothing, or BY_HAND."""
    if kw.get("json") is not None:
        return kw["json"]
    data, files = kw.get("data"), kw.get("files")
    if isinstance(data, (str, bytes)) and not files:
        content_type = next((v for n, v in (kw.get("headers") or {}).items() if n.lower() == "content-type"), "")
        if content_type.startswith("application/x-www-form-urlencoded"):
            return Form(urllib.parse.parse_qsl(data if isinstance(data, str) else data.decode("utf-8", "replace")))
        if content_type.startswith("application/json"):
            try:
                return json.loads(data)
            except ValueError:
                return BY_HAND
        return BY_HAND  # as tests of bad bodies do
    if hasattr(data, "__next__"):
        return BY_HAND
    if not data and not files:
        return None
    out = Form()
    for part in (data, files):
        out.update(dict(part.items() if hasattr(part, "items") else part or ()))
    return out


def query_of(url):
    return {n for n, _ in urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query, keep_blank_values=True)}
