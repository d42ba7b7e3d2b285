"""Images are named by exact versions: at d26fdb4 their tags moved with each release."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
EXACT = re.compile(
    r"""
    python:\d+\.\d+\.\d+-slim-[a-z]+
    | valkey/valkey:\d+\.\d+\.\d+-alpine
    | ghcr\.io/ggml-org/llama\.cpp:server(-[a-z]+\d*)?-b\d+
    | ghcr\.io/open-webui/open-webui:v\d+\.\d+\.\d+
    | caddy:\d+\.\d+\.\d+-alpine
    """,
    re.X,
)
NAME = r"\w[\w./-]*"
IMAGE = re.compile(rf"(?:python|valkey/valkey|llama\.cpp|open-webui/open-webui|caddy):{NAME}")
OURS = re.compile(r"(llamaq[a-z-]*):\$\{LLAMAQ_VERSION:-([^}]+)\}")
EXAMPLES = tuple(
    f"deploy/compose/{name}" for name in ("second-model.yml", "open-webui.yml", "caddy.yml")
)
FILES = ("Dockerfile", "docker-compose.yml", ".env.example", *EXAMPLES)


def read(name: str) -> str:
    return (ROOT / name).read_text()


def arguments() -> dict[str, str]:
    return dict(re.findall(r"^ARG (\w+)=(\S+)$", read("Dockerfile"), re.M))


def images(text: str) -> list[str]:
    """All that is named as an image, be it in a comment."""
    return re.findall(rf"(?:{NAME}/)?{IMAGE.pattern}", text)


@pytest.mark.parametrize("name", FILES)
def test_every_image_has_an_exact_tag(name: str) -> None:
    found = images(read(name))
    assert found
    assert [image for image in found if not EXACT.fullmatch(image)] == []


def test_every_stage_begins_with_such_an_image() -> None:
    bases = re.findall(r"^FROM (\S+)", read("Dockerfile"), re.M)
    stages = set(re.findall(r" AS (\S+)$", read("Dockerfile"), re.M))
    named = {f"${{{name}}}" for name in arguments()}
    assert set(bases) <= named | stages
    assert all(EXACT.fullmatch(image) for image in arguments().values())


def test_compose_names_the_images_of_the_dockerfile_and_this_version() -> None:
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    composed = "".join(map(read, ("docker-compose.yml", *EXAMPLES)))
    named = re.findall(r"^ *image: (\S+)$", composed, re.M)
    ours = [OURS.fullmatch(image) for image in named if not EXACT.fullmatch(image)]
    assert {found and found[2] for found in ours} == {version}
    assert {found[1] for found in ours if found} >= {"llamaq", "llamaq-worker"}
    default = re.findall(r"LLAMA_SERVER_IMAGE:-([^}]+)", composed)
    assert arguments()["LLAMA_SERVER_IMAGE"] in default
    builds = {image.rpartition("-")[2] for image in default}
    assert builds == {arguments()["LLAMA_SERVER_IMAGE"].rpartition("-")[2]}


def test_tag_that_moves_is_found() -> None:
    moving = "python:3.12-slim valkey/valkey:8-alpine ghcr.io/ggml-org/llama.cpp:server"
    assert [image for image in images(moving) if EXACT.fullmatch(image)] == []
    assert len(images(moving)) == 3
