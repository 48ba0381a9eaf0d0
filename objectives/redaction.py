"""Secrets: which values are secret, whether a header can carry them, and texts without them.

A secret comes back in other programs' words: in a server's error, a log's last line, a URL,
 the ``repr`` of a header. Every text that is shown, logged or kept goes through ``hide``.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote
from urllib.parse import quote_plus


MASK = "***"
SHORTEST = 6  # shorter values are hidden only where they stand alone as a word
_KNOWN_VARIABLES = ("VLLM_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
# The last word of a name, or how it ends: PGPASSWORD. Engines let --api-key be cut to --api-k.
_SECRET_NAME = re.compile(
    r"((^|[_.])(keys?|auth|authorization|pass|pwd|cookies?|jwt|dsn|sig|signature)"
    r"|(api|access|secret|private)_?keys?|token|secrets?|password|passwd|passphrase|credentials?"
    r"|^api_ke?|^hf_t(o(ke?)?)?)(_?\d+)?$"
)
_NO_SECRETS = ("PWD",)  # the folder that a shell is in
# What an HTTP header carries unchanged: visible ASCII, with blanks only inside.
_HEADER_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")
_NAMES = (
    "passw(?:or)?d|passphrase|pwd|secret|token|credentials?|auth|(?:api|access|private)[-_]?key"
)
# What looks like a secret, whoever shows it: tokens, assignments, headers, users within URLs.
_TELLING = tuple(
    re.compile(pattern)
    for pattern in (
        r"\b(?P<secret>(hf_|sk-|gh[opsru]_|github_pat_|glpat-|nvapi-|xox[a-z]-)[\w-]{16,})",
        r"\b(?P<secret>eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+)",
        r"(?i)\b(bearer|basic) (?=\S*\d)(?P<secret>[\w.~+/=-]{8,})",
        rf"""(?i)["'][\w.-]*(?:{_NAMES}|key|authorization)\\?["']: ?\\?["'](?P<secret>[^"'\\]+)""",
        rf"(?i)(?<![\w.-])[\w.-]*(?:{_NAMES})=(?!(?:None|True|False|null|\d{{1,5}})\b)"
        r"""(?P<secret>"[^"]*"|'[^']*'|[^\s"',;&)\]}]+)""",
        r"""(?i)[?&](?:key|sig|signature)=(?P<secret>[^\s&"']+)""",
        r"""(?i)\b(?:[a-z]+-)+(?:key|token|auth|secret): ?(?P<secret>[^\s"',}]+)""",
        r"""(?i)\bauthorization: ?(?:[a-z]+ )?(?P<secret>[^\s"',}]+)""",
        # A password may hold slashes and @ itself; 80/ is a port.
        r"""://[^/\s:\[]*:(?!\d+(?:[/?#\s]|$))(?P<secret>[^\s"'<>]+)@""",
        r"""https?://(?P<secret>[^/\s:@"'<>]+)@""",
    )
)
_SCHEMES = ("bearer", "basic", "digest", "token")  # the last two are words of other meanings, too
_HEADER = re.compile(r"(?P<name>[A-Za-z][\w-]*): *(?P<value>[^\s/].*)", re.DOTALL)
_ASSIGNED = re.compile(r"(?P<name>[A-Za-z_][\w.-]*)=(?P<value>.*)", re.DOTALL)


def is_secret(name: str) -> bool:
    """Return whether the value of an argument or environment variable must not be shown."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().replace("-", "_")
    return name not in _NO_SECRETS and _SECRET_NAME.search(words) is not None


def fits_header(value: str) -> bool:
    """Return whether an HTTP header can carry a value so that it arrives unchanged."""
    return _HEADER_VALUE.fullmatch(value) is not None


def secrets_in(
    variables: Mapping[str, str] | None = None, words: Sequence[str] = ()
) -> frozenset[str]:
    """Return the secret values among environment variables and the words of a command.

    Args:
        variables: Names and values. Short values do not count, as they occur in any text,
            except those of the variables that are passed on here.
        words: A command line; words that are commands for a shell are read too.
    """
    found = {
        value
        for name, value in (variables or {}).items()
        if is_secret(name) and (len(value.strip()) >= SHORTEST or name in _KNOWN_VARIABLES)
    }
    _, in_words = _masked(words)
    told = (secret for text in (*(variables or {}).values(), *words) for secret in _told(text))
    return frozenset({*found, *in_words, *(s for s in told if len(s) >= SHORTEST)})


def hide(text: str, secrets: Iterable[str]) -> str:
    """Return a text without the secrets in it, however they are quoted.

    Args:
        text: Anything.
        secrets: Their values.
    """
    forms = {form for secret in secrets for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        escaped = re.escape(form)
        pattern = escaped if len(form) >= SHORTEST else rf"(?<!\w){escaped}(?!\w)"
        text = re.sub(pattern, MASK, text, flags=re.IGNORECASE if "%" in form else 0)
    for telling in _TELLING:
        text = telling.sub(_without_secret, text)
    return text


def _told(text: str) -> list[str]:
    """Return what looks like a secret in a text."""
    found = [match["secret"] for telling in _TELLING for match in telling.finditer(text)]
    # A bare @ in a password is where others end it, and take the rest for the host.
    return [part for secret in found for part in (secret, *secret.split("@"))]


def _without_secret(match: re.Match[str]) -> str:
    begin, end = (at - match.start() for at in match.span("secret"))
    return match[0][:begin] + MASK + match[0][end:]


def without_secrets(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments whose names and values are no secrets and hold none."""
    return {
        name: value
        for name, value in arguments.items()
        if not is_secret(name) and hide(str(value), ()) == str(value)
    }


