"""How the backend introduces itself to other servers."""

NAME = "keypoint-prelabelling"
VERSION = "0.1.0"  # as in pyproject.toml


def user_agent(contact: str | None) -> str:
    """Return the User-Agent of every request.

    Some servers, such as Wikimedia's, refuse programs that give neither name nor contact.

    Args:
        contact: web or e-mail address of whoever runs the backend; None for none.
    """
    return f"{NAME}/{VERSION} ({contact or 'Label Studio ML backend'})"
