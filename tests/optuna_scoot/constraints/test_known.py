"""Known constraints: a whitelist that nothing slips through, one answer on scalars and columns."""

from __future__ import annotations

import builtins
import math
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import IntDistribution

from optuna_scoot import ConstraintError
from optuna_scoot import KnownConstraints
from optuna_scoot.constraints.known import Expression


ATTACKS = [
    "__import__('os').system('true') or x",
    "x.__class__.__mro__ == 1",
    "().__class__ == x",
    "min.__globals__ == x",
    "eval('1') == x",
    "ｅval('x') == x",
    "open('/etc/passwd') == x",
    "print(x) > 0",
    "(lambda: x)() > 0",
    "[y for y in x] == 1",
    "{x: 1} == 1",
    "x[0] > 1",
    "f'{x}' == 'a'",
    "(y := x) > 1",
    "x > 10 ** 10 ** 10",
    "x << 9999999999 > 1",
    "x @ x > 1",
    "x & 1 == 1",
    "~x > 1",
    "await x",
    "min(*x) > 1",
    "min(x, key=x) > 1",
    "min(x for x in x) > 1",
    "x is None",
    "x == b'a'",
    "x == 1j",
    "x == ...",
    "min() > x",
    "abs(x, y) > 1",
    "log2(x, y) > 1",
    "x in y",
    "x in 5",
    "x in 'abc'",
    "[x] == [1]",
    "(x, 1) > 0",
    "x == [1]",
    "x in [[1], 2]",
    "abs([x]) > 1",
]
NOT_EXPRESSIONS = [
    "",
    "   ",
    "x >",
    "x = 1",
    "x; y",
    "x\ny",
    "import os",
    "del x",
    "yield x",
    "(x > 1 #",
    "x\x00> 1",
]
TOO_DEEP = [
    "x" + " + x" * 5000 + " > 0",
    "not " * 5000 + "x",
    "x > " + "-" * 5000 + "1",
    "(" * 150 + "x" + ")" * 150 + " > 1" + " + x" * 150,
    "(" + "not " * 150 + "x).real > 1",
]
NO_CONDITIONS = ["x - y", "x + 1", "-x", "3", "'x'", "min(x, y)", "x if y else 3", "x and y + 1"]


@pytest.mark.parametrize("text", ATTACKS)
def test_whatever_is_not_on_the_list_is_refused(text: str) -> None:
    with pytest.raises(ConstraintError, match=r"not allowed|not a condition"):
        Expression(text)


@pytest.mark.parametrize("text", NOT_EXPRESSIONS)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(ConstraintError, match="is not an expression; allowed are"):
        Expression(text)


@pytest.mark.parametrize("text", TOO_DEEP, ids=lambda text: text[:8])
def test_nesting_that_would_exhaust_the_stack_is_refused(text: str) -> None:
    with pytest.raises(ConstraintError, match=r"levels deep|is not an expression"):
        Expression(text)


@pytest.mark.parametrize("text", NO_CONDITIONS)
def test_an_expression_that_is_no_condition_is_refused(text: str) -> None:
    # "a - b" as in a callable (satisfied where <= 0) would mean the opposite as a string.
    with pytest.raises(ConstraintError, match=r"not a condition|names no parameter"):
        Expression(text)


def test_a_constraint_without_a_parameter_is_refused() -> None:
    with pytest.raises(ConstraintError, match="names no parameter"):
        Expression("1 < 2")


