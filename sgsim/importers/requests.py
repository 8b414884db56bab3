"""The parameters of EC2's API calls, as `aws ec2 … --cli-input-json` takes them.

Unlike in exports, a key that is not known is an error: a misspelled `FromPort` must not open all ports.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sgsim.errors import ChangeInputError
from sgsim.importers.problems import BadFieldError, printable

__all__ = [
    "ADVICE",
    "REQUESTS",
    "AuthorizeRequest",
    "BadRequestError",
    "CreateGroupRequest",
    "CreateInterfaceRequest",
    "DeleteGroupRequest",
    "DeleteInterfaceRequest",
    "DescribeRulesRequest",
    "InstanceGroupsRequest",
    "InterfaceGroupsRequest",
    "LaunchInterface",
    "LaunchRequest",
    "ModifyListRequest",
    "ModifyRulesRequest",
    "Pair",
    "Permission",
    "Request",
    "RevokeRequest",
    "RuleBody",
]

ADVICE = "correct the request; its parameters are those of 'aws … --generate-cli-skeleton'"


class BadRequestError(BadFieldError):
    """A parameter cannot be used; `code` is AWS's error code, "" for what AWS would not even be asked."""

    def __init__(self, path: str, problem: str, code: str = "", advice: str = ADVICE) -> None:
        super().__init__(path, problem, advice)
        self.code = code

    def under(self, outer: str) -> BadRequestError:
        """The same complaint, seen from the element `outer` that holds the parameter."""
        return BadRequestError(super().under(outer).path, self.problem, self.code, self.advice)

    def refused(self, source: str) -> ChangeInputError:
        """The error for the user, with the file."""
        return ChangeInputError(
            printable(self.problem), source=source, where=self.path, advice=self.advice, code=self.code
        )


class Wire(msgspec.Struct, rename="pascal", forbid_unknown_fields=True):
    """Base: keys in AWS's PascalCase, and no others."""


class IpRange(Wire):
    cidr_ip: str
    description: str | None = None


class Ipv6Range(Wire):
    cidr_ipv6: str
    description: str | None = None


class ListId(Wire):
    prefix_list_id: str
    description: str | None = None


class Pair(Wire):
    group_id: str | None = None
    group_name: str | None = None
    user_id: str | None = None
    vpc_id: str | None = None
    vpc_peering_connection_id: str | None = None
    peering_status: str | None = None
    description: str | None = None


class Permission(Wire):
    ip_protocol: str | None = None
    from_port: int | None = None
    to_port: int | None = None
    ip_ranges: tuple[IpRange, ...] = ()
    ipv6_ranges: tuple[Ipv6Range, ...] = ()
    prefix_list_ids: tuple[ListId, ...] = ()
    user_id_group_pairs: tuple[Pair, ...] = ()


class Request(Wire, kw_only=True):
    """Base of all requests. What tags a thing or makes a retry safe changes no verdict and is read past."""

    dry_run: bool | None = None
    tag_specifications: Any = None
    client_token: Any = None


class GroupRequest(Request):
    group_id: str | None = None
    group_name: str | None = None


class PermissionsRequest(GroupRequest):
    """The permissions stand in a list, or one of them at the top level."""

    ip_permissions: tuple[Permission, ...] = ()
    cidr_ip: str | None = None
    from_port: int | None = None
    to_port: int | None = None
    ip_protocol: str | None = None
    source_security_group_name: str | None = None
    source_security_group_owner_id: str | None = None


class AuthorizeRequest(PermissionsRequest):
    pass


class RevokeRequest(PermissionsRequest):
    security_group_rule_ids: tuple[str, ...] = ()


class RuleBody(Wire):
    """A rule as ModifySecurityGroupRules takes it; the kind of its one peer says which key is given."""

    ip_protocol: str | None = None
    from_port: int | None = None
    to_port: int | None = None
    cidr_ipv4: str | None = None
    cidr_ipv6: str | None = None
    prefix_list_id: str | None = None
    referenced_group_id: str | None = None
    description: str | None = None


