"""Produces COUNT records with PyKafka under each codec it has, then reads the whole topic.

usage: pykafka_share.py BOOTSTRAP TOPIC BROKER_VERSION COUNT
Prints `<offset> <value>` for every record of the topic (of one partition), in the order read.
"""

import logging
import sys

from pykafka import KafkaClient
from pykafka.common import CompressionType, OffsetType

logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
bootstrap, topic, version, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
client = KafkaClient(hosts=bootstrap, broker_version=version)  # topics do not keep it
topic = client.topics[topic.encode()]
codecs = {
    "none": CompressionType.NONE,
    "gzip": CompressionType.GZIP,
    "snappy": CompressionType.SNAPPY,
    "lz4": CompressionType.LZ4,
}
for name, codec in codecs.items():
    # By default both take five seconds, and what is sent last may then be given up on a busy machine.
    with topic.get_producer(compression=codec, required_acks=-1, linger_ms=20, pending_timeout_ms=60_000) as producer:
        for number in range(count):
            producer.produce(f"pykafka-{version}-{name}-{number}".encode(), partition_key=str(number).encode())

consumer = topic.get_balanced_consumer(
    f"pykafka-{version}".encode(),
    managed=True,
    auto_offset_reset=OffsetType.EARLIEST,
    fetch_message_max_bytes=4096,  # less than all there is, so that answers are cut
    fetch_wait_max_ms=100,
)
end = topic.latest_available_offsets()[0].offset[0]
while True:
    message = consumer.consume()
    print(message.offset, message.value.decode())
    if message.offset + 1 >= end:
        break
consumer.commit_offsets()
consumer.stop()
