"""walk."""
from recsys_kit.models.walk import RP3beta
from tests.models.conformance import RankerConformance

class TestRP3beta(RankerConformance):
    def make(self):
        return RP3beta(0.8, 0.4, 7)
