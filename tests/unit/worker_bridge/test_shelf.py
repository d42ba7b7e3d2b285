"""The models that a bridge could serve: what lies in a folder, or what a file of presets names."""

from pathlib import Path

import pytest

from worker_bridge.shelf import BadShelf, read_shelf


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("GGUF")


def words(place: Path) -> dict[str, tuple[str, ...]]:
    return {name: model.words for name, model in read_shelf(place).items()}


def test_files_of_a_folder_are_models(tmp_path: Path) -> None:
    put(tmp_path, "qwen.gguf", "big-00001-of-00002.gguf", "big-00002-of-00002.gguf")
    put(tmp_path, "mmproj-F16.gguf", "notes.txt", ".hidden.gguf")
    assert words(tmp_path) == {
        "big": ("--model", str(tmp_path / "big-00001-of-00002.gguf")),
        "qwen": ("--model", str(tmp_path / "qwen.gguf")),
    }


def test_folder_in_it_is_a_model_with_all_its_files(tmp_path: Path) -> None:
    put(tmp_path, "gemma/model.gguf", "gemma/mmproj-F16.gguf", "gemma/readme.md")
    put(tmp_path, "kimi/k-00001-of-00002.gguf", "kimi/k-00002-of-00002.gguf")
    put(tmp_path, "two/x.gguf", "two/y.gguf", "empty/readme.md")
    gemma = tmp_path / "gemma"
    assert words(tmp_path) == {
        "gemma": (
            *("--model", str(gemma / "model.gguf")),
            *("--mmproj", str(gemma / "mmproj-F16.gguf")),
        ),
        "kimi": ("--model", str(tmp_path / "kimi" / "k-00001-of-00002.gguf")),
        "x": ("--model", str(tmp_path / "two" / "x.gguf")),
        "y": ("--model", str(tmp_path / "two" / "y.gguf")),
    }


def test_changed_file_is_another_model(tmp_path: Path) -> None:
    put(tmp_path, "a.gguf")
    before = read_shelf(tmp_path)
    assert read_shelf(tmp_path) == before
    (tmp_path / "a.gguf").write_text("GGUF, longer")
    assert read_shelf(tmp_path) != before


def test_name_that_can_not_be_one_is_left_out_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "my model.gguf", "a.gguf")
    assert list(read_shelf(tmp_path)) == ["a"]
    assert "'my model' is not served" in caplog.text


def test_presets_are_those_of_llama_server(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "q.gguf")
    file = tmp_path / "models.ini"
    file.write_text(
        f"""version = 1
; for all
[*]
c = 8192
n-gpu-layers = 8  # of them

[org/qwen:Q8]
model = {tmp_path}/q.gguf
c = 4096
jinja = true
mmap = false
no-warmup = false
embeddings = false
port = 1
LLAMA_ARG_CACHE_RAM = 0
[far]
hf-repo = org/far
[gone]
model = {tmp_path}/gone.gguf
"""
    )
    shelf = read_shelf(file)
    assert words(file) == {
        "org/qwen:Q8": (
            *("-c", "4096", "--n-gpu-layers", "8", "--model", f"{tmp_path}/q.gguf"),
            *("--jinja", "--no-mmap", "--warmup"),
        ),
        "far": ("-c", "8192", "--n-gpu-layers", "8", "--hf-repo", "org/far"),
    }
    assert shelf["org/qwen:Q8"].variables == {"LLAMA_ARG_CACHE_RAM": "0"}
    assert "'gone' is not served" in caplog.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a]\nwhat is this", "line 2 is no [section] and no `option = value`"),
        ("[a]\nmodel = x\n[a]", "line 3: the section [a] stands there twice"),
        ("[a]\nc = 1", "[a] names no model: add `model = "),
        ("version = 1", "has no model"),
        ("", "has no model"),
    ],
)
def test_presets_that_are_not_valid_are_one_clear_sentence(
    tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "models.ini"
    file.write_text(text)
    with pytest.raises(BadShelf) as raised:
        read_shelf(file)
    assert said in str(raised.value)


def test_file_that_is_no_text_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.ini").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadShelf, match="can't be read"):
        read_shelf(tmp_path / "x.ini")


def test_model_in_the_place_of_presets_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b" " * 2**21)
    with pytest.raises(BadShelf, match="give the folder"):
        read_shelf(tmp_path / "x.gguf")


def test_folder_that_is_not_there_or_is_empty_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadShelf, match="there is no such folder or file"):
        read_shelf(tmp_path / "none")
    with pytest.raises(BadShelf, match="put GGUF files there"):
        read_shelf(tmp_path)


def test_two_models_of_one_name_are_one_clear_sentence(tmp_path: Path) -> None:
    put(tmp_path, "a.gguf", "a/model.gguf")
    with pytest.raises(BadShelf, match="two models named 'a': rename one"):
        read_shelf(tmp_path)
