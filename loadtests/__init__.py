"""Load tests: an open-loop client, a real server, a real neighbour, and what came of it."""
