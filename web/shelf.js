/* shelf.js - the queue and the gallery: what is being made and what has been made. */
import { $, clock, h, icon, showDialog, closeDialog, span, toast } from './dom.js';
import { contentUrl } from './api.js';
import * as jobs from './jobs.js';
import { download } from './media.js';
import { operationTitle } from './operations.js';

const phases = {
  queued: 'waiting', loading: 'loading the model', encode_prompt: 'reading the prompt', encode_media: 'looking at the clip',
  denoise: 'painting', decode: 'developing frames', encode_video: 'writing the clip', upload: 'storing', done: 'done',
};

export function sayPhase(v) {
  if (v.status === 'queued') return v.queue_position > 0 ? `waiting, ${v.queue_position} before it` : 'waiting for a worker';
  const step = v.total_steps ? `, step ${v.step} of ${v.total_steps}` : '';
  const eta = v.eta_seconds > 0.5 ? `, ${span(v.eta_seconds)} left` : '';
  return `${phases[v.phase] || v.phase || 'working'}${step}${eta}`;
}

let onOpen = () => {};
let actions = () => [];
export const whenOpened = (fn) => { onOpen = fn; };
export const setActions = (fn) => { actions = fn; };

/* ---- queue ---- */

function queueRow(v) {
  return h('article', { class: 'job', 'data-id': v.id }, h('button', { class: 'job-open', type: 'button', onclick: () => onOpen(v.id) },
    h('b', {}, operationTitle(v.operation)), h('span', { class: 'job-prompt' }, v.prompt || v.id)),
  h('span', { class: 'job-phase muted' }, sayPhase(v)),
  !v.isLocal && h('button', { class: 'round small', type: 'button', 'aria-label': 'Cancel', title: 'Cancel', disabled: Boolean(v.cancel_requested_at),
    onclick: () => jobs.cancel(v.id).catch((e) => toast(e.message, 'bad')) }, icon('close')),
  h('progress', { max: '100', value: String(v.progress), 'aria-label': 'Progress', class: v.status === 'queued' || v.isLocal ? 'idle' : '' }));
}

function drawQueue() {
  const active = jobs.all().filter(jobs.isActive).reverse();
  $('queue').replaceChildren(...active.map(queueRow));
}

/* A change of progress only moves the row; the rest is drawn anew. */
function updateRow(v) {
  const row = $('queue').querySelector(`[data-id="${CSS.escape(v.id)}"]`);
  if (!row) return drawQueue();
  row.querySelector('.job-phase').textContent = sayPhase(v);
  const bar = row.querySelector('progress');
  bar.value = v.progress;
  bar.className = v.status === 'queued' ? 'idle' : '';
}

/* ---- gallery ---- */

const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    contentUrl(target.dataset.of, 'thumbnail').catch(() => contentUrl(target.dataset.of)).then((url) => { target.src = url; }, () => target.classList.add('gone'));
  }
}, { rootMargin: '300px' });

export function fillThumb(image, v) {
  image.dataset.of = v.id;
  seen.observe(image);
}

function thumb(v) {
  const image = h('img', { alt: v.prompt || v.id, draggable: false });
  fillThumb(image, v);
  return image;
}

/* The clip itself while the pointer rests on its card. */
function livens(card, v) {
  let timer, video;
  card.addEventListener('pointerenter', (e) => {
    if (e.pointerType !== 'mouse' || v.isLocal) return;
    timer = setTimeout(async () => {
      video = h('video', { muted: true, loop: true, autoplay: true, playsInline: true, 'aria-hidden': 'true' });
      video.src = await contentUrl(v.id).catch(() => '');
      card.querySelector('.card-look').append(video);
    }, 250);
  });
  card.addEventListener('pointerleave', () => { clearTimeout(timer); video?.remove(); video = null; });
}

export function showActions(v) {
  showDialog(v.prompt || operationTitle(v.operation), h('div', { class: 'actions' }, actions(v).map((a) =>
    h('button', { class: `pill wide ${a.isBad ? 'bad' : ''}`, type: 'button', onclick: () => { closeDialog(); a.run(); } }, icon(a.icon), a.title))));
}

function card(v) {
  const isGood = v.status === 'completed';
  const [w, hgt] = (v.size || '16x9').split('x').map(Number);
  const node = h('article', { class: `card ${isGood ? '' : 'failed'} ${hgt > w * 1.2 ? 'tall' : ''}`, 'data-id': v.id, draggable: isGood && !v.isLocal },
    h('button', { class: 'card-look', type: 'button', onclick: () => onOpen(v.id) },
      isGood ? thumb(v) : h('span', { class: 'card-error' }, icon('alert'), v.error?.code === 'cancelled' ? 'cancelled' : v.error?.message || 'failed'),
      h('span', { class: 'badge' }, operationTitle(v.operation)), v.object === 'video' && h('span', { class: 'badge right' }, clock(Number(v.seconds)))),
    h('div', { class: 'card-foot' }, h('p', {}, v.prompt || v.id),
      h('button', { class: 'round small', type: 'button', 'aria-label': 'Actions', onclick: () => showActions(v) }, icon('more'))));
  node.addEventListener('dragstart', (e) => {
    e.dataTransfer.setData('text/x-misora', v.id);
    e.dataTransfer.effectAllowed = 'copy';
  });
  if (isGood) livens(node, v);
  return node;
}

const cards = new Map(); // id -> node; drawn once, since ended videos do not change

function drawGallery() {
  const ended = jobs.all().filter((v) => !jobs.isActive(v));
  const nodes = ended.map((v) => {
    if (!cards.has(v.id)) cards.set(v.id, card(v));
    return cards.get(v.id);
  });
  const grid = $('gallery');
  nodes.forEach((node, i) => { if (grid.children[i] !== node) grid.insertBefore(node, grid.children[i] || null); });
  while (grid.children.length > nodes.length) grid.lastChild.remove();
  $('gallery-count').textContent = ended.length ? `${ended.length}${jobs.canLoadMore() ? '+' : ''}` : 'what you make will be here';
  $('more').hidden = !jobs.canLoadMore();
}

/* ---- both ---- */

export const commonActions = (v) => [
  { title: 'Download', icon: 'down', run: () => download(v.id).catch((e) => toast(e.message, 'bad')) },
  { title: 'Delete', icon: 'bin', isBad: true, run: () => jobs.remove(v.id).then(() => toast('Deleted'), (e) => toast(e.message, 'bad')) },
];

export function startShelf() {
  jobs.onChange((video, before) => {
    if (!video) cards.delete(before.id);
    if (video && before && jobs.isActive(video) && jobs.isActive(before)) return updateRow(video);
    drawQueue();
    drawGallery();
  });
  $('more').addEventListener('click', () => jobs.loadMore().then(drawGallery, (e) => toast(e.message, 'bad')));
  drawGallery();
}
