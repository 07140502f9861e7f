"""Deletes records with kafka-python's and confluent-kafka's admin clients and checks what they are told.

usage: delete_records.py BOOTSTRAP TOPIC            creates the topic, with 100 records in its one partition, deletes 50
       delete_records.py BOOTSTRAP TOPIC START      checks that the topic's one partition starts there and is readable
"""

import sys

from confluent_kafka import KafkaException
from confluent_kafka import TopicPartition as ConfluentPartition
from confluent_kafka.admin import AdminClient
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

bootstrap, topic = sys.argv[1], sys.argv[2]
servers = bootstrap.split(",")
at = TopicPartition(topic, 0)


def check_start(start):
    consumer = KafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest", enable_auto_commit=False)
    earliest = consumer.beginning_offsets([at])[at]
    assert earliest == start, f"the log starts at {earliest} instead of {start}"
    # A position before the start is out of range: the client goes to the earliest record there is.
    consumer.assign([at])
    consumer.seek(at, 0)
    records = []
    while not records:
        records = consumer.poll(timeout_ms=1000).get(at, [])
    first = records[0]
    assert (first.offset, first.value) == (start, str(start).encode()), f"{first.offset} {first.value!r}"
    consumer.close()


if len(sys.argv) > 3:
    check_start(int(sys.argv[3]))
    sys.exit(0)

admin = KafkaAdminClient(bootstrap_servers=servers)
admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=3)])
producer = KafkaProducer(bootstrap_servers=servers, acks="all", max_block_ms=120000)
sent = [producer.send(topic, partition=0, value=str(number).encode()) for number in range(100)]
producer.flush(120)
last = [future.get(60).offset for future in sent][-1]
assert last == 99, f"the last of 100 records got offset {last}"
producer.close()

result = admin.delete_records({at: 30})
assert result[at]["low_watermark"] == 30, result
check_start(30)
admin.close()

confluent = AdminClient({"bootstrap.servers": bootstrap})


def delete(offset):
    (future,) = confluent.delete_records([ConfluentPartition(topic, 0, offset)]).values()
    return future.result(60).low_watermark


deleted = delete(50)
assert deleted == 50, deleted
check_start(50)
try:
    delete(1000)
except KafkaException as error:
    assert error.args[0].name() == "OFFSET_OUT_OF_RANGE", error
else:
    sys.exit("records past the log's end were deleted")
