"""Scheduling policies side by side: traces, a simulated node, rivals, an oracle, scores."""
