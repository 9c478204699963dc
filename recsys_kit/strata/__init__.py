"""Interest strata (用户兴趣分层): groups of users who want alike, how many there are, how sure we are, and what sets them apart."""

from recsys_kit.strata.density import dbscan, hdbscan, knee_radius
from recsys_kit.strata.partition import kmeans
from recsys_kit.strata.result import NOISE, Strata
from recsys_kit.strata.threshold import threshold
from recsys_kit.strata.tree import cut, ward

__all__ = ["NOISE", "Strata", "cut", "dbscan", "hdbscan", "kmeans", "knee_radius", "threshold", "ward"]
