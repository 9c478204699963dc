"""Layered interest keeps the promises of every ranker, learns its weights from visits, and continues after a reload."""

from recsys_kit.interest.layered import LayeredInterest
from tests.models.conformance import RankerConformance


class TestLayeredInterest(RankerConformance):
    def make(self):
        return LayeredInterest(strata=4, refresh_days=10, burn_in=50, l2=5)
