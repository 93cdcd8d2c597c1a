"""How ``PUT /v1/power`` is documented: a cap, or a schedule of it."""

from __future__ import annotations

from typing import Any


def power_body(idle_power_w: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the schema of the body, and examples by name.

    Args:
        idle_power_w: The least that a cap can be.
    """
    watts = {"type": ["number", "null"], "exclusiveMinimum": idle_power_w}
    schema = {
        "type": "object",
        "oneOf": [{"required": ["cap_w"]}, {"required": ["schedule"]}],
        "properties": {"cap_w": watts, "schedule": _schedule(watts)},
    }
    low, high = round(idle_power_w + 2, 1), round(idle_power_w + 10, 1)
    day = [{"at": "06:00", "cap_w": high}, {"at": "22:00", "cap_w": low}]
    solar = [
        {"at": "06:00", "cap_w": low},
        {"at": "12:30", "cap_w": high},
        {"at": "20:00", "cap_w": low},
    ]
    drill = [{"after_s": 0, "cap_w": high}, {"after_s": 10, "cap_w": low}]
    examples = {
        "no cap": {"cap_w": None},
        "a cap": {"cap_w": high},
        "day and night": {"schedule": {"steps": day, "utc_offset_hours": 1}},
        "sun and battery": {
            "schedule": {"solar": solar, "steps": [{"battery_below": 0.2, "cap_w": low}]}
        },
        "a drill": {"schedule": {"steps": drill, "repeat_s": 20}},
    }
    return schema, examples


def _schedule(watts: dict[str, Any]) -> dict[str, Any]:
    at = {"type": "string", "description": "Time of day, HH:MM or HH:MM:SS"}
    return {
        "type": "object",
        "description": "Of all parts that apply at a moment the smallest cap wins",
        "properties": {
            "steps": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["cap_w"],
                    "description": "cap_w, and exactly one of at, after_s and battery_below",
                    "properties": {
                        "at": at,
                        "after_s": {"type": "number", "minimum": 0},
                        "battery_below": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                        "cap_w": watts,
                    },
                },
            },
            "solar": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["at", "cap_w"],
                    "description": "Straight lines between the points",
                    "properties": {"at": at, "cap_w": {**watts, "type": "number"}},
                },
            },
            "repeat_s": {"type": "number", "description": "Steps with after_s begin anew"},
            "utc_offset_hours": {"type": "number", "minimum": -14, "maximum": 14},
        },
        "additionalProperties": False,
    }
