"""How long policies may be; white space does not count (docs/iam.md D4)."""

from __future__ import annotations

from typing import Final

from sgsim.errors import ChangeError
from sgsim.model.policies import Policy
from sgsim.model.principals import Holder, IamGroup, ManagedPolicy, Role
from sgsim.model.quotas import Quotas

__all__ = ["check_inline_size", "check_managed_size", "check_trust_size"]

_MOST_MANAGED: Final = 6144
_MOST_INLINE: Final = {"user": 2048, "group": 5120, "role": 10240}


def _size(policy: Policy) -> int:
    return len("".join(policy.document.split()))


def check_managed_size(policy: ManagedPolicy) -> None:
    """The newest version fits. Raises ChangeError."""
    if _size(policy.versions[-1].policy) > _MOST_MANAGED:
        raise ChangeError("LimitExceeded", f"Cannot exceed quota for PolicySize: {_MOST_MANAGED}", policy.arn)


def check_inline_size(holder: Holder) -> None:
    """The inline policies of a user, group or role fit together. Raises ChangeError."""
    kind = "group" if isinstance(holder, IamGroup) else "role" if isinstance(holder, Role) else "user"
    if sum(_size(one.policy) for one in holder.inline) > _MOST_INLINE[kind]:
        problem = f"Maximum policy size of {_MOST_INLINE[kind]} bytes exceeded for {kind} {holder.name}"
        raise ChangeError("LimitExceeded", problem, holder.arn)


def check_trust_size(role: Role, quotas: Quotas) -> None:
    """The trust policy fits. Raises ChangeError."""
    if _size(role.trust) > quotas.trust_policy_size:
        problem = f"Cannot exceed quota for ACLSizePerRole: {quotas.trust_policy_size}"
        raise ChangeError("LimitExceeded", problem, role.arn)