def test_evaluation_reaches_no_builtin(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("an expression was evaluated by Python itself")

    monkeypatch.setattr(builtins, "eval", refuse)
    monkeypatch.setattr(builtins, "exec", refuse)
    assert KnownConstraints(["abs(x) <= max(y, 2)"]).satisfied({"x": -2, "y": 1})


@pytest.mark.parametrize(
    ("text", "satisfied", "violated"),
    [
        ("a <= b", {"a": 2, "b": 2}, {"a": 3, "b": 2}),
        ("0 < a <= 5 < b", {"a": 5, "b": 6}, {"a": 5, "b": 5}),
        ("on or a >= 4096", {"on": False, "a": 4096}, {"on": False, "a": 4095}),
        ("not (on and also)", {"on": True, "also": False}, {"on": True, "also": True}),
        ("a % 16 == 0", {"a": 48}, {"a": 40}),
        ("a // 3 == 2", {"a": 8}, {"a": 9}),
        ("a / b >= 0.5", {"a": 1, "b": 2}, {"a": 1, "b": 3}),
        ("log2(a) == 10", {"a": 1024}, {"a": 1000}),
        ("min(a, b, 7) == 7", {"a": 8, "b": 9}, {"a": 8, "b": 6}),
        ("kind in ['x', 'y']", {"kind": "y"}, {"kind": "z"}),
        ("kind not in ('x', None)", {"kind": "y"}, {"kind": None}),
        ("kind != 'x' or a > 3", {"kind": "x", "a": 4}, {"kind": "x", "a": 3}),
        ("(a if on else b) > 1", {"on": True, "a": 2, "b": 0}, {"on": False, "a": 2, "b": 0}),
        ("on", {"on": True}, {"on": False}),
        ("a + b * 2 - 1 < 10", {"a": 2, "b": 4}, {"a": 3, "b": 4}),
        ("a / b > 1", {"a": 1, "b": 0}, {"a": 0, "b": 0}),
        ("min > 3", {"min": 4}, {"min": 3}),
    ],
)
def test_meaning(text: str, satisfied: dict[str, Any], violated: dict[str, Any]) -> None:
    known = KnownConstraints([text])

    assert known.satisfied(satisfied) is True
    assert known.satisfied(violated) is False


NUMBERS = st.sampled_from(["a", "b", "0", "1", "2.5", "-3", "7"])
ARITHMETIC = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(inner, st.sampled_from(["//", "%", "/"])).map(lambda t: f"({t[0]} {t[1]} 4)"),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(
            lambda t: f"{t[0]}({t[1]}, {t[2]})"
        ),
        inner.map(lambda t: f"abs({t})"),
        inner.map(lambda t: f"(-{t})"),
    ),
    max_leaves=4,
)
COMPARISON = st.one_of(
    st.tuples(ARITHMETIC, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), ARITHMETIC).map(
        " ".join
    ),
    st.tuples(NUMBERS, NUMBERS, NUMBERS).map(lambda t: f"{t[0]} <= {t[1]} < {t[2]}"),
    st.tuples(NUMBERS, st.sampled_from(["in", "not in"])).map(lambda t: " ".join(t) + " [1, b]"),
    st.sampled_from(["on", "kind == 'x'", "kind in ('x', 'y')", "kind != 'y'"]),
)
CONDITION = st.recursive(
    COMPARISON,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        inner.map(lambda t: f"not ({t})"),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
    ),
    max_leaves=4,
)
ROWS = st.lists(
    st.tuples(
        st.integers(-5, 5), st.integers(-5, 5), st.booleans(), st.sampled_from(["x", "y", "z"])
    ),
    min_size=1,
    max_size=8,
)


@given(CONDITION, ROWS)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_scalars_columns_and_python_agree(
    text: str, rows: list[tuple[int, int, bool, str]]
) -> None:
    text = f"a == a and ({text})"
    known = KnownConstraints([text])
    names = ("a", "b", "on", "kind")
    columns = {
        name: np.array([row[i] for row in rows], dtype=object if name == "kind" else None)
        for i, name in enumerate(names)
    }
    by_column = known.satisfied_columns(columns)
    by_row = [known.satisfied(dict(zip(names, row, strict=True))) for row in rows]
    by_python = [
        bool(eval(text, {"__builtins__": {}, "min": min, "max": max, "abs": abs}, values))
        for values in (dict(zip(names, row, strict=True)) for row in rows)
    ]

    assert by_column.tolist() == by_row
    assert by_row == by_python


def test_a_guard_keeps_the_rest_from_being_asked() -> None:
    known = KnownConstraints(["size == None or size * 2 <= 6", "(size if size else 1) < 3"])
    column = np.array([None, 2, 4, 3], dtype=object)

    assert [known.satisfied({"size": size}) for size in column] == [True, True, False, False]
    assert known.satisfied_columns({"size": column}).tolist() == [True, True, False, False]


