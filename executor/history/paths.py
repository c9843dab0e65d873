"""Text paths of nodes: rendered for people by walking up, found again by walking down. They are never stored as
keys."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Final

from promissory.executor.errors import RunNotFound
from promissory.executor.scheduler.node_path import joined
from promissory.planner.plan.specs import Earlier

if TYPE_CHECKING:
    from promissory.executor.history.history import History

_WHOLE: Final = 50
"""The depth up to which a path is shown whole."""
_SUFFIXES: Final = re.compile(r"(.*?)((?:\[[=+]?\d+\])*)(@-?\d+|@last)?", re.DOTALL)


def frame_path(history: History, id: int) -> str:
    """The path of the node that a frame stands for."""
    chain = []
    while id not in history.frame_paths:
        chain.append(id)
        id = history.parents[id][0]
    for one in reversed(chain):
        parent, slot = history.parents[one]
        path = _step(history, parent, slot, history.frame_paths[parent])
        iteration = history.frame_iterations.get(one, 0)
        if one in history.rounds:
            path += f"@{history.rounds[one]}"
        elif history.segments.get(one, 1) > 1:
            path += f"[+{history.segments[one] - 1}]"
        history.frame_paths[one] = f"{path}[={iteration}]" if iteration else path
    return history.frame_paths[chain[0]] if chain else history.frame_paths[id]


def _step(history: History, id: int, index: int, path: str) -> str:
    frame = history.opened[id]
    if frame.part is not None and index < frame.topology.count:
        return f"{path}[{frame.part.first + index}]"
    name = frame.topology.name(index)
    return f"{path}/{name}" if frame.depth <= _WHOLE and "…" not in path else joined(path, name)


def node_path(history: History, id: int, index: int) -> str:
    """A node's path. A long path is shortened in the middle; the node's frame and index behind `#` make it exact."""
    if index in history.opened[id].topology.earlier:
        return _path_of_source(history, id, index)
    above = frame_path(history, id)
    path = _step(history, id, index, above)
    return path if history.opened[id].depth <= _WHOLE and "…" not in above else f"{path}#{id}.{index}"


def _path_of_source(history: History, id: int, index: int) -> str:
    """The path of the node of an earlier round that a node stands for."""
    frame, key = history.opened[id], history.parents[id]
    spec = frame.topology.graph.specs[index]
    assert isinstance(spec, Earlier)
    for child in reversed(history.children.get(key, ())):
        round = history.opened[child]
        topology, back = round.topology, frame.stage - round.stage
        if back <= 0 or (spec.distance and back != spec.distance):
            continue
        if spec.distance:
            return f"{frame_path(history, child)}/{spec.name}"
        for at, entries in topology.graph.overrides.items():
            if entries.get("held") == spec.name:
                return f"{frame_path(history, child)}/{topology.name(at)}"
    return f"{node_path(history, *key)}, {spec.name} of an earlier round"


def find(history: History, path: str) -> tuple[int, int, int | None]:
    """The frame and index of a node by its text path, and the iteration that the path names; None if it names none.
    Raises `RunNotFound`, whose message names the nodes that are there."""
    exact = re.search(r"#(\d+)\.(\d+)(?:\[=(\d+)\])?$", path)
    run_id = history.manifest.run_id
    if exact:
        id, index = int(exact[1]), int(exact[2])
        if id not in history.opened or index >= history.opened[id].topology.count:
            raise RunNotFound(f"there is no node {exact[0]} in run {run_id}")
        return id, index, None if exact[3] is None else int(exact[3])
    parts = path.strip("/").split("/")
    path = "/".join(parts)
    if parts[0] == "main" and (len(parts) > 1 or "main" not in history.opened[0].topology.names):
        parts = parts[1:]
    id, index = 0, -1
    iteration: int | None = None
    round = ""
    for position, part in enumerate(parts):
        said = "/".join(["main", *parts[:position]])
        if position:
            inside = _inside(history, id, index, iteration, round)
            if inside is None and round:
                raise _no_round(history, id, index, said, round)
            if inside is None:
                raise RunNotFound(f"{said} has no frame of its own in run {run_id}")
            id = inside
        id, index, iteration, round = _node(history, id, part, said)
    if round and _inside(history, id, index, None, round) is None:
        raise _no_round(history, id, index, "/".join(["main", *parts]), round)
    if index < 0:
        raise RunNotFound("the path names the root, not a node")
    return id, index, iteration


def round_frame(history: History, path: str) -> int | None:
    """The frame of the round of a cycle that a path names; None if it names none. Raises `RunNotFound`."""
    match = _SUFFIXES.fullmatch(path.strip("/").rpartition("/")[2])
    if match is None or not match[3]:
        return None
    id, index, _ = find(history, path)
    return _inside(history, id, index, None, match[3][1:])


def _no_round(history: History, id: int, index: int, said: str, round: str) -> RunNotFound:
    rounds = [history.rounds[child] for child in history.children.get((id, index), ()) if child in history.rounds]
    there = f"{rounds[0]} to {rounds[-1]}" if len(rounds) > 1 else rounds[0] if rounds else "none"
    cycle = said.rpartition("@")[0]
    there += "; earlier ones were not kept (keep_cycles)" if history.is_trimmed else ""
    what = "end" if round == "last" else f"round {round}"
    return RunNotFound(f"there is no {what} of {cycle} in run {history.manifest.run_id}: there is {there}")


def _inside(history: History, id: int, index: int, named: int | None, round: str) -> int | None:
    iteration = named or 0
    for child in reversed(history.children.get((id, index), [])):
        if round or child in history.rounds:
            if history.rounds.get(child) == round or not round:
                return child
            continue
        if child in history.segments:
            if history.segments[child] == iteration + 1:
                return child
            continue
        if history.opened[child].part is None and history.frame_iterations.get(child, 0) == iteration:
            return child
    if round:
        return None
    frames = [child for child in history.children.get((id, index), []) if history.opened[child].part is None]
    return frames[-1] if frames and named is None else None


def _node(history: History, id: int, part: str, said: str) -> tuple[int, int, int | None, str]:
    """The node of a frame that a part of a path names, perhaps with the numbers of an item, of an iteration and of a
    round."""
    names = history.opened[id].topology.names
    match = _SUFFIXES.fullmatch(part)
    name, suffixes, round = (part, "", "") if part in names or match is None else (match[1], match[2], match[3] or "")
    if name not in names:
        own = [name for at, name in enumerate(names) if at not in history.opened[id].topology.earlier]
        shown = ", ".join(own[:20]) + (", …" if len(own) > 20 else "")
        elsewhere = ", ".join(_called(history, name))
        further = f". Elsewhere there is {elsewhere}" if elsewhere else ""
        raise RunNotFound(f"there is no node {part!r} in {said}; there is: {shown or 'none'}{further}")
    index = names.index(name)
    iteration: int | None = None
    for sign, number in re.findall(r"\[([=+]?)(\d+)\]", suffixes):
        if sign:
            iteration = int(number)
            continue
        found = _item(history, id, index, int(number))
        if found is None:
            there = _there("items", _items(history, id, index))
            raise RunNotFound(f"{said}/{name} has no item {number} in run {history.manifest.run_id}: {there}")
        id, index = found
    if iteration is not None and "+" in suffixes:
        count = history.segment_counts.get((id, index), 0)
        if iteration >= count:
            last = (
                f"the last one is [+{count - 1}]" if count > 1 else "it has one, without a number" if count else "none"
            )
            raise RunNotFound(f"{said}/{name} has no segment [+{iteration}] in run {history.manifest.run_id}: {last}")
    elif iteration is not None and iteration > history.iterations.get((id, index), 0):
        raise RunNotFound(
            f"{said}/{name} has no iteration {iteration} in run {history.manifest.run_id}: "
            f"{_there('iterations', history.iterations.get((id, index), 0) + 1)}"
        )
    return id, index, iteration, round[1:]


def _called(history: History, name: str) -> list[str]:
    """The paths of the first nodes of a name, wherever they are."""
    frames = (id for id, frame in history.opened.items() if frame.part is None and name in frame.topology.names)
    return [node_path(history, id, history.opened[id].topology.names.index(name)) for id in islice(frames, 3)]


def _there(what: str, count: int) -> str:
    """How many items or iterations there are."""
    if count < 2:
        return f"it has {'one, number 0' if count else 'none'}"
    return f"it has {count} {what}, 0 to {count - 1}"


def _items(history: History, id: int, index: int) -> int:
    """How many items of a map have been expanded."""
    frames = (history.opened[child] for child in history.children.get((id, index), []))
    return max((frame.part.first + frame.topology.count for frame in frames if frame.part is not None), default=0)


def _item(history: History, id: int, index: int, number: int) -> tuple[int, int] | None:
    for child in history.children.get((id, index), []):
        frame = history.opened[child]
        if frame.part is not None and 0 <= number - frame.part.first < frame.topology.count:
            return child, number - frame.part.first
    return None
