"""Saving and loading models: arrays and JSON in one npz file, which runs no code when it is opened.

What a model keeps are its attributes whose names end in ``_`` (scikit-learn's habit for what was learned), and the arguments of its
``__init__``, which stand as attributes of the same names. A model that holds more overrides `Stored._kept` and `Stored._take`.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import uuid
import zipfile
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_kit.data.interactions import Interactions
from recsys_kit.data.sources import DataError

FORMAT, VERSION = "recsys_kit model", 1
ABOUT = "about.json"  # the name of the one part that is JSON; all others are arrays


class NotFittedError(RuntimeError):
    """A model was asked before it was fitted."""


class Stored:
    """A model that can be kept in a file."""

    def settings(self) -> dict[str, Any]:
        """The arguments the model was made with, by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def save(self, path: str | Path) -> Path:
        """Write the fitted model to one file, whole or not at all: an earlier file stays until the new one is complete.

        Returns the path. Raises `NotFittedError`, TypeError for a setting that is more than numbers and text (a Generator), and
        OSError where the file cannot be written.
        """
        self._check_fitted()
        path = Path(path)
        arrays: dict[str, np.ndarray] = {}
        about = {"format": FORMAT, "version": VERSION, "kit": version("recsys_kit"), "model": type(self).__name__,
                 "settings": {name: _setting(value, name) for name, value in self.settings().items()},
                 "kept": _taken_apart(self._kept(), "", arrays)}
        about["digest"] = _digest(about, arrays)
        new = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.new")
        try:
            with new.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays, **{ABOUT: np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)})
            os.replace(new, path)
        finally:
            new.unlink(missing_ok=True)
        return path

    def _kept(self) -> dict[str, Any]:
        """Everything learned: numbers, text, None, arrays, sparse arrays, ids, Interactions, and dicts and lists of these."""
        return {name: value for name, value in vars(self).items() if name.endswith("_")}

    def _take(self, kept: dict[str, Any]) -> None:
        """Be the model that gave this as `_kept`."""
        vars(self).update(kept)

    def _check_fitted(self) -> None:
        if not hasattr(self, "seen_"):
            raise NotFittedError(f"this {type(self).__name__} has not been fitted; call fit(events) first")


def load(path: str | Path) -> Stored:
    """The model that ``model.save(path)`` wrote; it gives the same scores to the last bit.

    Raises `recsys_kit.DataError` for a file that is not there, is no model, is cut or damaged, or is of another version.
    """
    from recsys_kit.models import MODELS

    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    try:
        with np.load(path, allow_pickle=False) as parts:
            arrays = {name: parts[name] for name in parts.files}
        about = json.loads(arrays.pop(ABOUT).tobytes())
        known = about["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: no model of this kit, or a cut or damaged file ({str(error).splitlines()[0][:100]}).\n"
                        f"To mend it: save the model again, or take it from a copy") from None
    if not known:
        raise DataError(f"{path}: the file holds something else than a model of this kit.\nTo mend it: load what model.save wrote")
    if about.get("version") != VERSION or about.get("model") not in MODELS:
        raise DataError(f"{path}: a {about.get('model')} in form {about.get('version')}, written by kit {about.get('kit')}; this "
                        f"kit ({version('recsys_kit')}) does not read it.\nTo mend it: fit the model again, or use the "
                        f"kit that wrote it")
    digest = about.pop("digest", None)
    if digest != _digest(about, arrays):
        raise DataError(f"{path}: the file is damaged; its contents are not what was saved.\nTo mend it: save the model again, or "
                        f"take it from a copy")
    model = getattr(import_module(MODELS[about["model"]]), about["model"])(**about["settings"])
    model._take(_put_together(about["kept"], arrays))
    return model


def _setting(value, name: str):
    """A setting as JSON: numbers (numpy's, too), text, None, and lists and mappings of these."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_setting(piece, name) for piece in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _setting(piece, name) for key, piece in value.items()}
    raise TypeError(f"save: the setting {name} is a {type(value).__name__}, which cannot be kept in a file.\n"
                    f"To mend it: make the model with a number or text instead, such as rng=0, and fit it again")


def _taken_apart(value, name: str, arrays: dict[str, np.ndarray]):
    """``value`` as JSON, in which every array is only named; the arrays themselves go to ``arrays``."""
    def under(kind: str, **parts):
        return {"is": kind, **{part: _taken_apart(piece, f"{name}.{part}", arrays) for part, piece in parts.items()}}

    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        arrays[name] = value
        return {"is": "array", "name": name}
    if isinstance(value, pd.Index):
        texts = [str(text).encode() for text in value]
        ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
        return under("ids", bytes=np.frombuffer(b"".join(texts), dtype=np.uint8), ends=ends)
    if sparse.issparse(value):
        rows = sparse.csr_array(value)
        return under("sparse", data=rows.data, indices=rows.indices, indptr=rows.indptr, columns=rows.shape[1])
    if isinstance(value, Interactions):
        return under("interactions", users=value.users, items=value.items, matrix=value.matrix, since=value.since)
    if isinstance(value, (list, tuple)):
        return [_taken_apart(piece, f"{name}.{place}", arrays) for place, piece in enumerate(value)]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"is": "dict", "keys": list(value),
                "values": [_taken_apart(piece, f"{name}.{key}", arrays) for key, piece in value.items()]}
    raise TypeError(f"{name.lstrip('.')} is a {type(value).__name__}, which cannot be kept without running code when it is read")


def _put_together(value, arrays: dict[str, np.ndarray]):
    """The opposite of `_taken_apart`."""
    if isinstance(value, list):
        return [_put_together(piece, arrays) for piece in value]
    if not isinstance(value, dict):
        return value
    if value["is"] == "array":
        return arrays[value["name"]]
    part = {name: _put_together(piece, arrays) for name, piece in value.items() if name != "is"}
    if value["is"] == "ids":
        text, ends = part["bytes"].tobytes(), part["ends"].tolist()
        return pd.Index([text[start:end].decode() for start, end in zip([0, *ends], ends, strict=False)], dtype="str")
    if value["is"] == "sparse":
        return sparse.csr_array((part["data"], part["indices"], part["indptr"]), shape=(len(part["indptr"]) - 1, part["columns"]))
    if value["is"] == "interactions":
        return Interactions(part["users"], part["items"], part["matrix"], part["since"])
    return dict(zip(part["keys"], part["values"], strict=True))


def _digest(about: dict, arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 over what the file says of itself and every array's name, type, shape and values."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name}|{arrays[name].dtype.str}|{arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
