"""The Open Inference Protocol, version 2, over REST: the same service in others' words."""
