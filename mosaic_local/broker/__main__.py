"""`python -m mosaic_local.broker --config FILE`; exit 0 after SIGTERM, 2 usage, 3 where it cannot start."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from mosaic_local.broker.config import load
from mosaic_local.broker.errors import StartError
from mosaic_local.broker.server import serve


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m mosaic_local.broker", description="Service Bus and Event Hubs, embedded."
    )
    parser.add_argument("--config", required=True, type=Path, metavar="FILE", help="the broker's configuration, JSON")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        asyncio.run(serve(load(arguments.config)))
    except StartError as error:
        print(f"broker: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
