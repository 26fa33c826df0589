import type { DescriptionKind } from '#api/describe-image.ts';
import { missingCapability } from '#api/parameters.ts';
import type { FinishedImage } from '#api/run-job.ts';
import type { InfotextPair } from '#codecs/infotext.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { MissingCapability } from '#protocol/capabilities.ts';
import { AppError } from '#protocol/error.ts';
import type { ImageSpec, JobId, UpscaleJob } from '#protocol/job.ts';
import type { Installed } from '#api/dialects/a1111/checkpoints.ts';
import { httpException } from '#api/dialects/a1111/errors.ts';
import type { Generated, Generation, GenerationKind, Made } from '#api/dialects/a1111/generation.ts';
import type { GenerationBody } from '#api/dialects/a1111/generation-rows.ts';
import type { Options } from '#api/dialects/a1111/options.ts';
import type { ScriptArguments, ScriptControl } from '#api/dialects/a1111/script-controls.ts';
import { openContext } from './context.ts';
import { openSeedDraws } from './seed-draws.ts';
import { beginScript, endScript } from './under-way.ts';

/** A script that is run by `script_name`: one request makes several runs. */
export type Script<Body extends GenerationBody> = RunnableScript<Body> | MissingScript;

/** A script of a stock install that is refused by its name, and not listed. */
export interface MissingScript {
  title: string;
  needs: MissingCapability;
}

export interface RunnableScript<Body extends GenerationBody> {
  /** Clients may write it in lower case. */
  title: string;
  /** In the order of the arguments. */
  controls: readonly ScriptControl[];
  /** @throws AppError as the original for what it cannot do */
  run(context: ScriptContext<Body>): Promise<ScriptResult>;
}

/** What a script answers with. */
export interface ScriptResult {
  files: readonly Blob[];
  /** Of each file. */
  infotexts: readonly string[];
  /** What the answer's `info` says about the images. */
  specs: readonly ImageSpec[];
  /** How many grids are in front of the images. */
  firstImage?: number;
}

/** How a run differs from the request. */
export interface Variation<Body extends GenerationBody> {
  changes?: Partial<Body>;
  /** Init images and masks that replace the request's. */
  images?: { init: readonly Pixels[]; mask?: Pixels; latentMask?: Pixels };
  /** Settings besides the request's overrides. */
  overrides?: Readonly<Record<string, unknown>>;
  /** What is each image's own, by what it is in the job. */
  specs?: (specs: readonly ImageSpec[]) => ImageSpec[];
  /** Of the infotext. */
  pairs?: readonly InfotextPair[];
  /** The images go into further runs or are combined: PNG, whatever the options say. */
  intermediate?: boolean;
  /** The images are parts of the result, and deleted once that is in the gallery. */
  isPart?: boolean;
}

/** What a script works with. */
export interface ScriptContext<Body extends GenerationBody> {
  readonly args: ScriptArguments;
  /** The request. */
  readonly body: Body;
  readonly isImg2img: boolean;
  readonly options: Options;
  readonly installed: Installed;
  /** The seed, or a random one for −1: the same one where the request had to be sent again. */
  fixSeed(seed: bigint): bigint;
  /** Says how many batches all runs will have, for `/progress`. */
  expect(batches: number): void;
  /** Runs the request with changes. @throws AppError as a request with them would */
  generate(variation: Variation<Body>): Promise<Generated>;
  /** Runs a job of another kind. */
  upscale(job: UpscaleJob): Promise<FinishedImage[]>;
  /** A text that describes an image file, by the options of the request. */
  describe(image: Blob, kind: DescriptionKind): Promise<string>;
  /** Whether the client or a user has stopped the last run, or the script between two: nothing runs after it. */
  isStopped(): boolean;
  /** RGB of an image of the request. */
  readImage(image: string, field: string): Promise<Pixels>;
  /** A file of the options' format, with its infotext. */
  encode(pixels: Pixels, infotext: string): Promise<Blob>;
  /**
   * The same of a result that no run has made, which is put into the gallery.
   * @param of the image whose prompt and seed it has
   */
  keep(pixels: Pixels, infotext: string, of: ImageSpec): Promise<Blob>;
  /** The same of a grid, if the option `grid_save` is set. */
  keepGrid(pixels: Pixels, infotext: string, of: ImageSpec): Promise<Blob>;
  /** Names parameters without effect. */
  ignore(...names: string[]): void;
}

/** The script that a request names; undefined for none. @throws AppError for one that is not there, or cannot be run here */
export function findScript<Body extends GenerationBody>(
  { scripts }: GenerationKind<Body>,
  name: string | null,
): RunnableScript<Body> | undefined {
  if (name === null || name === '' || name.toLowerCase() === 'none') return undefined;
  const script = scripts.find(({ title }) => title.toLowerCase() === name.toLowerCase());
  if (!script) throw httpException(422, `Script '${name}' not found`);
  if ('needs' in script) throw missingCapability(`Script '${name}'`, script.needs, 'script_name');
  return script;
}

/** Runs a script. @throws AppError as the script; what its arguments cannot be is a 422 */
export async function runScript<Body extends GenerationBody>(
  script: RunnableScript<Body>,
  generation: Generation<Body>,
): Promise<Made> {
  const { call, kind, request } = generation;
  const runs: Generated[] = [];
  const parts: JobId[] = [];
  const place = beginScript(call.session, { job: kind.jobName, taskId: request.body.force_task_id });
  try {
    const draws = await openSeedDraws(call);
    const context = openContext(script.controls, generation, place, draws, (run, isPart) => {
      runs.push(run);
      if (isPart) parts.push(run.record.id);
    });
    const result = await script.run(context);
    const [first] = runs;
    if (!first) throw httpException(422, `script_args: ${script.title} has nothing to run`);
    if (result.files.length > 0) await call.ask((host) => Promise.all(parts.map((id) => host.removeJob(id))));
    return { firstImage: 0, ...result, plan: first.plan, record: first.record };
  } catch (thrown) {
    const isPlain = thrown instanceof AppError && thrown.code === 'invalid_request' && !thrown.detail;
    throw isPlain ? httpException(422, thrown.message) : thrown;
  } finally {
    endScript(call.session, place);
  }
}
