"""Writes a topic with one partition in every way a log can show, or prints what is in one.

usage: kafka_written.py BOOTSTRAP TOPIC write SMALL_SEGMENTS [transactions]
       kafka_written.py BOOTSTRAP TOPIC write-compacted    keys again and again, for Kafka's cleaner
       kafka_written.py BOOTSTRAP TOPIC append [keyed]    20 more records, keyed: none without a key
       kafka_written.py BOOTSTRAP TOPIC delete-records OFFSET    those below it
       kafka_written.py BOOTSTRAP TOPIC read    one line of JSON for each record, up to the end
"""

import json
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

bootstrap, topic, what = sys.argv[1:4]
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
FIRST_TIMESTAMP_MS = 1_700_000_000_000


def text(number):
    return f"value {number} " + "abcdefgh" * (number % 97)


def send(producer, numbers, keyed=False):
    failed = []
    for number in numbers:
        key = None if number % 5 == 0 and not keyed else f"key {number % 7}"
        value = None if number % 11 == 10 else text(number)
        headers = [("trace", str(number).encode()), ("empty", b"")] if number % 3 == 0 else None
        producer.produce(
            topic,
            key=key,
            value=value,
            headers=headers,
            partition=0,
            timestamp=FIRST_TIMESTAMP_MS + number,
            on_delivery=lambda error, _: failed.append(error) if error else None,
        )
        if number % 20 == 19:
            producer.flush(120)
    left = producer.flush(120)
    assert left == 0 and not failed, f"{left} left, {len(failed)} failed: {failed[:1]}"


def producer(codec, **more):
    return Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "linger.ms": 20, **more})


def create(config):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(topic, 1, 1, config=config)]).values():
        future.result(60)


def large(producer, number, key=None):
    producer.produce(topic, key=key, value=b"x" * 30_000, partition=0, timestamp=FIRST_TIMESTAMP_MS + number)
    producer.flush(120)


def write():
    config = {"index.interval.bytes": "1024", "retention.ms": "-1"}
    if sys.argv[4] == "small-segments":
        config["segment.bytes"] = str(1 << 20)
    create(config)
    number = 0
    for codec in CODECS:
        for more in ({}, {"enable.idempotence": True}):
            send(producer(codec, **more), range(number, number + 60))
            number += 60
    # Enough for a second segment.
    plain = producer("none")
    for _ in range(40):
        large(plain, number)
    if "transactions" in sys.argv:
        transactional = producer("lz4", **{"transactional.id": "writer"})
        transactional.init_transactions(60)
        for commit in (True, False, True, False):
            transactional.begin_transaction()
            send(transactional, range(number, number + 10))
            number += 10
            if commit:
                transactional.commit_transaction(60)
            else:
                transactional.abort_transaction(60)


def write_compacted():
    create(
        {
            "cleanup.policy": "compact",
            "index.interval.bytes": "1024",
            "min.cleanable.dirty.ratio": "0.01",
            "segment.bytes": str(1 << 20),
        }
    )
    # Three segments and a bit: what is left of the first ones is far less than one.
    for turn, codec in enumerate(["none", "lz4", "zstd"]):
        numbers = range(turn * 120, turn * 120 + 120)
        send(producer(codec, **{"enable.idempotence": turn == 1}), numbers, keyed=True)
        plain = producer("none")
        for n in range(36):
            large(plain, numbers[-1], f"large {n % 3}")


def delete_records():
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.delete_records([TopicPartition(topic, 0, int(sys.argv[4]))]).values():
        future.result(60)


def read():
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "readers",
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "isolation.level": "read_uncommitted",
        }
    )
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    while True:
        record = consumer.poll(60)
        assert record is not None, "no record and no end within a minute"
        if record.error():
            assert record.error().code() == KafkaError._PARTITION_EOF, record.error()
            # So that there is a group's record to look at, too.
            consumer.commit(offsets=[TopicPartition(topic, 0, record.offset())], asynchronous=False)
            break
        headers = [(name, value.decode()) for name, value in record.headers() or []]
        key = record.key().decode() if record.key() is not None else None
        value = record.value().decode() if record.value() is not None else None
        print(json.dumps([record.offset(), record.timestamp(), key, value, headers]))
    consumer.close()


if what == "read":
    read()
elif what == "append":
    send(producer("zstd"), range(20_000, 20_020), keyed="keyed" in sys.argv)
elif what == "write-compacted":
    write_compacted()
elif what == "delete-records":
    delete_records()
else:
    write()
