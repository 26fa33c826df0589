import { likeliestToken, withoutRepeats } from '#engine/text/choose-token.ts';
import { decodeTokens } from '#engine/tokenizers/hub.ts';
import { yieldToEvents } from '#engine/stages/run/yield-to-events.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import type { CaptionConfig } from './caption-config.ts';

/**
 * Has a decoder write one token after the other, each the likeliest, until it ends or is stopped: transformers' greedy search.
 * @param read reads more tokens and says how likely each comes next
 */
export async function writeCaption(
  { stop }: Pick<RunContext, 'stop'>,
  read: (ids: readonly number[]) => Promise<Float32Array>,
  { startId, secondId, endId, noRepeat, tokenizer }: Omit<CaptionConfig, 'image'>,
  maxTokens: number,
): Promise<string> {
  const begun = secondId === null ? [startId] : [startId, secondId];
  const ids: number[] = [];
  for (let fresh: readonly number[] = begun; ids.length < maxTokens && !stop.cancelled;) {
    const id = likeliestToken(withoutRepeats(await read(fresh), [...begun, ...ids], noRepeat));
    if (id === endId) break;
    ids.push(id);
    fresh = [id];
    await yieldToEvents();
  }
  return decodeTokens(tokenizer, ids).trim();
}