def test_a_choice_between_a_string_and_a_number_keeps_both_kinds() -> None:
    known = KnownConstraints(["(kind if on else 1) == 1"])
    columns = {"on": np.array([True, False]), "kind": np.array(["1", "x"], dtype=object)}

    assert known.satisfied_columns(columns).tolist() == [False, True]
    assert known.satisfied({"on": False, "kind": "x"})


def test_integers_beyond_float_precision_compare_exactly() -> None:
    known = KnownConstraints(["a < b"])

    assert known.satisfied({"a": 2**60, "b": 2**60 + 1})
    assert known.satisfied_columns(
        {"a": np.array([2**60, 2**60 + 1]), "b": np.array([2**60 + 1, 2**60])}
    ).tolist() == [True, False]


def test_a_callable_is_satisfied_where_at_most_zero_and_sees_plain_values() -> None:
    seen: list[Mapping[str, Any]] = []

    def budget(params: Mapping[str, Any]) -> float:
        seen.append(dict(params))
        return float(params["a"] * params["b"] - 12)

    known = KnownConstraints([budget])

    assert known.satisfied({"a": 3, "b": 4})
    assert not known.satisfied({"a": 3, "b": 5})
    columns = {"a": np.array([1, 4, 3]), "b": np.array([1.0, 4.0, 4.0])}
    assert known.satisfied_columns(columns).tolist() == [True, False, True]
    assert [type(v) for v in seen[-1].values()] == [int, float]


def test_a_callable_that_gives_nan_is_violated() -> None:
    assert not KnownConstraints([lambda _: float("nan")]).satisfied({"a": 1})


@pytest.mark.parametrize("result", [None, "no", [1, 2]])
def test_a_callable_that_gives_no_number_is_named(result: Any) -> None:
    def broken(_: Mapping[str, Any]) -> Any:
        return result

    with pytest.raises(ConstraintError, match=r"broken.*must return a number"):
        KnownConstraints([broken]).satisfied({"a": 1})


def test_what_is_not_drawn_yet_leaves_a_constraint_undetermined() -> None:
    known = KnownConstraints(["a <= b", lambda p: p["a"] + p["c"] - 10])

    assert known.satisfied({"a": 9})
    assert not known.satisfied({"a": 9, "b": 8})
    assert not known.satisfied({"a": 9, "c": 2})
    assert known.satisfied_columns({"a": np.array([9, 99])}).tolist() == [True, True]


def test_a_mistake_inside_a_callable_is_not_taken_for_a_missing_parameter() -> None:
    table = {"small": 1}
    known = KnownConstraints([lambda p: table[p["size"]]])

    with pytest.raises(KeyError, match="large"):
        known.satisfied({"size": "large", "large": 0})
    with pytest.raises(ZeroDivisionError):
        KnownConstraints([lambda p: 1 / p["a"]]).satisfied({"a": 0})


def test_given_values_settle_parameters_on_scalars_and_columns() -> None:
    known = KnownConstraints(["a <= b", lambda p: p["a"] - p["c"]]).given({"b": 5, "c": 3})

    assert known.satisfied({"a": 3})
    assert not known.satisfied({"a": 4})
    assert known.satisfied_columns({"a": np.array([3, 4, 6])}).tolist() == [True, False, False]


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(ConstraintError, match=r"names 'c', which is not in .*\(a, b\)"):
        KnownConstraints(["a <= b", "a <= c"]).check_names(["b", "a"])


def test_what_is_violated_is_told_with_the_values_that_it_looks_at() -> None:
    def budget(p: Mapping[str, Any]) -> float:
        return float(p["a"] * p.get("b", 1) - 12)

    known = KnownConstraints(["batch >= 16", "a <= b", budget, "kind != 'x'", "later > 3"])
    params = {"batch": 8, "a": 7, "b": 9, "kind": "x", "other": 0}

    assert known.violated(params) == [
        "batch >= 16 (batch=8)",
        "kind != 'x' (kind=x)",
        "budget (a=7, b=9)",
    ]
    assert known.violated({"batch": 8}) == ["batch >= 16 (batch=8)"]
    assert known.given({"batch": 8}).violated({"a": 1}) == ["batch >= 16 (batch=8)"]
    assert known.violated({"batch": 16, "a": 3, "b": 4, "kind": "y"}) == []


