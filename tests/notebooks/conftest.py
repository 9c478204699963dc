"""Notebooks of one test module share a cache of parsed data sets, and leave the user's own alone."""

import pytest

pytest.register_assert_rewrite("tests.notebooks.house")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECSYS_KIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
