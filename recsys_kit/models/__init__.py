"""Models that rank items or predict ratings, a file per family. ``load`` opens what ``model.save`` wrote."""

from recsys_kit.models.store import load

# Which file holds which model: a saved model names its class, and nothing but these is ever imported for it.
MODELS = {
    "EASE": "recsys_kit.models.ease",
    "ItemKNN": "recsys_kit.models.neighbours",
    "UserKNN": "recsys_kit.models.neighbours",
    "SAR": "recsys_kit.models.sar",
    "RP3beta": "recsys_kit.models.walk",
    "Popularity": "recsys_kit.models.popularity",
}
__all__ = ["MODELS", "load"]
