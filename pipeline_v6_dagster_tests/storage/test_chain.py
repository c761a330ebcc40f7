"""The hash chain: what a line says of itself, and what of a whole log shows that somebody touched it."""

import json
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline_v6_dagster.storage.chain import (
    ORIGIN,
    Link,
    chain_block,
    is_untouched,
    link_from,
    read_link,
    unchained,
)
from pipeline_v6_dagster.storage.chain_check import KEPT_FINDINGS, ChainCheck, Damage

LOG = Path("log.jsonl")

objects = st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8), min_size=1, max_size=4)


def rows(count: int) -> list[bytes]:
    return [b'{"row":%d}' % number for number in range(1, count + 1)]


def chain(lines: list[bytes], before: Link = ORIGIN) -> list[bytes]:
    return chain_block(lines, before)[0].splitlines()


def checked(lines: list[bytes], **options: object) -> ChainCheck:
    check = ChainCheck(**options)  # type: ignore[arg-type]
    for number, line in enumerate(lines, 1):
        check.take(LOG, number, line)
    check.end(LOG)
    return check


def found(lines: list[bytes], **options: object) -> list[tuple[Damage, int, int]]:
    return [(it.damage, it.line, it.last_line) for it in checked(lines, **options).findings()]


def forged(line: bytes, content: bytes) -> bytes:
    """Other content under the link of a line, made to fit."""
    link = read_link(line)
    assert link is not None
    return chain([content], Link(link.number - 1, "", link.before))[0]


# -- one line ------------------------------------------------------------------------------------------------------


@given(st.lists(objects, min_size=1, max_size=5))
def test_a_chained_line_is_the_same_object_with_one_more_field(contents: list[dict[str, object]]) -> None:
    assume(all("chain" not in content for content in contents))
    lines = [json.dumps(content).encode() for content in contents]
    for line, row, content in zip(lines, chain(lines), contents, strict=True):
        read = json.loads(row)
        assert list(read)[-1] == "chain"
        del read["chain"]
        assert read == content
        assert unchained(row) == line
        assert unchained(line) == line
        assert read_link(line) is None
        link = read_link(row)
        assert link is not None
        assert is_untouched(row, link)
        assert link_from(str(link)) == link


def test_each_line_names_the_hash_of_the_one_before_it() -> None:
    first, second = map(read_link, chain(rows(2)))
    assert first is not None and second is not None
    assert (first.number, first.before) == (1, ORIGIN.hash)
    assert (second.number, second.before) == (2, first.hash)


def test_a_block_goes_on_where_the_last_one_ended() -> None:
    whole, newest = chain_block(rows(5), ORIGIN)
    first, between = chain_block(rows(5)[:2], ORIGIN)
    second, last = chain_block(rows(5)[2:], between)
    assert (first + second, last) == (whole, newest)


@pytest.mark.parametrize("text", ["", "1:2:3", "0:" + "0" * 32 + ":" + "0" * 32, "x", "\ud800"])
def test_what_is_no_link_is_none(text: str) -> None:
    assert link_from(text) is None


@given(st.binary(max_size=300))
def test_no_line_of_anybody_breaks_the_reader_of_links(line: bytes) -> None:
    assert read_link(line) is None
    assert unchained(line) == line


# -- a whole log ---------------------------------------------------------------------------------------------------


@given(st.integers(0, 40))
def test_nothing_is_found_in_a_log_that_nobody_touched(count: int) -> None:
    check = checked(chain(rows(count)))
    assert check.findings() == []
    assert (check.count, check.lines) == (0, count)
    assert check.newest == (read_link(chain(rows(count))[-1]) if count else None)


@given(st.integers(1, 12), st.data())
def test_a_changed_byte_is_found_at_its_line(count: int, data: st.DataObject) -> None:
    lines = chain(rows(count))
    index = data.draw(st.integers(0, count - 1))
    at = data.draw(st.integers(0, len(lines[index]) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte not in (lines[index][at], 10)))
    lines[index] = lines[index][:at] + bytes([byte]) + lines[index][at + 1 :]
    assert index + 1 in {line for _, line, _ in found(lines)}


def test_a_line_that_was_changed_and_hashed_anew_is_found_by_the_one_after_it() -> None:
    lines = chain(rows(5))
    lines[2] = forged(lines[2], b'{"row":33}')
    assert found(lines) == [(Damage.CHANGED, 3, 3)]


def test_a_first_line_that_claims_to_follow_another_is_found() -> None:
    assert found(chain(rows(2), Link(0, "", "a" * 32))) == [(Damage.CHANGED, 1, 1)]


