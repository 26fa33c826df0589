import { catalogue } from '#library/catalogue/index.ts';
import { parseHubAddress } from '#library/sources/hub.ts';
import { describe, expect, it } from 'vitest';

it('names every entry once', () => {
  expect(new Set(catalogue.map(({ id }) => id)).size).toBe(catalogue.length);
});

describe.each(catalogue.map((entry) => [entry.id, entry] as const))('%s', (_, entry) => {
  it('points at a repository of the hub, or a .safetensors file of one', () => {
    const address = parseHubAddress(new URL(entry.url), 'https://huggingface.co');
    expect(address).toBeDefined();
    expect(address?.isFile).toBe(entry.url.endsWith('.safetensors'));
  });

  it('tells licence, size and use', () => {
    expect(entry.licence.name).not.toMatch(/unknown|^$/i);
    expect(entry.licence.url).toMatch(/^https:\/\//);
    expect(entry.sizeBytes).toBeGreaterThan(1e6);
    expect(entry.goodFor).toMatch(/\.$/);
    // Graphs made elsewhere cannot be cast to what the device computes in.
    expect(entry.needsFloat16).toBe(entry.id.endsWith('-onnx'));
  });

  it('marks what may not be sold', () => {
    expect(entry.licence.nonCommercial ?? false).toBe(/non-?commercial/i.test(entry.licence.name));
  });
});
