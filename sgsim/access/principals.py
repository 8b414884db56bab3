"""Everything that bears on what a principal of an environment may do, gathered into a PolicySet (docs/iam.md A1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from sgsim.access.decide import decide
from sgsim.access.requests import AccessRequest, AttachedPolicy, Decision, Layer, PolicySet
from sgsim.errors import ChangeError, ModelError
from sgsim.model import Environment
from sgsim.model.arns import Arn, iam_arn, parse_arn
from sgsim.model.policies import Policy
from sgsim.model.principals import Directory, IamGroup, Role, User

__all__ = ["may_assume", "policy_set", "principal_arns", "trust_policy"]

_SESSION = re.compile(r"assumed-role/[^/]+/[^/]+")
_NOUNS = {User: "user", IamGroup: "group", Role: "role"}


def principal_arns(environment: Environment) -> tuple[str, ...]:
    """The users and roles of an environment, by ARN."""
    return tuple(sorted((*environment.directory.users, *environment.directory.roles)))


def policy_set(
    environment: Environment, principal_arn: str, session_policies: Iterable[AttachedPolicy | Policy] = ()
) -> PolicySet:
    """What a user, a role, a session of a role or an account's root may do.

    A session is `arn:aws:sts::…:assumed-role/role/session`; the session policies are those passed when the role was
    assumed. Raises ChangeError (`NoSuchEntity`) for a principal that the environment does not describe, ModelError for
    what names none.
    """
    arn = parse_arn(principal_arn)
    session = tuple(_session_policy(one, number) for number, one in enumerate(session_policies, 1)) or None
    if arn.service == "sts" and _SESSION.fullmatch(arn.resource):
        return _of_role(environment, _role_of_session(environment, arn), arn.name, session)
    if arn.service == "iam" and arn.resource == "root":
        return _set_of(environment, principal_arn, arn.account_id, session, is_root=True)
    if arn.service == "iam" and arn.kind == "user":
        return _of_user(environment, principal_arn, session)
    if arn.service == "iam" and arn.kind == "role":
        role = environment.directory.roles.get(principal_arn)
        if role is None:
            raise _unknown(arn)
        return _of_role(environment, role, None, session)
    raise ModelError(f"{principal_arn} is not the ARN of a user, a role, a session of a role or an account's root")


def _unknown(arn: Arn) -> ChangeError:
    kind = "role" if arn.kind == "assumed-role" else arn.kind
    return ChangeError("NoSuchEntity", f"The {kind} with name {arn.name} cannot be found.", str(arn))


def _session_policy(given: AttachedPolicy | Policy, number: int) -> AttachedPolicy:
    if isinstance(given, AttachedPolicy):
        return given._replace(layer=Layer.SESSION)
    return AttachedPolicy(given, f"session policy {number}", Layer.SESSION)


def _role_of_session(environment: Environment, arn: Arn) -> Role:
    """The role whose session this is; a session's ARN lacks the role's path, but names are unique."""
    name = arn.resource.split("/")[1]
    plain = environment.directory.roles.get(iam_arn(arn.account_id, "role", name, partition=arn.partition))
    if plain is not None:
        return plain
    found = environment.directory.named("roles", arn.account_id, name)
    if not isinstance(found, Role):
        raise _unknown(arn._replace(resource=f"assumed-role/{name}"))
    return found


def _of_user(environment: Environment, arn: str, session: tuple[AttachedPolicy, ...] | None) -> PolicySet:
    directory = environment.directory
    user = directory.users.get(arn)
    if user is None:
        raise _unknown(parse_arn(arn))
    holders: list[User | IamGroup] = [user, *(directory.groups[one] for one in user.groups)]
    identity = [one for holder in holders for one in _identity(directory, holder)]
    return _set_of(
        environment,
        arn,
        user.account_id,
        session,
        identity=tuple(identity),
        boundary=_boundary(directory, user.boundary),
        unique_id=user.unique_id,
        tags=dict(user.tags),
    )


def _of_role(
    environment: Environment, role: Role, session_name: str | None, session: tuple[AttachedPolicy, ...] | None
) -> PolicySet:
    directory = environment.directory
    return _set_of(
        environment,
        role.arn,
        role.account_id,
        session,
        identity=tuple(_identity(directory, role)),
        boundary=_boundary(directory, role.boundary),
        unique_id=role.unique_id,
        session_name=session_name,
        tags=dict(role.tags),
    )


def _set_of(
    environment: Environment,
    principal: str,
    account_id: str,
    session: tuple[AttachedPolicy, ...] | None,
    *,
    identity: tuple[AttachedPolicy, ...] = (),
    boundary: AttachedPolicy | None = None,
    is_root: bool = False,
    unique_id: str = "",
    session_name: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> PolicySet:
    organization = environment.directory.organization
    member = organization is not None and account_id in organization.accounts
    return PolicySet(
        principal=principal,
        account_id=account_id,
        identity=identity,
        boundary=boundary,
        session=session,
        service_control=_service_control(environment.directory, account_id),
        is_root=is_root,
        management_account=organization is not None and organization.management_account_id == account_id,
        session_name=session_name,
        unique_id=unique_id,
        organization_id=organization.organization_id if organization is not None and member else "",
        organization_path=organization.place(account_id) if organization is not None and member else "",
        tags=tags or {},
    )


def _identity(directory: Directory, holder: User | IamGroup | Role) -> Iterator[AttachedPolicy]:
    """The policies of a user, group or role itself: inline and attached."""
    owner = f"{_NOUNS[type(holder)]} {holder.name}"
    for inline in holder.inline:
        yield AttachedPolicy(inline.policy, f"inline policy {inline.name} of {owner}", Layer.IDENTITY)
    for arn in holder.attached:
        policy = directory.managed_policy(arn)
        if policy is not None:
            name = arn if isinstance(holder, User | Role) else f"{arn} of {owner}"
            yield AttachedPolicy(policy.policy, name, Layer.IDENTITY)


def _boundary(directory: Directory, arn: str | None) -> AttachedPolicy | None:
    """The boundary; `apply` and the importer see to it that it exists."""
    if arn is None:
        return None
    policy = directory.managed_policy(arn)
    if policy is None:
        raise ChangeError("NoSuchEntity", f"Scope ARN: {arn} does not exist or is not attachable.", arn)
    return AttachedPolicy(policy.policy, arn, Layer.BOUNDARY)


def _service_control(directory: Directory, account_id: str) -> tuple[tuple[AttachedPolicy, ...], ...]:
    """One tuple for each level from the root to the account; () where no such policy is described."""
    organization = directory.organization
    if organization is None or not organization.policies:
        return ()
    return tuple(
        tuple(
            AttachedPolicy(one.policy, f"{one.name or one.policy_id} on {target}", Layer.SERVICE_CONTROL)
            for one in organization.attached(target)
        )
        for target in organization.path(account_id)
    )


def trust_policy(role: Role) -> AttachedPolicy:
    """A role's trust policy as the policy of a resource."""
    return AttachedPolicy(role.trust, f"trust policy of role {role.name}", Layer.RESOURCE)


def may_assume(
    environment: Environment,
    principal_arn: str,
    role_arn: str,
    *,
    context: Mapping[str, tuple[str, ...]] | None = None,
    session_policies: Iterable[AttachedPolicy | Policy] = (),
) -> Decision:
    """Whether a principal may assume a role: its trust policy has to allow it, and who is of another account, or is
    trusted through its account, needs leave of its own. Raises ChangeError for a role or principal that is unknown.
    """
    role = environment.directory.roles.get(role_arn)
    if role is None:
        raise _unknown(parse_arn(role_arn))
    request = AccessRequest(
        action="sts:AssumeRole",
        resource=role_arn,
        context=context or {},
        resource_account=role.account_id,
        resource_policy=trust_policy(role),
    )
    return decide(policy_set(environment, principal_arn, session_policies), request)
