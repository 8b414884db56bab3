"""Roles that trust roles."""

from __future__ import annotations

from collections.abc import Iterator

from sgsim.model.policies import Effect
from sgsim.model.principals import Directory, Role

__all__ = ["trust_circles", "trusted_roles", "trusting_statement"]


def trusted_roles(role: Role, directory: Directory) -> list[str]:
    """The other roles that a role's trust policy names as those that may assume it."""
    return [
        name.name
        for statement in role.trust.statements
        for name in statement.principals
        if statement.effect is Effect.ALLOW and name.name in directory.roles and name.name != role.arn
    ]


def trusting_statement(role: Role, other: str) -> int:
    """The number, from 1, of the statement that trusts the other role."""
    return next(
        number
        for number, statement in enumerate(role.trust.statements, 1)
        if statement.effect is Effect.ALLOW and any(name.name == other for name in statement.principals)
    )


def trust_circles(directory: Directory) -> Iterator[list[str]]:
    """Circles of roles, each of which trusts the next and the last the first; AWS allows them.

    Every role that is in a circle is in one of those given, or trusts a role that is.
    """
    done: set[str] = set()
    for start in sorted(directory.roles):
        path, pending = [start], [iter(trusted_roles(directory.roles[start], directory))]
        while path and start not in done:
            following = next(pending[-1], None)
            if following is None:
                done.add(path.pop())
                pending.pop()
            elif following in path:
                yield path[path.index(following) :]
                done.update(path)
            elif following not in done:
                path.append(following)
                pending.append(iter(trusted_roles(directory.roles[following], directory)))
