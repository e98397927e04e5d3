# Prints every mutant of src as JSON: by slither-mutate's mutators, and by ours for what it lacks.

import json
import logging
import re
import sys
from pathlib import Path

from slither import Slither
from slither.core.cfg.node import NodeType
from slither.core.expressions.call_expression import CallExpression
from slither.tools.mutator.mutators import all_mutators
from slither.tools.mutator.mutators.abstract_mutator import AbstractMutator

# What our own operators are called, beside the names of slither's.
EVENT_REMOVED, EVENT_FIELD, EVENT_SWAP = "event removed", "event field", "event swap"
OFF_BY_ONE = "off by one"


# Nothing is below zero here, a variable starts as zero, and an immutable set where it is declared
# holds what a constant does: these changes make no other contract, whatever the tests.
SAME_BY_LANGUAGE = [
    (" == 0", " <= 0"),
    (" != 0", " > 0"),
    (" = 0;", " ;"),
    (" constant ", " immutable "),
]
# Nor does a narrower type of a constant: one that does not hold its value does not compile, and
# whatever ours are reckoned with has 256 bits.
NARROWER_CONSTANT = re.compile(rb"\s+uint(\d+) \w+ constant ")

RELATIONS = ["<", "<=", ">", ">=", "==", "!="]
RELATION = re.compile(rb"(?<=\s)(?:<=?|>=?|==|!=)(?=\s)")


class Pool:
    """Mutants by the file they make, so that two operators never count one change twice."""

    def __init__(self, root):
        self.root, self.seen, self.mutants = root, set(), []

    def add(self, operator, path, start, end, new):
        # solc counts bytes, not characters.
        source = Path(path).read_bytes()
        old, new = source[start:end], new.encode()
        # Only the bytes that differ: so equal changes look equal, and short.
        while old and new and old[0] == new[0]:
            old, new, start = old[1:], new[1:], start + 1
        while old and new and old[-1] == new[-1]:
            old, new, end = old[:-1], new[:-1], end - 1
        change = (str(path), start, end, new)
        if old == new or change in self.seen or is_same(source, start, end, new):
            return
        self.seen.add(change)
        self.mutants.append({
            "file": str(Path(path).relative_to(self.root)),
            "operator": operator,
            "line": source[:start].count(b"\n") + 1,
            "start": start,
            "end": end,
            "new": new.decode(),
        })


def is_same(source, start, end, new):
    declared = NARROWER_CONSTANT.match(source, source.rfind(b"\n", 0, start) + 1)
    if declared and declared.span(1) == (start, end):
        return True
    before, old, after = source[max(start - 2, 0) : start], source[start:end], source[end : end + 3]
    is_old, is_new = before + old + after, before + new + after
    changes = [(one.encode(), other.encode()) for one, other in SAME_BY_LANGUAGE]
    return any(one in is_old and is_old.replace(one, other) == is_new for one, other in changes)


def mutators():
    everything = [getattr(all_mutators, name) for name in sorted(dir(all_mutators))]
    classes = [one for one in everything if isinstance(one, type)]
    return [one for one in classes if issubclass(one, AbstractMutator)]


def of_slither(pool, unit, contract):
    for mutator in mutators():
        for function in contract.functions_and_modifiers_declared:
            for node in function.nodes:
                made = mutator(unit, 0, "", "", contract, None, False, Path(), [])
                narrow(made, function, node)
                for path, patches in patches_of(made).items():
                    for patch in patches:
                        if mutator.NAME == "ROR":
                            of_relation(pool, path, patch["start"], patch["end"])
                            continue
                        # Removing an event has an operator of its own below.
                        if mutator.NAME == "CR" and patch["old_string"].startswith("emit "):
                            continue
                        new = patch["new_string"]
                        pool.add(mutator.NAME, path, patch["start"], patch["end"], new)


def of_relation(pool, path, start, end):
    """What ROR means: it writes its whole statement in the place of one comparison."""
    found = list(RELATION.finditer(Path(path).read_bytes(), start, end))
    if len(found) == 1:
        for relation in RELATIONS:
            pool.add("ROR", path, found[0].start(), found[0].end(), relation)


def narrow(mutator, function, node):
    """One statement at a time: where a mutator trips over one, the others keep their mutants."""
    wanted = mutator.should_mutate_node
    mutator.should_mutate_function = lambda one: one is function
    mutator.should_mutate_node = lambda one: one is node and wanted(one)


def patches_of(mutator):
    try:
        return mutator._mutate().get("patches", {})
    except IndexError:
        # ROR looks for its operator in the text of a statement that may not hold it.
        return {}


def other(kind, text):
    """Something of the same type that is not `text`; None where there is no short way."""
    if kind == "bool":
        return f"!({text})"
    if kind == "address":
        return f"address(uint160({text}) ^ 1)"
    if re.fullmatch(r"bytes\d+", kind):
        return f"~({text})"
    return f"({text}) + 1" if kind.startswith("uint") else None


def of_event(pool, path, node, text):
    start = node.source_mapping.start
    # With its semicolon, and a block in its place: what is left compiles below an `if` too.
    end = Path(path).read_bytes().index(b";", start + len(text.encode())) + 1
    pool.add(EVENT_REMOVED, path, start, end, "{}")
    call = node.expression
    spans = []
    for argument in call.arguments:
        mapping = argument.source_mapping
        spans.append((mapping.start, mapping.start + mapping.length, mapping.content))
    for (first, end, given), kind in zip(spans, kinds(call)):
        changed = other(kind, given)
        if changed:
            pool.add(EVENT_FIELD, path, first, end, changed)
    for (first, end, left), (second, last, right) in zip(spans, spans[1:]):
        between = Path(path).read_bytes()[end:second].decode()
        pool.add(EVENT_SWAP, path, first, last, right + between + left)


def kinds(call):
    """Types of an event's fields, as the event declares them."""
    declared = getattr(call.called, "value", None)
    return [str(one.type) for one in getattr(declared, "elems", [])]


def of_numbers(pool, path, start, text):
    for found in re.finditer(r"(?<![\w.\"])\d[\d_]*(?![\w.])", text):
        at = start + len(text[: found.start()].encode())
        more = str(int(found[0].replace("_", "")) + 1)
        pool.add(OFF_BY_ONE, path, at, at + len(found[0]), more)


def of_ours(pool, contract):
    path = contract.source_mapping.filename.absolute
    for variable in contract.state_variables_declared:
        if variable.initialized:
            mapping = variable.expression.source_mapping
            of_numbers(pool, path, mapping.start, mapping.content)
    for function in contract.functions_and_modifiers_declared:
        for node in function.nodes:
            mapping = node.source_mapping
            if node.type == NodeType.ENTRYPOINT or mapping.filename.absolute != path:
                continue
            if mapping.content.startswith("emit ") and isinstance(node.expression, CallExpression):
                of_event(pool, path, node, mapping.content)
            elif node.type != NodeType.ASSEMBLY:
                of_numbers(pool, path, mapping.start, mapping.content)


def main():
    # It cannot read OpenZeppelin's free functions, of which nothing here is a mutant.
    logging.disable(logging.ERROR)
    root = Path.cwd().resolve()
    slither = Slither(".", ignore_compile=True, foundry_out_directory=sys.argv[1])
    pool = Pool(root)
    for unit in slither.compilation_units:
        for contract in unit.contracts:
            path = Path(contract.source_mapping.filename.absolute)
            if path.is_relative_to(root / "src") and not contract.is_interface:
                of_slither(pool, unit, contract)
                of_ours(pool, contract)
    json.dump(pool.mutants, sys.stdout)


main()
