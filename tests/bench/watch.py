"""Watchers of events, in a process of their own: they count messages' events, and read nothing in them.

    python -m tests.bench.watch TARGET WATCHERS BATCHED

Says `ready` when all streams are open, and at end of input how many events each has had, as JSON.
"""

import asyncio
import json
import sys

import grpc
from optin.v1 import event_service_pb2 as pb

WATCH = "/optin.v1.EventService/WatchEvents"
TYPES = ["assignment.created"]
DRAINED_SECONDS = 1.0  # without an event: all have come


class Watcher:
    """One stream; begun again after its last event when the server lets it go as too slow."""

    def __init__(self, channel: grpc.aio.Channel, *, batched: bool) -> None:
        self.events = 0
        self.resumed = 0
        self._after = ""
        self._batched = batched
        self._open = channel.unary_stream(
            WATCH,
            request_serializer=pb.WatchEventsRequest.SerializeToString,
            response_deserializer=pb.WatchEventsResponse.FromString,
        )

    async def run(self) -> None:
        while True:
            request = pb.WatchEventsRequest(after=self._after, types=TYPES, batched=self._batched)
            try:
                async for message in self._open(request):
                    told = message.events or [message.event]
                    self.events += len(told)
                    self._after = told[-1].id
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                    raise
                self.resumed += 1


async def main(target: str, count: int, *, batched: bool) -> None:
    async with grpc.aio.insecure_channel(target) as channel:
        await channel.channel_ready()
        watchers = [Watcher(channel, batched=batched) for _ in range(count)]
        tasks = [asyncio.create_task(watcher.run()) for watcher in watchers]
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        seen = -1
        while seen != (seen := sum(watcher.events for watcher in watchers)):
            await asyncio.sleep(DRAINED_SECONDS)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        if broken := [end for end in ended if not isinstance(end, asyncio.CancelledError)]:
            raise SystemExit(f"a watcher ended: {broken[0]!r}")
    print(json.dumps([(watcher.events, watcher.resumed) for watcher in watchers]))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), batched=sys.argv[3] == "batched"))
