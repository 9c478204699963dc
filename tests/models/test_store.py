"""A saved model is one file that runs no code; a foreign, cut, damaged or newer one is refused with one clear error."""

import io
import json
import zipfile

import numpy as np
import pandas as pd
import pytest

from recsys_kit import DataError, models
from recsys_kit.models import store
from recsys_kit.models.popularity import Popularity
from tests.models.conformance import history


@pytest.fixture
def saved(tmp_path):
    return Popularity(half_life_days=7, weights={"view": 1, "purchase": 3}).fit(history()).save(tmp_path / "model.npz")


def rewritten(path, change):
    """The file with its JSON changed, and nothing else."""
    with np.load(path) as parts:
        arrays = {name: parts[name] for name in parts.files}
    about = json.loads(arrays.pop(store.ABOUT).tobytes())
    change(about, arrays)
    with path.open("wb") as file:
        np.savez(file, **arrays, **{store.ABOUT: np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)})


def test_settings_and_what_was_learned_in_an_update_come_back(tmp_path):
    model = Popularity(half_life_days=7).fit(history())
    model.update(history().head(1).assign(user_id="läte ✓", timestamp=pd.Timestamp("2024-06-01")))
    again = models.load(model.save(tmp_path / "m.npz"))
    assert again.settings() == {"half_life_days": 7, "weights": None} and again.learned_ == model.learned_
    pd.testing.assert_frame_equal(again.recommend(["läte ✓", "u01"], 9), model.recommend(["läte ✓", "u01"], 9))
    more = history().head(1).assign(user_id="u01", timestamp=pd.Timestamp("2024-07-01"))
    pd.testing.assert_frame_equal(again.update(more).recommend(["u01"], 9), model.update(more).recommend(["u01"], 9))


def test_ids_of_any_letters_come_back_as_they_were(tmp_path):
    table = history().assign(item_id=lambda t: "thé " + t["item_id"] + " ✓", user_id=lambda t: t["user_id"].str.replace("u", "ü"))
    model = Popularity().fit(table)
    again = models.load(model.save(tmp_path / "m.npz"))
    assert again.items_.equals(model.items_) and again.seen_.users.equals(model.seen_.users)
    pd.testing.assert_frame_equal(again.recommend(["ü01"], 9), model.recommend(["ü01"], 9))


def test_settings_that_are_numbers_of_numpy_are_kept_as_numbers(tmp_path):
    """A search over ``np.arange`` finds such settings."""
    model = Popularity(np.int64(7), weights={"view": np.float32(0.5)}).fit(history())
    again = models.load(model.save(tmp_path / "m.npz"))
    assert again.settings() == {"half_life_days": 7, "weights": {"view": 0.5}} and type(again.half_life_days) is int
    pd.testing.assert_frame_equal(again.recommend(["u01"], 9), model.recommend(["u01"], 9))


def test_a_setting_that_cannot_be_kept_is_named_and_leaves_no_file(tmp_path):
    model = Popularity().fit(history())
    model.half_life_days = np.random.default_rng(0)
    with pytest.raises(TypeError, match="half_life_days is a Generator.*\nTo mend it: .* fit it again"):
        model.save(tmp_path / "m.npz")
    assert list(tmp_path.iterdir()) == []


def test_no_part_of_the_file_is_pickled(saved):
    with zipfile.ZipFile(saved) as parts:
        kinds = {name: np.load(io.BytesIO(parts.read(name)), allow_pickle=False).dtype for name in parts.namelist()}
    assert len(kinds) > 1 and not any(kind.hasobject for kind in kinds.values())


def test_a_write_that_fails_leaves_the_old_file(saved, monkeypatch):
    before = saved.read_bytes()
    def broken(file, **parts):
        file.write(b"half a file")
        raise OSError("no space left on device")
    monkeypatch.setattr(store.np, "savez", broken)
    with pytest.raises(OSError, match="no space"):
        Popularity().fit(history()).save(saved)
    assert saved.read_bytes() == before and list(saved.parent.iterdir()) == [saved]


def test_whoever_reads_the_old_file_while_a_new_one_is_written_reads_it_whole(saved):
    before = saved.read_bytes()
    with saved.open("rb") as reader:
        Popularity().fit(history()).save(saved)
        assert reader.read() == before != saved.read_bytes()


def test_a_file_that_is_not_there_or_is_something_else_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        models.load(tmp_path / "missing.npz")
    np.savez(tmp_path / "arrays.npz", a=np.arange(3))
    np.save(tmp_path / "array.npy", np.arange(3))
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "empty.npz").write_bytes(b"")
    for name in ("arrays.npz", "array.npy", "text.npz", "empty.npz"):
        with pytest.raises(DataError, match="no model of this kit"):
            models.load(tmp_path / name)


def test_a_pickled_array_is_not_opened(tmp_path):
    np.savez(tmp_path / "evil.npz", **{store.ABOUT: np.array([{"run": "me"}], dtype=object)})
    with pytest.raises(DataError, match="no model of this kit"):
        models.load(tmp_path / "evil.npz")


def test_wherever_a_file_is_cut_it_is_refused(saved):
    whole = saved.read_bytes()
    for end in np.linspace(0, len(whole) - 1, 25, dtype=int):
        saved.write_bytes(whole[:end])
        with pytest.raises(DataError):
            models.load(saved)


def test_wherever_a_byte_is_changed_the_file_is_refused_or_says_the_same(saved):
    whole, expected = saved.read_bytes(), models.load(saved).recommend(["u01", "nobody"], 9)
    refused = 0
    for place in np.linspace(0, len(whole) - 1, 150, dtype=int):
        saved.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1:])
        try:
            pd.testing.assert_frame_equal(models.load(saved).recommend(["u01", "nobody"], 9), expected)
        except DataError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("change", [lambda a: a + 1, lambda a: a.view(np.int64), lambda a: a[None]], ids=["value", "type", "shape"])
def test_an_array_changed_with_a_right_checksum_of_the_zip_is_still_refused(saved, change):
    def one(about, arrays):
        name = next(name for name, array in arrays.items() if array.dtype == float)
        arrays[name] = change(arrays[name])
    rewritten(saved, one)
    with pytest.raises(DataError, match="damaged"):
        models.load(saved)


def test_a_changed_setting_is_refused(saved):
    rewritten(saved, lambda about, arrays: about["settings"].update(half_life_days=8))
    with pytest.raises(DataError, match="damaged"):
        models.load(saved)


@pytest.mark.parametrize("change", [{"version": 2}, {"model": "Oracle"}], ids=str)
def test_another_version_and_an_unknown_model_are_refused_by_name(saved, change):
    rewritten(saved, lambda about, arrays: about.update(change))
    with pytest.raises(DataError, match="this kit .* does not read it"):
        models.load(saved)


def test_another_format_is_refused(saved):
    rewritten(saved, lambda about, arrays: about.update(format="something else"))
    with pytest.raises(DataError, match="something else than a model"):
        models.load(saved)


def test_what_cannot_be_kept_without_running_code_is_refused(tmp_path):
    model = Popularity().fit(history())
    model.extra_ = object()
    with pytest.raises(TypeError, match="extra_ is a object"):
        model.save(tmp_path / "m.npz")
    assert list(tmp_path.iterdir()) == []
