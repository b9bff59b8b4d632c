"""Options of verbs: declared once with their help, parsed once into typed values."""

import difflib
import keyword
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from invoke.parser.argument import Argument

from kubeops.errors import UsageError

if TYPE_CHECKING:
    from kubeops.model.desired import Cluster

Value = str | bool | list[str] | None


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option of a verb.

    Attributes:
        name: as typed after the dashes, e.g. `control-planes`.
        help: one sentence for `--help`.
        value: what the help calls its value, e.g. `HOST`; empty for a switch.
        many: takes a comma list and may be repeated; the value is a tuple.
        default: what an absent option means, spelled as it would be typed.
        required: absent is a UsageError.
        short: a single letter.
        parse: turns the typed text into the value; raises ValueError with a sentence.
    """

    name: str
    help: str
    value: str = ""
    many: bool = False
    default: str | None = None
    required: bool = False
    short: str = ""
    parse: Callable[[str], object] = str

    @property
    def attribute(self) -> str:
        """The name of the parameter that receives the value; `from_` for what Python reserves."""
        name = self.name.replace("-", "_")
        return f"{name}_" if keyword.iskeyword(name) else name

    @property
    def is_switch(self) -> bool:
        """Whether the option takes no value."""
        return not self.value

    @property
    def spelled(self) -> str:
        """How the help shows it: `-i, --inventory NAME`."""
        text = f"--{self.name}" if self.is_switch else f"--{self.name} {self.value}"
        return f"-{self.short}, {text}" if self.short else text

    def argument(self) -> Argument:
        """Return the declaration Invoke's parser understands; values arrive unparsed."""
        kind: type = bool if self.is_switch else list if self.many else str
        return Argument(
            names=(self.name, self.short) if self.short else (self.name,),
            kind=kind,
            default={bool: False, list: []}.get(kind),
            help=self.help,
            # The same name twice would be an alias of itself, which Invoke follows for ever.
            attr_name=self.attribute if self.attribute != self.name else None,
        )

    def read(self, value: Value) -> object:
        """Return the typed value of what the parser handed over.

        Raises:
            UsageError: it is required and absent, or cannot be parsed.
        """
        if self.is_switch:
            return bool(value)
        if self.many:
            texts = value if isinstance(value, list) else []
            items = (item.strip() for text in texts for item in text.split(","))
            return tuple(self._parse(item) for item in items if item)
        text = value if isinstance(value, str) else self.default
        if text is not None:
            return self._parse(text)
        if self.required:
            raise UsageError(f"--{self.name} {self.value} is required: {self.help}")
        return None

    def typed(self, value: Value) -> tuple[str, ...]:
        """Return how `value` is typed on a command line; nothing when it was not given."""
        if not value:
            return ()
        if isinstance(value, list):
            return (f"--{self.name}", ",".join(value))
        return (f"--{self.name}", value) if isinstance(value, str) else (f"--{self.name}",)

    def _parse(self, text: str) -> object:
        try:
            return self.parse(text)
        except ValueError as error:
            raise UsageError(f"--{self.name} {text}: {error}") from error


def count(text: str) -> int:
    """Parse a number of things.

    Raises:
        ValueError: it is not a whole number, or negative.
    """
    if not text.isdecimal():
        raise ValueError("a whole number is wanted, such as 3")
    return int(text)


def one_of(*choices: str) -> Callable[[str], str]:
    """Return a parser that takes only `choices`."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"it is one of {', '.join(choices)}")
        return text

    return parse


INVENTORY = Option(
    name="inventory",
    short="i",
    value="NAME|PATH",
    help="The cluster: inventories/NAME.yaml or a path. Default: KUBEOPS_INVENTORY, or the only "
    "inventory there is.",
)
PLAN = Option(name="plan", help="Print what would be done, and stop.")
YES = Option(name="yes", short="y", help="Run the plan without asking.")
APPROVE = Option(
    name="approve",
    value="DIGEST",
    help="Run only if the plan is the one with this digest, and do not ask.",
)
LIMIT = Option(name="limit", value="HOST,...", many=True, help="Only these hosts of the inventory.")
ACCEPT = Option(
    name="accept",
    value="CHECK,...",
    many=True,
    help="Go on in spite of these findings, each by the name of its check.",
)
JSON = Option(name="json", help="Print the result as one JSON document; progress goes to stderr.")
VERBOSE = Option(name="verbose", help="Show every step of a plan, and details of defects.")

ANY = (JSON, VERBOSE)
"""Options of verbs that need no cluster."""
READS = (INVENTORY, LIMIT, *ANY)
"""Options of verbs that look at hosts one by one."""
CHANGES = (INVENTORY, PLAN, YES, APPROVE, LIMIT, ACCEPT, *ANY)
"""Options of verbs that change a cluster."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The common options of one call; those a verb does not declare keep their defaults."""

    inventory: str | None = None
    plan: bool = False
    yes: bool = False
    approve: str | None = None
    limit: tuple[str, ...] = ()
    accept: tuple[str, ...] = ()
    json: bool = False
    verbose: bool = False

    def hosts(self, cluster: "Cluster") -> tuple[str, ...]:
        """Return the names of the hosts to work on, in the inventory's order.

        Raises:
            UsageError: `--limit` names a host the inventory does not have.
        """
        names = [host.name for host in cluster.hosts]
        for wanted in self.limit:
            if wanted not in names:
                raise UsageError(
                    f"--limit {wanted}: {cluster.source} has no such host" + meant(wanted, names),
                    hint=f"its hosts are {', '.join(names)}",
                )
        return tuple(name for name in names if name in self.limit) if self.limit else tuple(names)


_COMMON = frozenset(Options.__dataclass_fields__)


def split(
    declared: Iterable[Option], values: Mapping[str, Value]
) -> tuple[Options, dict[str, object]]:
    """Return the common options, and the verb's own as keyword arguments.

    Raises:
        UsageError: a value is missing or wrong, or options contradict each other.
    """
    read = {option.attribute: option.read(values.get(option.attribute)) for option in declared}
    options = Options(**{name: read[name] for name in read if name in _COMMON})  # type: ignore[arg-type]  # each option's parse gives its field's type
    if options.plan and (options.yes or options.approve):
        raise UsageError(
            "--plan only prints; --yes and --approve run",
            hint="leave --plan out to run the plan",
        )
    return options, {name: value for name, value in read.items() if name not in _COMMON}


def meant(typed: str, known: Iterable[str]) -> str:
    """Return `; did you mean X?` for the likeliest of `known`, or nothing."""
    close = difflib.get_close_matches(typed, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
