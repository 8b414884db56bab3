"""What is odd about an input, as one-line warnings for people, and which listings it holds at all."""

from __future__ import annotations

from collections.abc import Iterable

from sgsim.importers.aws_json import COLLECTION_KEY
from sgsim.importers.directory_json import DIRECTORY_KEYS, IMAGE_KEYS
from sgsim.importers.documents import Listing, convert_all
from sgsim.importers.scope import Collected, read_collection
from sgsim.model import NetworkInterface, PrefixList, SecurityGroup

__all__ = ["Notes"]


class Notes:
    """Remembers listings as they come in; `warnings` grows, `collected` maps a folder to what `collect` noted."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.collected: dict[str, Collected] = {}
        self.files: set[str] = set()
        self._complete: dict[str, bool] = {}

    def add(self, listing: Listing) -> None:
        """Note that this listing is there. Raises EnvironmentInputError for notes of `collect` that are none."""
        self.files.add(listing.source)
        if listing.key == COLLECTION_KEY:

            def read(wire: object, index: int) -> None:
                self._add_collection(listing, read_collection(wire))  # type: ignore[arg-type]

            convert_all(listing, read)
            return
        self._complete[listing.key] = self._complete.get(listing.key, True) and not listing.incomplete
        if listing.incomplete and (listing.key not in DIRECTORY_KEYS or listing.key in IMAGE_KEYS):
            self.warnings.append(
                f"{listing.source}: {listing.label} is incomplete (a NextToken is left over), so what it does not "
                "list is taken as unknown; export without --max-items and --no-paginate"
            )
        if listing.key == "Entries" and not listing.about:
            self.warnings.append(
                f"{listing.source}: the entries of an unnamed prefix list are ignored; "
                "name the file after the list's id (pl-….json)"
            )

    def _add_collection(self, listing: Listing, collected: Collected) -> None:
        self.collected[listing.folder] = collected
        self.warnings.extend(
            f"{listing.source}: {call} gave nothing ({reason}), so what it would list is taken as unknown"
            for call, _, reason in collected.missing
        )

    def describes(self, *keys: str) -> bool:
        """Whether one of these listings is there, complete and in no folder reported as missing."""
        if any(notes.lacks(key) for notes in self.collected.values() for key in keys):
            return False
        return any(self._complete.get(key, False) for key in keys)

    def has(self, key: str) -> bool:
        """Whether a listing with this key is there at all."""
        return key in self._complete

    def about_groups(
        self, groups: dict[str, SecurityGroup], interfaces: dict[str, NetworkInterface], impossible: int
    ) -> None:
        """Warn of groups that are classic, known only from rules or carried by interfaces but not described."""
        self._warn(
            (group.group_id for group in groups.values() if group.classic),
            "{} EC2-Classic: without VPC and without outbound rules, so everything may leave",
            ("security group is", "security groups are"),
        )
        self._warn(
            (group.group_id for group in groups.values() if not group.defined),
            "{} known from rules alone; add the output of 'aws ec2 describe-security-groups', "
            "which also shows groups without rules",
            ("security group is", "security groups are"),
        )
        carried = {group_id for interface in interfaces.values() for group_id in interface.group_ids}
        self._warn(
            carried - groups.keys(),
            "{} on network interfaces but not described, so what they allow is unknown",
            ("security group is", "security groups are"),
        )
        if impossible:
            self.warnings.append(
                f"{impossible} rules name an ICMP code for all ICMP types, which AWS does not allow; they match nothing"
            )

    def about_interfaces(self, interfaces: dict[str, NetworkInterface], bare_instances: int) -> None:
        """Warn of interfaces that no packet can be matched to."""
        if not interfaces:
            self.warnings.append(
                "no network interfaces are described, so no traffic can be judged; "
                "add the output of 'aws ec2 describe-network-interfaces'"
            )
        elif not self.has("NetworkInterfaces"):
            self.warnings.append(
                "network interfaces are known from instances alone; add the output of "
                "'aws ec2 describe-network-interfaces' for those of load balancers, functions and gateways"
            )
        self._warn(
            (one.interface_id for one in interfaces.values() if not one.addresses and not one.prefixes),
            "{} no private address, so no traffic is matched to them by address",
            ("network interface has", "network interfaces have"),
        )
        if bare_instances:
            self.warnings.append(
                f"{bare_instances} instances have an address but no network interface in the input; "
                "add the output of 'aws ec2 describe-network-interfaces'"
            )

    def about_prefix_lists(self, lists: dict[str, PrefixList], used: Iterable[str]) -> None:
        """Warn of prefix lists whose entries rules need."""
        self._warn(
            (one for one in used if one not in lists or lists[one].entries is None),
            "{} used by rules, but the entries are not in the input; add the output of "
            "'aws ec2 get-managed-prefix-list-entries' as pl-….json",
            ("prefix list is", "prefix lists are"),
        )

    def _warn(self, identifiers: Iterable[str], text: str, nouns: tuple[str, str]) -> None:
        """One line for any number of things of one kind, the first few by name."""
        ids = sorted(identifiers)
        if ids:
            named = ", ".join(ids[:3]) + (", …" if len(ids) > 3 else "")
            count, noun = len(ids), nouns[len(ids) > 1]
            subject, verb = noun.rsplit(" ", 1)
            self.warnings.append(text.format(f"{count} {subject} ({named}) {verb}"))
