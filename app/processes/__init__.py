"""Several processes that are one service: the supervisor, and what each of them runs."""
