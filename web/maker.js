/* maker.js - the form: operations as tabs, a prompt, media, settings, cost, the call, the button. */
import { $, copy, debounce, h, icon, showDialog, closeDialog, span, bytes, toast } from './dom.js';
import { call, keepContent, Refusal } from './api.js';
import * as jobs from './jobs.js';
import { compose, composeEstimate, freshDraft, missing, planOf } from './compose.js';
import { controls, tunings } from './controls.js';
import { findOperation, operations } from './operations.js';
import { frameOfJob, fromFile, fromJob, isKind } from './media.js';
import { keepPlan } from './memory.js';
import { languages } from './snippet.js';
import { planBar } from './timeline.js';

const draft = freshDraft();
const absent = {}; // operation or helper -> why this server does not have it
let models = [];
let language = 'curl';
let onMade = () => {};
let places = {}; // nodes that are filled again and again

export const whenMade = (fn) => { onMade = fn; };

/* ---- tabs ---- */

function makeTabs() {
  $('ways').replaceChildren(...operations.map((op) => h('button', {
    type: 'button', role: 'tab', class: 'way', id: `way-${op.id}`, 'aria-controls': 'panel', onclick: () => choose(op.id),
  }, icon(op.icon), h('span', {}, op.title))));
}

/* The tabs stay as they are, so that the one with the focus keeps it. */
function showTabs() {
  for (const op of operations) {
    $(`way-${op.id}`).setAttribute('aria-selected', String(op.id === draft.op));
    $(`way-${op.id}`).tabIndex = op.id === draft.op ? 0 : -1;
  }
  $('panel').setAttribute('aria-labelledby', `way-${draft.op}`);
}

function walkTabs(e) {
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key];
  if (!by) return;
  const i = operations.findIndex((op) => op.id === draft.op);
  choose(operations[(i + by + operations.length) % operations.length].id);
  $(`way-${draft.op}`).focus();
  e.preventDefault();
}

export function choose(id) {
  if (!findOperation(id)) return;
  if (id === 'connect' && draft.media.video && !draft.media.first_video) draft.media.first_video = draft.media.video;
  draft.op = id;
  history.replaceState(null, '', `#${id}`);
  showTabs();
  showForm();
  $('maker').scrollTop = 0;
  $(`way-${id}`).scrollIntoView({ block: 'nearest', inline: 'nearest' });
}

/* ---- prompt and its preview ---- */

function promptBox(op) {
  const area = h('textarea', {
    id: 'prompt', rows: '4', maxlength: '32000', placeholder: op.prompt.hint, value: draft.prompt,
    oninput: () => { draft.prompt = area.value; changed(); preview(); },
    onkeydown: (e) => { if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) submit(); },
  });
  const optional = !op.prompt.required && !op.prompt.requiredWithout;
  return h('div', { class: 'field' }, h('label', { class: 'field-name', for: 'prompt' }, 'Prompt', optional && h('span', { class: 'muted' }, 'optional')), area);
}

let previewing = null;
const preview = debounce(async () => {
  const prompt = draft.prompt.trim();
  previewing?.abort();
  if (!prompt || absent.upsample) return showPreview(null);
  previewing = new AbortController();
  try {
    const made = await call('POST', '/v1/prompts/upsample', { prompt, task: findOperation(draft.op).makes === 'image' ? 'image' : 'video' }, { signal: previewing.signal });
    showPreview(made.prompt.trim() === prompt ? null : made.prompt);
  } catch (e) {
    if (e.name === 'AbortError') return;
    if (e.isMissing) absent.upsample = true;
    showPreview(null);
  }
}, 450);

function showPreview(text) {
  places.preview.hidden = !text;
  if (!text) return;
  places.preview.replaceChildren(h('div', { class: 'preview-head' }, icon('spark'), h('span', {}, 'Misora would say'),
    h('button', { class: 'link', type: 'button', onclick: () => { draft.prompt = text; $('prompt').value = text; showPreview(null); changed(); } }, 'Use these words')),
  h('p', {}, text));
}

/* ---- media ---- */

