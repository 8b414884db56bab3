"""Groups from `describe-security-groups` and `describe-security-group-rules`, joined on ids."""

from __future__ import annotations

from typing import Any

import msgspec

from sgsim.importers import aws_json
from sgsim.importers.documents import Listing, Origin, convert_all
from sgsim.importers.merge import Views, contradiction
from sgsim.importers.network import region_of_arn
from sgsim.importers.rules import RuleReader, check_id, merge_group_peers
from sgsim.importers.scope import ListedIds
from sgsim.model import SecurityGroup, SecurityGroupRule

__all__ = ["Groups"]

#: Associations in these states are in force (docs/semantics.md §1.9).
_ASSOCIATED = frozenset({None, "associated", "disassociating", "disassociation-failed"})


class _ListedRule:
    """One rule of `describe-security-group-rules`, the id derived from its content, and where it stands."""

    __slots__ = ("content_id", "index", "listing", "rule")

    def __init__(self, content_id: str, rule: SecurityGroupRule, listing: Listing, index: int) -> None:
        self.content_id, self.rule, self.listing, self.index = content_id, rule, listing, index

    @property
    def origin(self) -> Origin:
        return self.listing.origin(self.index)


class Groups:
    """Collects both views of the groups.

    `views` holds name, VPC and so on, and under `rules` the rules keyed by the id derived from their content; groups
    known from their rules alone are added to it by `join`.
    """

    def __init__(self) -> None:
        self.reader = RuleReader()
        self.views = Views(
            "security group", frozenset({"rules", "name", "description", "vpc_id", "account_id", "region"})
        )
        self.group_listings: list[ListedIds] = []
        self.rule_listings: list[ListedIds] = []
        self.associations: dict[str, set[str]] = {}
        self._rules: dict[str, _ListedRule] = {}
        self._rules_only: dict[str, tuple[dict[str, Any], Origin]] = {}
        self._partly_listed: set[str] = set()

    def add_groups(self, listing: Listing) -> None:
        """Take the output of `describe-security-groups`. Raises EnvironmentInputError."""
        listed = ListedIds(listing)

        def read(wire: aws_json.SecurityGroup, index: int) -> None:
            group_id = check_id(wire.group_id, "GroupId")
            fields: dict[str, Any] = {
                "name": wire.group_name,
                "description": wire.description,
                "account_id": wire.owner_id,
                "vpc_id": wire.vpc_id,
                "region": region_of_arn(wire.security_group_arn),
                "tags": tuple(sorted((tag.key, tag.value or "") for tag in wire.tags if tag.key)),
            }
            told = {name: value for name, value in fields.items() if value}
            told["rules"] = self.reader.group_rules(wire)
            self.views.add(group_id, told, listing.origin(index))
            listed.ids.append(group_id)

        convert_all(listing, read)
        self.group_listings.append(listed)

    def add_rules(self, listing: Listing) -> None:
        """Take the output of `describe-security-group-rules`. Raises EnvironmentInputError."""
        listed: dict[str, None] = {}

        def read(wire: aws_json.SecurityGroupRule, index: int) -> None:
            group_id = wire.group_id
            if group_id not in listed:
                listed[check_id(group_id, "GroupId")] = None
                told = {"account_id": wire.group_owner_id, "region": region_of_arn(wire.security_group_rule_arn)}
                told = {name: value for name, value in told.items() if value}
                self._rules_only.setdefault(group_id, (told, listing.origin(index)))
            read = self.reader.single_rule(wire)
            if read is None:
                return
            content_id, rule = read
            known = self._rules.setdefault(rule.rule_id, _ListedRule(content_id, rule, listing, index))
            if known.rule is not rule and (known.content_id != content_id or known.rule != rule):
                raise contradiction("rule", rule.rule_id, "content", known.origin, listing.origin(index))

        convert_all(listing, read)
        self.rule_listings.append(ListedIds(listing, list(listed)))
        if listing.incomplete:
            self._partly_listed.update(listed)

    def add_associations(self, listing: Listing) -> None:
        """Take the output of `describe-security-group-vpc-associations`. Raises EnvironmentInputError."""

        def read(wire: aws_json.SecurityGroupVpcAssociation, index: int) -> None:
            if wire.state in _ASSOCIATED:
                group_id, vpc_id = check_id(wire.group_id, "GroupId"), check_id(wire.vpc_id, "VpcId")
                self.associations.setdefault(group_id, set()).add(vpc_id)

        convert_all(listing, read)

    def join(self) -> None:
        """Give rules their `sgr-` ids. Raises EnvironmentInputError where the two views of a group differ."""
        by_group: dict[str, list[_ListedRule]] = {}
        for listed in self._rules.values():
            by_group.setdefault(listed.rule.group_id, []).append(listed)
        for group_id, (told, origin) in self._rules_only.items():
            rules = by_group.get(group_id, [])
            fields = self.views.fields.get(group_id)
            if fields is None:
                by_id = {listed.rule.rule_id: listed.rule for listed in rules}
                self.views.add(group_id, {**told, "rules": by_id, "defined": False}, origin)
            else:
                fields["rules"] = self._join_group(group_id, fields["rules"], rules, origin)
                for name, value in told.items():
                    fields.setdefault(name, value)

    def _join_group(
        self, group_id: str, described: dict[str, SecurityGroupRule], listed: list[_ListedRule], origin: Origin
    ) -> dict[str, SecurityGroupRule]:
        joined: dict[str, SecurityGroupRule] = {}
        for one in listed:
            twin = described.get(one.content_id)
            peer = merge_group_peers(one.rule.peer, twin.peer) if twin is not None else None
            if twin is None or peer is None:
                raise contradiction("security group", group_id, "rules", self.views.origins[group_id], one.origin)
            rule, description = one.rule, one.rule.description or twin.description
            if peer is not rule.peer or description is not rule.description:
                rule = msgspec.structs.replace(rule, peer=peer, description=description)
            joined[rule.rule_id] = rule
        unlisted = described.keys() - {one.content_id for one in listed}
        if unlisted and group_id not in self._partly_listed:
            raise contradiction("security group", group_id, "rules", self.views.origins[group_id], origin)
        return joined | {content_id: described[content_id] for content_id in unlisted}

    def build(self) -> dict[str, SecurityGroup]:
        """The groups, rules sorted by id, so that the order of the input does not show."""
        groups = {}
        for group_id, fields in self.views.fields.items():
            rules: dict[str, SecurityGroupRule] = fields["rules"]
            defined = fields.get("defined", True)
            classic = defined and "vpc_id" not in fields and not any(rule.direction for rule in rules.values())
            groups[group_id] = SecurityGroup(
                group_id,
                tuple(rules[rule_id] for rule_id in sorted(rules)),
                name=fields.get("name", ""),
                description=fields.get("description", ""),
                account_id=fields.get("account_id"),
                region=fields.get("region"),
                vpc_id=fields.get("vpc_id"),
                associated_vpc_ids=tuple(sorted(self.associations.get(group_id, ()))),
                defined=defined,
                classic=classic,
                origin=str(self.views.origins[group_id]),
                tags=fields.get("tags", ()),
            )
        return groups
