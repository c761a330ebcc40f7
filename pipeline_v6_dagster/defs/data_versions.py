"""The data version of what we write: the configuration and the engine that it was made under.

A log that has grown is no other version of it. If it were, the daily report would be "Unsynced" all day, and nobody
would see that a configuration file was changed and what it has not reached yet.
"""

import dagster as dg

from pipeline_v6_dagster.shadow.pipeline import ENGINE_VERSION


def made_under(config_hash: str | None) -> dg.DataVersion:
    """The version of a file that was made under this configuration; None before there is anything in it."""
    return dg.DataVersion(f"{config_hash or 'empty'}:{ENGINE_VERSION}")
