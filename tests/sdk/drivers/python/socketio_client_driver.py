"""A driver (drivers/README.md) around socketIO-client and its forks.

Each client has a thread, in which the SDK waits for packets and reconnects. The thread that reads
the commands emits events, as the SDK sends its heartbeats from another thread.
"""

import json
import os
import sys
import threading
from importlib import import_module
from importlib.metadata import version
from urllib.parse import parse_qsl

# The package, the module in it, and a query for every connection.
PACKAGE, MODULE, QUERY = sys.argv[1:]
sdk = import_module(MODULE)

# How often a heartbeat ends a poll, in seconds: `disconnect` takes as long.
HURRY = 0.2
TRANSPORTS = {"polling": "xhr-polling", "websocket": "websocket"}

clients = {}
writing = threading.Lock()


def tell(**report):
    with writing:
        print(json.dumps(report), flush=True)


class Client:
    def __init__(self, command):
        self.name = command["id"]
        self.command = command
        self.is_connected = False
        # Held while an event is sent. Its ack can come before the answer to its POST, but is reported
        # after it: a scenario that cuts the connection earlier makes the SDK send it once more.
        self.emitting = threading.Lock()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        command = self.command
        client = self

        class Root(sdk.SocketIONamespace):
            # The SDK reports here that a connection is lost.
            def on_disconnect(self):
                client.disconnected()

        class Namespace(sdk.SocketIONamespace):
            def on_connect(self):
                client.connected(self._io)

            on_reconnect = on_connect

            def on_disconnect(self):
                client.disconnected()

            def on_error(self, *error):
                while isinstance(error, (list, tuple)):
                    error = error[0] if error else ""
                tell(id=client.name, on="error", message=str(error))

            def on_event(self, event, *args):
                if event in command["events"]:
                    tell(id=client.name, on="event", name=event, args=args)

        options = {"params": dict(parse_qsl(QUERY) + parse_qsl(command.get("query", "")))}
        if "transports" in command:
            options["transports"] = [TRANSPORTS[name] for name in command["transports"]]
        host, port = command["url"].rsplit(":", 1)
        self.socket = sdk.SocketIO(
            host, int(port), Root, hurry_interval_in_seconds=HURRY, **options
        )
        self.namespace = self.socket.define(Namespace, command["namespace"])
        self.socket.wait()

    def connected(self, socket):
        self.is_connected = True
        name = socket.transport_name
        transport = next(ours for ours, theirs in TRANSPORTS.items() if theirs == name)
        sid = socket._engineIO_session.id
        tell(id=self.name, on="connect", sid=sid, transport=transport)

    def disconnected(self):
        if self.is_connected:
            self.is_connected = False
            tell(id=self.name, on="disconnect", reason=None)

    def emit(self, command):
        args = list(command["args"])
        ack = command.get("ack")
        if ack is not None:
            args.append(lambda *said: self.acked(ack, said))
        with self.emitting:
            self.socket.emit(command["event"], *args, path=self.command["namespace"])

    def acked(self, ack, said):
        with self.emitting:
            tell(id=self.name, on="ack", ack=ack, args=said)

    def disconnect(self):
        # A client that is refused, or still connecting, has no socket yet: its constructor waits.
        if hasattr(self, "socket"):
            self.socket.disconnect()


tell(on="ready", version=version(PACKAGE))
for line in sys.stdin:
    command = json.loads(line)
    name = command["id"]
    if command["do"] == "connect":
        clients[name] = Client(command)
    elif command["do"] == "emit":
        clients[name].emit(command)
    else:
        threading.Thread(target=clients.pop(name).disconnect, daemon=True).start()
# Threads may still hold connections or try to connect.
os._exit(0)
