"""What the tests of steps share: a webhook that accepts everything."""

from tests.alerting.receivers import hook

__all__ = ["hook"]
