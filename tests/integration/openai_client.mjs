// The official OpenAI Node client, unchanged, against Misora by base_url. Every line that starts
// with "ok " is a promise kept; the first broken one ends the program with status 1.
import fs from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(process.env.NODE_PATH + '/');
const OpenAI = require('openai').default;
const { toFile } = require('openai');

const [baseURL, apiKey, imagePath] = process.argv.slice(2);
const client = new OpenAI({ baseURL: baseURL + '/v1', apiKey, maxRetries: 2 });
const keys = ['id', 'object', 'model', 'status', 'progress', 'created_at', 'completed_at',
  'expires_at', 'prompt', 'size', 'seconds', 'remixed_from_video_id', 'error'];

function check(what, isTrue, detail) {
  if (!isTrue) {
    console.log(`FAIL ${what}: ${JSON.stringify(detail)}`);
    process.exit(1);
  }
  console.log(`ok ${what}`);
}

async function settle(video) {
  while (video.status === 'queued' || video.status === 'in_progress') {
    await new Promise((next) => setTimeout(next, 200));
    video = await client.videos.retrieve(video.id);
  }
  return video;
}

const prompt = 'a red ball bounces in a green meadow';
const plain = await client.videos.create({ model: 'sora-2', prompt, seconds: '4', size: '1280x720' });
check('create answers all thirteen keys', keys.every((k) => k in plain), plain);
check('create echoes what was asked', plain.prompt === prompt && plain.seconds === '4' &&
  plain.size === '1280x720' && ['queued', 'in_progress'].includes(plain.status), plain);

const image = await client.videos.create({
  prompt, model: 'sora-2', size: '128x96', seconds: '4',
  input_reference: await toFile(fs.readFileSync(imagePath), 'frame.png', { type: 'image/png' }),
});
check('create takes an image as file', image.id.startsWith('video_'), image);

const stream = await client.videos.create({
  prompt, model: 'sora-2', size: '128x96', seconds: '4', input_reference: fs.createReadStream(imagePath),
});
check('create takes an image as stream', stream.id.startsWith('video_'), stream);

const dataUrl = 'data:image/png;base64,' + fs.readFileSync(imagePath).toString('base64');
const url = await client.videos.create({
  prompt, model: 'sora-2', size: '128x96', seconds: '4', input_reference: { image_url: dataUrl },
});
check('create takes an image as data URL', url.id.startsWith('video_'), url);

const seen = [];
for await (const v of client.videos.list({ limit: 1 })) seen.push(v.id);
const made = [plain.id, image.id, stream.id, url.id];
check('list pages by one and misses nothing', made.every((id) => seen.includes(id)) &&
  new Set(seen).size === seen.length, seen);

for (const v of [plain, image, stream, url]) {
  const end = await settle(v);
  check(`job ${v === plain ? 'from text' : 'from an image'} completes`, end.status === 'completed' &&
    end.progress === 100 && end.completed_at >= end.created_at && end.error === null, end);
}
const types = { video: ['video/mp4', 'ftyp', 4], thumbnail: ['image/webp', 'WEBP', 8], spritesheet: ['image/', '', 0] };
for (const [variant, [type, magic, at]] of Object.entries(types)) {
  const reply = await client.videos.downloadContent(plain.id, { variant });
  const bytes = Buffer.from(await reply.arrayBuffer());
  check(`download gives the ${variant}`, reply.headers.get('content-type').startsWith(type) &&
    bytes.subarray(at, at + magic.length).toString('latin1') === magic && bytes.length > 500,
  [reply.headers.get('content-type'), bytes.length]);
}

try {
  await client.videos.create({ prompt: '', model: 'sora-2' });
  check('an empty prompt is refused', false);
} catch (e) {
  check('an empty prompt is refused in words', e instanceof OpenAI.BadRequestError && e.param === 'prompt' &&
    !!e.requestID && e.message.length > 10, [e.status, e.param, e.message]);
}
try {
  await client.videos.retrieve('video_' + '0'.repeat(32));
  check('an unknown id is 404', false);
} catch (e) {
  check('an unknown id is 404', e instanceof OpenAI.NotFoundError, e.status);
}
const models = [];
for await (const m of client.models.list()) models.push(m.id);
check('models are listed', models.length > 0, models);

// What is made from what is there already.
const short = await settle(await client.videos.create({ prompt, model: 'sora-2', size: '128x80', seconds: '1', steps: 1 }));
check('a short clip completes', short.status === 'completed', short);
const bytes = Buffer.from(await (await client.videos.downloadContent(short.id)).arrayBuffer());
const clip = () => toFile(bytes, 'clip.mp4', { type: 'video/mp4' });
const remade = {
  'remix by id': await client.videos.remix(short.id, { prompt, steps: 1 }),
  'edit by file': await client.videos.edit({ prompt, video: await clip(), steps: 1 }),
  'edit by id': await client.videos.edit({ prompt, video: { id: short.id }, steps: 1 }),
  'extend by id': await client.videos.extend({ prompt, seconds: '4', video: { id: short.id }, steps: 1 }),
  'extend by file': await client.videos.extend({ prompt, seconds: '4', video: await clip(), steps: 1 }),
};
for (const [what, video] of Object.entries(remade)) {
  const end = await settle(video);
  check(what, end.status === 'completed' && keys.every((k) => k in end), end);
}
check('an edit names its source', remade['edit by id'].remixed_from_video_id === short.id, remade['edit by id']);
const character = await client.videos.createCharacter({ name: 'Bo', video: await clip() });
check('a character is made', character.id.startsWith('char_') && character.name === 'Bo' &&
  (await client.videos.getCharacter(character.id)).id === character.id, character);
const actor = await settle(await client.videos.create({
  prompt: 'Bo bounces', model: 'sora-2', size: '128x80', seconds: '1', steps: 1, characters: [{ id: character.id }] }));
check('a character is used', actor.status === 'completed', actor);
const pictures = await client.images.generate({ prompt, model: 'sora-2', n: 1, size: '256x256', steps: 1 });
check('a picture is generated', Buffer.from(pictures.data[0].b64_json, 'base64').subarray(1, 4).toString() === 'PNG', pictures.created);
const file = await client.files.create({ file: fs.createReadStream(imagePath), purpose: 'vision' });
check('a file is kept', file.id.startsWith('file-') && file.bytes === fs.statSync(imagePath).size, file);
const fromFile = await settle(await client.videos.create({
  prompt, model: 'sora-2', size: '128x80', seconds: '1', steps: 1, input_reference: { file_id: file.id } }));
check('a file is a first frame', fromFile.status === 'completed', fromFile);
check('a file is deleted', (await client.files.delete(file.id)).deleted === true);

const gone = await client.videos.delete(stream.id);
check('delete answers as OpenAI', gone.deleted === true && gone.object === 'video.deleted' && gone.id === stream.id, gone);
try {
  await client.videos.retrieve(stream.id);
  check('a deleted video is gone', false);
} catch (e) {
  check('a deleted video is gone', e.status === 404, e.status);
}
console.log('done');
