// Follows the network: by the node's events, and while there are none by asking
// every second.

import { ask } from './api.js';

const pollTime = 1000;
const reopenTime = 5000;
const quietTime = 20000; // the node sends something every 15 s at least

// follow tells sink of the network until the page goes:
// network(whole), counters(some), changes(list), state('live' | 'asking' | 'lost', why).
export function follow(sink) {
  let source = null;
  let live = false;
  let heard = 0;

  function open() {
    source?.close();
    source = new EventSource('api/v1/network/events');
    const on = (name, take) => source.addEventListener(name, (event) => {
      heard = performance.now();
      if (!live) sink.state('live');
      live = true;
      take(JSON.parse(event.data));
    });
    on('network', (data) => sink.network(data));
    on('counters', (data) => sink.counters(data));
    on('changes', (data) => sink.changes(data.changes));
    source.onerror = () => {
      live = false;
      poll();
      if (source.readyState === EventSource.CLOSED) setTimeout(open, reopenTime);
    };
  }

  let polling = false;
  async function poll() {
    if (polling) return;
    polling = true;
    while (!live) {
      try {
        sink.network(await ask('GET', 'network', { signal: AbortSignal.timeout(8000) }));
        if (!live) sink.state('asking');
      } catch (err) {
        if (!live) sink.state('lost', err.message);
      }
      await new Promise((done) => setTimeout(done, pollTime));
    }
    polling = false;
  }

  setInterval(() => {
    if (live && performance.now() - heard > quietTime) {
      live = false; // cut off without a word
      poll();
      open();
    }
  }, quietTime / 4);

  poll();
  open();
}
