"""Settings of the platform's that the app, or a deployment of it, does without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

REFUSED_AT_START: Final[Mapping[str, str]] = {
    "PYTHON_ENABLE_OPENTELEMETRY": "the platform's worker library then fails every async invocation; spans leave the "
    "app by PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY",
}
"""Settings that the app does not start with: name and why."""

FORBIDDEN_ON_FLEX: Final[Mapping[str, str]] = {
    **REFUSED_AT_START,
    "FUNCTIONS_EXTENSION_VERSION": "the plan's own",
    "FUNCTIONS_WORKER_RUNTIME": "functionAppConfig.runtime says it",
    "FUNCTIONS_WORKER_RUNTIME_VERSION": "functionAppConfig.runtime says it",
    "FUNCTIONS_WORKER_PROCESS_COUNT": "leases and lane places are counted in one process",
    "FUNCTIONS_WORKER_DYNAMIC_CONCURRENCY_ENABLED": "the plan's own; maxConcurrentCalls bounds the lanes",
    "FUNCTIONS_MAX_HTTP_CONCURRENCY": "functionAppConfig.scaleAndConcurrency says it",
    "WEBSITE_RUN_FROM_PACKAGE": "the deployment container holds the package; the core tool stops where it is set",
    "SCM_DO_BUILD_DURING_DEPLOYMENT": "the deployment command says whether a build is wanted",
    "ENABLE_ORYX_BUILD": "the deployment command says whether a build is wanted",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING": "there is no content share",
    "WEBSITE_CONTENTSHARE": "there is no content share",
    "WEBSITE_CONTENTOVERVNET": "there is no content share",
    "WEBSITE_SKIP_CONTENTSHARE_VALIDATION": "there is no content share",
    "WEBSITE_VNET_ROUTE_ALL": "the site's own routing properties say it",
    "WEBSITE_DNS_SERVER": "the virtual network's own",
    "WEBSITE_MOUNT_ENABLED": "no mounts",
    "WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT": "functionAppConfig.scaleAndConcurrency.maximumInstanceCount says it",
    "WEBSITE_NODE_DEFAULT_VERSION": "no Node",
    "WEBSITE_USE_PLACEHOLDER_DOTNETISOLATED": "no .NET",
    "WEBSITE_TIME_ZONE": "all schedules are UTC",
    "TZ": "all schedules are UTC",
    "WEBSITE_LOAD_CERTIFICATES": "not offered by the plan",
}
"""App settings that no deployment, template or page of ours may set on Flex Consumption: name and why. On the platform
some of these are in the environment all the same, so the app itself refuses `REFUSED_AT_START` alone."""
