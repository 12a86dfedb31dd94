/* dom.js - elements from code. No text is ever parsed as HTML, so nothing of a stranger can become markup. */
import { paths } from './icons.js';

const SVG = 'http://www.w3.org/2000/svg';

/* h('button', {class: 'pill', onclick: go}, 'Go') - functions are listeners, `value` and everything
 * that is not text are properties, the rest attributes. */
export function h(tag, props = {}, ...kids) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === 'function') node.addEventListener(name.slice(2), value);
    else if (name === 'class') node.className = value;
    else if (name === 'style') for (const [k, v] of Object.entries(value)) node.style.setProperty(k, v);
    else if (name === 'value' || (typeof value !== 'string' && name in node)) node[name] = value;
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...kids.flat(3).filter((kid) => kid !== undefined && kid !== null && kid !== false));
  return node;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', `icon i-${name}`);
  svg.setAttribute('aria-hidden', 'true');
  for (const d of paths[name].split('|')) {
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('d', d);
    svg.append(path);
  }
  return svg;
}

export const $ = (id) => document.getElementById(id);

/* Runs once, `ms` after the last call. */
export function debounce(fn, ms) {
  let timer;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => fn(...args), ms);
  };
}

export function toast(text, kind = 'good', action = null) {
  const node = h('div', { class: `toast ${kind}` }, icon(kind === 'bad' ? 'alert' : 'check'), h('span', {}, text),
    action && h('button', { class: 'link', type: 'button', onclick: () => { action.run(); node.remove(); } }, action.label));
  $('toasts').append(node);
  setTimeout(() => node.remove(), kind === 'bad' ? 9000 : 5000);
}

/* A modal with a title and one node; resolves when it closes. */
export function showDialog(title, ...content) {
  const dialog = $('dialog');
  dialog.replaceChildren(
    h('header', {}, h('h2', {}, title),
      h('button', { class: 'round', type: 'button', 'aria-label': 'Close', onclick: () => dialog.close() }, icon('close'))),
    ...content);
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener('close', done, { once: true }));
}
export const closeDialog = () => $('dialog').close();

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // plain http on another machine has no clipboard
    const area = h('textarea', { value: text });
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  toast('Copied');
}

export const clock = (s) => {
  const whole = Math.max(0, Math.floor(s + 1e-6));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
};

export function span(seconds) {
  if (seconds < 1) return 'under a second';
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

export function bytes(n) {
  for (const [unit, size] of [['GB', 1e9], ['MB', 1e6], ['kB', 1e3]])
    if (n >= size) return `${(n / size).toFixed(n >= 10 * size ? 0 : 1)} ${unit}`;
  return `${n} B`;
}
