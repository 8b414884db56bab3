"""Who may launch an image, and who may make a volume of a snapshot: two gates, in this order (docs/iam.md C).

The first is about accounts: the owner, and those with whom it shares. The second is about the principal: IAM has to
allow the call on every resource that it touches. A principal passes both or nothing happens.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from sgsim.access.decide import decide
from sgsim.access.enforcement import refusal
from sgsim.access.principals import policy_set
from sgsim.access.requesting import action_requests
from sgsim.access.requests import AttachedPolicy, PolicySet
from sgsim.access.things import Thing, image_thing, snapshot_thing, told
from sgsim.model import Environment
from sgsim.model.apply_permissions import image_missing, snapshot_missing
from sgsim.model.arns import resource_arn
from sgsim.model.images import Image, Permission, VolumeSnapshot
from sgsim.model.policies import Policy
from sgsim.model.sharing import image_permissions, shared_with

__all__ = ["Gate", "SharingAnswer", "image_gate", "may_create_volume", "may_launch", "snapshot_gate"]


class Gate(msgspec.Struct, frozen=True):
    """What one gate says. `allowed` is None where the input does not tell; `code` is AWS's if it is not allowed."""

    name: str
    allowed: bool | None
    why: str
    code: str = ""


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


def may_launch(
    environment: Environment,
    principal_arn: str,
    image_id: str,
    *,
    session_policies: Iterable[AttachedPolicy | Policy] = (),
) -> SharingAnswer:
    """Whether a principal may launch an image, with some instance, interface, group, subnet and volume of its account.

    Raises as `policy_set`.
    """
    policies = policy_set(environment, principal_arn, session_policies)
    image = environment.images.get(image_id) or Image(image_id)
    things = (image_thing(image, policies.account_id), _new_volume(image.region, policies.account_id))
    gate = image_gate(environment, policies.account_id, image_id)
    return SharingAnswer(gate, _iam_gate(policies, "ec2:RunInstances", things))


def may_create_volume(
    environment: Environment,
    principal_arn: str,
    snapshot_id: str,
    *,
    session_policies: Iterable[AttachedPolicy | Policy] = (),
) -> SharingAnswer:
    """Whether a principal may create some volume from a snapshot. Raises as `policy_set`."""
    policies = policy_set(environment, principal_arn, session_policies)
    snapshot = environment.volume_snapshots.get(snapshot_id) or VolumeSnapshot(snapshot_id)
    things = (snapshot_thing(snapshot, policies.account_id), _new_volume(snapshot.region, policies.account_id))
    gate = snapshot_gate(environment, policies.account_id, snapshot_id)
    return SharingAnswer(gate, _iam_gate(policies, "ec2:CreateVolume", things))


def _new_volume(region: str | None, account_id: str) -> Thing:
    return Thing("volume", resource_arn(region, account_id, "volume", "*"), told(Region=region))


def _iam_gate(policies: PolicySet, action: str, things: Iterable[Thing]) -> Gate:
    """Allowed only if every resource is (docs/iam.md A3.2)."""
    asked = [(one, decide(policies, one)) for one in action_requests(action, things, policies.account_id)]
    if not all(decision.allowed for _, decision in asked):
        error = refusal(asked)
        return Gate("iam", False, f"{error.message}: {error.item}", error.code)
    by = asked[0][1].statements
    return Gate("iam", True, f"{action} is allowed on all {len(asked)} resources{f' by {by[0]}' if by else ''}")
