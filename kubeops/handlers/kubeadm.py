"""kubeadm init and join, so that they can be killed anywhere and called again.

Before kubeadm starts, `/var/lib/kubeops/unfinished` is written on its host, and the same remote
script removes it when kubeadm has ended well. So the host itself says whether an init or a join was
left half-done, even when the workstation died meanwhile:

1. A kubeadm that is still at work (of a killed run) is waited for.
2. No mark and a kubelet.conf: done.
3. A mark: the etcd member and the Node that an unfinished join left are removed through a control
   plane that stands, while the member still runs: one that is stopped first can take quorum along.
4. What is on the host is moved aside (never deleted), `kubeadm reset`, then from the beginning.

What kubeops did not begin it does not clear: kubeadm's own preflight refuses it.

Tokens and certificate keys are made fresh for each join (kubeadm keeps the certificates for two
hours), travel on stdin into `--config /dev/stdin`, and are deleted or expire within 15 minutes.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from kubeops.engine.context import Handler, StepContext
from kubeops.engine.gates import Gate, Reading
from kubeops.errors import TransportError, UnknownOutcomeError
from kubeops.handlers.copying import copy_files
from kubeops.handlers.etcd import remove_stale_member
from kubeops.handlers.observe import (
    KubeadmState,
    always_due,
    control_plane,
    settled,
)
from kubeops.handlers.reset import clear
from kubeops.handlers.secrets import TOKEN_TTL, ca_hash, new_certificate_key, new_token
from kubeops.handlers.tools import kubectl
from kubeops.model.desired import Cluster
from kubeops.model.version import KubeVersion
from kubeops.plan.actions import InitCluster, JoinControlPlane, JoinWorker
from kubeops.plan.convergence import members_not_yet
from kubeops.plan.install import init_cluster
from kubeops.templating import render
from kubeops.transport.base import Command

INIT_TIMEOUT = 900
JOIN_TIMEOUT = 600
READY_TIMEOUT = 240

# `cat |` because a shell's stdin may be a socket, which /dev/stdin cannot open again.
_MARKED = """
mkdir -p /var/lib/kubeops
printf %s "$1" > /var/lib/kubeops/unfinished
sync -d /var/lib/kubeops/unfinished
shift
cat | "$@"
rm /var/lib/kubeops/unfinished
"""
_PIPED = 'cat | "$@"'


def _configured(
    script: str, *argv: str, config: str, secrets: tuple[str, ...], timeout: float
) -> Command:
    """`argv --config /dev/stdin`, run by `script`, with `config` on stdin."""
    configured = (*argv, "--config", "/dev/stdin")
    return Command(
        argv=("sh", "-euc", script, "kubeops", *configured),
        shows=configured[configured.index("kubeadm") :],
        stdin=config.encode(),
        secrets=secrets,
        timeout=timeout,
        expendable=script == _MARKED,  # the mark has the next run begin anew
    )


def _clear_unfinished(state: KubeadmState, context: StepContext) -> None:
    """Bring the host to where kubeadm may start."""
    if state.unfinished is not None:
        context.progress(f"moving the unfinished {state.unfinished} aside")
        clear(context)


def _init_config(action: InitCluster, *, cluster: str, node: str, token: str, key: str) -> str:
    return render(
        "kubeadm-init.yaml.j2",
        token=token,
        token_ttl=TOKEN_TTL,
        certificate_key=key,
        address=action.address,
        node=node,
        taints=_taints(action.taints),
        cluster=cluster,
        version=action.version,
        endpoint=action.endpoint,
        image_repository=action.image_repository,
        pods=action.pods,
        services=action.services,
        dns_domain=action.dns_domain,
        certificate_names=action.certificate_names,
    )


def _taints(texts: Sequence[str] | None) -> list[dict[str, str]] | None:
    """Return the taints as kubeadm reads them; None leaves its own default."""
    return None if texts is None else [_taint(text) for text in texts]


def _taint(text: str) -> dict[str, str]:
    left, _, effect = text.partition(":")
    key, _, value = left.partition("=")
    return {"key": key, "value": value, "effect": effect}


def _init(action: InitCluster, context: StepContext) -> None:
    state = settled(context)
    if state.is_node:
        return
    _clear_unfinished(state, context)
    kubeadm_init(action, context, settings=lambda config: config)


def kubeadm_init(
    action: InitCluster,
    context: StepContext,
    *,
    settings: Callable[[str], str],
    mark: str = "init",
) -> None:
    """Run `kubeadm init` on the step's host; until it has ended well `unfinished` says `mark`.

    `settings` is given the configuration and returns what kubeadm gets.
    """
    token, key = new_token(), new_certificate_key()
    config = _init_config(
        action, cluster=context.desired.name, node=context.host, token=token, key=key
    )
    context.progress("kubeadm init")
    context.run(
        _configured(
            _MARKED,
            mark,
            "kubeadm",
            "init",
            "--upload-certs",
            "--skip-token-print",
            "--skip-certificate-key-print",
            config=settings(config),
            secrets=(token, key),
            timeout=INIT_TIMEOUT,
        )
    )
    _forget(token, context, via=context.host)


def _init_gate(_action: InitCluster, context: StepContext) -> Gate:
    return control_plane_gate(context, context.host)


def control_plane_gate(context: StepContext, via: str) -> Gate:
    """Pass when the host's own API server is ready and its etcd member votes, as `via` sees it.

    Seen once it is so: kubeadm does not end before it has seen the same, and a server that is ready
    or a member that votes does not go back by itself.
    """

    def look() -> Reading:
        etcd = control_plane(context, via=via)
        if isinstance(etcd, str):
            return Reading(ok=False, text=etcd)
        names = {member.name for member in etcd.members} | {context.host}
        missing = members_not_yet(etcd, tuple(sorted(names)))
        return Reading(ok=not missing, text="; ".join(missing) or "API ready, etcd healthy")

    name = f"the control plane of {context.host}"
    return Gate(name=name, look=look, timeout=READY_TIMEOUT, successes=1)


def _invite(
    context: StepContext, desired: Cluster, *, via: str, token: str, key: str, certificates: bool
) -> None:
    """Make `token` known on `via`, and upload the certificates under `key` if they are needed."""
    action = init_cluster(desired, desired.host(via))
    config = _init_config(action, cluster=desired.name, node=via, token=token, key=key)
    runner = context.transport.runner(via)
    context.progress(f"making a token on {via}")
    commands: list[tuple[str, ...]] = [("kubeadm", "token", "create")]
    if certificates:
        commands.append(
            (
                "kubeadm",
                "init",
                "phase",
                "upload-certs",
                "--upload-certs",
                "--skip-certificate-key-print",
            )
        )
    for argv in commands:
        runner.run(
            _configured(_PIPED, *argv, config=config, secrets=(token, key), timeout=120)
        ).must()


def _join(
    action: JoinControlPlane | JoinWorker, context: StepContext, *, control_plane: bool
) -> None:
    state = settled(context)
    if state.is_node:
        return
    via = context.transport.runner(action.via)
    if control_plane:
        remove_stale_member(context, via=action.via, node=context.host)
    if state.unfinished is not None:
        via.run(kubectl("delete", "node", context.host, "--ignore-not-found")).must()
    _clear_unfinished(state, context)
    if isinstance(action, JoinControlPlane) and action.files:
        context.progress(f"copying {len(action.files)} files from {action.via}")
        copy_files(context, action.files, via=action.via)
    token, key = new_token(), new_certificate_key()
    try:
        _invite(
            context,
            _running(action, context.desired),
            via=action.via,
            token=token,
            key=key,
            certificates=control_plane,
        )
        authority = via.run(Command(argv=("cat", "/etc/kubernetes/pki/ca.crt"))).must()
        context.progress("kubeadm join")
        context.run(
            _configured(
                _MARKED,
                "join",
                "kubeadm",
                "join",
                config=render(
                    "kubeadm-join.yaml.j2",
                    endpoint=action.endpoint,
                    token=token,
                    ca_hash=ca_hash(authority.stdout.encode()),
                    node=context.host,
                    address=action.address,
                    taints=_taints(action.taints),
                    certificate_key=key if control_plane else None,
                ),
                secrets=(token, key) if control_plane else (token,),
                timeout=JOIN_TIMEOUT,
            )
        )
    finally:
        _forget(token, context, via=action.via)


def _running(action: JoinControlPlane | JoinWorker, desired: Cluster) -> Cluster:
    """The cluster as it runs: in an upgrade the inventory does not say its version yet.

    kubeadm refuses a configuration of a release much older than its own, also to make a token.
    """
    if isinstance(action, JoinControlPlane) or not action.version:
        return desired
    return replace(desired, kubernetes=KubeVersion.parse(action.version))


def _forget(token: str, context: StepContext, *, via: str) -> None:
    """Delete `token` on `via`; one that cannot be deleted now ends by itself, soon."""
    delete = Command(argv=("kubeadm", "token", "delete", token.split(".", 1)[0]))
    with suppress(TransportError, UnknownOutcomeError):
        context.transport.runner(via).run(delete)


def _join_control_plane(action: JoinControlPlane, context: StepContext) -> None:
    _join(action, context, control_plane=True)


def _join_worker(action: JoinWorker, context: StepContext) -> None:
    _join(action, context, control_plane=False)


def _joined_control_plane(action: JoinControlPlane, context: StepContext) -> Gate:
    return control_plane_gate(context, action.via)


def _registered(action: JoinWorker, context: StepContext) -> Gate:
    via = context.transport.runner(action.via)

    def look() -> Reading:
        answer = via.run(kubectl("get", "node", context.host, "-o", "name"))
        return Reading(ok=answer.ok, text=answer.output.strip())

    return Gate(name=f"node {context.host}", look=look, timeout=READY_TIMEOUT, successes=1)


INIT_CLUSTER = Handler(check=always_due, apply=_init, gate=_init_gate)
JOIN_CONTROL_PLANE = Handler(
    check=always_due, apply=_join_control_plane, gate=_joined_control_plane
)
JOIN_WORKER = Handler(check=always_due, apply=_join_worker, gate=_registered)
