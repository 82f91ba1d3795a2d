"""`make cluster`: the platform on a real Kubernetes, and a first collection, until `make cluster-down`.

The cluster is the one-node cluster of `dev/cluster`, or a kind cluster that KUBECONFIG names. Every step looks first
whether it is done, so a second run takes seconds. `main` and the end-to-end tests call it.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from rich.console import Console

from imagesearch_stack import StackError, downloads, pictures, servers
from imagesearch_stack.control_plane import KubernetesApi, cluster_home, program
from imagesearch_stack.processes import Process, Processes, free_port
from imagesearch_stack.steps import Step, step

REPOSITORY: Final = Path(__file__).parents[4]
FOLDER: Final = REPOSITORY / "dev" / "cluster"
NODE: Final = str(FOLDER / "cluster")
"""The script that is the one-node cluster."""

RELEASE: Final = "imagesearch"
"""Name and namespace of the Helm release."""
COLLECTION: Final = "stamps"
RESTRICTED: Final = {"pod-security.kubernetes.io/enforce": "restricted"}

REPOSITORIES: Final = "localhost/imagesearch"
IMAGES: Final = ("operator", "producer", "embedder", "encoder", "search", "flickr-standin", "kafka", "elasticsearch")
"""Those that run here. The model is registered from this machine, so its image, which carries torch, is not among them."""

# The whole name: pictures are fetched without a pod's search list (see the fetcher's `resolve`).
PICTURES_URL: Final = "http://flickr.standins.svc/photos"
EVERY_NTH_STAMP: Final = 8

READY_SECONDS: Final = 900.0
LAST_LINES: Final = 15


class Platform(NamedTuple):
    """The platform, installed in a cluster."""

    kubernetes: KubernetesApi
    kind: str | None
    """The name of the kind cluster; None is the one-node cluster, whose addresses this machine reaches."""
    processes: Processes
    """While they run, the addresses are good."""

    @property
    def search_url(self) -> str:
        """Of the search API and its web page."""
        return self.address(f"{RELEASE}-search", 80, RELEASE)

    def address(self, service: str, port: int, namespace: str) -> str:
        """The URL by which this machine reaches a Service."""
        if self.kind is not None:
            return self._forward(f"service/{service}", port, namespace)
        ip = self.kubernetes.json("get", "service", service, "--namespace", namespace)["spec"]["clusterIP"]
        if ip == "None":  # headless: its name stands for its pods
            ip = self._first_pod(service, namespace)
        return f"http://{ip}" if port == 80 else f"http://{ip}:{port}"

    def _first_pod(self, service: str, namespace: str) -> str:
        selector = f"kubernetes.io/service-name={service}"
        slices = self.kubernetes.json("get", "endpointslices", "--namespace", namespace, "--selector", selector)[
            "items"
        ]
        addresses = [ip for found in slices for endpoint in found["endpoints"] or () for ip in endpoint["addresses"]]
        if not addresses:
            raise StackError(f"no pod stands behind the service {service} in namespace {namespace}")
        return str(addresses[0])

    def _forward(self, target: str, port: int, namespace: str) -> str:
        local = free_port()
        tunnel = Process(
            f"the way to {target}",
            [*self.kubernetes.command, "port-forward", "--namespace", namespace, target, f"{local}:{port}"],
            log=run_dir() / "logs" / f"forward-{local}.log",
        )
        self.processes.add(tunnel).wait_until(lambda: "Forwarding" in tunnel.last_line, within_seconds=60)
        return f"http://127.0.0.1:{local}"


def cluster_up(console: Console) -> None:
    """Bring up everything and a collection, and say where it is.

    Raises:
        StackError: something is missing or did not get ready; the message says what to do.
    """
    with Processes() as processes:
        platform = install(console, processes)
        with step(console, f"Collection: {COLLECTION}") as shown:
            platform.kubernetes.kubectl("apply", "--server-side", "--filename", str(FOLDER / "stamps.yaml"))
            shown.say(wait_until_ready(platform.kubernetes, COLLECTION, "default", shown))
        console.print()
        console.print(
            platform.kubernetes.kubectl("get", "imagecollections", "--all-namespaces"), markup=False, soft_wrap=True
        )
        for line in _welcome(platform):
            console.print(line, soft_wrap=True)


def cluster_down(console: Console) -> None:
    """Remove the one-node cluster with all that is in it."""
    with step(console, "Removing the cluster") as shown:
        run([NODE, "down"], shown)


def install(console: Console, processes: Processes) -> Platform:
    """Bring up a cluster with the platform on it, or find it up; without a collection.

    Raises:
        StackError: something is missing or did not get ready; the message says what to do.
    """
    platform = _own_cluster(console, processes) if uses_own_cluster() else _kind_cluster(processes)
    tags = _put_images(platform, console)
    _install_kuberay(platform, console)
    _install_standins(platform, tags, console)
    _install_release(platform, tags, console)
    _register_model(platform, console)
    return platform


def uses_own_cluster() -> bool:
    """Whether KUBECONFIG leaves it to us to bring a cluster."""
    named = os.environ.get("KUBECONFIG")
    return not named or Path(named) == own_kubeconfig()


def own_kubeconfig() -> Path:
    """The kubeconfig of the one-node cluster, while it runs."""
    return cluster_home() / "run" / "admin.kubeconfig"


def run_dir() -> Path:
    """Where the logs of what runs beside the cluster are."""
    return cluster_home() / "platform"


def why_no_cluster() -> str | None:
    """What keeps this machine from running any cluster; None if nothing does."""
    if not uses_own_cluster():
        return None
    if shutil.which("apt-get") is None:
        return "KUBECONFIG names no cluster, and the one-node cluster needs Debian"
    if os.geteuid() != 0:
        return "KUBECONFIG names no cluster, and the one-node cluster needs root"
    return None


def _own_cluster(console: Console, processes: Processes) -> Platform:
    reason = why_no_cluster()
    if reason is not None:
        raise StackError(f"{reason}. Run this as root on Debian, or let KUBECONFIG name a kind cluster")
    with step(console, "Kubernetes: compile (a quarter of an hour, once)") as shown:
        run([NODE, "build"], shown)
        shown.say("")
    with step(console, "Kubernetes: one node") as shown:
        run([NODE, "up"], shown)
        shown.say("")
    return Platform(KubernetesApi(own_kubeconfig()), None, processes)


def _kind_cluster(processes: Processes) -> Platform:
    kubernetes = KubernetesApi(Path(os.environ["KUBECONFIG"]))
    context = kubernetes.kubectl("config", "current-context").strip()
    if not context.startswith("kind-"):
        raise StackError(
            f"KUBECONFIG names {context}, which is no kind cluster, and images can be put only on those. "
            "`skaffold run` builds them for any registry; `unset KUBECONFIG` takes the one-node cluster of this machine"
        )
    return Platform(kubernetes, context.removeprefix("kind-"), processes)


def _put_images(platform: Platform, console: Console) -> dict[str, str]:
    """Build the images and put them on the nodes; the tag of each, which changes with its content.

    So pods of an older image are replaced, and those of the same are left alone.
    """
    with step(console, "Images: build") as shown:
        run([str(REPOSITORY / "dev" / "images" / "build"), *IMAGES], shown)
        tags = {name: _tag(name) for name in IMAGES}
        shown.say("")
    load = [NODE, "load"] if platform.kind is None else ["kind", "load", "docker-image", "--name", platform.kind]
    with step(console, "Images: load") as shown:
        run([*load, *(f"{REPOSITORIES}/{name}:{tag}" for name, tag in tags.items())], shown)
        shown.say("")
    return tags


def _tag(name: str) -> str:
    """Tag a built image by its content; the tag."""
    # The two speak alike here. Docker comes first for `dev/images/build`, too.
    engine = "docker" if _output("docker", "info") is not None else "buildah"
    built = f"{REPOSITORIES}/{name}:dev"
    identity = _output(engine, "images", "--no-trunc", "--quiet", built)
    if not identity:
        raise StackError(f"{engine} has no image {built} although it was built just now; `{engine} images` lists them")
    tag = identity.strip().removeprefix("sha256:")[:12]
    _output(engine, "tag", built, f"{REPOSITORIES}/{name}:{tag}")
    return tag


def _output(*command: str) -> str | None:
    """What a command prints; None if it is not here, or fails."""
    if shutil.which(command[0]) is None:
        return None
    env = {**os.environ, "STORAGE_DRIVER": "overlay"}  # as dev/images/build
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)  # noqa: S603 - our own commands
    return done.stdout if done.returncode == 0 else None


def _install_kuberay(platform: Platform, console: Console) -> None:
    with step(console, "KubeRay") as shown:
        if platform.kind is None:
            run([NODE, "kuberay"], shown)
        elif not platform.kubernetes.succeeds("get", "customresourcedefinition", "rayservices.ray.io"):
            raise StackError(
                "this cluster has no KubeRay: helm install kuberay-operator kuberay-operator "
                "--repo https://ray-project.github.io/kuberay-helm --version 1.6.2"
            )


def _install_standins(platform: Platform, tags: Mapping[str, str], console: Console) -> None:
    with step(console, "Sample pictures, and a stand-in for Flickr that serves them") as shown:
        folder = cluster_home() / "pictures"
        count = write_pictures(downloads.stamps_dir(shown.receive), folder)
        if platform.kind is not None:
            node = f"{platform.kind}-control-plane"
            run(["docker", "exec", node, "mkdir", "-p", str(folder.parent)], shown)
            run(["docker", "cp", str(folder), f"{node}:{folder.parent}"], shown)
        manifest = (FOLDER / "standins.yaml").read_text().replace("PICTURES", str(folder))
        manifest = manifest.replace("flickr-standin:dev", f"flickr-standin:{tags['flickr-standin']}")
        platform.kubernetes.kubectl("apply", "--server-side", "--filename", "-", stdin=manifest)
        rollout = ("rollout", "status", "deployment/flickr", "--namespace", "standins", "--timeout", "120s")
        platform.kubernetes.kubectl(*rollout)
        shown.say(f"{count} pictures")


def write_pictures(stamps: Path, folder: Path) -> int:
    """Fill `folder` with some of the stamps and a manifest of them, unless that is done; how many they are."""
    manifest = folder / "manifest.jsonl"
    if not folder.exists():
        some = pictures.stamps(stamps)[::EVERY_NTH_STAMP]
        with downloads.new_directory(folder) as scratch:
            for stamp in some:
                target = scratch / stamp.path
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(stamps / stamp.path, target)
                if stamp.captions:
                    shutil.copy((stamps / stamp.path).with_suffix(".txt"), target.with_suffix(".txt"))
            pictures.write_manifest(some, scratch / manifest.name, base_url=PICTURES_URL, credit=pictures.STAMPS_CREDIT)
    return len(manifest.read_text().splitlines())


def _install_release(platform: Platform, tags: Mapping[str, str], console: Console) -> None:
    with step(console, "Helm: operator, search, MLflow, Kafka, Elasticsearch") as shown:
        kubernetes = platform.kubernetes
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": RELEASE, "labels": RESTRICTED}}
        kubernetes.kubectl("apply", "--server-side", "--filename", "-", stdin=json.dumps(namespace))
        chart = str(REPOSITORY / "charts" / "imagesearch")
        run(
            [
                *(program("helm"), "upgrade", "--install", RELEASE, chart, "--namespace", RELEASE),
                *("--kubeconfig", str(kubernetes.kubeconfig), "--values", str(FOLDER / "values.yaml")),
                *(argument for setting in _image_settings(tags) for argument in ("--set-string", setting)),
                *("--wait", "--timeout", "10m"),
            ],
            shown,
        )
        shown.say("")


def _image_settings(tags: Mapping[str, str]) -> list[str]:
    """The chart's values that name these images."""
    embedded = ("kafka", "elasticsearch")
    return [
        f"{name}.embedded.image.tag={tag}" if name in embedded else f"images.{name}.tag={tag}"
        for name, tag in tags.items()
        if name != "flickr-standin"
    ]


