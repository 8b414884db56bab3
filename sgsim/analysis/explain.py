"""Why one flow is accepted or rejected: both ends, every group, every rule, and the nearest misses.

Built on the slow twin, so that the explanation is the same loop that the verdicts are tested against. It goes once
over all interfaces to find those that have one of the two addresses, and judges among these alone: no other interface
can change the answer, and 100 000 of them cost a fraction of a second.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sgsim.analysis.explanation import EndExplanation, Explanation, GroupExplanation, RuleExplanation
from sgsim.analysis.misses import near_misses, unmatched_fields
from sgsim.analysis.notation import Flow, format_flow
from sgsim.errors import NotationError
from sgsim.model import TCP, UDP, Address, Direction, Environment, NetworkInterface, SecurityGroupRule, Semantics
from sgsim.reference import Packet, RuleAnswer, judge
from sgsim.reference.comparison import Comparison
from sgsim.reference.connections import connection_key, opens_connection
from sgsim.reference.exempt import exemption, holds
from sgsim.reference.packet import rules_of, undefined_groups
from sgsim.reference.truth import Truth
from sgsim.verdicts import Reason, Verdict, conjunction

__all__ = ["explain"]

SYN = 2
TRUTHS = {Truth.YES: "yes", Truth.MAYBE: "maybe", Truth.NO: "no"}


@dataclass(frozen=True, slots=True)
class Found:
    """The interface at one end: `interfaces` holds none, one, or several that could be meant."""

    address: Address
    how: str
    interfaces: tuple[NetworkInterface, ...] = ()
    public_of: str | None = None

    @property
    def interface(self) -> NetworkInterface | None:
        """The one interface, if it is one."""
        return self.interfaces[0] if len(self.interfaces) == 1 else None


def explain(
    environment: Environment,
    semantics: Semantics,
    flow: Flow,
    *,
    vpc_id: str | None = None,
    misses: int = 5,
) -> Explanation:
    """Explain the first packet of a flow.

    `vpc_id` restricts the interfaces that an address can mean; `misses` bounds the near misses of each end. Raises
    NotationError if the flow names an interface or instance that the environment does not hold.
    """
    source, destination = find_ends(environment, flow, vpc_id)
    addressed = replace(flow, source=source.address, destination=destination.address)
    packet = as_packet(addressed)
    near = nearby(environment, source, destination, packet)
    egress = explain_end(near, semantics, packet, source, Direction.EGRESS, misses)
    ingress = explain_end(near, semantics, packet, destination, Direction.INGRESS, misses)
    if egress.action == Verdict.REJECT.name:
        ingress = _replaced(ingress, reached=False)
    actions = [Verdict[end.action] for end in (egress, ingress) if end.action]
    path = Verdict.UNKNOWN if not actions else conjunction(actions[0], actions[-1])
    notes = path_notes(egress, ingress)
    if semantics.exempt:
        notes += resolver_notes(environment, packet, egress, ingress)
    return Explanation(format_flow(addressed), path.name, egress, ingress, notes)


# -- the interfaces ------------------------------------------------------------------------------------------------


def find_ends(environment: Environment, flow: Flow, vpc_id: str | None) -> tuple[Found, Found]:
    """The interfaces at both ends of a flow."""
    hosts = (flow.source, flow.destination)
    families = [host.family for host in hosts if isinstance(host, Address)]
    named = [None if isinstance(host, Address) else find_by_id(environment, host) for host in hosts]
    family = families[0] if families else common_family(named)
    ends = []
    for host, interfaces in zip(hosts, named):
        if isinstance(host, Address):
            ends.append(find_by_address(environment, host, vpc_id))
        else:
            assert interfaces is not None
            ends.append(addressed_end(host, interfaces, family))
    return ends[0], ends[1]


def find_by_id(environment: Environment, name: str) -> tuple[NetworkInterface, ...]:
    """The interface of that id, or the interfaces of the instance of that id."""
    if name in environment.interfaces:
        return (environment.interfaces[name],)
    found = tuple(other for other in environment.interfaces.values() if other.instance_id == name)
    if not found:
        raise NotationError(
            f"no interface or instance {name} in the environment",
            source="flow",
            advice="give an address, or an id that describe-network-interfaces lists",
        )
    return found


def common_family(named: list[tuple[NetworkInterface, ...] | None]) -> int:
    """The family that all named interfaces have addresses of; IPv4 if both."""
    held = [{address.family for other in found or () for address in other.addresses} for found in named]
    shared = held[0].intersection(*held[1:])
    return 6 if shared == {6} else 4


def addressed_end(name: str, interfaces: tuple[NetworkInterface, ...], family: int) -> Found:
    """A named end with the first address of the family; an instance with several interfaces is ambiguous."""
    addresses = [address for other in interfaces for address in other.addresses if address.family == family]
    if not addresses:
        raise NotationError(
            f"{name} has no IPv{family} address", source="flow", advice="give an address of the other family"
        )
    how = "interface id" if interfaces[0].interface_id == name else "instance id"
    return Found(addresses[0], how if len(interfaces) == 1 else "ambiguous", interfaces)


def find_by_address(environment: Environment, address: Address, vpc_id: str | None) -> Found:
    """Every interface that has the private address, or a delegated prefix around it."""
    by_address, by_prefix, public_of = [], [], None
    for interface in environment.interfaces.values():
        if address in interface.public_addresses:
            public_of = interface.interface_id
        if vpc_id is not None and interface.vpc_id != vpc_id:
            continue
        if address in interface.addresses:
            by_address.append(interface)
        elif any(prefix.contains(address) for prefix in interface.prefixes):
            by_prefix.append(interface)
    found = (*by_address, *by_prefix)
    how = "none" if not found else "ambiguous" if len(found) > 1 else "address" if by_address else "prefix"
    return Found(address, how, found, public_of)


def nearby(environment: Environment, source: Found, destination: Found, packet: Packet) -> Environment:
    """The environment with only the interfaces that have one of the two addresses: no other changes the answer."""
    ends = {other.interface_id for other in (*source.interfaces, *destination.interfaces)}
    return replace(
        environment,
        interfaces={
            interface_id: interface
            for interface_id, interface in environment.interfaces.items()
            if interface_id in ends or holds(interface, packet.source) or holds(interface, packet.destination)
        },
    )


def as_packet(flow: Flow) -> Packet:
    """The flow's first packet."""
    assert isinstance(flow.source, Address) and isinstance(flow.destination, Address)
    return Packet(
        flow.source.family,
        flow.source.value,
        flow.destination.value,
        flow.protocol,
        flow.srcport or 0,
        flow.dstport or 0,
        flow.icmp_type,
        flow.icmp_code,
        tcp_flags=SYN if flow.protocol == TCP else 0,
    )


