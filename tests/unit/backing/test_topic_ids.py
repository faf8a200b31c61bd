"""Topic ids are written as Kafka writes them, wherever they are learned."""

from confluent_kafka import Uuid

from schemas.backing.kafka import topic_id_text


def test_a_topic_id_is_kafkas_own_text() -> None:
    every_bit = Uuid(-1, -1)  # 16 bytes of ones: `//////////////////////` in the ordinary alphabet
    assert topic_id_text(every_bit) == "_" * 21 + "w"
