import type { PromptTexts } from '#protocol/engine-host.ts';
import type { GenerateForm } from './generate-form.svelte.ts';
import { loadStyles, NO_STYLES, styledTexts, type KnownStyles } from './styled-texts.ts';

/** The prompts of a form as they are generated. Follows the form while it is used in a component. */
export class StyledPrompt {
  readonly #form: GenerateForm;
  #known = $state.raw<KnownStyles>(NO_STYLES);

  readonly texts: PromptTexts = $derived.by(() => styledTexts(this.#form, this.#known));

  constructor(form: GenerateForm) {
    this.#form = form;
    $effect(() => {
      if (form.styles.length === 0) return;
      // Without its file a style is not shown as applied; generating says what is wrong.
      loadStyles().then(
        (known) => (this.#known = known),
        () => undefined,
      );
    });
  }
}
