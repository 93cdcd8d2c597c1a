"""The stages of one request, laid out in time from its receipt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.answering.answer import Answer, Receipt
from app.tracing.tracer import Attributes


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of a request's time, on the service's clock."""

    name: str
    from_s: float
    to_s: float


def stages(
    receipt: Receipt, *, began_s: float, received_s: float, waited_s: float, first_byte_s: float
) -> Iterator[Stage]:
    """Lay the stages of a receipt end to end.

    Of a cascade, which queues and runs several times, the receipt has sums: there everything
    between reading and writing is one stage.

    Args:
        receipt: What the request took.
        began_s: When its head had been read.
        received_s: When its last byte had been read.
        waited_s: How long it then waited to be parsed, which the receipt counts as queueing.
        first_byte_s: When the answer began to be written.
    """
    at_s = received_s
    yield Stage("receive", min(began_s, at_s), at_s)
    queue_s = receipt.queue_s - waited_s
    thought_s = queue_s + receipt.batch_wait_s + receipt.inference_s
    lengths = (
        ("wait to be read", waited_s),
        ("parse", receipt.parse_s),
        ("build", receipt.build_s),
        *(
            (("cascade", thought_s),)
            if receipt.steps
            else (
                ("queue", queue_s),
                ("batch", receipt.batch_wait_s),
                ("inference", receipt.inference_s),
            )
        ),
    )
    for name, length_s in lengths:
        if length_s > 0:
            yield Stage(name, at_s, at_s + length_s)
            at_s += length_s
    yield Stage("answer", at_s, max(first_byte_s, at_s))


def answer_attributes(answer: Answer) -> Attributes:
    """Tell what answered, what it cost, and whether the budget was kept."""
    plan, receipt = answer.plan, answer.receipt
    attributes: dict[str, str | int | float | bool | list[str]] = {
        "sentryfuse.model": answer.model,
        "sentryfuse.model.version": answer.version,
        "sentryfuse.variant": answer.variant,
        "sentryfuse.ratio": plan.permille / 1000,
        "sentryfuse.presence": list(answer.presence.names(answer.modality_names)),
        "sentryfuse.plan.reason": plan.reason,
        "sentryfuse.energy_joules": receipt.energy_j,
        "sentryfuse.energy_quality": receipt.energy_quality,
        "sentryfuse.batch.requests": receipt.batch.requests,
        "sentryfuse.batch.windows": receipt.batch.windows,
    }
    if receipt.budget:
        attributes["sentryfuse.budget.met"] = receipt.met
        attributes["sentryfuse.budget.kinds"] = [spending.kind for spending in receipt.budget]
    if receipt.steps:
        attributes["sentryfuse.cascade.steps"] = [step.variant for step in receipt.steps]
    return attributes
