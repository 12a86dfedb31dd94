/* operations.js - what can be made, one row each: its words, its route, what it is given.
 *
 * media: slots for pictures and clips, named as the API names them. controls: rows of controls.js.
 * plan(): the pieces of the result on a timeline, before it exists; `known` comes from a clip,
 * `new` is painted. */

const known = (seconds, slot = 'video') => ({ kind: 'known', seconds, slot });
const painted = (seconds, control = 'seconds') => ({ kind: 'new', seconds, control });

const clip = { name: 'video', kind: 'video', label: 'Clip', required: true };

export const operations = [
  {
    id: 'text', name: 'create', title: 'Text', icon: 'text', path: '/v1/videos', verb: 'Make the video', makes: 'video',
    say: 'Say what should be seen. Misora paints it.',
    prompt: { required: true, hint: 'A corgi runs through the snow at sunset, the camera follows close to the ground' },
    media: [], controls: ['shape', 'seconds', 'upsampling'],
  },
  {
    id: 'image', name: 'create', title: 'Image', icon: 'image', path: '/v1/videos', verb: 'Set it in motion', makes: 'video',
    say: 'A picture becomes the first frame, a second one the last.',
    prompt: { required: true, hint: 'What happens next in this picture?' },
    media: [{ name: 'input_reference', kind: 'image', label: 'First frame', required: true },
      { name: 'last_frame', kind: 'image', label: 'Last frame' }],
    controls: ['shape', 'seconds', 'upsampling'],
  },
  {
    id: 'edit', name: 'edit', title: 'Edit', icon: 'edit', path: '/v1/videos/edits', verb: 'Edit the clip', makes: 'video',
    say: 'Same clip, other words: change a thing, a style, a season.',
    prompt: { required: true, hint: 'The same street, but in a snowstorm' },
    media: [clip, { name: 'mask', kind: 'image', label: 'Mask', note: 'white is made anew' }],
    controls: ['method', 'strength', 'span'],
    plan: ({ video }, { span }) => (span ? [known(span[0]), painted(span[1] - span[0], 'span'), known(video - span[1])] : [painted(video, 'span')]),
  },
  {
    id: 'extend', name: 'extend', title: 'Extend', icon: 'extend', path: '/v1/videos/extensions', verb: 'Extend the clip', makes: 'video',
    say: 'What came before, what comes after, or both.',
    prompt: { required: true, hint: 'The ball rolls on and comes to rest at a fence' },
    media: [clip], controls: ['direction', 'seconds', 'stitch'],
    plan: ({ video }, { direction, seconds }) => [
      direction !== 'forward' && painted(seconds), known(video), direction !== 'backward' && painted(seconds)].filter(Boolean),
  },
  {
    id: 'connect', name: 'connect', title: 'Connect', icon: 'connect', path: '/v1/videos/connections', verb: 'Connect the clips', makes: 'video',
    say: 'Two clips, and a motion painted between them.',
    prompt: { hint: 'The camera flies out of the window and over the sea' },
    media: [{ ...clip, name: 'first_video', label: 'From' }, { ...clip, name: 'second_video', label: 'To' }],
    controls: ['bridge'],
    plan: (clips, { bridge }) => [known(clips.first_video, 'first_video'), painted(bridge, 'bridge'), known(clips.second_video, 'second_video')],
  },
  {
    id: 'loop', name: 'loop', title: 'Loop', icon: 'loop', path: '/v1/videos/loops', verb: 'Make it loop', makes: 'video',
    say: 'A clip that ends where it begins: of one you have, or of words alone.',
    prompt: { requiredWithout: 'video', hint: 'Waves roll in and out on a beach' },
    media: [{ ...clip, required: false, note: 'or leave it empty and write a prompt' }],
    controls: ['bridge', 'loopShape'],
    plan: ({ video }, { bridge }) => (video ? [known(video), painted(bridge, 'bridge')] : [painted(bridge, 'bridge')]),
  },
  {
    id: 'views', name: 'views', title: 'Views', icon: 'views', path: '/v1/videos/views', verb: 'Film it from all sides', makes: 'video',
    say: 'One scene, several cameras, the same moment.',
    prompt: { requiredWithout: 'video', hint: 'A yellow ball bounces beside a blue cube' },
    media: [{ ...clip, required: false, note: 'or leave it empty and write a prompt' }],
    controls: ['cameras', 'seconds'],
  },
  {
    id: 'story', name: 'create', title: 'Story', icon: 'story', path: '/v1/videos', verb: 'Film the story', makes: 'video',
    say: 'Shots one after the other, in one continuous clip.',
    prompt: { hint: 'What holds for all shots: the style, the place, the light' },
    media: [], controls: ['shots', 'shape'], needs: ['storyboard'],
    plan: (_, { shots }) => shots.map((s) => ({ kind: 'new', seconds: s.seconds, control: 'shots', label: s.prompt })),
  },
  {
    id: 'still', name: 'image', title: 'Still', icon: 'still', path: '/v1/images/generations', verb: 'Paint the picture', makes: 'image',
    say: 'One picture, at once.',
    prompt: { required: true, hint: 'A lighthouse on a cliff under the northern lights' },
    media: [], controls: ['shape', 'count'],
  },
];

export const findOperation = (id) => operations.find((o) => o.id === id);

const titles = { create: 'Text', edit: 'Edit', extend: 'Extension', connect: 'Connection', loop: 'Loop', views: 'Views', storyboard: 'Story', image: 'Still' };
export const operationTitle = (name) => titles[name] || name || 'Video';
