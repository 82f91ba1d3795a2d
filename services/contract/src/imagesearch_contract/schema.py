"""`python -m imagesearch_contract.schema` prints the JSON Schema of the Kafka record, as committed in `record.schema.json`."""

import json
import sys

from imagesearch_contract.record import json_schema


def main() -> None:
    """Print the schema, indented, with a last newline."""
    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")


if __name__ == "__main__":
    main()
