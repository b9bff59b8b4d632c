"""A plan is data: what will be done, where and in which order. What is printed is what runs.

Plan
└─ Wave      one after the other
   └─ Lane   up to `at_once` at the same time
      └─ Step   one after the other
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from kubeops.plan.actions import Action


class Severity(StrEnum):
    """What a finding means for the run."""

    BLOCKING = "blocking"
    ACCEPTABLE = "acceptable"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something a check found.

    Attributes:
        check: the check's name, which is also what `--accept` takes.
        severity: blocking stops the run; acceptable stops it unless accepted; a warning is shown.
        text: what was found, naming host, object and numbers.
        cure: what to type or change.
        host: the host it was found on; empty for the cluster.
    """

    check: str
    severity: Severity
    text: str
    cure: str
    host: str = ""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do on one host.

    `id` is a path such as `/workers/w1/join`: made of what is done, so that it is the same in every
    plan that contains the step. `gate` says what is waited for afterwards.
    """

    id: str
    host: str
    title: str
    action: Action
    gate: str = ""


@dataclass(frozen=True, kw_only=True)
class Lane:
    """Steps that follow each other; named after the host (or thing) they are about."""

    name: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, kw_only=True)
class Wave:
    """Lanes that may run side by side, `at_once` at a time.

    When `failure_budget` lanes have failed no further lane starts. A wave in which any lane failed
    is the run's last one: what follows was planned on its success.

    Raises:
        ValueError: `at_once` or `failure_budget` is less than 1.
    """

    name: str
    title: str
    lanes: tuple[Lane, ...]
    at_once: int = 1
    failure_budget: int = 1

    def __post_init__(self) -> None:
        if self.at_once < 1 or self.failure_budget < 1:
            raise ValueError(f"wave {self.name}: at_once and failure_budget are at least 1")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one run will do.

    Attributes:
        kind: the verb: install, upgrade, reset, ...
        cluster: the cluster's name.
        summary: one line for the heading, e.g. `v1.35.4, 3 control planes, 2 workers`.
        findings: what the checks found.
        accepted: names of checks whose acceptable findings the operator accepts.
        done: what was found done already, one line each.
        rehearsal: the hosts run the lab's stand-ins, not Kubernetes.
    """

    kind: str
    cluster: str
    summary: str
    waves: tuple[Wave, ...] = ()
    findings: tuple[Finding, ...] = ()
    accepted: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    rehearsal: bool = False

    @property
    def steps(self) -> Iterator[Step]:
        """Every step in the order of the table."""
        for wave in self.waves:
            for lane in wave.lanes:
                yield from lane.steps

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not any(self.steps)

    @property
    def refusals(self) -> tuple[Finding, ...]:
        """The findings that stop this run: blocking, or acceptable and not accepted."""
        return tuple(
            finding
            for finding in self.findings
            if finding.severity is Severity.BLOCKING
            or (finding.severity is Severity.ACCEPTABLE and finding.check not in self.accepted)
        )

    def to_json(self) -> dict[str, object]:
        """Return the plan as JSON values, `digest` included; equal plans give equal documents."""
        document = _document(self)
        return {**document, "digest": _digest(document)}

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that change when anything that will be done changes."""
        return _digest(_document(self))


def _document(plan: Plan) -> dict[str, object]:
    return {
        "kind": plan.kind,
        "cluster": plan.cluster,
        "summary": plan.summary,
        "rehearsal": plan.rehearsal,
        "waves": [
            {
                "name": wave.name,
                "title": wave.title,
                "at_once": wave.at_once,
                "failure_budget": wave.failure_budget,
                "lanes": [
                    {"name": lane.name, "steps": [_step(step) for step in lane.steps]}
                    for lane in wave.lanes
                ],
            }
            for wave in plan.waves
        ],
        "findings": [asdict(finding) for finding in plan.findings],
        "accepted": list(plan.accepted),
        "done": list(plan.done),
    }


def _step(step: Step) -> dict[str, object]:
    return {
        "id": step.id,
        "host": step.host,
        "title": step.title,
        "action": type(step.action).__name__,
        "parameters": asdict(step.action),
        "gate": step.gate,
    }


def _digest(document: Mapping[str, object]) -> str:
    """Digest over what will be done; findings and what is done already do not count."""
    decided = {key: document[key] for key in ("kind", "cluster", "summary", "waves", "accepted")}
    canonical = json.dumps(decided, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
