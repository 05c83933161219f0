// A driver (drivers/README.md) around socket.io-client, any version:
// node driver.js PACKAGE, the name under which the version is installed.

import { createRequire } from 'node:module';
import readline from 'node:readline';

const require = createRequire(import.meta.url);
const [packageName] = process.argv.slice(2);
const io = require(packageName);

const sockets = new Map();

function tell(report) {
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

// What an error says: a string in 1.x and 2.x, an Error later.
function words(error) {
  return error?.message ?? (typeof error === 'string' ? error : JSON.stringify(error));
}

const COMMANDS = {
  connect({ id, url, namespace, query, transports, events }) {
    const socket = io(url + namespace + (query ? `?${query}` : ''), {
      ...(transports && { transports }),
      forceNew: true,
      reconnectionDelay: 20,
      reconnectionDelayMax: 200,
    });
    sockets.set(id, socket);
    socket.on('connect', () => {
      const { engine } = socket.io;
      engine.on('upgrade', ({ name }) => tell({ id, on: 'upgrade', transport: name }));
      tell({ id, on: 'connect', sid: socket.id, transport: engine.transport.name });
    });
    socket.on('disconnect', (reason) => tell({ id, on: 'disconnect', reason }));
    for (const on of ['connect_error', 'error']) {
      socket.on(on, (error) => tell({ id, on, message: words(error) }));
    }
    for (const name of events) {
      socket.on(name, (...args) => tell({ id, on: 'event', name, args }));
    }
  },

  emit({ id, event, args, ack }) {
    const answer = (...said) => tell({ id, on: 'ack', ack, args: said });
    sockets.get(id).emit(event, ...args, ...(ack === undefined ? [] : [answer]));
  },

  disconnect({ id }) {
    sockets.get(id).disconnect();
    sockets.delete(id);
  },
};

tell({ on: 'ready', version: require(`${packageName}/package.json`).version });
readline
  .createInterface({ input: process.stdin })
  .on('line', (line) => {
    const command = JSON.parse(line);
    COMMANDS[command.do](command);
  })
  // Connections may still be open, or trying to be.
  .on('close', () => process.exit());
