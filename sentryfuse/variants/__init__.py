"""From a mask to something that runs: sliced weights, ONNX graph, session, card. No torch."""

from sentryfuse.variants.builder import VariantBuilder
from sentryfuse.variants.card import VariantCard
from sentryfuse.variants.host import host_fingerprint
from sentryfuse.variants.profile import Estimate, HostProfile, ProfileSample, profile_host
from sentryfuse.variants.variant import Variant

__all__ = [
    "Estimate",
    "HostProfile",
    "ProfileSample",
    "Variant",
    "VariantBuilder",
    "VariantCard",
    "host_fingerprint",
    "profile_host",
]
