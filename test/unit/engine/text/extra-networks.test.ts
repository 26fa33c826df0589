import { describe, expect, it } from 'vitest';
import { parseExtraNetworks } from '#engine/text/extra-networks.ts';

describe('parseExtraNetworks', () => {
  it('takes tags out of the text', () => {
    expect(parseExtraNetworks('1girl, <hypernet:agm:1.1> <lora:film:0.8:0.5> sky')).toEqual({
      text: '1girl,   sky',
      networks: [
        { kind: 'hypernet', positional: ['agm', '1.1'], named: {} },
        { kind: 'lora', positional: ['film', '0.8', '0.5'], named: {} },
      ],
    });
  });

  it('reads named arguments', () => {
    expect(parseExtraNetworks('<lora:film:te=0.4:unet=1:dyn=8>').networks).toEqual([
      { kind: 'lora', positional: ['film'], named: { te: '0.4', unet: '1', dyn: '8' } },
    ]);
  });

  it('leaves other angle brackets', () => {
    const text = 'a < b > c <b> <lora:> <:x>';
    expect(parseExtraNetworks(text)).toEqual({ text, networks: [] });
  });
});
