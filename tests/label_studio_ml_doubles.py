"""`label-studio-ml` as our model meets it, in both versions: their signatures, and what calls what.

Written after the wheel of 1.0.9 and the repository of 2.x (label_studio_ml/model.py and api.py).
`tests/e2e/test_label_studio_ml.py` has the real 1.0.9; 2.x is on no package index.
"""

import sys
from abc import ABC, abstractmethod
from types import ModuleType
from typing import Any, ClassVar

from flask import Flask, Response, jsonify, request

PACKAGE = "label_studio_ml"
# What is imported anew, because it was imported with another version.
DEPENDENT = ("backend.hosts.label_studio_ml_versions", "backend.hosts.label_studio_ml_model")


def first() -> dict[str, ModuleType]:
    """1.0.9: a manager holds one model for all projects, and knows its version."""

    class LabelStudioMLBase(ABC):
        def __init__(self, label_config: Any = None, train_output: Any = None, **kwargs: Any):
            self.label_config = label_config
            self.train_output = train_output or {}
            self.hostname = kwargs.get("hostname", "")
            self.access_token = kwargs.get("access_token", "")

        @abstractmethod
        def predict(self, tasks: Any, **kwargs: Any) -> Any: ...

        def fit(self, tasks: Any, workdir: Any = None, **kwargs: Any) -> Any:
            return {}

    class LabelStudioMLManager:
        model_class: Any = None
        current: Any = None

        @classmethod
        def get_job_manager(cls) -> Any:
            raise AssertionError("it would start a process for each event")

        @classmethod
        def fetch(cls, project: Any, label_config: Any, force_reload: bool, **kwargs: Any) -> str:
            result = cls.get_job_manager().get_result(kwargs.get("model_version"))
            cls.current = cls.model_class(label_config=label_config, train_output=result, **kwargs)
            return str(result["job_id"])

        @classmethod
        def webhook(cls, event: str, data: Any) -> dict[str, str]:
            job_id = "1795347724"
            cls.get_job_manager().run_job(cls.model_class, (event, data, job_id))
            return {"job_id": job_id}

    app = Flask("first")

    @app.post("/setup")
    def setup() -> Response:
        data: Any = request.json
        version = LabelStudioMLManager.fetch(
            data.get("project"),
            data.get("schema"),
            data.get("force_reload", False),
            hostname=data.get("hostname", ""),
            access_token=data.get("access_token", ""),
            model_version=data.get("model_version"),
        )
        return jsonify({"model_version": version})

    @app.post("/predict")
    def predict() -> Response:
        data: Any = request.json
        results = LabelStudioMLManager.current.predict(data.get("tasks"), **data.get("params", {}))
        return jsonify({"results": results, "model_version": "of the last /setup"})

    @app.post("/webhook")
    def webhook() -> tuple[Response, int]:
        data: Any = request.json
        return jsonify(LabelStudioMLManager.webhook(data.pop("action"), data)), 201

    def init_app(model_class: Any, **kwargs: Any) -> Flask:
        LabelStudioMLManager.model_class = model_class
        return app

    return _package(
        "1.0.9",
        model={
            "LabelStudioMLBase": LabelStudioMLBase,
            "LabelStudioMLManager": LabelStudioMLManager,
        },
        api={"init_app": init_app},
    )


def second() -> dict[str, ModuleType]:
    """2.x: a model for each request, whose `setup` may set its version."""

    class LabelStudioMLBase:
        kept: ClassVar[dict[tuple[str, str], str]] = {}

        def __init__(self, project_id: str | None = None, label_config: Any = None):
            self.project_id = project_id or ""
            self.label_config = label_config
            if not self.get("model_version"):
                self.set("model_version", "0.0.1")
            self.setup()

        def setup(self) -> None: ...

        def get(self, key: str) -> str | None:
            return self.kept.get((self.project_id, key))

        def set(self, key: str, value: str) -> None:
            if not isinstance(value, str):
                raise ValueError("Value must be a string")
            self.kept[self.project_id, key] = value

        def set_extra_params(self, extra_params: Any) -> None:
            self.set("extra_params", extra_params)

        def predict(self, tasks: Any, context: Any = None, **kwargs: Any) -> Any: ...

        def fit(self, event: Any, data: Any, **additional_params: Any) -> Any: ...

    app = Flask("second")
    of_app: dict[str, Any] = {}

    @app.post("/setup")
    def setup() -> Response:
        data: Any = request.json
        project_id = data.get("project").split(".", 1)[0]
        model = of_app["model"](project_id=project_id, label_config=data.get("schema"))
        if data.get("extra_params"):
            model.set_extra_params(data["extra_params"])
        return jsonify({"model_version": model.get("model_version")})

    @app.post("/predict")
    def predict() -> Response:
        data: Any = request.json
        project_id = str(data.get("project")).split(".", 1)[0]
        params = data.get("params", {})
        context = params.pop("context", {})
        model = of_app["model"](project_id=project_id, label_config=data.get("label_config"))
        return jsonify({"results": model.predict(data.get("tasks"), context=context, **params)})

    @app.post("/webhook")
    def webhook() -> tuple[Response, int]:
        data: Any = request.json
        event = data.pop("action")
        if event not in sys.modules[f"{PACKAGE}.api"].TRAIN_EVENTS:
            return jsonify({"status": "Unknown event"}), 200
        project = data["project"]
        model = of_app["model"](str(project["id"]), label_config=project["label_config"])
        return jsonify({"result": model.fit(event, data), "status": "ok"}), 201

    def init_app(model_class: Any, basic_auth_user: Any = None, basic_auth_pass: Any = None) -> Any:
        of_app["model"] = model_class
        return app

    return _package(
        "2.0.1.dev0",
        model={"LabelStudioMLBase": LabelStudioMLBase},
        api={
            "init_app": init_app,
            "TRAIN_EVENTS": ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATION_DELETED"),
        },
    )


def unknown() -> dict[str, ModuleType]:
    """A version that is neither: it has no manager, and no list of events."""
    base = type("LabelStudioMLBase", (), {})
    return _package("0.9.2", model={"LabelStudioMLBase": base}, api={"init_app": None})


def _package(
    version: str, *, model: dict[str, object], api: dict[str, object]
) -> dict[str, ModuleType]:
    package = ModuleType(PACKAGE)
    package.__path__ = []
    vars(package)["__version__"] = version
    modules = {PACKAGE: package}
    for name, contents in (("model", model), ("api", api)):
        module = ModuleType(f"{PACKAGE}.{name}")
        vars(module).update(contents)
        setattr(package, name, module)
        modules[module.__name__] = module
    return modules
