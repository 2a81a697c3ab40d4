"""For tests: a guard and a chat server with scripts, and the rules that guards keep.

from promptguard.testing import ChatServer, FakeGuard, check_guard
"""

from .conformance import check_guard
from .fakes import FakeGuard
from .judge import FakeJudge
from .server import ChatServer, Reply, Request, ToolCall

__all__ = [
    "ChatServer",
    "FakeGuard",
    "FakeJudge",
    "Reply",
    "Request",
    "ToolCall",
    "check_guard",
]
