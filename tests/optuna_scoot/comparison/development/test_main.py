from __future__ import annotations

from click.testing import CliRunner

from optuna_scoot.comparison.development.__main__ import cli


def test_problems_without_a_service_are_refused() -> None:
    result = CliRunner().invoke(cli, ["references", "branin"])
    assert result.exit_code == 2
    assert "None of these problems is a service" in result.output


def test_unknown_problems_are_refused() -> None:
    result = CliRunner().invoke(cli, ["references", "nothing"])
    assert result.exit_code == 2
    assert "No problem is called 'nothing'" in result.output
