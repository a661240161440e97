"""Which of these tests run one after the other, while others run at the same time; every other one has its own simulator."""

import re

from xdist.scheduler import LoadScopeScheduling


class Together(LoadScopeScheduling):
    """Tests of the same scope stay in one process, in their order."""

    def _split_scope(self, nodeid):
        file, _, test = nodeid.partition("::")
        if file.endswith("vendor_sdk.py"):  # they share a simulator, and what they make on it
            return file
        if file.endswith("conformance.py"):  # they read what one run of the suite found: on one way, in one revision
            return " ".join([file, *re.findall(r"(?<=[[-])(?:listener|bridge|\d{4}-\d\d-\d\d)(?=[-\]])", test)])
        return nodeid


def pytest_xdist_make_scheduler(config, log):
    return Together(config, log)
