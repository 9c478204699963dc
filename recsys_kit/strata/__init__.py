"""Interest strata (用户兴趣分层): groups of users who want alike, how many there are, how sure we are, and what sets them apart."""

from recsys_kit.strata.choose import Choice, choose, knee
from recsys_kit.strata.contrasts import contrasts
from recsys_kit.strata.density import dbscan, hdbscan, knee_radius
from recsys_kit.strata.describe import describe
from recsys_kit.strata.indices import quality, silhouette
from recsys_kit.strata.partition import kmeans
from recsys_kit.strata.result import NOISE, Strata
from recsys_kit.strata.separation import Separation, random_like, separation
from recsys_kit.strata.stability import shuffled, stability
from recsys_kit.strata.threshold import threshold
from recsys_kit.strata.tree import cut, ward

__all__ = ["NOISE", "Choice", "Separation", "Strata", "choose", "contrasts", "cut", "dbscan", "describe", "hdbscan", "kmeans",
           "knee", "knee_radius", "quality", "random_like", "separation", "shuffled", "silhouette", "stability", "threshold",
           "ward"]
