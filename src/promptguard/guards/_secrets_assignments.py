"""Assignments to names that hold secrets, in any of the ways people write them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ._secrets_checks import PLACEHOLDER, entropy, is_placeholder, is_random, is_wordy
from ._secrets_names import kind_of

__all__ = ["Assignment", "assignments", "verdict"]

MOST_NAME = 64
"""Characters of a name that are read on either side of the word that tells."""

MOST_VALUE = 512
"""A longer value is no password, and keys that long have patterns of their own."""

# The words that tell, each found by a letter that is rare in prose.
_WORDS = (
    r"k(?:ey|(?<=tok)en)|p(?:ass|wd|sw(?!i)|w(?![a-z])|at(?![a-z])|i(?<=\bapi)(?![a-z]))|c(?:ret(?<=secret)|red|e(?<=nonce))"
    r"|u(?<=au)th|lt(?<=salt)|j(?:wt)|bearer"
)
_TELLING = re.compile(_WORDS, re.ASCII)
# One of these is wherever one of those is: to look for each is quicker.
_TELLERS = (
    "key token pass pw psw pat api secret cred nonce auth salt jwt bearer".split()
)
# After the name a sentence goes on in words of letters only, or ends: nothing in it can
# be a value, but behind an option or a setting. A longer word may be one, and "the
# password for ... is" may stand before it, within 64 characters.
_TELLING_MORE = re.compile(
    rf"(?:{_WORDS})(?![a-z]{{0,15}}+(?:[.,;!?](?=\s|\Z)"
    r"|(?=[a-z, ]{64}|[a-z, ]{0,64}+[.!?;](?:\s|\Z)),? [a-z]{1,15}+(?![a-z])))",
    re.ASCII,
)
_SETTINGS = ("ENV", "define", "set", "ARG")
_SET = re.compile(r"\b(?:ENV|define|setx?|ARG)[ \t]", re.ASCII)
_OPTIONS = (" -", "\n-", "\t-")
_TYPE = (
    r"(?:(?:\s{0,3}:\s{0,3}|[ ])&?(?:'static )?(?:Option(?:al)?[<\[])?"
    r"(?:str|string|String|SecretStr|char|bytes|NSString|Any)[>\]]?\??)?"
)
_OPERATOR = (
    # XML and HTML: an element, or two attributes, and others between them.
    r"(?:(?P<element>[\"']?(?:\s[^<>\n]{0,40}[^<>\n=-])?>)"
    r"|[\"']?(?:\s{1,4}(?!value|content)[a-z-]{2,16}=[\"'][^\"'<>\n]{0,40}[\"']){0,2}"
    r"\s{1,4}(?:value|content)\s{0,2}="
    # A name in quotes or brackets may be followed by a comma.
    r"|\\?[\"'`]?(?:\[\d{0,4}\]|[\])]{0,2})(?P<typed>" + _TYPE + r")\s{0,24}"
    r"(?::{1,3}=|<-|%3[DdAa]|[!=~]={1,3}|[?+.]?=>?|(?P<arrow>-{0,2}>|-)|:|(?P<pipe>\|)\|?"
    r"|(?<=[\"'`)\]]),|(?<=[\"'`)\]] ),)"
    r"|(?P<call>\()"
    r"|(?P<says>(?:\s{1,3}(?:for|of)\s[^\n.:=]{1,40}?)?\s{1,3}(?:"
    r"is|was|ist|are|equals|to|set to|will be|should be|must be)(?:\s{0,2}:)?\s)"
    r"|(?P<blank>\s))"
)
# In a header the value comes after a word that says how it is meant.
_SCHEME = (
    r"(?:(?:token|apikey|api[_-]key|api-token|bearer|basic|jwt|oauth|ssws|geniekey)"
    r"[ \t:=]{1,3})?"
)
# What a value without quotes is made of. Of what follows a second = or : only a little
# belongs to it, or a text full of them would be read many times.
_PLAIN = r"[^\s\"'`<>;,(){}\[\]\\&|]"
# A value may be made by a call: base64.b64decode("..."), []byte("..."), new Key("...").
_MADE = r"(?P<made>(?:\[\])?(?:new )?[\w.:<>]{0,40}+[({\[]\s{0,4})?"
_VALUE = (
    rf"(?:\s{{0,24}}{_MADE}"
    r"(?:[rRbBuUfFLN@]{1,2}(?=[\"'`]))?(?:\"\"(?=\")|''(?='))?"
    r"(?P<quote>\\?[\"'`]|&quot;)"
    rf"(?i:{_SCHEME})"
    rf"(?P<quoted>(?:(?!(?P=quote))\S){{1,{MOST_VALUE}}}+)"
    r"(?:(?P=quote)|(?P<open>(?=\\?\r?(?:\n|\Z))))"
    rf"|\s{{0,24}}(?i:{_SCHEME})"
    rf"(?P<bare>{_PLAIN[:-1]}=:]{{1,{MOST_VALUE}}}+(?:[=:]{_PLAIN}{{0,80}}+)?)"
    rf"(?!{_PLAIN}|[({{\[]))"
)
_ASSIGNED = re.compile(
    rf"(?P<tail>(?:\w|[.-](?=\w)){{0,{MOST_NAME}}}+){_OPERATOR}{_VALUE}", re.ASCII
)
_NAME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
# What stands before a name that is set off from its value by nothing but a space.
_FLAG = re.compile(r"\b(?:ENV|define|set|setx|ARG)[ \t]{1,3}$", re.ASCII)
_SQL = re.compile(r"\b(?:user|role|login|identified|alter|create|set|with)\b", re.I)
_FIRST = re.compile(r"(?:set|with|add|use|put|make|new|is|has|verify|check)", re.I)

_PATH = re.compile(
    r"(?!\\x)(?:[A-Za-z]:|~|\.{1,2})?[/\\][\w./\\ -]*"
    r"|[\w./\\-]+\.(?:pem|json|ya?ml|txt|key|crt|cer|p12|pfx|jks|py|js|ts|html?|env|cfg|ini|conf|xml|csv|md|rb|go|java|properties)",
    re.ASCII,
)
_URL = re.compile(r"[a-z][a-z0-9+.-]*://.*|[\w.+-]+@[\w-]+\.[\w.]+", re.I | re.DOTALL)
_CODE = re.compile(
    r"[A-Za-z_$]\w*(?:(?:\.|::|->)[A-Za-z_][\w]*)*:?|.*\.(?:get|env|value|length)\b.*",
    re.ASCII,
)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I)
_HEX = re.compile(r"[0-9a-fA-F]{16,}")
_VERSION = re.compile(
    r"(?:[\w.-]*[-_:@])?v?\d+(?:\.\d+)+(?:[-+.:]?\w+)*|\d{4}-\d\d-\d\d.*|[\d.,:+-]+"
)


# What a password is called elsewhere. German passwort and French mot de passe are told
# by the letters they share with the English word.
_LATIN = (
    "kennwort",
    "senha",
    "wachtwoord",
    "parola",
    "contrasena",
    "heslo",
    "sandi",
    "p/w",
)
_OTHER = """
contraseña hasło jelszó lösenord adgangskode şifre пароль пароля код\\sдоступа κωδικός
סיסמה كلمة\\sالمرور कूटशब्द पासवर्ड 비밀번호 비번 패스워드 암호 密码 密碼 口令 パスワード
暗証番号 รหัสผ่าน mật\\skhẩu
"""
_FOREIGN = re.compile("|".join((*_LATIN, *_OTHER.split())))
_SAID = re.compile(
    r"[\"'`]?\s{0,3}(?:[:=]|-|is|ist|es|est|é|lautet|это|是|为|為|は|가|는|은)\s{0,3}"
    r"(?:(?P<quote>[\"'`«“「])(?P<quoted>[^\s\"'`»”」]{4,128})[\"'`»”」]"
    r"|(?P<bare>[!-~]{4,128}))"
)


@dataclass(frozen=True)
class Assignment:
    """A name and the value that follows it.

    Args:
        start: Where the name starts.
        name: The name.
        kind: What its words say, see ``kind_of``.
        left: Where the value starts.
        right: One past its end.
        value: The value.
        quoted: It stands in quotes.
        told: A sentence says what it is.
        alone: Nothing else is on its line, or it is part of a connection string.
    """

    start: int
    name: str
    kind: str
    left: int
    right: int
    value: str
    quoted: bool
    told: bool
    alone: bool


def assignments(text: str, lower: str, start: int) -> Iterator[Assignment]:
    """What is assigned to a name with a telling word at or after ``start``.

    Args:
        text: The text.
        lower: The same in small letters, of the same length.
        start: Where to look from.
    """
    at = start
    yield from _foreign(text, lower, start)
    if not any([word in lower for word in _TELLERS]):
        return
    telling = _TELLING if _sets(text) else _TELLING_MORE
    while (hit := telling.search(lower, at)) is not None:
        at = hit.start() + 1
        match = _ASSIGNED.match(text, hit.end())
        if match is None or _TELLING.search(lower, at, match.end("tail")) is not None:
            # Of two telling words in one name the last one is looked at.
            continue
        found = _assignment(text, hit.start(), match)
        if found is not None:
            yield found


def _sets(text: str) -> bool:
    """True where a name may be set with nothing but a space before its value."""
    if text.startswith("-") or any(option in text for option in _OPTIONS):
        return True
    said = any(word in text for word in _SETTINGS)
    return said and _SET.search(text) is not None


def _foreign(text: str, lower: str, start: int) -> Iterator[Assignment]:
    """Passwords that are called so in another language than English."""
    if text.isascii() and not any([word in lower for word in _LATIN]):
        return
    for word in _FOREIGN.finditer(lower, start):
        match = _SAID.match(text, word.end())
        if match is not None:
            quoted = match["quoted"] is not None
            left, right = match.span("quoted" if quoted else "bare")
            value = text[left:right]
            yield Assignment(
                word.start(),
                word[0],
                "password",
                left,
                right,
                value,
                quoted,
                True,
                False,
            )


def _assignment(text: str, hit: int, match: re.Match[str]) -> Assignment | None:
    before = text[max(0, hit - MOST_NAME) : hit]
    start = hit - len(before) + len(before.rstrip(_NAME))
    name = text[start : match.end("tail")].strip("-.")
    kind = kind_of(name)
    if kind is None:
        return None
    if kind == "key" and text[start - 1 : start] == " ":
        # In a sentence the name may be two words: API key.
        words = text[max(0, start - 20) : start].rpartition("\n")[2].split()
        kind = kind_of("_".join((*words[-1:], name))) or kind
    quoted = match["quoted"] is not None
    left, right = match.span("quoted" if quoted else "bare")
    value = text[left:right]
    if not quoted:
        if PLACEHOLDER.match(text, right):
            # The value goes on in what is out already.
            return None
        value = value.rstrip(".:!?" if match["says"] else ".:")
        right = left + len(value)
    if kind == "password" and text[start - 1 : start] == "/" and "/" in value:
        # After "id/pw:" come both; the table has that.
        return None
    if not quoted and value[-1:] == "=" and kind_of(value.rstrip("=")) is not None:
        # Nothing is assigned here: this is the next name.
        return None
    if not value or not _follows(text, start, name, match, kind, value, quoted):
        return None
    told = match["says"] is not None or match["element"] is not None
    alone = not told and _is_alone(text, start, name, left, right)
    if match["says"] is None and (
        text[start] == "-" or text[start - 1 : start] in "?&"
    ):
        # An option of a command, or a parameter of a URL.
        alone = True
    return Assignment(start, name, kind, left, right, value, quoted, told, alone)


def _is_alone(text: str, start: int, name: str, left: int, right: int) -> bool:
    if text[left - 1] == "=" and text[right : right + 1] == ";":
        return name[0].isupper()
    before = text[max(0, start - 12) : start].rpartition("\n")[2].strip(" \t#")
    after = text[right : right + 40].partition("\n")[0].split("#")[0].strip()
    if before not in ("", "export", "-", "set") or after:
        return False
    shell = text[left - 1] == "=" and name.isupper()
    return shell or text[left - 2 : left] == ": "


def _follows(
    text: str,
    start: int,
    name: str,
    match: re.Match[str],
    kind: str,
    value: str,
    quoted: bool,
) -> bool:
    """True when the value belongs to the name, by what stands between them."""
    digits = sum(map(str.isdigit, value))
    unsure = match["made"] is not None or match["open"] is not None
    if unsure and not (len(value) >= 12 and is_random(value)):
        # The argument of a call is more often what something is looked up by, and a
        # quotation mark that nothing closes may be an apostrophe.
        return False
    if match["element"] is not None:
        return text[start - 1 : start] == "<" or "=" in text[max(0, start - 24) : start]
    if match["call"] is not None:
        fits = _FIRST.match(name) is not None or name.isupper() or kind != "password"
        return quoted and (fits or (digits > 0 and name.islower() and name.isalpha()))
    if match["says"] is not None:
        return quoted or (digits > 0 and len(value) >= 6)
    if match["arrow"] is not None and not quoted:
        # Without spaces around it this names a field, or goes on with the name.
        apart = text[match.end("tail")].isspace() and text[match.end("arrow")].isspace()
        known = digits > 0 if kind == "password" else is_random(value)
        return apart and known
    if match["pipe"] is not None:
        return kind == "password" and digits > 0
    if match["blank"] is not None:
        return _is_set_off(text, start, kind, value, quoted, digits)
    if not quoted and "\n" in text[match.end("tail") : match.start("bare")]:
        # On the next line stands as a rule the next name.
        alone = digits > 0 and not re.search("[=:]", value)
        return kind == "password" and alone and ":" in match[0][: -len(value)]
    return True


def _is_set_off(
    text: str, start: int, kind: str, value: str, quoted: bool, digits: int
) -> bool:
    """True for a value with nothing but a space before it that belongs to the name."""
    if value.startswith("-"):
        return False
    before = text[max(0, start - 80) : start].rpartition("\n")[2]
    if text[start] == "-" or _FLAG.search(before):
        return True
    if quoted:
        # In Gradle and the like the name begins the line.
        fits = digits > 0 or not before.strip() or _SQL.search(before) is not None
        return kind == "password" and fits
    if kind == "password":
        return _is_strong(value)
    return kind == "secret" and len(value) >= 20 and is_random(value, 3.5)


def _is_strong(value: str) -> bool:
    """True for letters, digits and signs mixed as in nothing but a password."""
    if len(value) < 6 or not any(map(str.isdigit, value)):
        return False
    if any(char in "!@#$%^&*+=?" for char in value):
        return True
    mixed = not value.islower() and not value.isupper()
    return mixed and re.fullmatch(r"\d*[A-Z]?[a-z]*[A-Z]?[a-z]*\d+", value) is None


def verdict(found: Assignment) -> tuple[str, float] | None:
    """The label and score of a value by the looks of it, if it may be a secret."""
    value, name = found.value, found.name
    if is_placeholder(value) or value.lower() == name.lower():
        return None
    if found.kind == "password":
        return ("generic-password", 0.6) if _is_password(found) else None
    if (
        len(value) < (8 if found.kind == "secret" else 12)
        or _URL.fullmatch(value)
        or (_PATH.fullmatch(value) and not is_random(value, 4.2))
        or _VERSION.fullmatch(value)
    ):
        return None
    if not found.quoted and len(value) < 32 and "." in value and _CODE.fullmatch(value):
        return None
    if _UUID.fullmatch(value):
        return ("generic-secret", 0.5) if found.kind == "secret" else None
    floor = (2.6 if len(value) < 20 else 3.0) if found.kind == "secret" else 3.0
    if not is_random(value, floor):
        weak = (found.quoted or found.alone) and found.kind == "secret"
        if weak and _is_weak(value):
            return "generic-secret", 0.5
        return None
    if found.kind == "key" and not _HEX.fullmatch(value) and entropy(value) < 3.3:
        return None
    return "generic-secret", round(min(0.8, 0.35 + 0.1 * entropy(value)), 2)


def _is_password(found: Assignment) -> bool:
    value = found.value
    digits = sum(map(str.isdigit, value))
    if len(value) < 4 or _URL.fullmatch(value) or re.match(r"[.,+;:)]|/.*/", value):
        return False
    if not digits and not value.isalnum() and _TELLING.search(value.lower()):
        return False
    if found.quoted:
        return not (_PATH.fullmatch(value) or _is_name(value))
    if value.isdigit():
        return True
    if (found.alone or found.told) and value.isalpha() and len(value) >= 5:
        return not _is_name(value)
    if _CODE.fullmatch(value) and not (value.isalnum() and digits):
        return False
    if _PATH.fullmatch(value) or _VERSION.fullmatch(value) or _is_name(value):
        return False
    return digits > 0 or not is_wordy(value)


def _is_name(value: str) -> bool:
    """True for what names a password: userPassword, DB_PASSWORD, password-field."""
    if any(map(str.isdigit, value)):
        return False
    return re.fullmatch(r"[a-z]+(?:[A-Z][a-z]+)+|[A-Z]+(?:_[A-Z]+)+", value) is not None


def _is_weak(value: str) -> bool:
    """True for a secret that somebody thought up: letters, digits and other signs."""
    signs = sum(char in "!@#$%^&*+=~?" for char in value)
    digits = sum(map(str.isdigit, value))
    return (signs > 0 and value[0] not in "#@$") or (digits > 1 and value.isalnum())
