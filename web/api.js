/* api.js - the server: one call, one stream of events, and what refuses in words. */

/* The key lives as long as the tab. */
export const key = {
  get: () => sessionStorage.getItem('misora.key') || '',
  set: (value) => (value ? sessionStorage.setItem('misora.key', value) : sessionStorage.removeItem('misora.key')),
};

export class Refusal extends Error {
  constructor(status, error, retryAfter) {
    super(error.message);
    Object.assign(this, { status, code: error.code, param: error.param, retryAfter });
  }

  /* True when this server does not have the operation at all. */
  get isMissing() {
    return this.code === 'unsupported_operation' || this.status === 405 || (this.status === 404 && this.code === 'not_found');
  }
}

let askForKey = () => {};
export const onKeyWanted = (fn) => { askForKey = fn; };

function heads(more) {
  return key.get() ? { ...more, authorization: `Bearer ${key.get()}` } : { ...more };
}

const isFile = (value) => value instanceof Blob;
export const hasFile = (fields) => Object.values(fields).some(isFile);

/* In forms, objects are sent as JSON text: the server parses a part whose field is an object. */
function encode(fields) {
  if (!hasFile(fields)) return { body: JSON.stringify(fields), headers: { 'content-type': 'application/json' } };
  const form = new FormData();
  for (const [name, value] of Object.entries(fields))
    if (isFile(value)) form.append(name, value, value.name || 'file');
    else if (Array.isArray(value)) form.append(name, JSON.stringify(value));
    else if (typeof value === 'object') for (const [k, v] of Object.entries(value)) form.append(`${name}[${k}]`, v);
    else form.append(name, String(value));
  return { body: form, headers: {} };
}

async function refusal(reply) {
  let error = null;
  try {
    error = (await reply.json()).error;
  } catch { /* not ours: a proxy's page */ }
  if (reply.status === 401) askForKey();
  return new Refusal(reply.status, error || { message: `the server answered ${reply.status}` }, Number(reply.headers.get('retry-after')) || 0);
}

/* The reply as it is; throws a Refusal. `fields` is the body, with File values as parts. */
export async function fetchRaw(method, path, fields = null, { signal, headers = {} } = {}) {
  const encoded = fields ? encode(fields) : { headers: {} };
  let reply;
  try {
    reply = await fetch(path, { method, body: encoded.body, signal, cache: 'no-store', headers: heads({ ...encoded.headers, ...headers }) });
  } catch (e) {
    if (e.name === 'AbortError') throw e;
    throw new Refusal(0, { message: 'The server cannot be reached.', code: 'unreachable' });
  }
  if (!reply.ok) throw await refusal(reply);
  return reply;
}

export const call = async (...args) => (await fetchRaw(...args)).json();

/* What Misora made, as bytes with an address that <img> and <video> can use; they cannot send a key. */
const contents = new Map(); // "id variant" -> promise of {blob, url}
const CONTENTS_MAX = 200;

const withUrl = (blob) => ({ blob, url: URL.createObjectURL(blob) });

function content(id, variant) {
  const name = `${id} ${variant}`;
  if (!contents.has(name)) {
    if (contents.size >= CONTENTS_MAX) {
      const [oldest, kept] = contents.entries().next().value;
      contents.delete(oldest);
      kept.then((c) => URL.revokeObjectURL(c.url), () => {});
    }
    const kept = fetchRaw('GET', `/v1/videos/${id}/content?variant=${variant}`).then((r) => r.blob()).then(withUrl);
    kept.catch(() => contents.delete(name));
    contents.set(name, kept);
  }
  return contents.get(name);
}

export const contentUrl = async (id, variant = 'video') => (await content(id, variant)).url;

export async function contentFile(id, variant = 'video') {
  const { blob } = await content(id, variant);
  return new File([blob], `${id}.${blob.type.split('/')[1] || 'mp4'}`, { type: blob.type });
}

/* Content that did not come by its own address. */
export function keepContent(id, blob) {
  const kept = Promise.resolve(withUrl(blob));
  for (const variant of ['video', 'thumbnail']) contents.set(`${id} ${variant}`, kept);
}

function readBlock(block) {
  const event = { data: '' };
  for (const line of block.split('\n')) {
    const at = line.indexOf(':');
    if (at < 1) continue;
    event[line.slice(0, at)] = line.slice(at + 1).replace(/^ /, '');
  }
  return event.data ? { id: event.id, type: event.event, data: JSON.parse(event.data) } : null;
}

/* Events of one video. EventSource cannot send a key, so the stream is read here. */
export async function* events(id, { signal, last = null } = {}) {
  const reply = await fetchRaw('GET', `/v1/videos/${id}/events`, null, { signal, headers: last ? { 'last-event-id': last } : {} });
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split('\n\n');
    text = blocks.pop();
    for (const block of blocks) {
      const event = readBlock(block);
      if (event) yield event;
    }
  }
}
