"""A request of a workload as the bytes that are sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from objectives.loadgen.options import LoadOptions
    from objectives.workload import ScheduledRequest


class RequestEncoder:
    """Encodes requests to a server.

    Args:
        model_name: Name under which it serves the model.
        host: Its name and port, as in an address.
        path: Where its API begins, empty for the root.
        options: API key and further fields.
    """

    def __init__(self, model_name: str, host: str, path: str, options: LoadOptions) -> None:
        self._model_name = model_name
        self._options = options
        fields = {
            "Host": host,
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
        }
        if options.api_key is not None:
            fields["Authorization"] = f"Bearer {options.api_key}"
        lines = [f"POST {path}/v1/completions HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        self._head = "".join(f"{line}\r\n" for line in lines).encode()

    def encode(self, scheduled: ScheduledRequest, prompt: str) -> bytes:
        """Return a request as it is sent."""
        body = {
            "model": self._model_name,
            "prompt": prompt,
            "max_tokens": scheduled.request.output_tokens,
            "ignore_eos": True,
            "temperature": 0.0,
            "stream": True,
            "stream_options": {"include_usage": True},
            **self._options.extra_body,
        }
        data = json.dumps(body).encode()
        return self._head + b"Content-Length: %d\r\n\r\n" % len(data) + data
