"""What a service is told by whoever runs it. No request can change any of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from .. import ConfigError
from ..text import ROLES

__all__ = ["PREFIX", "Settings"]

PREFIX = "PROMPTGUARD_"
# Long enough that nobody guesses one.
SHORTEST_KEY = 16


class Settings(BaseModel):
    """How the service runs.

    Each can be given by an environment variable as well: ``upstream`` by
    ``PROMPTGUARD_UPSTREAM``. The two keys come from there or from a file alone.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False
    )

    policy: Path | None = None
    route: str | None = None
    upstream: str = "echo"
    upstream_key: SecretStr | None = None
    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    workers: int = Field(1, ge=1, le=64)
    open: bool = False
    api_keys: tuple[SecretStr, ...] = ()
    api_keys_file: Path | None = None

    trust: tuple[str, ...] = ("system", "developer")
    history: Literal["all", "new"] = "all"
    media: bool = True
    logprobs: bool = False

    max_body: int = Field(8 * 2**20, ge=1)
    max_answer: int = Field(32 * 2**20, ge=1)
    max_depth: int = Field(64, ge=1, le=200)
    max_texts: int = Field(2048, ge=1)
    max_characters: int = Field(200_000, ge=1)
    header_seconds: float = Field(10.0, gt=0)
    body_seconds: float = Field(30.0, gt=0)
    connect_seconds: float = Field(5.0, gt=0)
    upstream_seconds: float = Field(120.0, gt=0)
    drain_seconds: int = Field(30, ge=0)
    watch: float | None = None

    max_requests: int = Field(512, ge=1)
    queue: int = Field(64, ge=0)
    queue_seconds: float = Field(5.0, gt=0)
    rate: float | None = Field(None, gt=0)
    burst: int = Field(20, ge=1)
    retries: int | None = Field(20, ge=1)
    retry_seconds: float = Field(600.0, gt=0)
    conversations: int = Field(10_000, ge=1)
    conversation_seconds: float = Field(3600.0, gt=0)

    docs: bool = True
    metrics: bool = True
    otel: bool = False
    prices: Path | None = None
    capture: str | None = Field(None, repr=False)
    capture_texts: Literal["redacted", "hashed", "whole", "none"] = "redacted"
    capture_key: SecretStr | None = None
    retention: str | None = "30d"

    @field_validator("upstream")
    @classmethod
    def _an_address(cls, value: str) -> str:
        if value == "echo":
            return value
        rest = value.partition("://")[2]
        if not value.startswith(("http://", "https://")) or not rest.strip("/"):
            raise ValueError("must be echo, or an address such as https://host/v1")
        if "@" in rest.partition("/")[0]:
            raise ValueError("must not hold a key; set PROMPTGUARD_UPSTREAM_KEY")
        return value.rstrip("/")

    @field_validator("trust")
    @classmethod
    def _roles(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for role in value:
            if role not in ROLES:
                raise ValueError(f"must be among {', '.join(ROLES)}")
        return value

    @field_validator("api_keys")
    @classmethod
    def _long(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for key in value:
            secret = key.get_secret_value()
            if len(secret) < SHORTEST_KEY or not secret.isascii() or " " in secret:
                raise ValueError(
                    f"must be of at least {SHORTEST_KEY} ASCII characters each, "
                    "without spaces"
                )
        return value

    @model_validator(mode="after")
    def _of_use(self) -> Settings:
        if self.watch is not None and self.watch <= 0:
            raise ValueError("--watch must be more than 0 seconds")
        if self.capture is None:
            for name in ("capture_texts", "retention"):
                if name in self.model_fields_set:
                    raise ValueError(
                        f"--{name.replace('_', '-')} is of no use without --capture: "
                        "no requests are kept; say where, as in --capture "
                        "sqlite:///traffic.db"
                    )
        return self

    @model_validator(mode="after")
    def _closed(self) -> Settings:
        if not self.open and not self.local and not self.keyed:
            raise ValueError(
                f"listening on {self.host} without API keys would let anybody in; set "
                f"{PREFIX}API_KEYS or --api-keys-file, or say --open"
            )
        return self

    @property
    def local(self) -> bool:
        """True when only this machine can reach the service."""
        return self.host in ("127.0.0.1", "::1", "localhost")

    @property
    def keyed(self) -> bool:
        """True when callers need a key."""
        return bool(self.api_keys) or self.api_keys_file is not None

    @classmethod
    def of(
        cls,
        given: Mapping[str, Any],
        environment: Mapping[str, str] | None = None,
    ) -> Settings:
        """The settings that are given, and the others from the environment.

        Args:
            given: Values by name; None stands for one that is not given.
            environment: Where the others are; None means that of this process.

        Raises:
            ConfigError: One of them is not right.
        """
        variables = os.environ if environment is None else environment
        values = _from_environment(variables)
        values |= {name: value for name, value in given.items() if value is not None}
        file = values.get("api_keys_file")
        if file is not None:
            values["api_keys"] = (*values.get("api_keys", ()), *_keys_in(Path(file)))
        try:
            return cls(**values)
        except ValidationError as error:
            raise ConfigError("; ".join(_told(error))) from None

    def as_environment(self) -> dict[str, str]:
        """The variables that make the same settings elsewhere, but for the keys."""
        held = self.model_dump(mode="json", exclude_defaults=True)
        secret = {"api_keys", "upstream_key", "capture_key"}
        return {
            PREFIX + name.upper(): value
            if isinstance(value, str)
            else json.dumps(value)
            for name, value in held.items()
            if name not in secret
        }


def _from_environment(variables: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in Settings.model_fields:
        text = variables.get(PREFIX + name.upper(), "")
        if not text or (name == "port" and "://" in text):
            # Kubernetes sets this one for every service that is called promptguard.
            continue
        if name == "trust" and text == "none":
            values[name] = ()
        elif name in ("api_keys", "trust") and not text.startswith("["):
            values[name] = tuple(w.strip() for w in text.split(",") if w.strip())
        elif name == "trust":
            values[name] = tuple(json.loads(text))
        elif name == "retention" and text == "null":
            values[name] = None
        else:
            values[name] = text
    return values


def _keys_in(file: Path) -> tuple[str, ...]:
    """The keys of a file: one in a line; what follows a # is a comment."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        raise ConfigError(f"cannot read the API keys in {file}") from None
    keys = tuple(key for line in lines if (key := line.partition("#")[0].strip()))
    if not keys:
        raise ConfigError(f"there is no API key in {file}")
    return keys


def _told(error: ValidationError) -> list[str]:
    """What is wrong, setting by setting, without the values."""
    told = []
    for wrong in error.errors(include_input=False, include_url=False):
        name = str(wrong["loc"][0]) if wrong["loc"] else ""
        said = wrong["msg"].removeprefix("Value error, ")
        told.append(f"{name}: {said}" if name else said)
    return told
