"""Whether the engine that was started answers on its port, and whether it is ready.

Three things make an engine ready: its process lives, ``/health`` answers 200, and ``/v1/models``
gives back the name that was made for this trial. The third keeps a stranger on the port, such as a
server left over from an earlier run, from ever being measured.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import wait
from dataclasses import dataclass
from dataclasses import replace
from enum import Enum
from typing import Any

from objectives.loadgen import blames_request


POLL_SECONDS = 0.1
POLL_TIMEOUT_SECONDS = 0.8  # so that the end of the process is noticed within a second
HTTP_TIMEOUT_SECONDS = 5.0
SERVER_INFO_TIMEOUT_SECONDS = 20.0  # it looks at the whole machine first: 2 s and more
# Short, so that it fills no block of a prefix cache, and unlike any prompt of a workload.
WARM_UP_PROMPT = "?"
WARM_UP_TOKENS = 4


class Answer(Enum):
    """Who answers on a port."""

    NOBODY = "nobody"
    NOT_READY = "not ready"
    STRANGER = "stranger"
    KEY_REFUSED = "key refused"
    OURS = "ours"


class NotReady(Exception):
    """The engine did not become ready; the subclasses say why."""


class EngineExited(NotReady):
    """Its process ended."""

    def __init__(self, returncode: int) -> None:
        super().__init__(f"exit code {returncode}")
        self.returncode = returncode


class StartupTimeout(NotReady):
    """The time for starting is over."""


class StrangerOnPort(NotReady):
    """Another program answers."""


class RequestRefused(NotReady):
    """It serves, but blames a request."""


@dataclass(frozen=True)
class Address:
    """Where an engine serves a model, and under which name.

    Attributes:
        host: Address of the machine.
        port: TCP port.
        model_name: Name that was made for this trial; empty: the server's own, whatever it is,
            where it cannot be given one.
        api_key: Sent as bearer token; None: the engine wants none.
        health: Path that answers 200 once it can serve.
    """

    host: str
    port: int
    model_name: str
    api_key: str | None = None
    health: str = "/health"

    @property
    def url(self) -> str:
        """Return the base of its addresses."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def __repr__(self) -> str:
        return f"Address({self.url}, {self.model_name})"  # without the key


def wait_until_ready(
    address: Address, returncode: Callable[[], int | None], deadline: float
) -> None:
    """Wait until the engine can serve.

    Args:
        address: Where it will answer.
        returncode: Returns the exit code of its process, None while it lives.
        deadline: On the clock of ``time.monotonic``.

    Raises:
        NotReady: One of its subclasses.
    """
    while True:
        if (code := returncode()) is not None:
            raise EngineExited(code)
        answer = who_answers(address, POLL_TIMEOUT_SECONDS)
        if answer in (Answer.STRANGER, Answer.KEY_REFUSED):
            # A server that dies of the clash writes so itself, which explains more.
            time.sleep(POLL_SECONDS)
            if (code := returncode()) is not None:
                raise EngineExited(code)
            if answer is Answer.KEY_REFUSED:
                raise RequestRefused(
                    "it does not accept the API key: the engine's own is expected in the "
                    "environment variable VLLM_API_KEY"
                )
            raise StrangerOnPort(
                f"another program answers on {address.url}, or the engine speaks TLS"
            )
        if answer is Answer.OURS and returncode() is None:
            return
        if time.monotonic() > deadline:
            raise StartupTimeout
        time.sleep(POLL_SECONDS)


def who_answers(address: Address, timeout: float = HTTP_TIMEOUT_SECONDS) -> Answer:
    """Ask for health and for the name of the model."""
    try:
        status, _ = _request(address, "GET", address.health, timeout=timeout)
        if status == http.client.SERVICE_UNAVAILABLE:
            return Answer.NOT_READY
        status, body = _request(address, "GET", "/v1/models", timeout=timeout)
    except http.client.HTTPException:
        return Answer.STRANGER  # whatever this is, it does not speak HTTP
    except OSError:
        return Answer.NOBODY
    if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        return Answer.KEY_REFUSED
    names = _model_names(body) if status == http.client.OK else []
    ours = address.model_name in names or (names and not address.model_name)
    return Answer.OURS if ours else Answer.STRANGER


