// The same room on Socket.IO's own server: one room, JOIN with an answer, and
// POST to publish. Prints where it listens.
import { createServer } from "node:http";
import { Server } from "socket.io";

let number = 0;
const offset = () => `node-${number}`;

const http = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const message = JSON.parse(Buffer.concat(chunks).toString());
    number += 1;
    const time = new Date().toISOString();
    bus.to("r").emit("EVENT", { sender: "POST", room: "r", message, offset: offset(), time });
    response.end("OK");
  });
});

const bus = new Server(http).of("/bus");
bus.on("connection", (socket) => {
  socket.on("JOIN", ({ room }, answer) => {
    socket.join(room);
    answer({ status: "ok", room, offset: offset() });
  });
});

http.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  console.error(`clients: 127.0.0.1:${http.address().port}`);
});
