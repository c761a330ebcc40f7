"""All that knows Dagster. Thin: an asset calls one stage and reports what it did."""
