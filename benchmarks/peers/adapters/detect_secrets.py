"""detect-secrets on a file that holds the text, as it is meant to be used.

Its function for single strings takes nearly every longer word for a secret.
"""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import get_ident

from ..peer import Find, Peer

# Settings and folder hold as long as their context is open: until the process ends.
_OPEN = ExitStack()
atexit.register(_OPEN.close)


def secrets() -> Find:
    from detect_secrets.core.scan import scan_file
    from detect_secrets.settings import default_settings

    _OPEN.enter_context(default_settings())
    folder = Path(_OPEN.enter_context(TemporaryDirectory()))

    def find(text: str) -> list[tuple[int, int, str]]:
        file = folder / str(get_ident())
        file.write_text(text, encoding="utf-8", errors="replace")
        found = []
        for secret in scan_file(str(file)):
            value = secret.secret_value or ""
            start = max(0, text.find(value))
            found.append((start, start + len(value), secret.type))
        return found

    return find


PEER = Peer(
    requirements=("detect-secrets==1.5.0",),
    imports="detect_secrets",
    tasks={"secrets": secrets},
    note="scan_file with its default settings, on a temporary file",
)
