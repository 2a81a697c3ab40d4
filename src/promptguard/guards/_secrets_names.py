"""Which names hold a secret, told by the words they are made of."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["kind_of"]

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

_PASSWORDS = frozenset(
    """
    password passwd passwort pwd pass passphrase passcode pword psw pw passw
    pswd passe passwords passphrases passcred userpass dbpass rootpass mypass
    adminpass passcodes passws pwds pws pswd pswds psswd passwrd passwrds pasword
    passowrd pword pwords pwrd
    """.split()
)
_SECRETS = frozenset(
    """
    secret secrets token authorization bearer nonce salt credential credentials cred
    creds
    """.split()
)
_WEAK = frozenset("auth api key pat jwt hmac".split())

# Before "key", these make it one that is kept secret.
_KEY_OF = frozenset(
    """
    api access secret private encryption encrypt decryption signing sign master
    auth account shared session service client app application license licence
    deploy ssh storage consumer subscription admin root server hmac aes crypto
    cipher jwt webhook integration developer dev rest write read user bot
    function security db database sas functions
    """.split()
)
# Before "key" and "token", these make them something that is seen by all.
_PUBLIC = frozenset(
    """
    public pub csrf xsrf next page continuation sync pad eos bos sep cls mask
    unk special stop end start primary foreign partition sort row object bucket
    cache group idempotency dict map index schema translation i18n message
    routing shift ctrl alt hot press registry config setting settings store
    component react sorting range hash search facet ordering lookup node tree
    column field attribute label meta tag max min total num count prompt
    completion input output per
    """.split()
)
# After the word that tells, these change nothing.
_TRAILING = frozenset(
    """
    prod production dev develop development test testing stage staging live
    sandbox value val string str text txt plain plaintext raw base64 b64 hex
    encoded default old new primary secondary backup temp tmp env header my our
    current actual one two main base
    """.split()
)
# A name that ends with one of these says something about a secret and holds none.
_ABOUT = frozenset(
    """
    id ids name names file files path paths dir url urls uri link type types
    kind length len size count hash hashed digest sha md5 checksum field fields
    label title text message error errors hint policy rule rules regex pattern
    format min max limit limits expiry expires expired expiration ttl age date
    time timestamp changed updated created reset required enabled disabled valid
    invalid validator strength confirm confirmation confirmed prompt input
    inputs form page view screen button icon mode manager provider service store
    storage vault factory builder handler helper helpers util utils class method
    function func encoder decoder parser generator verifier checker check
    version algorithm alg algo usage use used ref refs reference index idx map
    list array set group role scope scopes state status flow event request
    response endpoint api class module package cipher color colour code codes
    pair ring chain board word words press binding bindings char chars string
    strings down up
    """.split()
)
_JOINED = re.compile(r"(\w*?)(password|passwd|passphrase|pwd|secret|token|key)")


@lru_cache(maxsize=4096)
def kind_of(name: str) -> str | None:
    """``password``, ``secret`` or ``key``, the last for what is told less surely.

    None for a name that holds none, such as ``max_tokens`` or ``public_key``.
    """
    words = [word.lower() for word in _WORDS.findall(name)]
    while len(words) > 1 and (words[-1] in _TRAILING or words[-1].isdigit()):
        words.pop()
    if not words:
        return None
    if words[-2:] == ["pass", "word"]:
        return "password"
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last in _PASSWORDS:
        return "password"
    if last not in _SECRETS | _WEAK:
        joined = _JOINED.fullmatch(last)
        if joined is None:
            told = not _ABOUT.intersection(words) and not _PUBLIC.intersection(words)
            about = (_PASSWORDS | _SECRETS | {"key", "apikey"}).intersection(words)
            return "key" if told and about and len(words) < 6 else None
        before, last = joined[1], joined[2]
        if last == "key" and before not in _KEY_OF and before != "rsa":
            return None
        if last in _PASSWORDS:
            return "password"
    if before in _PUBLIC or (len(words) > 2 and words[-3] in {"public", "pub"}):
        return None
    if last == "key":
        return "secret" if before in _KEY_OF else "key"
    return "key" if last in _WEAK else "secret"
