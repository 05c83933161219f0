// The browser's side of the push door: channels to listen to, over one WebSocket
// that comes back by itself. Knows nothing of what is pushed.
//
//     const push = new PushServer("wss://radio.example:5222");
//     push.subscribe("news", (message) => console.log(message));

"use strict";

class PushServer {
  // How long to wait before connecting again, in ms: at first, and at most. Up to
  // twice that by chance, so that a restart of the server is no storm.
  static #FIRST_WAIT = 500;
  static #LONGEST_WAIT = 15_000;

  // Close codes from here on mean that coming back is of no use.
  static #FOR_GOOD = 4500;

  #url;
  #socket = null;
  #uuid = null;
  #callbacks = new Map();
  // What is to be asked for, one after the other: each answer may bring what a channel
  // retains, and all at once would be more than the server holds for a slow page.
  #asks = [];
  #isAsking = false;
  #wait = PushServer.#FIRST_WAIT;
  #timer = null;
  #isOver = false;

  // Called with the client's UUID each time it is connected: it is another one then.
  // A backend has to know it to push to this client alone.
  onconnect = null;

  // Called with `{code, message, errorDetails}` where the server refuses something.
  onerror = ({ code, message, errorDetails }) =>
    console.warn(`push: ${code} ${message}: ${errorDetails}`);

  constructor(url) {
    // Wrong at once, or never: not at the first reconnection.
    this.#url = new URL(url, globalThis.location?.href).href.replace(/^http/, "ws");
    this.#connect();
  }

  // The client's UUID, or null while it is not connected.
  get uuid() {
    return this.#uuid;
  }

  // Calls back with each message of the channel, from now on and after each
  // reconnection. A second callback takes the place of the first.
  subscribe(channel, callback) {
    this.#mustGoOn();
    if (typeof callback !== "function") {
      throw new TypeError("the second argument is called with each message");
    }
    this.#callbacks.set(channel, callback);
    // Also where it has a callback: the channel may not have been there then, or have
    // been deleted since, of which the server says nothing.
    this.#ask("SUBSCRIBE", channel);
  }

  unsubscribe(channel) {
    this.#mustGoOn();
    if (this.#callbacks.delete(channel)) {
      this.#ask("UNSUBSCRIBE", channel);
    }
  }

  // Ends it for good.
  disconnect() {
    this.#isOver = true;
    this.#uuid = null;
    this.#callbacks.clear();
    clearTimeout(this.#timer);
    this.#socket?.close(1000);
  }

  #mustGoOn() {
    if (this.#isOver) {
      throw new Error("this client was disconnected");
    }
  }

  #connect() {
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      if (!this.#isOver) {
        this.#take(JSON.parse(data));
      }
    };
    socket.onclose = ({ code }) => {
      this.#uuid = null;
      this.#asks = [];
      this.#isAsking = false;
      if (code >= PushServer.#FOR_GOOD) {
        this.#isOver = true;
      }
      if (!this.#isOver) {
        this.#timer = setTimeout(() => this.#connect(), this.#wait * (1 + Math.random()));
        this.#wait = Math.min(this.#wait * 2, PushServer.#LONGEST_WAIT);
      }
    };
  }

  #take({ messageType, code, message, data }) {
    switch (messageType) {
      case "CLIENT_ACK":
        if (this.#uuid === null) {
          this.#uuid = data.uuid;
          this.#wait = PushServer.#FIRST_WAIT;
          for (const channel of this.#callbacks.keys()) {
            this.#ask("SUBSCRIBE", channel);
          }
          this.onconnect?.(data.uuid);
        } else {
          this.#answered();
        }
        break;
      case "CLIENT_PUSH":
        this.#callbacks.get(data.pushMessage.channel)?.(data.pushMessage.message);
        break;
      case "ERROR":
        this.#answered();
        this.onerror?.({ code, message, errorDetails: data.errorDetails });
        break;
    }
  }

  // Before it is connected there is nobody to ask; then all channels are asked for.
  #ask(action, channel) {
    if (this.#uuid !== null) {
      this.#asks.push({ messageType: "CLIENT_ACTION", action, data: { channel } });
      this.#askNext();
    }
  }

  #askNext() {
    if (!this.#isAsking && this.#asks.length > 0) {
      this.#isAsking = true;
      this.#socket.send(JSON.stringify(this.#asks.shift()));
    }
  }

  #answered() {
    this.#isAsking = false;
    this.#askNext();
  }
}

globalThis.PushServer = PushServer;
