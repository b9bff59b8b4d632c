"""What every kubectl verb needs: its command line, the cluster, and objects from files."""

import os
import re
import sys
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple, NoReturn

from rehearsal.client import Client
from rehearsal.kubeconfig import Access, load_kubeconfig
from rehearsal.objects import duration
from rehearsal.resources import Resource, by_kind, find

Obj = dict[str, Any]

_ALL = ("pods", "services", "daemonsets", "deployments", "replicasets", "statefulsets", "jobs")


class CommandError(Exception):
    """The command fails; the message is printed as it is."""


class StatusOnlyError(Exception):
    """The command fails with `status` after having said why."""

    def __init__(self, status: int = 1) -> None:
        super().__init__(status)
        self.status = status


class Args:
    """A parsed command line."""

    def __init__(self, words: list[str], flags: dict[str, list[str]], dashed: list[str]) -> None:
        self.words = words
        self.dashed = dashed
        self._flags = flags

    def one(self, name: str, default: str = "") -> str:
        """Return a flag's last value."""
        return self._flags.get(name, [default])[-1]

    def every(self, name: str) -> list[str]:
        """Return all values of a flag that may be repeated."""
        return self._flags.get(name, [])

    def given(self, name: str) -> bool:
        """Whether the flag was given at all."""
        return name in self._flags

    def on(self, name: str, *, default: bool = False) -> bool:
        """Return a switch.

        Raises:
            CommandError: its value is neither true nor false.
        """
        value = self.one(name, str(default)).lower()
        if value not in ("true", "false"):
            raise CommandError(
                f'error: invalid argument "{value}" for "--{name}" flag: strconv.ParseBool: parsing'
                f' "{value}": invalid syntax'
            )
        return value == "true"

    def seconds(self, name: str, default: float) -> float:
        """Return a duration flag in seconds; 0 and below mean without end.

        Raises:
            CommandError: it is no duration.
        """
        if not self.given(name):
            return default
        try:
            return duration(self.one(name))
        except ValueError as error:
            raise CommandError(
                f'error: invalid argument "{self.one(name)}" for "--{name}" flag: {error}'
            ) from error

    @property
    def dry_run(self) -> str:
        """`none`, `client` or `server`.

        Raises:
            CommandError: another value was given.
        """
        value = self.one("dry-run", "none")
        if value not in ("none", "client", "server"):
            raise CommandError(
                f'error: Invalid dry-run value ({value}). Must be "none", "server", or "client".'
            )
        return value

    @property
    def dry_suffix(self) -> str:
        """What is appended to the lines of a dry run."""
        return {"none": "", "client": " (dry run)", "server": " (server dry run)"}[self.dry_run]


def parse(words: list[str], spec: str, *, verb: str) -> Args:
    """Read a command line.

    Args:
        words: everything but the verb.
        spec: the flags: `name`, `name/short`; followed by `=` when it takes a value, `?` when the
            value is optional.
        verb: for messages.

    Raises:
        CommandError: a flag kubectl does not have, or one without its value.
    """
    known, short = _flags(spec)
    plain: list[str] = []
    flags: dict[str, list[str]] = {}
    rest, dashed = list(words), list[str]()
    while rest:
        word = rest.pop(0)
        if word == "--":
            dashed = rest
            break
        if not word.startswith("-") or word == "-":
            plain.append(word)
            continue
        for name, value in _flag(word, rest, known, short, verb):
            flags.setdefault(name, []).append(value)
    return Args(plain, flags, dashed)


def _flags(spec: str) -> tuple[dict[str, str], dict[str, str]]:
    known, short = {}, {}
    for item in spec.split():
        kind = item[-1] if item[-1] in "=?" else ""
        name, _, letter = item.rstrip("=?").partition("/")
        known[name] = kind
        if letter:
            short[letter] = name
    return known, short


def _flag(
    word: str, rest: list[str], known: dict[str, str], short: dict[str, str], verb: str
) -> Iterator[tuple[str, str]]:
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        if name not in known:
            _unknown(f"unknown flag: --{name}", verb)
        yield name, value if equals else _value(known[name], rest, f"--{name}")
        return
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter not in short:
            _unknown(f"unknown shorthand flag: '{letter}' in {word}", verb)
        name = short[letter]
        if known[name] == "=":
            value = letters.removeprefix("=") if letters else _value("=", rest, f"-{letter}")
            yield name, value
            return
        yield name, "true"


def _value(kind: str, rest: list[str], shown: str) -> str:
    if kind != "=":
        return "unchanged" if shown == "--dry-run" else "true"
    if not rest:
        raise CommandError(f"error: flag needs an argument: {shown}")
    return rest.pop(0)


def _unknown(message: str, verb: str) -> NoReturn:
    raise CommandError(f"error: {message}\nSee 'kubectl {verb} --help' for usage.")


class Named(NamedTuple):
    """An object as the command line names it; no name means all of the type."""

    resource: Resource
    name: str


