"""Models that rank items or predict ratings, a file per family: ``from recsys_kit.models import EASE, ItemKNN``.

``load`` opens what ``model.save`` wrote. A model's file, and the library it needs, is imported on first use.
"""

from importlib import import_module

from recsys_kit.models.store import load

# Which file holds which model: a saved model names its class, and nothing but these is ever imported for it.
MODELS = {
    "BPR": "recsys_kit.models.bpr",
    "EASE": "recsys_kit.models.ease",
    "EDLAE": "recsys_kit.models.autoencoder",
    "GFCF": "recsys_kit.models.graph",
    "GMF": "recsys_kit.models.ncf",
    "IALS": "recsys_kit.models.als",
    "InterestState": "recsys_kit.interest.state",
    "ItemKNN": "recsys_kit.models.neighbours",
    "KNNRating": "recsys_kit.models.neighbours_rating",
    "KalmanMF": "recsys_kit.models.online_rating",
    "LayeredInterest": "recsys_kit.interest.layered",
    "MLP": "recsys_kit.models.ncf",
    "NeuMF": "recsys_kit.models.ncf",
    "OnlineMF": "recsys_kit.models.online_rating",
    "OnlineMean": "recsys_kit.models.online_rating",
    "Popularity": "recsys_kit.models.popularity",
    "PureSVD": "recsys_kit.models.puresvd",
    "RP3beta": "recsys_kit.models.walk",
    "RankedByRating": "recsys_kit.models.ranked",
    "SAR": "recsys_kit.models.sar",
    "SVD": "recsys_kit.models.svd",
    "SVDpp": "recsys_kit.models.svd",
    "StratumPopularity": "recsys_kit.models.stratified",
    "SurpriseRating": "recsys_kit.models.surprise_ratings",
    "UserKNN": "recsys_kit.models.neighbours",
}
__all__ = ["MODELS", "load", *MODELS]


def __getattr__(name: str):
    if name in MODELS:
        return getattr(import_module(MODELS[name]), name)
    raise AttributeError(f"recsys_kit.models has no {name!r}; there are {', '.join(MODELS)}")
