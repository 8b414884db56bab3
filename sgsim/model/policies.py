"""IAM policies as values: what they say, and the text that said it.

A policy is read when it is attached, and whatever decides about requests later can rely on it: an unknown operator or
key, a value that is no number where a number belongs, an ARN that is none are refused here, as AWS refuses them with
`MalformedPolicyDocument`, and never passed over when a decision is made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

import msgspec

from sgsim.model.policy_documents import document_text, read_document
from sgsim.model.policy_statements import read_statements
from sgsim.model.statements import Condition, Effect, Operator, PrincipalName, Quantifier, Statement

__all__ = [
    "OLD_VERSION",
    "VERSION",
    "Condition",
    "Effect",
    "Operator",
    "Policy",
    "PolicyKind",
    "PrincipalName",
    "Quantifier",
    "Statement",
    "parse_policy",
    "rename_principals",
]

#: The version in which `${…}` is a variable, and the one of policies that name none, in which it is plain text.
VERSION, OLD_VERSION = "2012-10-17", "2008-10-17"


class PolicyKind(Enum):
    """What a policy is attached to, which decides about the elements that it may have.

    An identity policy also serves as permissions boundary and as session policy.
    """

    IDENTITY = "identity policy"
    TRUST = "trust policy"
    SERVICE_CONTROL = "service control policy"
    RESOURCE = "resource policy"


class Policy(msgspec.Struct, frozen=True, eq=False, weakref=True):
    """A policy; two with one text and one kind are equal.

    `version` is VERSION or OLD_VERSION, `document` the JSON text as given (decoded if it was URL-encoded), to be
    written back as it came.
    """

    kind: PolicyKind
    version: str
    statements: tuple[Statement, ...]
    document: str

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Policy):
            return NotImplemented
        return self.document == other.document and self.kind is other.kind

    def __ne__(self, other: object) -> bool:  # msgspec's own compares identity
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    def __hash__(self) -> int:
        return hash(self.document)


def parse_policy(document: str | bytes | Mapping[str, Any], kind: PolicyKind) -> Policy:
    """Read a policy, given as JSON text, as URL-encoded JSON text or as what JSON gave.

    Raises PolicyError (code `MalformedPolicyDocument`), which knows the place inside the document;
    `PolicyError.of(name, source)` adds the policy's name and the file.
    """
    if isinstance(document, Mapping):
        text = document_text(document)
        body: Any = document
    else:
        text, body = read_document(document)
    version, statements = read_statements(body, trust=kind is PolicyKind.TRUST, resource=kind is PolicyKind.RESOURCE)
    return Policy(kind=kind, version=version, statements=statements, document=text)


def rename_principals(policy: Policy, names: Mapping[str, str]) -> Policy:
    """The policy with other names of principals: after a user or role is deleted, AWS shows its unique id.

    The policy itself if it names none of them.
    """
    body = json.loads(policy.document)
    listed = body["Statement"] if isinstance(body["Statement"], list) else [body["Statement"]]
    changed = False
    for statement in listed:
        for element in ("Principal", "NotPrincipal"):
            given = statement.get(element)
            if isinstance(given, dict) and "AWS" in given:
                renamed = _renamed(given["AWS"], names)
                changed |= renamed != given["AWS"]
                given["AWS"] = renamed
    return parse_policy(body, policy.kind) if changed else policy


def _renamed(given: str | list[str], names: Mapping[str, str]) -> str | list[str]:
    if isinstance(given, str):
        return names.get(given, given)
    return [names.get(one, one) for one in given]
