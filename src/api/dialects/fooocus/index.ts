import { fastApi2 } from '#api/fastapi.ts';
import { httpStatus } from '#api/errors.ts';
import { fileName, installedAddOns, usableModels } from '#api/models.ts';
import { defineDialect, missingRoute, route } from '#api/route.ts';
import { generations } from './generations.ts';
import { jobRoutes } from './job-routes.ts';
import { NAME } from './jobs.ts';
import { PROMPT_EXPANSION, RANDOM_STYLE } from './prompt.ts';
import { generationQuery } from './schema.ts';
import { styles } from './styles/index.ts';
import * as tools from './tool-bodies.ts';
import { writeWebhook } from './webhook.ts';
import { renderWrongValue } from './wrong-value.ts';

/** What is not built yet. */
const unavailable = [
  missingRoute({
    method: 'POST',
    path: '/v1/generation/image-enhance',
    summary: 'Regions found in an image, generated again (form)',
    needs: 'enhance',
    body: tools.enhanceImageForm,
    encoding: 'form',
    query: generationQuery,
  }),
  missingRoute({
    method: 'POST',
    path: '/v2/generation/image-enhance',
    summary: 'Regions found in an image, generated again',
    needs: 'enhance',
    body: tools.enhanceImage,
    query: generationQuery,
  }),
  missingRoute({
    method: 'POST',
    path: '/v1/tools/describe-image',
    summary: 'A caption for an image (form)',
    needs: 'interrogate',
    body: tools.describeImageForm,
    encoding: 'form',
    query: tools.describeImageQuery,
  }),
  missingRoute({
    method: 'POST',
    path: '/v1/tools/generate_mask',
    summary: 'A mask of an object in an image',
    needs: 'find-mask',
    body: tools.generateMask,
  }),
];

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
        lora_filenames: installedAddOns(addOns, 'lora').map(fileName),
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
  roots: ['/ping', '/v1/generation/', '/v2/generation/', '/v1/tools/', '/v1/engines/'],
  routes: [...generations, ...unavailable, ...jobRoutes, ...allModels, ...constants],
  nameLora: (name) => `loras:${name}`,
  webhook: writeWebhook,
  renderError: (error) =>
    renderWrongValue(error) ?? { status: httpStatus(error), body: { detail: error.message } },
});
