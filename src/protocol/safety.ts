import { INCLUDED } from './included.ts';
import type { Job, SafetyStep } from './job.ts';
import { usableAddOns, type AddOnInfo, type ModelId } from './model.ts';
import type { Settings } from './settings.ts';

/** How an image that is not safe for work is hidden; `text` is a notice in its place. */
export const SAFETY_ACTIONS = ['blur', 'pixelate', 'black', 'text'] as const;
export type SafetyAction = (typeof SAFETY_ACTIONS)[number];

/** How images are judged. */
export interface SafetyCheck {
  /** The id of a safety checker. */
  checker: ModelId;
  /**
   * 0 … 1: how likely an image has to be pornographic, of the network that comes with the app; being sexy counts from a fifth
   * above that. Imported checkers have limits of their own.
   */
  threshold: number;
}

/** Setting: what the app does with its own images; a {@link SafetyAction}, or nothing. */
export const SAFETY_SETTING = 'app.safety';

/** Setting: see {@link SafetyCheck}. Of all images, whoever asks for them. */
export const SAFETY_THRESHOLD_SETTING = 'app.safety_threshold';

export const DEFAULT_SAFETY_THRESHOLD = 0.6;

/** How images are judged here: by an imported safety checker, or else by the one that comes with the app. */
export function safetyCheck(addOns: readonly AddOnInfo[], settings: Settings): SafetyCheck {
  const { [SAFETY_THRESHOLD_SETTING]: set } = settings;
  const [first] = usableAddOns(addOns, 'safety-checker');
  return {
    checker: first?.pack.id ?? INCLUDED.safetyChecker.id,
    threshold: typeof set === 'number' ? set : DEFAULT_SAFETY_THRESHOLD,
  };
}

/** Whether a job looks at its images before anyone sees them. */
export function isChecked(job: Job): boolean {
  return 'post' in job && job.post.some(({ kind }) => kind === 'safety');
}

/** The job with a look at its images at its end; jobs that make none are left as they are. */
export function withSafety<J extends Job>(job: J, step: SafetyStep | null): J {
  return step && 'post' in job ? { ...job, post: [...job.post, step] } : job;
}
