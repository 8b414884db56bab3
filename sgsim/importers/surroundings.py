"""Everything around the groups: interfaces, prefix lists, VPCs, subnets, peerings, gateways, mirror sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sgsim.importers import aws_json, network
from sgsim.importers.acls import network_acl_fields
from sgsim.importers.documents import Listing, Origin, convert_all
from sgsim.importers.merge import Views, contradiction
from sgsim.importers.problems import BadFieldError
from sgsim.importers.scope import ListedIds
from sgsim.model import (
    Cidr,
    MirrorSession,
    NetworkInterface,
    PrefixList,
    Subnet,
    TransitGatewayAttachment,
    Vpc,
    VpcPeering,
)
from sgsim.model.acls import NetworkAcl

__all__ = ["Surroundings"]

_GONE = frozenset({"terminated", "shutting-down"})


class Surroundings:
    """Collects descriptions; every kind is a `Views`. The `add` methods raise EnvironmentInputError."""

    def __init__(self) -> None:
        self.interfaces = Views(
            "network interface", frozenset({"group_ids", "addresses", "prefixes", "vpc_id", "mac", "timeouts"})
        )
        self.prefix_lists = Views("prefix list", frozenset({"entries", "family", "max_entries"}))
        self.vpcs = Views("VPC", frozenset({"cidrs"}))
        self.subnets = Views("subnet", frozenset({"cidrs", "vpc_id"}))
        self.peerings = Views("VPC peering", frozenset({"requester_vpc_id", "accepter_vpc_id", "status"}))
        self.attachments = Views("transit-gateway attachment", frozenset({"transit_gateway_id", "vpc_id"}))
        self.mirrors = Views("traffic-mirror session", frozenset({"interface_id", "vni"}))
        self.acls = Views("network ACL", frozenset({"entries", "subnet_ids"}))
        self.interface_listings: list[ListedIds] = []
        self.bare_instances = 0
        self._instance_types: dict[str, str] = {}
        self._instance_names: dict[str, str] = {}
        self._gateways: dict[str, bool] = {}
        self._entries: dict[str, tuple[frozenset[Cidr], bool, Origin]] = {}

    def add(self, listing: Listing) -> None:
        """Take a listing of any kind that this class knows; others are ignored."""
        simple: dict[str, tuple[Views, Callable[[Any], dict[str, Any] | None], str]] = {
            "PrefixLists": (self.prefix_lists, network.prefix_list_fields, "prefix_list_id"),
            "Vpcs": (self.vpcs, network.vpc_fields, "vpc_id"),
            "Subnets": (self.subnets, network.subnet_fields, "subnet_id"),
            "VpcPeeringConnections": (self.peerings, network.peering_fields, "peering_id"),
            "TransitGatewayAttachments": (self.attachments, network.attachment_fields, "attachment_id"),
            "TransitGatewayVpcAttachments": (self.attachments, network.attachment_fields, "attachment_id"),
            "TrafficMirrorSessions": (self.mirrors, network.mirror_fields, "session_id"),
            "NetworkAcls": (self.acls, network_acl_fields, "network_acl_id"),
        }
        special = {
            "NetworkInterfaces": self._add_interfaces,
            "Reservations": self._add_reservations,
            "TransitGateways": self._add_gateways,
            "Entries": self._add_entries,
        }
        if listing.key in special:
            special[listing.key](listing)
        elif listing.key in simple:
            views, read_fields, id_name = simple[listing.key]

            def read(wire: Any, index: int) -> None:
                fields = read_fields(wire)
                if fields is not None:
                    views.add(fields[id_name], fields, listing.origin(index))

            convert_all(listing, read)

    def _add_interfaces(self, listing: Listing) -> None:
        listed = ListedIds(listing)

        def read(wire: aws_json.NetworkInterface, index: int) -> None:
            fields = network.interface_fields(wire)
            self.interfaces.add(fields["interface_id"], fields, listing.origin(index))
            listed.ids.append(fields["interface_id"])

        convert_all(listing, read)
        self.interface_listings.append(listed)

    def _add_reservations(self, listing: Listing) -> None:
        listed = ListedIds(listing)

        def read(wire: aws_json.Reservation, index: int) -> None:
            for number, instance in enumerate(wire.instances):
                try:
                    listed.ids.extend(self._add_instance(instance, wire.owner_id, listing, index, number))
                except BadFieldError as bad:
                    raise bad.under(f"Instances[{number}]") from None

        convert_all(listing, read)
        self.interface_listings.append(listed)

    def _add_instance(
        self, instance: aws_json.Instance, owner_id: str | None, listing: Listing, index: int, number: int
    ) -> list[str]:
        """Add the interfaces of an instance; returns their ids."""
        if instance.instance_type:
            self._instance_types[instance.instance_id] = instance.instance_type
        if name := network.name_tag(instance.tags):
            self._instance_names[instance.instance_id] = name
        gone = instance.state is not None and instance.state.name in _GONE
        if not instance.network_interfaces and instance.private_ip_address and not gone:
            self.bare_instances += 1
        zone = instance.placement.availability_zone if instance.placement else None
        told = {"account_id": owner_id, "region": network.region_of_zone(zone), "instance_id": instance.instance_id}
        place: dict[str, Any] = {name: value for name, value in told.items() if value}
        ids: list[str] = []
        for position, wire in enumerate(instance.network_interfaces):
            path = f"NetworkInterfaces[{position}]"
            try:
                fields = place | network.interface_fields(wire)
            except BadFieldError as bad:
                raise bad.under(path) from None
            where = f"{listing.label}[{index}].Instances[{number}].{path}"
            self.interfaces.add(fields["interface_id"], fields, Origin(listing.source, where))
            ids.append(fields["interface_id"])
        return ids

    def _add_gateways(self, listing: Listing) -> None:
        def read(wire: aws_json.TransitGateway, index: int) -> None:
            says = network.supports_references(wire.options, "Options")
            if says is not None:
                self._gateways[wire.transit_gateway_id] = says and self._gateways.get(wire.transit_gateway_id, True)

        convert_all(listing, read)

    def _add_entries(self, listing: Listing) -> None:
        """Entries of one prefix list. Pages of one list are put together, but never count as all of it."""
        list_id = listing.about
        if not list_id:
            return
        cidrs: set[Cidr] = set()
        convert_all(listing, lambda wire, index: cidrs.add(network.cidr_of(wire.cidr, "Cidr")))
        origin = Origin(listing.source, listing.label or "[0]")
        known, incomplete, first = self._entries.get(list_id, (frozenset(cidrs), listing.incomplete, origin))
        incomplete = incomplete or listing.incomplete
        if known != cidrs and not incomplete:
            raise contradiction("prefix list", list_id, "entries", first, origin)
        self._entries[list_id] = known | cidrs, incomplete, first

    def build_prefix_lists(self) -> dict[str, PrefixList]:
        """The prefix lists; entries sorted, None where the input lacks some. Raises EnvironmentInputError."""
        for list_id, (cidrs, incomplete, origin) in self._entries.items():
            entries = tuple(sorted(cidrs))
            fields: dict[str, Any] = {} if incomplete else {"entries": entries}
            described = self.prefix_lists.fields.get(list_id, {})
            if entries and "family" not in described:
                fields["family"] = entries[0].family if len({entry.family for entry in entries}) == 1 else None
            self.prefix_lists.add(list_id, fields, origin)
        return {
            list_id: PrefixList(
                list_id,
                None if fields.get("entries") is None else tuple(sorted(fields["entries"])),
                fields.get("name", ""),
                fields.get("family"),
                fields.get("max_entries"),
                fields.get("account_id"),
                str(self.prefix_lists.origins[list_id]),
            )
            for list_id, fields in self.prefix_lists.fields.items()
        }

    def build_interfaces(self) -> dict[str, NetworkInterface]:
        """The interfaces, with the type of the instance that each is attached to, and its name if it has none."""
        interfaces = {}
        for interface_id, fields in self.interfaces.fields.items():
            instance_id = fields.get("instance_id", "")
            joined = {
                "name": self._instance_names.get(instance_id, ""),
                "instance_type": self._instance_types.get(instance_id),
                "origin": str(self.interfaces.origins[interface_id]),
            }
            interfaces[interface_id] = NetworkInterface(**(joined | fields))
        return interfaces

    def build_vpcs(self) -> dict[str, Vpc]:
        return {key: Vpc(**fields, origin=str(self.vpcs.origins[key])) for key, fields in self.vpcs.fields.items()}

    def build_subnets(self) -> dict[str, Subnet]:
        names = set(Subnet.__struct_fields__)
        return {
            key: Subnet(
                **{name: value for name, value in fields.items() if name in names},
                origin=str(self.subnets.origins[key]),
            )
            for key, fields in self.subnets.fields.items()
        }

    def build_peerings(self) -> dict[str, VpcPeering]:
        """The peerings; one that lacks a VPC (a failed request) can match none."""
        blank = {"requester_vpc_id": "", "accepter_vpc_id": "", "status": ""}
        return {
            key: VpcPeering(**(blank | fields), origin=str(self.peerings.origins[key]))
            for key, fields in self.peerings.fields.items()
        }

    def build_attachments(self) -> dict[str, TransitGatewayAttachment]:
        """The attachments; references work where the gateway and the attachment both say so."""
        attachments = {}
        for key, fields in self.attachments.fields.items():
            gateway_id = fields.get("transit_gateway_id", "")
            says = (fields.get("references"), self._gateways.get(gateway_id))
            references = False if False in says else True if says == (True, True) else None
            attachments[key] = TransitGatewayAttachment(
                key, gateway_id, fields["vpc_id"], references, str(self.attachments.origins[key])
            )
        return attachments

    def build_mirrors(self) -> dict[str, MirrorSession]:
        return {
            key: MirrorSession(**fields, origin=str(self.mirrors.origins[key]))
            for key, fields in self.mirrors.fields.items()
        }

    def build_acls(self) -> dict[str, NetworkAcl]:
        return {
            key: NetworkAcl(**fields, origin=str(self.acls.origins[key])) for key, fields in self.acls.fields.items()
        }
