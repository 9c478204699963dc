"""recsys_kit: who a shop's users are, what they want, how that changes, and what to push next.

The public names below load on first use, so that ``import recsys_kit`` stays quick.
"""

from importlib import import_module

__version__ = "0.1.0"

_PUBLIC = {
    "load": "recsys_kit.data.catalog",
    "datasets": "recsys_kit.data.catalog",
    "Dataset": "recsys_kit.data.dataset",
    "Interactions": "recsys_kit.data.interactions",
    "DataError": "recsys_kit.data.sources",
    "SchemaError": "recsys_kit.schema",
    "clean": "recsys_kit.prepare",
    "scale": "recsys_kit.prepare",
    "user_features": "recsys_kit.features",
    "Popularity": "recsys_kit.models.popularity",
    "evaluate_ranking": "recsys_kit.evaluate.protocol",
    "evaluate_ratings": "recsys_kit.evaluate.rating",
    "compare": "recsys_kit.evaluate.significance",
    "search": "recsys_kit.evaluate.search",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str):
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"recsys_kit has no {name!r}; its public names are {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
