"""Statistics → one page that needs no network."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from backend.agreement.figures import measure_agreement
from backend.agreement.pictures import Pictures
from backend.agreement.plots import VERDICT_COLOURS, plots
from backend.agreement.queries import AgreementQueries
from backend.database.connection import Database
from backend.settings import Settings
from backend.verdicts.records import Filters

FIVE_COLUMNS = 4
TEMPLATES = Path(__file__).parent / "templates"


def render(
    settings: Settings,
    database: Database,
    filters: Filters,
    *,
    nonce: str = "",
    query: bytes | None = None,
) -> str:
    """The page.

    Args:
        nonce: that the page's policy asks of its script.
        query: of the address that asked for it; None for a file, which has no form and no links to
            the backend.
    """
    queries = AgreementQueries(database)
    report = measure_agreement(database, filters)
    figures = report.as_json()
    pictures = Pictures(settings, database)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "share": format_share,
        "number": format_number,
        "interval": format_interval,
    }
    drawn = {name: Markup(svg) for name, svg in plots(report).items()}
    return environment.get_template("report.html").render(
        figures=figures,
        overall=figures["overall"],
        plots={name: svg for name, svg in drawn.items() if not name.startswith("landmarks ")},
        landmark_plots={
            name.removeprefix("landmarks "): svg
            for name, svg in drawn.items()
            if name.startswith("landmarks ")
        },
        colours=VERDICT_COLOURS,
        parameters=report.parameters.described(),
        worst=pictures.worst(report.worst_tasks),
        columns=pictures.columns(queries.predictions_with_maps(filters, FIVE_COLUMNS)),
        chosen={name: _shown(value) for name, value in asdict(filters).items() if value},
        exports=None if query is None else urlencode(_given(filters)),
        served=query is not None,
        nonce=nonce,
    )


def _given(filters: Filters) -> dict[str, str]:
    return {name: _shown(value) for name, value in asdict(filters).items() if value is not None}


def _shown(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def format_share(estimate: Mapping[str, Any]) -> str:
    """A share in percent."""
    value = estimate["value"]
    return "–" if value is None else f"{100 * value:.1f} %"


def format_number(estimate: Mapping[str, Any], digits: int = 2) -> str:
    """Any other figure."""
    value = estimate["value"]
    return "–" if value is None else f"{value:,.{digits}f}"


def format_interval(estimate: Mapping[str, Any], scale: float = 100, digits: int = 1) -> str:
    """The interval of a figure, in percent unless another scale is given."""
    if estimate["low"] is None:
        return "" if estimate["value"] is None else "too few images"
    low, high = (scale * estimate[end] for end in ("low", "high"))
    return f"{low:,.{digits}f} to {high:,.{digits}f}"
