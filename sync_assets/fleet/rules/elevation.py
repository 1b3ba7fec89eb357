"""stand-in until fleet/effective.py"""

from __future__ import annotations

from collections.abc import Mapping

from sync_assets.fleet.model import AccountState, PrincipalKind


def superusers(state: AccountState) -> Mapping[str, str]:
    found = {n: "attribute" for n, p in state.principals.items() if p.superuser}
    public = [n for n, p in state.principals.items() if p.kind is PrincipalKind.PUBLIC]
    grew = True
    while grew:
        grew = False
        for m in state.memberships.values():
            if m.role in found and m.member not in found:
                found[m.member] = f"role {m.role}"
                grew = True
    if any(p in found for p in public):
        for n in state.principals:
            found.setdefault(n, "PUBLIC")
    return found
