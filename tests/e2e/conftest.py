"""A real Label Studio, the backend as `serve` starts it, and a browser, for the whole session."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium_flags import CHROMIUM_FLAGS
from editor import log_in
from playwright.sync_api import BrowserContext, Page, sync_playwright
from serving import LABEL_STUDIO, Serving, eventually, serving

from backend.local.label_studio import LocalLabelStudio, free_port, running
from model.networks import SMALL, Classifier, build_network, save_classifier


@pytest.fixture(scope="session")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalLabelStudio]:
    """A Label Studio without any project."""
    folder = tmp_path_factory.mktemp("label-studio")
    with running(LABEL_STUDIO, folder, port=free_port(), token="e2e" + 37 * "0") as studio:
        studio.wait_until_ready()
        yield studio


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network of three classes that has learnt nothing: fast, and the same always."""
    import torch

    torch.manual_seed(0)
    classes = ("saloon", "van", "bus")
    classifier = Classifier(
        network=build_network(SMALL, len(classes)),
        arch=SMALL,
        classes=classes,
        input_size=64,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
    )
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_classifier(classifier, path)
    return path


@pytest.fixture(scope="session")
def environment(label_studio: LocalLabelStudio, weights: Path) -> dict[str, str]:
    """Settings of a backend that works for that Label Studio."""
    return {
        "LABEL_STUDIO_URL": label_studio.url,
        "LABEL_STUDIO_API_KEY": label_studio.token,
        "MODEL_WEIGHTS": str(weights),
        "DETECTOR_MAX_KEYPOINTS": "10",
        "SUGGEST": "always",  # tests of other settings set them
    }


@pytest.fixture(scope="session")
def backend(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    """The backend that most tests use."""
    with serving(tmp_path_factory.mktemp("backend"), environment) as backend:
        assert eventually(backend.health), backend.words()
        yield backend


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """Debian's Chromium with a new profile."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("no chromium on this machine: `make e2e` installs it for root on Debian")
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=executable,
            headless=True,
            args=list(CHROMIUM_FLAGS),
            viewport={"width": 1400, "height": 900},
        )
        context.set_default_timeout(90_000)  # the machine may be busy
        yield context
        context.close()


@pytest.fixture
def page(browser: BrowserContext, label_studio: LocalLabelStudio) -> Iterator[Page]:
    """A page of a browser that has logged in to Label Studio."""
    page = browser.new_page()
    log_in(page, label_studio.url, label_studio.user, label_studio.password)
    yield page
    page.close()
