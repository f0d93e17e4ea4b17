"""Style, script and plotly's bundle: served under the hash of their bytes, compressed once, cached for ever.

Called by the router and by templates. Invariant: an address with a hash never changes what it holds;
nothing third-party is committed, plotly's script comes out of its installed package.
"""

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import Any, Final

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from dashboard.figures import plotly_script

FOLDER: Final = Path(__file__).parent / "assets"
ADDRESS: Final = "/console/assets"
HASH_CHARACTERS: Final = 12
GZIP_LEVEL: Final = 6
CONTENT_TYPES: Final = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
SOURCES: Final = {
    "console.css": (FOLDER / "console.css").read_bytes,
    "console.js": (FOLDER / "console.js").read_bytes,
    "plotly.js": plotly_script,
}


@cache
def asset_url(name: str) -> str:
    """The address of an asset, with the hash of its bytes in it."""
    stem, _, suffix = name.rpartition(".")
    return f"{ADDRESS}/{stem}.{hashlib.sha256(_bytes(name)).hexdigest()[:HASH_CHARACTERS]}.{suffix}"


# On a thread: compressing plotly's bundle, once, takes a fifth of a second.
@get(f"{ADDRESS}/{{file_name:str}}", sync_to_thread=True, include_in_schema=False)
def asset(request: Request[Any, Any, State], file_name: FromPath[str]) -> Response[bytes]:
    """One asset; another hash than today's is not found, so that nothing stale is cached as new."""
    stem, _, suffix = file_name.rpartition(".")
    name = f"{stem.partition('.')[0]}.{suffix}"
    if name not in SOURCES or asset_url(name) != f"{ADDRESS}/{file_name}":
        raise NotFoundException
    headers = {
        "cache-control": "public, max-age=31536000, immutable",
        "vary": "accept-encoding",
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-origin",
    }
    accepted = "gzip" in request.headers.get("accept-encoding", "")
    if accepted:
        headers["content-encoding"] = "gzip"
    body = _compressed(name) if accepted else _bytes(name)
    return Response(body, headers=headers, media_type=CONTENT_TYPES[suffix])


@cache
def _bytes(name: str) -> bytes:
    return SOURCES[name]()


@cache
def _compressed(name: str) -> bytes:
    return gzip.compress(_bytes(name), GZIP_LEVEL, mtime=0)
