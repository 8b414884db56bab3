"""How a statement of a trust or resource policy names a principal (docs/iam.md A1.4)."""

from __future__ import annotations

from enum import IntEnum

from sgsim.access.requests import PolicySet
from sgsim.model.policies import Effect, PrincipalName, Statement

__all__ = ["Naming", "naming"]


class Naming(IntEnum):
    """From not at all to in person; what is named more closely needs less from the principal's own policies."""

    NONE = 0
    ACCOUNT = 1  # the account is named, which has to allow it itself
    ROLE = 2  # the role is named: granted, within boundary and session policy
    PRINCIPAL = 3  # the user, the session or everybody is named: granted


def naming(statement: Statement, policies: PolicySet) -> Naming:
    """How closely the statement's Principal or NotPrincipal names who asks."""
    if statement.principals:
        return max(_one(name, policies) for name in statement.principals)
    if statement.effect is Effect.DENY and policies.boundary is not None:
        return Naming.PRINCIPAL  # AWS's own exception: such a Deny hits everybody who has a boundary
    spared = any(_one(name, policies) is not Naming.NONE for name in statement.not_principals)
    return Naming.NONE if spared else Naming.PRINCIPAL


def _one(name: PrincipalName, policies: PolicySet) -> Naming:
    if name.kind != "AWS":
        return Naming.NONE
    if name.name == "*":
        return Naming.PRINCIPAL
    if name.name == policies.account_id or name.name.endswith(f"::{policies.account_id}:root"):
        return Naming.ACCOUNT  # enough for its root user, who needs no policy to allow
    if name.name in (policies.principal, policies.unique_id):
        return Naming.ROLE if ":role/" in policies.principal else Naming.PRINCIPAL
    return Naming.PRINCIPAL if name.name == policies.session_arn else Naming.NONE
