import { createApi, type Api } from '#api/index.ts';
import { fromBase64 } from '#codecs/base64.ts';
import { decodePng } from '#codecs/png.ts';
import type { GenerateJob, Pass } from '#protocol/job.ts';
import { createFakeHost } from './fake-host.ts';
import { jsonOf, post } from './http.ts';

/** A request that is quick to generate. */
export const SMALL = { prompt: 'a red apple', width: 64, height: 64, steps: 3, seed: 1000 };

/** The answer of txt2img or img2img, or an error's. */
export interface Txt2imgAnswer {
  images: string[];
  parameters: Record<string, unknown>;
  info: string;
  error: string;
  detail: string;
  errors: string;
}

/** What is read of an answer's `info`. */
interface Info {
  prompt: string;
  negative_prompt: string;
  seed: number;
  width: number;
  height: number;
  batch_size: number;
  steps: number;
  sampler_name: string;
  subseed_strength: number;
  denoising_strength: number | null;
  all_seeds: number[];
  all_subseeds: number[];
  infotexts: string[];
  job_timestamp: string;
  extra_generation_params: Record<string, string | number>;
  sd_vae_name: string | null;
  sd_vae_hash: string | null;
}

type HostOptions = Parameters<typeof createFakeHost>[0];

/** `POST /sdapi/v1/txt2img`: the answer, and the job that it made, if it made one. */
export function txt2img(body: object, options: HostOptions = {}) {
  return generate('/sdapi/v1/txt2img', body, options);
}

/** The same of `POST /sdapi/v1/img2img`. */
export function img2img(body: object, options: HostOptions = {}) {
  return generate('/sdapi/v1/img2img', body, options);
}

async function generate(path: string, body: object, options: HostOptions) {
  const fake = createFakeHost(options);
  const response = await post(createApi(fake), path, body);
  const answer = await jsonOf<Txt2imgAnswer>(response);
  const job: GenerateJob | undefined = fake.jobs[0];
  const pass: Pass | undefined = job?.passes[0];
  return {
    response,
    status: response.status,
    answer,
    ignored: response.headers.get('X-Ignored-Parameters')?.split(', ').map(decodeURIComponent).sort() ?? [],
    info: JSON.parse(response.ok ? answer.info : 'null') as Info,
    job,
    pass,
  };
}

/** What is read of `GET /sdapi/v1/progress`. */
export interface Progress {
  progress: number;
  current_image: string | null;
  textinfo: string | null;
  state: { sampling_step: number; job_count: number; job_no: number };
}

/** `GET /sdapi/v1/progress`. */
export function progressOf(api: Api): Promise<Progress> {
  return jsonOf<Progress>(api.request('/sdapi/v1/progress'));
}

/** The pixels of a PNG in base64. */
export function pixelsOf(base64: string | null | undefined) {
  return decodePng(fromBase64(base64 ?? ''));
}
