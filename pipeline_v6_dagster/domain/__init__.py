"""The records and enums that all rooms speak in. Pure and standard library only."""
