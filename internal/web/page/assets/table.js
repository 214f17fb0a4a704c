// The network as tables: the same as the graph, in words.

import { html, render } from './vendor/lit-html/lit-html.js';
import { repeat } from './vendor/lit-html/directives/repeat.js';
import { seedRoute, stateRoute } from './route.js';
import { count, rate, span, unloaded } from './text.js';

export function drawTable(root, model, find) {
  const text = find.trim().toLowerCase();
  const seeds = [...model.seeds.values()].filter((s) => s.name.toLowerCase().includes(text));
  const states = [...model.states.values()].filter((s) => s.state.toLowerCase().includes(text));
  render(html`
    <h2>Seeds</h2>
    <div class="scroll" tabindex="0" role="region" aria-label="Seeds">
    <table>
      <thead><tr><th scope="col">Seed</th><th scope="col">Contract</th><th scope="col">Nodes</th><th scope="col">Rate</th><th scope="col">Backlog</th><th scope="col">ETA</th><th scope="col">Failed</th><th scope="col">State</th></tr></thead>
      <tbody>${repeat(seeds, (s) => s.name, (s) => html`
        <tr>
          <th scope="row"><a href="#${seedRoute(s.name)}">${s.name}</a></th>
          <td>${s.contract}</td>
          <td>${s.replicas.map((r) => r.node).join(', ')}</td>
          <td class="figure">${rate(model.rate('seed:' + s.name))}</td>
          <td class="figure">${count(s.ahead)}</td>
          <td class="figure">${s.ahead ? (s.drain_ns ? span(s.drain_ns) : 'not known') : ''}</td>
          <td class="figure">${count(s.gave_up)}</td>
          <td>${unloaded(s) || (s.paused === 0 ? (s.running ? 'runs' : 'idle') : s.paused < s.replicas.length ? `paused on ${s.paused}` : 'paused')}</td>
        </tr>`)}
      </tbody>
    </table>
    </div>
    <h2>States</h2>
    <div class="scroll" tabindex="0" role="region" aria-label="States">
    <table>
      <thead><tr><th scope="col">State</th><th scope="col">Given by</th><th scope="col">Taken by</th><th scope="col">Rate</th><th scope="col">Waiting</th><th scope="col">Why</th></tr></thead>
      <tbody>${repeat(states, (s) => s.state, (s) => html`
        <tr>
          <th scope="row"><a href="#${stateRoute(s.state)}">${s.state}</a></th>
          <td>${s.producers.join(', ')}</td>
          <td>${s.acceptors.join(', ')}</td>
          <td class="figure">${rate(model.through(s.state))}</td>
          <td class="figure">${count(s.waiting)}</td>
          <td>${s.waiting ? why(s) : ''}</td>
        </tr>`)}
      </tbody>
    </table>
    </div>`, root);
}

// why says for what packets of a state wait.
export function why(s) {
  const near = s.nearest && !s.why?.includes(s.nearest) ? `nearest accepted: ${s.nearest}` : '';
  return [s.why, near].filter(Boolean).join('; ');
}
