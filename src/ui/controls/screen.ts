import { MediaQuery } from 'svelte/reactivity';

/** Whether the window is as narrow as a phone: one column, with the tabs at its foot. The same width is in the styles. */
export const phone = new MediaQuery('max-width: 47.999rem');
