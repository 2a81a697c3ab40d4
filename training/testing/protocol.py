"""What the loopback Hub answers, request by request."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from .hub import LoopbackHub, Repository

__all__ = ["Server"]

_LFS_SUFFIXES = (".bin", ".gz", ".onnx", ".parquet", ".safetensors")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    # A connection that a client keeps alive would hold server_close() up.
    block_on_close = False

    def __init__(self, hub: LoopbackHub) -> None:
        self.hub = hub
        super().__init__(("127.0.0.1", 0), _Handler)


class _Answer(Exception):
    """Ends a request with a status; ``code`` is the Hub's own word for it."""

    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message or code


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server
    body: bytes

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: a test's output is its own."""

    def _respond(self) -> None:
        hub = self.server.hub
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        hub.note(self.command, path, "Authorization" in self.headers)
        try:
            if hub.broken is not None and hub.broken_at in path:
                raise _Answer(hub.broken, message="broken on purpose")
            for method, pattern, work in self.ROUTES:
                match = pattern.fullmatch(urlsplit(self.path).path)
                if match and method == self.command:
                    with hub.lock:
                        work(self, **{k: unquote(v) for k, v in _given(match)})
                    return
            raise _Answer(404, message=f"no route for {self.command} {path}")
        except _Answer as answer:
            headers = {"X-Error-Message": answer.message}
            if answer.code:
                headers["X-Error-Code"] = answer.code
            self._json({"error": answer.message}, answer.status, headers)

    do_GET = do_HEAD = do_POST = do_PUT = _respond

    # What comes in

    def _json_body(self) -> Any:
        return json.loads(self.body)

    def _authorised(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.server.hub.token}"

    def _writer(self) -> None:
        if not self._authorised():
            raise _Answer(401, message="Invalid credentials in Authorization header")

    def _repository(self, kind: str, name: str) -> Repository:
        found = self.server.hub.repositories.get((kind, name))
        if found is None or (found.private and not self._authorised()):
            # The Hub does not say which: a private name is nobody's business.
            raise _Answer(404 if self._authorised() else 401, "RepoNotFound")
        return found

    def _tree(
        self, kind: str, name: str, revision: str
    ) -> tuple[str, dict[str, bytes]]:
        repository = self._repository(kind, name)
        commit = repository.resolve(revision)
        if commit is None:
            raise _Answer(404, "RevisionNotFound")
        return commit, repository.commits[commit]

    # What goes out

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _json(
        self, value: object, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        kind = {"Content-Type": "application/json"}
        self._send(status, kind | (headers or {}), json.dumps(value).encode())

    # Who somebody is, and repositories

    def whoami(self) -> None:
        self._writer()
        access = {"type": "access_token", "accessToken": {"role": "write"}}
        self._json(
            {"type": "user", "name": self.server.hub.user, "orgs": [], "auth": access}
        )

    def create(self) -> None:
        self._writer()
        hub, asked = self.server.hub, self._json_body()
        name = f"{asked.get('organization') or hub.user}/{asked['name']}"
        kind = asked.get("type") or "model"
        url = f"{hub.endpoint}/{'' if kind == 'model' else kind + 's/'}{name}"
        if (kind, name) in hub.repositories:
            message = "You already created this repo"
            self._json({"error": message, "url": url}, 409)
            return
        hub.create(kind, name, private=_is_private(asked))
        self._json({"url": url, "name": name, "id": name})

    def validate(self) -> None:
        content = self._json_body()["content"]
        errors = [] if content.startswith("---\n") else [{"message": "no metadata"}]
        self._json({"errors": errors, "warnings": []}, 400 if errors else 200)

    def info(self, kind: str, name: str, revision: str = "main") -> None:
        commit, tree = self._tree(kind, name, revision)
        self._json(
            {
                "id": name,
                "sha": commit,
                "private": self._repository(kind, name).private,
                "tags": [],
                "downloads": 0,
                "likes": 0,
                "siblings": [{"rfilename": path} for path in sorted(tree)],
            }
        )

    def refs(self, kind: str, name: str) -> None:
        repository = self._repository(kind, name)

        def listed(names: dict[str, str], where: str) -> list[dict[str, str]]:
            return [
                {"name": key, "ref": f"refs/{where}/{key}", "targetCommit": commit}
                for key, commit in names.items()
            ]

        branches = listed(repository.branches, "heads")
        tags = listed(repository.tags, "tags")
        self._json({"branches": branches, "tags": tags, "converts": []})

    def tree(self, kind: str, name: str, revision: str) -> None:
        _, tree = self._tree(kind, name, revision)
        self._json([_entry(path, content) for path, content in sorted(tree.items())])

    def paths(self, kind: str, name: str, revision: str) -> None:
        _, tree = self._tree(kind, name, revision)
        if "json" in (self.headers.get("Content-Type") or ""):
            asked = self._json_body()["paths"]
        else:
            asked = parse_qs(self.body.decode()).get("paths", [])
        self._json([_entry(path, tree[path]) for path in asked if path in tree])

    def tag(self, kind: str, name: str, revision: str) -> None:
        self._writer()
        repository, asked = self._repository(kind, name), self._json_body()
        commit, _ = self._tree(kind, name, revision)
        if asked["tag"] in repository.tags:
            raise _Answer(409, message="Tag reference exists already")
        repository.tags[asked["tag"]] = commit
        self._json({})

    # Writing

    def preupload(self, kind: str, name: str, revision: str) -> None:
        self._writer()
        _, tree = self._tree(kind, name, revision)
        answers = []
        for file in self._json_body()["files"]:
            path, sample = file["path"], base64.b64decode(file["sample"])
            mode = "lfs" if _is_lfs(path, sample, file["size"]) else "regular"
            answer = {"path": path, "uploadMode": mode, "shouldIgnore": False}
            if path in tree:
                answer["oid"] = _entry(path, tree[path], mode == "lfs")["stored"]
            answers.append(answer)
        self._json({"files": answers})

    def batch(self, name: str, folder: str | None = None) -> None:
        self._writer()
        self._repository((folder or "models")[:-1], name)
        hub, asked = self.server.hub, self._json_body()
        objects = []
        for wanted in asked["objects"]:
            answer = dict(wanted)
            if wanted["oid"] not in hub.objects:
                href = f"{hub.endpoint}/storage/{wanted['oid']}"
                verify = f"{hub.endpoint}/verify/{wanted['size']}"
                answer["actions"] = {
                    "upload": {"href": href},
                    "verify": {"href": verify},
                }
            objects.append(answer)
        self._json({"transfer": "basic", "objects": objects})

    def put(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise _Answer(400, message="the content does not match its oid")
        self.server.hub.objects[oid] = self.body
        self._send(200, {"ETag": f'"{oid}"'}, b"")

    def verify(self, size: str) -> None:
        content = self.server.hub.objects.get(self._json_body()["oid"])
        if content is None or len(content) != int(size):
            raise _Answer(400, message="the object did not arrive")
        self._json({})

    def commit(self, kind: str, name: str, revision: str) -> None:
        self._writer()
        repository, hub = self._repository(kind, name), self.server.hub
        _, tree = self._tree(kind, name, revision)
        files = dict(tree)
        for line in self.body.splitlines():
            entry = json.loads(line)
            key, value = entry["key"], entry["value"]
            if key == "file":
                content = value["content"]
                is_coded = value.get("encoding") == "base64"
                data = base64.b64decode(content) if is_coded else content.encode()
                files[value["path"]] = data
            elif key == "lfsFile":
                if value["oid"] not in hub.objects:
                    raise _Answer(400, message="an LFS file was not uploaded")
                files[value["path"]] = hub.objects[value["oid"]]
            elif key == "deletedFile":
                files.pop(value["path"], None)
        oid = repository.commit(files, revision)
        url = f"{hub.endpoint}/{name}/commit/{oid}"
        self._json({"success": True, "commitUrl": url, "commitOid": oid})

    # Reading

    def resolve(
        self, name: str, revision: str, path: str, folder: str | None = None
    ) -> None:
        commit, tree = self._tree((folder or "models")[:-1], name, revision)
        if path not in tree:
            raise _Answer(404, "EntryNotFound")
        entry = _entry(path, tree[path])
        headers = {"X-Repo-Commit": commit, "ETag": f'"{entry["oid"]}"'}
        if "lfs" in entry:
            headers |= {
                "X-Linked-Etag": f'"{entry["stored"]}"',
                "X-Linked-Size": str(entry["size"]),
                "Location": f"{self.server.hub.storage}/objects/{commit}/{path}",
            }
            # Storage is another host: a client's HEAD request stops here, its GET
            # goes on and leaves the token behind.
            self.server.hub.objects[f"{commit}/{path}"] = tree[path]
            self._send(302, headers, b"")
            return
        self._content(path, tree[path], headers)

    def stored(self, key: str) -> None:
        content = self.server.hub.objects.get(key)
        if content is None:
            raise _Answer(404)
        self._content(key.partition("/")[2] or key, content, {})

    def _content(self, path: str, content: bytes, headers: dict[str, str]) -> None:
        hub = self.server.hub
        content = hub.altered.get(path, content)
        if self.command == "GET":
            hub.downloads.append(path)
        begin = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if begin and 0 < int(begin[1]) < len(content):
            place = f"bytes {begin[1]}-{len(content) - 1}/{len(content)}"
            rest = content[int(begin[1]) :]
            self._send(206, headers | {"Content-Range": place}, rest)
        else:
            headers["Content-Length"] = str(len(content))
            self._send(200, headers, content)

    ROUTES: ClassVar[list[tuple[str, re.Pattern[str], Callable[..., None]]]] = []


def _given(match: re.Match[str]) -> list[tuple[str, str]]:
    """Parts of a path by name; the type of a repository loses its plural."""
    return [
        (key, value[:-1] if key == "kind" else value)
        for key, value in match.groupdict().items()
        if value is not None
    ]


def _is_private(asked: dict[str, Any]) -> bool:
    # Newer clients say it in words.
    return bool(asked.get("private")) or asked.get("visibility") == "private"


def _is_lfs(path: str, sample: bytes, size: int) -> bool:
    return path.endswith(_LFS_SUFFIXES) or b"\0" in sample or size > 10_000_000


def _entry(path: str, content: bytes, lfs: bool | None = None) -> dict[str, Any]:
    """A file as the Hub lists it; ``stored`` is the hash its storage knows it by."""
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    entry = {"type": "file", "path": path, "size": len(content), "oid": blob}
    if lfs if lfs is not None else _is_lfs(path, content[:512], len(content)):
        sha = hashlib.sha256(content).hexdigest()
        pointer = {"oid": sha, "size": len(content), "pointerSize": 130}
        return entry | {"lfs": pointer, "stored": sha}
    return entry | {"stored": blob}


_API = r"/api/(?P<kind>models|datasets)/(?P<name>[^/]+/[^/]+)"
_FILES = r"/(?:(?P<folder>datasets)/)?(?P<name>[^/]+/[^/]+)"
_AT = r"/(?P<revision>[^/]+)"
_Handler.ROUTES = [
    (method, re.compile(pattern), work)
    for method, pattern, work in (
        ("GET", "/api/whoami-v2", _Handler.whoami),
        ("POST", "/api/repos/create", _Handler.create),
        ("POST", "/api/validate-yaml", _Handler.validate),
        ("GET", _API, _Handler.info),
        ("GET", _API + "/revision" + _AT, _Handler.info),
        ("GET", _API + "/refs", _Handler.refs),
        ("GET", _API + "/tree" + _AT + "(?:/.*)?", _Handler.tree),
        ("POST", _API + "/paths-info" + _AT, _Handler.paths),
        ("POST", _API + "/tag" + _AT, _Handler.tag),
        ("POST", _API + "/preupload" + _AT, _Handler.preupload),
        ("POST", _API + "/commit" + _AT, _Handler.commit),
        ("POST", _FILES + r"\.git/info/lfs/objects/batch", _Handler.batch),
        ("PUT", r"/storage/(?P<oid>[0-9a-f]{64})", _Handler.put),
        ("POST", r"/verify/(?P<size>\d+)", _Handler.verify),
        ("HEAD", _FILES + "/resolve" + _AT + "/(?P<path>.+)", _Handler.resolve),
        ("GET", _FILES + "/resolve" + _AT + "/(?P<path>.+)", _Handler.resolve),
        ("HEAD", r"/objects/(?P<key>.+)", _Handler.stored),
        ("GET", r"/objects/(?P<key>.+)", _Handler.stored),
    )
]
