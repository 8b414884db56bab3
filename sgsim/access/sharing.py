"""Who may launch an image, and who may make a volume of a snapshot: two gates, in this order (docs/iam.md C).

The first is about accounts: the owner, and those with whom it shares. The second is about the principal: IAM has to
allow the call on every resource that it touches. A principal passes both or nothing happens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from sgsim.access.decide import decide
from sgsim.access.principals import policy_set
from sgsim.access.requests import AccessRequest, AttachedPolicy, Decision, Outcome
from sgsim.model import Environment
from sgsim.model.apply_permissions import image_missing, snapshot_missing
from sgsim.model.arns import resource_arn
from sgsim.model.images import Image, Permission, VolumeSnapshot
from sgsim.model.policies import Policy
from sgsim.model.sharing import image_permissions, shared_with

__all__ = [
    "Gate",
    "SharingAnswer",
    "image_gate",
    "image_request",
    "may_create_volume",
    "may_launch",
    "snapshot_gate",
    "snapshot_request",
]


class Gate(msgspec.Struct, frozen=True):
    """What one gate says. `allowed` is None where the input does not tell; `code` is AWS's if it is not allowed."""

    name: str
    allowed: bool | None
    why: str
    code: str = ""
    decision: Decision | None = None


class SharingAnswer(msgspec.Struct, frozen=True):
    """Both gates in their order; the second is asked even if the first is closed, to explain."""

    account: Gate
    iam: Gate

    @property
    def allowed(self) -> bool | None:
        """Whether both are open; None if it depends on what the input does not tell."""
        if False in (self.account.allowed, self.iam.allowed):
            return False
        return None if self.account.allowed is None else True

    @property
    def code(self) -> str:
        """AWS's error code: that of the first gate that is closed."""
        return next((gate.code for gate in (self.account, self.iam) if gate.allowed is False), "")


def image_gate(environment: Environment, account_id: str, image_id: str) -> Gate:
    """Whether an account may launch an image; that covers the image's snapshots."""
    image = environment.images.get(image_id)
    if image is None:
        error = image_missing(image_id)
        return Gate("account", False, error.message, error.code)
    return _gate(
        environment,
        account_id,
        image.owner_id,
        image_permissions(image),
        Gate("account", False, f"Not authorized for images: [{image_id}]", "AuthFailure"),
        "describe-image-attribute --attribute launchPermission",
    )


def snapshot_gate(environment: Environment, account_id: str, snapshot_id: str) -> Gate:
    """Whether an account may create a volume from a snapshot; to others it does not exist."""
    snapshot = environment.volume_snapshots.get(snapshot_id)
    error = snapshot_missing(snapshot_id)
    closed = Gate("account", False, error.message, error.code)
    if snapshot is None:
        return closed
    return _gate(
        environment,
        account_id,
        snapshot.owner_id,
        snapshot.permissions,
        closed,
        "describe-snapshot-attribute --attribute createVolumePermission",
    )


def _gate(
    environment: Environment,
    account_id: str,
    owner_id: str | None,
    permissions: frozenset[Permission] | None,
    closed: Gate,
    call: str,
) -> Gate:
    shared = shared_with(environment, account_id, owner_id, permissions, call)
    if shared.allowed is False:
        return Gate("account", False, f"{closed.why}; {shared.why}", closed.code)
    return Gate("account", shared.allowed, shared.why)


def image_request(image: Image, account_id: str) -> AccessRequest:
    """The part of an account's RunInstances that is about the image; its tags are its owner's alone (C2)."""
    return AccessRequest(
        action="ec2:RunInstances",
        resource=resource_arn(image.region, None, "image", image.image_id),
        context=_context(image, account_id)
        | _told("ec2:Owner", image.owner_id)
        | _told("ec2:ImageID", image.image_id)
        | _told("ec2:Public", None if image.public is None else str(image.public).lower()),
    )


