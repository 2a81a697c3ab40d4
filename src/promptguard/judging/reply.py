"""What a judge answers: read strictly, or not at all.

The only reply that counts is one JSON object with the nonce of its own request and one
grade for each rubric. The schema that an endpoint is sent does not fix the nonce: what
constrained decoding fills in by itself would prove nothing.
"""

from __future__ import annotations

import hmac
import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NoReturn

from ..shapes import get
from .rubrics import GRADES

__all__ = ["Malformed", "grades", "schema", "shares"]

LONGEST = 20_000
"""Characters of a reply; one with every ready rubric has 500."""

_FENCE = re.compile(r"```(?:json)?[ \t]*\n(.*)\n```", re.DOTALL)


class Malformed(Exception):
    """The reply is not one; says why, and shows nothing of it."""


def schema(names: tuple[str, ...]) -> dict[str, Any]:
    """The JSON Schema of a reply with these rubrics, without references."""
    made: dict[str, Any] = _model(names).model_json_schema()
    made["properties"]["grades"] = made.pop("$defs")["Grades"]
    return made


def grades(content: object, nonce: str, names: tuple[str, ...]) -> dict[str, int]:
    """The grades of a reply, by rubric.

    Args:
        content: What the judge said.
        nonce: The nonce of the request that it answers.
        names: The rubrics that were asked.

    Raises:
        Malformed: It is anything but what was asked for: other text around the object,
            unknown, missing or repeated keys, a grade that is no whole number from 1
            to 5, NaN, or another nonce.
    """
    if not isinstance(content, str) or not content.strip():
        raise Malformed("it is empty")
    if len(content) > LONGEST:
        raise Malformed("it is far too long")
    value = _json(_bare(content))
    found = _validated(value, names)
    if found is None:
        raise Malformed("it is not of the form that was asked for")
    if not hmac.compare_digest(
        found.nonce.encode("utf-8", "surrogatepass"), nonce.encode()
    ):
        raise Malformed("it does not hold the nonce of its request")
    return {name: getattr(found.grades, f"g{n}") for n, name in enumerate(names)}


def shares(
    content: str, graded: Mapping[str, int], logprobs: object
) -> dict[str, float]:
    """Each grade as a share of the way from 1 to 5, by its probabilities if told.

    The mean of the grades, weighted by the probability of each at the place where the
    grade stands (as in G-Eval, Liu et al. 2023, arXiv:2303.16634). Without usable
    log-probabilities it is the grade itself.
    """
    tokens = _tokens(content, logprobs)
    found = {}
    for name, grade in graded.items():
        place = re.search(rf'"{name}"\s*:\s*(\d)', content)
        mean = None if place is None else _mean(tokens, place.start(1), grade)
        found[name] = ((grade if mean is None else mean) - 1) / (len(GRADES) - 1)
    return found


@lru_cache(maxsize=256)
def _model(names: tuple[str, ...]) -> Any:
    from typing import Annotated

    from pydantic import BeforeValidator, ConfigDict, Field, create_model

    # By alias, because a rubric may have a name that pydantic uses itself.
    fields: dict[str, Any] = {
        f"g{n}": (
            # To Python, and so to Literal, True is a 1.
            Annotated[Literal[1, 2, 3, 4, 5], BeforeValidator(_whole)],
            Field(alias=name),
        )
        for n, name in enumerate(names)
    }
    config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)
    graded = create_model("Grades", __config__=config, **fields)
    return create_model(
        "Reply", __config__=config, nonce=(str, ...), grades=(graded, ...)
    )


def _whole(value: object) -> object:
    if type(value) is not int:
        raise ValueError("not a whole number")
    return value


def _validated(value: object, names: tuple[str, ...]) -> Any:
    try:
        return _model(names).model_validate(value)
    except ValueError:  # pydantic's own error is one, and it may show the reply
        return None


def _bare(content: str) -> str:
    """The reply without a code fence around all of it, which many models write."""
    stripped = content.strip()
    fenced = _FENCE.fullmatch(stripped)
    return fenced[1] if fenced else stripped


def _json(text: str) -> object:
    value = reason = None
    try:
        value = json.loads(
            text,
            object_pairs_hook=_members,
            parse_constant=_refuse,
            parse_float=_refuse,
        )
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, _Known) else "it is not JSON"
    if reason is not None:
        # Raised out here, so that no error with the reply in it is chained.
        raise Malformed(reason)
    return value


class _Known(ValueError):
    """A reason that may be shown."""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _Known("a key stands in it twice")
    return members


def _refuse(number: str) -> NoReturn:
    raise _Known("a number in it is not a whole one")


def _tokens(content: str, logprobs: object) -> Sequence[object]:
    """The tokens of the reply, if they spell it."""
    tokens = get(logprobs, "content")
    if not isinstance(tokens, list | tuple):
        return ()
    spelt = [get(token, "token") for token in tokens]
    if not all(isinstance(token, str) for token in spelt) or "".join(spelt) != content:
        return ()
    return tokens


def _mean(tokens: Sequence[object], position: int, grade: int) -> float | None:
    """The mean grade at a place of the reply, or None where it is not told."""
    at = 0
    for token in tokens:
        text: str = get(token, "token")
        if at + len(text) > position:
            before, after = text[: position - at], text[position - at + 1 :]
            return _weighted(get(token, "top_logprobs"), before, after, grade)
        at += len(text)
    return None


def _weighted(others: object, before: str, after: str, grade: int) -> float | None:
    weights: dict[int, float] = {}
    for other in others if isinstance(others, list | tuple) else ():
        text, logprob = get(other, "token"), get(other, "logprob")
        if not isinstance(text, str) or isinstance(logprob, bool):
            return None
        if not isinstance(logprob, int | float) or not -math.inf <= logprob <= 1e-6:
            return None
        digit = text[len(before) : len(text) - len(after)]
        if text == before + digit + after and digit in map(str, GRADES):
            weights[int(digit)] = math.exp(logprob)
    total = sum(weights.values())
    # What was said must be among what could have been said.
    if grade not in weights or not total > 0:
        return None
    return sum(g * weight for g, weight in weights.items()) / total