def _register_model(platform: Platform, console: Console) -> None:
    with step(console, f"Model: {servers.STARTER}") as shown:
        mlflow = platform.address(f"{RELEASE}-mlflow", 5000, RELEASE)
        name, version = servers.register_model(run_dir(), tracking_uri=mlflow)
        shown.say(f"registered as {name}, version {version}")


def wait_until_ready(kubernetes: KubernetesApi, name: str, namespace: str, shown: Step) -> str:
    """Wait until a collection is Ready and nothing is left to embed, showing how far it has come; what came out.

    Raises:
        StackError: it took too long; with what its status says.
    """
    deadline = time.monotonic() + READY_SECONDS
    while True:
        found = kubernetes.json("get", "imagecollection", name, "--namespace", namespace)
        status = found.get("status", {})
        said = progress(status)
        shown.say(said)
        if condition(status, "Ready").get("status") == "True" and status.get("images", {}).get("lag") == 0:
            return said
        if time.monotonic() > deadline:
            raise StackError(
                f"collection {name} is not Ready after {READY_SECONDS / 60:.0f} minutes. {said}. "
                f"`kubectl --namespace {namespace} describe ic {name}` tells more"
            )
        time.sleep(1)


def progress(status: Mapping[str, Any]) -> str:
    """One line about a collection, made of its status."""
    ready = condition(status, "Ready")
    if not ready:
        return "the operator has not looked at it yet"
    images = status.get("images", {})
    counts = f"{images.get('indexed', 0)} of {images.get('published', 0)} pictures can be searched"
    return counts if ready.get("status") == "True" else f"{counts}. {ready.get('reason')}: {ready.get('message')}"


def condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """One condition of a status; empty where it has none of that kind."""
    return next((found for found in status.get("conditions", []) if found["type"] == kind), {})


def _welcome(platform: Platform) -> list[str]:
    if platform.kind is not None:
        return [
            "kubectl get ic --watch",
            f"kubectl port-forward --namespace {RELEASE} service/{RELEASE}-search 8080:80",
            "[bold green]ready:[/bold green] http://127.0.0.1:8080, while that command runs",
        ]
    return [
        f"[dim]MLflow[/dim]        {platform.address(f'{RELEASE}-mlflow', 5000, RELEASE)}",
        *(f"[dim]Ray dashboard[/dim] {platform.address(head, 8265, 'default')}" for head in _ray_heads(platform)),
        '[dim]kubectl[/dim]       eval "$(dev/cluster/cluster env)"; kubectl get ic --watch',
        f"[bold green]ready:[/bold green] {platform.search_url}   [dim](`make cluster-down` removes it all)[/dim]",
    ]


def _ray_heads(platform: Platform) -> list[str]:
    """The Services of the collection's RayServices that lead to their dashboards."""
    found = platform.kubernetes.json("get", "rayservices.ray.io", "--namespace", "default")["items"]
    return [f"{service['metadata']['name']}-head-svc" for service in found]


def run(command: Sequence[str], shown: Step) -> None:
    """Run a command that says how far it has come, and show that; it is stopped if we are.

    Not under a guard (see `processes`): the cluster is to outlive us.

    Raises:
        StackError: it failed; with what it said last.
    """
    last: deque[str] = deque(maxlen=LAST_LINES)
    pipe: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, text=True, start_new_session=True, **pipe) as running:  # noqa: S603 - our own commands
        try:
            for line in running.stdout or ():
                last.append(line.rstrip())
                shown.say(line.strip())
        except BaseException:
            os.killpg(running.pid, signal.SIGTERM)
            running.wait()
            raise
    if running.returncode != 0:
        said = "\n".join(f"    {line}" for line in last)
        raise StackError(f"`{Path(command[0]).name} {command[1]}` failed (status {running.returncode}):\n{said}")
