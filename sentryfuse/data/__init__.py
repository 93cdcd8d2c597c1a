"""Window data sets: reading, splitting by group, normalising, converting, simulating."""
