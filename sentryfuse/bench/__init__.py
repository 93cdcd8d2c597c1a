"""Measuring: records that hold every sample, and the figures quoted from them."""

from sentryfuse.bench.record import Record

__all__ = ["Record"]
