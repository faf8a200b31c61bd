"""Compatibility keeps its word: what is accepted as backward takes every value that the older version takes.

Schemas of every draft are drawn and changed a little; values are drawn, and made of the schemas' own words. The judge
is the validator that judges events. Accepting what is not compatible is the fault; refusing too much is not.
"""

import copy
import json
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, assume, event, example, given, settings
from hypothesis import strategies as st

from schemas.contracts import breaks, compile_schema
from schemas.contracts.normal import URIS
from schemas.errors import Refused

Schema = Any
Draw = Callable[[st.SearchStrategy[Any]], Any]
NAMES = st.sampled_from(["a", "b", "c"])
SCALARS = st.sampled_from([None, True, 0, 1, 1.0, 2.5, -1, 7, "", "a", "ab", "b1"])
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
SMALL = st.integers(0, 3)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)


def schemas(draft: int, depth: int = 2, *, top: bool = False) -> st.SearchStrategy[Schema]:
    """Draw a schema of a draft; references go to `#/definitions/d` and to the top."""
    inner = st.deferred(lambda: schemas(draft, depth - 1)) if depth else st.just({})
    lists = st.lists(inner, min_size=1, max_size=3)
    words: dict[str, st.SearchStrategy[Any]] = {
        "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
        "enum": st.lists(SCALARS, min_size=1, max_size=3, unique_by=json.dumps),
        "minimum": SMALL, "maximum": SMALL, "multipleOf": st.sampled_from([1, 2, 0.5]),
        "minLength": SMALL, "maxLength": SMALL, "pattern": st.sampled_from(["^a", "b", "^[ab]+$"]),
        "minItems": SMALL, "maxItems": SMALL, "uniqueItems": st.booleans(),
        "minProperties": SMALL, "maxProperties": SMALL,
        "required": st.lists(NAMES, min_size=1, max_size=2, unique=True),
        "properties": st.dictionaries(NAMES, inner, max_size=2),
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b|c"]), inner, max_size=1),
        "additionalProperties": inner if draft == 4 else inner | st.booleans(),
        "items": inner, "allOf": lists, "anyOf": lists, "oneOf": lists, "not": inner,
    }  # fmt: skip
    if draft == 4:
        words["exclusiveMinimum"] = words["exclusiveMaximum"] = st.booleans()
    else:
        words |= {"exclusiveMinimum": SMALL, "exclusiveMaximum": SMALL, "const": SCALARS, "contains": inner}
        words |= {"propertyNames": st.sampled_from([{"maxLength": 1}, {"enum": ["a", "b"]}])}
    if draft >= 7:
        words |= {"if": inner, "then": inner, "else": inner}
    if draft < 2019:
        words |= {"dependencies": st.dictionaries(NAMES, st.lists(NAMES, min_size=1, max_size=2, unique=True) | inner,
                                                  max_size=1)}  # fmt: skip
    else:
        words |= {"dependentRequired": st.dictionaries(NAMES, st.lists(NAMES, max_size=2, unique=True), max_size=1)}
        words |= {"unevaluatedProperties": st.booleans(), "minContains": SMALL}
    if draft < 2020:
        words |= {"items": inner | lists, "additionalItems": inner if draft == 4 else inner | st.booleans()}
    else:
        words |= {"prefixItems": lists}
    some = st.lists(st.sampled_from(sorted(words)), max_size=3, unique=True).flatmap(
        lambda chosen: st.fixed_dictionaries({name: words[name] for name in chosen})
    )
    bounded = some.filter(lambda made: draft != 4 or _draft_4(made))
    return bounded if top else bounded | bounded | st.sampled_from([{"$ref": "#/definitions/d"}, {"$ref": "#"}])


def _draft_4(made: Schema) -> bool:
    return ("exclusiveMinimum" not in made or "minimum" in made) and (
        "exclusiveMaximum" not in made or "maximum" in made
    )


@st.composite
def documents(draw: Draw, draft: int) -> Schema:
    """Draw a document: a schema with one definition."""
    made = draw(schemas(draft, top=True))
    return {"$schema": URIS[draft], **made, "definitions": {"d": draw(schemas(draft, 1))}}


