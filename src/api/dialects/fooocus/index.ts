import { fastApi2 } from '#api/fastapi.ts';
import { httpStatus } from '#api/errors.ts';
import { fileName, usableModels } from '#api/models.ts';
import { defineDialect, route } from '#api/route.ts';
import { styles } from '#codecs/prompt/styles/index.ts';
import { usableAddOns } from '#protocol/model.ts';
import { describeImageRoute } from './describe-image.ts';
import { generateMaskRoute } from './generate-mask.ts';
import { generations } from './generations.ts';
import { jobRoutes } from './job-routes.ts';
import { NAME } from './jobs.ts';
import { PROMPT_EXPANSION, RANDOM_STYLE } from './prompt.ts';
import { writeWebhook } from './webhook.ts';
import { renderWrongValue } from './wrong-value.ts';

const allModels = (
  [
    ['GET', '/v1/engines/all-models'],
    // Gone from the original; older clients still call it.
    ['POST', '/v1/engines/refresh-models'],
  ] as const
).map(([method, path]) =>
  route({
    method,
    path,
    summary: 'The installed models and LoRAs',
    run: async (call) => {
      const [models, addOns] = await call.ask((host) => Promise.all([host.models(), host.addOns()]));
      return {
        model_filenames: usableModels(models).map(fileName),
        lora_filenames: usableAddOns(addOns, 'lora').map(fileName),
      };
    },
  }),
);

const constants = [
  route({
    method: 'GET',
    path: '/ping',
    summary: 'Whether the service is running',
    run: () => Promise.resolve('pong'),
  }),
  route({
    method: 'GET',
    path: '/v1/engines/styles',
    summary: 'The names of the styles',
    run: () => Promise.resolve([PROMPT_EXPANSION, RANDOM_STYLE, ...styles.keys()]),
  }),
  route({
    method: 'GET',
    path: '/v1/engines/clean_vram',
    summary: 'Free memory, which happens automatically',
    status: 'no-effect',
    run: () => Promise.resolve({ message: 'ok' }),
  }),
];

export const fooocus = defineDialect({
  ...fastApi2,
  name: NAME,
  title: 'Fooocus-API',
  prefix: '/fooocus',
  service: {
    keyPlace: 'x-api-key',
    keyTitle: 'API key',
    probe: { method: 'GET', path: '/v1/engines/styles' },
    allowSites: () => 'It allows all sites by itself; a proxy before it may not.',
    hosts: ['127.0.0.1:8888', 'localhost:8888'],
  },
  roots: ['/ping', '/v1/generation/', '/v2/generation/', '/v1/tools/', '/v1/engines/'],
  routes: [...generations, describeImageRoute, generateMaskRoute, ...jobRoutes, ...allModels, ...constants],
  nameLora: (name) => `loras:${name}`,
  webhook: writeWebhook,
  renderError: (error) =>
    renderWrongValue(error) ?? { status: httpStatus(error), body: { detail: error.message } },
});
