import { INCLUDED } from '#protocol/included.ts';
import { include, oneGraph } from './include.ts';

const APACHE = { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' };

/** The networks that come with the app and read images. */
export const visionNetworks = [
  include(
    {
      ...INCLUDED.safetyChecker,
      title: 'NSFW MobileNet v2',
      description: 'Rates images as drawing, hentai, neutral, porn or sexy.',
      network: 'nsfw-mobilenet-v2',
      licence: { name: 'MIT' },
      credits: 'nsfwjs by Infinite Red; weights by the developers of GantMan/nsfw_model.',
    },
    oneGraph(2_725_193, '24508034ce13b0dd5939ec35fefd2f8a2b2e1ef539b3518f619e920555cfe248'),
  ),
  include(
    {
      ...INCLUDED.faces,
      title: 'Face detector',
      description: 'Finds faces of many sizes, with eyes, nose, mouth and ears.',
      network: 'mediapipe-faces',
      licence: APACHE,
      credits: 'MediaPipe face detection by Google.',
    },
    [
      {
        path: 'face-detector.onnx',
        sizeBytes: 1_070_010,
        sha256: '70ecd092fca71cb2739d16f69ff5d8933024800a874041d3aa5cab268e17b323',
      },
      {
        path: 'face-refine.onnx',
        sizeBytes: 219_260,
        sha256: '3976c36aee7d16006cd6a32a54181df3fbe8a3607af8fcd9c3ea128a5a45689e',
      },
    ],
  ),
  include(
    {
      ...INCLUDED.personMask,
      title: 'Person mask',
      description: 'Separates a person from the background.',
      network: 'selfie-segmentation',
      licence: APACHE,
      credits: 'MediaPipe selfie segmentation by Google.',
    },
    oneGraph(236_723, 'eb6f16c8a774cc47e2617e9550773702a6c9bb0c584f5fa78a4a77d6e3cfb3d6'),
  ),
  include(
    {
      ...INCLUDED.pose,
      title: 'Pose detector',
      description: 'Finds 17 points of a body, for openpose ControlNets.',
      network: 'movenet',
      licence: APACHE,
      credits: 'MoveNet by Google, as converted for human by Vladimir Mandic.',
    },
    oneGraph(2_951_659, '37fe8f0c2d3a2b1b734d97f2aa604eb5a05409453d9b43f2fd8b04b1c9564f0d'),
  ),
];
