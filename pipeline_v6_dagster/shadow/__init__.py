"""What v6 would do with one attempt: risk check, size, route. Pure: no clock, file, environment or randomness."""
