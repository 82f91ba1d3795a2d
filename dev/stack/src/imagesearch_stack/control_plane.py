"""A Kubernetes API without nodes: etcd, the API server and the controllers, on free ports of the loopback interface.

What it stores it validates, defaults, garbage-collects and counts as any cluster does; only no pod ever runs. It needs
no root. Tests and benchmarks call it; the binaries are those of the one-node cluster (`dev/cluster/cluster build`).
"""

import datetime
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from imagesearch_stack import StackError, downloads
from imagesearch_stack.processes import Process, Processes, free_port
from imagesearch_stack.servers import answers_ok

READY_SECONDS: Final = 180.0
CRD_SECONDS: Final = 60.0
BINARIES: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")


class KubernetesApi:
    """A running API server, as its administrator sees it."""

    def __init__(self, kubeconfig: Path) -> None:
        """Take the kubeconfig that opens it."""
        self.kubeconfig = kubeconfig
        self.command: Final = (program("kubectl"), "--kubeconfig", str(kubeconfig))
        """The beginning of every call of kubectl."""

    @property
    def url(self) -> str:
        """The address of the server."""
        return self.kubectl("config", "view", "--minify", "--output", "jsonpath={.clusters[0].cluster.server}")

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl; its standard output.

        Raises:
            StackError: it failed; with what it said.
        """
        command = [*self.command, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)  # noqa: S603 - our own
        if done.returncode != 0:
            raise StackError(f"`kubectl {' '.join(arguments)}` failed: {done.stderr.strip()}")
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """What kubectl prints as JSON."""
        return json.loads(self.kubectl(*arguments, "--output", "json"))

    def objects(self, *arguments: str) -> list[Any]:
        """The objects that kubectl prints, be they one or many."""
        printed = self.json(*arguments)
        return printed["items"] if printed["kind"] == "List" else [printed]

    def succeeds(self, *arguments: str) -> bool:
        """Whether kubectl succeeds."""
        try:
            self.kubectl(*arguments)
        except StackError:
            return False
        return True

    def apply_crds(self, *files: Path) -> None:
        """Apply the CRDs in these files, and wait until they can be used."""
        given = [argument for file in files for argument in ("-f", str(file))]
        # Server-side: KubeRay's are too large for the annotation that kubectl would keep of them.
        self.kubectl("apply", "--server-side", "--force-conflicts", *given)
        # kubectl cannot wait for a condition of an object that has no conditions yet, as one just created.
        deadline = time.monotonic() + CRD_SECONDS
        while not all(map(established, self.objects("get", *given))):
            if time.monotonic() > deadline:
                raise StackError(
                    f"these CRDs were not established within {CRD_SECONDS:.0f} s: {', '.join(map(str, files))}"
                )
            time.sleep(0.1)


def established(crd: Any) -> bool:
    """Whether the API server serves what a CRD defines."""
    conditions = crd.get("status", {}).get("conditions") or []
    return any(condition["type"] == "Established" and condition["status"] == "True" for condition in conditions)


def cluster_home() -> Path:
    """Where the one-node cluster keeps what was built for it: `$CLUSTER_HOME`, or `cluster` in the cache."""
    return Path(os.environ.get("CLUSTER_HOME") or downloads.cache_dir() / "cluster")


def binary(name: str) -> Path:
    """The path of one of the cluster's programs, built or not."""
    return cluster_home() / "bin" / name


