"""Answers, plans and cards as the JSON of the native API: milli-units for people, named so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from app.answering.answer import Answer, Receipt, Spending, variant_name
from app.answering.missed import why_missed
from app.scheduling import Plan, VariantCost
from sentryfuse.presence import Presence
from sentryfuse.variants import VariantCard

TOP_K = 3


def answer_json(answer: Answer) -> dict[str, Any]:
    """Describe a whole answer."""
    return {
        **predictions_json(answer),
        "plan": plan_json(answer.plan, answer.presence, answer.modality_names),
        "receipt": receipt_json(answer.receipt),
    }


def predictions_json(answer: Answer) -> dict[str, Any]:
    """Say what the model says, and nothing of how it came about."""
    return {
        "id": answer.id,
        "model": answer.model,
        "version": answer.version,
        "predictions": _predictions(answer),
    }


def _predictions(answer: Answer) -> list[dict[str, Any]]:
    names, rows = answer.class_names, answer.probabilities
    best = np.argsort(-rows, axis=1, kind="stable")[:, :TOP_K].tolist()
    predictions = []
    for row, indices in zip(rows.tolist(), best, strict=True):
        top = [{"label": names[i], "index": i, "probability": round(row[i], 6)} for i in indices]
        predictions.append({**top[0], "top": top})
    return predictions


def plan_json(plan: Plan, presence: Presence, modality_names: Sequence[str]) -> dict[str, Any]:
    """Describe a decision."""
    return {
        "variant": variant_name(presence, plan.permille),
        "presence": presence.names(tuple(modality_names)),
        "ratio": plan.permille / 1000,
        "batch": plan.batch,
        "requests": plan.requests,
        "cores": plan.cores,
        "threads": plan.threads,
        "expected": {
            "latency_ms": _milli(plan.expected_latency_s),
            "energy_mj": _milli(plan.expected_energy_j),
            "accuracy": round(plan.expected_accuracy, 4),
            "power_w": round(plan.expected_power_w, 4),
        },
        "feasible": plan.feasible,
        "conceded": plan.conceded,
        "reason": plan.reason,
    }


def receipt_json(receipt: Receipt) -> dict[str, Any]:
    """Describe what a request cost."""
    content: dict[str, Any] = {
        "parse_ms": _milli(receipt.parse_s),
        "build_ms": _milli(receipt.build_s),
        "queue_ms": _milli(receipt.queue_s),
        "batch_wait_ms": _milli(receipt.batch_wait_s),
        "inference_ms": _milli(receipt.inference_s),
        "total_ms": _milli(receipt.total_s),
        "energy_mj": _milli(receipt.energy_j),
        "energy_source": receipt.energy_source,
        "energy_quality": receipt.energy_quality,
        "batch": {
            "requests": receipt.batch.requests,
            "windows": receipt.batch.windows,
            "cores": receipt.batch.cores,
        },
        "budget": {spending.kind: _spending(spending) for spending in receipt.budget},
        "met": receipt.met,
    }
    if receipt.steps:
        content["cascade"] = [
            {
                "variant": step.variant,
                "confidence": round(step.confidence, 6),
                "inference_ms": _milli(step.inference_s),
                "energy_mj": _milli(step.energy_j),
            }
            for step in receipt.steps
        ]
    if not receipt.met:
        content["missed_because"] = why_missed(receipt)
    return content


def _spending(spending: Spending) -> dict[str, Any]:
    name, scale = {
        "latency": ("_ms", 1e3),
        "energy": ("_mj", 1e3),
        "power": ("_w", 1.0),
        "accuracy": ("", 1.0),
    }[spending.kind]
    return {
        f"asked{name}": round(spending.asked * scale, 6),
        f"spent{name}" if name else "expected": round(spending.spent * scale, 6),
        "met": spending.met,
    }


def server_timing(receipt: Receipt) -> str:
    """Write the stages of a request as a Server-Timing header."""
    return (
        f"parse;dur={1e3 * receipt.parse_s:.3f}, build;dur={1e3 * receipt.build_s:.3f}, "
        f"queue;dur={1e3 * receipt.queue_s:.3f}, batch;dur={1e3 * receipt.batch_wait_s:.3f}, "
        f"inference;dur={1e3 * receipt.inference_s:.3f}, total;dur={1e3 * receipt.total_s:.3f}"
    )


def option_json(option: VariantCost, presence: Presence, *, in_memory: bool) -> dict[str, Any]:
    """Describe one ratio that a plan could choose."""
    return {
        "variant": variant_name(presence, option.permille),
        "ratio": option.permille / 1000,
        "flops": option.flops,
        "latency_ms": _milli(option.latency_s),
        "energy_mj": _milli(option.energy_j),
        "expected_accuracy": round(option.expected_accuracy, 4),
        "in_memory": in_memory,
    }


def card_json(card: VariantCard, modality_names: Sequence[str]) -> dict[str, Any]:
    """Describe a variant that is in memory."""
    return {
        "variant": variant_name(card.presence, card.permille),
        "presence": card.presence.names(tuple(modality_names)),
        "presence_hex": card.presence.hex,
        "ratio": card.permille / 1000,
        "mask_digest": card.mask_digest,
        "flops": card.flops,
        "parameters": card.parameters,
        "memory_bytes": card.memory_bytes,
        "expected_accuracy": round(card.expected_accuracy, 4),
        "units_kept_ratio": round(card.units_kept_ratio, 4),
        "parameters_kept_ratio": round(card.parameters_kept_ratio, 4),
        "bytes_kept_ratio": round(card.bytes_kept_ratio, 4),
        "flops_kept_ratio": round(card.flops_kept_ratio, 4),
    }


def _milli(seconds_or_joules: float) -> float:
    return round(1e3 * seconds_or_joules, 4)
