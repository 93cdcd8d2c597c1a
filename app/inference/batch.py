"""One inference over the rows of several requests, on one core or shared out over several."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.inference.windows import FloatArray
from sentryfuse.variants import Variant

Inputs = Mapping[str, FloatArray]
"""Windows by modality, each ``[batch, length, channels]``."""


@dataclass(frozen=True, slots=True)
class Run:
    """What came out of an inference, and what it took."""

    logits: NDArray[np.float32]
    """``[batch, classes]``."""
    began_s: float
    """When the engine began, on the service's clock."""
    ended_s: float
    cpu_s: float
    """CPU time, putting the batch together included."""

    @property
    def latency_s(self) -> float:
        """Time of the inference alone."""
        return self.ended_s - self.began_s


def assemble(requests: Sequence[Inputs]) -> Inputs:
    """Put the rows of several requests of one presence below each other.

    Joined as bytes: NumPy lets go of the interpreter for every array that it copies, and where the
    event loop is busy gets it back a tenth of a millisecond later, for each sensor of each request.
    """
    if len(requests) == 1:
        return requests[0]
    inputs = {}
    for name, first in requests[0].items():
        rows = b"".join([request[name].data for request in requests])
        inputs[name] = np.frombuffer(rows, first.dtype).reshape(-1, *first.shape[1:])
    return inputs


def share_out(inputs: Inputs, shares: int) -> list[Inputs]:
    """Split the rows into nearly equal shares, the larger ones first."""
    split = {name: np.array_split(rows, shares) for name, rows in inputs.items()}
    return [{name: rows[share] for name, rows in split.items()} for share in range(shares)]


def run(
    variant: Variant, requests: Sequence[Inputs], *, threads: int, clock: Callable[[], float]
) -> Run:
    """Run a variant over the rows of these requests on this thread, and measure it.

    With several threads their CPU time is taken to be the calling one's, each: the engine
    spreads the work evenly and its threads do not spin.
    """
    cpu_s = time.thread_time()
    inputs = assemble(requests)
    began_s = clock()
    logits = variant.run(inputs)
    ended_s = clock()
    return Run(logits, began_s, ended_s, (time.thread_time() - cpu_s) * threads)


def joined(runs: Sequence[Run]) -> Run:
    """Put the shares of one batch together again: it took from the first start to the last end."""
    if len(runs) == 1:
        return runs[0]
    return Run(
        logits=np.concatenate([share.logits for share in runs]),
        began_s=min(share.began_s for share in runs),
        ended_s=max(share.ended_s for share in runs),
        cpu_s=sum(share.cpu_s for share in runs),
    )
