"""A driver (drivers/README.md) around python-socketio, any version.

By its asyncio client: the other one handles each packet in a thread of its own,
so that its users can't see in which order events came.
"""

import asyncio
import json
import os
import sys
from importlib.metadata import version

import socketio

clients = {}


def tell(**report):
    print(json.dumps(report), flush=True)


async def connect(command):
    name = command["id"]
    namespace = command["namespace"]
    client = socketio.AsyncClient(
        reconnection_delay=0.02, reconnection_delay_max=0.2, randomization_factor=0
    )
    clients[name] = (client, namespace)

    def connected():
        # 4.x has one id for all namespaces.
        ids = getattr(client, "get_sid", None)
        sid = ids(namespace) if ids else client.sid
        tell(id=name, on="connect", sid=sid, transport=client.transport())

    def refused(*error):
        said = error[0] if error else None
        if isinstance(said, dict):
            said = said.get("message", said)
        tell(id=name, on="connect_error", message=str(said))

    def listen(event):
        def heard(*args):
            tell(id=name, on="event", name=event, args=args)

        client.on(event, heard, namespace=namespace)

    client.on("connect", connected, namespace=namespace)
    client.on("connect_error", refused, namespace=namespace)
    client.on(
        "disconnect",
        lambda *reason: tell(id=name, on="disconnect", reason=reason),
        namespace=namespace,
    )
    for event in command["events"]:
        listen(event)
    query = "?" + command["query"] if "query" in command else ""
    try:
        await client.connect(
            command["url"] + query,
            transports=command.get("transports"),
            namespaces=[namespace],
        )
    except socketio.exceptions.ConnectionError as error:
        # In 5.x this is said a second time where a namespace was refused.
        tell(id=name, on="connect_error", message=str(error))


async def emit(command):
    name = command["id"]
    client, namespace = clients[name]
    args = command["args"]
    ack = command.get("ack")

    def answer(*said):
        tell(id=name, on="ack", ack=ack, args=said)

    await client.emit(
        command["event"],
        tuple(args) if args else None,
        namespace=namespace,
        callback=None if ack is None else answer,
    )


async def main():
    tell(on="ready", version=version("python-socketio"))
    lines = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    under_way = set()

    def begin(what):
        task = asyncio.create_task(what)
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    while line := await lines.readline():
        command = json.loads(line)
        if command["do"] == "connect":
            # It is over when the namespace is open: others must not wait for it.
            begin(connect(command))
        elif command["do"] == "emit":
            await emit(command)
        else:
            client, _ = clients.pop(command["id"])
            begin(client.disconnect())
    # Connections may still be open, or trying to be.
    os._exit(0)


asyncio.run(main())
