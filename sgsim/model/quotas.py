"""AWS's quotas on security groups, and how much of them a rule takes (docs/semantics.md §1.7); those of IAM."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from sgsim.model.network import PrefixList
from sgsim.model.rules import CidrPeer, Direction, GroupPeer, Peer, SecurityGroupRule

__all__ = ["BUCKETS", "Quotas", "prefix_list_weight", "rule_counts"]


class Quotas(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of an account in a Region; the defaults are AWS's, which raises many of them on request.

    `rules_per_group` holds for each of the four buckets of a group: inbound and outbound, IPv4 and IPv6. From
    `groups_per_user` on they are IAM's (docs/iam.md D); a holder is a user, a group or a role.
    """

    rules_per_group: int = 60
    groups_per_interface: int = 5
    groups_per_region: int = 2500
    groups_per_user: int = 10
    policies_per_holder: int = 10
    versions_per_policy: int = 5
    access_keys_per_user: int = 2
    trust_policy_size: int = 2048


#: The four counts of a group, in the order of `rule_counts`.
BUCKETS = (
    (Direction.INGRESS, 4),
    (Direction.INGRESS, 6),
    (Direction.EGRESS, 4),
    (Direction.EGRESS, 6),
)

#: Weights of the lists that AWS manages, by what their names end in; the API does not tell them. The names are
#: `com.amazonaws.<Region or global>.[ipv6.]<service>`.
_MANAGED_WEIGHTS = {
    "cloudfront.origin-facing": 55,
    "dynamodb": 1,
    "ec2-instance-connect": 2,
    "groundstation": 5,
    "route53-healthchecks": 25,
    "s3": 1,
    "s3express": 6,
    "secretsmanager-external": 20,
    "secretsmanager": 20,
    "vpc-lattice": 10,
}


def prefix_list_weight(prefix_list: PrefixList) -> int:
    """How many rules a reference to the list counts for: its maximum size, not its entries.

    Where the input does not tell that, the number of entries (at least 1) is the least that it can be.
    """
    if prefix_list.max_entries is not None:
        return prefix_list.max_entries
    if prefix_list.account_id == "AWS" or prefix_list.name.startswith("com.amazonaws."):
        service = ".".join(part for part in prefix_list.name.split(".")[3:] if part != "ipv6")
        if service in _MANAGED_WEIGHTS:
            return _MANAGED_WEIGHTS[service]
    return max(1, len(prefix_list.entries or ()))


def rule_counts(
    rules: Iterable[SecurityGroupRule], prefix_lists: Mapping[str, PrefixList]
) -> tuple[int, int, int, int]:
    """What the rules take of a group's quota, in the order of `BUCKETS`.

    A CIDR block counts in its family, a prefix list with its weight in its, a group reference in both.
    """
    counts = [0, 0, 0, 0]
    for rule in rules:
        peer = rule.peer
        start = 2 if rule.direction else 0
        if type(peer) is CidrPeer:
            counts[start + (peer.cidr.family == 6)] += 1
        else:
            for family, weight in _weights(peer, prefix_lists):
                counts[start + (family == 6)] += weight
    first, second, third, fourth = counts
    return first, second, third, fourth


def _weights(peer: Peer, prefix_lists: Mapping[str, PrefixList]) -> tuple[tuple[int, int], ...]:
    """(family, weight) pairs of a peer; a list that is not described counts 1 in either family."""
    if isinstance(peer, GroupPeer):
        return (4, 1), (6, 1)
    if isinstance(peer, CidrPeer):
        return ((peer.cidr.family, 1),)
    prefix_list = prefix_lists.get(peer.prefix_list_id)
    if prefix_list is None:
        return (4, 1), (6, 1)
    weight = prefix_list_weight(prefix_list)
    return ((prefix_list.family, weight),) if prefix_list.family else ((4, weight), (6, weight))
