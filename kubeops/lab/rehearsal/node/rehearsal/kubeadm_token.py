"""`kubeadm token create|list|delete|generate`."""

import base64
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rehearsal import files, kubeadm_config, pki
from rehearsal import kubeadm_objects as objects
from rehearsal.apierrors import ApiError, UnreachableError
from rehearsal.client import Client
from rehearsal.cobra import Given, Spec
from rehearsal.kubeadm_common import Context, KubeadmError, retry
from rehearsal.kubeadm_config import TOKEN_GROUP
from rehearsal.kubeconfig import load_kubeconfig

SPEC = Spec(
    values=("certificate-key", "config", "description", "groups", "ttl", "usages", "output"),
    switches=(
        "print-join-command",
        "dry-run",
        "allow-missing-template-keys",
        "show-managed-fields",
    ),
    short={"o": "output"},
)
TOKEN = re.compile(r"[a-z0-9]{6}\.[a-z0-9]{16}")
IDENTIFIER = re.compile(r"[a-z0-9]{6}")
API_SECONDS = 60.0
Token = dict[str, Any]


def create(context: Context, given: Given) -> int:
    """Make a token and print it, or the command that joins with it.

    Raises:
        KubeadmError: the token is none, or the API does not take it.
    """
    documents = kubeadm_config.read(given.value("config")) if given.has("config") else {}
    entry = (documents.get("InitConfiguration", {}).get("bootstrapTokens") or [{}])[0]
    token = given.words[0] if given.words else entry.get("token") or objects.new_token()
    if not TOKEN.fullmatch(token):
        raise KubeadmError(
            f'the bootstrap token "{token}" was not of the form '
            '"\\\\A([a-z0-9]{6})\\\\.([a-z0-9]{16})\\\\z"'
        )
    client = admin(context)
    name = f"bootstrap-token-{token.partition('.')[0]}"
    usages = given.values("usages") or tuple(entry.get("usages") or ("signing", "authentication"))
    groups = given.values("groups") or tuple(entry.get("groups") or (TOKEN_GROUP,))
    try:
        ttl = files.duration(given.value("ttl") or entry.get("ttl") or "24h0m0s")
    except ValueError as error:
        raise KubeadmError(
            f'invalid argument "{given.value("ttl")}" for "--ttl" flag: {error}'
        ) from error
    try:
        objects.put_token(
            client,
            token,
            ttl=ttl,
            usages=usages,
            groups=groups,
            description=given.value("description") or entry.get("description", ""),
        )
    except KubeadmError as error:
        raise KubeadmError(
            f"failed to create or update bootstrap token with name {name}: unable to create "
            "*v1.Secret: "
            f"{str(error).partition(': ')[2]}"
        ) from error
    if not given.switch("print-join-command"):
        files.say(token)
        return 0
    access = load_kubeconfig(str(context.layout.admin))
    pin = pki.pin(pki.parse_certificate(access.ca.encode()))
    server = access.server.removeprefix("https://")
    line = f"kubeadm join {server} --token {token} --discovery-token-ca-cert-hash {pin} "
    if given.has("certificate-key"):
        line += f"--control-plane --certificate-key {given.value('certificate-key')}"
    files.say(line)
    return 0


def show(context: Context, given: Given) -> int:
    """List the tokens.

    Raises:
        KubeadmError: the API does not answer.
    """
    tokens = _tokens(admin(context))
    kind = given.value("output", "text")
    if kind == "json":
        for token in tokens:
            head = {"kind": "BootstrapToken", "apiVersion": "output.kubeadm.k8s.io/v1alpha3"}
            files.say(json.dumps(head | token, indent=4))
    elif kind == "yaml":
        for token in tokens:
            head = {"kind": "BootstrapToken", "apiVersion": "output.kubeadm.k8s.io/v1alpha3"}
            files.say("---\n" + files.dump_yaml(head | token).rstrip())
    elif kind == "text":
        _table(tokens)
    else:
        raise KubeadmError(
            "could not construct output printer: unable to match a printer suitable for the "
            f"output format {kind}"
        )
    return 0


def delete(context: Context, given: Given) -> int:
    """Delete tokens, named whole or by their first part.

    Raises:
        KubeadmError: one of them is no token, or is not there.
    """
    if not given.words:
        raise KubeadmError(
            "missing subcommand; 'token delete' is missing token of form \"[a-z0-9]{6}\""
        )
    client = admin(context)
    for word in given.words:
        identifier = word.partition(".")[0]
        if not IDENTIFIER.fullmatch(identifier):
            raise KubeadmError('given token didn\'t match pattern "\\\\A([a-z0-9]{6})\\\\z"')
        try:
            client.delete("secrets", f"bootstrap-token-{identifier}", namespace="kube-system")
        except (ApiError, UnreachableError) as error:
            raise KubeadmError(
                f'failed to delete bootstrap token "{identifier}": {error}'
            ) from error
        files.say(f'bootstrap token "{identifier}" deleted')
    return 0


def generate(context: Context, given: Given) -> int:
    """Print a token that nobody knows yet."""
    del context, given
    files.say(objects.new_token())
    return 0


def admin(context: Context) -> Client:
    """Return the administrator's client.

    Raises:
        KubeadmError: this node has no admin.conf.
    """
    return context.client("admin")


def _tokens(client: Client) -> list[Token]:
    found = retry(
        lambda: client.list(
            "secrets", namespace="kube-system", fields=f"type={objects.TOKEN_TYPE}"
        ),
        timeout=API_SECONDS,
        what="failed to list bootstrap tokens",
    )
    return [_token(secret) for secret in found["items"] if secret.get("type") == objects.TOKEN_TYPE]


def _token(secret: dict[str, Any]) -> Token:
    data = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    token: Token = {"token": f"{data['token-id']}.{data['token-secret']}"}
    if data.get("description"):
        token["description"] = data["description"]
    if data.get("expiration"):
        token["expires"] = data["expiration"]
    usages = [name for name in ("authentication", "signing") if data.get(f"usage-bootstrap-{name}")]
    if usages:
        token["usages"] = usages
    if data.get("auth-extra-groups"):
        token["groups"] = data["auth-extra-groups"].split(",")
    return token


def _table(tokens: Sequence[Token]) -> None:
    rows = [("TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS")]
    for token in tokens:
        expires = token.get("expires", "")
        rows.append(
            (
                token["token"],
                _left(expires) if expires else "<forever>",
                expires or "<never>",
                ",".join(token.get("usages", ())) or "<none>",
                token.get("description") or "<none>",
                ",".join(token.get("groups", ())) or "<none>",
            )
        )
    widths = [max(len(row[i]) for row in rows) + 3 for i in range(len(rows[0]) - 1)]
    for row in rows:
        files.say(
            "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) + row[-1]
        )


def _left(expires: str) -> str:
    moment = datetime.strptime(expires, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    seconds = int((moment - datetime.now(UTC)).total_seconds())
    if seconds < 0:
        return "<invalid>"
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size * (2 if unit == "d" else 1):
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
