/** A `<kind:argument:…>` tag of a prompt, such as `<lora:name:0.8>`. */
export interface ExtraNetwork {
  /** `lora`, `lyco`, `hypernet`, or any other word. */
  kind: string;
  /** Arguments by position; the first is the network's name. */
  positional: readonly string[];
  /** Arguments written `key=value`. */
  named: Readonly<Record<string, string>>;
}

const TAG = /<([\p{L}\p{N}_]+):([^>]+)>/gu;

/**
 * Takes the extra network tags out of a prompt. Source: A1111 modules/extra_networks.py, `parse_prompt`.
 */
export function parseExtraNetworks(prompt: string): { text: string; networks: ExtraNetwork[] } {
  const networks: ExtraNetwork[] = [];
  const text = prompt.replace(TAG, (_tag, kind: string, items: string) => {
    const positional: string[] = [];
    const named: Record<string, string> = {};
    for (const item of items.split(':')) {
      const [key = '', value, ...more] = item.split('=');
      if (value === undefined || more.length > 0) positional.push(item);
      else named[key] = value;
    }
    networks.push({ kind, positional, named });
    return '';
  });
  return { text, networks };
}
