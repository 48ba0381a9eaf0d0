"""A program in place of vLLM, to inject faults that the real one shows only on other machines.

It speaks as much of vLLM's command line and HTTP as the engine's driver uses. The environment
variable STAND_IN says how it behaves:

    good               serves
    die CODE TEXT      prints TEXT at once and exits with CODE
    hang               never listens
    unhealthy          answers /health with 503 for ever
    stranger           serves under a name that nobody asked for
    mute               listens and never answers
    deaf               serves and ignores SIGTERM
    die-under-load N   exits with code 1 at its request number N, saying that CUDA is out of memory
    refuse N           answers all requests after the first N with status 500
    stall N            never answers requests after the first N
    count N            counts N tokens more in every prompt
    count-words        counts two tokens for every word
    count-late N       counts N tokens more in every prompt, and none unasked
    status N           answers all requests with status N
    other-key          wants a key that nobody was told
    freeze N           answers nothing after its first N requests, not how it is either
    stop N             is stopped, as by SIGSTOP, after its first N requests; 0: at once
    stop-warm-up       is stopped at its first request
    slow N             answers each request after N seconds
    chatter N CODE     prints N MB and serves; with a CODE, exits with it instead
"""

from __future__ import annotations

import argparse
import http.server
import json
import os
import signal
import socket
import sys
import threading
import time


HELP = """usage: stand-in [model] [options]
  --help --host HOST --port PORT --served-model-name NAME --max-num-seqs N
  --max-num-batched-tokens N --enable-prefix-caching, --no-enable-prefix-caching
  --block-size N --max-model-len N --switch
"""
BEHAVIOUR, *WORDS = os.environ.get("STAND_IN", "good").split(" ", 2)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as vLLM does."""

    protocol_version = "HTTP/1.1"
    n_completions = 0
    lock = threading.Lock()
    name = ""

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        if BEHAVIOUR == "freeze" and self.n_completions > int(WORDS[0]):
            time.sleep(600)
        if self.path == "/health":
            self._send(503 if BEHAVIOUR == "unhealthy" else 200, b"")
        elif self.path == "/v1/models":
            wanted = os.environ.get("VLLM_API_KEY")
            wanted = "another" if BEHAVIOUR == "other-key" else wanted
            if wanted and self.headers.get("Authorization") != f"Bearer {wanted}":
                self._send(401, b"")
                return
            name = "somebody-else" if BEHAVIOUR == "stranger" else self.name
            self._send(200, json.dumps({"data": [{"id": name}]}).encode())
        elif self.path == "/version":
            self._send(200, json.dumps({"version": "0.0.1"}).encode())
        else:
            self._send(404, b"")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/tokenize":
            told = BEHAVIOUR != "count-late"
            answer = {"count": n_tokens(body["prompt"])} if told else {"detail": "Not Found"}
            self._send(200 if told else 404, json.dumps(answer).encode())
            return
        with self.lock:
            Handler.n_completions += 1
            number = Handler.n_completions
        if BEHAVIOUR == "slow":
            time.sleep(float(WORDS[0]))
        if number > int(WORDS[0] if WORDS else 0):
            self._misbehave()
        if BEHAVIOUR == "status":
            self._send(int(WORDS[0]), b"no")
        elif BEHAVIOUR == "refuse" and number > int(WORDS[0]):
            self._send(500, b"no")
        elif body.get("stream"):
            self._stream(body)
        else:
            self._send(200, json.dumps({"choices": [{"text": "a"}]}).encode())

    def _misbehave(self) -> None:
        if BEHAVIOUR == "die-under-load":
            print("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate", flush=True)
            os._exit(1)
        if BEHAVIOUR in ("stall", "freeze"):
            time.sleep(600)
        if BEHAVIOUR in ("stop", "stop-warm-up"):
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(600)  # it may take a moment

    def _stream(self, body: dict) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for _ in range(body["max_tokens"]):
            self._event({"choices": [{"text": "a"}]})
        # Tokens are words here, and a prompt's are taken as the test's tokenizer does.
        counts = {
            "prompt_tokens": n_tokens(body["prompt"]),
            "completion_tokens": body["max_tokens"],
        }
        self._event({"choices": [], "usage": counts})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _event(self, message: dict) -> None:
        self.wfile.write(f"data: {json.dumps(message)}\n\n".encode())
        self.wfile.flush()

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def n_tokens(prompt: str) -> int:
    """The tokens of a prompt, by this server's own count."""
    n_words = len(prompt.split())
    if BEHAVIOUR in ("count", "count-late"):
        return n_words + int(WORDS[0])
    return 2 * n_words if BEHAVIOUR == "count-words" else n_words


def main() -> None:
    if any(word.startswith("--help") for word in sys.argv):
        print(HELP)
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--served-model-name")
    arguments, _ = parser.parse_known_args()
    Handler.name = arguments.served_model_name
    print("arguments", sys.argv[1:], flush=True)
    if BEHAVIOUR == "die":
        print(WORDS[1], flush=True)
        sys.exit(int(WORDS[0]))
    if BEHAVIOUR == "hang":
        time.sleep(600)
    if BEHAVIOUR == "stop" and WORDS[0] == "0":
        os.kill(os.getpid(), signal.SIGSTOP)
    if BEHAVIOUR == "chatter":
        print("INFO nothing of interest\n" * (int(WORDS[0]) * 40_000), "the end", flush=True)
        if WORDS[1:]:
            sys.exit(int(WORDS[1]))
    if BEHAVIOUR == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if BEHAVIOUR == "mute":
        listener = socket.create_server((arguments.host, arguments.port))
        time.sleep(600)
        listener.close()
    try:
        server = http.server.ThreadingHTTPServer((arguments.host, arguments.port), Handler)
    except OSError as error:
        print(f"OSError: {error}", flush=True)
        sys.exit(1)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
