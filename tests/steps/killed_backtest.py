"""A backtest in a process of its own, to be killed.

``python -m tests.steps.killed_backtest DATABASE_URL FOLDER RETRAIN_MIN_LABELS FIRST LAST``.
"""

import sys
from pathlib import Path

from studyml.settings import load_settings
from tests.steps.backtests import QUICK, replay


def main(database_url: str, folder: str, labels: str, first: str, last: str) -> None:
    """Replay the nights of ``test_backtest``."""
    settings = load_settings(database_url=database_url, retrain_min_labels=labels)
    replay(settings.model_copy(update=QUICK), Path(folder), first=first, last=last)


if __name__ == "__main__":
    main(*sys.argv[1:])
