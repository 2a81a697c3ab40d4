"""Typed items: content blocks, tool calls and results, reasoning, citations.

The items of the Responses API, the content blocks of Anthropic, the parts of Google and
of MCP differ in where their texts are, and new fields come with every release. So an
item is read the other way round: every string in it is a text, but for the fields that
say which one or of what kind (``NAMES``), and those that only the API can read
(``SEALED``). Inside what a tool is given or gives (``DATA``) every string is read,
whatever its key, and keys that are no plain names too; what is no data (a path, an
error) is read as ``str()`` says it, which is how frameworks hand it on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Literal

from .errors import ConfigError
from .shapes import Path, fields, get, is_model, is_sequence

__all__ = [
    "DEEPEST",
    "Form",
    "Part",
    "is_item",
    "item_parts",
    "item_role",
    "known_kind",
    "says",
    "too_deep",
]

Form = Literal["text", "json", "fixed"]


@dataclass(frozen=True, slots=True)
class Part:
    """One text and the way to it.

    Args:
        path: Keys, indexes and attributes from where reading began.
        text: What stands there.
        role: Whose text it is.
        coverage: Share of its message that is text; the rest is images and such.
        form: ``json`` for text with JSON escapes, ``fixed`` for one that cannot be
            replaced by another.
        prose: It is the answer itself, into which redacted values may be put back.
        ids: Numbers in it that stand in the place of an id.
    """

    path: Path
    text: str = field(repr=False)
    role: str
    coverage: float = 1.0
    form: Form = "text"
    prose: bool = False
    ids: frozenset[str] = field(default=frozenset(), repr=False)


NAMES = frozenset(
    "cache_control caller created_by detail encoding environment error_code execution "
    "file_type finish_reason fingerprint format id index kind language media_type "
    "mimeType mime_type model name namespace object outcome phase "
    "prompt_cache_breakpoint role server_label server_name status stop_reason "
    "tool_name toolset_name type".split()
)
SEALED = frozenset(
    "encrypted_content encrypted_index encrypted_stdout logprobs parsed "
    "obfuscation parsed_arguments signature thoughtSignature thought_signature".split()
)
BINARY = frozenset("b64_json blob file_data image_url inlineData inline_data".split())
DATA = frozenset(
    "args arguments artifact attributes input kwargs response structuredContent "
    "structured_content".split()
)
JSON = frozenset({"args", "arguments"})
# What stands under these came from a tool, whoever hands it on.
RESULTS = frozenset(
    "codeExecutionResult code_execution_result error functionResponse "
    "function_response output outputs results".split()
)
# Images, audio and files, and what they may be given as.
UNSEEN_KINDS = frozenset(
    "audio base64 computer_screenshot container_upload file image image_file "
    "image_generation_call image_url input_audio input_file input_image video".split()
)
# Texts that are written beside such a thing.
BESIDE = frozenset({"error", "revised_prompt"})
RETRIEVED_KINDS = frozenset({"document", "search_result"})

# The items of the Responses API that are no messages, and the content blocks of
# Anthropic, LangChain and MCP that are no plain text. An unknown one is an error.
ITEM_KINDS = frozenset(
    "additional_tools apply_patch_call apply_patch_call_output "
    "code_interpreter_call compaction compaction_trigger computer_call "
    "computer_call_output configuration_update custom_tool_call "
    "custom_tool_call_output file_search_call function_call function_call_output "
    "image_generation_call item_reference local_shell_call local_shell_call_output "
    "mcp_approval_request mcp_approval_response mcp_call mcp_list_tools program "
    "program_output reasoning shell_call shell_call_output tool_search_call "
    "tool_search_output web_search_call".split()
)
BLOCK_KINDS = frozenset(
    "advisor_tool_result bash_code_execution_tool_result browser_state citation "
    "code_execution_tool_result compaction container_upload document fallback "
    "mcp_tool_listing mcp_tool_result mcp_tool_use non_standard reasoning "
    "reasoning_text redacted_thinking resource resource_link search_result "
    "server_tool_call server_tool_call_chunk server_tool_result server_tool_use "
    "summary_text text-plain text_editor_code_execution_tool_result thinking "
    "tool_addition tool_call tool_call_chunk tool_reference tool_removal tool_result "
    "tool_search_tool_result tool_use web_fetch_tool_result "
    "web_search_tool_result".split()
)
DEEPEST = 32
# The digits of anything that identifies somebody are at least this many.
_LONG_NUMBER = 10**6


def known_kind(kind: object) -> bool:
    """True for the type of an item or block that ``item_parts`` reads."""
    return isinstance(kind, str) and (kind in ITEM_KINDS or kind in BLOCK_KINDS)


def is_item(value: Any) -> bool:
    """True for what stands in a list of items without being a message."""
    kind = get(value, "type")
    return isinstance(kind, str) and kind in ITEM_KINDS


def item_role(item: Any) -> str:
    """Whose text an item without a role is."""
    kind = get(item, "type")
    if kind == "mcp_approval_response":
        return "user"
    return _kind_role(kind) or "assistant"


def item_parts(
    item: Any, path: Path, role: str, *, data: bool = False
) -> tuple[list[Part], int]:
    """The texts in an item, and how many things in it are no text.

    Args:
        item: A mapping, object, sequence or string.
        path: The way to it.
        role: Whose it is, unless its type says that it came from a tool.
        data: It is what a tool is given or gives, so all keys are the tool's own.

    Raises:
        ConfigError: It is nested too deep.
    """
    parts: list[Part] = []
    unseen = _walk(item, path, role, data, DEEPEST, parts)
    return parts, unseen


def _walk(
    value: Any, path: Path, role: str, data: bool, depth: int, out: list[Part]
) -> int:
    if isinstance(value, str):
        if value:
            out.append(Part(path, value, role))
        return 0
    if value is None or isinstance(value, bool | float | type):
        return 0
    if isinstance(value, int):
        if data and abs(value) >= _LONG_NUMBER:
            out.append(Part(path, str(value), role, form="fixed"))
        return 0
    if isinstance(value, bytes | bytearray | memoryview):
        said = _decoded(value) if data else None
        if said:
            out.append(Part(path, said, role, form="fixed"))
        return int(said is None)
    if not depth:
        raise too_deep()
    if is_sequence(value):
        return sum(
            _walk(item, (*path, i), role, data, depth - 1, out)
            for i, item in enumerate(value)
        )
    if isinstance(value, set | frozenset):
        return _fixed(value, path, role, data, depth, out)
    inner = fields(value)
    if not data:
        return _walk_item(value, inner, path, role, depth, out)
    # A key of another making carries text as well as a value does.
    keys = [key for key in inner if not (isinstance(key, str) and _is_name(key))]
    unseen = _fixed(keys, path, role, True, depth, out)
    if isinstance(value, Enum):
        unseen += _fixed((value.value,), path, role, True, depth, out)
    elif not is_model(value):
        said = says(value)
        if said:
            out.append(Part(path, said, role, form="fixed"))
        unseen += int(said is None and not inner)
    steps = inner.items()
    return unseen + sum(
        _walk(v, (*path, k), role, True, depth - 1, out) for k, v in steps
    )


def too_deep() -> ConfigError:
    return ConfigError(
        f"a tool call, a result or a content block is nested deeper than {DEEPEST}"
        " levels, so its texts cannot be checked"
    )


def says(value: object) -> str | None:
    """What ``str()`` makes of something that is no data; None where that is nothing.

    Raises:
        ConfigError: It fails.
    """
    kind: Any = type(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return _decoded(value)
    if kind.__str__ is object.__str__ and (
        kind.__repr__ is object.__repr__ or fields(value)
    ):
        return None
    try:
        return str(value)
    except Exception:
        # Raised below, so that it is not chained to an error that may show the text.
        pass
    raise ConfigError(f"a {kind.__name__} cannot be read: its str() fails")


def _decoded(value: bytes | bytearray | memoryview) -> str | None:
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        return None


def _fixed(
    values: Iterable[Any],
    path: Path,
    role: str,
    data: bool,
    depth: int,
    out: list[Part],
) -> int:
    """Walk through what cannot be replaced."""
    parts: list[Part] = []
    unseen = sum(_walk(v, path, role, data, depth - 1, parts) for v in values)
    out += [replace(part, path=path, form="fixed") for part in parts]
    return unseen


def _walk_item(
    value: Any,
    inner: dict[Any, Any],
    path: Path,
    role: str,
    depth: int,
    out: list[Part],
) -> int:
    kind = inner.get("type")
    if kind in UNSEEN_KINDS:
        for name in BESIDE & inner.keys():
            _walk(inner[name], (*path, name), role, False, depth - 1, out)
        return 1
    role = _kind_role(kind) or role
    foreign = role in ("tool", "retrieved")
    unseen = 0
    for name, held in inner.items():
        if held is None or name in SEALED or _is_label(name, held, foreign):
            continue
        way = (*path, name)
        if name in BINARY or (name == "data" and kind != "text"):
            unseen += kind not in ("reasoning.encrypted", "redacted_thinking")
        elif name in JSON and isinstance(held, str):
            out.append(Part(way, held, role, form="json"))
        else:
            whose = "tool" if name in RESULTS else role
            own = name in DATA and not isinstance(held, str)
            unseen += _walk(held, way, whose, own, depth - 1, out)
    return unseen


def _is_label(name: str, value: Any, foreign: bool) -> bool:
    if name == "name":
        # A tool's result may come with any name; that of a call is one we offered.
        return not foreign
    if name in NAMES:
        return True
    return name.endswith(("_id", "_ids")) and not isinstance(value, dict)


def _kind_role(kind: object) -> str | None:
    if not isinstance(kind, str):
        return None
    if kind in RETRIEVED_KINDS:
        return "retrieved"
    foreign = kind.endswith(("_output", "_result")) or kind in (
        "additional_tools",
        "mcp_list_tools",
        "mcp_tool_listing",
        "resource",
        "resource_link",
    )
    return "tool" if foreign else None


def _is_name(key: str) -> bool:
    return len(key) <= 32 and key.replace("-", "_").isidentifier()
