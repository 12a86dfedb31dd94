/* app.js - puts the parts together: key, status, actions, things dropped on the page. */
import { $, h, icon, showDialog, closeDialog, toast } from './dom.js';
import { call, contentFile, key, onKeyWanted } from './api.js';
import * as jobs from './jobs.js';
import * as maker from './maker.js';
import { commonActions, setActions, showActions, startShelf, whenOpened } from './shelf.js';
import { setStageActions, show, startStage, whenPrompted, currentId } from './stage.js';

const STATUS_MS = 10000;

/* ---- key ---- */

let isAsking = false;

async function askKey() {
  if (isAsking) return;
  isAsking = true;
  const input = h('input', { type: 'password', autocomplete: 'off', spellcheck: 'false', placeholder: 'mis_…', value: key.get(), 'aria-label': 'API key', id: 'key-input' });
  const save = (value) => { key.set(value.trim()); closeDialog(); enter(); };
  const done = showDialog('API key',
    h('p', { class: 'muted' }, 'Kept in this tab only, and sent to this server only. A key is made with ', h('code', {}, 'misora admin keys add --tenant NAME'), '.'),
    h('form', { class: 'key-form', onsubmit: (e) => { e.preventDefault(); save(input.value); } }, input,
      h('button', { class: 'go', type: 'submit' }, 'Use this key'),
      key.get() && h('button', { class: 'link', type: 'button', onclick: () => save('') }, 'Forget it')));
  input.focus();
  await done;
  isAsking = false;
}

/* ---- status ---- */

function sayStatus(q) {
  const waiting = q.lanes.reduce((n, lane) => n + lane.queued, 0);
  const workers = q.workers === 1 ? '1 worker' : `${q.workers} workers`;
  if (!q.workers) return ['warn', waiting ? `no worker, ${waiting} waiting` : 'no worker'];
  return ['good', q.running || waiting ? `${workers}, ${q.running} running${waiting ? `, ${waiting} waiting` : ''}` : `${workers}, idle`];
}

async function tellStatus() {
  let found;
  try {
    found = sayStatus(await call('GET', '/v1/queue'));
  } catch (e) {
    found = ['bad', e.status === 401 ? 'needs a key' : e.status ? 'not ready' : 'cannot be reached'];
  }
  [$('status').dataset.state, $('status').textContent] = found;
}

/* ---- what can be done with a video ---- */

function videoActions(v, grab) {
  if (v.status !== 'completed') return [
    { title: 'Try again', icon: 'loop', run: () => maker.usePrompt(v.prompt) }, ...commonActions(v).slice(1)];
  if (v.object === 'image') return [
    { title: 'Set it in motion', icon: 'image', run: async () => { maker.choose('image'); maker.drop(await contentFile(v.id), 'input_reference'); } }, ...commonActions(v)];
  const frame = grab
    ? { title: 'Use this frame', icon: 'frame', run: async () => { maker.choose('image'); maker.drop(await grab(), 'input_reference'); } }
    : { title: 'Go on from its last frame', icon: 'frame', run: () => maker.useIn('image', 'input_reference', v) };
  return [
    { title: 'Extend', icon: 'extend', run: () => maker.useIn('extend', 'video', v) },
    { title: 'Remix', icon: 'edit', run: () => maker.useIn('edit', 'video', v, v.prompt) },
    { title: 'Loop', icon: 'loop', run: () => maker.useIn('loop', 'video', v) },
    { title: 'Connect from', icon: 'connect', run: () => maker.useIn('connect', 'first_video', v) },
    { title: 'Connect to', icon: 'connect', run: () => maker.useIn('connect', 'second_video', v) },
    { title: 'Views', icon: 'views', run: () => maker.useIn('views', 'video', v) },
    frame, ...commonActions(v)];
}

/* The player has room for a few; the rest is behind one button. */
function stageActions(v, grab) {
  const all = videoActions(v, grab);
  if (all.length < 6) return all;
  const few = all.filter((a) => ['Extend', 'Remix', 'Loop', 'Use this frame', 'Download'].includes(a.title));
  return [...few, { title: 'More', icon: 'more', run: () => showActions(v) }];
}

/* ---- dropping ---- */

function startDropping() {
  let depth = 0;
  const mark = (isOn) => document.body.classList.toggle('dragging', isOn);
  const takes = (e) => e.dataTransfer?.types.includes('Files') || e.dataTransfer?.types.includes('text/x-misora');
  addEventListener('dragenter', (e) => { if (takes(e)) { depth++; mark(true); } });
  addEventListener('dragleave', (e) => { if (takes(e) && --depth <= 0) { depth = 0; mark(false); } });
  addEventListener('dragover', (e) => { if (takes(e)) { e.preventDefault(); e.dataTransfer.dropEffect = 'copy'; } });
  addEventListener('dragend', () => { depth = 0; mark(false); });
  addEventListener('drop', (e) => {
    if (!takes(e)) return;
    e.preventDefault();
    depth = 0;
    mark(false);
    const slot = e.target.closest?.('[data-slot]')?.dataset.slot;
    const id = e.dataTransfer.getData('text/x-misora');
    if (id && jobs.find(id)) maker.drop(jobs.find(id), slot);
    else if (e.dataTransfer.files[0]) maker.drop(e.dataTransfer.files[0], slot);
  });
  addEventListener('paste', (e) => {
    const file = [...(e.clipboardData?.files || [])][0];
    if (file) maker.drop(file);
  });
}

/* ---- light and dark ---- */

function startTheme() {
  const root = document.documentElement;
  const isDark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches);
  const draw = () => $('theme').replaceChildren(icon(isDark() ? 'sun' : 'moon'));
  const kept = localStorage.getItem('misora.theme');
  if (kept) root.dataset.theme = kept;
  $('theme').addEventListener('click', () => {
    root.dataset.theme = isDark() ? 'light' : 'dark';
    localStorage.setItem('misora.theme', root.dataset.theme);
    draw();
  });
  draw();
}

/* ---- start ---- */

/* With whatever key there is now. */
async function enter() {
  jobs.forget();
  maker.forgetAbsences();
  $('key').classList.toggle('set', Boolean(key.get()));
  tellStatus();
  try {
    await jobs.refresh();
    maker.setModels((await call('GET', '/v1/models')).data);
  } catch (e) {
    if (e.status !== 401) toast(e.message, 'bad');
  }
}

function tellEnds(video, before) {
  if (!before || !video || !jobs.isActive(before) || jobs.isActive(video)) return;
  if (video.status === 'failed') { if (video.error?.code !== 'cancelled') toast(video.error?.message || 'It could not be made.', 'bad'); return; }
  if (video.id !== currentId()) toast('Your clip is ready', 'good', { label: 'Show it', run: () => open(video.id) });
}

function open(id) {
  show(id);
  if (innerWidth < 960) $('stage').scrollIntoView({ block: 'start', behavior: 'smooth' });
}

startTheme();
startShelf();
startStage();
maker.startMaker();
startDropping();
whenOpened(open);
whenPrompted(maker.usePrompt);
setActions((v) => videoActions(v));
setStageActions(stageActions);
maker.whenMade((v) => open(v.id));
jobs.onChange(tellEnds);
onKeyWanted(askKey);
$('key').addEventListener('click', askKey);
$('key').prepend(icon('key'));
setInterval(tellStatus, STATUS_MS);
enter();
