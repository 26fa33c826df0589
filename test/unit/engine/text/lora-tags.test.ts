import { describe, expect, test } from 'vitest';
import { parseExtraNetworks } from '#engine/text/extra-networks.ts';
import { isLoraTag, readLoraTag } from '#engine/text/lora-tags.ts';

const read = (prompt: string) => parseExtraNetworks(prompt).networks.map(readLoraTag);

describe('strengths of a LoRA in a prompt', () => {
  test.for([
    ['<lora:a>', 1, 1],
    ['<lora:a:0.5>', 0.5, 0.5],
    // The text encoder's comes first.
    ['<lora:a:0.5:2>', 2, 0.5],
    ['<lora:a:te=0.25>', 0.25, 0.25],
    ['<lora:a:0.5:unet=-1>', -1, 0.5],
    ['<lora:a:0.5:2:te=.75>', 2, 0.75],
    ['<lora:a:0.5:2:unet=3:te=1e-1>', 3, 0.1],
  ] as const)('%s', ([prompt, strength, textEncoderStrength]) => {
    expect(read(prompt)).toEqual([{ name: 'a', strength, textEncoderStrength }]);
  });

  test.for(['<lora:a:much>', '<lora:a:1:>', '<lora:a:unet=0x1>', '<lora:te=1>'])(
    '%s says nothing',
    (prompt) => {
      expect(read(prompt)).toEqual([undefined]);
    },
  );
});

test('LyCORIS files have a word of their own', () => {
  const { networks } = parseExtraNetworks('<lora:a><lyco:b:1><hypernet:c:1>');
  expect(networks.map(isLoraTag)).toEqual([true, true, false]);
});
