import type { PromptTexts, TokenCount } from '#protocol/engine-host.ts';
import type { Engine } from '#ui/state/engine.svelte.ts';

/** Typing makes many changes; only after a pause is the host asked. */
const SETTLED_MS = 200;

/** How many tokens texts are for the selected model. Follows them while it is used in a component. */
export class TokenCounts {
  #counts = $state.raw<Readonly<Record<keyof PromptTexts, TokenCount>> | null>(null);

  constructor(textsOf: () => PromptTexts, engine: Engine) {
    $effect(() => {
      const model = engine.selectedModel;
      // With the engine comes the tokenizer.
      const isReady = engine.backend !== null && model?.state.stage === 'installed';
      const texts = textsOf();
      if (!isReady) {
        this.#counts = null;
        return;
      }
      let isStale = false;
      const timer = setTimeout(() => {
        void engine
          .request((host) => host.countTokens(texts, model.pack.id))
          // A text that cannot be counted shows no count; generating says what is wrong.
          .catch(() => null)
          .then((counts) => {
            if (!isStale) this.#counts = counts;
          });
      }, SETTLED_MS);
      return () => {
        isStale = true;
        clearTimeout(timer);
      };
    });
  }

  /** Null while it is not known. */
  of(text: keyof PromptTexts): TokenCount | null {
    return this.#counts?.[text] ?? null;
  }
}
