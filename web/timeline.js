/* timeline.js - a clip as a bar of pieces: what is known, what is painted anew. */
import { h, clock } from './dom.js';
import { drawFilm } from './media.js';

const total = (pieces) => pieces.reduce((sum, p) => sum + p.seconds, 0) || 1;

function film(url, n) {
  const canvas = h('canvas', { class: 'film', 'aria-hidden': 'true' });
  if (url) drawFilm(canvas, url, n).catch(() => canvas.remove());
  return canvas;
}

/* A plan of what will be made. onResize(control, seconds) is called while a painted piece is drawn
 * longer or shorter by its edge; the slider below does the same by keyboard. */
export function planBar(pieces, media, onResize) {
  const bar = h('div', { class: 'plan', 'aria-hidden': 'true' });
  const sum = total(pieces);
  pieces.forEach((piece, i) => {
    const isOpen = piece.kind === 'new' && (piece.control === 'seconds' || piece.control === 'bridge');
    const clip = piece.kind === 'known' && media[piece.slot];
    const node = h('div', { class: `piece ${piece.kind}`, style: { 'flex-grow': String(Math.max(piece.seconds, sum * 0.04)) } },
      clip && film(clip.url, 6),
      h('span', {}, piece.label || (piece.kind === 'new' ? `+ ${piece.seconds.toFixed(piece.seconds % 1 ? 1 : 0)} s` : `${piece.seconds.toFixed(1)} s`)));
    if (isOpen) node.append(edge(bar, node, piece, i === 0 ? -1 : 1, sum, onResize));
    bar.append(node);
  });
  return bar;
}

function edge(bar, node, piece, side, sum, onResize) {
  const grip = h('i', { class: `grip ${side < 0 ? 'left' : 'right'}` });
  grip.addEventListener('pointerdown', (down) => {
    const scale = sum / bar.clientWidth;
    let value = piece.seconds;
    grip.setPointerCapture(down.pointerId);
    const move = (e) => {
      value = Math.min(60, Math.max(1, Math.round(piece.seconds + side * (e.clientX - down.clientX) * scale)));
      node.style.setProperty('flex-grow', String(value));
      node.querySelector('span').textContent = `+ ${value} s`;
    };
    grip.addEventListener('pointermove', move);
    grip.addEventListener('pointerup', () => {
      grip.removeEventListener('pointermove', move);
      onResize(piece.control, value);
    }, { once: true });
    down.preventDefault();
  });
  return grip;
}

/* The bar under a playing video: film, pieces, seams, playhead. A slider for the keyboard. */
export function playBar(video, url, pieces) {
  const head = h('i', { class: 'playhead' });
  const bar = h('div', { class: 'bar', role: 'slider', tabindex: '0', 'aria-label': 'Position', 'aria-valuemin': '0' }, film(url, 12), head);
  let at = 0;
  const sum = total(pieces || []);
  if (pieces?.length > 1)
    for (const piece of pieces) {
      bar.append(h('span', { class: `mark ${piece.kind}`, title: piece.label || (piece.kind === 'new' ? 'painted' : 'from the clip'),
        style: { left: `${(at / sum) * 100}%`, width: `${(piece.seconds / sum) * 100}%` } }));
      at += piece.seconds;
    }
  const draw = () => {
    const { currentTime: t, duration: d } = video;
    head.style.setProperty('left', `${d ? (t / d) * 100 : 0}%`);
    bar.setAttribute('aria-valuenow', t.toFixed(1));
    bar.setAttribute('aria-valuemax', (d || 0).toFixed(1));
    bar.setAttribute('aria-valuetext', `${clock(t)} of ${clock(d || 0)}`);
    if (!video.paused && bar.isConnected) requestAnimationFrame(draw);
  };
  for (const name of ['play', 'timeupdate', 'seeked', 'loadedmetadata']) video.addEventListener(name, draw);
  const seek = (e) => {
    const box = bar.getBoundingClientRect();
    video.currentTime = Math.min(0.999, Math.max(0, (e.clientX - box.left) / box.width)) * video.duration;
  };
  bar.addEventListener('pointerdown', (e) => {
    bar.setPointerCapture(e.pointerId);
    seek(e);
    bar.addEventListener('pointermove', seek);
    bar.addEventListener('pointerup', () => bar.removeEventListener('pointermove', seek), { once: true });
  });
  bar.addEventListener('keydown', (e) => {
    const by = { ArrowLeft: -1 / 12, ArrowRight: 1 / 12, PageUp: 1, PageDown: -1, Home: -1e9, End: 1e9 }[e.key];
    if (!by) return;
    video.currentTime = Math.min(video.duration - 0.02, Math.max(0, video.currentTime + by));
    e.preventDefault();
  });
  return bar;
}
