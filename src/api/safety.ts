import type { SafetyStep } from '#protocol/job.ts';
import type { AddOnInfo } from '#protocol/model.ts';
import { safetyCheck, type SafetyAction } from '#protocol/safety.ts';
import type { Settings } from '#protocol/settings.ts';

/** How ModelsLab and its resellers hide what is not safe for work; the first is their default. */
export const SAFETY_CHECKER_TYPES = ['sensitive_content_text', 'blur', 'pixelate', 'black'] as const;

const ACTIONS: Readonly<Record<(typeof SAFETY_CHECKER_TYPES)[number], SafetyAction>> = {
  sensitive_content_text: 'text',
  blur: 'blur',
  pixelate: 'pixelate',
  black: 'black',
};

/** What decides how images are judged. */
interface SafetyParts {
  addOns: readonly AddOnInfo[];
  settings: Settings;
}

/** What hides images that are not safe for work. */
export function safetyStep(action: SafetyAction, { addOns, settings }: SafetyParts): SafetyStep {
  return { kind: 'safety', action, ...safetyCheck(addOns, settings) };
}

/** The same by one of the services' own names. */
export function safetyStepOf(type: (typeof SAFETY_CHECKER_TYPES)[number], parts: SafetyParts): SafetyStep {
  return safetyStep(ACTIONS[type], parts);
}
