"""RunInstances → a change.

AWS would choose ids and addresses. Here ids follow from the address, and an address that is not named is the lowest
that nobody has in the subnet, AWS's own first four and last one left out; a note says so.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from sgsim.errors import ModelError
from sgsim.importers.actions import ActionReader
from sgsim.importers.problems import shown
from sgsim.importers.requests import (
    BadRequestError,
    CreateInterfaceRequest,
    LaunchInterface,
    LaunchRequest,
    PrivateAddress,
)
from sgsim.model import Address, Environment, NetworkInterface, Subnet
from sgsim.model.apply_permissions import image_missing
from sgsim.model.arns import iam_arn, parse_arn
from sgsim.model.changes import AddInterface, ChangeOrigin, RunInstances
from sgsim.model.principals import Role

__all__ = ["LaunchReader", "free_addresses"]

_MOST = 1000  #: instances of one call
_MISSING, _VALUE, _COMBINATION = "MissingParameter", "InvalidParameterValue", "InvalidParameterCombination"


def free_addresses(environment: Environment, subnet: Subnet) -> Iterator[Address]:
    """The IPv4 addresses of a subnet that no interface has, ascending; AWS keeps the first four and the last one."""
    held = {one for interface in environment.interfaces.values() for one in interface.addresses}
    prefixes = [one for interface in environment.interfaces.values() for one in interface.prefixes]
    for cidr in subnet.cidrs:
        for value in range(cidr.network + 4, cidr.last) if cidr.family == 4 else ():
            address = Address(4, value)
            if address not in held and not any(one.contains(address) for one in prefixes):
                yield address


class LaunchReader:
    """Reads launches one after the other; `notes` grow where an address is chosen."""

    def __init__(self, environment: Environment, actions: ActionReader) -> None:
        self._environment, self._actions = environment, actions
        self._free: dict[str, Iterator[Address]] = {}
        self._named: set[tuple[str | None, Address]] = set()
        self.notes: list[str] = []

    def read(self, request: LaunchRequest, origin: ChangeOrigin) -> RunInstances:
        """The launch that a request asks for. Raises BadRequestError."""
        if not request.image_id:
            raise BadRequestError("ImageId", "The request must contain the parameter ImageId", _MISSING)
        if self._environment.images and request.image_id not in self._environment.images:
            error = image_missing(request.image_id)
            raise BadRequestError("ImageId", error.message, error.code, "images of other owners: describe-images")
        wanted = self._wanted(request)
        interfaces: list[NetworkInterface] = []
        for number in range(self._count(request)):
            interfaces += self._instance(wanted, number, origin)
        account_id = interfaces[0].account_id
        return RunInstances(
            image_id=request.image_id,
            interfaces=tuple(interfaces),
            instance_type=request.instance_type,
            key_name=request.key_name,
            role_arn=self._role(request, account_id),
            snapshot_ids=_snapshots(request),
            tags=tuple(
                (spec.resource_type, one.key, one.value) for spec in request.tag_specifications for one in spec.tags
            ),
            account_id=account_id,
            origin=origin,
        )

    def _count(self, request: LaunchRequest) -> int:
        """As many as may be: MaxCount."""
        for key, count in (("MinCount", request.min_count), ("MaxCount", request.max_count)):
            if count is None:
                raise BadRequestError(key, f"The request must contain the parameter {key}", _MISSING)
            if not 1 <= count <= _MOST:
                raise BadRequestError(key, f"{key} is a number from 1 to {_MOST}, not {count}", _VALUE)
        least, most = request.min_count or 1, request.max_count or 1
        if least > most:
            raise BadRequestError("MinCount", f"MinCount {least} is more than MaxCount {most}", _COMBINATION)
        return most

    def _wanted(self, request: LaunchRequest) -> list[tuple[str, LaunchInterface]]:
        """The interfaces of each instance, with the paths at which they are asked for."""
        if not request.network_interfaces:
            if request.ipv6_address_count:
                raise BadRequestError("Ipv6AddressCount", "AWS would choose the addresses, and nobody can tell which")
            groups = tuple(
                dict.fromkeys(
                    (
                        *request.security_group_ids,
                        *(self._actions.named(name, "SecurityGroups", None) for name in request.security_groups),
                    )
                )
            )
            single = LaunchInterface(
                subnet_id=request.subnet_id,
                groups=groups,
                private_ip_address=request.private_ip_address,
                ipv6_addresses=request.ipv6_addresses,
            )
            return [("", single)]
        for key in ("subnet_id", "security_group_ids", "security_groups", "private_ip_address", "ipv6_addresses"):
            if getattr(request, key):
                problem = "Network interfaces and an instance-level subnet, group or address cannot be given together"
                raise BadRequestError("NetworkInterfaces", problem, _COMBINATION)
        return [(f"NetworkInterfaces[{number}]", one) for number, one in enumerate(request.network_interfaces)]

    def _instance(
        self, wanted: list[tuple[str, LaunchInterface]], number: int, origin: ChangeOrigin
    ) -> list[NetworkInterface]:
        made: list[NetworkInterface] = []
        for path, one in wanted:
            try:
                made.append(self._interface(one, number, origin))
            except BadRequestError as bad:
                raise (bad.under(path) if path else bad) from None
        instance_id = f"i-{made[0].interface_id}"
        return [msgspec.structs.replace(one, instance_id=instance_id) for one in made]

    def _interface(self, asked: LaunchInterface, number: int, origin: ChangeOrigin) -> NetworkInterface:
        if asked.network_interface_id is not None:
            problem = "an interface that is there already keeps its groups, so that this launch changes no verdict"
            raise BadRequestError("NetworkInterfaceId", problem, advice="leave the launch out")
        if asked.subnet_id is None:
            problem = "no subnet is given: AWS would choose one of the default VPC, and nobody can tell which"
            raise BadRequestError("SubnetId", problem, _MISSING, "add SubnetId")
        known = self._environment.subnets.get(asked.subnet_id)
        if known is None and self._environment.subnets:
            problem = f"The subnet ID {shown(asked.subnet_id)} does not exist"
            raise BadRequestError("SubnetId", problem, "InvalidSubnetID.NotFound", "describe-subnets lists them")
        named = asked.private_ip_address is not None or asked.private_ip_addresses
        if named and number:
            problem = "One address cannot be given to several instances"
            raise BadRequestError("PrivateIpAddress", problem, _COMBINATION)
        if not named:
            address = self._choose(asked.subnet_id, known)
            if not number:
                chosen = f"AWS would choose addresses in {asked.subnet_id}; here it is the lowest free one, {address}"
                self.notes.append(f"{origin.place}: {chosen}")
            asked = msgspec.structs.replace(asked, private_ip_addresses=(PrivateAddress(str(address), True),))
        (change,) = self._actions.read("CreateNetworkInterface", _as_interface(asked), origin)
        assert isinstance(change, AddInterface)
        self._named.update((change.interface.subnet_id, address) for address in change.interface.addresses)
        return change.interface

    def _choose(self, subnet_id: str, subnet: Subnet | None) -> Address:
        """The lowest address that is free."""
        if subnet is None or not any(cidr.family == 4 for cidr in subnet.cidrs):
            problem = "no address is given, and the subnet's range, from which AWS would choose one, is not known"
            raise BadRequestError("PrivateIpAddress", problem, advice="add PrivateIpAddress")
        if subnet_id not in self._free:
            self._free[subnet_id] = free_addresses(self._environment, subnet)
        for address in self._free[subnet_id]:
            if (subnet_id, address) not in self._named:
                return address
        problem = f"The specified subnet does not have enough free addresses: {subnet_id}"
        raise BadRequestError("SubnetId", problem, "InsufficientFreeAddressesInSubnet", "take another subnet")

    def _role(self, request: LaunchRequest, account_id: str | None) -> str:
        """The role of the instance profile, "" if there is none: that of the profile's own name (docs/iam.md A3.9)."""
        profile = request.iam_instance_profile
        if profile is None or not (profile.arn or profile.name):
            return ""
        owner, name = account_id or "", profile.name or ""
        if profile.arn:
            try:
                arn = parse_arn(profile.arn)
            except ModelError as error:
                raise BadRequestError("IamInstanceProfile.Arn", str(error), _VALUE) from None
            owner, name = arn.account_id, arn.name
        found = self._environment.directory.named("roles", owner, name)
        return found.arn if isinstance(found, Role) else iam_arn(owner, "role", name)


def _as_interface(asked: LaunchInterface) -> CreateInterfaceRequest:
    """The call that would make the interface alone."""
    shared = set(LaunchInterface.__struct_fields__) & set(CreateInterfaceRequest.__struct_fields__)
    given = {key: getattr(asked, key) for key in shared - {"network_interface_id"}}
    return CreateInterfaceRequest(**given)


def _snapshots(request: LaunchRequest) -> tuple[str, ...]:
    """The snapshots that the request itself names."""
    devices = (one.get("Ebs") for one in request.block_device_mappings)
    named = (one.get("SnapshotId") for one in devices if isinstance(one, dict))
    return tuple(dict.fromkeys(one for one in named if isinstance(one, str)))