class RuleUpdate(Wire):
    security_group_rule_id: str
    security_group_rule: RuleBody | None = None


class ModifyRulesRequest(Request):
    group_id: str
    security_group_rules: tuple[RuleUpdate, ...]


class RuleDescription(Wire):
    security_group_rule_id: str
    description: str | None = None


class DescribeRulesRequest(GroupRequest):
    ip_permissions: tuple[Permission, ...] = ()
    security_group_rule_descriptions: tuple[RuleDescription, ...] = ()


class CreateGroupRequest(Request):
    """`GroupId` is not AWS's: it names the new group where something else in the file refers to it by id."""

    group_name: str | None = None
    description: str | None = None
    vpc_id: str | None = None
    group_id: str | None = None


class DeleteGroupRequest(GroupRequest):
    pass


class InterfaceGroupsRequest(Request):
    """ModifyNetworkInterfaceAttribute; of its attributes only the groups change a verdict."""

    network_interface_id: str
    groups: tuple[str, ...] | None = None
    attachment: Any = None
    description: Any = None
    source_dest_check: Any = None
    ena_srd_specification: Any = None
    enable_primary_ipv6: Any = None
    connection_tracking_specification: Any = None
    associate_public_ip_address: Any = None
    associated_subnet_ids: Any = None


class InstanceGroupsRequest(Request):
    """ModifyInstanceAttribute; its groups are those of the instance's primary interface."""

    instance_id: str
    groups: tuple[str, ...] | None = None
    attribute: Any = None
    value: Any = None
    block_device_mappings: Any = None
    disable_api_termination: Any = None
    disable_api_stop: Any = None
    ebs_optimized: Any = None
    ena_support: Any = None
    instance_initiated_shutdown_behavior: Any = None
    instance_type: Any = None
    kernel: Any = None
    ramdisk: Any = None
    source_dest_check: Any = None
    sriov_net_support: Any = None
    user_data: Any = None


class PrivateAddress(Wire):
    private_ip_address: str
    primary: bool | None = None


class V6Address(Wire):
    ipv6_address: str
    is_primary_ipv6: bool | None = None


class V4Prefix(Wire):
    ipv4_prefix: str


class V6Prefix(Wire):
    ipv6_prefix: str


class TrackingTimeouts(Wire):
    tcp_established_timeout: int | None = None
    udp_timeout: int | None = None
    udp_stream_timeout: int | None = None


class CreateInterfaceRequest(Request):
    """`NetworkInterfaceId` is not AWS's: it names the new interface."""

    subnet_id: str
    groups: tuple[str, ...] = ()
    private_ip_address: str | None = None
    private_ip_addresses: tuple[PrivateAddress, ...] = ()
    ipv6_addresses: tuple[V6Address, ...] = ()
    ipv4_prefixes: tuple[V4Prefix, ...] = ()
    ipv6_prefixes: tuple[V6Prefix, ...] = ()
    interface_type: str | None = None
    description: str | None = None
    connection_tracking_specification: TrackingTimeouts | None = None
    secondary_private_ip_address_count: int | None = None
    ipv6_address_count: int | None = None
    ipv4_prefix_count: int | None = None
    ipv6_prefix_count: int | None = None
    enable_primary_ipv6: Any = None
    operator: Any = None
    network_interface_id: str | None = None


class DeleteInterfaceRequest(Request):
    network_interface_id: str


