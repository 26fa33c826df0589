import { readHost, readServerUrl } from '#protocol/other-servers.ts';
import { describe, expect, it } from 'vitest';

const OWN = 'http://localhost:4173';

describe('the address of a server', () => {
  it.each([
    ['http://127.0.0.1:7860', 'http://127.0.0.1:7860'],
    [' https://example.com/ ', 'https://example.com'],
    ['https://example.com:443/a1111/', 'https://example.com/a1111'],
    ['192.168.1.5:7860', 'http://192.168.1.5:7860'],
    ['', ''],
  ])('is kept without what it does not need: %s', (typed, kept) => {
    expect(readServerUrl(typed, OWN)).toBe(kept);
  });

  it.each([
    ['http://', /Enter an address such as/],
    ['ftp://example.com', /Enter an address such as/],
    ['https://user:pass@example.com', /enter them as the key/],
    ['https://example.com/?key=secret', /without parameters/],
    ['http://localhost:4173/', /address of Vitrine itself/],
  ])('is refused in words: %s', (typed, said) => {
    expect(() => readServerUrl(typed, OWN)).toThrow(said);
  });
});

describe("a client's host", () => {
  it.each([
    ['modelslab.com', 'modelslab.com'],
    ['http://127.0.0.1:7860/', '127.0.0.1:7860'],
    ['API.example.com:443', 'api.example.com'],
  ])('is kept as clients write it: %s', (typed, kept) => {
    expect(readHost(typed, OWN)).toBe(kept);
  });

  it.each([
    ['example.com/api', /Enter a host/],
    ['', /Enter a host/],
    ['localhost:4173', /host of Vitrine itself/],
  ])('is refused in words: %s', (typed, said) => {
    expect(() => readHost(typed, OWN)).toThrow(said);
  });
});