def program(name: str) -> str:
    """The command of a program that was built for the cluster, or is installed.

    Raises:
        StackError: it is neither; the message says what to do.
    """
    found = shutil.which(name, path=f"{binary(name).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        raise StackError(f"missing: {name}. Install it, or build it: `make cluster-build`")
    return found


def kuberay_crds() -> tuple[Path, ...]:
    """The files of KubeRay's CRDs."""
    return tuple(sorted((cluster_home() / "kuberay").glob("ray.io_*.yaml")))


def check_built() -> None:
    """Find out whether the programs are there, before anything begins.

    Raises:
        StackError: some are not; the message says how to get them.
    """
    missing = [name for name in BINARIES if not binary(name).exists()]
    if missing or not kuberay_crds():
        raise StackError(
            f"not built yet: {', '.join(missing or ['KubeRay'])}. `make cluster-build` does it, once: it needs Go 1.26 or "
            "later (https://go.dev/dl) and about 10 minutes on two cores"
        )


@contextmanager
def control_plane(run_dir: Path) -> Iterator[KubernetesApi]:
    """Run an empty control plane whose data and logs are in `run_dir` while the block lasts."""
    with Processes() as processes:
        yield start_control_plane(run_dir, processes)


def start_control_plane(run_dir: Path, processes: Processes) -> KubernetesApi:
    """Start an empty control plane, among `processes`, and wait until it can be used."""
    check_built()
    home = run_dir / "kubernetes"
    home.mkdir(parents=True)
    token = secrets.token_urlsafe(32)
    _write_secret(home / "tokens.csv", f'{token},admin,admin,"system:masters"\n')
    _write_credentials(home)
    etcd_url = _start_etcd(home, processes)
    port = free_port()
    api = KubernetesApi(home / "kubeconfig")
    _write_secret(api.kubeconfig, kubeconfig(f"https://127.0.0.1:{port}", home / "server.crt", token))
    server = processes.add(_start_api_server(home, port, etcd_url))
    server.wait_until(lambda: api.succeeds("get", "--raw", "/readyz"), within_seconds=READY_SECONDS)
    controllers = processes.add(_start_controllers(home, api))
    # The last thing that a pod needs; when it is there the controllers are at work.
    controllers.wait_until(lambda: api.succeeds("get", "serviceaccount", "default"), within_seconds=READY_SECONDS)
    return api


def kubeconfig(url: str, ca: Path, token: str) -> str:
    """The kubeconfig of a user who has a token."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "local", "cluster": {"server": url, "certificate-authority": str(ca)}}],
            "users": [{"name": "admin", "user": {"token": token}}],
            "contexts": [{"name": "local", "context": {"cluster": "local", "user": "admin"}}],
            "current-context": "local",
        }
    )


def _start_etcd(home: Path, processes: Processes) -> str:
    url, peer_url = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    etcd = Process(
        "etcd",
        [
            *(str(binary("etcd")), "--data-dir", str(home / "etcd"), "--unsafe-no-fsync", "--log-level", "warn"),
            *("--listen-client-urls", url, "--advertise-client-urls", url),
            *("--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url),
            *("--initial-cluster", f"default={peer_url}"),
        ],
        log=home / "logs" / "etcd.log",
    )
    processes.add(etcd).wait_until(lambda: answers_ok(f"{url}/health"), within_seconds=READY_SECONDS)
    return url


def _start_api_server(home: Path, port: int, etcd_url: str) -> Process:
    return Process(
        "kube-apiserver",
        [
            *(str(binary("kube-apiserver")), "--etcd-servers", etcd_url),
            *("--bind-address", "127.0.0.1", "--secure-port", str(port)),
            *("--advertise-address", "127.0.0.1", "--endpoint-reconciler-type", "none"),
            *("--tls-cert-file", str(home / "server.crt"), "--tls-private-key-file", str(home / "server.key")),
            *("--cert-dir", str(home / "certs"), "--token-auth-file", str(home / "tokens.csv")),
            *("--service-account-key-file", str(home / "accounts.key")),
            *("--service-account-signing-key-file", str(home / "accounts.key")),
            *("--service-account-issuer", "https://kubernetes.default.svc"),
            *("--service-cluster-ip-range", "198.19.0.0/16", "--authorization-mode", "RBAC", "--allow-privileged"),
        ],
        log=home / "logs" / "kube-apiserver.log",
    )


def _start_controllers(home: Path, api: KubernetesApi) -> Process:
    return Process(
        "kube-controller-manager",
        [
            *(str(binary("kube-controller-manager")), "--kubeconfig", str(api.kubeconfig), "--leader-elect=false"),
            *("--secure-port", "0"),
            *("--service-account-private-key-file", str(home / "accounts.key")),
            *("--root-ca-file", str(home / "server.crt")),
        ],
        log=home / "logs" / "kube-controller-manager.log",
    )


def _write_credentials(home: Path) -> None:
    """Write a certificate that vouches for itself, and the key that signs service accounts' tokens."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")]),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    (home / "server.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    _write_secret(home / "server.key", _pem(key))
    _write_secret(home / "accounts.key", _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)))


def _pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