class LaunchInterface(Wire):
    """An interface of RunInstances; `NetworkInterfaceId` is one that is there already."""

    device_index: int | None = None
    network_interface_id: str | None = None
    subnet_id: str | None = None
    groups: tuple[str, ...] = ()
    private_ip_address: str | None = None
    private_ip_addresses: tuple[PrivateAddress, ...] = ()
    ipv6_addresses: tuple[V6Address, ...] = ()
    ipv4_prefixes: tuple[V4Prefix, ...] = ()
    ipv6_prefixes: tuple[V6Prefix, ...] = ()
    secondary_private_ip_address_count: int | None = None
    ipv6_address_count: int | None = None
    ipv4_prefix_count: int | None = None
    ipv6_prefix_count: int | None = None
    interface_type: str | None = None
    description: str | None = None
    connection_tracking_specification: TrackingTimeouts | None = None
    associate_public_ip_address: bool | None = None
    associate_carrier_ip_address: Any = None
    delete_on_termination: Any = None
    network_card_index: Any = None
    primary_ipv6: Any = None
    ena_srd_specification: Any = None
    ena_queue_count: Any = None


class Tag(Wire):
    key: str
    value: str = ""


class TagSpecification(Wire):
    resource_type: str
    tags: tuple[Tag, ...] = ()


class InstanceProfile(Wire):
    arn: str | None = None
    name: str | None = None


class LaunchRequest(Request):
    """RunInstances; what changes neither a verdict nor what IAM is asked is read past."""

    image_id: str | None = None
    min_count: int | None = None
    max_count: int | None = None
    instance_type: str | None = None
    key_name: str | None = None
    subnet_id: str | None = None
    private_ip_address: str | None = None
    ipv6_addresses: tuple[V6Address, ...] = ()
    ipv6_address_count: int | None = None
    security_group_ids: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    network_interfaces: tuple[LaunchInterface, ...] = ()
    iam_instance_profile: InstanceProfile | None = None
    tag_specifications: tuple[TagSpecification, ...] = ()
    block_device_mappings: tuple[dict[str, Any], ...] = ()
    kernel_id: Any = None
    ramdisk_id: Any = None
    monitoring: Any = None
    placement: Any = None
    user_data: Any = None
    elastic_gpu_specification: Any = None
    elastic_inference_accelerators: Any = None
    instance_market_options: Any = None
    credit_specification: Any = None
    cpu_options: Any = None
    capacity_reservation_specification: Any = None
    hibernation_options: Any = None
    license_specifications: Any = None
    metadata_options: Any = None
    enclave_options: Any = None
    private_dns_name_options: Any = None
    maintenance_options: Any = None
    disable_api_stop: Any = None
    disable_api_termination: Any = None
    enable_primary_ipv6: Any = None
    network_performance_options: Any = None
    operator: Any = None
    additional_info: Any = None
    ebs_optimized: Any = None
    instance_initiated_shutdown_behavior: Any = None


class Entry(Wire):
    cidr: str
    description: str | None = None


class ModifyListRequest(Request):
    prefix_list_id: str
    add_entries: tuple[Entry, ...] = ()
    remove_entries: tuple[Entry, ...] = ()
    current_version: int | None = None
    prefix_list_name: str | None = None
    max_entries: int | None = None
    ipam_prefix_list_resolver_sync_enabled: Any = None


#: Action → the shape of its parameters.
REQUESTS: dict[str, type[Request]] = {
    "AuthorizeSecurityGroupIngress": AuthorizeRequest,
    "AuthorizeSecurityGroupEgress": AuthorizeRequest,
    "RevokeSecurityGroupIngress": RevokeRequest,
    "RevokeSecurityGroupEgress": RevokeRequest,
    "ModifySecurityGroupRules": ModifyRulesRequest,
    "UpdateSecurityGroupRuleDescriptionsIngress": DescribeRulesRequest,
    "UpdateSecurityGroupRuleDescriptionsEgress": DescribeRulesRequest,
    "CreateSecurityGroup": CreateGroupRequest,
    "DeleteSecurityGroup": DeleteGroupRequest,
    "ModifyNetworkInterfaceAttribute": InterfaceGroupsRequest,
    "ModifyInstanceAttribute": InstanceGroupsRequest,
    "CreateNetworkInterface": CreateInterfaceRequest,
    "DeleteNetworkInterface": DeleteInterfaceRequest,
    "RunInstances": LaunchRequest,
    "ModifyManagedPrefixList": ModifyListRequest,
}
