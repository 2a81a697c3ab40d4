"""What may stand in place of a redacted value, other than a placeholder.

An operator is a function of the label and the value that gives a string. These three,
and any function of yours, are given to a guard that redacts: ``PII(operator=Mask())``.
What they take out is not restored.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .errors import ConfigError

__all__ = ["Hash", "Mask", "Remove"]

MOST_KEPT = 4
LEAST_HIDDEN = 4
LEAST_KEY = 16


@dataclass(frozen=True, slots=True)
class Mask:
    """Stars, and the last characters of the value, as in ``************1881``.

    Args:
        keep: How many characters stay, 0 to 4; never more than half of the value.
            Four is what PCI DSS 4.0 (requirement 3.4.1) leaves at the end of a card
            number; more could be found again as a value of its own.

    Raises:
        ConfigError: ``keep`` is another number.
    """

    keep: int = 4

    def __post_init__(self) -> None:
        if type(self.keep) is not int or not 0 <= self.keep <= MOST_KEPT:
            raise ConfigError(f"keep must be 0 to {MOST_KEPT}")

    def __call__(self, label: str, value: str) -> str:
        # Four stars at least are told from those that print a word in bold.
        kept = max(0, min(self.keep, len(value) // 2, len(value) - LEAST_HIDDEN))
        hidden = len(value) - kept
        return "*" * hidden + value[hidden:]


@dataclass(frozen=True, slots=True)
class Hash:
    """A keyed hash, the same for the same value, as in ``<US_SSN:5f2c...>``.

    128 bits of HMAC-SHA-256 (RFC 2104), in hexadecimal. Numbers are few enough to try
    them all, so whoever knows the key can find the value: keep it like a password.

    Args:
        key: At least 16 bytes. Not in the repr.

    Raises:
        ConfigError: The key is not bytes, or is too short.
    """

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        key: object = self.key
        if not isinstance(key, bytes) or len(key) < LEAST_KEY:
            raise ConfigError(
                f"key must be at least {LEAST_KEY} bytes: os.urandom(32) makes one"
            )

    def __call__(self, label: str, value: str) -> str:
        import hmac

        data = value.encode("utf-8", "surrogatepass")
        return f"<{label}:{hmac.digest(self.key, data, 'sha256').hex()[:32]}>"


@dataclass(frozen=True, slots=True)
class Remove:
    """Nothing at all. What stood on both sides of the value is side by side then."""

    def __call__(self, label: str, value: str) -> str:
        return ""