ODD = ["max-num-seqs", "max-num-batched-tokens", "opt/a", "lora.rank", "layer 1", "2nd", "lambda"]


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("quoted", [False, True])
def test_odd_names_are_read_whole(name: str, quoted: bool) -> None:
    written = f"`{name}`" if quoted else name
    text = f"{written}*2 <= other and (other-{written} < 50 or other != '{name}')"
    known = KnownConstraints([text], names=[] if quoted else [name, "other"])
    known.check_names([name, "other"])

    assert known.satisfied({name: 3, "other": 6})
    assert not known.satisfied({name: 3, "other": 5})
    columns = {name: np.array([1, 9]), "other": np.array([4, 4])}
    assert known.satisfied_columns(columns).tolist() == [True, False]
    assert (
        known.violated({name: 3, "other": 5}) == [f"{text} ({name}=3, other=5)"] or name > "other"
    )


def test_names_with_dashes_are_read_once_the_parameters_are_there() -> None:
    known = KnownConstraints(["max-num-seqs <= opt/b"])

    assert known.satisfied({"max-num-seqs": 9})
    assert known.satisfied({"max-num-seqs": 9, "opt/b": 9})
    assert not known.satisfied({"max-num-seqs": 9, "opt/b": 8})


def test_a_flag_is_understood_where_the_parameter_has_underscores_and_the_other_way_round() -> (
    None
):
    assert not KnownConstraints(["max-seqs <= 8"]).satisfied({"max_seqs": 9})
    assert not KnownConstraints(["max_seqs <= 8"]).satisfied({"max-seqs": 9})
    assert not KnownConstraints(["--max-seqs <= 8"]).satisfied({"max_seqs": 9})


def test_a_difference_of_parameters_stays_one() -> None:
    values = {"a": 5, "b": 3, "a_b": 100}
    assert KnownConstraints(["a-b == 2"]).satisfied(values)
    assert KnownConstraints(["a - b == 2"]).satisfied({"a": 5, "b": 3, "a-b": 100})
    assert KnownConstraints(["a-b == 100"]).satisfied({"a": 5, "b": 3, "a-b": 100})
    assert KnownConstraints(["a-1 == 4"]).satisfied({"a": 5, "1": 7, "-1": 7})


def test_a_dotted_name_reaches_no_attribute() -> None:
    known = KnownConstraints(["x.real <= 3"])

    assert known.satisfied({"x": 99})
    assert not known.satisfied({"x.real": 4})
    with pytest.raises(ConstraintError, match="not allowed"):
        Expression("x.__class__ == 3", ["x"])


@pytest.mark.parametrize(
    ("text", "names", "message"),
    [
        ("worker <= batch", "workers batch", "names 'worker', .*; did you mean 'workers'"),
        ("max-num-seq <= 3", "max-num-seqs tokens", "'max-num-seq', .* mean 'max-num-seqs'"),
        ("opt/c <= opt/b", "opt/a opt/b", "names 'opt/c', .*did you mean 'opt/"),
        ("a-c <= 3", "a b", r"names 'c', which is not in the search space \(a, b\)\."),
        ("`layer 3` <= 3", "x y", r"names 'layer 3', which is not in .*\(x, y\)\."),
    ],
)
def test_the_closest_name_is_proposed(text: str, names: str, message: str) -> None:
    with pytest.raises(ConstraintError, match=message):
        KnownConstraints([text], names=names.split()).check_names(names.split())


def test_a_callable_that_asks_for_an_unknown_name_is_told() -> None:
    def budget(p: Mapping[str, Any]) -> float:
        return float(p["workers"] - p["batches"])

    space = {"workers": IntDistribution(1, 9), "batch": IntDistribution(1, 9)}
    with pytest.raises(ConstraintError, match=r"'budget' names 'batches', .* mean 'batch'\?"):
        KnownConstraints([budget]).check_names(space)
    KnownConstraints([lambda p: 1 / (p["workers"] - 1)]).check_names(space)


