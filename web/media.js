/* media.js - pictures and clips that an operation is given: a file of the visitor, or something that
 * Misora made. Their frames are drawn here, in the browser. */
import { h } from './dom.js';
import { contentFile, contentUrl } from './api.js';

const once = (target, good, ms = 15000) => new Promise((done, fail) => {
  const timer = setTimeout(() => fail(new Error('it takes too long to open')), ms);
  target.addEventListener(good, () => { clearTimeout(timer); done(); }, { once: true });
  target.addEventListener('error', () => { clearTimeout(timer); fail(new Error('this browser cannot show it')); }, { once: true });
});

export async function openVideo(url) {
  const video = h('video', { muted: true, playsInline: true, preload: 'auto' });
  const ready = once(video, 'loadeddata');
  video.src = url;
  await ready;
  return video;
}

async function seek(video, seconds) {
  const at = Math.min(Math.max(0, seconds), Math.max(0, video.duration - 0.02));
  if (Math.abs(video.currentTime - at) < 0.001) return;
  const done = once(video, 'seeked');
  video.currentTime = at;
  await done;
}

/* One frame as a PNG file. */
export async function grabFrame(video, name) {
  const canvas = h('canvas', { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext('2d').drawImage(video, 0, 0);
  const blob = await new Promise((done) => canvas.toBlob(done, 'image/png'));
  return new File([blob], name, { type: 'image/png' });
}

/* A strip of n frames, drawn into the canvas as they come. */
export async function drawFilm(canvas, url, n = 8) {
  const video = await openVideo(url);
  const height = 48;
  const width = Math.round((height * video.videoWidth) / video.videoHeight) || height;
  canvas.width = width * n;
  canvas.height = height;
  const pen = canvas.getContext('2d');
  for (let i = 0; i < n; i++) {
    await seek(video, ((i + 0.5) * video.duration) / n);
    pen.drawImage(video, i * width, 0, width, height);
  }
  video.removeAttribute('src');
}

/* {kind, source, label, url, width, height, seconds, file|id}. */
export async function fromFile(file) {
  const url = URL.createObjectURL(file);
  if (file.type.startsWith('video/')) {
    const video = await openVideo(url);
    return { kind: 'video', source: 'file', file, url, label: file.name, width: video.videoWidth, height: video.videoHeight, seconds: video.duration };
  }
  const image = h('img');
  const ready = once(image, 'load');
  image.src = url;
  await ready;
  return { kind: 'image', source: 'file', file, url, label: file.name, width: image.naturalWidth, height: image.naturalHeight };
}

export async function fromJob(job) {
  const url = await contentUrl(job.id);
  const video = await openVideo(url);
  return { kind: 'video', source: 'job', id: job.id, url, label: job.prompt || job.id, width: video.videoWidth, height: video.videoHeight, seconds: video.duration };
}

/* A clip where a picture is wanted: its last frame, since most go on from there. */
export async function frameOfJob(job) {
  const video = await openVideo(await contentUrl(job.id));
  await seek(video, video.duration);
  return fromFile(await grabFrame(video, `${job.id}-last.png`));
}

/* What goes into the request. */
export const wire = (media) => (media.source === 'job' ? { id: media.id } : media.file);
export const isKind = (file, kind) => file.type.startsWith(`${kind}/`);

export async function download(id, variant = 'video') {
  const file = await contentFile(id, variant);
  save(file, file.name);
}

export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  h('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}
