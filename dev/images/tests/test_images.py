"""What the Dockerfiles, skaffold.yaml, the chart and the build script say of the images has to be the same."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
SKAFFOLD = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
RELEASE = SKAFFOLD["deploy"]["helm"]["releases"][0]
VALUES = yaml.safe_load((ROOT / "charts/imagesearch/values.yaml").read_text())
DOCKERFILES = sorted(
    {*ROOT.glob("operator/*Dockerfile"), *ROOT.glob("services/*/*Dockerfile"), *ROOT.glob("dev/flickr/*Dockerfile")}
)
MEMBERS = {
    tomllib.loads(path.read_text())["project"]["name"]: path.parent
    for pattern in ("operator/pyproject.toml", "services/*/pyproject.toml", "dev/*/pyproject.toml")
    for path in ROOT.glob(pattern)
}


def gpu_patches() -> dict[str, Any]:
    """Path -> value of what the gpu profile adds."""
    (profile,) = (profile for profile in SKAFFOLD["profiles"] if profile["name"] == "gpu")
    return {patch["path"]: patch["value"] for patch in profile["patches"]}


def artifacts() -> dict[str, dict[str, Any]]:
    """Image -> how skaffold builds it, the gpu profile's included."""
    given = [*SKAFFOLD["build"]["artifacts"], gpu_patches()["/build/artifacts/-"]]
    return {artifact["image"]: artifact for artifact in given}


def templates() -> dict[str, str]:
    """Chart value -> what skaffold sets it to, the gpu profile's included."""
    prefix = "/deploy/helm/releases/0/setValueTemplates/"
    added = {path.removeprefix(prefix): value for path, value in gpu_patches().items() if path.startswith(prefix)}
    return {**RELEASE["setValueTemplates"], **added}


def chart_images() -> dict[str, str]:
    """The chart's value -> the repository of each image that the project builds."""
    return {name: image["repository"] for name, image in VALUES["images"].items() if isinstance(image, dict)}


def project(member: Path) -> dict[str, Any]:
    described: dict[str, Any] = tomllib.loads((member / "pyproject.toml").read_text())["project"]
    return described


def needed(member: Path, extras: frozenset[str]) -> set[Path]:
    """The workspace's members that this one needs, itself included, with these extras of its own."""
    described = project(member)
    wanted = [*described.get("dependencies", ())]
    for extra in extras:
        wanted += described.get("optional-dependencies", {}).get(extra, ())
    own = [MEMBERS[name] for line in wanted if (name := Requirement(line).name) in MEMBERS]
    return {member}.union(*(needed(other, frozenset()) for other in own))


def copied_members(text: str, what: str) -> set[Path]:
    return {ROOT / source for source in re.findall(rf"^COPY (\S+)/{what} ", text, re.MULTILINE)}


def test_skaffold_builds_every_image_that_the_chart_names() -> None:
    assert set(artifacts()) == set(chart_images().values())


@pytest.mark.parametrize("image", sorted(artifacts()))
def test_every_image_of_skaffold_has_its_dockerfile(image: str) -> None:
    assert (ROOT / artifacts()[image]["docker"]["dockerfile"]).is_file()


def test_skaffold_gives_every_image_to_the_chart_whole() -> None:
    expected = {}
    for name, repository in chart_images().items():
        variable = re.sub(r"\W", "_", repository)
        expected[f"images.{name}.repository"] = "{{.IMAGE_REPO_%s}}" % variable  # noqa: UP031 - braces
        expected[f"images.{name}.tag"] = "{{.IMAGE_TAG_%s}}" % variable  # noqa: UP031
    assert templates() == expected


def test_every_value_that_skaffold_sets_is_one_of_the_chart() -> None:
    for path in (*templates(), *RELEASE["setValues"]):
        found: Any = VALUES
        for key in path.split("."):
            assert key in found, path
            found = found[key]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_image_holds_the_packages_that_its_service_needs_and_no_other(path: Path) -> None:
    text = path.read_text()
    service = (
        path.parent if path.parent.name != "encoder" or path.name == "model.Dockerfile" else ROOT / "services/search"
    )
    extras = frozenset(re.findall(r"--extra ([a-z]+)", text))
    members = needed(service, extras)
    assert copied_members(text, "pyproject.toml") == members, "described"
    assert copied_members(text, "src") == members, "copied"
    (installed,) = re.findall(r"--target /opt/imagesearch (.*)", text)
    assert {ROOT / source for source in installed.split()} == members, "installed"


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_image_runs_a_command_of_its_package_as_a_user_without_rights(path: Path) -> None:
    last = path.read_text().rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (.*)", last, re.MULTILINE) == ["10001:10001"]
    for command in re.findall(r'^ENTRYPOINT \["(.*)"\]', last, re.MULTILINE):
        script = path.with_name("entrypoint.sh").read_text() if command == "/opt/entrypoint.sh" else command
        assert any(name in script for name in project(path.parent)["scripts"])


def test_the_build_script_knows_every_image_of_the_chart() -> None:
    script = ROOT / "dev/images/build"
    refused = subprocess.run([script, "nonesuch"], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    known = refused.stderr.rpartition("there are:")[2].split()
    assert {repository.rpartition("/")[2] for repository in chart_images().values()} <= set(known)