def snapshot_request(snapshot: VolumeSnapshot, account_id: str) -> AccessRequest:
    """The part of an account's CreateVolume that is about the snapshot; of tags as `image_request`."""
    size = None if snapshot.volume_size is None else str(snapshot.volume_size)
    return AccessRequest(
        action="ec2:CreateVolume",
        resource=resource_arn(snapshot.region, None, "snapshot", snapshot.snapshot_id),
        context=_context(snapshot, account_id)
        | _told("ec2:Owner", snapshot.owner_id)
        | _told("ec2:Encrypted", None if snapshot.encrypted is None else str(snapshot.encrypted).lower())
        | _told("ec2:VolumeSize", size),
    )


def _told(key: str, value: str | None) -> dict[str, tuple[str, ...]]:
    return {} if value is None else {key: (value,)}


def _context(thing: Image | VolumeSnapshot, account_id: str) -> dict[str, tuple[str, ...]]:
    """Region, and for the owner the tags, under both keys that policies use for them."""
    context = _told("ec2:Region", thing.region)
    for key, value in thing.tags if thing.owner_id == account_id else ():
        context |= {f"aws:ResourceTag/{key}": (value,), f"ec2:ResourceTag/{key}": (value,)}
    return context


def may_launch(
    environment: Environment,
    principal_arn: str,
    image_id: str,
    others: Sequence[AccessRequest] | None = None,
    *,
    session_policies: Iterable[AttachedPolicy | Policy] = (),
) -> SharingAnswer:
    """Whether a principal may launch an image.

    `others` are RunInstances on what else the call touches (subnet, groups …); without them, some instance, interface,
    group, subnet and volume of the principal's account are asked for. Raises as `policy_set`.
    """
    policies = policy_set(environment, principal_arn, session_policies)
    image = environment.images.get(image_id) or Image(image_id)
    if others is None:
        kinds = ("instance", "network-interface", "security-group", "subnet", "volume")
        others = _any(kinds, "ec2:RunInstances", image.region, policies.account_id)
    requests = (image_request(image, policies.account_id), *others)
    gate = image_gate(environment, policies.account_id, image_id)
    return SharingAnswer(gate, _iam([(one, decide(policies, one)) for one in requests]))


def may_create_volume(
    environment: Environment,
    principal_arn: str,
    snapshot_id: str,
    others: Sequence[AccessRequest] | None = None,
    *,
    session_policies: Iterable[AttachedPolicy | Policy] = (),
) -> SharingAnswer:
    """Whether a principal may create a volume from a snapshot; `others` as for `may_launch`, by default some volume."""
    policies = policy_set(environment, principal_arn, session_policies)
    snapshot = environment.volume_snapshots.get(snapshot_id) or VolumeSnapshot(snapshot_id)
    if others is None:
        others = _any(("volume",), "ec2:CreateVolume", snapshot.region, policies.account_id)
    requests = (snapshot_request(snapshot, policies.account_id), *others)
    gate = snapshot_gate(environment, policies.account_id, snapshot_id)
    return SharingAnswer(gate, _iam([(one, decide(policies, one)) for one in requests]))


def _any(kinds: Iterable[str], action: str, region: str | None, account_id: str) -> list[AccessRequest]:
    """The call on some new or unnamed thing of each kind."""
    return [
        AccessRequest(
            action=action, resource=resource_arn(region, account_id, kind, "*"), context=_told("ec2:Region", region)
        )
        for kind in kinds
    ]


def _iam(decisions: Sequence[tuple[AccessRequest, Decision]]) -> Gate:
    """Allowed only if every resource is (docs/iam.md A3)."""
    for outcome in (Outcome.EXPLICIT_DENY, Outcome.IMPLICIT_DENY):
        for request, decision in decisions:
            if decision.outcome is outcome:
                return Gate("iam", False, _refusal(request, decision), "UnauthorizedOperation", decision)
    request, decision = decisions[0]
    by = f" by {decision.statements[0]}" if decision.statements else ""
    return Gate("iam", True, f"{request.action} is allowed on all {len(decisions)} resources{by}", "", decision)


def _refusal(request: AccessRequest, decision: Decision) -> str:
    if decision.outcome is Outcome.EXPLICIT_DENY:
        return f"{request.action} on {request.resource} is denied by {decision.statements[0]}"
    layers = " and no ".join(layer.value for layer in decision.silent)
    missing = f" (not in the request: {', '.join(decision.missing_keys)})" if decision.missing_keys else ""
    return f"{request.action} on {request.resource}: no {layers} allows it{missing}"
