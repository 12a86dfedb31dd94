/* stage.js - the player: one video with its timeline, what it is and what can be done with it. */
import { $, clock, h, icon, toast, copy } from './dom.js';
import { contentUrl } from './api.js';
import * as jobs from './jobs.js';
import { grabFrame } from './media.js';
import { findPlan } from './memory.js';
import { operationTitle } from './operations.js';
import { playBar } from './timeline.js';
import { sayPhase } from './shelf.js';

const samples = [
  'a red ball bounces in a green meadow',
  'a woman in a red coat walks down a wet neon street at night',
  'two pirate ships battling in a cup of coffee',
  'drone shot over a beach at sunset',
];

let current = null; // id
let onPrompt = () => {};
let actions = () => [];
export const whenPrompted = (fn) => { onPrompt = fn; };
export const setStageActions = (fn) => { actions = fn; };
export const currentId = () => current;

function sky() {
  return h('div', { class: 'sky', 'aria-hidden': 'true' }, h('i', { class: 'sun' }), h('i', { class: 'cloud one' }), h('i', { class: 'cloud two' }), h('i', { class: 'cloud three' }));
}

function welcome() {
  return [sky(), h('div', { class: 'welcome' }, h('h1', {}, 'What should the sky show?'),
    h('div', { class: 'samples' }, samples.map((s) => h('button', { class: 'pill glass', type: 'button', onclick: () => onPrompt(s) }, s))))];
}

/* ---- while it is made ---- */

function developing(v) {
  const look = h('div', { class: 'developing', style: { '--done': String(v.progress / 100) } }, v.preview ? h('img', { src: v.preview, alt: 'a preview' }) : sky(),
    h('div', { class: 'ring', style: { '--done': String(v.progress / 100) } }, h('b', {}, `${v.progress} %`)),
    h('p', { class: 'ring-words' }, sayPhase(v)));
  return [look, caption(v)];
}

function updateDeveloping(v) {
  const look = $('stage').querySelector('.developing');
  if (!look) return show(v.id);
  for (const node of [look, look.querySelector('.ring')]) node.style.setProperty('--done', String(v.progress / 100));
  look.querySelector('b').textContent = `${v.progress} %`;
  look.querySelector('p').textContent = sayPhase(v);
  if (v.preview) look.firstChild.replaceWith(h('img', { src: v.preview, alt: 'a preview' }));
}

/* ---- what it is ---- */

function facts(v) {
  const rows = [operationTitle(v.operation), v.size?.replace('x', ' × '), v.object === 'video' && `${v.seconds} s`, v.fps && `${v.fps} fps`,
    v.usage?.compute_seconds && `made in ${v.usage.compute_seconds.toFixed(1)} s`, v.loop?.seam_error !== undefined && `seam ${v.loop.seam_error}`];
  const chips = rows.filter(Boolean).map((text) => h('span', {}, text));
  if (v.seed !== undefined) chips.push(h('button', { class: 'link', type: 'button', title: 'Use prompt and seed again', onclick: () => onPrompt(v.prompt, v.seed) }, icon('dice'), `seed ${v.seed}`));
  if (v.object === 'video') chips.push(h('button', { class: 'link', type: 'button', title: 'Copy the id', onclick: () => copy(v.id) }, icon('copy'), `${v.id.slice(0, 14)}…`));
  return h('div', { class: 'facts' }, chips);
}

function caption(v) {
  return h('div', { class: 'caption' }, h('p', { class: 'caption-prompt' }, v.prompt || ''),
    v.revised_prompt && v.revised_prompt !== v.prompt && h('p', { class: 'muted' }, icon('spark'), v.revised_prompt),
    facts(v), (v.warnings || []).map((w) => h('p', { class: 'warn' }, w)),
    v.views?.length ? h('div', { class: 'views' }, h('button', { class: 'pill', type: 'button', onclick: () => show(v.id) }, 'all'),
      v.views.map((view) => h('button', { class: 'pill', type: 'button', onclick: () => play(v, view.video_id) }, view.name))) : null);
}

