"""The kubeadm stand-in: the command line, and who does what.

    version   init [phase ...]   join   reset   token create|list|delete|generate
    certs check-expiration|renew|certificate-key   config images|print|validate|migrate
    upgrade plan|apply|node|diff

Everything else, and every unknown flag, is refused as the real kubeadm refuses it.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rehearsal import cobra, faults, files
from rehearsal.apierrors import ApiError, UnreachableError
from rehearsal.cobra import Given, Spec
from rehearsal.faults import Invocation
from rehearsal.kubeadm_common import GLOBAL, Context, KubeadmError
from rehearsal.kubeconfig import KubeconfigError
from rehearsal.layout import Layout
from rehearsal.version import client_version, parse

TRACE = "To see the stack trace of this error execute with --v=5 or higher"


@dataclass(frozen=True)
class Verb:
    """What runs for a verb, and the flags it takes."""

    run: Callable[[Context, Given], int]
    spec: Spec


def main(
    argv: Sequence[str],
    version: str,
    *,
    invocation: Invocation | None = None,
    layout: Layout | None = None,
) -> int:
    """Run `kubeadm` with `argv`; `version` is `v1.35.4+rehearsal`. Returns the exit status."""
    context = Context(
        version=parse(version), layout=layout or Layout(), invocation=invocation or Invocation()
    )
    try:
        name, verb, rest = _find(argv)
        given = cobra.parse(rest, verb.spec | GLOBAL)
        if given.switch("help"):
            files.say(f"kubeadm {name}: the rehearsal shows no help")
            return 0
        return verb.run(context, given)
    except (KubeadmError, cobra.FlagError, KubeconfigError, ApiError, UnreachableError) as error:
        files.warn(f"error: {error}")
        files.warn(TRACE)
        return 1


def run(argv: Sequence[str], version: str) -> int:
    """Run kubeadm under the orders for faults; the launcher's entry."""
    return faults.call(
        "kubeadm", argv, lambda invocation: main(argv, version, invocation=invocation)
    )


def _find(argv: Sequence[str]) -> tuple[str, Verb, list[str]]:
    """Return the verb a command line names, and what is left of the line."""
    verbs = _verbs()
    groups = {
        " ".join(parts[:count]) for parts in map(str.split, verbs) for count in range(len(parts))
    }
    words: list[str] = []
    rest = list(argv)
    leading: list[str] = []
    while rest:
        if rest[0].startswith("-"):
            if words and " ".join(words) in verbs:
                break
            leading.append(rest.pop(0))
            continue
        longer = " ".join((*words, rest[0]))
        if longer in verbs or longer in groups:
            words.append(rest.pop(0))
            continue
        break
    name = " ".join(words)
    if name in verbs:
        return name, verbs[name], leading + rest
    above = f"kubeadm {name}".strip()
    if rest:
        raise KubeadmError(f'unknown command "{rest[0]}" for "{above}"')
    for word in leading:
        if word.startswith("-") and word not in {"-h", "--help"}:
            raise cobra.FlagError(f"unknown flag: {word.split('=')[0]}")
    raise KubeadmError(f'missing subcommand; "{above}" is not meant to be run on its own')


def _verbs() -> dict[str, Verb]:
    """Return the verbs by name; their modules are loaded here, where they are needed."""
    from rehearsal import (  # noqa: PLC0415 - see above
        kubeadm_certs,
        kubeadm_config_verbs,
        kubeadm_init,
        kubeadm_init_run,
        kubeadm_join,
        kubeadm_join_run,
        kubeadm_reset,
        kubeadm_token,
        kubeadm_upgrade,
        kubeadm_upgrade_plan,
        kubeadm_upgrade_run,
    )

    return {
        "version": Verb(_version, Spec(values=("output",), short={"o": "output"})),
        "init": Verb(kubeadm_init_run.run, kubeadm_init.SPEC),
        "init phase": Verb(kubeadm_init_run.run_phase, kubeadm_init.SPEC),
        "join": Verb(kubeadm_join_run.run, kubeadm_join.SPEC),
        "reset": Verb(kubeadm_reset.run, kubeadm_reset.SPEC),
        "token create": Verb(kubeadm_token.create, kubeadm_token.SPEC),
        "token list": Verb(kubeadm_token.show, kubeadm_token.SPEC),
        "token delete": Verb(kubeadm_token.delete, kubeadm_token.SPEC),
        "token generate": Verb(kubeadm_token.generate, kubeadm_token.SPEC),
        "upgrade plan": Verb(kubeadm_upgrade_plan.plan, kubeadm_upgrade_plan.PLAN),
        "upgrade diff": Verb(kubeadm_upgrade_plan.diff, kubeadm_upgrade_plan.DIFF),
        "upgrade apply": Verb(kubeadm_upgrade_run.apply, kubeadm_upgrade.APPLY),
        "upgrade node": Verb(kubeadm_upgrade_run.node, kubeadm_upgrade.NODE),
        **{name: Verb(*entry) for name, entry in kubeadm_certs.VERBS.items()},
        **{name: Verb(*entry) for name, entry in kubeadm_config_verbs.VERBS.items()},
    }


def _version(context: Context, given: Given) -> int:
    found = client_version(context.version)
    kind = given.value("output")
    if kind == "short":
        files.say(context.version.full)
    elif kind == "json":
        files.say(json.dumps({"clientVersion": found}, indent=2))
    elif kind == "yaml":
        files.say(files.dump_yaml({"clientVersion": found}))
    elif kind:
        raise KubeadmError(f"invalid output format: {kind}")
    else:
        shown = ", ".join(f'{name[0].upper()}{name[1:]}:"{value}"' for name, value in found.items())
        files.say(f"kubeadm version: &version.Info{{{shown}}}")
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], "v0.0.0+rehearsal"))
