"""Credentials in a text: keys by their vendors' formats, private keys, tokens, and passwords that are told.

Called by `sensitivity`. Invariant: only kinds and counts come out, never what was found; work is linear in the text.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from app.routing.prose import Prose

LONG_WORD_CHARACTERS: Final = 12  # of letters and digits, in a key that begins without a mark of its own
VALUE_WINDOW_CHARACTERS: Final = 80  # after a word such as "password"


class KeyFormat(msgspec.Struct, frozen=True):
    """A row: what the format is called, the lowered word that must stand for it to stand, and its whole shape.

    A gate that ends in `*` begins a word. It spares a search of the text, and never hides a key.
    """

    kind: str
    gate: str
    shape: re.Pattern[str]


def _format(kind: str, gate: str, shape: str) -> KeyFormat:
    return KeyFormat(kind, gate, re.compile(shape))


# By the vendors' own pages on keys, and GitHub's "Supported secret scanning patterns" (2026-10).
KEY_FORMATS: Final = (
    _format("Signalbox key", "sbx", r"sbx_(?:live|test)_[A-Za-z0-9]{16,}"),
    _format("Signalbox key", "sbm", r"sbm_[A-Za-z0-9_]{16,}"),
    _format("API key", "sk", r"sk-[A-Za-z0-9_\-]{20,}"),  # OpenAI, Anthropic, DeepSeek, OpenRouter
    _format("API key", "live", r"sk_live_[A-Za-z0-9]{16,}"),  # Stripe
    _format("API key", "test", r"sk_test_[A-Za-z0-9]{16,}"),
    _format("API key", "live", r"rk_live_[A-Za-z0-9]{16,}"),
    _format("API key", "whsec", r"whsec_[A-Za-z0-9+/]{16,}"),
    _format("AWS access key", "akia*", r"AKIA[A-Z0-9]{16}"),
    _format("AWS access key", "asia*", r"ASIA[A-Z0-9]{16}"),
    _format("Google API key", "aiza*", r"AIza[A-Za-z0-9_\-]{35}"),
    _format("Google OAuth token", "ya29", r"ya29\.[A-Za-z0-9_\-]{20,}"),
    _format("GitHub token", "ghp", r"ghp_[A-Za-z0-9]{30,}"),
    _format("GitHub token", "gho", r"gho_[A-Za-z0-9]{30,}"),
    _format("GitHub token", "ghs", r"ghs_[A-Za-z0-9]{30,}"),
    _format("GitHub token", "ghu", r"ghu_[A-Za-z0-9]{30,}"),
    _format("GitHub token", "github", r"github_pat_[A-Za-z0-9_]{30,}"),
    _format("GitLab token", "glpat", r"glpat-[A-Za-z0-9_\-]{16,}"),
    _format("Slack token", "xoxa", r"xoxa-[A-Za-z0-9\-]{16,}"),
    _format("Slack token", "xoxb", r"xoxb-[A-Za-z0-9\-]{16,}"),
    _format("Slack token", "xoxe", r"xoxe-[A-Za-z0-9\-]{16,}"),
    _format("Slack token", "xoxp", r"xoxp-[A-Za-z0-9\-]{16,}"),
    _format("Slack token", "xoxs", r"xoxs-[A-Za-z0-9\-]{16,}"),
    _format("Slack webhook", "slack", r"hooks\.slack\.com/services/[A-Za-z0-9/]{16,}"),
    _format("Hugging Face token", "hf", r"hf_[A-Za-z0-9]{30,}"),
    _format("Groq key", "gsk", r"gsk_[A-Za-z0-9]{30,}"),
    _format("xAI key", "xai", r"xai-[A-Za-z0-9]{30,}"),
    _format("Perplexity key", "pplx", r"pplx-[A-Za-z0-9]{30,}"),
    _format("Replicate token", "r8", r"r8_[A-Za-z0-9]{30,}"),
    _format("npm token", "npm", r"npm_[A-Za-z0-9]{30,}"),
    _format("PyPI token", "pypi", r"pypi-[A-Za-z0-9_\-]{40,}"),
    _format("DigitalOcean token", "dop", r"dop_v1_[a-f0-9]{40,}"),
    _format("SendGrid key", "sg", r"SG\.[A-Za-z0-9_\-]{16,}\.[A-Za-z0-9_\-]{16,}"),
    _format("Mailgun key", "key", r"key-[a-f0-9]{32}"),
    _format("Twilio key", "sk*", r"SK[a-f0-9]{32}"),
    _format("Shopify token", "shpat", r"shpat_[a-f0-9]{32}"),
    _format("Telegram token", "aa*", r":AA[A-Za-z0-9_\-]{32,}"),
    _format("Azure storage key", "accountkey", r"AccountKey=[A-Za-z0-9+/=]{40,}"),
    _format("JSON web token", "eyj*", r"(?<![A-Za-z0-9_\-])eyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}"),
    _format("authorization header", "bearer", r"Bearer [A-Za-z0-9_\-.=+/]{20,}"),
    _format("authorization header", "basic", r"Basic [A-Za-z0-9+/]{16,}={0,2}"),
)
_PRIVATE_KEY: Final = re.compile(r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
_ADDRESS: Final = re.compile(r"://[^\s/:@]{1,64}:[^\s/@]{3,128}@")

# What says that a value follows: a sign, or "is" in many languages.
_TOLD: Final = re.compile(
    r"[\w ]{0,24}?[\"'`]?(?:\s?[:=：]=?>?\s{0,3}"
    r"|\s(?:is|are|was|ist|lautet|est|es|è|é|is:|to|jest|olarak|это|是|为|は|هي|है)\s{1,3}|[是为は]\s?)"
    r"([\"'`]?)([^\s\"'`,;<>{}()\[\]]{4,100})"
)
_CUES: Final = (
    "password", "passwd", "passphrase", "passcode", "passwort", "pwd", "kennwort", "mot de passe", "mdp", "contraseña",
    "contrasena", "clave", "senha", "palavra-passe", "wachtwoord", "hasło", "hasła", "hasłem", "şifre", "sifre",
    "parola", "парол", "كلمة المرور", "كلمة السر", "पासवर्ड", "密码", "密碼", "口令", "パスワード", "비밀번호",
    "mật khẩu", "kata sandi", "lösenord", "heslo", "κωδικός", "סיסמ", "رمز عبور", "รหัสผ่าน", "api key", "api_key",
    "api-key", "apikey", "secret", "token", "credential",
)  # fmt: skip
_HAS_MARK: Final = re.compile(r"[^\W_]*[\d!@#$%^&*+?~]")
_TYPES: Final = frozenset(
    {"string", "str", "text", "required", "optional", "none", "null", "true", "false", "undefined"}
)
_PLACEHOLDERS: Final = (
    "your",
    "xxx",
    "example",
    "changeme",
    "placeholder",
    "process.env",
    "os.environ",
    "env.",
    "***",
    "...",
)


def credentials_in(prose: Prose, groups: Mapping[str, int]) -> Counter[str]:
    """Count credentials by kind."""
    found: Counter[str] = Counter()
    text = prose.text
    for row in _rows_open(prose):
        if count := len(row.shape.findall(text)):
            found[row.kind] += count
    if "private" in prose.words and (count := len(_PRIVATE_KEY.findall(text))):
        found["private key"] += count
    if "://" in text and "@" in text and (count := len(_ADDRESS.findall(text))):
        found["password in an address"] += count
    if "password" in groups and (count := _passwords(prose)):
        found["password"] += count
    return found


def _rows_open(prose: Prose) -> Iterator[KeyFormat]:
    """Give the formats whose gate stands."""
    for word in _BY_WORD.keys() & prose.words:
        yield from _BY_WORD[word]
    longest = [word for word in prose.words if len(word) >= LONG_WORD_CHARACTERS and word.startswith(_BEGINNINGS)]
    for beginning in _BEGINNINGS if longest else ():
        if any(word.startswith(beginning) for word in longest):
            yield from _BY_BEGINNING[beginning]


def _passwords(prose: Prose) -> int:
    lowered, text = prose.lowered, prose.text
    if len(lowered) != len(text):  # a letter that grew: places would differ
        text = lowered
    count = 0
    for cue in _CUES:
        place = lowered.find(cue)
        while place >= 0:
            count += _tells_a_value(text, place + len(cue))
            place = lowered.find(cue, place + len(cue))
    return count


def _tells_a_value(text: str, start: int) -> bool:
    """Tell whether a value that is none of a program's follows a word such as "password"."""
    told = _TOLD.match(text, start, start + VALUE_WINDOW_CHARACTERS)
    if told is None:
        return False
    quote, value = told[1], told[2]
    lowered = value.lower()
    if lowered in _TYPES or any(each in lowered for each in _PLACEHOLDERS):
        return False
    return bool(quote) or _HAS_MARK.match(value) is not None


def _rows_by_gate(*, is_beginning: bool) -> dict[str, list[KeyFormat]]:
    rows: dict[str, list[KeyFormat]] = {}
    for row in KEY_FORMATS:
        if row.gate.endswith("*") is is_beginning:
            rows.setdefault(row.gate.removesuffix("*"), []).append(row)
    return rows


_BY_WORD: Final = _rows_by_gate(is_beginning=False)
_BY_BEGINNING: Final = _rows_by_gate(is_beginning=True)
_BEGINNINGS: Final = tuple(_BY_BEGINNING)
