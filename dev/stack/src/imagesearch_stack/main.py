"""The command `imagesearch-dev`: demo, smoke, cluster, fetch, captions. `make` calls the first three."""

import argparse
import signal
import sys
from pathlib import Path

from rich.console import Console

from imagesearch_stack import StackError, downloads, pictures, servers
from imagesearch_stack.cluster import cluster_down, cluster_up
from imagesearch_stack.demo import demo
from imagesearch_stack.pipeline import FLICKR_ENDPOINT, Request
from imagesearch_stack.samples import SAMPLES
from imagesearch_stack.smoke import smoke
from imagesearch_stack.steps import step


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit status."""
    given = parser().parse_args(arguments)
    console = Console(stderr=False, highlight=False)
    # Taken as Ctrl-C, a SIGTERM unwinds everything that was started. SIGINT too is set: a shell that starts us in the
    # background has it ignored.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.default_int_handler)
    try:
        match given.command:
            case "demo":
                demo(Request(given.source, given.text, given.flickr_endpoint, given.model), console)
            case "smoke":
                smoke(console, browser=given.browser)
            case "cluster":
                (cluster_up if given.action == "up" else cluster_down)(console)
            case "fetch":
                fetch(console)
            case "captions":
                captions(given.file, console)
    except StackError as error:
        console.print(f"imagesearch-dev: {error}", style="red", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="imagesearch-dev", description="The whole pipeline on this machine.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("demo", help="start everything, fill it, search it; stay up until Ctrl-C")
    run.add_argument("--source", choices=[*SAMPLES, "flickr"], default="stamps")
    run.add_argument("--text", default="", help="what to search Flickr for")
    run.add_argument("--flickr-endpoint", default=FLICKR_ENDPOINT, help="address of a stand-in (see flickr-standin)")
    run.add_argument("--model", default=servers.STARTER, help="a Hugging Face id, or `starter` (the default)")
    check = commands.add_parser("smoke", help="start everything afresh, check real answers, stop")
    check.add_argument("--browser", action="store_true", help="run the web page's browser tests as well")
    kubernetes = commands.add_parser("cluster", help="the platform on a real Kubernetes, with a first collection")
    kubernetes.add_argument("action", choices=["up", "down"])
    commands.add_parser("fetch", help="download now what the other commands and the tests would download")
    write = commands.add_parser("captions", help="write the stamps' captions for `imagesearch-model evaluate`")
    write.add_argument("file", type=Path)
    return top


def fetch(console: Console) -> None:
    """Download everything that is downloaded at all."""
    with step(console, "Kafka, Elasticsearch and Spark's Kafka source") as shown:
        downloads.kafka_jars(shown.receive)
        downloads.spark_kafka_jars(shown.receive)
        servers.elasticsearch_home(shown.receive)
    for sample in SAMPLES.values():
        sample.fetch(console)


def captions(file: Path, console: Console) -> None:
    """Write the captions file of the stamps."""
    folder = downloads.stamps_dir()
    count = pictures.write_captions(pictures.stamps(folder), folder, file)
    console.print(f"{count} captioned pictures in {file}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
