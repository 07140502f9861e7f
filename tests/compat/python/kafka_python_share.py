"""Produces COUNT records with kafka-python under each codec of a protocol version, then reads the whole topic.

usage: kafka_python_share.py BOOTSTRAP TOPIC API_VERSION COUNT
API_VERSION is that of the oldest broker to work with, as in 0.8.2; `new` is what the broker says it has.
Prints `<offset> <value>` for every record of the topic (of one partition), in the order read.
"""

import sys
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

bootstrap, topic, version, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
options = {"bootstrap_servers": bootstrap}
if version != "new":
    options["api_version"] = tuple(int(part) for part in version.split("."))
for codec in [None, "gzip", "snappy", "lz4"]:
    producer = KafkaProducer(acks="all", compression_type=codec, linger_ms=20, **options)
    name = codec or "none"
    sent = [producer.send(topic, value=f"kafka-python-{version}-{name}-{n}".encode(), key=str(n).encode()) for n in range(count)]
    producer.flush(60)
    for future in sent:
        future.get(60)
    producer.close()

consumer = KafkaConsumer(
    topic,
    group_id=f"kafka-python-{version}",
    auto_offset_reset="earliest",
    enable_auto_commit=False,
    max_partition_fetch_bytes=4096,  # less than all there is, so that answers are cut
    fetch_max_wait_ms=100,
    **options,
)
partition = TopicPartition(topic, 0)
end = consumer.end_offsets([partition])[partition]
assert consumer.beginning_offsets([partition])[partition] == 0
deadline = time.monotonic() + 60
position = 0
while position < end:
    if time.monotonic() > deadline:
        sys.exit(f"read up to {position} of {end} in a minute")
    for messages in consumer.poll(timeout_ms=1000).values():
        for message in messages:
            print(message.offset, message.value.decode())
            position = message.offset + 1
consumer.commit()
assert consumer.committed(partition) == end
consumer.close()
