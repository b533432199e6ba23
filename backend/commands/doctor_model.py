"""The doctor's check of the active model: its weights are loaded, as a worker does."""

from collections.abc import Iterator

from backend.commands.doctor_results import CheckResult, note, ok, problem
from backend.settings import Settings
from backend.training.registry import Model, active_model
from model.weights_files import is_file_name


def check_model(settings: Settings) -> Iterator[CheckResult]:
    """Check that the weights can be loaded, unless a worker will download them."""
    try:
        model = active_model(settings)
    except OSError as error:
        weights = settings.model()[1]
        yield problem("Model", f"{weights} cannot be read ({error.strerror}): set MODEL_WEIGHTS")
        return
    if model.trained is not None and not model.has_weights:
        yield problem(
            "Model",
            f"{model.version} is a trained model, but {model.weights} does not exist: set "
            "MODELS_DIR to the folder of its training, or activate the previous model with "
            "`python -m backend models back`",
        )
    elif is_file_name(model.weights):
        yield _check_weights(model)
    else:
        yield note(
            "Model",
            f"{model.version}; a worker downloads {model.weights} of {model.arch} at its first "
            "start (without access to the internet, set MODEL_WEIGHTS to a file)",
        )


def _check_weights(model: Model) -> CheckResult:
    # Imported here because torch takes seconds to load, and only this check needs it.
    from model.networks import load_classifier

    try:
        load_classifier(model.arch, model.weights)
    except (OSError, ValueError) as error:
        remedy = (
            "activate the previous model with `python -m backend models back`"
            if model.trained
            else "set MODEL_WEIGHTS to a file that a training or torchvision has written, and "
            "MODEL_ARCH to its architecture"
        )
        return problem("Model", f"no worker can load {model.weights}: {error}; {remedy}")
    origin = f", trained for project {model.trained.project_uid}" if model.trained else ""
    return ok("Model", f"{model.version}, weights in {model.weights}{origin}")
