"""`dev/cluster/cluster down` removes every trace of the cluster, in whatever state it finds it.

A cluster of its own in a network namespace of its own, so the one that the other tests use can stay.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from imagesearch_stack.cluster import NODE
from imagesearch_stack.control_plane import cluster_home

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("cluster_can_run")]

TRACES = r"""
ip -oneline link; ip route; nft list ruleset
grep -F "$CLUSTER_HOME/" /proc/mounts
find /run/netns /run/containerd /var/lib/cni /var/log/containers ! -type d 2>/dev/null
find /sys/fs/cgroup -type d -path "*/$(. "${CLUSTER%/*}/settings"; echo "$cgroup")*"
pgrep -af -- "$CLUSTER_HOME/"
sysctl net.ipv4.ip_forward vm.overcommit_memory kernel.panic kernel.panic_on_oops
"""

UP = '"$CLUSTER" up; kubectl="$CLUSTER_HOME/bin/kubectl --kubeconfig $CLUSTER_HOME/run/admin.kubeconfig";'
# A pod, so that there are a container, its network and its mounts.
WITH_A_POD = f"""{UP}
$kubectl run some --image localhost/pause:1 --image-pull-policy Never >&2
$kubectl wait pod/some --for condition=Ready --timeout 120s >&2"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """The home of another cluster, with the programs of the first."""
    subprocess.run([NODE, "build"], check=True)
    home = tmp_path / "cluster"
    home.mkdir()
    for folder in ("bin", "kuberay"):
        (home / folder).symlink_to(cluster_home() / folder)
    yield home
    subprocess.run(["unshare", "--net", NODE, "down"], env={**os.environ, "CLUSTER_HOME": str(home)}, check=True)


@pytest.mark.parametrize(
    "states",
    [
        pytest.param(WITH_A_POD, id="running"),
        pytest.param(f'{WITH_A_POD}; kill -9 $(pgrep --newest --full "^unshare --pid")', id="killed"),
        pytest.param('"$CLUSTER" up & sleep 4; kill -9 $!', id="half up"),
        pytest.param('"$CLUSTER" up & sleep 4; kill -TERM $!; wait $! || true', id="interrupted"),
        pytest.param("true", id="never up"),
    ],
)
def test_down_removes_everything_when(states: str, home: Path) -> None:
    before, after = traces(states, home)

    assert after == before


def traces(states: str, home: Path) -> tuple[str, str]:
    """What can be seen of a cluster before it is brought into a state, and after it was taken down from there."""
    between = "echo ----------"
    script = f'ip link set lo up; traces() {{ {TRACES} }}; traces; {between}; {{ {states}\n}} >&2; "$CLUSTER" down; {between}; traces'
    done = subprocess.run(
        ["unshare", "--net", "bash", "-c", script],
        env={**os.environ, "CLUSTER_HOME": str(home), "CLUSTER": NODE},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    before, _, after = done.stdout.split("----------\n")
    return before, after
