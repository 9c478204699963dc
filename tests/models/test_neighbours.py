"""Neighbours."""
from recsys_kit.models.neighbours import ItemKNN, UserKNN
from tests.models.conformance import RankerConformance

class TestItems(RankerConformance):
    def make(self):
        return ItemKNN(5)

class TestUsers(RankerConformance):
    def make(self):
        return UserKNN(5, similarity="jaccard")
