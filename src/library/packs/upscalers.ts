import { INCLUDED } from '#protocol/included.ts';
import { include, oneGraph } from './include.ts';

const MIT = { name: 'MIT' };

/** The upscalers that come with the app. */
export const upscalers = [
  include(
    {
      ...INCLUDED.anime4k,
      title: 'Anime4K 2x',
      description: 'Small, fast and sharp, for drawings and photographs; 4x in two runs.',
      network: 'anime4k',
      licence: MIT,
      credits: 'Anime4K by bloc97, in the weights of WebSR by Sam Bhattacharyya.',
    },
    oneGraph(20_789, 'b232c8415fd71385ce5336302e2351ffdf670d02939e079b97d3d623836a8a34'),
  ),
  include(
    {
      ...INCLUDED.websrPhoto,
      title: 'WebSR 2x Photo',
      description: 'Anime4K’s network trained on photographs; softer.',
      network: 'anime4k',
      licence: MIT,
      credits: 'Trained by Sam Bhattacharyya for WebSR; the network is Anime4K’s, by bloc97.',
    },
    oneGraph(20_789, 'f879a999f7b261598eceddb67cf2962fc97e98621ddd4eaeb7677b4356854c9f'),
  ),
  include(
    {
      ...INCLUDED.esrganSlim2x,
      title: 'ESRGAN slim 2x',
      description: 'A residual dense network of UpscalerJS.',
      network: 'esrgan-slim',
      licence: MIT,
      credits: 'UpscalerJS by Kevin Scott, trained on DIV2K.',
    },
    oneGraph(450_671, 'f7d8ccce96c71ed5c3da612fe05f614dae86f54cf739fd2e98217991466f5aee'),
  ),
  include(
    {
      ...INCLUDED.esrganSlim4x,
      title: 'ESRGAN slim 4x',
      description: 'A residual dense network of UpscalerJS. Anime4K in two runs is sharper and faster.',
      network: 'esrgan-slim',
      licence: MIT,
      credits: 'UpscalerJS by Kevin Scott, trained on DIV2K.',
    },
    oneGraph(510_528, '039b2a471f721d3a01ef01b0d431bae5f9236bc993515712c2eee9e20782499c'),
  ),
  include(
    {
      ...INCLUDED.esrganMedium4x,
      title: 'ESRGAN medium 4x',
      description:
        'A larger residual dense network of UpscalerJS. Anime4K in two runs is sharper and faster.',
      network: 'esrgan-medium',
      licence: MIT,
      credits: 'UpscalerJS by Kevin Scott, trained on DIV2K.',
    },
    oneGraph(1_460_112, 'cee4edbbdf8ef8961c91b48c6a1b402d7427789223ffe4ef0af6560e75a252d1'),
  ),
];
