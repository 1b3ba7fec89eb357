"""The OpenAPI document is true: schemathesis sends what it allows and what it forbids, and finds no other answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from sync_assets.gateway.access import OPEN

if TYPE_CHECKING:
    from sync_assets_tests.fix_gateway import Gateway

# Rules that a schema cannot tell: a peer must be configured; an export is asked for by repository or by page.
BEYOND_THE_SCHEMA = {"POST /api/sync", "POST /api/sync/pull", "POST /api/sync/pull-export"}
SETTINGS = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    report_multiple_bugs=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: str(mode.value))
def test_it_says_what_happens(gateway: Gateway, mode: GenerationMode):
    headers = {"Authorization": f"Bearer {gateway.key('admin', name='schemathesis')}"}
    if mode is GenerationMode.POSITIVE:
        headers["X-Sync-Origin"] = "schemathesis"  # a key speaks for one installation
    schema = schemathesis.openapi.from_url(f"{gateway.url}/api/openapi.json", headers=headers)
    faults = []
    for found in schema.get_all_operations():
        operation = found.ok()
        trouble = _tried(operation, mode, headers)
        if trouble:
            faults.append(f"{operation.label}: {trouble}")
    assert not faults, "\n\n".join(faults)


def _tried(operation: Any, mode: GenerationMode, headers: dict[str, str]) -> str:
    """What is wrong with the answers of one operation."""

    excluded = [CHECKS.get_one("positive_data_acceptance")] if operation.label in BEYOND_THE_SCHEMA else []

    @SETTINGS
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        case.call_and_validate(headers=headers, excluded_checks=excluded)

    try:
        check()
    except Unsatisfiable:  # without parameters and body nothing can be wrong
        assert mode is GenerationMode.NEGATIVE
    except (Exception, BaseExceptionGroup) as error:  # many kinds, in groups; all are told at the end
        return _told(error)
    return ""


def _told(error: BaseException) -> str:
    """With what was asked and answered, as schemathesis tells it."""
    notes = "\n".join(getattr(error, "__notes__", []))
    return f"{type(error).__name__}: {error}\n{notes}"


def test_every_endpoint_names_its_credentials_and_refusals(gateway: Gateway):
    with gateway.client("admin") as http:
        whole = http.get("/api/openapi.json").json()
    for path, item in whole["paths"].items():
        for operation in item.values():
            assert ("security" in operation) == (path not in OPEN), path
            assert {"429", "500", "503"} <= set(operation["responses"]), path
            assert "422" not in operation["responses"], path
