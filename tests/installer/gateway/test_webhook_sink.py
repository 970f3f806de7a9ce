"""The webhook over real HTTP: signed, in order, at least once with a key, with retries while the receiver fails."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Sequence

import pytest
from pydantic import SecretStr

from installer.errors import ErrorCode, InstallerError
from installer.gateway.delivery import DELIVERY_BACKOFF, Delivery, DeliveryResult, retry_wait
from installer.gateway.outbox import Item, Outbox, SinkCounts
from installer.gateway.sinks import RefusedItem, SinkFailure
from installer.gateway.webhook_sink import WebhookSink, check_url, signature, signing_key
from installer.timing.backoff import Backoff
from tests.installer.cloud.world import free_port
from tests.installer.gateway.support import ONE, OTHER, SOON, Receiver, delivering, receiver, until, waiting, weighed

KEY = SecretStr("whsec_" + base64.b64encode(b"k" * 32).decode())


def webhook(to: Receiver | str, **more: float) -> WebhookSink:
    return WebhookSink(to if isinstance(to, str) else to.url, lambda: KEY, seconds=5, **more)


def fill(outbox: Outbox, *numbers: int, device: str = ONE) -> list[str]:
    items = [weighed(number, device) for number in numbers]
    for item in items:
        outbox.append(item, ["webhook"])
    return [item.key for item in items]


async def test_a_measurement_arrives_signed(outbox: Outbox) -> None:
    item = weighed(72_350, taken=1798761600.0)
    key = item.key
    outbox.append(item, ["webhook"])
    async with receiver() as to:
        assert await Delivery(outbox, [webhook(to)]).deliver_once()
    assert to.got == [
        {
            "version": 1,
            "type": "measurement",
            "id": key,
            "device": ONE,
            "model": "body",
            "account": "",
            "profile": "weight",
            "taken": "2027-01-01T00:00:00+00:00",
            "received": "2027-01-01T00:00:00+00:00",
            "user": None,
            "readings": [{"quantity": "weight", "value": "72.35", "unit": "kg"}],
            "raw": (72_350).to_bytes(4, "little").hex(),
        }
    ]
    headers = to.headers[0]
    assert headers["idempotency-key"] == headers["webhook-id"] == key
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    # Checked as the specification says, with nothing of this program.
    signed = f"{key}.{headers['webhook-timestamp']}.".encode() + to.bodies[0]
    expected = base64.b64encode(hmac.new(b"k" * 32, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


def test_the_signature_is_the_one_of_the_specification() -> None:
    # The example of the Standard Webhooks libraries' tests.
    key = signing_key(SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    body = b'{"test": 2432232314}'
    made = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_receiver_in_trouble_gets_everything_in_order_when_it_is_well_again(outbox: Outbox) -> None:
    first = fill(outbox, 1, 2, 3)
    other = fill(outbox, 4, 5, device=OTHER)
    told: list[DeliveryResult] = []
    async with (
        receiver(503, 500, 408, 429, 502, 204) as to,
        delivering(Delivery(outbox, [webhook(to)], SOON, on_result=told.append)),
    ):
        await until(lambda: not waiting(outbox, "webhook"))
    taken = to.taken()
    assert [key for key in taken if key in first] == first
    assert [key for key in taken if key in other] == other
    assert len(taken) == len(set(taken)) == 5
    assert [d.failure.code for d in told if d.failure] == [ErrorCode.CLOUD_UNREACHABLE] * 5


class DefectiveSink(WebhookSink):
    """A sink with a defect that nobody has found yet."""

    name = "defective"

    async def deliver(self, items: Sequence[Item]) -> Sequence[RefusedItem]:
        raise TypeError(f"the text of the error may hold {KEY.get_secret_value()}")


async def test_a_sink_with_a_defect_stops_no_other(outbox: Outbox) -> None:
    outbox.append(weighed(1), ["defective", "webhook"])
    told: list[DeliveryResult] = []
    async with receiver() as to:
        broken = DefectiveSink(to.url, lambda: KEY)
        async with delivering(Delivery(outbox, [broken, webhook(to)], SOON, on_result=told.append)):
            await until(lambda: not waiting(outbox, "webhook") and any(d.failure for d in told))
    failure = next(d.failure for d in told if d.failure)
    assert failure.code is ErrorCode.INTERNAL
    assert "TypeError at test_webhook_sink.py" in failure.what
    assert KEY.get_secret_value() not in str(failure)
    assert waiting(outbox, "defective") == 1


async def test_an_answer_that_got_lost_makes_it_come_twice_under_one_key(outbox: Outbox) -> None:
    (key,) = fill(outbox, 1)
    async with receiver() as to:
        hook = webhook(to)
        item = outbox.next_items("webhook", ONE)[0]
        await hook.deliver([item])  # and the gateway is killed before it could note that
        await hook.close()
        assert await Delivery(outbox, [webhook(to)]).deliver_once()
    assert [got["id"] for got in to.got] == [key, key]
    assert to.bodies[0] == to.bodies[1]


async def test_what_the_receiver_will_never_take_does_not_hold_up_the_rest(outbox: Outbox) -> None:
    keys = fill(outbox, 1, 2, 3)
    async with receiver(204, 422, 204) as to:
        assert await Delivery(outbox, [webhook(to)]).deliver_once()
    assert to.taken() == [keys[0], keys[2]]
    assert outbox.counts() == {"webhook": SinkCounts(0, 1)}


async def test_a_receiver_that_refuses_everything_is_in_trouble_itself(outbox: Outbox) -> None:
    fill(outbox, *range(20))
    async with receiver(400) as to:
        assert not await Delivery(outbox, [webhook(to)]).deliver_once()
        assert len(to.got) == 6
    assert outbox.counts() == {"webhook": SinkCounts(15, 5)}


@pytest.mark.parametrize("status", [401, 403, 404, 410, 301])
async def test_a_wrong_address_or_key_is_told_and_nothing_is_lost(outbox: Outbox, status: int) -> None:
    fill(outbox, 1)
    async with receiver(status) as to:
        hook = webhook(to)
        with pytest.raises(SinkFailure) as caught:
            await hook.deliver(outbox.next_items("webhook", ONE))
        await hook.close()
    error = caught.value.error
    assert error.code is ErrorCode.CLOUD_FAILED
    assert str(status) in error.what
    assert "secret-path" not in f"{error} {error!r} {error.data}"
    assert waiting(outbox, "webhook") == 1


@pytest.mark.parametrize(
    ("after", "seconds"), [("7", 7.0), ("Thu, 01 Jan 2026 00:02:00 GMT", 120.0), ("soon", None), ("-5", None)]
)
async def test_the_receiver_says_when_to_come_back(outbox: Outbox, after: str, seconds: float | None) -> None:
    fill(outbox, 1)
    async with receiver((503, {"Retry-After": after})) as to:
        hook = WebhookSink(to.url, lambda: KEY, clock=lambda: 1767225600.0)  # 2026-01-01
        with pytest.raises(SinkFailure) as caught:
            await hook.deliver(outbox.next_items("webhook", ONE))
        await hook.close()
    assert caught.value.retry_after == seconds


def test_backoff_grows_has_a_random_part_and_follows_retry_after() -> None:
    for failures, longest in ((1, 2.0), (2, 4.0), (5, 32.0), (9, 300.0), (10_000, 300.0)):
        waits = {retry_wait(DELIVERY_BACKOFF, failures) for _ in range(50)}
        assert len(waits) > 1
        assert longest / 2 <= min(waits)
        assert max(waits) <= longest
    assert retry_wait(DELIVERY_BACKOFF, 1, 60.0) == 60.0
    assert retry_wait(DELIVERY_BACKOFF, 1, 1e9) == 3600.0


async def test_nobody_listens_and_the_address_is_not_told(outbox: Outbox) -> None:
    fill(outbox, 1)
    hook = webhook(f"http://127.0.0.1:{free_port()}/hooks/secret-path")
    told: list[DeliveryResult] = []
    delivery = Delivery(outbox, [hook], on_result=told.append)
    assert not await delivery.deliver_once()
    await delivery.close()
    (result,) = told
    assert result.failure is not None
    assert result.failure.code is ErrorCode.CLOUD_UNREACHABLE
    assert "secret-path" not in result.failure.what
    noted = outbox.rows("SELECT * FROM sinks")[0]
    assert noted["failing_since"] is not None
    assert "secret-path" not in noted["failure"]
    assert KEY.get_secret_value() not in outbox.path.read_bytes().decode("latin-1")


async def test_waking_ends_the_waiting(outbox: Outbox) -> None:
    fill(outbox, 1)
    async with receiver(503, 204) as to:
        delivery = Delivery(outbox, [webhook(to)], Backoff(1000.0, 1000.0))
        async with delivering(delivery):
            await until(lambda: len(to.got) == 1)
            delivery.notify_new_items()  # new items alone do not end the wait
            await asyncio.sleep(0.05)
            assert len(to.got) == 1
            delivery.wake()
            await until(lambda: not waiting(outbox, "webhook"))


async def test_a_sink_that_fails_holds_up_no_other(outbox: Outbox) -> None:
    for number in range(3):
        outbox.append(weighed(number), ["webhook", "other"])
    async with receiver(503) as ill, receiver(204) as well:
        other = webhook(well)
        other.name = "other"
        async with delivering(Delivery(outbox, [webhook(ill), other], Backoff(1000.0, 1000.0))):
            await until(lambda: not waiting(outbox, "other"))
    assert waiting(outbox, "webhook") == 3


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/x",
        "ftp://example.org",
        "https://",
        "https://a:b@example.org/",
        "nonsense",
        "https://x:99999/",
    ],
)
def test_an_address_that_is_not_fit_for_health_data_is_refused_unrepeated(url: str) -> None:
    with pytest.raises(InstallerError) as caught:
        check_url(url)
    assert caught.value.code is ErrorCode.USAGE
    assert len(url) < 9 or url not in str(caught.value)


@pytest.mark.parametrize(
    "key", ["tooshortkey", "whsec_not base64!", "whsec_" + base64.b64encode(b"short").decode(), ""]
)
def test_a_weak_key_is_refused_unrepeated(key: str) -> None:
    with pytest.raises(InstallerError) as caught:
        signing_key(SecretStr(key))
    assert caught.value.code is ErrorCode.SECRET_UNAVAILABLE
    assert not key or key not in str(caught.value)


async def test_a_measurement_that_is_damaged_in_the_outbox_is_told_and_holds_up_no_other(outbox: Outbox) -> None:
    ids = fill(outbox, 1, 2, 3)
    outbox.write(
        "damage it",
        lambda connection: connection.execute("UPDATE items SET measurement = '{' WHERE key = ?", (ids[1],)),
    )
    told: list[DeliveryResult] = []
    async with receiver() as to:
        await Delivery(outbox, [webhook(to)], on_result=told.append).deliver_once()
    assert to.taken() == [ids[0], ids[2]]
    assert outbox.counts()["webhook"].refused == 1
    [failure] = [one.failure for one in told if one.failure is not None]
    assert failure.code is ErrorCode.OUTBOX_INVALID
    assert ONE in failure.what
