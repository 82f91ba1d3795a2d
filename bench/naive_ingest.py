"""Kafka to Elasticsearch as one writes it on the first day; `ingest` measures it beside ours.

One record after the other: poll, `requests.get`, `Image.open`, the processor and the model of transformers (fp32, all
cores), one `index` call. It does what the page of each library shows. It has no fetch limits, no dead letters and no
answer to a restart: whatever is wrong ends it.

    python bench/naive_ingest.py MODEL_FOLDER BOOTSTRAP_SERVERS TOPIC ELASTICSEARCH_URL INDEX
"""

import json
import sys
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import requests
import torch
from confluent_kafka import Consumer
from elasticsearch import Elasticsearch
from PIL import Image
from transformers import CLIPModel, CLIPProcessor


def main() -> None:
    """Index every record of the topic, for ever; says `ready` once the model is loaded."""
    model_folder, bootstrap_servers, topic, elasticsearch_url, index = sys.argv[1:]
    model: Any = CLIPModel.from_pretrained(model_folder)
    processor: Any = CLIPProcessor.from_pretrained(model_folder)
    elasticsearch = Elasticsearch(elasticsearch_url)
    consumer = Consumer(
        {"bootstrap.servers": bootstrap_servers, "group.id": f"naive-{topic}", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    print("ready", flush=True)
    while True:
        message = consumer.poll(1.0)
        if message is None or message.error():
            continue
        record = json.loads(message.value() or b"")
        answer = requests.get(record["url"], timeout=10)
        answer.raise_for_status()
        image = Image.open(BytesIO(answer.content)).convert("RGB")
        with torch.no_grad():
            inputs = processor(images=image, return_tensors="pt")
            features = model.get_image_features(**inputs).pooler_output
        vector = torch.nn.functional.normalize(features, dim=-1)[0].tolist()
        document = {**record, "embedding": vector, "indexed_at": datetime.now(UTC).isoformat()}
        elasticsearch.index(index=index, id=record["id"], document=document)


if __name__ == "__main__":
    main()