function slotBox(slot) {
  const media = draft.media[slot.name];
  const picker = h('input', { type: 'file', hidden: true, accept: slot.kind === 'image' ? 'image/png,image/jpeg,image/webp' : 'video/*',
    'aria-label': slot.label, onchange: () => picker.files[0] && give(slot, picker.files[0]) });
  const box = h('div', { class: `slot ${media ? 'full' : ''}`, 'data-slot': slot.name, 'data-kind': slot.kind });
  const look = media && (media.kind === 'image' ? h('img', { src: media.url, alt: media.label })
    : h('video', { src: media.url, muted: true, loop: true, autoplay: true, playsInline: true, 'aria-label': media.label }));
  box.append(picker);
  if (media)
    box.append(look, h('div', { class: 'slot-name' }, h('b', {}, slot.label), ' ', media.seconds ? `${media.seconds.toFixed(1)} s, ` : '', `${media.width} × ${media.height}`),
      h('button', { class: 'round small', type: 'button', 'aria-label': `Take ${slot.label} away`, onclick: () => { delete draft.media[slot.name]; showForm(); } }, icon('close')));
  else
    box.append(h('button', { class: 'slot-pick', type: 'button', onclick: () => pick(slot, picker) }, icon(slot.kind === 'image' ? 'image' : 'extend'),
      h('b', {}, slot.label), h('small', { class: 'muted' }, slot.note || (slot.required ? `drop a ${slot.kind === 'image' ? 'picture or clip' : 'clip'} here, or choose` : 'optional'))));
  return box;
}

/* A file or an earlier video for a slot. */
async function give(slot, what) {
  try {
    if (what instanceof File && !isKind(what, slot.kind)) throw new Error(`${slot.label} takes ${slot.kind === 'image' ? 'a picture' : 'a video'}; this is ${what.type || 'something else'}`);
    if (what instanceof File) draft.media[slot.name] = await fromFile(what);
    else draft.media[slot.name] = await (slot.kind === 'image' ? frameOfJob(what) : fromJob(what));
    if (slot.name === 'video') draft.values.span = null;
    showForm();
  } catch (e) {
    toast(e.message, 'bad');
  }
}

function pick(slot, picker) {
  const made = jobs.all().filter((v) => v.status === 'completed' && !v.isLocal).slice(0, 24);
  if (!made.length) return picker.click();
  showDialog(slot.label,
    h('button', { class: 'pill wide', type: 'button', onclick: () => { closeDialog(); picker.click(); } }, icon('up'), 'From this device'),
    h('p', { class: 'muted' }, slot.kind === 'image' ? 'or the last frame of' : 'or one of yours'),
    h('div', { class: 'pick-grid' }, made.map((v) => {
      const image = h('img', { alt: v.prompt || v.id });
      import('./shelf.js').then((shelf) => shelf.fillThumb(image, v));
      return h('button', { type: 'button', title: v.prompt || v.id, onclick: () => { closeDialog(); give(slot, v); } }, image);
    })));
}

/* Something dropped anywhere: into the slot under the pointer, else the first that takes it. */
export async function drop(what, slotName) {
  const kind = what instanceof File && isKind(what, 'image') ? 'image' : 'video';
  if (what instanceof File && !isKind(what, 'image') && !isKind(what, 'video')) return toast(`${what.name} is neither a picture nor a video`, 'bad');
  let slots = findOperation(draft.op).media;
  if (!slots.some((s) => s.kind === kind || s.kind === 'image' && !(what instanceof File))) {
    choose(kind === 'image' ? 'image' : 'extend');
    slots = findOperation(draft.op).media;
  }
  const slot = slots.find((s) => s.name === slotName) || slots.find((s) => s.kind === kind && !draft.media[s.name]) || slots.find((s) => s.kind === kind) || slots[0];
  await give(slot, what);
}

/* An action of the gallery or the player: this operation with this video. */
export async function useIn(opId, slotName, video, prompt = null) {
  choose(opId);
  if (prompt !== null) draft.prompt = prompt;
  const slot = findOperation(opId).media.find((s) => s.name === slotName);
  if (slot) await give(slot, video);
  else showForm();
  if (innerWidth < 960) $('ways').scrollIntoView({ block: 'start', behavior: 'smooth' });
  $('prompt').focus({ preventScroll: true });
}

export function usePrompt(text, seed) {
  if (!['text', 'still'].includes(draft.op)) choose('text');
  draft.prompt = text;
  if (seed !== undefined) draft.tuning.seed = String(seed);
  showForm();
  preview();
  $('prompt').focus();
}

/* ---- settings ---- */

