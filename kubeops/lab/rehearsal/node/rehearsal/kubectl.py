"""kubectl's stand-in: the verbs kubeops and its operators use, in kubectl's own words.

Verbs, flags, texts and exit statuses are those of recorded sessions. What is not played ends with
status 1 and says so. `--as`, plugins, kuberc files, several kubeconfig files at once, watching and
editing are not played.
"""

import os
import sys
from collections.abc import Callable

from rehearsal.apierrors import ApiError, UnreachableError
from rehearsal.kubeconfig import KubeconfigError
from rehearsal.kubectl_session import Args, CommandError, Session, StatusOnlyError, parse

_GLOBAL = "kubeconfig= context= namespace/n= request-timeout= server/s= v/v="
_PRINT = "output/o="
_SELECT = "selector/l= all field-selector="
_GET = (
    f"{_PRINT} selector/l= field-selector= all-namespaces/A raw= ignore-not-found show-labels"
    " no-headers sort-by= chunk-size= label-columns/L= show-kind filename/f="
)
_CREATE = (
    f"{_PRINT} filename/f= raw= dry-run? validate? image= replicas= selector= min-available="
    " max-unavailable= from-literal= from-file= type= field-manager= clusterrole= role="
    " group= user="
)
_DELETE = (
    f"{_SELECT} {_PRINT} filename/f= ignore-not-found wait? timeout= grace-period= force now"
    " all-namespaces/A dry-run?"
)
_DRAIN = (
    "selector/l= ignore-daemonsets delete-emptydir-data grace-period= timeout= force"
    " disable-eviction dry-run? pod-selector= skip-wait-for-delete-timeout= chunk-size="
)

_VERBS: dict[str, tuple[str, str]] = {
    # verb: (module:function, its flags; `=` takes a value, `?` takes an optional one)
    "get": ("kubectl_get:get", _GET),
    "logs": ("kubectl_get:logs", "container/c= tail="),
    "apply": (
        "kubectl_write:apply",
        f"{_PRINT} filename/f= server-side force-conflicts field-manager= dry-run? validate?",
    ),
    "create": ("kubectl_create:create", _CREATE),
    "delete": ("kubectl_write:delete", _DELETE),
    "patch": (
        "kubectl_edit:patch",
        f"{_PRINT} patch/p= type= patch-file= subresource= dry-run? field-manager=",
    ),
    "label": ("kubectl_edit:label", f"{_SELECT} {_PRINT} overwrite dry-run?"),
    "annotate": ("kubectl_edit:annotate", f"{_SELECT} {_PRINT} overwrite dry-run?"),
    "taint": ("kubectl_edit:taint", f"{_SELECT} {_PRINT} overwrite dry-run?"),
    "scale": ("kubectl_edit:scale", f"{_PRINT} replicas="),
    "cordon": ("kubectl_drain:cordon", "selector/l= dry-run?"),
    "uncordon": ("kubectl_drain:uncordon", "selector/l= dry-run?"),
    "drain": ("kubectl_drain:drain", _DRAIN),
    "wait": ("kubectl_wait:wait", f"{_SELECT} for= timeout= all-namespaces/A"),
    "rollout": ("kubectl_wait:rollout", "timeout= watch/w?"),
    "version": ("kubectl_misc:version", f"{_PRINT} client"),
    "cluster-info": ("kubectl_misc:cluster_info", ""),
    "exec": ("kubectl_misc:execute", "container/c= stdin/i tty/t quiet/q"),
    "certificate": ("kubectl_misc:certificate", ""),
    "config": ("kubectl_misc:config", f"{_PRINT} raw minify"),
    "auth": ("kubectl_misc:auth", "all-namespaces/A quiet/q subresource="),
    "api-resources": ("kubectl_misc:api_resources", f"{_PRINT} no-headers verbs="),
    "api-versions": ("kubectl_misc:api_versions", ""),
}


def main(argv: list[str], version: str) -> int:
    """Run one kubectl command; return its exit status.

    Args:
        argv: the command line without the program's name.
        version: the kubectl package's version, such as `1.35.4`.
    """
    try:
        return _run(argv, version)
    except StatusOnlyError as error:
        return error.status
    except CommandError as error:
        _tell(str(error))
    except KubeconfigError as error:
        _tell(f"error: {error}")
    except ApiError as error:
        _tell(explain(error))
    except UnreachableError as error:
        _tell(error.as_kubectl())
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - replaces a closed stdout
    except KeyboardInterrupt:
        return 130
    return 1


def explain(error: ApiError) -> str:
    """Return the line kubectl prints for a refused request."""
    if error.reason == "Unauthorized":
        return "error: You must be logged in to the server (Unauthorized)"
    details = error.body.get("details") or {}
    if error.reason == "Invalid" and details.get("kind"):
        _, _, what = error.message.partition(" is invalid: ")
        return f'The {details["kind"]} "{details["name"]}" is invalid: {what}'
    reason = f" ({error.reason})" if error.reason else ""
    return f"Error from server{reason}: {error.message}"


def _tell(text: str) -> None:
    sys.stdout.flush()
    sys.stderr.write(f"{text}\n")


def _run(argv: list[str], version: str) -> int:
    verb, rest = _verb(argv)
    if verb in ("", "help"):
        sys.stdout.write("kubectl controls the Kubernetes cluster manager (rehearsal).\n")
        sys.stdout.write(f"Commands: {', '.join(sorted(_VERBS))}\n")
        return 0
    if verb not in _VERBS:
        raise CommandError(f'error: unknown command "{verb}" for "kubectl"')
    place, flags = _VERBS[verb]
    args = parse(rest, f"{flags} {_GLOBAL}", verb=verb)
    return _load(place)(Session(args, version=version), args)


def _load(place: str) -> Callable[[Session, Args], int]:
    from importlib import import_module  # noqa: PLC0415 - one module per call, for a quick start

    module, _, function = place.partition(":")
    loaded: Callable[[Session, Args], int] = getattr(import_module(f"rehearsal.{module}"), function)
    return loaded


def _verb(argv: list[str]) -> tuple[str, list[str]]:
    """Find the verb among global flags, and return it with all the rest."""
    valued = {"-n", "-s", "-v"} | {
        f"--{flag.split('/')[0].rstrip('=')}" for flag in _GLOBAL.split() if flag.endswith("=")
    }
    position = 0
    while position < len(argv):
        word = argv[position]
        if not word.startswith("-"):
            return word, argv[:position] + argv[position + 1 :]
        position += 2 if word in valued else 1
    return "", argv
