// The table: a row for each SDK, in Markdown, aligned to be read as it is too.

const HEAD = ['SDK', 'version', 'Engine.IO', 'websocket', 'polling', 'default (polling, then upgrade)'];

// The cells of an SDK, from what its runs have found.
export function row({ title, sdk, version, engine, failed }) {
  const cell = (mode) => {
    const [, steps] = failed.find(([transports]) => (transports?.join() ?? 'default') === mode);
    return steps.length === 0 ? 'yes' : `no: ${steps.join(', ')}`;
  };
  const modes = ['websocket', 'polling', 'default'].map(cell);
  return [sdk ?? title, version ?? '?', String(engine ?? '?'), ...modes];
}

export function table(rows) {
  const widths = HEAD.map((_, n) => Math.max(...[HEAD, ...rows].map((cells) => cells[n].length)));
  const line = (cells) => `| ${cells.map((cell, n) => cell.padEnd(widths[n])).join(' | ')} |`;
  return [line(HEAD), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)];
}
