"""Run by the scanner's own environment, as a file: checkov over a folder, the answer as JSON on standard output.

Not by checkov's command line, which asks a service on the network for its texts before it looks at anything.
"""

import json
import logging
import sys
from pathlib import Path


def main(folder: str) -> None:
    logging.disable(logging.CRITICAL)
    # the rules for templates of the older kind hold for Bicep as well, once this is imported
    import checkov.arm.runner  # noqa: F401
    from checkov.arm.registry import arm_resource_registry
    from checkov.bicep.checks.resource.registry import registry
    from checkov.bicep.runner import Runner
    from checkov.runner_filter import RunnerFilter

    runner = Runner()
    report = runner.run(root_folder=folder, runner_filter=RunnerFilter(framework=["bicep"]))
    root = Path(folder)
    answer = {
        "rules": sum(len(checks) for each in (registry, arm_resource_registry) for checks in each.checks.values()),
        "parsing_errors": [str(path) for path in report.parsing_errors],
        "resource_count": report.get_summary()["resource_count"],
        "resources": {
            Path(path).relative_to(root).as_posix(): sorted(found.get("resources", {}))
            for path, found in runner.definitions.items()
        },
        "failed": [_record(each) for each in report.failed_checks],
        "skipped": [_record(each) for each in report.skipped_checks],
        "passed": len(report.passed_checks),
    }
    json.dump(answer, sys.stdout)


def _record(record: object) -> dict[str, object]:
    first, last = record.file_line_range  # type: ignore[attr-defined]
    return {
        "id": record.check_id,  # type: ignore[attr-defined]
        "name": record.check_name,  # type: ignore[attr-defined]
        "resource": record.resource,  # type: ignore[attr-defined]
        "path": record.file_path.lstrip("/"),  # type: ignore[attr-defined]
        "first": first,
        "last": last,
    }


if __name__ == "__main__":
    main(sys.argv[1])
