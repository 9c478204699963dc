"""SAR."""
from recsys_kit.models.sar import SAR
from tests.models.conformance import RankerConformance

class TestSAR(RankerConformance):
    def make(self):
        return SAR()