function controlBoxes(op) {
  return op.controls.map((name) => controls[name].show(draft.values[name], (value, isNewShape) => {
    draft.values[name] = value;
    if (isNewShape) showForm();
    else changed();
  }, draft));
}

function tuningBox() {
  const set = (name) => (e) => { draft.tuning[name] = e.target.value; changed(); };
  const rows = tunings.map((t) => h('label', { class: t.type === 'text' ? 'wide' : '' }, h('span', {}, t.label),
    t.type === 'choice' ? h('select', { onchange: set(t.name) }, t.options.map((o) => h('option', { value: o, selected: o === (draft.tuning[t.name] || 'normal') }, o)))
      : h('input', { type: t.type, min: String(t.min ?? ''), max: String(t.max ?? ''), step: String(t.step ?? ''), placeholder: t.hint, value: draft.tuning[t.name] || '', oninput: set(t.name) })));
  if (models.length > 1)
    rows.unshift(h('label', { class: 'wide' }, h('span', {}, 'Model'), h('select', { onchange: (e) => { draft.model = e.target.value; changed(); } },
      models.map((m) => h('option', { value: m.id, selected: m.id === draft.model }, m.id)))));
  return h('details', { class: 'fold', open: places.tuningOpen, ontoggle: (e) => { places.tuningOpen = e.target.open; } },
    h('summary', {}, icon('tune'), 'Fine tuning'), h('div', { class: 'tunings' }, rows));
}

/* ---- the call ---- */

function callBox() {
  places.code = h('pre', { tabindex: '0', 'aria-label': 'The API call' });
  const names = Object.entries(languages).map(([id, [title]]) => h('button', { type: 'button', class: 'link', 'data-language': id,
    'aria-pressed': String(id === language), onclick: () => { language = id; showCall(); } }, title));
  return h('details', { class: 'fold call', open: places.callOpen, ontoggle: (e) => { places.callOpen = e.target.open; showCall(); } },
    h('summary', {}, icon('code'), 'API call'),
    h('div', { class: 'call-head' }, names, h('button', { class: 'link copy', type: 'button', onclick: () => copy(places.code.textContent) }, icon('copy'), 'Copy')),
    places.code);
}

function showCall() {
  places.code.textContent = languages[language][1](compose(draft));
  for (const b of document.querySelectorAll('[data-language]')) b.setAttribute('aria-pressed', String(b.dataset.language === language));
}

/* ---- cost ---- */

let estimating = null;
const estimate = debounce(async () => {
  estimating?.abort();
  if (missing(draft).length || absent.estimate) return showEstimate(null);
  estimating = new AbortController();
  try {
    showEstimate(await call('POST', '/v1/videos/estimates', composeEstimate(draft), { signal: estimating.signal }));
  } catch (e) {
    if (e.name === 'AbortError') return;
    if (e.status === 404 || e.status === 405) absent.estimate = true;
    showEstimate(null, e.status === 400 && !e.isMissing && e.code !== 'unknown_parameter' ? e.message : null);
  }
}, 350);

function showEstimate(found, words = null) {
  const chips = [];
  if (found?.seconds) chips.push(h('span', {}, icon('clock'), `about ${span(found.seconds.total)}`));
  if (found?.effective?.size) chips.push(h('span', {}, icon('frame'), `${found.effective.size.replace('x', ' × ')}${found.effective.num_frames > 1 ? `, ${found.effective.num_frames} frames` : ''}`));
  if (found?.memory_bytes) chips.push(h('span', {}, icon('gear'), bytes(found.memory_bytes)));
  if (found?.tokens?.total) chips.push(h('span', {}, `${found.tokens.total.toLocaleString('en')} tokens`));
  if (found && found.fits === false) chips.push(h('span', { class: 'bad' }, 'does not fit into this worker'));
  for (const w of found?.warnings || []) chips.push(h('span', { class: 'warn' }, w));
  if (words) chips.push(h('span', { class: 'warn' }, words));
  places.estimate.replaceChildren(...chips);
}

/* ---- sending ---- */

function showPlan() {
  const plan = planOf(draft);
  places.plan.replaceChildren(...(plan?.length ? [planBar(plan, draft.media, (control, seconds) => { draft.values[control] = seconds; showForm(); })] : []));
}

