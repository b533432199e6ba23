"""The description of the routes in OpenAPI 3.1, made from the routes themselves.

Paths, methods and summaries are those of the application, bodies those that the routes parse. Only
parameters and answers are declared here; a test finds routes that are missing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from flask import Flask
from pydantic import BaseModel
from werkzeug.routing import Rule

from backend.agreement.exports.content import ExportOptions
from backend.agreement.exports.formats import FORMATS
from backend.agreement.filters import NAMES
from backend.labelstudio.schemas import PredictRequest, SetupRequest, WebhookEvent
from backend.labelstudio.shapes import Json

JSON = "application/json"
HTML = "text/html"
METHODS = ("GET", "POST")


@dataclass(frozen=True, slots=True)
class Operation:
    """What a route takes and answers, besides what the application tells of it.

    Attributes:
        parameters: name in the address → schema.
        body: JSON that the route parses.
        form: name of a form field → schema.
        content: types of the answer.
        required: fields of the answer, if it is a JSON object.
        statuses: status → meaning, besides success and errors.
    """

    parameters: Mapping[str, Json]
    body: type[BaseModel] | None = None
    form: Mapping[str, Json] | None = None
    content: tuple[str, ...] = (JSON,)
    required: tuple[str, ...] = ()
    statuses: Mapping[str, str] | None = None


_TEXT: Json = {"type": "string", "minLength": 1}
_PROJECT: dict[str, Json] = {"project": {**_TEXT, "description": "uid of a project, 3.1795347724"}}
_REASON: dict[str, Json] = {"reason": {**_TEXT, "description": "a part of the reason"}}
_FILTERS: dict[str, Json] = {
    "project": {"type": "string", "pattern": r"^[0-9]{1,19}(\.[0-9]{1,19})?$"},
    "label": _TEXT,
    "annotator": {"type": "integer", "minimum": 0},
    "model_version": _TEXT,
    "since": {**_TEXT, "description": "a day or time, such as 2026-11-22 or 2026-11-22T12:00Z"},
    "until": {**_TEXT, "description": "a day, which is included, or a time"},
}
assert tuple(_FILTERS) == NAMES, "every filter is described"
_EXPORT: dict[str, Json] = {
    "format": {"enum": sorted(FORMATS)},
    "what": {"enum": sorted({kind for each in FORMATS.values() for kind in each.kinds})},
    **{each.name: {"enum": ["0", "1"]} for each in fields(ExportOptions)},
}
_REQUIRED_PARAMETERS = {"agreement.download": ("format",)}
_EXPORTED = tuple(sorted({each.content_type.partition(";")[0] for each in FORMATS.values()}))
_NOT_READY = {"503": "Requests cannot be answered; `problems` says why."}

# Endpoint → what it takes and answers.
OPERATIONS: Mapping[str, Operation] = {
    "label_studio.health": Operation({}, required=("status", "model_class", "model_version")),
    "label_studio.model_version": Operation({}, required=("model_version",)),
    "label_studio.setup": Operation({}, SetupRequest, required=("model_version",)),
    "label_studio.versions": Operation({}, required=("versions",)),
    "label_studio.predict": Operation({}, PredictRequest, required=("results",)),
    "label_studio.webhook": Operation({}, WebhookEvent),
    "status.index": Operation({}, content=(JSON, HTML), required=("status", "projects")),
    "status.status": Operation({}, required=("made_at", "queues", "workers", "not_done")),
    "status.script": Operation({}, content=("text/javascript",)),
    "status.retry": Operation(
        {},
        form={**_PROJECT, **_REASON},
        required=("tried_again",),
        statuses={"303": "The status page, for a browser."},
    ),
    "figures.ready": Operation(
        {}, required=("status", "problems", "warnings"), statuses=_NOT_READY
    ),
    "figures.trainings": Operation(_PROJECT, required=("trainings",)),
    "figures.metrics": Operation({}, content=("text/plain",)),
    "figures.openapi": Operation({}, required=("openapi", "paths")),
    "figures.jobs": Operation(
        {**_PROJECT, **_REASON}, required=("jobs", "services_away", "events_set_aside")
    ),
    "figures.predictions_of_task": Operation(_PROJECT, required=("task", "status", "earlier")),
    "agreement.agreement": Operation(_FILTERS),
    "agreement.report": Operation(_FILTERS, content=(HTML,)),
    "agreement.download": Operation({**_EXPORT, **_FILTERS}, content=_EXPORTED),
}
_OPEN = ("label_studio.health", "figures.ready")


def describe_api(app: Flask) -> Json:
    """Return the description of an application's routes."""
    paths: dict[str, dict[str, Json]] = {}
    schemas: dict[str, Json] = {"Error": _object(("error",), error={"type": "string"})}
    for rule in sorted(app.url_map.iter_rules(), key=lambda each: each.rule):
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method in METHODS:
            if method in (rule.methods or ()):
                described = _operation(app, rule, schemas)
                paths.setdefault(path, {})[method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Keypoint pre-labelling",
            "version": "1",
            "description": "An ML backend of Label Studio that suggests keypoints.",
        },
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "If BASIC_AUTH_USER is set.",
                }
            },
            "headers": {
                "RequestId": {
                    "description": "Stands in every log line about the request.",
                    "schema": {"type": "string"},
                }
            },
        },
    }


