"""Reading journals: what past runs did, how they ended and what they remembered.

A journal's state is the fold of its lines; nothing is ever edited. The first line is the run's
heading, each further one an event, in the order in which they happened.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from kubeops.engine.process import Process, is_gone, process_from_json
from kubeops.errors import JournalError
from kubeops.model.event import Kind
from kubeops.model.run import Failure, RunRecord, RunState, StepRecord, StepState

FORMAT = 1
_ENDS = {
    Kind.STEP_STARTED: StepState.RUNNING,
    Kind.STEP_SKIPPED: StepState.SKIPPED,
    Kind.STEP_DONE: StepState.DONE,
    Kind.STEP_FAILED: StepState.FAILED,
}


def fold(path: Path, *, gone: Callable[[Process], bool] = is_gone) -> RunRecord:
    """Return what the journal at `path` says of its run.

    A last line that was cut off while it was written is reported in `problem`. A run without an
    end is killed when `gone` says that its process is, and running otherwise.

    Raises:
        JournalError: the file cannot be read, or a line that is not the last one is damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror or error}") from error
    lines, problem = _parse(content, path)
    blank = _blank(path, problem=problem)
    if not lines:
        return replace(
            blank, state=RunState.KILLED, problem=problem or "the run was killed before it began"
        )
    try:
        heading = _heading(lines[0], blank)
        record = _fold_events(heading, lines[1:])
        if record.state is RunState.RUNNING and gone(process_from_json(lines[0]["process"])):
            return _killed(record)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"it is no journal of kubeops ({error})") from error
    return record


def list_runs(state: Path, cluster: str | None = None) -> tuple[RunRecord, ...]:
    """Return the runs on record, newest first; of one cluster when it is given.

    A damaged journal is listed as unreadable, with its problem.
    """
    journals = state.glob(f"{cluster or '*'}/*.jsonl")
    newest_first = sorted(journals, key=lambda path: (path.stem, path.parent.name), reverse=True)
    return tuple(map(_fold_or_say, newest_first))


def find_run(state: Path, run_id: str) -> RunRecord | None:
    """Return the run called `run_id`, or None when there is no journal of that name.

    Raises:
        JournalError: its journal is damaged.
    """
    for path in state.glob("*/*.jsonl"):
        if path.stem == run_id:
            return fold(path)
    return None


def recall(state: Path, *, cluster: str, kind: str) -> Mapping[str, object]:
    """Return what the unfinished runs since the last finished one remembered, newest word first.

    Only runs of the same cluster and kind count: those are the ones a new run continues.

    Raises:
        JournalError: one of these journals is damaged; going on without it would forget.
    """
    remembered: dict[str, object] = {}
    for run in list_runs(state, cluster):
        if run.kind != kind:
            continue
        if run.state is RunState.DONE:
            break
        if run.state is RunState.UNREADABLE:
            raise JournalError(
                f"cannot tell what run {run.run_id} had remembered: {run.problem}",
                hint=f"repair that line, or move the file aside: mv {run.path} {run.path}.damaged",
            )
        remembered = {**run.remembered, **remembered}
    return remembered


def _parse(content: bytes, path: Path) -> tuple[list[Mapping[str, Any]], str]:
    """Return the lines that hold an object, and what is wrong with the last one, if anything."""
    raw = content.split(b"\n")
    unended = raw.pop()
    lines: list[Mapping[str, Any]] = []
    for number, text in enumerate(raw, start=1):
        try:
            lines.append(_object(text))
        except ValueError as error:
            if number == len(raw) and not unended:
                return lines, f"the last line, {number}, is damaged and was left out"
            raise _damaged(path, f"line {number} is damaged ({error})") from error
    if unended:
        return lines, f"the last line, {len(raw) + 1}, was cut off and was left out"
    return lines, ""


def _object(text: bytes) -> Mapping[str, Any]:
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("not an object")  # noqa: TRY004  the same as text that is no JSON
    return document


def _damaged(path: Path, why: str) -> JournalError:
    return JournalError(
        f"{path}: {why}",
        hint=f"repair that line, or move the file aside: mv {path} {path}.damaged",
    )


def _blank(path: Path, *, problem: str = "") -> RunRecord:
    """Return what the file's name alone says: STATE/CLUSTER/TIME-KIND-HEX.jsonl."""
    return RunRecord(
        run_id=path.stem,
        kind=path.stem.partition("-")[2].rpartition("-")[0],
        cluster=path.parent.name,
        state=RunState.RUNNING,
        path=path,
        log=path.with_suffix(".log"),
        problem=problem,
    )


def _fold_or_say(path: Path) -> RunRecord:
    try:
        return fold(path)
    except JournalError as error:
        return replace(_blank(path, problem=error.message), state=RunState.UNREADABLE)


def _heading(line: Mapping[str, Any], blank: RunRecord) -> RunRecord:
    if line["format"] != FORMAT:
        raise ValueError(f"format {line['format']}, this kubeops reads {FORMAT}")
    return replace(
        blank,
        kind=line["kind"],
        cluster=line["cluster"],
        started=datetime.fromisoformat(line["at"]),
        who=line["process"]["who"],
        workstation=line["process"]["workstation"],
        pid=line["process"]["pid"],
        version=line["version"],
        plan=line["plan"],
        arguments=line["arguments"],
        steps=tuple(_planned(line["plan"])),
    )


def _planned(plan: Mapping[str, Any]) -> Iterator[StepRecord]:
    for wave in plan["waves"]:
        for lane in wave["lanes"]:
            for step in lane["steps"]:
                yield StepRecord(
                    id=step["id"], host=step["host"], title=step["title"], state=StepState.PENDING
                )


def _fold_events(heading: RunRecord, lines: Sequence[Mapping[str, Any]]) -> RunRecord:
    steps = {step.id: step for step in heading.steps}
    remembered: dict[str, object] = {}
    failures: list[Failure] = []
    record = heading
    for line in lines:
        kind = Kind(line["kind"])
        data = line.get("data", {})
        if kind in _ENDS:
            step = steps[line["step"]]
            steps[step.id] = replace(step, state=_ENDS[kind], seconds=data.get("seconds"))
        if kind is Kind.STEP_FAILED:
            failures.append(failure_from_json(data["failure"]))
        if kind is Kind.REMEMBERED:
            remembered[data["key"]] = data["value"]
        if kind is Kind.RUN_ENDED:
            record = replace(record, state=RunState(data["status"]), seconds=data["seconds"])
    record = replace(
        record, steps=tuple(steps.values()), remembered=remembered, failures=tuple(failures)
    )
    return record if record.state is RunState.RUNNING else _unfinished(record)


def _killed(record: RunRecord) -> RunRecord:
    return _unfinished(replace(record, state=RunState.KILLED))


def _unfinished(record: RunRecord) -> RunRecord:
    return replace(
        record,
        steps=tuple(
            replace(step, state=StepState.UNFINISHED) if step.state is StepState.RUNNING else step
            for step in record.steps
        ),
    )


def failure_from_json(document: Mapping[str, Any]) -> Failure:
    """Read a failure as a journal holds it: its fields, by name.

    Raises:
        TypeError: a required field is missing.
    """
    known = {field.name for field in fields(Failure)}
    values = {name: value for name, value in document.items() if name in known}
    return Failure(**{**values, "output": tuple(values.get("output", ()))})
