/* controls.js - the settings of a request, one row each.
 *
 * A control has a value in the draft, shows itself by show(value, set, draft), and says which
 * fields of the request the value means. set() redraws what depends on it. */
import { h, icon } from './dom.js';

/* ---- building blocks ---- */

function field(label, ...content) {
  return h('div', { class: 'field' }, h('div', { class: 'field-name' }, label), ...content);
}

function choice(name, label, options, value, set) {
  return h('fieldset', { class: 'field' }, h('legend', { class: 'field-name' }, label),
    h('div', { class: 'choice' }, options.map(([id, text, drawing]) => h('label', {},
      h('input', { type: 'radio', name, value: id, checked: id === value, onchange: () => set(id) }),
      h('span', {}, drawing, text)))));
}

function slider(label, { min, max, step = 1, text, ends }, value, set) {
  const shown = h('output', {}, text(value));
  const input = h('input', {
    type: 'range', min: String(min), max: String(max), step: String(step), 'aria-label': label, value: String(value),
    oninput: () => {
      shown.textContent = text(Number(input.value));
      fill();
      set(Number(input.value));
    },
  });
  const fill = () => input.style.setProperty('--at', `${((input.value - min) / (max - min)) * 100}%`);
  fill();
  return h('div', { class: 'field' }, h('div', { class: 'field-name' }, label, shown), input,
    ends && h('div', { class: 'ends muted' }, h('span', {}, ends[0]), h('span', {}, ends[1])));
}

function toggle(label, note, value, set) {
  const input = h('input', { type: 'checkbox', role: 'switch', checked: value, onchange: () => set(input.checked) });
  return h('label', { class: 'toggle' }, h('span', {}, label, note && h('small', { class: 'muted' }, note)), input, h('i'));
}

/* ---- shape ---- */

const ratios = { '16:9': [16, 9], '9:16': [9, 16], '1:1': [1, 1], '4:3': [4, 3], '21:9': [21, 9] };
const sides = { 240: '240p', 360: '360p', 480: '480p', 720: '720p', 1080: '1080p' };
const MAX_SIDE = 1920;
const even = (x) => Math.max(64, 2 * Math.round(x / 2));

export function sizeOf({ ratio, side }) {
  const [a, b] = ratios[ratio];
  const short = Math.min(Number(side), Math.floor((MAX_SIDE * Math.min(a, b)) / Math.max(a, b)));
  const long = (short * Math.max(a, b)) / Math.min(a, b);
  return a >= b ? [even(long), even(short)] : [even(short), even(long)];
}

function ratioDrawing(ratio) {
  const [a, b] = ratios[ratio];
  const k = 14 / Math.max(a, b);
  return h('i', { class: 'ratio', style: { width: `${a * k}px`, height: `${b * k}px` } });
}

function showShape(value, set) {
  const [w, hgt] = sizeOf(value);
  return h('div', { class: 'pair' },
    choice('ratio', 'Shape', Object.keys(ratios).map((r) => [r, r, ratioDrawing(r)]), value.ratio, (ratio) => set({ ...value, ratio }, true)),
    choice('side', h('span', {}, 'Size ', h('output', {}, `${w} × ${hgt}`)), Object.entries(sides), String(value.side), (side) => set({ ...value, side }, true)));
}

/* ---- shots ---- */

function showShots(shots, set) {
  let at = 0;
  const change = (i, more, isNewShape) => { Object.assign(shots[i], more); set(shots, isNewShape); };
  const rows = shots.map((shot, i) => {
    const start = at;
    at += shot.seconds;
    return h('li', { class: 'shot' },
      h('span', { class: 'shot-time' }, `${start} s`),
      h('textarea', { rows: '2', value: shot.prompt, placeholder: 'What happens in this shot', 'aria-label': `Shot ${i + 1}`, oninput: (e) => change(i, { prompt: e.target.value }) }),
      h('input', { type: 'number', min: '1', max: '30', value: String(shot.seconds), 'aria-label': `Seconds of shot ${i + 1}`,
        onchange: (e) => change(i, { seconds: Math.min(30, Math.max(1, Math.round(Number(e.target.value)) || 1)) }, true) }),
      h('button', { class: 'round small', type: 'button', 'aria-label': `Remove shot ${i + 1}`, disabled: shots.length < 2, onclick: () => set(shots.filter((_, j) => j !== i), true) }, icon('close')));
  });
  return h('div', { class: 'field' }, h('div', { class: 'field-name' }, 'Shots', h('output', {}, `${at} s`)),
    h('ol', { class: 'shots' }, rows),
    h('button', { class: 'pill', type: 'button', disabled: at >= 60 || shots.length >= 16, onclick: () => set([...shots, { prompt: '', seconds: Math.min(4, 60 - at) }], true) }, icon('plus'), 'Add a shot'));
}

function shotFields(shots) {
  let at = 0;
  const storyboard = shots.map((s) => {
    const start = at;
    at += s.seconds;
    return { start, prompt: s.prompt };
  });
  return { storyboard, seconds: String(at) };
}

/* ---- cameras ---- */

const cameraSets = {
  2: [['front', 0, 10], ['side', 90, 10]],
  3: [['front', 0, 10], ['side', 90, 10], ['above', 45, 55]],
  4: [['front', 0, 10], ['right', 90, 10], ['back', 180, 10], ['left', 270, 10]],
};

