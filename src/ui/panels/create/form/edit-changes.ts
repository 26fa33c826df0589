import { EDIT_DEFAULTS, type EditSettings } from './generate-form.svelte.ts';

/** The areas that can be generated of an image that is edited. */
export const AREAS: readonly { value: EditSettings['area']; label: string }[] = [
  { value: 'whole', label: 'Whole image' },
  { value: 'masked', label: 'Only masked' },
];

/** What can stand under the mask to begin with. */
export const FILLS: readonly { value: EditSettings['fill']; label: string }[] = [
  { value: 'auto', label: 'Automatic' },
  { value: 'original', label: 'Original' },
  { value: 'fill', label: 'Fill' },
  { value: 'latent-noise', label: 'Latent noise' },
  { value: 'latent-nothing', label: 'Latent nothing' },
];

/** What differs from {@link EDIT_DEFAULTS}, in a few words each. */
export function editChanges({ area, padding, fill, blur }: EditSettings): string[] {
  const changes: (string | false | undefined)[] = [
    area !== EDIT_DEFAULTS.area && AREAS.find(({ value }) => value === area)?.label.toLowerCase(),
    area === 'masked' && padding !== EDIT_DEFAULTS.padding && `padding ${padding}`,
    fill !== EDIT_DEFAULTS.fill && FILLS.find(({ value }) => value === fill)?.label.toLowerCase(),
    blur !== EDIT_DEFAULTS.blur && `mask blur ${blur}`,
  ];
  return changes.filter((change): change is string => typeof change === 'string');
}
