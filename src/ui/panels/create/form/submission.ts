import { AppError } from '#protocol/error.ts';
import type { Job, JobId } from '#protocol/job.ts';
import type { ModelInfo } from '#protocol/model.ts';
import { SAFETY_ACTIONS, safetyCheck, SAFETY_SETTING, withSafety } from '#protocol/safety.ts';
import type { Engine } from '#ui/state/engine.svelte.ts';
import { describeJob } from './describe-job.ts';
import { generateJob } from './generate-job.ts';
import type { GenerateForm } from './generate-form.svelte.ts';
import { modes } from './modes.ts';
import { loadStylesFor, styledTexts } from './styled-texts.ts';
import { upscaleJob } from './upscale-job.ts';

/** Milliseconds within which the same job is not submitted twice: a double click. */
const DOUBLE_CLICK_MS = 700;

/** Equal for forms that ask for the same. */
function keyOf(form: GenerateForm): string {
  const { mode, prompt, negativePrompt, styles, seed, count, width, height } = form;
  const { steps, strength, upscale, describe } = form;
  const sources = form.sources.map(({ id }) => id);
  return JSON.stringify({
    ...{ mode, prompt, negativePrompt, styles, seed, count, width, height },
    ...{ steps, strength, upscale, describe },
    sources,
  });
}

/** Turns the form into jobs, one for each time it is meant. */
export class Submission {
  readonly #form: GenerateForm;
  readonly #engine: Engine;
  #last = { key: '', at: -Infinity };
  #isPreparing = false;

  constructor(form: GenerateForm, engine: Engine) {
    this.#form = form;
    this.#engine = engine;
  }

  /**
   * Queues the job of the form.
   * @returns whether it did; not for the second click of two
   * @throws AppError for what is missing in the form
   */
  async submit(): Promise<boolean> {
    const form = this.#form;
    const key = keyOf(form);
    const at = performance.now();
    if (this.#isPreparing || (key === this.#last.key && at - this.#last.at < DOUBLE_CLICK_MS)) return false;
    this.#isPreparing = true;
    try {
      const job = await this.makeJob();
      this.#last = { key, at };
      const [source] = form.sources;
      const queued = this.#engine.submit(job);
      if (job.task === 'describe' && source) void this.#expect(queued, source.id);
    } finally {
      this.#isPreparing = false;
    }
    return true;
  }

  /**
   * The description will be of this image, whatever is in the form by then. Once there is one, nothing of its job is kept: it
   * would be another copy of the image.
   */
  async #expect(queued: Promise<JobId | undefined>, source: string): Promise<void> {
    const job = await queued;
    if (job === undefined) return;
    this.#form.describing = { job, source };
    await this.#engine.ask(async (host) => {
      const { stage } = await host.wait(job);
      if (stage === 'done') await host.removeJob(job);
    });
  }

  /**
   * The job as the form describes it now, with the safety checker if it is on.
   * @param model that generates; the selected one unless given
   * @throws AppError for what is missing in the form
   */
  async makeJob(model: ModelInfo | null = this.#engine.selectedModel): Promise<Job> {
    const { settings, addOns } = this.#engine;
    const job = await this.#describeForm(model);
    const action = SAFETY_ACTIONS.find((each) => each === settings[SAFETY_SETTING]);
    return withSafety(job, action ? { kind: 'safety', action, ...safetyCheck(addOns, settings) } : null);
  }

  async #describeForm(model: ModelInfo | null): Promise<Job> {
    const [form, engine] = [this.#form, this.#engine];
    if (form.mode === 'describe') return describeJob(form, engine.describers);
    if (!modes[form.mode].generates) {
      const { upscaler } = form.upscale;
      return upscaleJob(form, engine.canUpscaleWith(upscaler) ? upscaler : engine.bestUpscaler);
    }
    if (!model) throw new AppError('not_found', 'No model is listed yet. Try again in a moment.');
    const editor = form.mode === 'edit' ? form.editor : null;
    const mask = (await editor?.toFile()) ?? null;
    const edited = await editor?.toImage();
    const texts = styledTexts(form, await loadStylesFor(form));
    return generateJob(form, { model, addOns: engine.addOnsFor(model.pack), mask, edited, texts });
  }
}
