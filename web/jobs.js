/* jobs.js - the videos of this key: what the server told, newest first, kept up to date.
 *
 * At most STREAMS jobs are watched by server-sent events (a browser opens six connections to a
 * server); where those fail the same job is asked by long polls. The rest is looked at in the list. */
import { call, events, Refusal } from './api.js';

const STREAMS = 2;
const LIST_MS = 3000;

const videos = new Map();
const watched = new Map(); // id -> AbortController
const listeners = new Set();
let oldest = null; // cursor of the next page
let hasMore = false;
let listTimer = null;

export const isActive = (v) => v.status === 'queued' || v.status === 'in_progress';
export const onChange = (fn) => listeners.add(fn);
export const all = () => [...videos.values()].sort((a, b) => b.created_at - a.created_at || (a.id < b.id ? 1 : -1));
export const find = (id) => videos.get(id);
export const canLoadMore = () => hasMore;

function tell(video, before) {
  for (const fn of listeners) fn(video, before);
}

function put(video) {
  const before = videos.get(video.id);
  if (before && before.status === 'completed' && isActive(video)) return; // an answer that was overtaken
  const merged = { ...before, ...video };
  if (before && JSON.stringify(before) === JSON.stringify(merged)) return;
  videos.set(video.id, merged);
  tell(merged, before);
}

function drop(id) {
  const before = videos.get(id);
  watched.get(id)?.abort();
  if (videos.delete(id)) tell(null, before);
}

/* ---- watching ---- */

const step = ({ status, progress, phase, step: n, total_steps, eta_seconds }) =>
  ({ status, progress, phase, step: n ?? null, total_steps: total_steps ?? null, eta_seconds: eta_seconds ?? null, queue_position: null });

async function stream(id, signal, state) {
  for await (const event of events(id, { signal, last: state.last })) {
    state.last = event.id;
    state.hasWorked = true;
    if (event.data.video) put(event.data.video);
    else if (event.type === 'video.preview') put({ ...find(id), preview: event.data.url });
    else if (event.data.status) put({ ...find(id), ...step(event.data) });
  }
}

async function poll(id, signal) {
  const { progress } = find(id);
  put(await call('GET', `/v1/videos/${id}?wait=20&after_progress=${progress}`, null, { signal }));
}

const pause = (ms, signal) => new Promise((done) => {
  const timer = setTimeout(done, ms);
  signal.addEventListener('abort', () => { clearTimeout(timer); done(); }, { once: true });
});

async function watch(id) {
  const stop = new AbortController();
  const state = { last: null, hasWorked: false };
  let failures = 0;
  watched.set(id, stop);
  while (!stop.signal.aborted && find(id) && isActive(find(id))) {
    try {
      if (failures < 2) await stream(id, stop.signal, state);
      else await poll(id, stop.signal);
      if (find(id) && isActive(find(id)) && failures < 2) failures = state.hasWorked ? 0 : failures + 1;
      state.hasWorked = false;
    } catch (e) {
      if (stop.signal.aborted) break;
      if (e instanceof Refusal && e.status === 404) { drop(id); break; }
      failures++;
      await pause(Math.min(8000, 500 * 2 ** failures), stop.signal);
    }
  }
  watched.delete(id);
  arrange();
}

/* The oldest unfinished jobs are streamed, since they run first. */
function arrange() {
  const active = all().filter((v) => isActive(v) && !v.isLocal).reverse();
  for (const video of active.slice(0, STREAMS)) if (!watched.has(video.id) && watched.size < STREAMS) watch(video.id);
  clearTimeout(listTimer);
  if (active.length > watched.size) listTimer = setTimeout(() => refresh().catch(() => arrange()), LIST_MS);
}

/* ---- asking ---- */

/* The newest page. */
export async function refresh() {
  const page = await call('GET', '/v1/videos?limit=50');
  page.data.forEach(put);
  if (!oldest) { oldest = page.last_id; hasMore = page.has_more; }
  arrange();
}

export async function loadMore() {
  const page = await call('GET', `/v1/videos?limit=50&after=${oldest}`);
  oldest = page.last_id || oldest;
  hasMore = page.has_more;
  page.data.forEach(put);
  arrange();
}

/* Also for what only this page knows: {isLocal: true}, stills that come at once. */
export function add(video) {
  put(video);
  arrange();
}

export async function cancel(id) {
  put(await call('POST', `/v1/videos/${id}/cancel`));
}

export async function remove(id) {
  if (!find(id)?.isLocal) await call('DELETE', `/v1/videos/${id}`);
  drop(id);
}

/* Another key, another list. */
export function forget() {
  [...videos.keys()].forEach(drop);
  oldest = null;
  hasMore = false;
}
