"""Render the statistics as one HTML page that needs no network."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from backend.agreement.exports.formats import FORMATS
from backend.agreement.figures import DEFAULTS, AgreementReport, measure_agreement
from backend.agreement.offset_panels import MOST_PANELS
from backend.agreement.parameters import AgreementParameters
from backend.agreement.pictures import ReportPictures
from backend.agreement.plots import MOST_BARS, MOST_CELLS, MOST_CLASSES, VERDICT_COLOURS, plots
from backend.agreement.queries import AgreementQueries
from backend.agreement.verdict_svg import MARK_COLOURS
from backend.database.connection import Database
from backend.settings import Settings
from backend.verdicts.records import Filters

MOST_STAGES = 4  # detections whose stages are shown
TEMPLATES = Path(__file__).parent / "templates"
LANDMARKS = "landmarks "  # prefix of the names of the landmark plots


def render(
    settings: Settings,
    database: Database,
    filters: Filters,
    *,
    nonce: str = "",
    served: bool = False,
    parameters: AgreementParameters = DEFAULTS,
    report: AgreementReport | None = None,
    pictures: ReportPictures | None = None,
) -> str:
    """Return the report as HTML.

    Args:
        nonce: nonce that the page's content security policy requires for its script.
        served: whether the backend serves the page; a file has no form and no links to the backend.
        parameters: parameters of the figures, listed at the end of the page.
        report: the figures; None to compute them.
        pictures: draws the pictures; None for new ones.
    """
    queries = AgreementQueries(database)
    report = report or measure_agreement(database, filters, parameters)
    figures = report.as_json()
    pictures = pictures or ReportPictures(settings, database)
    drawn = {name: Markup(svg) for name, svg in plots(report).items()}
    chosen = _chosen(filters)
    return (
        _environment()
        .get_template("report.html")
        .render(
            figures=figures,
            overall=figures["overall"],
            plots={name: svg for name, svg in drawn.items() if not name.startswith(LANDMARKS)},
            landmark_plots={
                name.removeprefix(LANDMARKS): svg
                for name, svg in drawn.items()
                if name.startswith(LANDMARKS)
            },
            colours=VERDICT_COLOURS,
            mark_colours=MARK_COLOURS,
            worst=pictures.worst_tasks(report.worst_tasks),
            stages=pictures.stages(queries.predictions_with_maps(filters, MOST_STAGES)),
            chosen=chosen,
            exports=urlencode(chosen),
            formats=FORMATS,
            most_bars=MOST_BARS,
            most_cells=MOST_CELLS,
            most_classes=MOST_CLASSES,
            most_panels=MOST_PANELS,
            parameters=parameters.described(),
            served=served,
            nonce=nonce,
        )
    )


def load_templates() -> None:
    """Compile the page's templates; those that are loaded already stay."""
    for name in _environment().list_templates():
        _environment().get_template(name)


@cache
def _environment() -> Environment:
    """Return the templates, which are compiled once."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "format_count": format_count,
        "format_interval": format_interval,
        "format_number": format_number,
        "format_p": format_p,
        "format_parameter": format_parameter,
        "format_share": format_share,
        "words": words,
    }
    return environment


def _chosen(filters: Filters) -> dict[str, str]:
    """Return the filters that are set, as text."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else str(value)
        for name, value in asdict(filters).items()
        if value is not None
    }


def format_share(estimate: Mapping[str, Any]) -> str:
    """Return a share in percent."""
    value = estimate["value"]
    return "–" if value is None else f"{_rounded(100 * value, 1)} %"


def format_number(estimate: Mapping[str, Any], digits: int = 2) -> str:
    """Return any other figure."""
    value = estimate["value"]
    return "–" if value is None else _rounded(value, digits)


def format_interval(estimate: Mapping[str, Any], scale: float = 100, digits: int = 1) -> str:
    """Return the interval of a figure, or why there is none.

    Args:
        scale: 100 for a share, which is given in percent; 1 for others.
    """
    if estimate["low"] is None:
        return str(estimate["reason"] or "")
    low, high = (scale * estimate[end] for end in ("low", "high"))
    return f"{_rounded(low, digits)} to {_rounded(high, digits)}"


def _rounded(value: float, digits: int) -> str:
    """Return a number with its thousands separated, and without a minus before 0."""
    return f"{round(value, digits) + 0.0:,.{digits}f}"


def format_p(p: float) -> str:
    """Return a p-value after its sign: "= 0.031" or "< 0.001"."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def format_count(count: int) -> str:
    """Return a count with its thousands separated."""
    return f"{count:,}"


def format_parameter(value: object) -> str:
    """Return the value of a parameter; numbers as they are written in code."""
    if isinstance(value, list | tuple):
        return ", ".join(format_parameter(each) for each in value)
    return str(value)


def words(name: str) -> str:
    """Return a name with spaces for underscores."""
    return name.replace("_", " ")
