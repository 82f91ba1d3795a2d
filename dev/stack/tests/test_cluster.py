"""What `make cluster` says and decides; that it works is tried in dev/e2e."""

import io
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from imagesearch_contract.record import ImageRecord
from imagesearch_stack import StackError
from imagesearch_stack.cluster import own_kubeconfig, progress, run, uses_own_cluster, write_pictures
from imagesearch_stack.steps import step
from rich.console import Console


def quiet() -> Console:
    return Console(file=io.StringIO())


def test_a_kubeconfig_of_another_cluster_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/home/somebody/.kube/config")

    assert not uses_own_cluster()


@pytest.mark.parametrize("named", [None, "", "own"])
def test_without_one_the_cluster_of_this_machine_is_brought_up(
    named: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    if named is not None:
        monkeypatch.setenv("KUBECONFIG", str(own_kubeconfig()) if named == "own" else named)

    assert uses_own_cluster()


def test_progress_gives_the_reason_while_a_collection_is_not_ready() -> None:
    ready = {"type": "Ready", "status": "False", "reason": "KafkaUnreachable", "message": "Kafka does not answer"}

    line = progress({"conditions": [ready], "images": {"published": 7, "indexed": 3}})

    assert line == "3 of 7 pictures can be searched. KafkaUnreachable: Kafka does not answer"


def test_progress_counts_once_a_collection_is_ready() -> None:
    ready = {"type": "Ready", "status": "True", "reason": "Ready", "message": "It can be searched"}

    assert (
        progress({"conditions": [ready], "images": {"published": 7, "indexed": 7}}) == "7 of 7 pictures can be searched"
    )


def test_progress_says_when_there_is_no_status_yet() -> None:
    assert progress({}) == "the operator has not looked at it yet"


@pytest.mark.integration
def test_the_manifest_of_the_sample_lists_exactly_the_pictures_beside_it(stamps_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"

    count = write_pictures(stamps_dir, folder)

    lines = (folder / "manifest.jsonl").read_bytes().splitlines()
    served = {
        f"manifest:{path.relative_to(folder)}" for path in folder.rglob("*") if path.suffix in {".png", ".jpg", ".svg"}
    }
    assert {ImageRecord.from_bytes(line).id for line in lines} == served
    assert len(served) == count > 50
    assert write_pictures(stamps_dir, folder) == count


def test_a_command_that_fails_is_quoted() -> None:
    with (
        pytest.raises(StackError, match=r"`sh -c` failed \(status 3\):\n    no space left"),
        step(quiet(), "test") as shown,
    ):
        run(["sh", "-c", "echo no space left >&2; exit 3"], shown)


def test_a_command_is_stopped_with_its_children_when_we_are(tmp_path: Path) -> None:
    started = tmp_path / "started"
    command = ["sh", "-c", f"sleep 1000 & echo $! >{started}.part; mv {started}.part {started}; wait"]
    ours = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from rich.console import Console; from imagesearch_stack.cluster import run;"
            "from imagesearch_stack.steps import step\n"
            "with step(Console(), 'test') as shown: run(sys.argv[1:], shown)",
            *command,
        ],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    while not started.exists():
        time.sleep(0.05)
    child = Path("/proc") / started.read_text().strip()

    ours.send_signal(signal.SIGINT)
    ours.wait()

    while child.exists() and "Z" not in (child / "stat").read_text().rpartition(")")[2].split()[0]:
        time.sleep(0.05)
