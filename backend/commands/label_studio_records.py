"""What only the commands `doctor` and `demo` read from Label Studio's API."""

from pydantic import Field

from backend.labelstudio.shapes import Count, Id, Shape, Text


class User(Shape):
    """The user that a token belongs to."""

    email: Text = Field(description="an email address")


class AnnotatedTask(Shape):
    """A task with the number of its submitted annotations."""

    id: Id = Field(description="a whole number")
    total_annotations: Count = Field(description="a number of annotations")
