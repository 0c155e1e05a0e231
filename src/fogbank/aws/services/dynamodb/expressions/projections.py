"""Projection expressions: which parts of an item come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.aws.services.dynamodb.expressions.lexer import Compiled, Path, Reader, check_paths, look_up

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fogbank.aws.services.dynamodb.values import Item, Value


def compile_projection(text: str, names: Mapping[str, str]) -> Compiled:
    reader = Reader(text, names)
    paths = [reader.path()]
    while reader.accept(","):
        paths.append(reader.path())
    if reader.peek().kind != "end":
        raise reader.syntax_error()
    check_paths(reader, paths)
    return reader.compiled(paths=paths, run=_runner(paths))


def _runner(paths: Sequence[Path]) -> Any:
    if all(len(path) == 1 for path in paths):
        heads = [str(path[0]) for path in paths]
        return lambda item: {head: item[head] for head in heads if head in item}
    return lambda item: project(item, paths)


def project(item: Item, paths: Sequence[Path]) -> Item:
    """The parts at `paths`, inside as much of their maps and lists as leads to them; elements of a list close up in
    their order ("Using projection expressions in DynamoDB")."""
    tree: dict[Any, Any] = {}
    for path in paths:
        value = look_up(item, path)
        if value is None:
            continue
        branch = tree
        for part in path[:-1]:
            branch = branch.setdefault(part, {})
        branch[path[-1]] = _Leaf(value)
    return {name: _grown(branch) for name, branch in tree.items()}


class _Leaf:
    __slots__ = ("value",)

    def __init__(self, value: Value) -> None:
        self.value = value


def _grown(branch: dict[Any, Any] | _Leaf) -> Value:
    if isinstance(branch, _Leaf):
        return branch.value
    if isinstance(next(iter(branch)), int):
        return {"L": [_grown(branch[index]) for index in sorted(branch)]}
    return {"M": {name: _grown(inner) for name, inner in branch.items()}}
