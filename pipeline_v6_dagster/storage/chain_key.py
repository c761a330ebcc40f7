"""The key of the hash chain, read from a file that whoever could rewrite the logs should not be able to read."""

from pathlib import Path

from pipeline_v6_dagster.config.regular_file import read_regular
from pipeline_v6_dagster.domain.errors import DataError, StorageError

# RFC 2104 advises against keys that are shorter than the hash, of which the chain keeps 16 bytes.
MIN_KEY_BYTES = 16


def read_chain_key(path: Path | None) -> bytes | None:
    """The content of a key file without white space around it; None if no file is set.

    Raises:
        StorageError: it cannot be read.
        DataError: it is shorter than `MIN_KEY_BYTES`.
    """
    if path is None:
        return None
    try:
        key = read_regular(path).strip()
    except OSError as error:
        raise StorageError(f"{path}: the key of the hash chain cannot be read: {error.strerror or error}") from error
    if len(key) < MIN_KEY_BYTES:
        raise DataError(
            f"{path}: holds {len(key)} bytes, a key of the hash chain at least {MIN_KEY_BYTES};"
            " make one with: openssl rand -hex 32"
        )
    return key
