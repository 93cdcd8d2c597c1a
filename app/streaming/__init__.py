"""From samples of several sensors to windows, and which of them are answered: pure, no I/O."""
