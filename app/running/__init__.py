"""From start to stop: measured, warm, alive, looked after, drained."""
