"""What earlier runs of the comparison said: the summaries in the compare log, newest first."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.stages.compare_log import kind_of
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog, LineKind


class _End(msgspec.Struct):
    summary: dict[str, Any]


_decoder = msgspec.json.Decoder(_End)


def read_summaries_backward(log: JsonlLog, most_lines: int | None = None) -> Iterator[dict[str, Any]]:
    """The summary of every block, newest first, looking at no more than `most_lines` lines.

    Raises:
        DataError: a block is not one that this version understands.
        StorageError: the log cannot be read.
    """
    for line in islice(log.backward(), most_lines):
        if kind_of(line) is LineKind.BLOCK_END:
            try:
                yield _decoder.decode(line).summary
            except msgspec.DecodeError as error:
                raise DataError(
                    f"{log.path}: a line is not understood ({error}); run pipeline-v6 compare --rebuild"
                ) from None