# -- one end -------------------------------------------------------------------------------------------------------


def explain_end(
    environment: Environment, semantics: Semantics, packet: Packet, found: Found, direction: Direction, misses: int
) -> EndExplanation:
    """Everything about one end."""
    interface = found.interface
    end = EndExplanation(
        direction=direction.name.lower(),
        address=str(found.address),
        found_by=found.how,
        public_of=found.public_of,
        notes=tuple(address_notes(found)),
    )
    if interface is None:
        if not found.interfaces:
            return end
        return _replaced(
            end,
            candidates=tuple(sorted(other.interface_id for other in found.interfaces)),
            action=Verdict.UNKNOWN.name,
            reason=Reason.AMBIGUOUS_INTERFACE.name,
        )
    answer = judge(environment, semantics, interface.interface_id, direction, packet)
    compared = [
        Comparison.of(environment, semantics, interface, rule, packet, every_field=True)
        for rule in rules_of(environment, interface, direction)
    ]
    return _replaced(
        end,
        interface_id=interface.interface_id,
        vpc_id=interface.vpc_id,
        subnet_id=interface.subnet_id,
        instance_id=interface.instance_id,
        name=interface.name,
        interface_type=interface.interface_type,
        description=interface.description,
        action=answer.action.name,
        reason=answer.reason.name,
        exempt=(exemption(environment, interface, direction, packet) or "") if answer.reason is Reason.EXEMPT else "",
        tracking=tracking_of(interface, packet, direction, answer),
        deciding_rule_id=answer.deciding_rule_id,
        groups=explain_groups(environment, interface, direction),
        rules=of_truth(compared, packet, Truth.YES, answer),
        possible=of_truth(compared, packet, Truth.MAYBE, answer),
        near_misses=near_misses(compared, packet, misses) if answer.action is not Verdict.ACCEPT else (),
        notes=(*end.notes, *interface_notes(environment, interface, direction, answer)),
    )


def explain_groups(
    environment: Environment, interface: NetworkInterface, direction: Direction
) -> tuple[GroupExplanation, ...]:
    """The groups on an interface, in the interface's order."""
    explained = []
    for group_id in interface.group_ids:
        group = environment.groups.get(group_id)
        rules = () if group is None else [rule for rule in group.rules if rule.direction is direction]
        explained.append(
            GroupExplanation(
                group_id,
                "" if group is None else group.name,
                described=group is not None,
                classic=group is not None and group.classic,
                rules=len(rules),
            )
        )
    return tuple(explained)