function showCameras(n, set) {
  const dial = h('div', { class: 'dial', 'aria-hidden': 'true' }, h('i', { class: 'dial-thing' }),
    cameraSets[n].map(([, azimuth]) => h('b', { style: { '--turn': `${azimuth}deg` } })));
  return h('div', { class: 'field cameras' }, dial,
    choice('cameras', 'Cameras', Object.keys(cameraSets).map((k) => [k, k]), String(n), (k) => set(k, true)),
    h('p', { class: 'muted' }, cameraSets[n].map(([name]) => name).join(', ')));
}

const cameraFields = (n) => ({ cameras: cameraSets[n].map(([name, azimuth_deg, elevation_deg]) => ({ name, azimuth_deg, elevation_deg })) });

/* ---- the part of a clip ---- */

function showSpan(value, set, draft) {
  const length = draft.media.video?.seconds;
  if (!length) return null;
  const [from, to] = value || [0, length];
  const put = (a, b) => set(a <= 0.05 && b >= length - 0.05 ? null : [a, b], true);
  const text = h('output', {}, value ? `${from.toFixed(1)} to ${to.toFixed(1)} s` : 'the whole clip');
  const row = (label, at, change) => h('input', {
    type: 'range', min: '0', max: String(length), step: '0.1', 'aria-label': label, value: String(at), onchange: (e) => change(Number(e.target.value)),
    style: { '--at': `${(at / length) * 100}%` },
  });
  return h('div', { class: 'field' }, h('div', { class: 'field-name' }, 'Part that changes', text),
    row('Begins at', from, (a) => put(Math.min(a, to - 0.1), to)), row('Ends at', to, (b) => put(from, Math.max(b, from + 0.1))));
}

/* ---- the table ---- */

const seconds = (v) => `${v} s`;

export const controls = {
  shape: { value: { ratio: '16:9', side: 360 }, show: showShape, fields: (v) => ({ size: sizeOf(v).join('x') }) },
  loopShape: {
    value: { ratio: '16:9', side: 360 }, show: (v, set, draft) => (draft.media.video ? null : showShape(v, set)),
    fields: (v, draft) => (draft.media.video ? {} : { size: sizeOf(v).join('x') }),
  },
  seconds: { value: 4, show: (v, set) => slider('Length', { min: 1, max: 60, text: seconds }, v, set), fields: (v) => ({ seconds: String(v) }) },
  bridge: { value: 2, show: (v, set) => slider('New part', { min: 1, max: 20, text: seconds }, v, set), fields: (v) => ({ seconds: String(v) }) },
  direction: {
    value: 'forward', fields: (v) => (v === 'forward' ? {} : { direction: v }),
    show: (v, set) => choice('direction', 'Direction', [['backward', 'Before'], ['both', 'Both'], ['forward', 'After']], v, (d) => set(d, true)),
  },
  stitch: { value: true, show: (v, set) => toggle('One clip', 'The new part is joined to the old one', v, set), fields: (v) => (v ? {} : { stitch: false }) },
  method: {
    value: 'sdedit', fields: (v) => (v === 'sdedit' ? {} : { method: v }),
    show: (v, set) => choice('method', 'Way', [['sdedit', 'Paint again'], ['flowedit', 'Keep the motion']], v, (m) => set(m, true)),
  },
  strength: {
    value: 0.7, fields: (v) => ({ strength: v }),
    show: (v, set) => slider('Freedom', { min: 0.05, max: 1, step: 0.05, text: (x) => `${Math.round(x * 100)} %`, ends: ['keep most of it', 'begin anew'] }, v, set),
  },
  span: { value: null, show: showSpan, fields: (v) => (v ? { start_seconds: Number(v[0].toFixed(2)), end_seconds: Number(v[1].toFixed(2)) } : {}) },
  cameras: { value: '2', show: showCameras, fields: cameraFields },
  shots: { value: [{ prompt: '', seconds: 4 }, { prompt: '', seconds: 4 }], show: showShots, fields: shotFields },
  count: { value: '1', show: (v, set) => choice('count', 'Pictures', [['1', '1'], ['2', '2'], ['4', '4']], v, set), fields: (v) => (v === '1' ? {} : { n: Number(v) }) },
  upsampling: {
    value: false, fields: (v) => (v ? { prompt_upsampling: 'on' } : {}),
    show: (v, set) => toggle('Enrich my prompt', 'Misora adds what you left open', v, set),
  },
};

/* Fine tuning: left empty, the server decides. */
export const tunings = [
  { name: 'negative_prompt', label: 'Leave out', type: 'text', hint: 'blur, text, people' },
  { name: 'seed', label: 'Seed', type: 'number', min: 0, max: 4294967295, hint: 'drawn' },
  { name: 'steps', label: 'Steps', type: 'number', min: 1, max: 200, hint: "the model's own" },
  { name: 'guidance_scale', label: 'Guidance', type: 'number', min: 0, max: 20, step: 0.1, hint: "the model's own" },
  { name: 'fps', label: 'Frames a second', type: 'number', min: 1, max: 60, hint: "the model's own" },
  { name: 'priority', label: 'Priority', type: 'choice', options: ['low', 'normal', 'high'] },
];
