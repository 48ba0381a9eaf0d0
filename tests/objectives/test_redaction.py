from __future__ import annotations

import json
import shlex
from urllib.parse import quote
from urllib.parse import quote_plus

import pytest

from objectives.redaction import fits_header
from objectives.redaction import hide
from objectives.redaction import redact
from objectives.redaction import secrets_in
from objectives.redaction import without_secrets


AWKWARD = "sk/very+secret key\n'quoted\" \\ é%"


@pytest.mark.parametrize(
    "form",
    [
        AWKWARD,
        repr(AWKWARD),
        ascii(AWKWARD),
        repr(AWKWARD.encode()),
        json.dumps(AWKWARD),
        quote(AWKWARD),
        quote(AWKWARD, safe=""),
        quote(AWKWARD, safe="").lower(),
        quote_plus(AWKWARD),
        shlex.quote(AWKWARD),
        f"Bearer {AWKWARD}",
        repr({"Authorization": f"Bearer {AWKWARD}"}),
        AWKWARD.splitlines()[0],
        AWKWARD.strip(),
    ],
)
def test_a_secret_is_hidden_however_it_is_written(form: str) -> None:
    shown = hide(f"before {form} after", [AWKWARD])
    assert "secret" not in shown.lower()
    assert "quoted" not in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")


def test_short_secrets_are_hidden_as_words_alone() -> None:
    assert hide("key abc, abcd and 'abc'", ["abc"]) == "key ***, abcd and '***'"
    assert hide("nothing", ["", " "]) == "nothing"


@pytest.mark.parametrize(
    "text",
    [
        "token hf_AbCdEfGhIjKlMnOpQrSt refused",
        "key sk-proj-0123456789abcdefghij",
        "header Authorization: Bearer abc123def456",
        "proxy http://me:abc123def456@proxy:3128/ refused",
        """config {"api_key": "abc123def456", "model": "m"}""",
        """config {'hub_token': 'abc123def456'}""",
        """config {"auth": "abc123def456", "model": "m"}""",
        "database postgresql://me:abc123@def456@host/db is away",
        "database postgresql://me:abc123/d@ef456@host/db is away",
        "database postgresql://me@server:abc123def456@host/db is away",
        "cache redis://:abc123def456@host is away",
        "GET https://abc123def456@host/model failed",
        "GET https://host/model?sig=abc123def456&x=1 failed",
        "connection to 'host=h password=abc123def456 user=me' failed",
        "connection to 'host=h passwd=\"abc123 def456\" user=me' failed",
        "Namespace(hf_token='abc123def456', model='m')",
        "headers: X-Api-Key: abc123def456",
        "headers: {'Proxy-Authorization': 'Digest abc123def456'}",
        "headers: Authorization: Digest abc123def456",
        "login eyJhbGciOiJI.eyJabc123MTIz.AbCd-0123456789 refused",
        "clone with ghp_0123456789abc123def456",
    ],
)
def test_what_looks_like_a_secret_is_hidden_whoever_shows_it(text: str) -> None:
    shown = hide(text, [])
    assert "***" in shown
    assert "abc123" not in shown
    assert "456" not in shown
    assert "AbCd" not in shown
    assert "0123456789" not in shown


def test_plain_texts_stay() -> None:
    for text in (
        "torch.cuda: https://host:80/a@b",
        "a basic error",
        "hf_hub, sk-learn",
        "x: y",
        "Namespace(hf_token=None, token=False, max_num_batched_tokens=8192, pad_token=0)",
        "postgresql://me@host/db",
        "KeyError: 'lm_head.weight'",
        "unexpected key: lm_head.weight, HF_HUB_ENABLE_HF_TRANSFER",
        "http://[::1]:8000/v1/models",
    ):
        assert hide(text, []) == text