SEEN = [{"workers": 3, "batch": 17}, {"workers": 4, "batch": 8}]
WIDE = {"workers": IntDistribution(1, 99), "batch": IntDistribution(1, 1024, log=True)}
TYPOS: list[Any] = ["worker <= batch", lambda p: p["worker"] - p["batch"]]


@pytest.mark.parametrize("spec", TYPOS)
def test_a_name_that_no_trial_has_is_refused_where_there_is_no_other_branch(spec: Any) -> None:
    known = KnownConstraints([spec])

    assert known.check_against([], {}) == ""
    with pytest.raises(
        ConstraintError, match=r"'worker', .*\(batch, workers\); did you mean 'workers'"
    ):
        known.check_against(SEEN[:1], WIDE)


@pytest.mark.parametrize("spec", TYPOS)
@pytest.mark.parametrize(
    ("seen", "distributions"),
    [
        ([*SEEN, {"workers": 3}], WIDE),
        (
            [{**p, "kind": "x"} for p in SEEN],
            {**WIDE, "kind": CategoricalDistribution(["x", "y"])},
        ),
        ([{**p, "n_layers": 2} for p in SEEN], {**WIDE, "n_layers": IntDistribution(1, 4)}),
    ],
)
def test_a_name_that_another_branch_may_have_is_warned_of(
    spec: Any, seen: list[dict[str, Any]], distributions: dict[str, BaseDistribution]
) -> None:
    assert "names 'worker'" in KnownConstraints([spec]).check_against(seen, distributions)


def test_a_name_that_one_branch_has_is_fine() -> None:
    seen = [{"kind": "x", "depth": 3}, {"kind": "y", "width": 4}]
    known = KnownConstraints(["depth <= 3", lambda p: p["width"] - 3 if p["kind"] == "y" else 0.0])

    assert known.unknown(seen) == ""
    assert known.unknown(seen[:1]) == ""
    assert "names 'width'" in KnownConstraints(["width < depth"]).unknown(seen[:1])


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("a + b + c == 1", True),
        ("a + b + c >= 1", True),
        ("a + b + c < 1", False),
        ("a + b + c != 1", False),
        ("1 - a - b - c == 0", True),
        ("3 * a <= d", True),
        ("d % a == 0", True),
        ("d // a == 3", True),
        ("3 * a in [d, 7]", True),
        ("a + b + c == 1.000001", False),
        ("a + b > d", False),
    ],
)
def test_floats_are_compared_as_people_mean_it(text: str, holds: bool) -> None:
    values = {"a": 0.1, "b": 0.2, "c": 0.7, "d": 0.3}  # 0.1 + 0.2 + 0.7 < 1 and 3 * 0.1 > 0.3
    known = KnownConstraints([text])

    assert known.satisfied(values) is holds
    columns = {name: np.array([value]) for name, value in values.items()}
    assert known.satisfied_columns(columns).tolist() == [holds]


@given(CONDITION, ROWS)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_the_violation_is_zero_exactly_where_a_condition_holds(
    text: str, rows: list[tuple[int, int, bool, str]]
) -> None:
    names = ("a", "b", "on", "kind")
    columns = {
        name: np.array([row[i] for row in rows], dtype=object if name == "kind" else None)
        for i, name in enumerate(names)
    }
    known = KnownConstraints([f"a == a and ({text})"])
    violations = known.violations(columns)

    assert violations.shape == (1, len(rows))
    assert np.all(violations >= 0.0)
    np.testing.assert_array_equal(violations[0] == 0.0, known.satisfied_columns(columns))


