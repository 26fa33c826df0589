import type { HordeWorker } from '#protocol/horde-worker.ts';
import { createHordeClient, type HordeClientOptions } from './client.ts';
import { planHorde } from './plan.ts';
import { PATIENCE, runHorde, type HordePatience } from './run.ts';

/** How long an answer of the Horde may take; it stores the images of a request before it answers. */
const TIMEOUT_MS = 60_000;

/** What the prompt is replaced by where only the cost is asked for. */
const NO_PROMPT = 'cost';

export interface HordeParts extends Omit<HordeClientOptions, 'timeoutMs'> {
  timeoutMs?: number;
  patience?: Partial<HordePatience>;
}

/** The AI Horde behind the protocol of its worker. */
export function createHorde({ timeoutMs = TIMEOUT_MS, patience, ...parts }: HordeParts): HordeWorker {
  const client = createHordeClient({ timeoutMs, ...parts });
  let running = new AbortController();
  return {
    run({ job, options, civitaiVersions, sent }, onEvent) {
      running = new AbortController();
      return runHorde({
        plan: planHorde(job, options, civitaiVersions),
        sent,
        client,
        patience: { ...PATIENCE, ...patience },
        onEvent,
        signal: running.signal,
      });
    },
    cancel: () => running.abort(),
    models: () => client.models(),
    async cost({ job, options, civitaiVersions }) {
      const { requests } = planHorde(job, options, civitaiVersions);
      const costs: number[] = [];
      for (const { payload } of requests) {
        costs.push(
          await client.cost({ ...payload, prompt: NO_PROMPT, params: { ...payload.params, seed: '0' } }),
        );
      }
      return { kudos: costs.reduce((sum, cost) => sum + cost, 0), balance: await client.balance() };
    },
  };
}
