/* snippet.js - the request that the page would send, for people who want to send it themselves. */
import { key } from './api.js';

const isFile = (v) => v instanceof Blob;
const base = () => location.origin;

function groups(fields) {
  const files = [], plain = {};
  for (const [name, value] of Object.entries(fields))
    if (isFile(value)) files.push([name, value.name || 'file']);
    else plain[name] = value;
  return { files, plain };
}

/* Form parts as the API reads them: objects by bracket, lists as JSON text. */
function parts(plain) {
  return Object.entries(plain).flatMap(([name, v]) =>
    (Array.isArray(v) ? [[name, JSON.stringify(v)]]
      : typeof v === 'object' ? Object.entries(v).map(([k, x]) => [`${name}[${k}]`, String(x)])
        : [[name, String(v)]]));
}

const sh = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function curl({ path, fields }) {
  const { files, plain } = groups(fields);
  const lines = [`curl ${base()}${path}`];
  if (key.get()) lines.push('-H "Authorization: Bearer $MISORA_API_KEY"');
  if (files.length) {
    for (const [name, value] of parts(plain)) lines.push(`--form-string ${sh(`${name}=${value}`)}`);
    for (const [name, file] of files) lines.push(`-F ${sh(`${name}=@${file}`)}`);
  } else {
    lines.push("-H 'Content-Type: application/json'", `-d ${sh(JSON.stringify(plain))}`);
  }
  return lines.join(' \\\n  ');
}

function py(value, indent = '') {
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (value === null) return 'None';
  if (typeof value !== 'object') return JSON.stringify(value);
  const inner = `${indent}    `;
  const rows = Array.isArray(value) ? value.map((v) => inner + py(v, inner))
    : Object.entries(value).map(([k, v]) => `${inner}${JSON.stringify(k)}: ${py(v, inner)}`);
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  return rows.length ? `${open}\n${rows.join(',\n')},\n${indent}${close}` : open + close;
}

function python({ path, fields }) {
  const { files, plain } = groups(fields);
  const lines = [...(key.get() ? ['import os'] : []), 'import requests', '', 'reply = requests.post(', `    ${JSON.stringify(base() + path)},`];
  if (key.get()) lines.push('    headers={"Authorization": "Bearer " + os.environ["MISORA_API_KEY"]},');
  if (files.length) {
    lines.push(`    data=${py(Object.fromEntries(parts(plain)), '    ')},`);
    lines.push(`    files={${files.map(([name, file]) => `${JSON.stringify(name)}: open(${JSON.stringify(file)}, "rb")`).join(', ')}},`);
  } else {
    lines.push(`    json=${py(plain, '    ')},`);
  }
  lines.push(')', 'reply.raise_for_status()', 'print(reply.json())');
  return lines.join('\n');
}

function js({ path, fields }) {
  const { files, plain } = groups(fields);
  const auth = key.get() ? 'Authorization: `Bearer ${process.env.MISORA_API_KEY}`' : '';
  const lines = [];
  if (files.length) {
    lines.push("import { openAsBlob } from 'node:fs';", '', 'const form = new FormData();');
    for (const [name, value] of parts(plain)) lines.push(`form.append(${JSON.stringify(name)}, ${JSON.stringify(value)});`);
    for (const [name, file] of files) lines.push(`form.append(${JSON.stringify(name)}, await openAsBlob(${JSON.stringify(file)}), ${JSON.stringify(file)});`);
    lines.push(`const reply = await fetch(${JSON.stringify(base() + path)}, {`, "  method: 'POST',");
    if (auth) lines.push(`  headers: { ${auth} },`);
    lines.push('  body: form,');
  } else {
    lines.push(`const reply = await fetch(${JSON.stringify(base() + path)}, {`, "  method: 'POST',",
      `  headers: { ${[auth, "'Content-Type': 'application/json'"].filter(Boolean).join(', ')} },`,
      `  body: JSON.stringify(${JSON.stringify(plain, null, 2).replaceAll('\n', '\n  ')}),`);
  }
  lines.push('});', 'if (!reply.ok) throw new Error(await reply.text());', 'console.log(await reply.json());');
  return lines.join('\n');
}

export const languages = { curl: ['curl', curl], python: ['Python', python], js: ['JavaScript', js] };