def of_truth(
    compared: list[Comparison], packet: Packet, truth: Truth, answer: RuleAnswer
) -> tuple[RuleExplanation, ...]:
    """The rules that match to that degree, the deciding one first; none where rules were not asked (§9.3)."""
    if answer.reason in (Reason.EXEMPT, Reason.UNFILTERED):
        return ()
    found = [explain_rule(comparison, packet) for comparison in compared if comparison.truth is truth]
    return tuple(sorted(found, key=lambda rule: (rule.rule_id != answer.deciding_rule_id, rule.rule_id)))


def explain_rule(comparison: Comparison, packet: Packet) -> RuleExplanation:
    """One rule and how it compares with the packet."""
    rule: SecurityGroupRule = comparison.rule
    return RuleExplanation(
        rule_id=rule.rule_id,
        group_id=rule.group_id,
        direction=rule.direction.name.lower(),
        service=rule.service,
        peer=str(rule.peer),
        matches=TRUTHS[comparison.truth],
        but_for=() if comparison.truth is Truth.YES else unmatched_fields(comparison, packet),
        note=comparison.note,
        description=rule.description,
    )


def tracking_of(interface: NetworkInterface, packet: Packet, direction: Direction, answer: RuleAnswer) -> str:
    """Whether a connection that this packet opens here is tracked; empty where it opens none (§2.1, §9.3)."""
    if answer.action is Verdict.REJECT or answer.reason is Reason.EXEMPT or not interface.group_ids:
        return ""
    if connection_key(packet, direction) is None or not opens_connection(packet):
        return ""
    return "untracked" if answer.untracked else "tracked"


# -- notes ---------------------------------------------------------------------------------------------------------


def address_notes(found: Found) -> list[str]:
    """What is odd about the end's address."""
    notes = []
    if found.public_of is not None:
        notes.append(
            f"{found.address} is a public address of {found.public_of}; rules at that interface see its private "
            "address, and references to its groups do not match the public one"
        )
    if found.how == "ambiguous":
        where = ", ".join(sorted(f"{other.interface_id} in {other.vpc_id}" for other in found.interfaces))
        notes.append(f"{found.address} could be {where}; name the VPC or the interface")
    if found.how == "none" and found.public_of is None:
        notes.append(f"no interface of the environment has {found.address}: this end is not judged")
    return notes


def interface_notes(
    environment: Environment, interface: NetworkInterface, direction: Direction, answer: RuleAnswer
) -> list[str]:
    """What of the interface decides beside its rules."""
    notes = []
    missing = undefined_groups(environment, interface)
    if missing and answer.action is Verdict.UNKNOWN:
        notes.append(f"{', '.join(missing)} may allow it: neither definition nor rules are in the input")
    if answer.reason is Reason.UNFILTERED:
        kind = f"interfaces of type {interface.interface_type} without groups are not filtered"
        notes.append("EC2-Classic groups leave outbound traffic open" if interface.group_ids else kind)
    if answer.reason is Reason.UNRESOLVED and not interface.group_ids:
        notes.append("the interface carries no group in the input, which is not expected of its type")
    if answer.action is Verdict.REJECT and not any(True for _ in rules_of(environment, interface, direction)):
        notes.append(f"no group of the interface has a rule for {direction.name.lower()} traffic")
    return notes


def path_notes(egress: EndExplanation, ingress: EndExplanation) -> tuple[str, ...]:
    """What there is to say of the whole path."""
    notes = []
    if not egress.action and not ingress.action:
        notes.append("neither address belongs to an interface of the environment")
    return tuple(notes)


def resolver_notes(
    environment: Environment, packet: Packet, egress: EndExplanation, ingress: EndExplanation
) -> tuple[str, ...]:
    """What would be exempt (§3) if the VPC's second address, which the input does not tell, were the remote one.

    Ranges of VPCs begin at multiples of 16 addresses at least, so that their second addresses end in binary 0010.
    """
    notes = []
    for end, direction in ((egress, Direction.EGRESS), (ingress, Direction.INGRESS)):
        remote = packet.remote(direction)
        port = packet.dstport if direction is Direction.EGRESS else packet.srcport
        vpc = environment.vpcs.get(end.vpc_id) if end.vpc_id else None
        if (
            end.vpc_id
            and end.action not in ("", Verdict.ACCEPT.name)
            and (vpc is None or not vpc.cidrs)
            and packet.protocol in (TCP, UDP)
            and (remote.family, port) == (4, 53)
            and remote.value % 16 == 2
        ):
            notes.append(
                f"security groups never see DNS at a VPC's second address, and {remote} may be that of "
                f"{end.vpc_id}, whose ranges are not in the input; add the output of 'aws ec2 describe-vpcs'"
            )
    return tuple(notes)


def _replaced(end: EndExplanation, **fields: object) -> EndExplanation:
    return EndExplanation(**{**{name: getattr(end, name) for name in EndExplanation.__struct_fields__}, **fields})