function changed() {
  const lacks = missing(draft);
  places.button.disabled = places.isSending || lacks.length > 0;
  places.lacks.textContent = lacks.length ? `Still needed: ${lacks.join(', ')}.` : '';
  showPlan();
  if (places.callOpen) showCall();
  estimate();
}

function showAbsence(op) {
  const why = absent[op.id];
  return h('p', { class: 'absence', role: 'note', hidden: !why }, icon('alert'), why ? `This server cannot do this: ${why}` : '');
}

export function showForm() {
  const op = findOperation(draft.op);
  places.preview = h('div', { class: 'preview', hidden: true, 'aria-live': 'polite' });
  places.plan = h('div');
  places.estimate = h('div', { class: 'estimate', 'aria-live': 'polite' });
  places.lacks = h('p', { class: 'lacks muted' });
  places.button = h('button', { class: 'go', type: 'submit' }, icon('spark'), h('span', {}, op.verb));
  $('maker').replaceChildren(
    h('p', { class: 'say' }, op.say), showAbsence(op),
    op.media.length ? h('div', { class: 'slots' }, op.media.map(slotBox)) : '', places.plan,
    promptBox(op), places.preview, ...controlBoxes(op).filter(Boolean), op.makes === 'video' ? tuningBox() : '', callBox(),
    h('footer', { class: 'send' }, places.estimate, places.lacks, places.button));
  changed();
  if (places.callOpen) showCall();
}

function refused(e) {
  const op = findOperation(draft.op);
  const isUnknown = e.code === 'unknown_parameter' && op.needs?.some((name) => e.param?.startsWith(name));
  if (e instanceof Refusal && (e.isMissing || isUnknown)) {
    absent[op.id] = isUnknown ? `it knows no ${op.needs[0]} yet.` : e.message;
    showForm();
    return;
  }
  toast(e.message + (e.retryAfter ? ` Try again in ${e.retryAfter} s.` : ''), 'bad');
}

/* Stills come with the answer; until then they are a job that only this page knows. */
async function paintStills({ path, fields }) {
  const id = `still_${crypto.getRandomValues(new Uint32Array(2)).join('')}`;
  const still = { id, isLocal: true, object: 'image', operation: 'image', status: 'in_progress', progress: 0, phase: 'denoise', prompt: fields.prompt,
    size: fields.size, created_at: Math.floor(Date.now() / 1000) };
  jobs.add(still);
  onMade(still);
  try {
    const made = await call('POST', path, { ...fields, response_format: 'b64_json' });
    const pictures = made.data.map((d) => new Blob([Uint8Array.from(atob(d.b64_json), (c) => c.charCodeAt(0))], { type: `image/${made.output_format || 'png'}` }));
    pictures.forEach((blob, i) => {
      const one = { ...still, id: i ? `${id}-${i}` : id, status: 'completed', progress: 100, phase: 'done', revised_prompt: made.data[i].revised_prompt };
      keepContent(one.id, blob);
      jobs.add(one);
    });
  } catch (e) {
    jobs.remove(id);
    throw e;
  }
}

async function makeVideo({ path, fields }) {
  const plan = planOf(draft);
  const video = await call('POST', path, fields, { headers: { 'idempotency-key': crypto.getRandomValues(new Uint32Array(4)).join('-') } });
  if (plan?.length > 1) keepPlan(video.id, plan.map(({ kind, seconds, label }) => ({ kind, seconds, label })));
  jobs.add(video);
  onMade(video);
}

async function submit() {
  if (places.isSending || missing(draft).length) return;
  const request = compose(draft);
  places.isSending = true;
  places.button.disabled = true;
  try {
    await (findOperation(draft.op).makes === 'image' ? paintStills(request) : makeVideo(request));
  } catch (e) {
    refused(e);
  } finally {
    places.isSending = false;
    changed();
  }
}

/* ---- start ---- */

export function setModels(list) {
  models = list.filter((m) => !m.alias_of);
  if (places.button) showForm();
}

/* What was refused for want of a key may be there with one. */
export function forgetAbsences() {
  for (const name of Object.keys(absent)) delete absent[name];
  showForm();
}

export function startMaker() {
  makeTabs();
  $('ways').addEventListener('keydown', walkTabs);
  $('maker').addEventListener('submit', (e) => { e.preventDefault(); submit(); });
  choose(findOperation(location.hash.slice(1)) ? location.hash.slice(1) : 'text');
}
