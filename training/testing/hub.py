"""A Hub on the loopback interface that speaks the true protocol, from memory.

Enough of it for ``huggingface_hub`` to create repositories, commit regular and LFS
files, set tags, and read back what it wrote. The client looks at ``HF_ENDPOINT`` when
it is imported, so run it in a process of its own, with ``hub.environment(folder)``.
"""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from .protocol import Server

__all__ = ["TOKEN", "LoopbackHub", "Repository", "Request"]

TOKEN = "hf_loopback"


@dataclass
class Repository:
    """A repository: commits of whole trees, and what names them.

    Args:
        private: Nobody reads it without the token.
    """

    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        """Put a tree on top of a branch and return the commit's id."""
        seed = f"{len(self.commits)} {branch} {sorted(files)}"
        oid = hashlib.sha1(seed.encode() + b"".join(files.values())).hexdigest()
        self.commits[oid] = dict(files)
        self.branches[branch] = oid
        return oid

    def resolve(self, revision: str) -> str | None:
        """The commit that a branch, a tag or an id stands for."""
        found = self.branches.get(revision) or self.tags.get(revision)
        return found or (revision if revision in self.commits else None)


@dataclass(frozen=True)
class Request:
    """A request the server got; ``token`` is whether it carried one."""

    method: str
    path: str
    token: bool


class LoopbackHub:
    """A Hub for ``with LoopbackHub() as hub:``.

    Args:
        token: The only one that may write, and read what is private.

    ``requests`` are those it got, ``downloads`` the files it sent the content of.
    What the others hold may be changed while it runs: ``repositories`` by type and id,
    ``altered`` bytes by path to answer with instead of the true ones, and ``broken``,
    a status to answer everything with that has ``broken_at`` in its path.
    """

    def __init__(self, token: str = TOKEN) -> None:
        self.token = token
        self.user = "somebody"
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.altered: dict[str, bytes] = {}
        self.requests: list[Request] = []
        self.downloads: list[str] = []
        self.broken: int | None = None
        self.broken_at = ""
        self.lock = threading.Lock()
        self._http: Server | None = None

    @property
    def endpoint(self) -> str:
        """What ``HF_ENDPOINT`` has to be."""
        if self._http is None:
            raise RuntimeError("the Hub does not run; use it in a with statement")
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def storage(self) -> str:
        """The same server by another name, as large files come from another host."""
        return self.endpoint.replace("127.0.0.1", "localhost")

    def environment(self, home: Path, token: str | None = TOKEN) -> dict[str, str]:
        """An environment for a client process whose cache is ``home``."""
        others = ("HF_", "TRANSFORMERS_OFFLINE")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(others)}
        kept |= {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            # Xet is another protocol, spoken by compiled code.
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "127.0.0.1,localhost",
        }
        return kept | ({} if token is None else {"HF_TOKEN": token})

    def note(self, method: str, path: str, token: bool) -> None:
        """Keep a request for the test to look at."""
        self.requests.append(Request(method, path, token))

    def create(self, kind: str, name: str, *, private: bool = False) -> Repository:
        """Make a repository with the one file that a new one has."""
        made = self.repositories[kind, name] = Repository(private)
        made.commit({".gitattributes": b"*.onnx filter=lfs\n"})
        return made

    def model(self, name: str, files: dict[str, bytes] | Path) -> str:
        """Commit a folder to a model's repository and return the commit's id."""
        if isinstance(files, Path):
            files = {path.name: path.read_bytes() for path in files.iterdir()}
        return self._put("model", name, files)

    def data_set(self, name: str, files: dict[str, bytes]) -> str:
        """Commit files to a data set's repository and return the commit's id."""
        return self._put("dataset", name, files)

    def _put(self, kind: str, name: str, files: dict[str, bytes]) -> str:
        made = self.repositories.get((kind, name)) or self.create(kind, name)
        return made.commit(files)

    def __enter__(self) -> Self:
        self._http = Server(self)
        threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None