def _operation(app: Flask, rule: Rule, schemas: dict[str, Json]) -> Json:
    operation = OPERATIONS[rule.endpoint]
    summary = (app.view_functions[rule.endpoint].__doc__ or "").partition("\n")[0]
    described: dict[str, Any] = {
        "operationId": rule.endpoint.replace(".", "_"),
        "summary": summary,
        "parameters": list(_parameters(rule, operation)),
        "responses": _responses(operation),
        "security": [{}] if rule.endpoint in _OPEN else [{}, {"basic": []}],
    }
    if operation.body is not None:
        name = operation.body.__name__
        schemas[name] = _schema(operation.body, schemas)
        content = {JSON: {"schema": {"$ref": f"#/components/schemas/{name}"}}}
        described["requestBody"] = {"required": True, "content": content}
    if operation.form is not None:
        schema = {"type": "object", "properties": dict(operation.form)}
        form = {"application/x-www-form-urlencoded": {"schema": schema}}
        described["requestBody"] = {"required": False, "content": form}
    return described


def _parameters(rule: Rule, operation: Operation) -> Iterator[Json]:
    for name in sorted(rule.arguments):
        schema = {"type": "integer", "minimum": 0}
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    required = _REQUIRED_PARAMETERS.get(rule.endpoint, ())
    for name, schema in operation.parameters.items():
        yield {"name": name, "in": "query", "required": name in required, "schema": schema}


def _responses(operation: Operation) -> Json:
    answered = {
        kind: {"schema": _object(operation.required) if kind == JSON and operation.required else {}}
        for kind in operation.content
    }
    headers = {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}}
    error = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    responses: dict[str, Any] = {
        "200": {"description": "Answered.", "content": answered, "headers": headers}
    }
    for status, text in (operation.statuses or {}).items():
        responses[status] = {"description": text, "headers": headers}
        if status == "503":
            responses[status]["content"] = answered
    responses["4XX"] = {
        "description": "The request cannot be answered; `error` says what was expected.",
        "content": {**error, HTML: {"schema": {}}},
        "headers": headers,
    }
    responses.setdefault(
        "503",
        {"description": "The database cannot be used now.", "content": error, "headers": headers},
    )
    return responses


def _schema(body: type[BaseModel], schemas: dict[str, Json]) -> Json:
    """Return the schema of a body, after adding those that it refers to."""
    found = body.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
    schemas.update(found.pop("$defs", {}))
    return found


def _object(required: tuple[str, ...], **properties: Json) -> Json:
    return {"type": "object", "required": list(required), "properties": properties}
