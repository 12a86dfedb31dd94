/* compose.js - from what the visitor chose to a request: pure, without the page. */
import { controls, tunings } from './controls.js';
import { findOperation } from './operations.js';
import { wire } from './media.js';

export function freshDraft() {
  return {
    op: 'text', prompt: '', model: '', media: {}, tuning: {},
    values: Object.fromEntries(Object.entries(controls).map(([name, c]) => [name, structuredClone(c.value)])),
  };
}

function tuningFields(tuning) {
  const fields = {};
  for (const t of tunings) {
    const value = tuning[t.name];
    if (value === undefined || value === '' || (t.name === 'priority' && value === 'normal')) continue;
    fields[t.name] = t.type === 'number' ? Number(value) : value;
  }
  return fields;
}

/* {path, fields}; a field that is a file is a File. */
export function compose(draft) {
  const op = findOperation(draft.op);
  const fields = {};
  const prompt = draft.prompt.trim();
  if (prompt) fields.prompt = prompt;
  if (draft.model) fields.model = draft.model;
  for (const slot of op.media) if (draft.media[slot.name]) fields[slot.name] = wire(draft.media[slot.name]);
  for (const name of op.controls) Object.assign(fields, controls[name].fields(draft.values[name], draft));
  return { path: op.path, fields: { ...fields, ...(op.makes === 'video' ? tuningFields(draft.tuning) : {}) } };
}

/* The same as a question about its cost: files are told by their measures. */
export function composeEstimate(draft) {
  const { fields } = compose(draft);
  const op = findOperation(draft.op);
  for (const slot of op.media) {
    const media = draft.media[slot.name];
    if (media?.source !== 'file') continue;
    fields[slot.name] = { width: media.width, height: media.height };
    if (media.seconds) fields[slot.name].seconds = Number(media.seconds.toFixed(3));
  }
  return { operation: op.name, ...fields };
}

/* What is still missing, in words; empty when it can be sent. */
export function missing(draft) {
  const op = findOperation(draft.op);
  const words = [];
  for (const slot of op.media) if (slot.required && !draft.media[slot.name]) words.push(`${slot.kind === 'image' ? 'a picture' : 'a clip'} for “${slot.label}”`);
  const needsPrompt = op.prompt.required || (op.prompt.requiredWithout && !draft.media[op.prompt.requiredWithout]);
  if (needsPrompt && !draft.prompt.trim()) words.push('a prompt');
  if (op.controls.includes('shots') && draft.values.shots.some((s) => !s.prompt.trim())) words.push('words for every shot');
  return words;
}

/* The pieces of the result, or null when there is nothing to see yet. */
export function planOf(draft) {
  const op = findOperation(draft.op);
  if (!op.plan) return null;
  const lengths = {};
  for (const slot of op.media.filter((s) => s.kind === 'video')) {
    if (slot.required && !draft.media[slot.name]) return null;
    lengths[slot.name] = draft.media[slot.name]?.seconds || 0;
  }
  const values = Object.fromEntries(op.controls.map((name) => [name, draft.values[name]]));
  return op.plan(lengths, values).filter((p) => p.seconds > 0.01);
}
