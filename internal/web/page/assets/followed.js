// What became of the packets that were sent by hand from this page: the node
// writes it down under an id, until it is over and was read.

import { ask } from './api.js';

const most = 100;
const ledgers = new Map(); // by the packet's id: the ledger's, and what was read last

// note remembers a packet that was sent.
export function note(sent) {
  ledgers.set(sent.id, { ledger: sent.outcome?.ledger, outcome: sent.outcome });
  for (const id of ledgers.keys()) if (ledgers.size > most) ledgers.delete(id);
}

// outcome is what became of a packet, undefined for one that was not sent here.
export async function outcome(id, signal) {
  const f = ledgers.get(id);
  if (!f?.ledger || f.outcome?.over) return f?.outcome;
  const sum = await ask('GET', 'ledgers/' + f.ledger, { signal });
  f.outcome = { over: sum.begun > 0 && sum.live === 0, live: sum.live, ended: sum.ended, waiting: sum.waiting ?? {}, kept: sum.kept ?? {} };
  if (f.outcome.over) await ask('DELETE', 'ledgers/' + f.ledger).catch(() => null); // kept for a while then, no harm
  return f.outcome;
}