@given(st.integers(2, 15), st.data())
def test_removed_lines_are_found_where_they_stood(count: int, data: st.DataObject) -> None:
    lines = chain(rows(count))
    first = data.draw(st.integers(0, count - 2))
    length = data.draw(st.integers(1, count - 1 - first))
    del lines[first : first + length]
    assert found(lines) == [(Damage.REMOVED, first + 1, first + 1)]


def test_what_was_removed_is_told_by_its_numbers() -> None:
    lines = chain(rows(9))
    del lines[6], lines[2:4]
    texts = [str(finding) for finding in checked(lines).findings()]
    assert texts == [
        "log.jsonl: line 3: removed: before it lines 3 to 4 of the log are missing",
        "log.jsonl: line 5: removed: before it line 7 of the log is missing",
    ]


@given(st.integers(1, 10), st.integers(0, 10))
def test_an_inserted_line_is_found(count: int, at: int) -> None:
    assume(at <= count)
    lines = chain(rows(count))
    lines.insert(at, b'{"row":0}')
    assert found(lines) == [(Damage.INSERTED, at + 1, at + 1)]


@given(st.integers(2, 12), st.data())
def test_a_line_that_stands_there_twice_is_found(count: int, data: st.DataObject) -> None:
    lines = chain(rows(count))
    source = data.draw(st.integers(0, count - 1))
    at = data.draw(st.integers(source + 1, count))
    lines.insert(at, lines[source])
    ((damage, line, _),) = found(lines)
    assert damage is Damage.INSERTED
    assert line in (at + 1, at)  # Side by side nobody can tell which of the two is the copy.


@pytest.mark.parametrize("at", [1, 3, 4])
def test_an_inserted_line_with_a_link_that_was_made_to_fit_is_the_one_that_is_found(at: int) -> None:
    lines = chain(rows(6))
    lines.insert(at, forged(lines[at], b'{"row":0}'))
    assert found(lines) == [(Damage.INSERTED, at + 1, at + 1)]


@given(st.integers(3, 12), st.data())
def test_moved_lines_are_found(count: int, data: st.DataObject) -> None:
    lines = chain(rows(count))
    first = data.draw(st.integers(0, count - 2))
    length = data.draw(st.integers(1, count - 1 - first))
    moved = lines[first : first + length]
    rest = lines[:first] + lines[first + length :]
    to = data.draw(st.integers(first + 1, len(rest)))
    findings = found(rest[:to] + moved + rest[to:])
    assert [damage for damage, _, _ in findings] == [Damage.MOVED]
    assert findings[0][1:] == (to + 1, to + length)


def test_a_chain_that_begins_anew_is_found_once() -> None:
    assert found(chain(rows(3)) + chain(rows(4))) == [(Damage.RESTARTED, 4, 4)]


def test_the_oldest_lines_may_be_gone_only_where_archives_are() -> None:
    lines = chain(rows(9))[4:]
    assert found(lines) == [(Damage.REMOVED, 1, 1)]
    assert found(lines, may_lack_oldest=True) == []


def test_the_lines_after_a_known_one_are_checked_alone() -> None:
    lines = chain(rows(6))
    after = read_link(lines[2])
    assert found(lines[3:], after=after) == []
    assert found(lines[4:], after=after) == [(Damage.REMOVED, 1, 1)]
    other = chain([b'{"other":1}', *rows(6)])
    assert found(other[3:], after=after)[0][0] is Damage.CHANGED


def test_a_cut_end_is_found_where_somebody_has_seen_more() -> None:
    lines = chain(rows(6))
    seen = read_link(lines[4])
    assert found(lines, witness=seen) == found(lines[:5], witness=seen) == []
    assert found(lines[:4], witness=seen) == [(Damage.REMOVED, 4, 4)]
    assert found([], witness=seen) == [(Damage.REMOVED, 1, 1)]


def test_a_log_that_was_rewritten_as_a_whole_is_found_where_somebody_has_seen_the_old_one() -> None:
    seen = read_link(chain(rows(6))[4])
    assert found(chain(rows(7)[1:]), witness=seen) == [(Damage.CHANGED, 5, 5)]


def test_of_damage_everywhere_the_first_places_are_kept_and_the_rest_is_counted() -> None:
    lines = chain(rows(2000))
    check = checked([line.replace(b"row", b"wor") for line in lines])
    assert (len(check.findings()), check.count) == (KEPT_FINDINGS, 2000)
    check = checked(lines[::2])
    assert (len(check.findings()), check.count) == (KEPT_FINDINGS, 999)


@given(st.permutations(range(7)), st.sets(st.integers(0, 6)))
def test_no_other_order_of_the_lines_and_no_part_of_them_passes(order: list[int], kept: set[int]) -> None:
    lines = chain(rows(7))
    seen = read_link(lines[-1])
    shuffled = [lines[index] for index in order if index in kept]
    assert (found(shuffled, witness=seen) == []) == (shuffled == lines)