class Session:
    """The cluster a command talks to.

    Args:
        args: its command line.
        version: the kubectl package's version.
    """

    def __init__(self, args: Args, *, version: str) -> None:
        self.version = version
        self._args = args

    @cached_property
    def access(self) -> Access:
        """Where and as whom: --kubeconfig, $KUBECONFIG, ~/.kube/config, in this order.

        Raises:
            KubeconfigError: the file cannot be used.
        """
        path = self.kubeconfig
        context = self._args.one("context")
        explicit = self._args.given("kubeconfig")
        if not explicit and not os.path.exists(path):
            return Access(server="http://localhost:8080")
        return load_kubeconfig(path, context=context)

    @property
    def kubeconfig(self) -> str:
        """Path of the kubeconfig file in use."""
        home = os.path.expanduser("~/.kube/config")
        listed = os.environ.get("KUBECONFIG", "").split(":")
        return self._args.one("kubeconfig") or next((path for path in listed if path), home)

    @cached_property
    def client(self) -> Client:
        """The client; made when a verb first needs it."""
        access = self.access
        if self._args.given("server"):
            access = access._replace(server=self._args.one("server"))
        timeout = self._args.seconds("request-timeout", 0.0)
        agent = f"kubectl/v{self.version}+rehearsal"
        return Client(access, timeout=timeout or 60.0, user_agent=agent)

    @property
    def namespace(self) -> str:
        """The namespace in force."""
        return self._args.one("namespace") or self.access.namespace

    def within(self, resource: Resource) -> str:
        """Return the namespace in force for a resource; none for cluster-wide ones."""
        return self.namespace if resource.namespaced else ""


def resource_called(name: str) -> Resource:
    """Return the resource type a user means.

    Raises:
        CommandError: there is none.
    """
    resource = find(name)
    if resource is None:
        raise CommandError(f'error: the server doesn\'t have a resource type "{name}"')
    return resource


def named_objects(words: list[str]) -> list[Named]:
    """Read `TYPE`, `TYPE NAME ...`, `TYPE,TYPE` or `TYPE/NAME ...`.

    Raises:
        CommandError: they are mixed, or a type does not exist.
    """
    if not words:
        raise CommandError(
            'error: You must specify the type of resource to get. Use "kubectl api-resources" for a'
            " complete list of supported resources.\n"
        )
    if "/" in words[0]:
        chosen = []
        for word in words:
            kind, slash, name = word.partition("/")
            if not slash or not name:
                raise CommandError(
                    "error: there is no need to specify a resource type as a separate argument when"
                    " passing arguments in resource/name form (e.g. 'kubectl get resource/<resource"
                    "_name>' instead of 'kubectl get resource resource/<resource_name>'"
                )
            chosen.append(Named(resource_called(kind), name))
        return chosen
    types = [name for word in words[0].split(",") for name in (_ALL if word == "all" else (word,))]
    names = words[1:] or [""]
    return [Named(resource_called(kind), name) for kind in types for name in names]


def short_name(resource: Resource, name: str) -> str:
    """Return `node/cp1` or `deployment.apps/web`, as kubectl reports what it did."""
    return f"{resource.singular}/{name}"


def resource_of(obj: Obj) -> Resource:
    """Return the resource an object from a file belongs to.

    Raises:
        CommandError: the server has none of that kind.
    """
    resource = by_kind(obj.get("apiVersion", ""), obj.get("kind", ""))
    if resource is None:
        group, _, version = str(obj.get("apiVersion", "")).rpartition("/")
        raise CommandError(
            f'error: resource mapping not found for name: "{obj.get("metadata", {}).get("name")}"'
            f' namespace: "{obj.get("metadata", {}).get("namespace", "")}" from "file": no matches'
            f' for kind "{obj.get("kind")}" in version "{f"{group}/" if group else ""}{version}"\n'
            "ensure CRDs are installed first"
        )
    return resource


def objects_in(args: Args) -> list[Obj]:
    """Return the objects of every `-f`; lists are taken apart.

    Raises:
        CommandError: a file cannot be read or is no manifest.
    """
    import yaml  # noqa: PLC0415 - slow to load, and few calls read files

    objects: list[Obj] = []
    for path in args.every("filename"):
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        for name, text in _texts(path):
            try:
                found = list(yaml.load_all(text, Loader=loader))
            except yaml.YAMLError as error:
                raise CommandError(f"error: error parsing {name}: {error}") from error
            for document in found:
                objects += _flat(document, name)
    if not objects:
        missing = "error: must specify one of -f and -k"
        raise CommandError(
            "error: no objects passed to apply" if args.given("filename") else missing
        )
    return objects


def _texts(path: str) -> Iterator[tuple[str, str]]:
    if re.match(r"https?://", path):
        raise CommandError(f"error: rehearsal: manifests are not fetched from URLs: {path}")
    if path == "-":
        yield "STDIN", sys.stdin.read()
        return
    names = [path]
    if os.path.isdir(path):
        names = sorted(
            os.path.join(path, name)
            for name in os.listdir(path)
            if name.endswith((".yaml", ".yml", ".json"))
        )
    for name in names:
        try:
            with open(name, encoding="utf-8") as file:
                yield name, file.read()
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise CommandError(f'error: the path "{name}" does not exist: {reason}') from error


def _flat(document: Any, name: str) -> list[Obj]:
    if document is None:
        return []
    if not isinstance(document, dict) or not document.get("kind"):
        raise CommandError(f'error: error validating "{name}": error validating data: kind not set')
    if document["kind"].endswith("List") and "items" in document:
        return [item for part in document["items"] for item in _flat(part, name)]
    return [document]
