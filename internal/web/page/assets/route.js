// What is shown beside the graph stands behind the # of the address, so that it can
// be linked to, and the back button closes it.

export const seedRoute = (name) => 'seed/' + encodeURIComponent(name);
export const stateRoute = (state) => 'state/' + encodeURIComponent(state);
export const packetRoute = (id) => 'packet/' + encodeURIComponent(id);
export const vertexRoute = (v) => (v.kind === 'seed' ? seedRoute(v.name) : stateRoute(v.name));

// parse gives what is to be shown, and of what.
export function parse(hash) {
  const slash = hash.indexOf('/');
  const kind = slash < 0 ? hash : hash.slice(0, slash);
  let name = '';
  try {
    name = slash < 0 ? '' : decodeURIComponent(hash.slice(slash + 1));
  } catch { /* an address that nobody made: it names nothing */ }
  return { kind, name };
}
