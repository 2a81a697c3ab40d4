"""What in a body is no text: ids and types, long numbers, media, and what is sealed.

Each has to look like what it says it is. What looks like an id is read all the same,
together with the others; what is media or sealed is not, unless it is a text after all.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from contextlib import suppress
from functools import lru_cache
from urllib.parse import unquote

from ..items import BLOCK_KINDS, ITEM_KINDS, SEALED, UNSEEN_KINDS
from ..messages import TEXT_PARTS
from ..text import ROLES

__all__ = ["LONG_NUMBER", "PLAIN", "is_label", "is_media", "media", "usual", "written"]

# What looks like this is an id, a type or the name of a model.
PLAIN = re.compile(r"[A-Za-z0-9_][\w.:/@+=-]{0,255}", re.ASCII)
# Whatever identifies somebody has at least so many digits.
LONG_NUMBER = 10**6

_LABELS = frozenset(
    "detail finish_reason format id model object role service_tier status stop_reason "
    "system_fingerprint type".split()
)
_MEDIA = frozenset(
    "b64_json blob data embedding file_data image_url inline_data input_image "
    "partial_image_b64 url".split()
)
_DATA_URL = re.compile(r"data:[^,;\s]{0,100}(?:;[^,;\s]{1,100}){0,4},", re.IGNORECASE)
_TEXT_TYPE = re.compile(
    r"data:(?:text/|application/(?:[\w.-]+\+)?(?:json|xml|yaml|x-yaml|javascript)|[;,])",
    re.IGNORECASE,
)
# In one line, or in lines as mail has them. Words with spaces are no code.
_BASE64 = re.compile(r"(?:[\w+/-]{60,}\r?\n)*[\w+/-]*={0,2}\s*", re.ASCII)
# No name and no word is this long, so it is media and not a text that looks like it.
_LEAST_MEDIA = 64

# The words that types, roles and the like of the protocol are made of.
_WORDS = frozenset(
    word
    for label in (
        *(ITEM_KINDS | BLOCK_KINDS | UNSEEN_KINDS | TEXT_PARTS.keys()),
        *ROLES,
        # Types of schemas and of settings.
        *"any array auto boolean default enum flex grammar high integer json_object "
        "json_schema low medium minimal null number object priority regex required "
        "none scale string strict".split(),
        # Objects, statuses, and why an answer ended.
        *"chat.completion.chunk text_completion response in_progress incomplete "
        "completed cancelled failed queued searching interpreting generating stop "
        "length content_filter end_turn max_output_tokens model list embedding".split(),
        # Events of a stream.
        *"added annotation created delta done keepalive partial_image part "
        "transcript".split(),
        # Keys of answers.
        *"choices message logprobs finish_reason index usage prompt_tokens "
        "completion_tokens total_tokens input_tokens output_tokens cached_tokens "
        "reasoning_tokens audio_tokens accepted_prediction_tokens details id "
        "rejected_prediction_tokens system_fingerprint service_tier created_at "
        "completed_at annotations sequence_number item_id output_index arguments "
        "content_index summary_index name function_call tool_calls role error "
        "incomplete_details instructions metadata parallel_tool_calls temperature "
        "tool_choice top_p top_logprobs truncation background max_tool_calls effort "
        "previous_response_id prompt_cache_key safety_identifier store user "
        "verbosity text format strict schema description parameters properties "
        "refusal obfuscation usage billing frequency_penalty presence_penalty start "
        "end title url reason code param".split(),
    )
    for word in re.split(r"[^a-z]+", label.lower())
)
# Longer ones are not kept in mind.
_LONGEST = 64
# Digits of a number that points to nobody; and with a word, of a version's day.
_SHORT, _DATE = 6, 8
_SPLIT = re.compile(r"[._/-]+")


def is_label(key: str) -> bool:
    """True for the fields that hold ids, types and the like."""
    return key in _LABELS or key.endswith(("_id", "_ids"))


def is_media(key: str) -> bool:
    """True for the fields that hold media, or what only the API can read."""
    return key in _MEDIA or key in SEALED


def usual(label: str) -> bool:
    """True for a label that is made of words of the protocol, which say nothing."""
    return len(label) <= _LONGEST and _usual(label)


@lru_cache(1024)
def _usual(label: str) -> bool:
    words = _SPLIT.split(label)
    numbers = [word for word in words if word.isdecimal()]
    if sum(map(len, numbers)) > (_DATE if len(numbers) < len(words) else _SHORT):
        # A card, an account or a telephone number in groups.
        return False
    return all(
        word in _WORDS or (word.isdecimal() and len(word) <= 4) for word in words
    )


def written(number: float) -> str:
    """A number as digits."""
    return str(int(number)) if number == int(number) else repr(number)


def media(text: str) -> str | None:
    """What media says that is text after all; empty for none, None for no media."""
    head = _DATA_URL.match(text)
    data = text[head.end() :] if head else text
    if head and not head[0].lower().endswith(";base64,"):
        return unquote(data)
    if not _BASE64.fullmatch(data):
        return None
    if not head and (len(data) < _LEAST_MEDIA or not _mixed(data)):
        return None
    try:
        plain = base64.b64decode(data.replace("-", "+").replace("_", "/") + "==")
    except (ValueError, binascii.Error):
        return ""
    if head and _TEXT_TYPE.match(head[0]):
        # It says that it is text, so it is read, whatever it is written in.
        return _decoded(plain)
    try:
        said = plain.decode()
    except ValueError:
        return ""
    return "" if "\0" in said else said


def _mixed(data: str) -> bool:
    """Whether it has small and large letters and digits, as bytes in code do."""
    some = data[:4096]
    return (
        not some.isalpha()
        and some.upper() != some != some.lower()
        and any(map(str.isdecimal, some))
    )


def _decoded(data: bytes) -> str:
    """Bytes as text: by their mark, as UTF-8, or byte by byte."""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if wide else ("utf-8-sig",):
        with suppress(ValueError):
            return data.decode(encoding).replace("\0", "")
    return data.decode("latin-1").replace("\0", "")
