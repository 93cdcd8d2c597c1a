"""Why a budget was missed, in a sentence that names what ate it."""

from __future__ import annotations

from app.answering.answer import Receipt, Spending


def why_missed(receipt: Receipt) -> str | None:
    """Say of each budget that was missed what took most of it; None if all were kept."""
    reasons = [_why(spending, receipt) for spending in receipt.budget if not spending.met]
    return "; ".join(reasons) or None


def _why(spending: Spending, receipt: Receipt) -> str:
    asked, spent = spending.asked, spending.spent
    match spending.kind:
        case "latency":
            stage, seconds = max(_stages(receipt).items(), key=lambda item: item[1])
            return f"took {_milli(spent)}s of {_milli(asked)}s: {_milli(seconds)}s {stage}"
        case "energy":
            part, joules = max(_energies(receipt).items(), key=lambda item: item[1])
            return f"cost {_milli(spent)}J of {_milli(asked)}J: {_milli(joules)}J {part}"
        case "power":
            return (
                f"the node would draw {spent:.4g} W of {asked:.4g} W at this rate of requests, "
                f"each as dear as this one ({_milli(receipt.energy_j)}J)"
            )
        case "accuracy":
            return f"{spent:.3f} expected of {asked:.3f}: no more accurate variant fitted the rest"


def _stages(receipt: Receipt) -> dict[str, float]:
    return {
        "of it went into reading the request": receipt.parse_s,
        "of it went into building the variant": receipt.build_s,
        "of it in the queue": receipt.queue_s,
        "of it went into putting the batch together": receipt.batch_wait_s,
        f"of it was inference{_shared(receipt)}": receipt.inference_s,
        "of it went into deciding and writing the answer": receipt.answering_s,
    }


def _energies(receipt: Receipt) -> dict[str, float]:
    return {
        "of it went into reading the request": receipt.reading_j,
        f"of it was inference{_shared(receipt)}": receipt.inference_j,
    }


def _shared(receipt: Receipt) -> str:
    if len(receipt.steps) > 1:
        return f" in {len(receipt.steps)} steps"
    if receipt.batch.requests > 1:
        return f", shared with {receipt.batch.requests - 1} more"
    return ""


def _milli(value: float) -> str:
    """Write a figure in thousandths, ready for its unit."""
    return f"{1e3 * value:.3g} m"
