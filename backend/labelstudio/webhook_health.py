"""Whether the webhook of a project sends what annotators do, and what to do if not.

Label Studio sends an event once, waits one second for the answer, and tries again never. A pull of
all annotations (`verdicts.sync`) finds what was lost, hours later.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from backend.labelstudio.client import LabelStudio
from backend.labelstudio.connection_records import WEBHOOK, Webhook, without_password

WEBHOOKS = "/api/webhooks/"

# Whether a secret is accepted with the events of a project.
Accepts: TypeAlias = Callable[[str | None, int | None], bool]


def repair(project_id: int) -> str:
    """Return the command that repairs the connection of a project."""
    return f"run `python -m backend connect --project {project_id}`"


def webhook_problem(
    project_id: int,
    webhooks: Sequence[Webhook],
    accepts: Accepts | None,
) -> str | None:
    """Return what is wrong with the webhooks of a project, and what to do; None if one is right.

    Args:
        webhooks: those that send events to this backend.
        accepts: whether a secret is accepted; None if none is asked for.
    """
    problems = [_problem(each, project_id, accepts) for each in webhooks]
    if not problems:
        return f"does not exist, so corrections would be lost: {repair(project_id)}"
    if None in problems:
        return None
    return f"{problems[0]}: {repair(project_id)}"


def _problem(webhook: Webhook, project_id: int, accepts: Accepts | None) -> str | None:
    if not webhook.is_active:
        return (
            "is switched off, so corrections would be lost (newer versions of Label Studio switch "
            "a webhook off after failures)"
        )
    if not (webhook.send_payload and webhook.send_for_all_actions):
        return (
            "is incomplete, so corrections would be lost: it has to send the payload, for all "
            "actions"
        )
    if accepts is None or webhook.has_password or accepts(webhook.secret, project_id):
        return None
    if webhook.secret is None:
        return "carries no secret and no password, so corrections would be refused"
    return (
        "carries a secret that this backend does not know for it, so corrections would be refused"
    )


def check_webhook(
    label_studio: LabelStudio, project_id: int, accepts: Accepts | None
) -> str | None:
    """Return what is wrong with the webhook of a project, wherever the backend is reached.

    Raises:
        LabelStudioError: Label Studio does not answer, or the token may not see webhooks.
    """
    webhooks = label_studio.fetch_all(Webhook, WEBHOOKS, project=project_id)
    ours = [each for each in webhooks if without_password(each.url).endswith(WEBHOOK)]
    return webhook_problem(project_id, ours, accepts)
