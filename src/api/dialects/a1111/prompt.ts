import { applyStyles } from '#codecs/prompt/apply-styles.ts';
import type { PromptOverride } from '#protocol/job.ts';
import { findStyles } from './styles.ts';

/** Tags of LoRAs and the like in a prompt, with the kind and the name of each (A1111, modules/extra_networks.py). */
export const EXTRA_NETWORK = /<(\w+):([^:>]+)[^>]*>/g;

/**
 * A prompt without its comments: everything from a `#` to the end of the line.
 * Source: A1111 modules/processing_scripts/comments.py.
 */
export function stripComments(prompt: string): string {
  return prompt.replace(/(^|\n)#[^\n]*(\n|$)/g, '\n').replace(/#[^\n]*(\n|$)/g, '\n');
}

/** A pair of prompts as a request has it. */
export interface SentPrompts {
  prompt: string;
  negativePrompt: string;
  styles: readonly string[] | null;
}

/** What of the request and the options changes how prompts are read. */
export interface PromptReading {
  /** Take comments out. */
  comments: boolean;
  /** Remove the tags of LoRAs and the like. */
  withoutNetworks: boolean;
}

/** The prompts to encode: styles applied, comments and unwanted tags removed. */
export function readPrompts(sent: SentPrompts, reading: PromptReading): PromptOverride {
  const strip = (text: string) => (reading.comments ? stripComments(text) : text);
  const styles = findStyles(sent.styles ?? []);
  const prompt = applyStyles(
    sent.prompt,
    styles.map((style) => style.prompt),
  );
  const negativePrompt = applyStyles(
    sent.negativePrompt,
    styles.map((style) => style.negative_prompt),
  );
  return {
    prompt: [reading.withoutNetworks ? strip(prompt).replaceAll(EXTRA_NETWORK, '') : strip(prompt)],
    negativePrompt: [strip(negativePrompt)],
  };
}
