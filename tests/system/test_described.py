"""Does the check of what goes over the wire find what it is there for? (tests/lib/described.py, which every test's API client uses.)"""
import json

import pytest

from described import Described, Form, Mismatch
from sluice import API, described

BOX = {"type": "object", "required": ["name"], "properties": {
    "name": {"type": "string", "maxLength": 5, "minLength": 1}, "size": {"type": "integer", "minimum": 1, "nullable": True}, "kind": {"type": "string", "enum": ["a", "b"]},
    "key": {"type": "string", "writeOnly": True}, "labels": {"type": "object", "additionalProperties": {"type": "string"}}}}
SHOWN = {"type": "object", "required": ["name"], "properties": {
    "pulp_href": {"type": "string", "readOnly": True}, "name": {"type": "string"}, "size": {"type": "integer", "nullable": True}, "kind": {"type": "string", "enum": ["a", "b"]},
    "made": {"type": "string", "format": "date-time", "readOnly": True}, "parts": {"type": "array", "items": {"$ref": "#/components/schemas/BoxResponse"}}}}
ANSWER = {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/BoxResponse"}}}}
BODY = {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Box"}}}}
DOCUMENT = {
    "components": {"schemas": {"Box": BOX, "BoxResponse": SHOWN}},
    "paths": {
        API + "boxes/": {"post": {"operationId": "create", "parameters": [], "requestBody": BODY, "responses": {"201": ANSWER}}},
        API + "boxes/{pk}/": {
            "get": {"operationId": "read", "parameters": [{"name": n, "in": "query"} for n in ("fields", "depth")], "responses": {"200": ANSWER}},
            "delete": {"operationId": "delete", "parameters": [], "responses": {"204": {"description": ""}}}},
    },
}
GOOD = {"pulp_href": "/b/1/", "name": "x", "size": None, "kind": "a", "made": "2026-01-01T00:00:00Z", "parts": []}


def read(answer, query=(), status=200, path="boxes/1/", content_type="application/json", method="GET"):
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    Described(DOCUMENT).check(method, API + path, set(query), lambda: None, status, content_type, body)


def create(sent):
    Described(DOCUMENT).check("POST", API + "boxes/", set(), lambda: sent, 201, "application/json", json.dumps(GOOD).encode())


@pytest.mark.parametrize("change", [
    {"name": 1}, {"name": None}, {"size": "1"}, {"size": True}, {"size": 1.5}, {"kind": "c"}, {"made": "2026-01-01"}, {"made": "2026-01-01T00:00:00.1Z"}, {"parts": {}},
    {"parts": [{}]}, {"parts": [{**GOOD, "parts": [{**GOOD, "kind": "c"}]}]}, {"more": 1}])
def test_an_answer_is_as_described(change):
    read({**GOOD, "size": 3, "parts": [GOOD]})
    with pytest.raises(Mismatch):
        read({**GOOD, **change})


@pytest.mark.parametrize("name", sorted(GOOD))
def test_an_answer_has_all_members(name):
    less = {n: v for n, v in GOOD.items() if n != name}
    with pytest.raises(Mismatch, match=f"has no {name}"):
        read(less)
    read(less, ["fields"])


@pytest.mark.parametrize("sent", [
    {}, None, [], {"name": ""}, {"name": "longer"}, {"name": "x", "size": 0}, {"name": "x", "labels": {"a": 1}}, {"name": "x", "colour": "red"}, Form(colour="red", name="x"), Form()])
def test_a_body_that_was_taken_is_as_described(sent):
    create({"name": "x", "key": "k", "size": None, "labels": {"a": "b"}, "pulp_href": "/what/was/read/", "made": None})
    create(Form(name="x", size="1"))
    with pytest.raises(Mismatch):
        create(sent)


def test_statuses_methods_and_parameters_are_described():
    read(b"", method="DELETE", status=204)
    read({"detail": "no"}, status=404)
    read({"name": ["bad"], "parts": {"0": ["bad"]}}, status=400)
    for wrong in (dict(status=202), dict(query=["size"]), dict(path="barrels/1/"), dict(method="PUT"), dict(method="DELETE"), dict(content_type="text/plain"),
                  dict(status=405), dict(status=400), dict(status=400, content_type="text/html")):
        with pytest.raises(Mismatch):
            read(GOOD, **wrong)


def test_the_document_says_nothing_that_is_not_checked():
    """Compiling it is the test: of words that nobody checks it says so."""
    assert len(described().operations) > 100
    with pytest.raises(Mismatch):
        Described({**DOCUMENT, "components": {"schemas": {"Box": {**BOX, "oneOf": []}, "BoxResponse": SHOWN}}})