def redact(words: Sequence[str]) -> str:
    """Write a command line to show.

    The user's own command may hold secrets: what follows an option or a ``NAME=`` that looks like
    one is replaced by ``***``, also within a word that is itself a command for a shell.
    """
    shown, secrets = _masked(words)
    return hide(" ".join(_quoted(word) for word in shown), secrets)


def _forms(secret: str) -> set[str]:
    """Return a secret as others write it: line by line, URL-encoded, escaped, quoted."""
    forms: set[str] = set()
    for value in {secret, secret.strip(), *secret.splitlines()}:
        forms |= {
            value,
            quote(value),
            quote(value, safe=""),
            quote_plus(value),
            repr(value)[1:-1],
            ascii(value)[1:-1],
            repr(value.encode(errors="replace"))[2:-1],
            json.dumps(value)[1:-1],
            shlex.quote(value),
            _quoted(value),
        }
    return {form for form in forms if form.strip()}


def _masked(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words of a command with secrets masked, and the secrets that stood in them."""
    shown: list[str] = []
    secrets: list[str] = []
    expected = False
    for word in words:
        if expected and word.lower() in _SCHEMES:
            shown.append(word)
            continue
        if expected and not word.startswith("-"):
            shown.append(MASK)
            secrets.append(word)
            expected = False
            continue
        name, value = _assignment(word)
        expected = _announces(word, name, value)
        if (header := _HEADER.fullmatch(word)) and is_secret(header["name"]):
            name, value = header["name"], header["value"]
        inner_shown, inner_secrets = _masked(_inner_words(word))
        if is_secret(name) and value:
            shown.append(word[: len(word) - len(value)] + MASK)
            # A value with blanks, or a whole command for a shell that begins so: both.
            secrets += [value, *(part for part in inner_secrets if len(part) >= SHORTEST)]
        elif inner_secrets:
            shown.append(" ".join(inner_shown))
            secrets += inner_secrets
        else:
            shown.append(word)
    return shown, secrets


def _assignment(word: str) -> tuple[str, str | None]:
    """Split ``NAME=VALUE``, ``--name=VALUE``, ``--env=NAME=VALUE`` or ``-eNAME=VALUE``."""
    bare = word.lstrip("-")
    match = _ASSIGNED.fullmatch(bare)
    if match is None:
        return bare, None
    if word.startswith("-e") and is_secret(match["name"][1:]):
        return match["name"][1:], match["value"]
    nested = _ASSIGNED.fullmatch(match["value"])
    if nested is not None and word.startswith("-") and is_secret(nested["name"]):
        return nested["name"], nested["value"]
    return match["name"], match["value"]


def _announces(word: str, name: str, value: str | None) -> bool:
    """Return whether the next word is a secret."""
    if word.lower() in _SCHEMES[:2]:
        return True
    if value is not None or not word.startswith("-"):
        return word.endswith(":") and is_secret(word[:-1])  # a header in a command for a shell
    return is_secret(name)


def _inner_words(word: str) -> list[str]:
    """Return the words of a word that is a command for a shell; none when it is a single one."""
    if not re.search(r"\s", word):
        return []
    try:
        return shlex.split(word)
    except ValueError:
        return word.split()


def _quoted(word: str) -> str:
    """Quote as a shell needs it, so that a person can paste the line; keep *** readable."""
    if re.fullmatch(r"[\w@%+=:,./*-]+", word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"
