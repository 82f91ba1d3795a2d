"""How well the whole search finds what is right: `python bench/quality.py`, a few minutes; it starts what it needs.

The stamps and a part of OpenMoji are indexed with the starter model's vectors in an Elasticsearch of its own, and asked for by
words, by pictures and by both through `POST /search` (`imagesearch_stack.judged` has the queries). Printed are
recall@1/5/10, which is the share of queries with a right answer among the first so many, and nDCG@10 with its standard
error, for each kind of query and language.

    --write     keep the figures in dev/stack/tests/search_quality.json, below which a test lets nothing fall
"""

import argparse
import json
import tempfile
from pathlib import Path

from imagesearch_stack import judged, quality, servers
from imagesearch_stack.processes import Processes, free_port
from relevance import load_starter
from rich.console import Console

KEPT = Path(__file__).parents[1] / "dev" / "stack" / "tests" / "search_quality.json"


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    encoder = load_starter()
    with tempfile.TemporaryDirectory(prefix="imagesearch-quality-") as scratch, Processes() as processes:
        port = free_port()
        process = processes.add(servers.start_elasticsearch(Path(scratch), port))
        url = servers.wait_for_elasticsearch(process, port)
        measured = quality.measure(encoder, judged.test_set(), elasticsearch_url=url, run_dir=Path(scratch))
    console = Console(width=120, highlight=False)
    for name, rows in measured.items():
        console.print(judged.table(name, rows))
    if args.write:
        kept = judged.kept(encoder.info, measured)
        KEPT.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