@pytest.mark.parametrize(
    ("text", "far", "near"),
    [
        ("a <= b", {"a": 9, "b": 1}, {"a": 2, "b": 1}),
        ("not a > b", {"a": 9, "b": 1}, {"a": 2, "b": 1}),
        ("a + b == 1", {"a": 0.1, "b": 0.1}, {"a": 0.4, "b": 0.4}),
        ("a <= 3 and b <= 3", {"a": 5, "b": 5}, {"a": 5, "b": 3}),
        ("a <= 3 or b <= 3", {"a": 9, "b": 9}, {"a": 9, "b": 4}),
        ("a % b == 0", {"a": 14, "b": 10}, {"a": 19, "b": 10}),
        ("a in [3, 50]", {"a": 20, "b": 0}, {"a": 40, "b": 0}),
        ("(a if b else 1) > 5", {"a": 1, "b": 1}, {"a": 4, "b": 1}),
        ("1 <= a <= b", {"a": 9, "b": 2}, {"a": 3, "b": 2}),
    ],
)
def test_the_violation_falls_towards_what_is_allowed(
    text: str, far: dict[str, Any], near: dict[str, Any]
) -> None:
    expression = Expression(text)

    assert expression.violation(far) > expression.violation(near) > 0.0


def test_a_callables_value_is_its_violation() -> None:
    known = KnownConstraints(["a <= 9", lambda p: p["a"] - p["b"]]).given({"b": 3})
    violations = known.violations({"a": np.array([3, 4, 12])})

    np.testing.assert_allclose(violations[1], np.log1p([0.0, 1.0, 9.0]))
    assert known.scopes({"a": np.array([1]), "c": np.array([1])}) == [{"a"}, {"a"}]


@pytest.mark.parametrize(
    ("result", "holds"),
    [
        (np.float32(-1.0), True),
        (np.int64(3), False),
        (np.array(0.0), True),
        (np.array([0.5]), False),
        (Decimal("-0.1"), True),
        (Decimal("NaN"), False),
        (Fraction(1, 3), False),
        (10**400, False),
        (-(10**400), True),
        (math.inf, False),
    ],
)
def test_a_callable_may_give_any_kind_of_number(result: Any, holds: bool) -> None:
    assert KnownConstraints([lambda _: result]).satisfied({"a": 1}) is holds


@pytest.mark.parametrize("result", [True, False, np.True_, np.False_, np.array(True)])
def test_a_callable_that_gives_a_boolean_is_refused(result: Any) -> None:
    # "p['a'] <= p['b']" would be 1 where it holds, and so violated.
    with pytest.raises(ConstraintError, match="may mean satisfied or violated; return a number"):
        KnownConstraints([lambda _: result]).satisfied({"a": 1})


def test_numpys_kinds_of_values_are_taken_for_what_they_mean() -> None:
    known = KnownConstraints(["on", "n * 2 <= 8", "kind == 'x'", lambda p: p["n"] - 4])
    params = {"on": np.True_, "n": np.int64(4), "kind": np.str_("x")}

    assert known.satisfied(params)
    assert not known.satisfied({**params, "on": np.False_})
    assert not known.satisfied({**params, "n": np.float32(4.5)})
    assert known.violated({**params, "n": np.int64(5)})[0] == "n * 2 <= 8 (n=5)"
    column = np.array([np.True_, np.False_], dtype=object)
    assert KnownConstraints(["on + 1 > 1"]).satisfied_columns({"on": column}).tolist() == [
        True,
        False,
    ]


@pytest.mark.parametrize("specs", ["a <= b", lambda p: 0.0])
def test_one_constraint_without_brackets_is_refused(specs: Any) -> None:
    with pytest.raises(ConstraintError, match="in brackets"):
        KnownConstraints(specs)


@pytest.mark.parametrize("spec", [None, 3, b"a <= b", ["a <= b"]])
def test_what_is_neither_string_nor_callable_is_refused(spec: Any) -> None:
    with pytest.raises(ConstraintError, match="a string such as 'a <= b' or a callable"):
        KnownConstraints([spec])


@pytest.mark.parametrize(
    ("text", "params"),
    [("a <= b", {"a": 1, "b": "two"}), ("a + 1 > 0", {"a": "x"}), ("abs(a) > 0", {"a": None})],
)
def test_values_of_the_wrong_kind_are_told(text: str, params: dict[str, Any]) -> None:
    with pytest.raises(ConstraintError, match="does not fit its parameters"):
        KnownConstraints([text]).satisfied(params)