def test_secrets_of_variables_and_words() -> None:
    variables = {"HF_TOKEN": "hf_1", "OTHER_TOKEN": "1", "MY_API_KEY": "long-enough", "PATH": "/x"}
    words = shlex.split("env A_SECRET=one x --api-key two --b sh -c 'y --key=four' --hf-token")
    found = {"hf_1", "long-enough", "one", "two", "four"}
    assert secrets_in(variables, words) == found
    shell = ["sh", "-c", "A_TOKEN=three-three y --key=four-four"]
    assert {"three-three", "four-four"} < secrets_in({}, shell)
    assert redact(shell) == "sh -c A_TOKEN=***"


@pytest.mark.parametrize(
    "command",
    [
        "docker run -e HF_TOKEN=verysecret image",
        "docker run -eHF_TOKEN=verysecret image",
        "docker run -eTOKEN=verysecret image",
        "docker run --env=HF_TOKEN=verysecret image",
        "docker run --env HF_TOKEN=very'secret' image",
        "vllm serve --api-key verysecret",
        "vllm serve --api_key=verysecret",
        "vllm serve --hf-token 'very'\"secret\"",
        "HF_TOKEN=verysecret vllm serve",
        "sh -c 'HF_TOKEN=verysecret exec vllm serve \"$@\"' --",
        'sh -c \'exec vllm serve --hf-token very"secret" "$@"\' --',
        "sh -c 'exec vllm serve --hf-token verysecret \"$@' --",
        "curl -H 'Authorization: Bearer verysecret'",
        "x --my-password verysecret --again=verysecret",
        "x --proxy http://me:verysecret@host",
        "x --proxy http://me:very@secret@host",
        "x --proxy http://verysecret@host",
        "x passwd=verysecret",
        "x --auth=verysecret --my-auth verysecret",
        "X_PASS=verysecret PGPASSWORD=verysecret x",
        "x --accessToken verysecret --private-key=verysecret",
        "x --hf-tok verysecret",
        "x --hf-t=verysecret",
        "curl -H X-Auth-Token:verysecret -H 'X-Api-Key: very secret'",
        "curl '-HX-Api-Key: verysecret'",
        "curl --header='Authorization: Digest verysecret'",
        "sh -c 'curl -H \"X-Auth: verysecret\" http://h'",
        "x --dsn 'host=h password=verysecret'",
        'x --config \'{"password": "verysecret"}\'',
    ],
)
def test_shown_command_holds_no_secret(command: str) -> None:
    shown = redact(shlex.split(command))
    assert "secret" not in shown
    assert "***" in shown


def test_secrets_within_a_word_are_known_wherever_they_come_back() -> None:
    words = ["x", "--proxy=http://me:very@secret@host", "-HX-Api-Key: others3cret"]
    words += ["-H", "Authorization: Digest fourth-secret"]
    found = secrets_in({"HTTPS_PROXY": "http://me:third-secret@proxy"}, words)
    said = hide("Digest: very@secret, others3cret, third-secret, fourth-secret", found)
    assert said == "Digest: ***, ***, ***, ***"


def test_shown_command_without_secrets_can_be_pasted() -> None:
    words = ["vllm", "serve", "a b'c", "--tokenizer", "t", "--max-num-batched-tokens=8"]
    assert shlex.split(redact(words)) == words


def test_arguments_that_hold_a_secret_are_left_out() -> None:
    config = '{"kv_role": "both", "api_key": "abc"}'
    arguments = {"dtype": "auto", "hf_token": "x", "kv_transfer_config": config, "eager": True}
    assert without_secrets(arguments) == {"dtype": "auto", "eager": True}


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ("sk-1", True),
        ("a b", True),
        ("k", True),
        ("", False),
        ("sk-1\n", False),
        ("sk-1\r", False),
        (" sk-1", False),
        ("sk\0", False),
        ("sk-é", False),
        ("sk\u2028", False),
    ],
)
def test_values_that_a_header_carries(value: str, fits: bool) -> None:
    assert fits_header(value) is fits
