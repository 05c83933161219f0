// The table: a row for each SDK, in Markdown, aligned to be read as it is too.

const HEAD = ['SDK', 'version', 'Engine.IO', 'websocket', 'polling', 'default (polling, then upgrade)'];

// The cells of an SDK, from what its runs have found: `failed` has for each
// transport the names of the steps that did, and nothing for one that it can't use alone.
export function row({ title, version = '?', engine = '?', failed }) {
  const cells = Array.from(failed, (steps) => {
    if (!steps) {
      return '';
    }
    return steps.length === 0 ? 'yes' : `no: ${steps.join(', ')}`;
  });
  return [title, version, String(engine), ...cells];
}

export function rowNotRun({ title, name }) {
  return [title, name.split('-')[1], '', 'not run', 'not run', 'not run'];
}

export function table(rows) {
  const widths = HEAD.map((_, n) => Math.max(...[HEAD, ...rows].map((cells) => cells[n].length)));
  const line = (cells) => `| ${cells.map((cell, n) => cell.padEnd(widths[n])).join(' | ')} |`;
  return [line(HEAD), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)];
}
