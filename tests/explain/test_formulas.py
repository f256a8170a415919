"""Every operation that has a derivative has its formulas, and they are well-formed."""

import re

import pytest

import minigan as mg
from minigan import ops  # noqa: F401 - declares the operations
from minigan.core.op import REGISTRY, Op
from minigan.explain.formulas import FORMULAS, formula_of
from minigan.explain.markup import marked_up

DIFFERENTIABLE = {
    name: operation
    for name, operation in REGISTRY.items()
    if operation.__module__.startswith("minigan.") and any(operation.rules.values())
}


def test_each_differentiable_operation_has_formulas_and_no_other():
    assert FORMULAS.keys() == DIFFERENTIABLE.keys()


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_formulas_are_for_the_arguments_that_have_a_vjp(name):
    rules = DIFFERENTIABLE[name].rules
    assert FORMULAS[name].backward.keys() == {argument for argument, rule in rules.items() if rule}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_formulas_become_balanced_html(name):
    formulas = FORMULAS[name]
    for text in (formulas.forward, *formulas.backward.values()):
        opened: list[str] = []
        for closing, tag in re.findall(r"<(/?)(\w+)>", marked_up(text)):
            if closing:
                assert opened.pop() == tag
            else:
                opened.append(tag)
        assert not opened


@pytest.mark.parametrize(
    ("text", "markup"),
    [
        ("x_i", "x<sub>i</sub>"),
        ("e^{x_i − y}", "e<sup>x<sub>i</sub> − y</sup>"),
        ("a < b & c", "a &lt; b &amp; c"),
        ("ends_", "ends_"),
        ("open^{a", "open<sup>a</sup>"),
    ],
)
def test_markup(text, markup):
    assert marked_up(text) == markup


def test_an_operation_of_the_users_has_its_docstring():
    def doubled(x):
        """Twice x, <b>no</b> markup."""
        return 2 * x

    operation = Op(doubled)
    try:
        operation.vjps(x=lambda g: 2.0 * g)
        assert formula_of(operation).forward == "Twice x, <b>no</b> markup."
        assert formula_of(operation).backward == {}
    finally:
        del REGISTRY["doubled"]


def test_formulas_of_minigan_are_not_given_to_others():
    assert formula_of(mg.sigmoid).backward["x"] == "g y (1 − y)"
