"""Weights in whole numbers, as the program reads them. Called by `train` and, so that it measures the same, `evaluate`.

Invariant: the same weights give the same bytes.
"""

import gzip
import hashlib
from typing import Final

import msgspec
import numpy as np

from app.routing.classifier import ARTIFACT, LANES, PARTS, ZERO, Weights
from app.routing.structure import STRUCTURE
from app.training.linear import COLUMNS, DOMAINS, ROWS, TASKS, Floats, flag_shares

CLIPPED: Final = 2e-5  # the share of weights that are cut so that the others keep more steps
BYTE_MOST: Final = 127


def quantised(weights: Floats, *, sharpness: dict[str, float], confidence: tuple[float, ...]) -> Weights:
    """Round the weights: a byte each in the table, and flags in 256ths of a byte's step."""
    step = float(np.quantile(np.abs(weights[:ROWS]), 1 - CLIPPED)) / BYTE_MOST
    table = np.zeros((ROWS, LANES), dtype=np.int64)
    table[:, :COLUMNS] = np.clip(np.rint(weights[:ROWS] / step), -BYTE_MOST, BYTE_MOST)
    flags = np.zeros((len(STRUCTURE), LANES), dtype=np.int64)
    flags[:, :COLUMNS] = np.rint(weights[ROWS:] * flag_shares()[:, None] * PARTS / step)
    table_bytes = (table + ZERO).astype(np.uint8).tobytes()
    flag_bytes = flags.astype("<i4").tobytes()
    return Weights(
        version=hashlib.sha256(table_bytes + flag_bytes).hexdigest()[:12],
        tasks=tuple(map(str, TASKS)),
        domains=tuple(map(str, DOMAINS)),
        structure=STRUCTURE,
        table=table_bytes,
        flags=flag_bytes,
        step=step,
        sharpness=sharpness,
        confidence=confidence,
    )


def write(weights: Weights) -> int:
    """Write the artifact and give its size in bytes."""
    content = gzip.compress(msgspec.msgpack.encode(weights), compresslevel=9, mtime=0)
    ARTIFACT.parent.mkdir(exist_ok=True)
    ARTIFACT.write_bytes(content)
    return len(content)
