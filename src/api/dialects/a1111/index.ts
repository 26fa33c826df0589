import { fastApi1 } from '#api/fastapi.ts';
import { defineDialect, missingRoute, route, type Route } from '#api/route.ts';
import { controlNetRoutes } from './controlnet.ts';
import { renderError } from './errors.ts';
import { extraRoutes } from './extras.ts';
import { img2img } from './img2img.ts';
import { interrogate } from './interrogate.ts';
import { listRoutes } from './lists.ts';
import { optionRoutes } from './options-routes.ts';
import { pngInfo } from './png-info.ts';
import { interruptRunning, pendingTasks, progress, runningJob, taskProgress } from './progress.ts';
import { anyBody } from './schema.ts';
import { txt2img } from './txt2img.ts';

const interrupt = route({
  method: 'POST',
  path: '/sdapi/v1/interrupt',
  summary: 'Stop the running job, which answers with the images it has finished',
  run: (call) =>
    call.ask(async (host) => {
      await interruptRunning(host, call.session);
      return {};
    }),
});

const skip = route({
  method: 'POST',
  path: '/sdapi/v1/skip',
  summary: 'Stop the running batch and continue with the next',
  run: (call) =>
    call.ask(async (host) => {
      const running = await runningJob(host);
      if (running) await host.skip(running.id);
      return null;
    }),
});

const training: readonly Route[] = (
  [
    ['create/embedding', 'A new embedding'],
    ['create/hypernetwork', 'A new hypernetwork'],
    ['train/embedding', 'An embedding trained'],
    ['train/hypernetwork', 'A hypernetwork trained'],
  ] as const
).map(([path, summary]) =>
  missingRoute({
    method: 'POST',
    path: `/sdapi/v1/${path}`,
    summary,
    needs: 'training',
    body: anyBody,
    bodyOptional: true,
  }),
);

/** Paths of the original's page and of extensions that clients ask for to see what is there: nothing is. */
const ABSENT = [
  '/config',
  '/info',
  '/login_check',
  '/startup-events',
  '/token',
  '/user',
  '/queue/',
  '/run/',
  '/adetailer/',
  '/agent-scheduler/',
  '/bmab/',
  '/civitai/',
  '/cleaner',
  '/deforum/',
  '/deforum_api/',
  '/depth/',
  '/faceswaplab/',
  '/lama-cleaner/',
  '/openpose_editor/',
  '/reactor/',
  '/rembg/',
  '/roop/',
  '/sam/',
  '/sd-queue/',
  '/supermerger/',
  '/tagger/',
];

export const a1111 = defineDialect({
  ...fastApi1,
  name: 'a1111',
  title: 'A1111',
  prefix: '/a1111',
  service: {
    keyPlace: 'basic',
    keyTitle: 'user:password',
    probe: { method: 'GET', path: '/sdapi/v1/samplers' },
    allowSites: (origin) => `Start it with --api --cors-allow-origins=${origin} (SD.Next: --cors-origins).`,
    hosts: ['127.0.0.1:7860', 'localhost:7860'],
  },
  roots: ['/sdapi/v1/', '/internal/', '/controlnet/', '/sd_extra_networks/', ...ABSENT],
  nameLora: (name) => `prompt.<lora:${name}>`,
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
    ...training,
  ],
  renderError,
  headers: (elapsedMs) => ({ 'X-Process-Time': (elapsedMs / 1000).toFixed(4) }),
});
