"""What each form of attention costs in the serving engine: measure, report, draw."""
