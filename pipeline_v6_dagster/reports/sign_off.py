"""The page that a head of trading signs, as one self-contained HTML page. Autoescape is on, and nothing is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined


@dataclass(frozen=True, slots=True)
class SignOffTable:
    """A table of texts; `empty` is said where it has no row."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    empty: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOffPage:
    """All that the page shows. `links` are (log, chain link) of the lines that it rests on."""

    verdict: str
    as_of: str
    standing: str
    reasons: Sequence[str]
    tables: Sequence[SignOffTable]
    links: Sequence[tuple[str, str]]


def render_sign_off(page: SignOffPage) -> str:
    """The page as HTML."""
    environment = Environment(
        loader=PackageLoader("pipeline_v6_dagster.reports"), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("sign_off.html").render(page=page)
