"""What the app is made of follows the settings."""

from __future__ import annotations

from mosaic_core.adapters.identity import PlatformPrincipals
from mosaic_core.bootstrap import Container
from mosaic_core.config import Settings
from tests.unit.test_config import MINIMAL


async def test_the_platform_s_header_counts_where_a_setting_says_so() -> None:
    assert Container(Settings.from_env(MINIMAL)).api.platform_principal is None
    trusted = Settings.from_env({**MINIMAL, "WEBSITE_AUTH_ENABLED": "True"})
    principals = Container(trusted).api.platform_principal
    assert isinstance(principals, PlatformPrincipals)
    assert (principals.provider, principals.issuer, principals.audience) == (
        "aad",
        trusted.auth.issuer,
        trusted.auth.audience,
    )
    named = Settings.from_env({**MINIMAL, "WEBSITE_AUTH_ENABLED": "True", "Auth__PlatformProvider": "okta"})
    assert isinstance(other := Container(named).api.platform_principal, PlatformPrincipals)
    assert other.provider == "okta"


async def test_whoever_takes_a_key_over_has_the_settings_limits_and_the_process_s_drain() -> None:
    """Deliveries, the reconciler and an operator's cancellation own a key for as long as the settings say, and let go
    of it when the process ends."""
    container = Container(Settings.from_env({**MINIMAL, "Lease__Seconds": "45", "Lease__RenewSeconds": "15"}))
    for part in (container.operators.cancelling, container.reconciler, container.delivery):
        assert (part.limits.lease, part.limits.lease_renew) == (45, 15)
        assert part.limits == container.delivery.limits
        assert part.drain is container.drain
        assert part.handlers is container.handlers
        assert part.publisher is container.publisher
    container.drain.begin()
    assert container.operators.cancelling.drain.draining
