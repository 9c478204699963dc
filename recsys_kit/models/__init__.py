"""Models that rank items or predict ratings, a file per family. ``load`` opens what ``model.save`` wrote."""

from recsys_kit.models.store import load

# Which file holds which model: a saved model names its class, and nothing but these is ever imported for it.
MODELS = {
    "BPR": "recsys_kit.models.bpr",
    "EASE": "recsys_kit.models.ease",
    "GFCF": "recsys_kit.models.graph",
    "IALS": "recsys_kit.models.als",
    "ItemKNN": "recsys_kit.models.neighbours",
    "KNNRating": "recsys_kit.models.neighbours_rating",
    "Popularity": "recsys_kit.models.popularity",
    "PureSVD": "recsys_kit.models.puresvd",
    "RP3beta": "recsys_kit.models.walk",
    "SAR": "recsys_kit.models.sar",
    "StratumPopularity": "recsys_kit.models.stratified",
    "UserKNN": "recsys_kit.models.neighbours",
}
__all__ = ["MODELS", "load"]
