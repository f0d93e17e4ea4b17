"""Reads the text of a policy, JSON or YAML, into plain values. Called by `policy_reader`.

Strict: what could mean two things is refused. Invariant: whatever the bytes are, they are read in bounded time or
PolicyInvalid says why they are not.
"""

import json
from decimal import Decimal
from typing import Final, NoReturn

from app.routing.errors import PolicyInvalid
from app.routing.written_parts import TEXT_CHARACTERS_MAX

DOCUMENT_BYTES_MAX: Final = 256 * 1024


def parse(document: bytes) -> tuple[object, list[str]]:
    """Decode JSON strictly, no NaN and numbers exact; also give the keys that stand twice in one object.

    Raises PolicyInvalid.
    """
    if len(document) > DOCUMENT_BYTES_MAX:
        raise PolicyInvalid((f"the document has {len(document)} bytes; at most {DOCUMENT_BYTES_MAX} are read",))
    repeated: list[str] = []

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        seen = dict(pairs)
        if len(seen) < len(pairs):
            keys = [key for key, _ in pairs]
            repeated.extend(key[:TEXT_CHARACTERS_MAX] for key in seen if keys.count(key) > 1)
        return seen

    def refuse(constant: str) -> NoReturn:
        raise PolicyInvalid((f"{constant} is not a number in JSON",))

    try:
        return json.loads(document, object_pairs_hook=unique, parse_constant=refuse, parse_float=Decimal), repeated
    except RecursionError as error:
        raise PolicyInvalid(("the document is nested too deep",)) from error
    except UnicodeDecodeError as error:
        raise PolicyInvalid((f"the document is not UTF-8 (byte {error.start})",)) from error
    except json.JSONDecodeError as error:
        raise PolicyInvalid((f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})",)) from error
    except ValueError as error:
        raise PolicyInvalid(("the document holds a number with too many digits",)) from error