/* ---- player ---- */

function controlsOf(v, video, url) {
  const button = h('button', { class: 'round', type: 'button', 'aria-label': 'Play or pause', onclick: () => (video.paused ? video.play() : video.pause()) }, icon('pause'));
  const time = h('output', { class: 'time' });
  const say = () => { time.textContent = `${clock(video.currentTime)} / ${clock(Math.round(video.duration) || 0)}`; };
  for (const name of ['play', 'pause']) video.addEventListener(name, () => button.replaceChildren(icon(video.paused ? 'play' : 'pause')));
  for (const name of ['timeupdate', 'loadedmetadata', 'seeked']) video.addEventListener(name, say);
  const loop = h('button', { class: 'round', type: 'button', 'aria-label': 'Repeat', 'aria-pressed': 'true', onclick: () => {
    video.loop = !video.loop;
    loop.setAttribute('aria-pressed', String(video.loop));
  } }, icon('loop'));
  const full = h('button', { class: 'round', type: 'button', 'aria-label': 'Full screen', onclick: () => video.requestFullscreen?.() || video.webkitEnterFullscreen?.() }, icon('full'));
  return h('div', { class: 'player-bar' }, button, time, playBar(video, url, findPlan(v.id)), loop, full);
}

function actionRow(v, video) {
  return h('div', { class: 'action-row' }, actions(v, () => grabFrame(video, `${v.id}.png`)).map((a) =>
    h('button', { class: `pill ${a.isBad ? 'bad' : ''}`, type: 'button', onclick: a.run }, icon(a.icon), a.title)));
}

async function play(v, contentId = v.id) {
  const url = await contentUrl(contentId);
  if (current !== v.id) return;
  const [w, hgt] = (v.size || '16x9').split('x').map(Number);
  const video = h('video', { class: 'screen', loop: true, muted: true, autoplay: true, playsInline: true, style: { 'aspect-ratio': `${w} / ${hgt}` } });
  video.addEventListener('click', () => (video.paused ? video.play() : video.pause()));
  video.addEventListener('error', () => toast('This browser cannot play the clip; download it instead.', 'bad'));
  $('stage').replaceChildren(h('div', { class: 'frame' }, video), controlsOf(v, video, url), caption(v), actionRow(v, video));
  video.src = url;
}

async function showStill(v) {
  const url = await contentUrl(v.id);
  if (current === v.id) $('stage').replaceChildren(h('div', { class: 'frame' }, h('img', { class: 'screen', src: url, alt: v.prompt || '' })), caption(v), actionRow(v, null));
}

function failed(v) {
  return [h('div', { class: 'frame sorry' }, icon('alert'), h('p', {}, v.error?.message || 'It could not be made.'), h('small', { class: 'muted' }, v.error?.code)), caption(v), actionRow(v, null)];
}

export async function show(id) {
  const v = jobs.find(id);
  current = v ? id : null;
  document.body.classList.toggle('has-video', Boolean(v));
  for (const card of document.querySelectorAll('.card')) card.classList.toggle('open', card.dataset.id === id);
  if (!v) return $('stage').replaceChildren(...welcome());
  if (jobs.isActive(v)) return $('stage').replaceChildren(...developing(v));
  if (v.status === 'failed') return $('stage').replaceChildren(...failed(v));
  try {
    await (v.object === 'image' ? showStill(v) : play(v));
  } catch (e) {
    if (current === id) $('stage').replaceChildren(h('div', { class: 'frame sorry' }, icon('alert'), h('p', {}, e.message)), caption(v));
  }
}

export function startStage() {
  jobs.onChange((video, before) => {
    if (!video) { if (before.id === current) show(null); return; }
    if (video.id !== current) return;
    if (before && jobs.isActive(before) && jobs.isActive(video)) updateDeveloping(video);
    else show(video.id);
  });
  show(null);
}
