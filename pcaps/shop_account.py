"""The example account: what `aws ec2 describe-…` prints of a small web shop. Every id and address is fictitious.

    internet ─▶ alb (dual stack, two interfaces) ─▶ web-1, web-2 ─▶ app-1, app-2 ─▶ db ◀─ billing (another account)
    office   ─▶ bastion ─▶ SSH to all              app ─▶ nat ─▶ payment providers (a prefix list)
                           monitoring scrapes and pings all

Addresses come from the ranges reserved for documentation (RFC 5737, RFC 3849) and, inside the VPC, RFC 1918.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

ACCOUNT, BILLING_ACCOUNT = "111122223333", "444455556666"
REGION, ZONE = "eu-west-1", "eu-west-1a"
VPC, BILLING_VPC = "vpc-0a1f6c2d9e8b73450", "vpc-0bb1e5d37c4f28a96"
PEERING, OLD_PEERING = "pcx-0c4d9a7be21f86350", "pcx-0d8e31f6a90b74c25"
CREATED = "2026-01-12T08:30:00+00:00"

S3 = "pl-6da54004"
OFFICE = "pl-0ff1ce5a7d3e90b21"
PAYMENTS = "pl-0fa7e3b1c58d264f9"

PREFIX_LISTS = {
    S3: ("com.amazonaws.eu-west-1.s3", "AWS", None, [("198.51.100.128/26", "")]),
    OFFICE: ("office", ACCOUNT, 10, [("203.0.113.16/28", "Dublin"), ("203.0.113.40/32", "Lisbon")]),
    PAYMENTS: ("payment-providers", ACCOUNT, 20, [("198.51.100.32/28", "cards"), ("198.51.100.64/30", "invoices")]),
}

DENIED = "192.0.2.0/24"  # no business with the shop, says the network ACL of the public subnets

SUBNETS = {  # name: (id, IPv4, IPv6 or None)
    "public-a": ("subnet-01d4c7b9a3e5f6081", "10.20.0.0/24", "2001:db8:20::/64"),
    "public-b": ("subnet-02e5d8cab4f607192", "10.20.1.0/24", "2001:db8:20:1::/64"),
    "app-a": ("subnet-03f6e9dbc507182a3", "10.20.10.0/24", "2001:db8:20:10::/64"),
    "db-a": ("subnet-0407faecd618293b4", "10.20.20.0/24", None),
}


def identifier(prefix: str, *parts: object) -> str:
    """An id as AWS makes them, `prefix-0…` with 17 hexadecimal digits, always the same for the same parts."""
    return f"{prefix}-0{hashlib.sha256(repr((prefix, *parts)).encode()).hexdigest()[:16]}"


def group_id(name: str) -> str:
    """The id of a group of this account, or of the two groups of other accounts that rules refer to."""
    return identifier("sg", name)


@dataclass(frozen=True)
class Rule:
    """One rule; `peer` is a CIDR block, a prefix-list id, or the name of a group."""

    egress: bool
    protocol: str
    first: int | None
    last: int | None
    peer: str
    description: str = ""


def ingress(protocol: str, ports: int | tuple[int, int] | None, peer: str, description: str = "") -> Rule:
    first, last = ports if isinstance(ports, tuple) else (ports, ports)
    return Rule(False, protocol, first, last, peer, description)


def egress(protocol: str, ports: int | tuple[int, int] | None, peer: str, description: str = "") -> Rule:
    first, last = ports if isinstance(ports, tuple) else (ports, ports)
    return Rule(True, protocol, first, last, peer, description)


GROUPS: dict[str, tuple[str, list[Rule]]] = {
    "default": (
        "default VPC security group",
        [ingress("-1", None, "default"), egress("-1", None, "0.0.0.0/0")],
    ),
    "alb": (
        "Load balancer of the shop",
        [
            ingress("tcp", 80, "0.0.0.0/0", "redirects to HTTPS"),
            ingress("tcp", 80, "::/0", "redirects to HTTPS"),
            ingress("tcp", 443, "0.0.0.0/0"),
            ingress("tcp", 443, "::/0"),
            egress("-1", None, "0.0.0.0/0"),
        ],
    ),
    "web": (
        "Web tier",
        [
            ingress("tcp", 8080, "alb"),
            ingress("icmpv6", (-1, -1), "2001:db8:20::/56", "path MTU and ping"),
            egress("tcp", 8443, "app"),
            egress("tcp", 443, S3, "images"),
        ],
    ),
    "app": (
        "Application tier",
        [
            ingress("tcp", 8443, "web"),
            ingress("tcp", 8443, "10.20.10.0/24", "before the web tier had a group of its own"),
            ingress("tcp", 8009, "old-proxy", "peering is gone"),
            egress("tcp", 5432, "db"),
            egress("tcp", 443, PAYMENTS),
            egress("udp", 514, "monitoring", "syslog"),
        ],
    ),
    "db": (
        "PostgreSQL",
        [
            ingress("tcp", 5432, "app"),
            ingress("tcp", 5432, "billing", "nightly export to the billing account"),
        ],
    ),
    "bastion": (
        "SSH from the office",
        [
            ingress("tcp", 22, OFFICE),
            ingress("tcp", 22, "2001:db8:ff1c::/48", "office, IPv6"),
            egress("tcp", 22, "10.20.0.0/16"),
        ],
    ),
    "monitoring": (
        "Prometheus, ping and syslog",
        [
            ingress("tcp", 22, "bastion"),
            ingress("udp", 514, "app", "syslog"),
            egress("tcp", 9100, "10.20.0.0/16"),
            egress("tcp", 443, "203.0.113.80/32", "outside probe of the shop"),
            egress("icmp", (8, -1), "10.20.0.0/16"),
        ],
    ),
    "managed-host": (
        "What every host needs",
        [
            ingress("tcp", 22, "bastion"),
            ingress("tcp", 9100, "monitoring", "node exporter"),
            ingress("icmp", (8, -1), "10.20.0.0/16", "ping"),
        ],
    ),
    "legacy-admin": (
        "Remote desktop, to be removed",
        [ingress("tcp", 3389, "0.0.0.0/0"), egress("-1", None, "0.0.0.0/0")],
    ),
}

#: Groups that rules refer to and that this account does not own: (account, VPC, peering, status).
FOREIGN = {
    "billing": (BILLING_ACCOUNT, BILLING_VPC, PEERING, "active"),
    "old-proxy": (BILLING_ACCOUNT, "vpc-0cc2f6e48d5039ba7", OLD_PEERING, "deleted"),
}


@dataclass(frozen=True)
class Host:
    """An interface, and the instance behind it if there is one."""

    name: str
    subnet: str
    ipv4: str
    groups: tuple[str, ...]
    ipv6: str | None = None
    public: str | None = None
    secondary: str | None = None
    instance_type: str | None = None
    interface_type: str = "interface"
    service: str = ""  # who made a requester-managed interface
    description: str = ""
    tracking: dict[str, int] = field(default_factory=dict)

    @property
    def interface_id(self) -> str:
        return identifier("eni", self.name)

    @property
    def mac(self) -> str:
        return "0a:" + ":".join(f"{byte:02x}" for byte in hashlib.sha256(self.name.encode()).digest()[:5])


HOSTS = {
    host.name: host
    for host in (
        Host("alb-a", "public-a", "10.20.0.80", ("alb",), "2001:db8:20::80", "203.0.113.80",
             service="amazon-elb", description="ELB app/shop/50dc6c495c0c9188"),
        Host("alb-b", "public-b", "10.20.1.80", ("alb",), "2001:db8:20:1::80", "203.0.113.81",
             service="amazon-elb", description="ELB app/shop/50dc6c495c0c9188"),
        Host("bastion", "public-a", "10.20.0.10", ("bastion",), "2001:db8:20::10", "203.0.113.10",
             instance_type="t4g.nano"),
        Host("nat", "public-a", "10.20.0.200", (), public="203.0.113.200", interface_type="nat_gateway",
             description="Interface for NAT Gateway nat-0e6a1b92c7d4f8305"),
        Host("web-1", "app-a", "10.20.10.11", ("web", "managed-host"), "2001:db8:20:10::11",
             instance_type="m7g.large"),
        Host("web-2", "app-a", "10.20.10.12", ("web", "managed-host"), "2001:db8:20:10::12",
             instance_type="m7g.large"),
        Host("app-1", "app-a", "10.20.10.21", ("app", "managed-host"), instance_type="m7g.xlarge",
             secondary="10.20.10.121"),
        Host("app-2", "app-a", "10.20.10.22", ("app", "managed-host"), instance_type="m7g.xlarge",
             tracking={"TcpEstablishedTimeout": 3600, "UdpTimeout": 60}),
        Host("monitoring", "app-a", "10.20.10.90", ("monitoring",), instance_type="t4g.medium"),
        Host("db", "db-a", "10.20.20.30", ("db",), service="amazon-rds", description="RDSNetworkInterface"),
    )
}  # fmt: skip


def arn(kind: str, name: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:ec2:{REGION}:{account}:{kind}/{name}"


def tags(name: str) -> list[dict[str, str]]:
    return [{"Key": "Name", "Value": name}]


def described(text: str) -> dict[str, str]:
    return {"Description": text} if text else {}


def reference(group: str) -> dict[str, str]:
    """The pair that names a group; one of another VPC also names VPC, peering and status."""
    if group not in FOREIGN:
        return {"UserId": ACCOUNT, "GroupId": group_id(group)}
    account, vpc, peering, status = FOREIGN[group]
    return {
        "UserId": account,
        "GroupId": group_id(group),
        "VpcId": vpc,
        "VpcPeeringConnectionId": peering,
        "PeeringStatus": status,
    }


def permissions(rules: list[Rule]) -> list[dict[str, Any]]:
    """`IpPermissions`: rules joined by (protocol, from, to), each peer in the list of its kind."""
    joined: dict[tuple[str, int | None, int | None], dict[str, Any]] = {}
    for rule in rules:
        ports = {} if rule.first is None else {"FromPort": rule.first, "ToPort": rule.last}
        permission = joined.setdefault(
            (rule.protocol, rule.first, rule.last),
            {
                "IpProtocol": rule.protocol,
                **ports,
                "UserIdGroupPairs": [],
                "IpRanges": [],
                "Ipv6Ranges": [],
                "PrefixListIds": [],
            },
        )
        text = described(rule.description)
        if rule.peer.startswith("pl-"):
            permission["PrefixListIds"].append({**text, "PrefixListId": rule.peer})
        elif ":" in rule.peer:
            permission["Ipv6Ranges"].append({**text, "CidrIpv6": rule.peer})
        elif "/" in rule.peer:
            permission["IpRanges"].append({**text, "CidrIp": rule.peer})
        else:
            permission["UserIdGroupPairs"].append({**text, **reference(rule.peer)})
    return list(joined.values())


def security_groups() -> dict[str, Any]:
    return {
        "SecurityGroups": [
            {
                "GroupId": group_id(name),
                "IpPermissionsEgress": permissions([rule for rule in rules if rule.egress]),
                **({} if name == "default" else {"Tags": tags(f"shop-{name}")}),
                "VpcId": VPC,
                "SecurityGroupArn": arn("security-group", group_id(name)),
                "OwnerId": ACCOUNT,
                "GroupName": name if name == "default" else f"shop-{name}",
                "Description": description,
                "IpPermissions": permissions([rule for rule in rules if not rule.egress]),
            }
            for name, (description, rules) in GROUPS.items()
        ]
    }


def rule_peer(peer: str) -> dict[str, Any]:
    if peer.startswith("pl-"):
        return {"PrefixListId": peer}
    if ":" in peer:
        return {"CidrIpv6": peer}
    if "/" in peer:
        return {"CidrIpv4": peer}
    return {"ReferencedGroupInfo": reference(peer)}


def rule_id(group: str, rule: Rule) -> str:
    return identifier("sgr", group, rule.egress, rule.protocol, rule.first, rule.last, rule.peer)


def security_group_rules() -> dict[str, Any]:
    return {
        "SecurityGroupRules": [
            {
                "SecurityGroupRuleId": rule_id(name, rule),
                "GroupId": group_id(name),
                "GroupOwnerId": ACCOUNT,
                "IsEgress": rule.egress,
                "IpProtocol": rule.protocol,
                "FromPort": -1 if rule.first is None else rule.first,
                "ToPort": -1 if rule.last is None else rule.last,
                **rule_peer(rule.peer),
                **described(rule.description),
                "Tags": [],
                "SecurityGroupRuleArn": arn("security-group-rule", rule_id(name, rule)),
            }
            for name, (_, rules) in GROUPS.items()
            for rule in rules
        ]
    }


def group_names(host: Host) -> list[dict[str, str]]:
    return [{"GroupId": group_id(name), "GroupName": f"shop-{name}"} for name in host.groups]


def association(host: Host) -> dict[str, Any]:
    if host.public is None:
        return {}
    return {
        "Association": {
            "IpOwnerId": host.service or ACCOUNT,
            "PublicDnsName": f"ec2-{host.public.replace('.', '-')}.{REGION}.compute.amazonaws.com",
            "PublicIp": host.public,
        }
    }


def private_addresses(host: Host) -> list[dict[str, Any]]:
    def one(address: str, primary: bool) -> dict[str, Any]:
        dns = f"ip-{address.replace('.', '-')}.{REGION}.compute.internal"
        return {
            **(association(host) if primary else {}),
            "Primary": primary,
            "PrivateDnsName": dns,
            "PrivateIpAddress": address,
        }

    return [one(host.ipv4, True), *([one(host.secondary, False)] if host.secondary else [])]


def attachment(host: Host) -> dict[str, Any]:
    made_by_aws = bool(host.service) or host.interface_type == "nat_gateway"
    return {
        "AttachmentId": identifier("eni-attach", host.name),
        "DeleteOnTermination": not made_by_aws,
        "DeviceIndex": 1 if made_by_aws else 0,
        **({"InstanceOwnerId": host.service or "amazon-aws"} if made_by_aws else instance_attachment(host)),
        "Status": "attached",
    }


def instance_attachment(host: Host) -> dict[str, Any]:
    return {"NetworkCardIndex": 0, "InstanceId": identifier("i", host.name), "InstanceOwnerId": ACCOUNT}


def network_interface(host: Host) -> dict[str, Any]:
    made_by_aws = bool(host.service) or host.interface_type == "nat_gateway"
    return {
        **association(host),
        "Attachment": {"AttachTime": CREATED, **attachment(host)},
        "AvailabilityZone": "eu-west-1b" if host.subnet == "public-b" else ZONE,
        **({"ConnectionTrackingConfiguration": host.tracking} if host.tracking else {}),
        "Description": host.description,
        "Groups": group_names(host),
        "InterfaceType": host.interface_type,
        "Ipv6Addresses": [{"Ipv6Address": host.ipv6, "IsPrimaryIpv6": False}] if host.ipv6 else [],
        "MacAddress": host.mac,
        "NetworkInterfaceId": host.interface_id,
        "OwnerId": ACCOUNT,
        "PrivateDnsName": f"ip-{host.ipv4.replace('.', '-')}.{REGION}.compute.internal",
        "PrivateIpAddress": host.ipv4,
        "PrivateIpAddresses": private_addresses(host),
        **({"RequesterId": host.service or "amazon-elb"} if made_by_aws else {}),
        "RequesterManaged": made_by_aws,
        "SourceDestCheck": host.interface_type != "nat_gateway",
        "Status": "in-use",
        "SubnetId": SUBNETS[host.subnet][0],
        "TagSet": [] if made_by_aws else tags(host.name),
        "VpcId": VPC,
    }


def network_interfaces() -> dict[str, Any]:
    return {"NetworkInterfaces": [network_interface(host) for host in HOSTS.values()]}


def instance(host: Host) -> dict[str, Any]:
    eni = network_interface(host)
    kept = ("Attachment", "Description", "Groups", "MacAddress", "NetworkInterfaceId", "OwnerId", "PrivateDnsName",
            "PrivateIpAddress", "PrivateIpAddresses", "SourceDestCheck", "Status", "SubnetId", "VpcId",
            "InterfaceType")  # fmt: skip
    nested = {**association(host), **{key: eni[key] for key in kept}}
    nested["Attachment"] = {
        key: value for key, value in eni["Attachment"].items() if key not in ("InstanceId", "InstanceOwnerId")
    }
    nested["Ipv6Addresses"] = eni["Ipv6Addresses"]
    return {
        "Architecture": "arm64",
        "ImageId": "ami-0c2b8ca1dad447f8a",
        "InstanceId": identifier("i", host.name),
        "InstanceType": host.instance_type,
        "LaunchTime": CREATED,
        "Monitoring": {"State": "disabled"},
        "NetworkInterfaces": [nested],
        "Placement": {"AvailabilityZone": eni["AvailabilityZone"], "GroupName": "", "Tenancy": "default"},
        "PrivateDnsName": eni["PrivateDnsName"],
        "PrivateIpAddress": host.ipv4,
        **({"PublicIpAddress": host.public} if host.public else {}),
        **({"Ipv6Address": host.ipv6} if host.ipv6 else {}),
        "RootDeviceType": "ebs",
        "SecurityGroups": group_names(host),
        "SourceDestCheck": True,
        "State": {"Code": 16, "Name": "running"},
        "SubnetId": SUBNETS[host.subnet][0],
        "Tags": tags(host.name),
        "VirtualizationType": "hvm",
        "VpcId": VPC,
    }


def instances() -> dict[str, Any]:
    return {
        "Reservations": [
            {
                "ReservationId": identifier("r", host.name),
                "OwnerId": ACCOUNT,
                "Groups": [],
                "Instances": [instance(host)],
            }
            for host in HOSTS.values()
            if host.instance_type
        ]
    }


def managed_prefix_lists() -> dict[str, Any]:
    return {
        "PrefixLists": [
            {
                "PrefixListId": list_id,
                "AddressFamily": "IPv4",
                "State": "create-complete",
                "PrefixListArn": arn("prefix-list", list_id, "aws" if owner == "AWS" else owner),
                "PrefixListName": name,
                **({} if size is None else {"MaxEntries": size, "Version": 3}),
                "Tags": [],
                "OwnerId": owner,
            }
            for list_id, (name, owner, size, _) in PREFIX_LISTS.items()
        ]
    }


def prefix_list_entries(list_id: str) -> dict[str, Any]:
    return {"Entries": [{"Cidr": cidr, **described(text)} for cidr, text in PREFIX_LISTS[list_id][3]]}


def subnets() -> dict[str, Any]:
    def ipv6(name: str, cidr: str | None) -> list[dict[str, Any]]:
        if cidr is None:
            return []
        state = {"State": "associated"}
        association_id = identifier("subnet-cidr-assoc", name)
        return [{"AssociationId": association_id, "Ipv6CidrBlock": cidr, "Ipv6CidrBlockState": state}]

    return {
        "Subnets": [
            {
                "AvailabilityZoneId": "euw1-az2" if name == "public-b" else "euw1-az1",
                "MapCustomerOwnedIpOnLaunch": False,
                "OwnerId": ACCOUNT,
                "AssignIpv6AddressOnCreation": False,
                "Ipv6CidrBlockAssociationSet": ipv6(name, v6),
                "Tags": tags(f"shop-{name}"),
                "SubnetArn": arn("subnet", subnet_id),
                "EnableDns64": False,
                "Ipv6Native": False,
                "SubnetId": subnet_id,
                "State": "available",
                "VpcId": VPC,
                "CidrBlock": v4,
                "AvailableIpAddressCount": 240,
                "AvailabilityZone": "eu-west-1b" if name == "public-b" else ZONE,
                "DefaultForAz": False,
                "MapPublicIpOnLaunch": name.startswith("public"),
            }
            for name, (subnet_id, v4, v6) in SUBNETS.items()
        ]
    }


def vpcs() -> dict[str, Any]:
    associated = {"State": "associated"}
    return {
        "Vpcs": [
            {
                "OwnerId": ACCOUNT,
                "InstanceTenancy": "default",
                "Ipv6CidrBlockAssociationSet": [
                    {
                        "AssociationId": identifier("vpc-cidr-assoc", "v6"),
                        "Ipv6CidrBlock": "2001:db8:20::/56",
                        "Ipv6CidrBlockState": associated,
                        "NetworkBorderGroup": REGION,
                        "Ipv6Pool": "Amazon",
                    }
                ],
                "CidrBlockAssociationSet": [
                    {
                        "AssociationId": identifier("vpc-cidr-assoc", "v4"),
                        "CidrBlock": "10.20.0.0/16",
                        "CidrBlockState": associated,
                    }
                ],
                "IsDefault": False,
                "Tags": tags("shop"),
                "VpcId": VPC,
                "State": "available",
                "CidrBlock": "10.20.0.0/16",
                "DhcpOptionsId": "dopt-0a7e4c1f92d8b3650",
            }
        ]
    }


def vpc_peering_connections() -> dict[str, Any]:
    def side(account: str, vpc: str, cidr: str) -> dict[str, Any]:
        return {"CidrBlock": cidr, "OwnerId": account, "VpcId": vpc, "Region": REGION}

    return {
        "VpcPeeringConnections": [
            {
                "AccepterVpcInfo": side(BILLING_ACCOUNT, BILLING_VPC, "172.31.0.0/16"),
                "RequesterVpcInfo": side(ACCOUNT, VPC, "10.20.0.0/16"),
                "Status": {"Code": "active", "Message": "Active"},
                "Tags": tags("shop-billing"),
                "VpcPeeringConnectionId": PEERING,
            }
        ]
    }


def network_acls() -> dict[str, Any]:
    """The default ACL allows everything; that of the public subnets denies one network first."""

    def entry(number: int, block: str, action: str, *, egress: bool) -> dict[str, Any]:
        kind = "Ipv6CidrBlock" if ":" in block else "CidrBlock"
        return {kind: block, "Egress": egress, "Protocol": "-1", "RuleAction": action, "RuleNumber": number}

    def acl(name: str, subnets: list[str], denied: list[str]) -> dict[str, Any]:
        acl_id = identifier("acl", name)
        entries = [entry(90 + n, block, "deny", egress=False) for n, block in enumerate(denied)]
        for egress in (True, False):
            entries += [
                entry(100, "0.0.0.0/0", "allow", egress=egress),
                entry(101, "::/0", "allow", egress=egress),
                entry(32767, "0.0.0.0/0", "deny", egress=egress),
                entry(32768, "::/0", "deny", egress=egress),
            ]
        return {
            "Associations": [
                {
                    "NetworkAclAssociationId": identifier("aclassoc", subnet),
                    "NetworkAclId": acl_id,
                    "SubnetId": SUBNETS[subnet][0],
                }
                for subnet in subnets
            ],
            "Entries": entries,
            "IsDefault": not denied,
            "NetworkAclId": acl_id,
            "Tags": tags(name),
            "VpcId": VPC,
            "OwnerId": ACCOUNT,
        }

    return {
        "NetworkAcls": [acl("default", ["app-a", "db-a"], []), acl("shop-public", ["public-a", "public-b"], [DENIED])]
    }


def documents() -> dict[str, dict[str, Any]]:
    """File name → document, as `aws ec2 describe-… > file` would leave them."""
    return {
        "instances.json": instances(),
        "managed-prefix-lists.json": managed_prefix_lists(),
        "network-acls.json": network_acls(),
        "network-interfaces.json": network_interfaces(),
        "security-group-rules.json": security_group_rules(),
        "security-groups.json": security_groups(),
        "subnets.json": subnets(),
        "vpc-peering-connections.json": vpc_peering_connections(),
        "vpcs.json": vpcs(),
        **{f"{list_id}.json": prefix_list_entries(list_id) for list_id in PREFIX_LISTS},
    }
