import { usableAddOns, type AddOnInfo, type ModelId } from './model.ts';

/** What is looked for in an image, and what finds it. */
export type Finder = EverythingFinder | FaceFinder | PersonFinder | SalientFinder | PointFinder | TextFinder;

/** How many regions count. */
interface Limited {
  /** How many regions at most, the first ones; all by default. */
  max?: number;
}

/** The whole image as one region; needs no network. */
export interface EverythingFinder extends Limited {
  kind: 'everything';
}

/** Faces, by the network included with the app. One region for each, the most certain first. */
export interface FaceFinder extends Limited {
  kind: 'faces';
  /** 0 … 1: how certain a face has to be; what the network itself is sure of, about 0.5, by default. */
  threshold?: number;
  /** `box`, the default: the rectangle around a face. `ellipse`: the ellipse within it. */
  shape?: 'box' | 'ellipse';
}

/** People near the camera, by the network included with the app. One region for those who touch each other, the largest first. */
export interface PersonFinder extends Limited {
  kind: 'person';
  /** `outline`, the default: what belongs to them. `box`: the rectangle around it. */
  shape?: 'outline' | 'box';
}

/** What an image is about, by an installed U²-Net or IS-Net. One region at most. */
export interface SalientFinder extends Limited {
  kind: 'salient';
  model: ModelId;
}

/** What is at some points, by an installed Segment Anything. One region at most. */
export interface PointFinder extends Limited {
  kind: 'points';
  model: ModelId;
  points: readonly FinderPoint[];
}

/** A point that is part of what is wanted, or of what is not. */
export interface FinderPoint {
  /** Pixels of the image. */
  x: number;
  y: number;
  isWanted: boolean;
}

/** What words name, by an installed Grounding DINO or OWL-ViT. One region for each thing, the most certain first. */
export interface TextFinder extends Limited {
  kind: 'text';
  model: ModelId;
  /** A Segment Anything that outlines what is in each rectangle; without it the rectangles are the regions. */
  segmenter?: ModelId;
  /** Several things have full stops between them: `cat. red hat`. */
  text: string;
  /**
   * 0 … 1: how certain a thing has to be, as Grounding DINO rates it: {@link BOX_THRESHOLD} is usual. OWL-ViT's numbers are a
   * third of that (its own usual threshold is 0.1), and are compared with a third of it.
   */
  threshold: number;
  /** Pixels that a rectangle grows by on each side, or below 0 shrinks, before anything else is done with it. */
  grow?: number;
}

/** Fooocus' default. */
export const BOX_THRESHOLD = 0.3;

/** The networks that find what words name, the best first; named as in library/offers/onnx-kinds.ts. */
const TEXT_NETWORKS = ['grounding-dino', 'owlvit'] as const;

/** What is installed of the networks that find what words name, and what outlines it. */
export interface TextFinderModels {
  model: ModelId;
  segmenter?: ModelId;
}

/** What finds by words with what is installed; undefined where nothing does. */
export function textFinderModels(addOns: readonly AddOnInfo[]): TextFinderModels | undefined {
  const finders = usableAddOns(addOns, 'finder');
  const [model] = TEXT_NETWORKS.flatMap((network) => finders.filter(({ pack }) => pack.network === network));
  const segmenter = segmenterOf(addOns);
  return model && { model: model.pack.id, ...(segmenter !== undefined && { segmenter }) };
}

/** The installed Segment Anything; undefined where there is none. */
export function segmenterOf(addOns: readonly AddOnInfo[]): ModelId | undefined {
  return usableAddOns(addOns, 'finder').find(({ pack }) => pack.network === 'sam')?.pack.id;
}
