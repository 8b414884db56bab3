"""How a launch changes an environment; part of `apply` (docs/iam.md C6)."""

from __future__ import annotations

from dataclasses import replace

from sgsim.errors import ChangeError
from sgsim.model import refusals
from sgsim.model.apply_permissions import image_missing
from sgsim.model.changes import RunInstances
from sgsim.model.environment import Environment
from sgsim.model.network import NetworkInterface
from sgsim.model.overlay import Overlay
from sgsim.model.quotas import Quotas
from sgsim.model.sharing import image_permissions, shared_with

__all__ = ["run_instances"]


def run_instances(environment: Environment, change: RunInstances, quotas: Quotas | None) -> Environment:
    """The new interfaces are there, with their groups, and filtered from now on. Raises ChangeError."""
    if quotas is not None:
        _check_image(environment, change)
    added: dict[str, NetworkInterface] = {}
    for interface in change.interfaces:
        name = interface.interface_id
        if name in environment.interfaces or name in added:
            raise ChangeError("InvalidParameterValue", "The network interface ID is in use already", name)
        if quotas is not None:
            refusals.check_interface(environment, interface)
            _check_addresses(environment, interface)
            refusals.check_new_groups(environment, interface, quotas)
        added[name] = interface
    return replace(environment, interfaces=Overlay.of(environment.interfaces).changed(added))


def _check_image(environment: Environment, change: RunInstances) -> None:
    """The image exists, as far as the environment tells, and its owner lets the account launch it."""
    image = environment.images.get(change.image_id)
    if image is None:
        if environment.images or not change.image_id.startswith("ami-"):
            raise image_missing(change.image_id)
        return
    if change.account_id is None:
        return
    call = "describe-image-attribute --attribute launchPermission"
    shared = shared_with(environment, change.account_id, image.owner_id, image_permissions(image), call)
    if shared.allowed is False:
        raise ChangeError("AuthFailure", f"Not authorized for images: [{image.image_id}]", shared.why)


def _check_addresses(environment: Environment, interface: NetworkInterface) -> None:
    """No other interface of the subnet has one of the addresses."""
    for other in Overlay.of(environment.interfaces).having(_subnet, interface.subnet_id):
        for address in interface.addresses:
            if address in other.addresses:
                raise ChangeError("InvalidIPAddress.InUse", "The specified address is already in use.", str(address))


def _subnet(interface: NetworkInterface) -> tuple[str | None, ...]:
    return (interface.subnet_id,)