def named(address: Address) -> Address:
    """Return an address with the name that its server gives the model, where it has none."""
    if address.model_name:
        return address
    _, body = _request(address, "GET", "/v1/models")
    return replace(address, model_name=next(iter(_model_names(body)), ""))


def warm_up(address: Address, returncode: Callable[[], int | None], deadline: float) -> None:
    """Send one tiny request, as the first one of a fresh engine compiles and allocates.

    Args:
        address: Where it answers.
        returncode: As of ``wait_until_ready``, asked while the answer is waited for.
        deadline: On the clock of ``time.monotonic``.

    Raises:
        NotReady: When it is not answered; ``RequestRefused`` when the request is at fault.
    """
    body = {
        "model": address.model_name,
        "prompt": WARM_UP_PROMPT,
        "max_tokens": WARM_UP_TOKENS,
        "temperature": 0.0,
    }
    left = max(deadline - time.monotonic(), HTTP_TIMEOUT_SECONDS)
    asked = _in_thread(
        lambda: _request(address, "POST", "/v1/completions", json.dumps(body), left)
    )
    while not asked.done():
        if (code := returncode()) is not None:
            raise EngineExited(code)
        wait([asked], POLL_SECONDS)
    try:
        status, answer = asked.result()
    except TimeoutError as error:
        raise StartupTimeout from error
    except (OSError, http.client.HTTPException) as error:
        time.sleep(1.0)  # it broke the connection off: let it end
        if (code := returncode()) is not None:
            raise EngineExited(code) from error
        raise NotReady(f"it did not answer a first request: {error!r}") from error
    if status != http.client.OK:
        text = " ".join(answer.decode(errors="replace").split())[:200]
        kind = RequestRefused if blames_request(status) else NotReady
        raise kind(f"it answered a first request with {status}: {text}")


def get_version(address: Address) -> str | None:
    """Return the version that the engine gives itself, None when it does not say."""
    try:
        status, body = _request(address, "GET", "/version")
        return str(json.loads(body)["version"]) if status == http.client.OK else None
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None


def get_server_info(
    address: Address, path: str = "/server_info?config_format=json"
) -> dict[str, Any] | None:
    """Return what the engine tells of its configuration, None if nothing.

    Args:
        address: Where it answers.
        path: By default that of vLLM in development mode.
    """
    try:
        status, body = _request(address, "GET", path, timeout=SERVER_INFO_TIMEOUT_SECONDS)
        info = json.loads(body) if status == http.client.OK else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    return info if isinstance(info, dict) else None


def count_prompt_tokens(address: Address, text: str) -> int | None:
    """Return the tokens that the engine counts in a prompt, None when it does not say."""
    body = json.dumps({"model": address.model_name, "prompt": text, "add_special_tokens": True})
    try:
        status, answer = _request(address, "POST", "/tokenize", body)
        count = json.loads(answer)["count"] if status == http.client.OK else None
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None
    return count if type(count) is int else None


def _request(
    address: Address,
    method: str,
    path: str,
    body: str | None = None,
    timeout: float = HTTP_TIMEOUT_SECONDS,
) -> tuple[int, bytes]:
    """Send one HTTP request straight to the engine: no proxy of the environment's is asked."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=timeout)
    headers = {"Content-Type": "application/json"}
    if address.api_key is not None:
        headers["Authorization"] = f"Bearer {address.api_key}"
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _in_thread(request: Callable[[], tuple[int, bytes]]) -> Future[tuple[int, bytes]]:
    """Send a request while something else goes on; its thread ends with the engine at last."""
    answer: Future[tuple[int, bytes]] = Future()

    def send() -> None:
        try:
            answer.set_result(request())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=send, daemon=True).start()
    return answer


def _model_names(body: bytes) -> list[Any]:
    try:
        return [model["id"] for model in json.loads(body)["data"]]
    except (ValueError, KeyError, TypeError):
        return []
