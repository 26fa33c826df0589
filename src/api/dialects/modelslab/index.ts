import { DIFFUSERS_SCHEDULERS } from '#api/diffusers-scheduler.ts';
import { httpStatus, type Invalid } from '#api/errors.ts';
import { defineDialect, type Rendered } from '#api/route.ts';
import { runUnkept } from '#api/unkept-job.ts';
import type { AppError } from '#protocol/error.ts';
import { isAnyUnsafe } from '#protocol/job.ts';
import { safetyCheck } from '#protocol/safety.ts';
import { writeWebhook } from './answers.ts';
import { done } from './done.ts';
import { BASE, checkKey, endpoints } from './endpoints.ts';
import { RULE_WORDS } from './fields.ts';
import { CLIENT, generations } from './generations.ts';
import { readImage, uploadRoutes } from './images.ts';
import { modelRoutes } from './models.ts';
import * as schema from './schema.ts';

const OPERATION_DONE = 'Operation completed successfully';

const operations = [
  ...endpoints([`${BASE}/schedulers_list`], {
    summary: 'The schedulers',
    body: schema.keyBody,
    run: () => Promise.resolve({ status: 'success', schedulers: DIFFUSERS_SCHEDULERS }),
  }),
  ...endpoints([`${BASE}/clear_queue`, `${BASE}/images/clear_queue`], {
    summary: 'Cancels the waiting requests',
    body: schema.keyBody,
    run: async (call) => {
      const records = await call.ask((host) => host.unfinishedJobs());
      const waiting = records.filter(({ origin, stage }) => origin.client === CLIENT && stage === 'queued');
      for (const { id } of waiting) await call.ask((host) => host.cancel(id));
      return done(OPERATION_DONE);
    },
  }),
  ...endpoints(
    [
      ...['system_details', 'restart_server', 'update_server', 'clear_cache', 'sync_models'].map(
        (name) => `${BASE}/${name}`,
      ),
      ...['system_details', 'restart_server', 'update', 'clear_cache'].map(
        (name) => `${BASE}/images/${name}`,
      ),
    ],
    {
      summary: 'Nothing to do: there is no server',
      status: 'no-effect',
      body: schema.keyBody,
      run: () => Promise.resolve(done(OPERATION_DONE)),
    },
  ),
  ...endpoints([`${BASE}/nsfw_image_check`], {
    summary: 'Whether an image is not safe for work',
    body: schema.imageCheckBody,
    answer: schema.imageCheckAnswer,
    late: true,
    run: async (call) => {
      const image = await readImage(call, call.body.init_image, 'init_image');
      const [addOns, settings] = await call.ask((host) => Promise.all([host.addOns(), host.settings()]));
      const check = safetyCheck(addOns, settings);
      const { result } = await runUnkept(call, { task: 'check-safety', image, check });
      return { status: 'success', has_nsfw_concept: [isAnyUnsafe(result)] };
    },
  }),
];

export const modelslab = defineDialect({
  name: CLIENT,
  title: 'ModelsLab',
  prefix: '/modelslab',
  service: {
    keyPlace: 'body',
    keyTitle: 'API key',
    probe: { method: 'POST', path: `${BASE}/schedulers_list` },
    allowSites: (origin) => `Put a proxy before it that sends Access-Control-Allow-Origin: ${origin}.`,
    hosts: ['modelslab.com', 'stablediffusionapi.com'],
  },
  roots: [`${BASE}/`, '/api/v6/'],
  bodyRule: 'lenient',
  routes: [...generations, ...modelRoutes, ...uploadRoutes, ...operations],
  authorize: checkKey,
  nameLora: (name) => `lora_model.${name}`,
  webhook: writeWebhook,
  renderError,
  renderInvalid: ([invalid]) => failure(400, wordInvalid(invalid)),
  renderNotFound: (_method, path) => failure(404, `There is no endpoint ${path}`),
  renderWrongMethod: (method) => failure(405, `Method not allowed: ${method}`),
});

/** `messege` is the service's own spelling, which older clients read. */
function failure(status: number, message: string, more: object = {}): Rendered {
  return { status, body: { status: 'error', message, messege: message, ...more } };
}

function renderError(error: AppError): Rendered {
  const tip = error.detail?.['tip'];
  const more = typeof tip === 'string' ? { tip } : {};
  if (error.code !== 'queue_full') return failure(httpStatus(error), error.message, more);
  const limit = String(error.detail?.['limit'] ?? '');
  return failure(429, `Rate limit exceeded. Maximum ${limit} queued requests allowed.`.replace('  ', ' '), {
    retry_after: 30,
  });
}

function wordInvalid({ rule, path: [name], json }: Invalid): string {
  if (rule === 'json') return `Invalid JSON: ${json?.message ?? ''}`;
  return name === undefined ? 'the body must be a JSON object' : `${name} ${RULE_WORDS[rule] ?? rule}`;
}
