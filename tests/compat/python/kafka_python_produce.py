"""Produces numbered records with kafka-python and prints each ack as `ack <partition> <value>`.

usage: kafka_python_produce.py BOOTSTRAP TOPIC COUNT
Creates the topic first, with 3 partitions and replication factor 3. The producer is idempotent.
"""

import sys
import time

from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

bootstrap, topic, count = sys.argv[1].split(","), sys.argv[2], int(sys.argv[3])

admin = KafkaAdminClient(bootstrap_servers=bootstrap)
admin.create_topics([NewTopic(topic, num_partitions=3, replication_factor=3)])
admin.close()

failed = []


def acked(value, metadata):
    print("ack", metadata.partition, value, flush=True)


producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, max_block_ms=120000)
for number in range(count):
    value = str(number)
    future = producer.send(topic, value=value.encode(), key=value.encode())
    future.add_callback(acked, value).add_errback(failed.append)
    time.sleep(0.001)  # a pace, so that a node can be lost in mid-stream
producer.flush(120)
producer.close()
if failed:
    sys.exit(f"{len(failed)} records failed, the first with {failed[0]!r}")