def changed(draw: Draw, draft: int, schema: Schema) -> Schema:
    """Return the schema with one part taken out, loosened, or replaced."""
    made = copy.deepcopy(schema)
    nodes = list(_nodes(made))
    node = nodes[draw(st.integers(0, len(nodes) - 1))]
    words = sorted(name for name in node if name not in {"$schema", "definitions"})
    if words and draw(st.booleans()):
        word = draw(st.sampled_from(words))
        change = draw(st.sampled_from(["drop", "more", "less"]))
        value = node[word]
        if change == "drop" or not isinstance(value, int | list) or isinstance(value, bool):
            del node[word]
        elif isinstance(value, list):
            node[word] = value[:1] if change == "less" else [*value, value[0]]
        else:
            node[word] = max(0, value + (1 if change == "more" else -1))
    else:
        node |= {name: value for name, value in draw(schemas(draft, 1)).items() if "$ref" not in node}
    return made


def _nodes(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, dict):
        return [node, *(found for name, value in node.items() if name != "enum" for found in _nodes(value))]
    return [found for value in node for found in _nodes(value)] if isinstance(node, list) else []


@st.composite
def pairs(draw: Draw) -> tuple[Schema, Schema]:
    """Draw two versions: the newer is the older one changed, one in five of another draft altogether."""
    draft = draw(st.sampled_from(sorted(URIS)))
    old = draw(documents(draft))
    if draw(st.integers(0, 4)) == 0:
        other = draw(st.sampled_from(sorted(URIS)))
        return old, draw(documents(other)) if draw(st.booleans()) else {**old, "$schema": URIS[other]}
    new = old
    for _ in range(draw(st.integers(1, 2))):
        new = changed(draw, draft, new)
    return old, new


def hinted(schema: Any) -> list[Any]:
    """Return values that a schema's own words suggest: objects with its members, its constants, its borders."""
    found: list[Any] = [{}, [], [1], [1, 1], {"a": 1}, {"a": "a", "b": 1.0}, {"a": {"a": 1}}, {"c": []}]
    for node in _nodes(schema):
        found += [*node["enum"]] if isinstance(node.get("enum"), list) else []
        found += [node["const"]] if "const" in node else []
        for word in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
            if isinstance(node.get(word), int) and not isinstance(node[word], bool):
                found += [node[word], node[word] + 1, node[word] - 1, float(node[word])]
    return found + [{name: value} for name in ("a", "b") for value in found[:12]] + [[value] for value in found[:12]]


def holds(old: Schema, new: Schema, values: list[Any]) -> None:
    texts = json.dumps(old).encode(), json.dumps(new).encode()
    try:
        contracts = [compile_schema(text) for text in texts]
    except Refused:
        assume(False)
    backward, forward = breaks("backward", *texts), breaks("forward", *texts)
    event(f"backward {not backward}, forward {not forward}, same {old == new}")
    for value in values + hinted(old) + hinted(new):
        fits = [contract.validate(value) is None for contract in contracts]
        assert backward or not fits[0] or fits[1], f"accepted as backward, and refuses {value!r}"
        assert forward or not fits[1] or fits[0], f"accepted as forward, and the older refuses {value!r}"


D4, D20 = URIS[4], URIS[2020]


@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(pairs(), st.lists(VALUES, min_size=3, max_size=8))
@example(({"$schema": D4, "type": "integer"}, {"$schema": D20, "type": "integer"}), [1.0])
@example(({"$schema": D4, "enum": [1]}, {"$schema": D4, "enum": [1], "type": "integer"}), [1.0])
@example(({"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}, "required": ["b"]}), [{"a": {}}])
def test_what_is_accepted_takes_every_value_of_the_other(versions: tuple[Schema, Schema], values: list[Any]) -> None:
    holds(*versions, values)


@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(st.sampled_from(sorted(URIS)).flatmap(documents))
def test_a_version_is_compatible_with_itself_and_with_one_that_takes_everything(schema: Schema) -> None:
    text = json.dumps(schema).encode()
    try:
        compile_schema(text)
    except Refused:
        assume(False)
    assert breaks("full", text, text) == ()
    assert breaks("backward", text, json.dumps({"$schema": schema["$schema"]}).encode()) == ()
