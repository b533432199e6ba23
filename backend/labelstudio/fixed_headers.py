"""Authorization that the environment of a process cannot change."""

import requests


class FixedHeaders(requests.auth.AuthBase):
    """Authorization headers that `requests` does not replace with those of ~/.netrc."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._headers)
        return request
