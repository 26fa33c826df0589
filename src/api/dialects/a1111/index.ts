import { fastApi1 } from '#api/fastapi.ts';
import { missingCapability } from '#api/parameters.ts';
import { defineDialect, route, type Route } from '#api/route.ts';
import { controlNetRoutes } from './controlnet.ts';
import { httpException, renderError } from './errors.ts';
import { extraRoutes } from './extras.ts';
import { listRoutes } from './lists.ts';
import { optionRoutes } from './options-routes.ts';
import { pngInfo } from './png-info.ts';
import { pendingTasks, progress, runningJob, taskProgress } from './progress.ts';
import { anyBody, img2imgBody, interrogateBody } from './schema.ts';
import { txt2img } from './txt2img.ts';

const interrupt = route({
  method: 'POST',
  path: '/sdapi/v1/interrupt',
  summary: 'End the running job; it answers with what it has made',
  run: (call) =>
    call.ask(async (host) => {
      const running = await runningJob(host);
      if (running) await host.cancel(running.id);
      return {};
    }),
});

const skip = route({
  method: 'POST',
  path: '/sdapi/v1/skip',
  summary: 'End the running batch and go on with the next',
  run: (call) =>
    call.ask(async (host) => {
      const running = await runningJob(host);
      if (running) await host.skip(running.id);
      return null;
    }),
});

const img2img = route({
  method: 'POST',
  path: '/sdapi/v1/img2img',
  summary: 'Not available yet: images from an image',
  body: img2imgBody,
  run: ({ body }) => {
    if (!body.init_images?.length) return Promise.reject(httpException(404, 'Init image not found'));
    return Promise.reject(missingCapability('img2img needs the encoding of images'));
  },
});

const interrogate = route({
  method: 'POST',
  path: '/sdapi/v1/interrogate',
  summary: 'Not available yet: a caption for an image',
  body: interrogateBody,
  run: ({ body }) => {
    if (body.image === null) return Promise.reject(httpException(404, 'Image not found'));
    if (!['clip', 'deepdanbooru'].includes(body.model))
      return Promise.reject(httpException(404, 'Model not found'));
    return Promise.reject(missingCapability(`interrogate needs a captioning model (${body.model})`));
  },
});

/** Routes of the original whose capability is missing: they say which. */
const unavailable: readonly Route[] = Object.entries({
  'create/embedding': 'training',
  'create/hypernetwork': 'training',
  'train/embedding': 'training',
  'train/hypernetwork': 'training',
}).map(([path, capability]) =>
  route({
    method: 'POST',
    path: `/sdapi/v1/${path}`,
    summary: `Not available yet: ${capability}`,
    body: anyBody,
    bodyOptional: true,
    run: () => Promise.reject(missingCapability(`${path} needs ${capability}`)),
  }),
);

export const a1111 = defineDialect({
  ...fastApi1,
  name: 'a1111',
  title: 'A1111',
  prefix: '/a1111',
  roots: ['/sdapi/v1/', '/internal/', '/controlnet/', '/sd_extra_networks/'],
  routes: [
    txt2img,
    img2img,
    ...extraRoutes,
    interrogate,
    interrupt,
    skip,
    progress,
    taskProgress,
    pendingTasks,
    pngInfo,
    ...optionRoutes,
    ...listRoutes,
    ...controlNetRoutes,
    ...unavailable,
  ],
  renderError,
  headers: (elapsedMs) => ({ 'X-Process-Time': (elapsedMs / 1000).toFixed(4) }),
});
